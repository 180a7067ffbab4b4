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
///
/// Answers are numbered by those that are there and not by the engine's count, which a restore raises for
/// what outsiders have seen: nobody sees these numbers, and behind a gap all that was remembered before
/// would be too old.
pub(crate) fn remember(
    connection: &Connection,
    once: &Once,
    answer: &Remembered,
) -> Result<(), Error> {
    let Identity { principal, route, key } = &once.identity;
    let insert = "INSERT INTO remembered
        (number, principal, route, key, fingerprint, location, position, body, etag)
        SELECT coalesce(max(number), 0) + 1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8 FROM remembered";
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

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Connection {
        let connection = Connection::open_in_memory().expect("memory");
        connection.execute_batch(TABLE).expect("the table");
        connection.execute_batch(WITH_ETAG).expect("its other column");
        connection
    }

    fn once(key: &str) -> Once {
        let (principal, key) = ("c1".to_owned(), key.to_owned());
        Once { identity: Identity { principal, route: "/orders", key }, fingerprint: [1; 32] }
    }

    fn keep(connection: &Connection, key: &str) {
        let [location, position, etag, body] = ["/orders/1", "p", "\"e\"", "{}"].map(str::to_owned);
        let answer = Remembered { fingerprint: [1; 32], location, position, etag, body };
        remember(connection, &once(key), &answer).expect("remembered");
    }

    fn is_known(connection: &Connection, key: &str) -> bool {
        recall(connection, &once(key).identity).expect("read").is_some()
    }

    #[test]
    fn what_was_remembered_before_a_restore_is_remembered_after_it() {
        let table = table();
        keep(&table, "before");
        let jump = "UPDATE sqlite_sequence SET seq = seq + 1000000 WHERE name = 'remembered'";
        assert_eq!(table.execute(jump, []).expect("raised"), 1);
        for key in ["after", "later"] {
            keep(&table, key);
            assert!(is_known(&table, key) && is_known(&table, "before"), "{key}");
        }
    }

    #[test]
    fn the_oldest_answer_is_forgotten_past_the_limit_and_not_at_it() {
        let table = table();
        keep(&table, "oldest");
        // As if there had been all but one of those that fit.
        let skip = "UPDATE remembered SET number = ?1 WHERE key = 'next'";
        keep(&table, "next");
        table.execute(skip, [REMEMBERED_MAX - 1]).expect("moved");
        keep(&table, "last");
        assert!(is_known(&table, "oldest"), "at the limit");
        keep(&table, "one more");
        assert!(!is_known(&table, "oldest"), "past it");
        assert!(["next", "last", "one more"].iter().all(|key| is_known(&table, key)));
    }
}
