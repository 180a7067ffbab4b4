//! The local log's file: a table per topic, gapless offsets, a checksum chained from row to row.
//!
//! The engine's own checks find a broken page, not a record whose bytes changed inside a sound page
//! nor rows that vanished with the end of the write-ahead file. The chain finds the first at the
//! read that passes it; the marks that publishers and consumers keep find the second.

pub(super) mod chain;
mod scan;
mod tail;
mod writer;

use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};
use tokio::sync::{mpsc, oneshot, watch};

use super::plumbing::connection;
use super::plumbing::readers::Readers;
use super::plumbing::thread::Thread;
use crate::Clock;
use crate::broker::{Offset, Stored, Topic};
use crate::error::Error;
use crate::event::Event;
use chain::Chain;

#[cfg(test)]
pub(crate) use tail::SOURCES_MAX;
pub(crate) use writer::PUBLISH_QUEUE_MAX;

/// Topics one log holds.
pub(crate) const TOPICS_MAX: usize = 1000;

/// Bytes of records one read returns before it stops early.
pub(crate) const READ_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Rows of every topic whose chain is checked when the log is opened, counted from its end.
pub(crate) const TAIL_CHECKED: u64 = 10_000;

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS topic (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, created INTEGER NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS publisher (
        topic INTEGER NOT NULL, source TEXT NOT NULL, sequence INTEGER NOT NULL,
        PRIMARY KEY (topic, source)) STRICT, WITHOUT ROWID;";

/// The open file.
pub(crate) struct File {
    // Before the thread: it ends when nobody can send to it any more.
    queue: mpsc::Sender<writer::Input>,
    _thread: Thread,
    readers: Readers,
    topics: Arc<[Table]>,
}

/// One topic's table.
pub(crate) struct Table {
    pub(crate) topic: Topic,
    id: i64,
    end: watch::Sender<Offset>,
}

/// An event as it is stored, with what recognises a second copy.
pub(crate) struct Record {
    pub(crate) bytes: Vec<u8>,
    pub(crate) stamp: Option<(String, u64)>,
}

impl File {
    pub(crate) fn open(path: &Path, topics: &[Topic], clock: &Clock) -> Result<File, Error> {
        let writing = connection::open_writer(path, connection::APPENDED_PAGE_BYTES)?;
        let creating = writing.unchecked_transaction()?;
        creating.execute_batch(TABLES)?;
        let tables: Arc<[Table]> = tables(&creating, topics, clock)?.into();
        tables.iter().try_for_each(|table| tail::settle(&creating, table))?;
        creating.commit()?;
        for table in &*tables {
            table.check_tail(&writing);
        }
        let (queue, inputs) = mpsc::channel(PUBLISH_QUEUE_MAX);
        let writer = writer::Writer::new(writing, Arc::clone(&tables));
        Ok(File {
            queue,
            _thread: Thread::start("log", move || writer.run(inputs))?,
            readers: Readers::new(path.to_owned()),
            topics: tables,
        })
    }

    /// The topics, by name.
    pub(crate) fn topics(&self) -> &[Table] {
        &self.topics
    }

    /// Queues a batch; the answer comes after the sync.
    pub(crate) fn publish(
        &self,
        topic: &Topic,
        records: Vec<Record>,
    ) -> Result<oneshot::Receiver<Result<Offset, Error>>, Error> {
        let (reply, answer) = oneshot::channel();
        let table = self.index(topic)?;
        let publish = writer::Input::Publish(writer::Publish { table, records, reply });
        self.queue.try_send(publish).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => {
                Error::environment(format!("{PUBLISH_QUEUE_MAX} batches wait already"))
            }
            mpsc::error::TrySendError::Closed(_) => Error::Closed,
        })?;
        Ok(answer)
    }

    pub(crate) fn read(
        &self,
        topic: &Topic,
        after: Offset,
        limit: usize,
    ) -> Result<Vec<Stored>, Error> {
        let table = self.table(topic)?;
        self.readers.read(|sql| table.read(sql, after, limit)).map_err(|error| match error {
            // The engine met a broken page and cannot know whose it is.
            Error::Damaged { topic, what, .. } if topic.is_empty() => {
                table.damaged(after.0 + 1, after.0 + 1, what)
            }
            other => other,
        })
    }

    /// The record at a place, its checksum unlooked at.
    pub(crate) fn unverified(&self, topic: &Topic, at: Offset) -> Result<Option<Event>, Error> {
        let select = format!("SELECT record FROM t{} WHERE offset = ?1", self.table(topic)?.id);
        self.readers.read(|sql| {
            let mut select = sql.prepare(&select)?;
            let mut rows = select.query([at.0])?;
            let Some(row) = rows.next()? else { return Ok(None) };
            Ok(Event::from_json(row.get_ref(0)?.as_blob().unwrap_or_default()).ok())
        })
    }

    pub(crate) fn end(&self, topic: &Topic) -> Result<Offset, Error> {
        Ok(*self.table(topic)?.end.borrow())
    }

    pub(crate) fn watch(&self, topic: &Topic) -> Result<watch::Receiver<Offset>, Error> {
        Ok(self.table(topic)?.end.subscribe())
    }

    pub(crate) fn published(&self, topic: &Topic, source: &str) -> Result<u64, Error> {
        let table = self.table(topic)?;
        let select = "SELECT sequence FROM publisher WHERE topic = ?1 AND source = ?2";
        self.readers.read(|sql| {
            let mut select = sql.prepare_cached(select)?;
            let highest = select.query_row(params![table.id, source], |row| row.get(0));
            Ok(highest.optional()?.unwrap_or(0))
        })
    }

    /// Checks every row of one topic, page by page: how many are there, and what is hurt.
    pub(crate) fn check(&self, table: &Table) -> (u64, Vec<Error>) {
        let end = table.end.borrow().0;
        let mut scan = scan::Scan::new(table.chain(), 0);
        while scan.at() < end {
            let page = self.readers.read(|sql| table.scan(sql, &mut scan));
            if let Err(error) = page {
                scan.unreadable(end, &error);
            }
        }
        scan.finish(end, |from, to, what| table.damaged(from, to, what))
    }

    /// Finishes what is queued and stops the writer.
    pub(crate) async fn close(&self) {
        let (reply, closed) = oneshot::channel();
        if self.queue.send(writer::Input::Close(reply)).await.is_ok() {
            // An error means that the thread is gone already, which is what was asked for.
            let _ = closed.await;
        }
    }

    /// Runs `work` on the writer's own connection.
    #[cfg(test)]
    pub(crate) async fn on_writer(&self, work: impl FnOnce(&Connection) + Send + 'static) {
        let (reply, done) = oneshot::channel();
        let input = writer::Input::Test(Box::new(work), reply);
        assert!(self.queue.send(input).await.is_ok());
        done.await.unwrap();
    }

    fn index(&self, topic: &Topic) -> Result<usize, Error> {
        self.topics
            .binary_search_by(|table| table.topic.cmp(topic))
            .map_err(|_| Error::UnknownTopic)
    }

    fn table(&self, topic: &Topic) -> Result<&Table, Error> {
        Ok(&self.topics[self.index(topic)?])
    }
}

impl Table {
    fn chain(&self) -> Chain {
        Chain::of(&self.topic)
    }

    fn damaged(&self, from: u64, to: u64, what: String) -> Error {
        Error::Damaged { topic: self.topic.to_string(), from, to, what }
    }

    /// Sound events up to the first hurt one; the hurt one itself if it is the very next.
    fn read(&self, sql: &Connection, after: Offset, limit: usize) -> Result<Vec<Stored>, Error> {
        let Some(mut chain) = self.chain_at(sql, after.0)? else {
            return Err(self.damaged(after.0, after.0, "a row is missing".to_owned()));
        };
        let mut select = sql.prepare_cached(&self.select())?;
        let mut rows = select.query(params![after.0, limit])?;
        let (mut events, mut bytes, mut expected) = (Vec::new(), 0, after);
        while let Some(row) = rows.next()? {
            expected = expected.next();
            let record = row.get_ref(2)?.as_blob().unwrap_or_default();
            match self.sound(&mut chain, expected.0, row.get(0)?, row.get(1)?, record) {
                Ok(event) => events.push(Stored { offset: expected, event }),
                Err(error) if events.is_empty() => return Err(error),
                Err(_) => break,
            }
            bytes += record.len();
            if bytes >= READ_BYTES_MAX {
                break;
            }
        }
        Ok(events)
    }

    fn sound(
        &self,
        chain: &mut Chain,
        expected: u64,
        offset: u64,
        crc: u32,
        record: &[u8],
    ) -> Result<Event, Error> {
        if offset != expected {
            return Err(self.damaged(expected, offset - 1, "rows are missing".to_owned()));
        }
        if chain.link(offset, record) != crc {
            return Err(self.damaged(offset, offset, scan::CHECKSUM.to_owned()));
        }
        Event::from_json(record).map_err(|error| self.damaged(offset, offset, error.to_string()))
    }

    /// The chain as it stands after `offset`; `None` if that row is missing, and the beginning of
    /// what is missing with it. Past the end there is nothing to check, and nothing to read.
    fn chain_at(&self, sql: &Connection, offset: u64) -> Result<Option<Chain>, Error> {
        if offset == 0 || offset > self.end.borrow().0 {
            return Ok(Some(self.chain()));
        }
        let select = format!("SELECT crc FROM t{} WHERE offset = ?1", self.id);
        let mut select = sql.prepare_cached(&select)?;
        let crc = select.query_row([offset], |row| row.get(0)).optional()?;
        Ok(crc.map(Chain::resumed))
    }

    fn select(&self) -> String {
        format!(
            "SELECT offset, crc, record FROM t{} WHERE offset > ?1 ORDER BY offset LIMIT ?2",
            self.id
        )
    }

    /// One page of a check.
    fn scan(&self, sql: &Connection, scan: &mut scan::Scan) -> Result<(), Error> {
        let mut select = sql.prepare_cached(&self.select())?;
        let mut rows = select.query(params![scan.at(), scan::PAGE])?;
        let mut none = true;
        while let Some(row) = rows.next()? {
            none = false;
            scan.row(row.get(0)?, row.get(1)?, row.get_ref(2)?.as_blob().unwrap_or_default());
        }
        if none {
            scan.exhausted();
        }
        Ok(())
    }

    /// Says loudly what is hurt near the end; a log that is hurt still serves what is sound.
    fn check_tail(&self, sql: &Connection) {
        let end = self.end.borrow().0;
        let from = end.saturating_sub(TAIL_CHECKED);
        let chain = self.chain_at(sql, from).ok().flatten().unwrap_or(self.chain());
        let mut scan = scan::Scan::new(chain, from);
        while scan.at() < end {
            if let Err(error) = self.scan(sql, &mut scan) {
                scan.unreadable(end, &error);
            }
        }
        for error in scan.finish(end, |from, to, what| self.damaged(from, to, what)).1 {
            tracing::error!(%error, "the log is hurt");
        }
    }
}

/// The tables of the given topics and of those the file has already, by name.
fn tables(sql: &Connection, topics: &[Topic], clock: &Clock) -> Result<Vec<Table>, Error> {
    for topic in topics {
        let insert = "INSERT OR IGNORE INTO topic (name, created) VALUES (?1, ?2)";
        sql.execute(insert, params![topic.as_str(), clock().as_microsecond()])?;
    }
    let mut select = sql.prepare("SELECT id, name FROM topic ORDER BY name")?;
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))?;
    let rows: Vec<(i64, String)> = rows.collect::<Result<_, _>>()?;
    Error::check("topics", rows.len(), TOPICS_MAX)?;
    rows.into_iter().map(|(id, name)| table(sql, id, &name)).collect()
}

fn table(sql: &Connection, id: i64, name: &str) -> Result<Table, Error> {
    sql.execute_batch(&format!(
        "CREATE TABLE IF NOT EXISTS t{id} (
            offset INTEGER PRIMARY KEY, crc INTEGER NOT NULL, record BLOB NOT NULL) STRICT"
    ))?;
    let newest = format!("SELECT coalesce(max(offset), 0) FROM t{id}");
    let end = sql.query_row(&newest, [], |row| row.get(0))?;
    Ok(Table { topic: Topic::parse(name)?, id, end: watch::Sender::new(Offset(end)) })
}
