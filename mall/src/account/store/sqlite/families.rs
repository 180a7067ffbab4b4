//! Families of refresh tokens as tables.

use events::Error;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::account::refresh::Kept;

/// Families a user may have; those longest unused lose their refresh tokens.
pub(in crate::account) const FAMILIES_PER_USER_MAX: u64 = 16;

/// Expired families and tokens removed in one transaction at most, of each.
const SWEPT_MAX: u64 = 100;

/// The migration from refresh tokens that each stood alone; each becomes a family.
pub(super) const SCHEMA: &str = "CREATE TABLE family (
        sid TEXT PRIMARY KEY, username TEXT NOT NULL, used INTEGER NOT NULL,
        expires INTEGER NOT NULL) STRICT;
     CREATE INDEX family_by_user ON family (username, used);
     CREATE INDEX family_by_end ON family (expires);
     CREATE TABLE token (
        hash BLOB PRIMARY KEY, sid TEXT NOT NULL, place INTEGER NOT NULL,
        expires INTEGER NOT NULL, rotated INTEGER) STRICT, WITHOUT ROWID;
     CREATE UNIQUE INDEX token_by_family ON token (sid, place);
     CREATE INDEX token_by_end ON token (expires);
     INSERT INTO family SELECT lower(hex(substr(hash, 1, 16))), username, number, expires FROM refresh;
     INSERT INTO token SELECT hash, lower(hex(substr(hash, 1, 16))), 0, expires, NULL FROM refresh;
     DROP TABLE refresh;";

/// Removes what has expired.
pub(in crate::account) fn sweep(connection: &Connection, now: Timestamp) -> Result<(), Error> {
    let tokens = "DELETE FROM token WHERE hash IN
        (SELECT hash FROM token WHERE expires <= ?1 LIMIT ?2)";
    let families = "DELETE FROM family WHERE sid IN
        (SELECT sid FROM family WHERE expires <= ?1 LIMIT ?2)";
    for sweep in [tokens, families] {
        connection.prepare_cached(sweep)?.execute(params![now.as_second(), SWEPT_MAX])?;
    }
    Ok(())
}

/// Keeps a new family.
pub(in crate::account) fn add(
    connection: &Connection,
    session: &str,
    username: &str,
    expires: Timestamp,
    now: Timestamp,
) -> Result<(), Error> {
    let insert = "INSERT INTO family VALUES (?1, ?2, ?3, ?4)";
    let row = params![session, username, now.as_millisecond(), expires.as_second()];
    connection.prepare_cached(insert)?.execute(row)?;
    Ok(())
}

/// Keeps a token by its hash.
pub(in crate::account) fn keep(
    connection: &Connection,
    hash: &[u8; 32],
    kept: &Kept,
) -> Result<(), Error> {
    let insert = "INSERT INTO token VALUES (?1, ?2, ?3, ?4, NULL)";
    let row = params![hash, kept.session, kept.place, kept.expires.as_second()];
    connection.prepare_cached(insert)?.execute(row)?;
    Ok(())
}

/// Removes the families of a user past [`FAMILIES_PER_USER_MAX`].
pub(in crate::account) fn bound(connection: &Connection, username: &str) -> Result<(), Error> {
    let too_many = "SELECT sid FROM family WHERE username = ?1
        ORDER BY used DESC, rowid DESC LIMIT -1 OFFSET ?2";
    let mut select = connection.prepare_cached(too_many)?;
    let rows = select.query_map(params![username, FAMILIES_PER_USER_MAX], |row| row.get(0))?;
    let sessions: Vec<String> = rows.collect::<Result<_, _>>()?;
    sessions.iter().try_for_each(|session| remove(connection, session))
}

/// The token of that hash.
pub(in crate::account) fn find(
    connection: &Connection,
    hash: &[u8; 32],
) -> Result<Option<Kept>, Error> {
    let select = "SELECT sid, place, expires, rotated FROM token WHERE hash = ?1";
    Ok(connection.prepare_cached(select)?.query_row([hash], kept).optional()?)
}

/// How many tokens of a family are kept.
pub(in crate::account) fn count(connection: &Connection, session: &str) -> Result<u64, Error> {
    let select = "SELECT count(*) FROM token WHERE sid = ?1";
    Ok(connection.prepare_cached(select)?.query_row([session], |row| row.get(0))?)
}

/// The place of a family's newest token.
pub(in crate::account) fn newest(connection: &Connection, session: &str) -> Result<u64, Error> {
    let select = "SELECT max(place) FROM token WHERE sid = ?1";
    Ok(connection.prepare_cached(select)?.query_row([session], |row| row.get(0))?)
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
pub(in crate::account) fn used(
    connection: &Connection,
    used: &Used<'_>,
    now: Timestamp,
) -> Result<(), Error> {
    let Used { hash, session, expires } = *used;
    let token = "UPDATE token SET rotated = ?2 WHERE hash = ?1";
    connection.prepare_cached(token)?.execute(params![hash, now.as_millisecond()])?;
    let family = "UPDATE family SET used = ?2, expires = ?3 WHERE sid = ?1";
    let row = params![session, now.as_millisecond(), expires.as_second()];
    connection.prepare_cached(family)?.execute(row)?;
    let expired = "DELETE FROM token WHERE sid = ?1 AND expires <= ?2";
    connection.prepare_cached(expired)?.execute(params![session, now.as_second()])?;
    Ok(())
}

/// Whose family it is.
pub(in crate::account) fn user(
    connection: &Connection,
    session: &str,
) -> Result<Option<String>, Error> {
    let select = "SELECT username FROM family WHERE sid = ?1";
    Ok(connection.prepare_cached(select)?.query_row([session], |row| row.get(0)).optional()?)
}

/// Whether a family is kept.
pub(in crate::account) fn exists(connection: &Connection, session: &str) -> Result<bool, Error> {
    Ok(user(connection, session)?.is_some())
}

/// Removes a family and its tokens.
pub(in crate::account) fn remove(connection: &Connection, session: &str) -> Result<(), Error> {
    for remove in ["DELETE FROM token WHERE sid = ?1", "DELETE FROM family WHERE sid = ?1"] {
        connection.prepare_cached(remove)?.execute([session])?;
    }
    Ok(())
}

fn kept(row: &Row<'_>) -> Result<Kept, rusqlite::Error> {
    let time =
        |made: Result<Timestamp, jiff::Error>| made.map_err(|_| rusqlite::Error::InvalidQuery);
    let rotated: Option<i64> = row.get(3)?;
    Ok(Kept {
        session: row.get(0)?,
        place: row.get(1)?,
        expires: time(Timestamp::from_second(row.get(2)?))?,
        rotated: rotated.map(|at| time(Timestamp::from_millisecond(at))).transpose()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::store::sqlite;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    fn database(migrations: usize) -> Connection {
        let connection = Connection::open_in_memory().expect("memory");
        for migration in &sqlite::SCHEMA[..migrations] {
            connection.execute_batch(migration).expect("a migration");
        }
        connection
    }

    fn begin(connection: &Connection, number: u8, username: &str, now: i64) {
        let session = number.to_string();
        add(connection, &session, username, at(100), at(now)).expect("added");
        let kept = Kept { session, place: 0, expires: at(100), rotated: None };
        keep(connection, &[number; 32], &kept).expect("kept");
        bound(connection, username).expect("bounded");
    }

    #[test]
    fn a_user_holds_a_bounded_number_of_families_those_used_last() {
        let connection = database(sqlite::SCHEMA.len());
        begin(&connection, 255, "other@b", 0);
        let all = u8::try_from(FAMILIES_PER_USER_MAX).expect("a small number");
        for number in 0..all {
            begin(&connection, number, "a@b", 0);
        }
        let newest = Used { hash: &[0; 32], session: "0", expires: at(100) };
        used(&connection, &newest, at(1)).expect("used");
        begin(&connection, all, "a@b", 1);
        let there = |number: u8| find(&connection, &[number; 32]).expect("read").is_some();
        assert!(there(0) && !there(1) && there(2) && there(all) && there(255));
    }

    #[test]
    fn what_has_expired_is_removed() {
        let connection = database(sqlite::SCHEMA.len());
        begin(&connection, 1, "a@b", 0);
        sweep(&connection, at(99)).expect("swept");
        assert!(find(&connection, &[1; 32]).expect("read").is_some());
        sweep(&connection, at(100)).expect("swept");
        assert_eq!(find(&connection, &[1; 32]).expect("read"), None);
        assert!(!exists(&connection, "1").expect("read"));
    }

    #[test]
    fn a_refresh_token_of_an_older_program_becomes_a_family() {
        let connection = database(1);
        let insert = "INSERT INTO refresh (hash, username, expires) VALUES (?1, 'a@b', 100)";
        for number in [1_u8, 2] {
            connection.execute(insert, [[number; 32]]).expect("inserted");
        }
        for migration in &sqlite::SCHEMA[1..] {
            connection.execute_batch(migration).expect("a migration");
        }
        let kept = find(&connection, &[2; 32]).expect("read").expect("there");
        assert_eq!((kept.place, kept.expires, kept.rotated), (0, at(100), None));
        assert_eq!(user(&connection, &kept.session).expect("read").as_deref(), Some("a@b"));
        assert_ne!(
            find(&connection, &[1; 32]).expect("read").expect("there").session,
            kept.session
        );
    }
}
