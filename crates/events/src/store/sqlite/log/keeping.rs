//! Removing what a topic is not told to keep, a slice at a time, in the writer's own transactions.
//!
//! Publishing pays nothing for it: an event is stored as ever, and what follows is done between publishes by whoever asks
//! ([`Log::remove_expired`](crate::Log::remove_expired)), at most [`SLICE`] rows in a transaction, so that a
//! publisher waits for one slice and not for a topic. A slice, for one partition:
//!
//! 1. *The end is noted* with the time, if the topic keeps its events for a time ([`Retention::is_noted`]).
//! 2. *Rows that came since* are counted: their bytes, and of each key which is the newest. An older one of that key is removed.
//! 3. *The oldest are removed*, once all rows are counted: those that came too long ago, and as many as are over the limit.
//!    The newest row of a partition always stays.
//!
//! What it knows is kept in the file and is no more than a hint: an event is removed as an older one of its key only if
//! its record says that key, and a file that lost its end is counted anew.

use std::sync::atomic::Ordering;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::offered;
use super::removed;
use super::rows::{self, PartitionRows};
use super::stretches::Stretch;
use crate::error::Error;
use crate::event::Event;
use crate::retention::{Retention, Seen};

/// Rows that one transaction looks at, or removes, of a partition.
pub(crate) const SLICE: usize = 1_000;

/// Bytes of them after which a slice ends early.
const SLICE_BYTES: u64 = 4 * 1024 * 1024;

/// One slice of a partition.
pub(super) struct Slice<'w> {
    pub(super) sql: &'w Connection,
    pub(super) rows: &'w PartitionRows,
    pub(super) now: Timestamp,
}

/// How far a partition is counted.
#[derive(Clone, Copy, Default)]
struct Counted {
    until: u64,
    bytes: u64,
}

/// A row that may have to go.
struct Candidate {
    offset: u64,
    size: u64,
    /// It stands for what went already.
    is_removed: bool,
    /// Only where it is asked for: of most topics the bytes are enough.
    record: Vec<u8>,
}

impl Slice<'_> {
    /// Whether more is left to do at once.
    ///
    /// # Errors
    /// The environment's; rows may have been changed.
    pub(super) fn run(&self) -> Result<bool, Error> {
        let Some(retention) = self.rows.retained.filter(|it| !it.keeps_all()) else {
            return Ok(false);
        };
        let end = self.rows.newest(self.sql)?.offset;
        self.note(&retention, end)?;
        let mut counted = self.counted(end)?;
        let mut more = false;
        if retention.counts() {
            more = self.count(&retention, &mut counted)?;
        }
        if !more {
            more = self.remove_oldest(&retention, end, &mut counted)?;
        }
        let update = "UPDATE kept SET until = ?2, bytes = ?3 WHERE topic = ?1
            AND (until <> ?2 OR bytes <> ?3)";
        let row = params![self.rows.id, counted.until, counted.bytes];
        self.sql.prepare_cached(update)?.execute(row)?;
        Ok(more)
    }

    /// Notes where the partition ends now.
    fn note(&self, retention: &Retention, end: u64) -> Result<(), Error> {
        let select = "SELECT offset, at FROM seen WHERE topic = ?1 ORDER BY offset DESC LIMIT 1";
        let last = self.sql.prepare_cached(select)?.query_row([self.rows.id], |row| {
            let at = Timestamp::from_microsecond(row.get(1)?).unwrap_or(Timestamp::MAX);
            Ok(Seen { end: row.get(0)?, at })
        });
        let now = Seen { end, at: self.now };
        if end > 0 && retention.is_noted(last.optional()?, now) {
            let insert = "INSERT OR IGNORE INTO seen VALUES (?1, ?2, ?3)";
            let row = params![self.rows.id, end, self.now.as_microsecond()];
            self.sql.prepare_cached(insert)?.execute(row)?;
        }
        Ok(())
    }

    /// How far it is counted; from the beginning where the file lost what was.
    fn counted(&self, end: u64) -> Result<Counted, Error> {
        let select = "SELECT until, bytes FROM kept WHERE topic = ?1";
        let counted = self.sql.prepare_cached(select)?.query_row([self.rows.id], |row| {
            Ok(Counted { until: row.get(0)?, bytes: row.get(1)? })
        });
        let counted = counted.optional()?.unwrap_or_default();
        if counted.until <= end {
            return Ok(counted);
        }
        for table in ["newest_of_key", "seen"] {
            let beyond = format!("DELETE FROM {table} WHERE topic = ?1 AND offset > ?2");
            self.sql.execute(&beyond, params![self.rows.id, end])?;
        }
        Ok(Counted::default())
    }

    /// Counts rows that came since; whether there are more.
    fn count(&self, retention: &Retention, counted: &mut Counted) -> Result<bool, Error> {
        let (mut seen, mut bytes) = (0, 0);
        for row in self.after(counted.until, retention.latest_per_key)? {
            let Candidate { offset, size, is_removed, record } = row;
            (counted.until, seen, bytes) = (offset, seen + 1, bytes + size);
            if is_removed {
                continue;
            }
            counted.bytes += size;
            if retention.latest_per_key {
                self.replace(offset, &record, counted)?;
            }
        }
        Ok(seen >= SLICE || bytes >= SLICE_BYTES)
    }

    /// Notes the newest event of a key, and removes the one before it. What is hurt has no key, and stays.
    fn replace(&self, offset: u64, record: &[u8], counted: &mut Counted) -> Result<(), Error> {
        let Ok(Event { key, .. }) = Event::from_json(record) else { return Ok(()) };
        let select = "SELECT offset FROM newest_of_key WHERE topic = ?1 AND key = ?2";
        let before: Option<u64> = self
            .sql
            .prepare_cached(select)?
            .query_row(params![self.rows.id, key], |row| row.get(0))
            .optional()?;
        let upsert = "INSERT OR REPLACE INTO newest_of_key VALUES (?1, ?2, ?3)";
        self.sql.prepare_cached(upsert)?.execute(params![self.rows.id, key, offset])?;
        let Some(before) = before.filter(|before| *before < offset) else { return Ok(()) };
        let Some(record) = self.rows.record(self.sql, before)? else { return Ok(()) };
        // Counted by a file that lost its end and grew again, it may be another key's.
        if Event::from_json(&record).is_ok_and(|event| event.key == key) {
            self.forget(before, &record)?;
            self.remove(before, before)?;
            counted.bytes = counted.bytes.saturating_sub(record.len() as u64);
        }
        Ok(())
    }

    /// Removes the oldest rows that are not to be kept; whether there are more.
    fn remove_oldest(
        &self,
        retention: &Retention,
        end: u64,
        counted: &mut Counted,
    ) -> Result<bool, Error> {
        let floor = self.rows.removed(self.sql).floor()?;
        let expired = self.expired(retention)?;
        let partitions = rows::count(self.sql, &self.rows.at.topic)?;
        let limit = retention.share(partitions).unwrap_or(u64::MAX);
        let goes =
            |it: &Candidate, bytes| it.offset < end && (it.offset <= expired || bytes > limit);
        let (mut last, mut seen) = (floor, 0);
        let is_indexed = retention.latest_per_key || offered::any(self.sql, self.rows)?;
        for row in self.after(floor, is_indexed)? {
            if !goes(&row, counted.bytes) {
                seen = 0;
                break;
            }
            (last, seen) = (row.offset, seen + 1);
            if !row.is_removed {
                if is_indexed {
                    self.forget(row.offset, &row.record)?;
                }
                let size = if row.offset <= counted.until { row.size } else { 0 };
                counted.bytes = counted.bytes.saturating_sub(size);
            }
        }
        if last > floor {
            counted.until = counted.until.max(last);
            self.remove(floor + 1, last)?;
            let noted = "DELETE FROM seen WHERE topic = ?1 AND offset <= ?2";
            self.sql.prepare_cached(noted)?.execute(params![self.rows.id, last])?;
        }
        Ok(seen > 0)
    }

    /// Up to which place everything has been there for as long as it is kept.
    fn expired(&self, retention: &Retention) -> Result<u64, Error> {
        let Some(since) = retention.kept_since(self.now) else { return Ok(0) };
        let select = "SELECT coalesce(max(offset), 0) FROM seen WHERE topic = ?1 AND at <= ?2";
        let row = params![self.rows.id, since.as_microsecond()];
        Ok(self.sql.prepare_cached(select)?.query_row(row, |row| row.get(0))?)
    }

    /// The next rows after a place, a slice of them.
    fn after(&self, place: u64, with_records: bool) -> Result<Vec<Candidate>, Error> {
        let select = format!(
            "SELECT offset, record FROM t{} WHERE offset > ?1 ORDER BY offset",
            self.rows.id
        );
        let mut select = self.sql.prepare_cached(&select)?;
        let mut rows = select.query([place])?;
        let (mut slice, mut bytes) = (Vec::new(), 0);
        while slice.len() < SLICE
            && bytes < SLICE_BYTES
            && let Some(row) = rows.next()?
        {
            // What is no blob any more is hurt, and has no bytes that count.
            let record = row.get_ref(1)?.as_blob().unwrap_or_default();
            let (size, is_removed) = (record.len() as u64, removed::first(record).is_some());
            let record = if with_records { record.to_vec() } else { Vec::new() };
            bytes += size;
            slice.push(Candidate { offset: row.get(0)?, size, is_removed, record });
        }
        Ok(slice)
    }

    /// Takes an event that goes out of the indexes by which publishers from outside find it.
    fn forget(&self, offset: u64, record: &[u8]) -> Result<(), Error> {
        offered::forget(self.sql, self.rows, offset, record)?;
        let newest = "DELETE FROM newest_of_key WHERE topic = ?1 AND key = ?2 AND offset = ?3";
        if let Ok(event) = Event::from_json(record)
            && self.rows.retained.is_some_and(|it| it.latest_per_key)
        {
            let row = params![self.rows.id, event.key, offset];
            self.sql.prepare_cached(newest)?.execute(row)?;
        }
        Ok(())
    }

    /// Has one row stand for everything from `first` to the row at `last`, and for stretches on either side that meet it: a
    /// topic that keeps the latest of each key has no more of them than keys.
    fn remove(&self, first: u64, last: u64) -> Result<(), Error> {
        let (sql, rows) = (self.sql, self.rows);
        let crc = format!("SELECT crc FROM t{} WHERE offset = ?1", rows.id);
        let crc = sql.prepare_cached(&crc)?.query_row([last], |row| row.get(0))?;
        let mut stretch = Stretch { first, last, crc };
        if let Some(before) = rows.removed(sql).before(first)?
            && rows.jumps.after(before.last) >= first
        {
            stretch.first = before.first;
        }
        if let Some(behind) = rows.removed(sql).behind(last)?
            && behind.first <= rows.jumps.after(last)
        {
            (stretch.last, stretch.crc) = (behind.last, behind.crc);
        }
        let Stretch { first, last, crc } = stretch;
        let delete = format!("DELETE FROM t{} WHERE offset BETWEEN ?1 AND ?2", rows.id);
        sql.prepare_cached(&delete)?.execute([first, last])?;
        let own = removed::own(rows.chain(), first, last, crc);
        let row = params![last, crc, &first.to_be_bytes()[..], own];
        sql.prepare_cached(&rows.insert())?.execute(row)?;
        let floor = rows.removed(sql).floor()?;
        rows.floor.store(floor, Ordering::Release);
        Ok(())
    }
}
