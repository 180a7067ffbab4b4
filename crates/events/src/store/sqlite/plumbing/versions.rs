//! The versions of our tables in a file, and the steps that it takes; see [`versions`](crate::store::versions).
//!
//! A file belongs to its service, which counts its own migrations in `user_version`; ours stand beside
//! them. A file from before there were versions has none noted: the first step of every set says
//! `IF NOT EXISTS`, and makes what such a file already has.

use rusqlite::{Connection, OptionalExtension, params};

use crate::error::Error;
use crate::store::versions::TableSet;

const VERSIONS: &str = "CREATE TABLE IF NOT EXISTS yeoul_version (
    tables TEXT PRIMARY KEY, version INTEGER NOT NULL) STRICT, WITHOUT ROWID;";

/// Brings each of these sets to its present shape, all in one transaction.
///
/// # Errors
/// [`Error::Newer`]: the file is of a newer program. Otherwise nothing was changed.
pub(in crate::store::sqlite) fn upgrade(
    connection: &Connection,
    all: &[&TableSet],
) -> Result<(), Error> {
    let transaction = connection.unchecked_transaction()?;
    upgrade_within(&transaction, all)?;
    transaction.commit()?;
    Ok(())
}

/// The same, in a transaction that is open.
pub(in crate::store::sqlite) fn upgrade_within(
    transaction: &Connection,
    all: &[&TableSet],
) -> Result<(), Error> {
    transaction.execute_batch(VERSIONS)?;
    all.iter().try_for_each(|tables| step_up(transaction, tables))
}

/// Takes the steps that a set lacks, in order, and notes its version.
fn step_up(connection: &Connection, tables: &TableSet) -> Result<(), Error> {
    let TableSet { name, steps } = tables;
    let select = "SELECT version FROM yeoul_version WHERE tables = ?1";
    let noted = connection.query_row(select, [name], |row| row.get(0)).optional()?;
    let lacking = tables.lacking(noted.unwrap_or(0))?;
    if lacking.is_empty() {
        return Ok(());
    }
    lacking.iter().try_for_each(|step| connection.execute_batch(step))?;
    let note = "INSERT OR REPLACE INTO yeoul_version VALUES (?1, ?2)";
    connection.execute(note, params![name, steps.len()])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "CREATE TABLE IF NOT EXISTS item (name TEXT) STRICT";
    const SECOND: &str = "ALTER TABLE item ADD COLUMN count INTEGER NOT NULL DEFAULT 1";
    const OLD: TableSet = TableSet { name: "item", steps: &[FIRST] };
    const NEW: TableSet = TableSet { name: "item", steps: &[FIRST, SECOND] };

    fn counts(sql: &Connection) -> Vec<i64> {
        let mut select = sql.prepare("SELECT count FROM item").unwrap();
        let rows = select.query_map([], |row| row.get(0)).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn a_file_from_before_there_were_versions_takes_every_step_and_keeps_its_rows() {
        let sql = Connection::open_in_memory().unwrap();
        sql.execute_batch("CREATE TABLE item (name TEXT) STRICT; INSERT INTO item VALUES ('old')")
            .unwrap();
        upgrade(&sql, &[&NEW]).unwrap();
        assert_eq!(counts(&sql), [1]);
        upgrade(&sql, &[&NEW]).unwrap();
        assert_eq!(counts(&sql), [1], "no step is taken twice");
    }

    #[test]
    fn a_file_of_the_version_before_takes_the_steps_that_it_lacks() {
        let sql = Connection::open_in_memory().unwrap();
        upgrade(&sql, &[&OLD]).unwrap();
        sql.execute_batch("INSERT INTO item VALUES ('old')").unwrap();
        upgrade(&sql, &[&NEW]).unwrap();
        assert_eq!(counts(&sql), [1]);
    }

    #[test]
    fn a_file_of_a_newer_program_is_refused() {
        let sql = Connection::open_in_memory().unwrap();
        upgrade(&sql, &[&NEW]).unwrap();
        let refused = upgrade(&sql, &[&OLD]).unwrap_err();
        assert!(refused.to_string().contains("newer program"), "{refused}");
    }

    #[test]
    fn a_step_that_fails_leaves_the_file_as_it_was() {
        const WRONG: TableSet = TableSet { name: "item", steps: &[FIRST, SECOND, "no statement"] };
        let sql = Connection::open_in_memory().unwrap();
        upgrade(&sql, &[&OLD]).unwrap();
        assert!(upgrade(&sql, &[&WRONG]).is_err());
        upgrade(&sql, &[&NEW]).unwrap();
        assert_eq!(counts(&sql), [0_i64; 0]);
    }
}
