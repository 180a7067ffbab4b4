//! Ended sign-ins and debts as rows, in statements that every engine speaks; their tables stand with each
//! engine.

mod postgres;
mod sqlite;

use chassis::identity::Ended;
use events::store::{Bind, Row, Rows, Tables, Tx};
use events::{Database, Error};
use jiff::Timestamp;

use crate::debt::{Debt, Owed};

pub use postgres::KEYS as SERVED_KEYS;
pub use postgres::TABLE as SERVED_TABLE;
pub(crate) use postgres::followed;
pub use sqlite::TABLE;

use postgres::{CLAIM, OWED as SERVED_OWED};
use sqlite::{OWED, OWED_BY_SESSION};

/// What a memory of the gateway's keeps.
pub(crate) const TABLES: Tables = Tables {
    embedded: &[TABLE, OWED, OWED_BY_SESSION],
    served: &[SERVED_TABLE, SERVED_OWED, SERVED_KEYS, CLAIM],
};

/// Rows removed in one transaction at most.
const SWEPT_MAX: u64 = 100;

/// Remembers that a sign-in ended, until its last token expires; the later of two ends counts.
/// What has expired is removed.
///
/// # Errors
/// [`Error::Environment`]: the store refused; nothing was done.
pub async fn remember(tx: &mut Tx<'_>, session: &str, until: Timestamp) -> Result<(), Error> {
    let sweep = "DELETE FROM ended_session WHERE sid IN
        (SELECT sid FROM ended_session WHERE until <= ?1 LIMIT ?2)";
    let now = tx.now().as_second();
    tx.execute(sweep, &[&now, &SWEPT_MAX]).await?;
    let insert = "INSERT INTO ended_session (sid, until) VALUES (?1, ?2) ON CONFLICT (sid)
        DO UPDATE SET until = excluded.until WHERE excluded.until > ended_session.until";
    tx.execute(insert, &[&session, &until.as_second()]).await?;
    Ok(())
}

/// Whether the end of a sign-in is remembered.
///
/// # Errors
/// [`Error::Environment`]: ask again later.
pub async fn is_remembered(rows: &mut Rows<'_>, session: &str) -> Result<bool, Error> {
    let select = "SELECT 1 FROM ended_session WHERE sid = ?1";
    Ok(rows.find(select, &[&session], |_| Ok::<_, Error>(())).await?.is_some())
}

/// Fills a verifier's memory with what `database` remembers.
///
/// # Errors
/// [`Error::Environment`]: read again later.
pub async fn load(database: &Database, ended: &Ended, now: Timestamp) -> Result<(), Error> {
    let given = (ended, now);
    database.read(&given, |(ended, now), rows| Box::pin(remembered(rows, ended, *now))).await
}

async fn remembered(rows: &mut Rows<'_>, ended: &Ended, now: Timestamp) -> Result<(), Error> {
    let select = "SELECT sid, until FROM ended_session WHERE until > ?1";
    let end = |row: &Row<'_>| {
        let (session, until): (String, i64) = (row.get(0)?, row.get(1)?);
        if let Ok(until) = Timestamp::from_second(until) {
            ended.end(&session, until, now);
        }
        Ok(())
    };
    rows.each(select, &[&now.as_second()], end).await
}

/// The sealed key of that name: the one that is kept, or else this one, from now on.
pub(crate) async fn keep_key(
    rows: &mut Rows<'_>,
    name: &str,
    sealed: &[u8],
) -> Result<Vec<u8>, Error> {
    let insert = "INSERT INTO sealed_key VALUES (?1, ?2) ON CONFLICT (name) DO NOTHING";
    rows.execute(insert, &[&name, &sealed]).await?;
    rows.one("SELECT sealed FROM sealed_key WHERE name = ?1", &[&name], |row| row.get(0)).await
}

/// Who has this on a server: whoever was the first to say so.
pub(crate) async fn claim(rows: &mut Rows<'_>, what: &str, by: &str) -> Result<String, Error> {
    let insert = "INSERT INTO claim VALUES (?1, ?2) ON CONFLICT (what) DO NOTHING";
    rows.execute(insert, &[&what, &by]).await?;
    rows.one("SELECT owner FROM claim WHERE what = ?1", &[&what], |row| row.get(0)).await
}

/// Notes that a token is owed; twice is as good.
pub(crate) async fn owe(
    rows: &mut Rows<'_>,
    owed: &Owed,
    digest: [u8; 32],
    now: Timestamp,
) -> Result<(), Error> {
    let insert = "INSERT INTO owed (token, digest, since, sid, renews)
        VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (digest) DO NOTHING";
    let Owed { token, session, renews } = owed;
    let row: [&dyn Bind; 5] = [token, &digest, &now.as_second(), session, renews];
    rows.execute(insert, &row).await?;
    Ok(())
}

/// Removes debts of before `since`.
pub(crate) async fn sweep(rows: &mut Rows<'_>, since: Timestamp) -> Result<(), Error> {
    let sweep = "DELETE FROM owed WHERE number IN
        (SELECT number FROM owed WHERE since < ?1 ORDER BY number LIMIT ?2)";
    rows.execute(sweep, &[&since.as_second(), &SWEPT_MAX]).await?;
    Ok(())
}

/// How many debts there are, counted up to `limit`.
pub(crate) async fn count(rows: &mut Rows<'_>, limit: u64) -> Result<u64, Error> {
    let count = "SELECT count(*) FROM (SELECT 1 FROM owed LIMIT ?1) counted";
    rows.one(count, &[&limit], |row| row.get(0)).await
}

/// How many of them nobody here knows the sign-in of.
pub(crate) async fn count_unknown(rows: &mut Rows<'_>) -> Result<u64, Error> {
    let count = "SELECT count(*) FROM owed WHERE sid IS NULL";
    rows.one(count, &[], |row| row.get(0)).await
}

/// Removes the oldest of those that its giver would not take back; whether there was one.
pub(crate) async fn forget_unknown(rows: &mut Rows<'_>) -> Result<bool, Error> {
    let remove = "DELETE FROM owed WHERE number =
        (SELECT min(number) FROM owed WHERE sid IS NULL AND given_up = 1)";
    Ok(rows.execute(remove, &[]).await? > 0)
}

/// The oldest debts after `after` that somebody has still to hear of.
pub(crate) async fn owed(
    rows: &mut Rows<'_>,
    after: i64,
    limit: usize,
) -> Result<Vec<Debt>, Error> {
    let select = "SELECT number, token FROM owed WHERE number > ?1 AND given_up = 0
        ORDER BY number LIMIT ?2";
    let debt = |row: &Row<'_>| Ok(Debt { number: row.get(0)?, token: row.get(1)? });
    rows.all(select, &[&after, &limit], debt).await
}

/// Whether a token is owed, or one that renews the same sign-in.
pub(crate) async fn is_owed(
    rows: &mut Rows<'_>,
    digest: [u8; 32],
    session: Option<&str>,
) -> Result<bool, Error> {
    let select = "SELECT 1 FROM owed WHERE digest = ?1 OR (sid = ?2 AND renews = 1) LIMIT 1";
    let found = rows.find(select, &[&digest, &session], |_| Ok::<_, Error>(())).await?;
    Ok(found.is_some())
}

/// Keeps of a debt what has to be refused here from now on, if anything.
pub(crate) async fn give_up(rows: &mut Rows<'_>, digest: [u8; 32]) -> Result<(), Error> {
    let keep = "UPDATE owed SET given_up = 1 WHERE digest = ?1 AND renews = 1";
    if rows.execute(keep, &[&digest]).await? == 0 {
        pay(rows, digest).await?;
    }
    Ok(())
}

/// Strikes a debt out.
pub(crate) async fn pay(rows: &mut Rows<'_>, digest: [u8; 32]) -> Result<(), Error> {
    rows.execute("DELETE FROM owed WHERE digest = ?1", &[&digest]).await?;
    Ok(())
}
