//! The rows of one partition of a topic: read in order, each checked against the chain; scanned whole; created.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::{Connection, OptionalExtension, params};
use tokio::sync::watch;

use super::chain::{Chain, Newest};
use super::jumps::{self, Jumps};
use super::kept;
use super::recent::Page;
use super::removed;
use super::stretches::Stretches;
use super::walk::{Begun, COLUMNS, Damage, Step, StoredRow, Walk};
use super::{READ_BYTES_MAX, TABLES, TAIL_CHECKED, TOPICS_MAX, scan};
use crate::Clock;
use crate::broker::{Offset, Stored};
use crate::error::Error;
use crate::event::Event;
use crate::partition::{Partition, Partitions};
use crate::retention::Retention;
use crate::store::sqlite::plumbing::{numbering, versions};
use crate::topic::{Declared, Topic, TopicPartition};

/// The rows of one partition of a topic.
pub(crate) struct PartitionRows {
    pub(crate) at: TopicPartition,
    pub(super) id: i64,
    pub(super) end: watch::Sender<Offset>,
    pub(super) jumps: Jumps,
    /// What is kept of it, if that is not everything.
    pub(super) retained: Option<Retention>,
    /// Up to which place everything was removed; raised with the transaction that did.
    pub(super) floor: AtomicU64,
}

impl PartitionRows {
    /// The chain before the first row: it hangs on the topic's name.
    pub(super) fn chain(&self) -> Chain {
        Chain::of(&self.at)
    }

    /// What was removed of it.
    pub(super) fn removed<'s>(&self, sql: &'s Connection) -> Stretches<'s> {
        Stretches { sql, table: self.id, seed: self.chain() }
    }

    /// Reads again up to where everything was removed, after what was raised with a transaction that never was.
    pub(super) fn read_floor(&self, sql: &Connection) {
        // Else the lag is told as too small until something is removed again.
        if let Ok(floor) = self.removed(sql).floor() {
            self.floor.store(floor, Ordering::Release);
        }
    }

    /// Damage of this topic, from one offset to another.
    pub(super) fn damaged(&self, from: u64, to: u64, what: String) -> Error {
        Error::Damaged { topic: self.at.to_string(), from, to, what }
    }

    /// Sound events up to the first hurt one; the hurt one itself if it is the very next.
    pub(super) fn read(
        &self,
        sql: &Connection,
        after: Offset,
        limit: usize,
    ) -> Result<Page, Error> {
        let mut page = Page::default();
        // No row can be behind what the engine counts to.
        if i64::try_from(after.0).is_err() {
            return Ok(page);
        }
        // A place that was left out is one of a moment that is gone: all after the jump is new to it.
        let last = self.jumps.given(after.0);
        let chain = self.chain_at(sql, last)?;
        if chain.is_none() {
            self.check_is_there(sql, last)?;
        }
        let Begun { mut walk, .. } = Walk::from(&self.jumps, self.chain(), last, chain);
        let mut select = sql.prepare_cached(&self.select())?;
        // No two stretches that were removed are beside each other: so many rows have that many events.
        let mut rows = select.query(params![last, 2 * limit + 1])?;
        while page.events.len() < limit
            && page.bytes < READ_BYTES_MAX
            && let Some(row) = rows.next()?
        {
            let row = StoredRow::read(row)?;
            match self.sound(sql, &mut walk, &row) {
                Ok(None) => {}
                Ok(Some(event)) => {
                    page.events.push(Stored { offset: Offset(row.offset), event });
                }
                Err(error) if page.events.is_empty() => return Err(error),
                Err(_) => break,
            }
            page.bytes += row.record.len();
        }
        Ok(page)
    }

    /// Whoever read up to a place that was removed since may have missed what was behind it, unless of every key the
    /// latest is kept.
    fn check_is_there(&self, sql: &Connection, place: u64) -> Result<(), Error> {
        let over = self.removed(sql).over(place)?.filter(|over| over.first <= 1);
        let Some(over) = over.filter(|_| !self.retained.is_some_and(|it| it.latest_per_key)) else {
            return Ok(());
        };
        let what = format!("it has what is after {}, up to {}", over.last, self.end.borrow().0);
        Err(Error::Gone { topic: self.at.to_string(), place, what })
    }

    /// The event of the row that comes next, none if it was removed, or what is hurt there.
    fn sound(
        &self,
        sql: &Connection,
        walk: &mut Walk<'_>,
        row: &StoredRow<'_>,
    ) -> Result<Option<Event>, Error> {
        let before = walk.at();
        let Step { gap, row: of_row, .. } = walk.step(row);
        if let Some(Damage { from, to, what }) = gap {
            return Err(self.damaged(from, to, what.to_owned()));
        }
        if let Some(Damage { from, to, what }) = of_row
            // A reader who begins behind a damage looks at what is before it only where it has to.
            && !(row.stands_alone(self.chain()) && self.is_hurt(sql, before)?)
        {
            return Err(self.damaged(from, to, what.to_owned()));
        }
        if row.removed_from().is_some() {
            return Ok(None);
        }
        let decoded = Event::from_json(row.record).map(Some);
        decoded.map_err(|error| self.damaged(row.offset, row.offset, error.to_string()))
    }

    /// Whether the row of this offset is missing, or not what was written.
    pub(super) fn is_hurt(&self, sql: &Connection, offset: u64) -> Result<bool, Error> {
        if offset == 0 {
            return Ok(false);
        }
        let select = format!("SELECT {COLUMNS} FROM t{} WHERE offset = ?1", self.id);
        let mut select = sql.prepare(&select)?;
        let mut rows = select.query([offset])?;
        let Some(row) = rows.next()? else { return Ok(true) };
        let row = StoredRow::read(row)?;
        let before = self.jumps.back(offset, 1);
        let chain = self.chain_at(sql, before)?;
        let Begun { mut walk, .. } = Walk::from(&self.jumps, self.chain(), before, chain);
        Ok(walk.step(&row).row.is_some())
    }

    /// The chain as it is stored behind `offset`; `None` if that row is missing. The file decides that, not
    /// what is in memory of the end: readers see what was committed a moment before it is raised.
    pub(super) fn chain_at(&self, sql: &Connection, offset: u64) -> Result<Option<Chain>, Error> {
        if offset == 0 {
            return Ok(Some(self.chain()));
        }
        let select = format!("SELECT crc FROM t{} WHERE offset = ?1", self.id);
        let mut select = sql.prepare_cached(&select)?;
        let crc = select.query_row([offset], |row| row.get(0)).optional()?;
        Ok(crc.map(Chain::resumed))
    }

    /// How a row is appended.
    pub(super) fn insert(&self) -> String {
        format!("INSERT INTO t{} (offset, crc, record, own) VALUES (?1, ?2, ?3, ?4)", self.id)
    }

    /// The record at a place, if one is there and was not removed.
    pub(super) fn record(&self, sql: &Connection, place: u64) -> Result<Option<Vec<u8>>, Error> {
        let select = format!("SELECT record FROM t{} WHERE offset = ?1", self.id);
        let record = sql.prepare_cached(&select)?.query_row([place], |row| row.get(0));
        Ok(record.optional()?.filter(|record: &Vec<u8>| removed::first(record).is_none()))
    }

    /// How rows after a place are read, at most so many.
    pub(super) fn select(&self) -> String {
        format!("SELECT {COLUMNS} FROM t{} WHERE offset > ?1 ORDER BY offset LIMIT ?2", self.id)
    }

    /// One page of a check.
    pub(super) fn scan(&self, sql: &Connection, scan: &mut scan::Scan<'_>) -> Result<(), Error> {
        let mut select = sql.prepare_cached(&self.select())?;
        let mut rows = select.query(params![scan.at(), scan::PAGE])?;
        let mut none = true;
        while let Some(row) = rows.next()? {
            none = false;
            scan.row(&StoredRow::read(row)?);
        }
        if none {
            scan.exhausted();
        }
        Ok(())
    }

    /// Says loudly what is hurt near the end; a log that is hurt still serves what is sound.
    pub(super) fn check_tail(&self, sql: &Connection) {
        let end = self.end.borrow().0;
        // What was removed there has no row to begin at: the stretch it is in ends with one.
        let from = self.jumps.back(end, TAIL_CHECKED);
        let over = self.removed(sql).over(from).ok().flatten();
        let from = over.map_or(from, |over| over.last);
        let chain = self.chain_at(sql, from).ok().flatten().unwrap_or(self.chain());
        let mut scan = scan::Scan::new(&self.jumps, self.chain(), from, chain);
        while scan.at() < end {
            if let Err(error) = self.scan(sql, &mut scan) {
                scan.unreadable(end, &error);
            }
        }
        for error in scan.finish(end, |from, to, what| self.damaged(from, to, what)).damage {
            tracing::error!(%error, "the log is hurt");
        }
    }

    /// The newest offset, 0 before the first, and the chain as that row has it.
    pub(super) fn newest(&self, sql: &Connection) -> Result<Newest, Error> {
        let newest = format!("SELECT offset, crc FROM t{} ORDER BY offset DESC LIMIT 1", self.id);
        let newest = sql.query_row(&newest, [], |row| {
            Ok(Newest { offset: row.get(0)?, chain: Chain::resumed(row.get(1)?) })
        });
        Ok(newest.optional()?.unwrap_or(Newest { offset: 0, chain: self.chain() }))
    }
}

/// Leaves out the next `by` offsets of every topic, and of those to come.
pub(in crate::store::sqlite) fn leave_out(sql: &Connection, by: u64) -> Result<(), Error> {
    versions::upgrade_within(sql, &[&TABLES])?;
    for rows in known(sql)? {
        jumps::leave_out(sql, rows.id, rows.newest(sql)?, by)?;
    }
    numbering::leave_out(sql, by)
}

/// The topics that a log is opened for; what else the file has stays as it is.
#[derive(Clone, Copy)]
pub(crate) enum Topics<'t> {
    /// These exactly: one that has another number of partitions is an error. Of each is kept what is said, of those of
    /// which nothing is said everything.
    Declared { all: &'t [Declared], retained: &'t BTreeMap<Topic, Retention> },
    /// Those of these names that the file has, however many partitions they have; else they have one.
    Named(&'t [Topic]),
}

/// Writes down what is kept of each topic.
pub(super) fn retain(sql: &Connection, retained: &BTreeMap<Topic, Retention>) -> Result<(), Error> {
    let mut select = sql.prepare("SELECT id, name FROM topic")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let topic = Topic::parse(&row.get::<_, String>(1)?)?;
        let retention = retained.get(&topic).copied().unwrap_or_default();
        kept::declare(sql, row.get(0)?, &retention)?;
    }
    Ok(())
}

/// The rows of the given topics and of those the file has already, by name.
pub(super) fn all(
    sql: &Connection,
    topics: Topics<'_>,
    clock: &Clock,
) -> Result<Vec<PartitionRows>, Error> {
    match topics {
        Topics::Declared { all, retained } => {
            all.iter().try_for_each(|it| declare(sql, it, clock))?;
            retain(sql, retained)?;
        }
        Topics::Named(all) => {
            for topic in all {
                let has = count(sql, topic)?.max(1);
                let declared = Declared { topic: topic.clone(), partitions: Partitions::new(has)? };
                declare(sql, &declared, clock)?;
            }
        }
    }
    known(sql)
}

/// Makes a topic that is not there; one that is must have as many partitions.
fn declare(sql: &Connection, declared: &Declared, clock: &Clock) -> Result<(), Error> {
    let Declared { topic, partitions } = declared;
    let (has, asked) = (count(sql, topic)?, partitions.count());
    if has == asked {
        return Ok(());
    }
    if has > 0 {
        return Err(Error::Partitions { topic: topic.to_string(), has, asked });
    }
    add(sql, topic, *partitions, clock().as_microsecond())
}

/// Makes those of a topic's partitions that are not there.
fn add(sql: &Connection, topic: &Topic, all: Partitions, now: i64) -> Result<(), Error> {
    let base = numbering::base(sql)?;
    for partition in all.each() {
        let insert = "INSERT OR IGNORE INTO topic (name, partition, created) VALUES (?1, ?2, ?3)";
        let row = params![topic.as_str(), partition.index(), now];
        let is_new = sql.execute(insert, row)? > 0;
        if is_new && base > 0 {
            // It may have been there once, after the moment that was restored.
            let nothing = Newest { offset: 0, chain: Chain::of(&topic.at(partition)) };
            jumps::leave_out(sql, sql.last_insert_rowid(), nothing, base)?;
        }
    }
    Ok(())
}

/// How many partitions of a topic there are.
pub(in crate::store::sqlite) fn count(sql: &Connection, topic: &Topic) -> Result<u16, Error> {
    let select = "SELECT count(*) FROM topic WHERE name = ?1";
    Ok(sql.query_row(select, [topic.as_str()], |row| row.get(0))?)
}

/// Gives a topic that nobody reads or publishes to more partitions.
pub(in crate::store::sqlite) fn grow(
    sql: &Connection,
    topic: &Topic,
    to: Partitions,
    now: i64,
) -> Result<(), Error> {
    versions::upgrade_within(sql, &[&TABLES])?;
    let (has, asked) = (count(sql, topic)?, to.count());
    match has {
        0 => Err(Error::UnknownTopic),
        has if has > asked => Err(Error::Partitions { topic: topic.to_string(), has, asked }),
        _ => add(sql, topic, to, now),
    }
}

/// Every partition that the file has, by topic and number.
fn known(sql: &Connection) -> Result<Vec<PartitionRows>, Error> {
    let mut select =
        sql.prepare("SELECT id, name, partition FROM topic ORDER BY name, partition")?;
    let mut rows = select.query([])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        Error::check("topics", all.len() + 1, TOPICS_MAX)?;
        let (topic, partition) = (Topic::parse(&row.get::<_, String>(1)?)?, row.get(2)?);
        let partition = Partition::new(partition).ok_or(Error::UnknownTopic)?;
        all.push(open(sql, row.get(0)?, topic.at(partition))?);
    }
    Ok(all)
}

/// A partition's rows; their table is made where it is not.
fn open(sql: &Connection, id: i64, at: TopicPartition) -> Result<PartitionRows, Error> {
    sql.execute_batch(&format!(
        "CREATE TABLE IF NOT EXISTS t{id} (
            offset INTEGER PRIMARY KEY, crc INTEGER NOT NULL, record BLOB NOT NULL, own INTEGER)
            STRICT"
    ))?;
    let columns = format!("SELECT 1 FROM pragma_table_info('t{id}') WHERE name = 'own'");
    if !sql.prepare(&columns)?.exists([])? {
        // Of an older program: what it wrote has no checksum of its own.
        sql.execute_batch(&format!("ALTER TABLE t{id} ADD COLUMN own INTEGER"))?;
    }
    let newest = format!("SELECT coalesce(max(offset), 0) FROM t{id}");
    let end = sql.query_row(&newest, [], |row| row.get(0))?;
    Ok(PartitionRows {
        id,
        end: watch::Sender::new(Offset(end)),
        jumps: Jumps::load(sql, id)?,
        retained: kept::declared(sql, id)?,
        floor: AtomicU64::new(Stretches { sql, table: id, seed: Chain::of(&at) }.floor()?),
        at,
    })
}
