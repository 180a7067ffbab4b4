//! What partitions are told to keep, as the file notes it, and what is noted to tell what goes.
//!
//! `kept` has a row for each partition that was ever told to keep less than everything, with how far its rows are counted and their
//! bytes; `seen` the ends of it over time, `newest_of_key` where the newest event of each key is.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};

use crate::error::Error;
use crate::retention::Retention;

pub(super) const TABLES: &str = "CREATE TABLE kept (
        topic INTEGER PRIMARY KEY, for_ms INTEGER, bytes_max INTEGER, latest INTEGER NOT NULL,
        until INTEGER NOT NULL, bytes INTEGER NOT NULL) STRICT;
    CREATE TABLE seen (
        topic INTEGER NOT NULL, offset INTEGER NOT NULL, at INTEGER NOT NULL,
        PRIMARY KEY (topic, offset)) STRICT, WITHOUT ROWID;
    CREATE TABLE newest_of_key (
        topic INTEGER NOT NULL, key TEXT NOT NULL, offset INTEGER NOT NULL,
        PRIMARY KEY (topic, key)) STRICT, WITHOUT ROWID;";

/// Writes down what is kept of a partition; nothing is noted of one that always kept everything.
pub(super) fn declare(sql: &Connection, topic: i64, retention: &Retention) -> Result<(), Error> {
    let Retention { keep_for, bytes, latest_per_key } = retention;
    let keep_for = keep_for.map(|it| u64::try_from(it.as_millis()).unwrap_or(u64::MAX));
    let fits = |value: Option<u64>| value.map(|it| i64::try_from(it).unwrap_or(i64::MAX));
    let row = params![topic, fits(keep_for), fits(*bytes), latest_per_key];
    if !latest_per_key {
        sql.execute("DELETE FROM newest_of_key WHERE topic = ?1", [topic])?;
    }
    if retention.keeps_all() {
        let update = "UPDATE kept SET for_ms = ?2, bytes_max = ?3, latest = ?4 WHERE topic = ?1";
        sql.execute(update, row)?;
        return Ok(());
    }
    // Keys are counted from the beginning where they were not until now.
    let upsert = "INSERT INTO kept VALUES (?1, ?2, ?3, ?4, 0, 0) ON CONFLICT DO UPDATE SET
        for_ms = ?2, bytes_max = ?3, until = iif(?4 > latest, 0, until),
        bytes = iif(?4 > latest, 0, bytes), latest = ?4";
    sql.execute(upsert, row)?;
    Ok(())
}

/// What is kept of a partition, if it was ever told to keep less than everything.
pub(super) fn declared(sql: &Connection, topic: i64) -> Result<Option<Retention>, Error> {
    let select = "SELECT for_ms, bytes_max, latest FROM kept WHERE topic = ?1";
    let declared = sql.query_row(select, [topic], |row| {
        let keep_for: Option<u64> = row.get(0)?;
        Ok(Retention {
            keep_for: keep_for.map(Duration::from_millis),
            bytes: row.get(1)?,
            latest_per_key: row.get(2)?,
        })
    });
    Ok(declared.optional()?)
}
