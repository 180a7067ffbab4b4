//! Remembered answers as a table of the service that gave them.

use events::Error;
use rusqlite::{Connection, OptionalExtension, params};

use crate::idempotency::{Identity, Once, REMEMBERED_MAX, Remembered};

/// The table, for the schema of each service that remembers.
pub(crate) const TABLE: &str = "
    CREATE TABLE remembered (
        number INTEGER PRIMARY KEY AUTOINCREMENT, principal TEXT NOT NULL, route TEXT NOT NULL,
        key TEXT NOT NULL, fingerprint BLOB NOT NULL, location TEXT NOT NULL,
        position TEXT NOT NULL, body TEXT NOT NULL, UNIQUE (principal, route, key)) STRICT;";

/// What an older table lacks.
pub(crate) const WITH_ETAG: &str =
    "ALTER TABLE remembered ADD COLUMN etag TEXT NOT NULL DEFAULT '';";

/// What was answered under this key.
pub(crate) fn recall(
    connection: &Connection,
    identity: &Identity,
) -> Result<Option<Remembered>, Error> {
    let select = "SELECT fingerprint, location, position, body, etag FROM remembered
        WHERE principal = ?1 AND route = ?2 AND key = ?3";
    let key = params![identity.principal, identity.route, identity.key];
    let row = connection.prepare_cached(select)?.query_row(key, |row| {
        Ok(Remembered {
            fingerprint: row.get(0)?,
            location: row.get(1)?,
            position: row.get(2)?,
            body: row.get(3)?,
            etag: row.get(4)?,
        })
    });
    Ok(row.optional()?)
}

/// Remembers an answer, and forgets the one that is too many.
pub(crate) fn remember(
    connection: &Connection,
    once: &Once,
    answer: &Remembered,
) -> Result<(), Error> {
    let Identity { principal, route, key } = &once.identity;
    let insert = "INSERT INTO remembered
        (principal, route, key, fingerprint, location, position, body, etag)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    connection.prepare_cached(insert)?.execute(params![
        principal,
        route,
        key,
        answer.fingerprint,
        answer.location,
        answer.position,
        answer.body,
        answer.etag,
    ])?;
    let oldest = connection.last_insert_rowid() - REMEMBERED_MAX as i64;
    connection.prepare_cached("DELETE FROM remembered WHERE number <= ?1")?.execute([oldest])?;
    Ok(())
}
