//! Users as a table, and the schema of all of account.

pub(in crate::account) mod families;
pub(in crate::account) mod known;

use events::Error;
use events::store::COUNTED;
use rusqlite::{Connection, OptionalExtension, params};

use crate::account::user::User;
use crate::role::Role;

/// The schema, one migration after the other.
pub(in crate::account) const SCHEMA: &[&str] = &[
    "CREATE TABLE user (
        username TEXT PRIMARY KEY, phc TEXT NOT NULL, nickname TEXT NOT NULL,
        address TEXT NOT NULL, role TEXT NOT NULL, sequence INTEGER NOT NULL) STRICT;
     CREATE TABLE refresh (
        number INTEGER PRIMARY KEY AUTOINCREMENT, hash BLOB NOT NULL UNIQUE,
        username TEXT NOT NULL, expires INTEGER NOT NULL) STRICT;
     CREATE INDEX refresh_by_user ON refresh (username, number);
     CREATE INDEX refresh_by_end ON refresh (expires);
     CREATE TABLE seeded (one INTEGER PRIMARY KEY CHECK (one = 1)) STRICT;",
    families::SCHEMA,
    sessions::TABLE,
    known::SCHEMA,
    COUNTED,
    "INSERT INTO counted VALUES ('user', 'sequence', 0)",
];

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
            role: Role::parse(&name).ok_or(rusqlite::Error::InvalidQuery)?,
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

/// Claims the writing of the seeds: `true` once in the life of the file.
pub(in crate::account) fn claim_seeding(connection: &Connection) -> Result<bool, Error> {
    Ok(connection.execute("INSERT OR IGNORE INTO seeded VALUES (1)", [])? == 1)
}
