//! What is done to files that no writer has open: looking into them, whatever service made them.

use std::collections::BTreeSet;
use std::path::Path;

use rusqlite::Connection;

use super::connection;
use crate::Error;

/// The subscriptions whose places or parked events this file keeps.
///
/// # Errors
/// [`Error::Environment`]: cure the disk; [`Error::Damaged`]: the file is hurt or not a database.
pub fn subscriptions(path: &Path) -> Result<BTreeSet<String>, Error> {
    let sql = connection::open_reader(path)?;
    let mut names = BTreeSet::new();
    for table in ["inbox", "parked"] {
        if has_table(&sql, table)? {
            let select = format!("SELECT DISTINCT subscription FROM {table}");
            let mut select = sql.prepare(&select)?;
            let rows = select.query_map([], |row| row.get(0))?;
            names.extend(rows.collect::<Result<Vec<String>, _>>()?);
        }
    }
    Ok(names)
}

fn has_table(sql: &Connection, name: &str) -> Result<bool, Error> {
    let select = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1";
    Ok(sql.prepare(select)?.exists([name])?)
}
