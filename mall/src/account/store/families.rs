//! Families of refresh tokens as rows.

use events::Error;
use events::store::{Row, Rows, Tx};
use jiff::Timestamp;

use crate::account::refresh::RefreshToken;

/// Families a user may have; those longest unused lose their refresh tokens.
pub(in crate::account) const FAMILIES_PER_USER_MAX: u64 = 16;

/// Expired families and tokens removed in one transaction at most, of each.
const SWEPT_MAX: u64 = 100;

/// Removes what has expired.
pub(in crate::account) async fn sweep(rows: &mut Rows<'_>, now: Timestamp) -> Result<(), Error> {
    let tokens = "DELETE FROM token WHERE hash IN
        (SELECT hash FROM token WHERE expires <= ?1 LIMIT ?2)";
    let families = "DELETE FROM family WHERE sid IN
        (SELECT sid FROM family WHERE expires <= ?1 LIMIT ?2)";
    for sweep in [tokens, families] {
        rows.execute(sweep, &[&now.as_second(), &SWEPT_MAX]).await?;
    }
    Ok(())
}

/// Keeps a new family.
pub(in crate::account) async fn add(
    rows: &mut Rows<'_>,
    session: &str,
    username: &str,
    expires: Timestamp,
    now: Timestamp,
) -> Result<(), Error> {
    let insert = "INSERT INTO family VALUES (?1, ?2, ?3, ?4)";
    let (now, expires) = (now.as_millisecond(), expires.as_second());
    rows.execute(insert, &[&session, &username, &now, &expires]).await?;
    Ok(())
}

/// Keeps a token by its hash.
pub(in crate::account) async fn keep(
    rows: &mut Rows<'_>,
    hash: &[u8; 32],
    kept: &RefreshToken,
) -> Result<(), Error> {
    let insert = "INSERT INTO token VALUES (?1, ?2, ?3, ?4, NULL)";
    let RefreshToken { session, place, expires, .. } = kept;
    rows.execute(insert, &[hash, session, place, &expires.as_second()]).await?;
    Ok(())
}

/// Removes the families of a user past [`FAMILIES_PER_USER_MAX`].
pub(in crate::account) async fn bound(tx: &mut Tx<'_>, username: &str) -> Result<(), Error> {
    let by_use = "SELECT sid FROM family WHERE username = ?1 ORDER BY used DESC, sid";
    let sessions = tx.all(by_use, &[&username], |row| row.get::<String>(0)).await?;
    let kept = usize::try_from(FAMILIES_PER_USER_MAX).unwrap_or(usize::MAX);
    let mut over: Vec<String> = sessions.into_iter().skip(kept).collect();
    // Of two that sign in at once, both take what they remove in one order.
    over.sort_unstable();
    for session in over {
        take(tx, &session).await?;
        remove(tx, &session).await?;
    }
    Ok(())
}

/// The token of that hash.
pub(in crate::account) async fn find(
    rows: &mut Rows<'_>,
    hash: &[u8; 32],
) -> Result<Option<RefreshToken>, Error> {
    let select = "SELECT sid, place, expires, rotated FROM token WHERE hash = ?1";
    rows.find(select, &[hash], kept).await
}

/// Takes a family for oneself until this is over: its tokens are judged, renewed and ended one after the other.
pub(in crate::account) async fn take(tx: &mut Tx<'_>, session: &str) -> Result<(), Error> {
    let select = "SELECT sid FROM family WHERE sid = ?1 FOR UPDATE";
    tx.find(select, &[&session], |_| Ok::<_, Error>(())).await?;
    Ok(())
}

/// How many tokens of a family are kept.
pub(in crate::account) async fn count(rows: &mut Rows<'_>, session: &str) -> Result<u64, Error> {
    let select = "SELECT count(*) FROM token WHERE sid = ?1";
    rows.one(select, &[&session], |row| row.get(0)).await
}

/// The place of a family's newest token.
pub(in crate::account) async fn newest(rows: &mut Rows<'_>, session: &str) -> Result<u64, Error> {
    let select = "SELECT max(place) FROM token WHERE sid = ?1";
    rows.one(select, &[&session], |row| row.get(0)).await
}

/// A token that was used.
pub(in crate::account) struct Used<'t> {
    pub(in crate::account) hash: &'t [u8; 32],
    /// Its family.
    pub(in crate::account) session: &'t str,
    /// How long the family lives now.
    pub(in crate::account) expires: Timestamp,
}

/// Notes that a token was used, and its family with it.
pub(in crate::account) async fn used(
    rows: &mut Rows<'_>,
    used: &Used<'_>,
    now: Timestamp,
) -> Result<(), Error> {
    let Used { hash, session, expires } = *used;
    let at = now.as_millisecond();
    rows.execute("UPDATE token SET rotated = ?2 WHERE hash = ?1", &[hash, &at]).await?;
    let family = "UPDATE family SET used = ?2, expires = ?3 WHERE sid = ?1";
    rows.execute(family, &[&session, &at, &expires.as_second()]).await?;
    let expired = "DELETE FROM token WHERE sid = ?1 AND expires <= ?2";
    rows.execute(expired, &[&session, &now.as_second()]).await?;
    Ok(())
}

/// Whose family it is.
pub(in crate::account) async fn user(
    rows: &mut Rows<'_>,
    session: &str,
) -> Result<Option<String>, Error> {
    rows.find("SELECT username FROM family WHERE sid = ?1", &[&session], |row| row.get(0)).await
}

/// Whether a family is kept.
pub(in crate::account) async fn exists(rows: &mut Rows<'_>, session: &str) -> Result<bool, Error> {
    Ok(user(rows, session).await?.is_some())
}

/// Removes a family and its tokens.
pub(in crate::account) async fn remove(rows: &mut Rows<'_>, session: &str) -> Result<(), Error> {
    for remove in ["DELETE FROM token WHERE sid = ?1", "DELETE FROM family WHERE sid = ?1"] {
        rows.execute(remove, &[&session]).await?;
    }
    Ok(())
}

fn kept(row: &Row<'_>) -> Result<RefreshToken, Error> {
    let hurt = |_: jiff::Error| Error::Statement { what: "no time in table token".to_owned() };
    let rotated: Option<i64> = row.get(3)?;
    Ok(RefreshToken {
        session: row.get(0)?,
        place: row.get(1)?,
        expires: Timestamp::from_second(row.get(2)?).map_err(hurt)?,
        rotated: rotated.map(Timestamp::from_millisecond).transpose().map_err(hurt)?,
    })
}

#[cfg(test)]
mod tests {
    use events::Database;

    use super::*;
    use crate::account::store::TABLES;
    use crate::fixture;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    async fn begin(database: &Database, number: u8, username: &'static str, now: i64) {
        async fn work(tx: &mut Tx<'_>, number: u8, username: &str, now: i64) -> Result<(), Error> {
            let session = number.to_string();
            add(tx, &session, username, at(100), at(now)).await?;
            let kept = RefreshToken { session, place: 0, expires: at(100), rotated: None };
            keep(tx, &[number; 32], &kept).await?;
            bound(tx, username).await
        }
        let given = (number, username, now);
        let begun =
            database.write(given, |&(number, name, now), tx| Box::pin(work(tx, number, name, now)));
        begun.await.expect("begun");
    }

    async fn token(database: &Database, number: u8) -> Option<RefreshToken> {
        let hash = [number; 32];
        let read = database.read(&hash, |hash, rows| Box::pin(find(rows, hash)));
        read.await.expect("read")
    }

    #[tokio::test]
    async fn a_user_holds_a_bounded_number_of_families_those_used_last() {
        for (_folder, database) in fixture::each(TABLES, None).await {
            holds_a_bounded_number(&database).await;
        }
    }

    async fn holds_a_bounded_number(database: &Database) {
        begin(database, 255, "other@b", 0).await;
        let all = u8::try_from(FAMILIES_PER_USER_MAX).expect("a small number");
        for number in 0..all {
            begin(database, number, "a@b", number.into()).await;
        }
        let newest = database.write((), |(), tx| {
            let newest = Used { hash: &[0; 32], session: "0", expires: at(100) };
            Box::pin(async move { used(tx, &newest, at(50)).await })
        });
        newest.await.expect("used");
        begin(database, all, "a@b", 51).await;
        for (number, there) in [(0, true), (1, false), (2, true), (all, true), (255, true)] {
            assert_eq!(token(database, number).await.is_some(), there, "{number}");
        }
    }

    #[tokio::test]
    async fn what_has_expired_is_removed() {
        for (_folder, database) in fixture::each(TABLES, None).await {
            begin(&database, 1, "a@b", 0).await;
            let swept = |second| database.write(at(second), |&now, tx| Box::pin(sweep(tx, now)));
            swept(99).await.expect("swept");
            assert!(token(&database, 1).await.is_some());
            swept(100).await.expect("swept");
            assert_eq!(token(&database, 1).await, None);
            let there = database.read("1", |session, rows| Box::pin(exists(rows, session)));
            assert!(!there.await.expect("read"));
        }
    }

    #[tokio::test]
    async fn a_refresh_token_of_an_older_program_becomes_a_family() {
        let (folder, old) = fixture::database(TABLES.embedded.split_at(1).0);
        for number in [1_u8, 2] {
            let stored = old.write([number; 32], |hash, tx| {
                let insert =
                    "INSERT INTO refresh (hash, username, expires) VALUES (?1, 'a@b', 100)";
                Box::pin(async move { tx.execute(insert, &[hash]).await })
            });
            let stored: Result<u64, Error> = stored.await;
            stored.expect("inserted");
        }
        old.close().await;
        let new = fixture::open(&folder, TABLES.embedded);
        let kept = token(&new, 2).await.expect("there");
        assert_eq!((kept.place, kept.expires, kept.rotated), (0, at(100), None));
        let whose = new.read(&kept.session, |session, rows| Box::pin(user(rows, session)));
        assert_eq!(whose.await.expect("read").as_deref(), Some("a@b"));
        assert_ne!(token(&new, 1).await.expect("there").session, kept.session);
    }
}
