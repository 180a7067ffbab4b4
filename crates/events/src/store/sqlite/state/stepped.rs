//! The table of what the relay steps over, on this engine; see [`stepped`](crate::store::stepped).

use rusqlite::Connection;

use crate::error::Error;
use crate::store::versions::TableSet;

pub(super) const TABLES: TableSet = TableSet {
    name: "outbox_stepped",
    steps: &["CREATE TABLE IF NOT EXISTS outbox_stepped (
        sequence INTEGER PRIMARY KEY, reason TEXT NOT NULL, since INTEGER NOT NULL,
        dead INTEGER NOT NULL) STRICT;"],
};

/// Forgets notes of rows that are gone, by their keys.
pub(super) fn prune(sql: &Connection, first: u64, until: u64) -> Result<(), Error> {
    let prune = "DELETE FROM outbox_stepped WHERE sequence BETWEEN ?1 AND ?2 AND dead = 0";
    sql.prepare_cached(prune)?.execute([first, until])?;
    Ok(())
}
