//! What an operator stepped over: written down in the transaction that steps, and never taken back.
//!
//! An event that was skipped has had no effect here, and whoever audits later must be able to find
//! which one, why, when and on whose word. There is no way to delete a note, and none to skip without
//! one: at [`SKIPPED_MAX`](crate::skipped::SKIPPED_MAX) skipping ends.

use rusqlite::{Connection, params};

use super::statements;
use crate::error::Error;
use crate::partition::Partition;
use crate::skipped::Skipped;
use crate::store::notes::{self, Note};
use crate::store::rows::Row;
use crate::store::versions::TableSet;

pub(in crate::store::sqlite) const TABLES: TableSet = TableSet {
    name: "skipped",
    steps: &[
        "CREATE TABLE IF NOT EXISTS skipped (
            number INTEGER PRIMARY KEY, name TEXT NOT NULL, kind TEXT NOT NULL,
            first INTEGER NOT NULL, last INTEGER NOT NULL, event TEXT, key TEXT,
            reason TEXT NOT NULL, at INTEGER NOT NULL, by TEXT NOT NULL) STRICT;",
        "ALTER TABLE skipped ADD COLUMN partition INTEGER NOT NULL DEFAULT 0;",
    ],
};

/// Writes one down in a file that has no service's transactions.
pub(in crate::store::sqlite) fn note(connection: &Connection, one: &Skipped) -> Result<(), Error> {
    notes::check_room(connection.query_row(notes::COUNT, [], |row| row.get(0))?)?;
    statements::execute(connection, notes::INSERT, &Note::of(one).values()).map(drop)
}

/// Every note, oldest first. Of a file that an earlier program wrote and nobody opened since, too.
pub(in crate::store::sqlite) fn everything(sql: &Connection) -> Result<Vec<Skipped>, Error> {
    let known = "SELECT 1 FROM pragma_table_info('skipped') WHERE name = 'partition'";
    let partition = if sql.prepare(known)?.exists([])? { "partition" } else { "0" };
    let select = format!(
        "SELECT name, kind, first, last, event, key, reason, at, by, {partition} FROM skipped
        ORDER BY number"
    );
    let mut all = Vec::new();
    let push = |row: statements::Row<'_>| {
        all.push(notes::skipped(&Row::embedded(row))?);
        Ok::<_, Error>(())
    };
    statements::each(sql, &select, &[], push)?;
    Ok(all)
}

/// Up to where the stretch with this place in it was stepped over under this name.
pub(in crate::store::sqlite) fn passed(
    sql: &Connection,
    name: &str,
    partition: Partition,
    at: u64,
) -> Result<Option<u64>, Error> {
    let select = "SELECT max(last) FROM skipped WHERE name = ?1 AND first <= ?2 AND last >= ?2
        AND partition = ?3";
    Ok(sql
        .prepare_cached(select)?
        .query_row(params![name, at, partition.index()], |row| row.get(0))?)
}
