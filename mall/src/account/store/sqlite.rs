//! Users and refresh tokens as tables.

use events::Error;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use crate::account::user::{User, role};

/// Refresh tokens a user may hold; the oldest ends first.
pub(in crate::account) const REFRESH_PER_USER_MAX: u64 = 16;

/// Expired tokens removed in one transaction at most.
const SWEPT_MAX: u64 = 100;

/// The schema, one migration after the other.
pub(in crate::account) const SCHEMA: &[&str] = &["CREATE TABLE user (
        username TEXT PRIMARY KEY, phc TEXT NOT NULL, nickname TEXT NOT NULL,
        address TEXT NOT NULL, role TEXT NOT NULL, sequence INTEGER NOT NULL) STRICT;
     CREATE TABLE refresh (
        number INTEGER PRIMARY KEY AUTOINCREMENT, hash BLOB NOT NULL UNIQUE,
        username TEXT NOT NULL, expires INTEGER NOT NULL) STRICT;
     CREATE INDEX refresh_by_user ON refresh (username, number);
     CREATE INDEX refresh_by_end ON refresh (expires);
     CREATE TABLE seeded (one INTEGER PRIMARY KEY CHECK (one = 1)) STRICT;"];

/// The user of that name.
pub(in crate::account) fn find(
    connection: &Connection,
    username: &str,
) -> Result<Option<User>, Error> {
    let select = "SELECT username, phc, nickname, address, role, sequence FROM user
        WHERE username = ?1";
    let row = connection.prepare_cached(select)?.query_row([username], |row| {
        let name: String = row.get(4)?;
        Ok(User {
            username: row.get(0)?,
            phc: row.get(1)?,
            nickname: row.get(2)?,
            address: row.get(3)?,
            role: role(&name).ok_or(rusqlite::Error::InvalidQuery)?,
            sequence: row.get(5)?,
        })
    });
    Ok(row.optional()?)
}

/// Stores a new user; `false` where the name is taken.
pub(in crate::account) fn insert(connection: &Connection, user: &User) -> Result<bool, Error> {
    let insert = "INSERT OR IGNORE INTO user VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let inserted = connection.prepare_cached(insert)?.execute(params![
        user.username,
        user.phc,
        user.nickname,
        user.address,
        user.role.as_str(),
        user.sequence,
    ])?;
    Ok(inserted == 1)
}

/// Keeps a refresh token by its hash, and ends what has expired or is too many.
pub(in crate::account) fn keep_refresh(
    connection: &Connection,
    hash: &[u8; 32],
    username: &str,
    expires: Timestamp,
    now: Timestamp,
) -> Result<(), Error> {
    let sweep = "DELETE FROM refresh WHERE number IN
        (SELECT number FROM refresh WHERE expires <= ?1 LIMIT ?2)";
    connection.prepare_cached(sweep)?.execute(params![now.as_second(), SWEPT_MAX])?;
    let insert = "INSERT INTO refresh (hash, username, expires) VALUES (?1, ?2, ?3)";
    let row = params![hash, username, expires.as_second()];
    connection.prepare_cached(insert)?.execute(row)?;
    let bound = "DELETE FROM refresh WHERE username = ?1 AND number NOT IN
        (SELECT number FROM refresh WHERE username = ?1 ORDER BY number DESC LIMIT ?2)";
    connection.prepare_cached(bound)?.execute(params![username, REFRESH_PER_USER_MAX])?;
    Ok(())
}

/// Takes a refresh token out; whose it was, if it had not expired.
pub(in crate::account) fn take_refresh(
    connection: &Connection,
    hash: &[u8; 32],
    now: Timestamp,
) -> Result<Option<String>, Error> {
    let take = "DELETE FROM refresh WHERE hash = ?1 RETURNING username, expires";
    let row = connection
        .prepare_cached(take)?
        .query_row(params![hash], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)));
    let live = row.optional()?.filter(|(_, expires)| *expires > now.as_second());
    Ok(live.map(|(username, _)| username))
}

/// Claims the writing of the seeds: `true` once in the life of the file.
pub(in crate::account) fn claim_seeding(connection: &Connection) -> Result<bool, Error> {
    Ok(connection.execute("INSERT OR IGNORE INTO seeded VALUES (1)", [])? == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database() -> Connection {
        let connection = Connection::open_in_memory().expect("memory");
        connection.execute_batch(SCHEMA[0]).expect("a schema");
        connection
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    #[test]
    fn a_refresh_token_is_taken_once_and_not_past_its_end() {
        let database = database();
        for number in 0..2 {
            keep_refresh(&database, &[number; 32], "a@b", at(100), at(0)).expect("kept");
        }
        let take = |number: u8, now| take_refresh(&database, &[number; 32], at(now)).expect("read");
        assert_eq!(take(0, 99).as_deref(), Some("a@b"));
        assert_eq!(take(0, 99), None);
        assert_eq!(take(1, 100), None);
        assert_eq!(take(2, 0), None);
    }

    #[test]
    fn a_user_holds_a_bounded_number_of_refresh_tokens_the_newest() {
        let database = database();
        keep_refresh(&database, &[255; 32], "other@b", at(100), at(0)).expect("kept");
        let all = u8::try_from(REFRESH_PER_USER_MAX).expect("a small number") + 1;
        for number in 0..all {
            keep_refresh(&database, &[number; 32], "a@b", at(100), at(0)).expect("kept");
        }
        let take = |number: u8| take_refresh(&database, &[number; 32], at(1)).expect("read");
        assert_eq!(take(0), None);
        assert!(take(1).is_some() && take(all - 1).is_some() && take(255).is_some());
    }
}
