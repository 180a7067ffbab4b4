//! Ended sign-ins and debts as tables.

use chassis::identity::Ended;
use events::store::Write;
use events::{Database, Error};
use jiff::Timestamp;
use rusqlite::{Connection, params};

use crate::debt::Owed;

/// Rows removed in one transaction at most.
const SWEPT_MAX: u64 = 100;

/// The migration of who remembers ended sign-ins.
pub const TABLE: &str = "CREATE TABLE ended_session (
        sid TEXT PRIMARY KEY, until INTEGER NOT NULL) STRICT, WITHOUT ROWID;
     CREATE INDEX ended_session_by_end ON ended_session (until);";

/// What the gateway owes beside: `digest` finds a token again without showing it to the index.
pub(crate) const OWED: &str = "CREATE TABLE owed (
        number INTEGER PRIMARY KEY AUTOINCREMENT, token TEXT NOT NULL,
        digest BLOB NOT NULL UNIQUE, since INTEGER NOT NULL) STRICT;";

/// Whose it is, whether it renews its sign-in, and whether its giver would not take it back.
pub(crate) const OWED_BY_SESSION: &str = "ALTER TABLE owed ADD COLUMN sid TEXT;
     ALTER TABLE owed ADD COLUMN renews INTEGER NOT NULL DEFAULT 1;
     ALTER TABLE owed ADD COLUMN given_up INTEGER NOT NULL DEFAULT 0;
     CREATE INDEX owed_by_session ON owed (sid);";

/// Remembers that a sign-in ended, until its last token expires; the later of two ends counts.
/// What has expired is removed.
///
/// # Errors
/// [`Error::Environment`]: the store refused; nothing was done.
pub fn remember(write: &mut Write<'_>, session: &str, until: Timestamp) -> Result<(), Error> {
    let sweep = "DELETE FROM ended_session WHERE sid IN
        (SELECT sid FROM ended_session WHERE until <= ?1 LIMIT ?2)";
    let now = write.now().as_second();
    write.sql().prepare_cached(sweep)?.execute(params![now, SWEPT_MAX])?;
    let insert = "INSERT INTO ended_session VALUES (?1, ?2)
        ON CONFLICT (sid) DO UPDATE SET until = max(until, excluded.until)";
    write.sql().prepare_cached(insert)?.execute(params![session, until.as_second()])?;
    Ok(())
}

/// Fills a verifier's memory with what `database` remembers.
///
/// # Errors
/// [`Error::Environment`]: read again later.
pub fn load(database: &Database, ended: &Ended, now: Timestamp) -> Result<(), Error> {
    database.read(|sql| {
        let mut select = sql.prepare("SELECT sid, until FROM ended_session WHERE until > ?1")?;
        let mut rows = select.query([now.as_second()])?;
        while let Some(row) = rows.next()? {
            let (session, until): (String, i64) = (row.get(0)?, row.get(1)?);
            if let Ok(until) = Timestamp::from_second(until) {
                ended.end(&session, until, now);
            }
        }
        Ok(())
    })
}

/// Notes that a token is owed; twice is as good.
pub(crate) fn owe(
    connection: &Connection,
    owed: &Owed,
    digest: [u8; 32],
    now: Timestamp,
) -> Result<(), Error> {
    let insert = "INSERT OR IGNORE INTO owed (token, digest, since, sid, renews)
        VALUES (?1, ?2, ?3, ?4, ?5)";
    let row = params![owed.token, digest, now.as_second(), owed.session, owed.renews];
    connection.prepare_cached(insert)?.execute(row)?;
    Ok(())
}

/// Removes debts of before `since`.
pub(crate) fn sweep(connection: &Connection, since: Timestamp) -> Result<(), Error> {
    let sweep = "DELETE FROM owed WHERE number IN
        (SELECT number FROM owed WHERE since < ?1 ORDER BY number LIMIT ?2)";
    connection.prepare_cached(sweep)?.execute(params![since.as_second(), SWEPT_MAX])?;
    Ok(())
}

/// How many debts there are, counted up to `limit`.
pub(crate) fn count(connection: &Connection, limit: u64) -> Result<u64, Error> {
    let count = "SELECT count(*) FROM (SELECT 1 FROM owed LIMIT ?1)";
    Ok(connection.prepare_cached(count)?.query_row([limit], |row| row.get(0))?)
}

/// How many of them nobody here knows the sign-in of.
pub(crate) fn count_unknown(connection: &Connection) -> Result<u64, Error> {
    let count = "SELECT count(*) FROM owed WHERE sid IS NULL";
    Ok(connection.prepare_cached(count)?.query_row([], |row| row.get(0))?)
}

/// Removes the oldest of those that its giver would not take back; whether there was one.
pub(crate) fn forget_unknown(connection: &Connection) -> Result<bool, Error> {
    let remove = "DELETE FROM owed WHERE number =
        (SELECT min(number) FROM owed WHERE sid IS NULL AND given_up = 1)";
    Ok(connection.prepare_cached(remove)?.execute([])? > 0)
}

/// The oldest debts after `after` that somebody has still to hear of: number and token.
pub(crate) fn owed(
    connection: &Connection,
    after: i64,
    limit: usize,
) -> Result<Vec<(i64, String)>, Error> {
    let select = "SELECT number, token FROM owed WHERE number > ?1 AND given_up = 0
        ORDER BY number LIMIT ?2";
    let mut select = connection.prepare_cached(select)?;
    let rows = select.query_map(params![after, limit], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Whether a token is owed, or one that renews the same sign-in.
pub(crate) fn is_owed(
    connection: &Connection,
    digest: [u8; 32],
    session: Option<&str>,
) -> Result<bool, Error> {
    let select = "SELECT EXISTS (SELECT 1 FROM owed WHERE digest = ?1)
        OR EXISTS (SELECT 1 FROM owed WHERE sid = ?2 AND renews = 1)";
    let row = params![digest, session];
    Ok(connection.prepare_cached(select)?.query_row(row, |row| row.get(0))?)
}

/// Keeps of a debt what has to be refused here from now on, if anything.
pub(crate) fn give_up(connection: &Connection, digest: [u8; 32]) -> Result<(), Error> {
    let keep = "UPDATE owed SET given_up = 1 WHERE digest = ?1 AND renews = 1";
    if connection.prepare_cached(keep)?.execute([digest])? == 0 {
        pay(connection, digest)?;
    }
    Ok(())
}

/// Strikes a debt out.
pub(crate) fn pay(connection: &Connection, digest: [u8; 32]) -> Result<(), Error> {
    connection.prepare_cached("DELETE FROM owed WHERE digest = ?1")?.execute([digest])?;
    Ok(())
}
