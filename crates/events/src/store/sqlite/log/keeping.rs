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
use super::oldest::{Asked, Oldest};
use super::removed;
use super::rows::{self, PartitionRows};
use super::stretches::Stretch;
use crate::Clock;
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
    pub(super) clock: &'w Clock,
}

/// How far a partition is counted.
#[derive(Clone, Copy, Default)]
struct Counted {
    until: u64,
    bytes: u64,
}

/// What of a partition may go.
struct Bounds {
    /// The newest row, which stays.
    end: u64,
    /// Up to which place all has been there for as long as it is kept.
    expired: u64,
}

/// A row that is counted.
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
        // By itself: what fails here is nobody's who publishes.
        self.sql.prepare_cached("SAVEPOINT slice")?.execute([])?;
        let ran = self.keep();
        if ran.is_err() {
            self.sql.prepare_cached("ROLLBACK TO slice")?.execute([])?;
            self.raise_floor()?;
        }
        self.sql.prepare_cached("RELEASE slice")?.execute([])?;
        ran
    }

    fn keep(&self) -> Result<bool, Error> {
        let Some(retention) = self.rows.retained.filter(|it| !it.keeps_all()) else {
            return Ok(false);
        };
        let end = self.rows.newest(self.sql)?.offset;
        // Behind the look at the end: what comes later was not there yet.
        let now = (self.clock)();
        self.note(&retention, Seen { end, at: now })?;
        let mut counted = self.counted(end)?;
        let mut more = false;
        if retention.counts() {
            more = self.count(&retention, &mut counted)?;
        }
        if !more {
            let expired = self.expired(&retention, now)?;
            more = self.remove_oldest(&retention, Bounds { end, expired }, &mut counted)?;
        }
        let update = "UPDATE kept SET until = ?2, bytes = ?3 WHERE topic = ?1
            AND (until <> ?2 OR bytes <> ?3)";
        let row = params![self.rows.id, counted.until, counted.bytes];
        self.sql.prepare_cached(update)?.execute(row)?;
        Ok(more)
    }

    /// Notes where the partition ends now.
    fn note(&self, retention: &Retention, now: Seen) -> Result<(), Error> {
        let select = "SELECT offset, at FROM seen WHERE topic = ?1 ORDER BY offset DESC LIMIT 1";
        let last = self.sql.prepare_cached(select)?.query_row([self.rows.id], |row| {
            let at = Timestamp::from_microsecond(row.get(1)?).unwrap_or(Timestamp::MAX);
            Ok(Seen { end: row.get(0)?, at })
        });
        if now.end > 0 && retention.is_noted(last.optional()?, now) {
            let insert = "INSERT OR IGNORE INTO seen VALUES (?1, ?2, ?3)";
            let row = params![self.rows.id, now.end, now.at.as_microsecond()];
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
        // Counted by a file that lost its end and grew again, it may be another key's; and what is hurt is not to be
        // signed anew as what was removed.
        let is_its = Event::from_json(&record).is_ok_and(|event| event.key == key);
        if is_its && !self.rows.is_hurt(self.sql, before)? {
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
        Bounds { end, expired }: Bounds,
        counted: &mut Counted,
    ) -> Result<bool, Error> {
        let floor = self.rows.removed(self.sql).floor()?;
        let partitions = rows::count(self.sql, &self.rows.at.topic)?;
        let limit = retention.share(partitions).unwrap_or(u64::MAX);
        let is_indexed = retention.latest_per_key || offered::any(self.sql, self.rows)?;
        let bytes = counted.bytes;
        let goes = |offset, went| {
            offset < end && (offset <= expired || bytes.saturating_sub(went) > limit)
        };
        let asked =
            Asked { after: floor, counted: counted.until, with_records: is_indexed, rows: SLICE };
        let Oldest { last, bytes: went, events } = Oldest::find(self.sql, self.rows, &asked, goes)?;
        if is_indexed {
            events.iter().try_for_each(|it| self.forget(it.offset, &it.record))?;
        }
        counted.bytes = bytes.saturating_sub(went);
        if last > floor {
            counted.until = counted.until.max(last);
            self.remove(floor + 1, last)?;
            let noted = "DELETE FROM seen WHERE topic = ?1 AND offset <= ?2";
            self.sql.prepare_cached(noted)?.execute(params![self.rows.id, last])?;
        }
        // Where nothing can go because of what is hurt, there is nothing to do at once.
        Ok(last > floor)
    }

    /// Up to which place everything has been there for as long as it is kept.
    fn expired(&self, retention: &Retention, now: Timestamp) -> Result<u64, Error> {
        let Some(since) = retention.kept_since(now) else { return Ok(0) };
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
        self.raise_floor()
    }

    /// Says to readers of the lag up to where everything went.
    fn raise_floor(&self) -> Result<(), Error> {
        let floor = self.rows.removed(self.sql).floor()?;
        self.rows.floor.store(floor, Ordering::Release);
        Ok(())
    }
}
