//! What an operator stepped over: written down in the transaction that steps, and never taken back.
//!
//! An event that was skipped has had no effect here, and whoever audits later must be able to find
//! which one, why, when and on whose word. There is no way to delete a note, and none to skip without
//! one: at [`SKIPPED_MAX`] skipping ends.

use jiff::Timestamp;
use rusqlite::{Connection, params};

use crate::error::Error;
use crate::parking;
use crate::partition::Partition;
use crate::store::sqlite::plumbing::versions::Tables;

pub use crate::skipped::Skipped;
pub(crate) use crate::skipped::moment;

/// Notes one database keeps; past it nothing more is skipped: a store that is hurt so often needs a
/// backup and not another note.
pub const SKIPPED_MAX: u64 = 10_000;

/// Characters of the name of whoever asked that are kept.
pub const BY_CHARS_MAX: usize = 200;

pub(super) const TABLES: Tables = Tables {
    name: "skipped",
    steps: &[
        "CREATE TABLE IF NOT EXISTS skipped (
            number INTEGER PRIMARY KEY, name TEXT NOT NULL, kind TEXT NOT NULL,
            first INTEGER NOT NULL, last INTEGER NOT NULL, event TEXT, key TEXT,
            reason TEXT NOT NULL, at INTEGER NOT NULL, by TEXT NOT NULL) STRICT;",
        "ALTER TABLE skipped ADD COLUMN partition INTEGER NOT NULL DEFAULT 0;",
    ],
};

/// Writes one down.
pub(crate) fn note(sql: &Connection, one: &Skipped) -> Result<(), Error> {
    let notes: u64 = sql.query_row("SELECT count(*) FROM skipped", [], |row| row.get(0))?;
    if notes >= SKIPPED_MAX {
        return Err(Error::Limit { field: "skipped", value: notes + 1, limit: SKIPPED_MAX });
    }
    let insert =
        "INSERT INTO skipped (name, kind, first, last, event, key, reason, at, by, partition)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    let by: String = one.by.chars().take(BY_CHARS_MAX).collect();
    let reason = parking::shortened(&one.reason);
    sql.execute(
        insert,
        params![
            one.name,
            one.kind,
            one.first,
            one.last,
            one.event,
            one.key,
            reason,
            one.at.as_microsecond(),
            by,
            one.partition.index(),
        ],
    )?;
    Ok(())
}

/// Every note of this name, oldest first.
pub(crate) fn all(sql: &Connection, name: &str) -> Result<Vec<Skipped>, Error> {
    Ok(everything(sql)?.into_iter().filter(|one| one.name == name).collect())
}

/// Every note, oldest first. Of a file that an earlier program wrote and nobody opened since, too.
pub(crate) fn everything(sql: &Connection) -> Result<Vec<Skipped>, Error> {
    let known = "SELECT 1 FROM pragma_table_info('skipped') WHERE name = 'partition'";
    let partition = if sql.prepare(known)?.exists([])? { "partition" } else { "0" };
    let select = format!(
        "SELECT name, kind, first, last, event, key, reason, at, by, {partition} FROM skipped
        ORDER BY number"
    );
    let mut select = sql.prepare_cached(&select)?;
    let rows = select.query_map([], |row| {
        Ok(Skipped {
            name: row.get(0)?,
            kind: row.get(1)?,
            partition: Partition::new(row.get(9)?).unwrap_or_default(),
            first: row.get(2)?,
            last: row.get(3)?,
            event: row.get(4)?,
            key: row.get(5)?,
            reason: row.get(6)?,
            at: Timestamp::from_microsecond(row.get(7)?).unwrap_or(Timestamp::UNIX_EPOCH),
            by: row.get(8)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Up to where the stretch with this place in it was stepped over under this name.
pub(super) fn passed(
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
