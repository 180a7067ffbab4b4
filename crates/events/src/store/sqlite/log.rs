//! The local log's file: a table per partition of a topic, offsets without a gap but where a restore marked one, a
//! checksum chained from row to row, over such marks and over what was removed.
//!
//! The engine's own checks find a broken page, not a record whose bytes changed inside a sound page
//! nor rows that vanished with the end of the write-ahead file. The chain finds the first at the
//! read that passes it; the marks that publishers and consumers keep find the second.

mod chain;
mod jumps;
mod keeping;
mod kept;
mod offered;
mod oldest;
mod recent;
mod removed;
pub(super) mod rows;
mod scan;
mod stretches;
mod tail;
mod walk;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};
use tokio::sync::{mpsc, oneshot, watch};

use super::plumbing::connection;
use super::plumbing::numbering;
use super::plumbing::readers::Readers;
use super::plumbing::skipped;
use super::plumbing::thread::Thread;
use super::plumbing::versions;
use crate::Clock;
use crate::broker::{Offset, Stored};
use crate::error::Error;
use crate::event::Event;
use crate::offer::{Offer, Outcome};
use crate::partition::Partitions;
use crate::retention::Retention;
use crate::skipped::Skipped;
use crate::store::versions::TableSet;
use crate::topic::{Topic, TopicPartition};
use recent::{Look, Recent};
use rows::PartitionRows;

pub(crate) use rows::Topics;

#[cfg(test)]
pub(crate) use tail::SOURCES_MAX;
pub(crate) use writer::PUBLISH_QUEUE_MAX;

/// Topics one log holds, each partition counted.
pub(crate) const TOPICS_MAX: usize = 1000;

/// Bytes of records one read returns before it stops early.
pub(crate) const READ_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Rows of every topic whose chain is checked when the log is opened, counted from its end.
pub(crate) const TAIL_CHECKED: u64 = 10_000;

/// A `topic` here is one partition of one.
pub(super) const TABLES: TableSet = TableSet {
    name: "log",
    steps: &[
        "CREATE TABLE IF NOT EXISTS topic (
            id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, created INTEGER NOT NULL) STRICT;
        CREATE TABLE IF NOT EXISTS publisher (
            topic INTEGER NOT NULL, source TEXT NOT NULL, sequence INTEGER NOT NULL,
            PRIMARY KEY (topic, source)) STRICT, WITHOUT ROWID;",
        jumps::TABLES,
        "ALTER TABLE topic RENAME TO topic_of_one_partition;
        CREATE TABLE topic (
            id INTEGER PRIMARY KEY, name TEXT NOT NULL, partition INTEGER NOT NULL,
            created INTEGER NOT NULL, UNIQUE (name, partition)) STRICT;
        INSERT INTO topic SELECT id, name, 0, created FROM topic_of_one_partition;
        DROP TABLE topic_of_one_partition;",
        offered::TABLES,
        kept::TABLES,
    ],
};

/// The open file.
pub(crate) struct File {
    // Before the thread: it ends when nobody can send to it any more.
    queue: mpsc::Sender<writer::Input>,
    _thread: Thread,
    readers: Readers,
    partitions: Arc<[PartitionRows]>,
    recent: Arc<Recent>,
}

/// An event as it is stored, with what recognises a second copy.
pub(crate) struct Record {
    pub(crate) bytes: Vec<u8>,
    pub(crate) outbox: Option<OutboxSequence>,
}

/// Which of its publisher's events it is.
pub(crate) struct OutboxSequence {
    pub(crate) source: String,
    pub(crate) sequence: u64,
}

impl File {
    /// Opens or creates the file, brings its tables up to date, takes back what is noted of publishers past
    /// the newest rows, and looks at the newest rows of every partition.
    pub(crate) fn open(path: &Path, topics: Topics<'_>, clock: &Clock) -> Result<File, Error> {
        let writing = connection::open_writer(path, connection::APPENDED_PAGE_BYTES)?;
        versions::upgrade(&writing, &[&TABLES, &skipped::TABLES])?;
        let creating = writing.unchecked_transaction()?;
        creating.execute_batch(numbering::NUMBERING)?;
        let partitions: Arc<[PartitionRows]> = rows::all(&creating, topics, clock)?.into();
        partitions.iter().try_for_each(|rows| tail::settle(&creating, rows))?;
        creating.commit()?;
        for rows in &*partitions {
            rows.check_tail(&writing);
        }
        let (queue, inputs) = mpsc::channel(PUBLISH_QUEUE_MAX);
        let recent = Arc::<Recent>::default();
        let shared = writer::Shared { partitions: Arc::clone(&partitions), recent: recent.clone() };
        let writer = writer::Writer::new(writing, shared, clock.clone());
        Ok(File {
            queue,
            _thread: Thread::start("log", move || writer.run(inputs))?,
            readers: Readers::new(path.to_owned()),
            partitions,
            recent,
        })
    }

    /// Every partition of every topic, by name and number.
    pub(crate) fn partitions(&self) -> &[PartitionRows] {
        &self.partitions
    }

    /// Queues a batch; the answer comes after the sync.
    pub(crate) fn publish(
        &self,
        at: &TopicPartition,
        records: Vec<Record>,
    ) -> Result<oneshot::Receiver<Result<Offset, Error>>, Error> {
        let (reply, answer) = oneshot::channel();
        let partition = self.index(at)?;
        self.queue(writer::Input::Publish(writer::Publish { partition, records, reply }))?;
        Ok(answer)
    }

    /// Queues an offer; the answer comes after the sync.
    pub(crate) fn offer(
        &self,
        topic: &Topic,
        partitions: Partitions,
        offer: Offer,
    ) -> Result<oneshot::Receiver<Result<Outcome, Error>>, Error> {
        let (reply, answer) = oneshot::channel();
        let first = self.index(&topic.first())?;
        let offered = writer::TopicOffer { first, partitions, offer, reply };
        self.queue(writer::Input::Offer(offered))?;
        Ok(answer)
    }

    /// Hands something to the writer, who may have too much already.
    fn queue(&self, input: writer::Input) -> Result<(), Error> {
        self.queue.try_send(input).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => {
                Error::environment(format!("{PUBLISH_QUEUE_MAX} batches wait already"))
            }
            mpsc::error::TrySendError::Closed(_) => Error::Closed,
        })
    }

    pub(crate) fn read(
        &self,
        at: &TopicPartition,
        after: Offset,
        limit: usize,
    ) -> Result<Vec<Stored>, Error> {
        let rows = self.rows(at)?;
        let looked = match self.recent.look(rows.id, after.0, limit) {
            Look::Known(events) => return Ok(events),
            Look::Unknown(looked) => looked,
        };
        let page = self.readers.read(|sql| rows.read(sql, after, limit));
        let page = page.map_err(|error| match error {
            // The engine met a broken page and cannot know whose it is.
            Error::Damaged { topic, what, .. } if topic.is_empty() => {
                rows.damaged(after.0 + 1, after.0 + 1, what)
            }
            other => other,
        })?;
        // Nobody else will ask for what one alone follows.
        if rows.end.receiver_count() > 1 {
            self.recent.add(rows.id, after.0, page.clone(), looked);
        }
        Ok(page.events)
    }

    /// The record at a place, its checksum unlooked at.
    pub(crate) fn unverified(
        &self,
        of: &TopicPartition,
        at: Offset,
    ) -> Result<Option<Event>, Error> {
        let select = format!("SELECT record FROM t{} WHERE offset = ?1", self.rows(of)?.id);
        self.readers.read(|sql| {
            let mut select = sql.prepare(&select)?;
            let mut rows = select.query([at.0])?;
            let Some(row) = rows.next()? else { return Ok(None) };
            Ok(Event::from_json(row.get_ref(0)?.as_blob().unwrap_or_default()).ok())
        })
    }

    /// The newest offset of a partition; from memory, after the sync that it came with.
    pub(crate) fn end(&self, at: &TopicPartition) -> Result<Offset, Error> {
        Ok(*self.rows(at)?.end.borrow())
    }

    /// How many events there are after one place up to another; those are counted too that were removed in between.
    pub(crate) fn between(
        &self,
        at: &TopicPartition,
        before: Offset,
        last: Offset,
    ) -> Result<u64, Error> {
        let rows = self.rows(at)?;
        let before = before.0.max(rows.floor.load(Ordering::Acquire));
        Ok(rows.jumps.between(before, last.0))
    }

    /// What is kept of a partition, if it was ever told to keep less than everything.
    pub(crate) fn retained(&self, at: &TopicPartition) -> Option<Retention> {
        self.rows(at).ok()?.retained
    }

    /// Queues a slice of looking for what is not to be kept; the answer, whether more is left, comes after the sync.
    pub(crate) fn keep(
        &self,
        at: &TopicPartition,
    ) -> Result<oneshot::Receiver<Result<bool, Error>>, Error> {
        let (reply, answer) = oneshot::channel();
        let partition = self.index(at)?;
        self.queue(writer::Input::Keep(writer::Keep { partition, reply }))?;
        Ok(answer)
    }

    /// Follows that; wakes after each sync that raised it.
    pub(crate) fn watch(&self, at: &TopicPartition) -> Result<watch::Receiver<Offset>, Error> {
        Ok(self.rows(at)?.end.subscribe())
    }

    /// The highest number stored of this source in a partition; 0 if there is none.
    pub(crate) fn published(&self, at: &TopicPartition, source: &str) -> Result<u64, Error> {
        let rows = self.rows(at)?;
        let select = "SELECT sequence FROM publisher WHERE topic = ?1 AND source = ?2";
        self.readers.read(|sql| {
            let mut select = sql.prepare_cached(select)?;
            let highest = select.query_row(params![rows.id, source], |row| row.get(0));
            Ok(highest.optional()?.unwrap_or(0))
        })
    }

    /// Checks every row of one partition, page by page.
    pub(crate) fn check(&self, rows: &PartitionRows) -> scan::Condition {
        let end = rows.end.borrow().0;
        let mut scan = scan::Scan::new(&rows.jumps, rows.chain(), 0, rows.chain());
        while scan.at() < end {
            let page = self.readers.read(|sql| rows.scan(sql, &mut scan));
            if let Err(error) = page {
                scan.unreadable(end, &error);
            }
        }
        scan.finish(end, |from, to, what| rows.damaged(from, to, what))
    }

    /// Under which name readers from outside pass what is hurt in a topic.
    pub(crate) fn name(topic: &Topic) -> String {
        format!("log.{topic}")
    }

    /// Writes down what readers from outside pass from now on.
    pub(crate) async fn note(&self, note: Skipped) -> Result<(), Error> {
        let (reply, noted) = oneshot::channel();
        let input = writer::Input::Note(Box::new(note), reply);
        self.queue.send(input).await.map_err(|_| Error::Closed)?;
        noted.await.unwrap_or(Err(Error::Closed)).map(drop)
    }

    /// Up to where the stretch with this place in it is passed.
    pub(crate) fn passed(&self, of: &TopicPartition, at: Offset) -> Result<Option<Offset>, Error> {
        self.rows(of)?;
        let name = File::name(&of.topic);
        let passed = |sql: &_| skipped::passed(sql, &name, of.partition, at.0);
        self.readers.read(|sql| Ok(passed(sql)?.map(Offset)))
    }

    /// Everything that is passed, oldest first.
    pub(crate) fn skipped(&self) -> Result<Vec<Skipped>, Error> {
        self.readers.read(|sql| skipped::everything(sql))
    }

    /// The first stretch that is hurt and not passed, as a note that nobody has put his name to. Beyond
    /// as many stretches as a check names, a log needs a backup.
    pub(crate) fn first_hurt(&self, topic: &Topic) -> Result<Option<Skipped>, Error> {
        let of_topic = self.partitions.iter().filter(|rows| rows.at.topic == *topic);
        let mut of_topic = of_topic.peekable();
        of_topic.peek().ok_or(Error::UnknownTopic)?;
        for rows in of_topic {
            for damage in self.check(rows).damage {
                let Error::Damaged { from, to, what, .. } = damage else { continue };
                if self.passed(&rows.at, Offset(from))?.is_none() {
                    return Ok(Some(Skipped {
                        name: File::name(topic),
                        kind: "record".to_owned(),
                        partition: rows.at.partition,
                        first: from,
                        last: to,
                        event: None,
                        key: None,
                        reason: what,
                        at: Timestamp::UNIX_EPOCH,
                        by: String::new(),
                    }));
                }
            }
        }
        Ok(None)
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
    pub(crate) async fn on_writer(
        &self,
        work: impl FnOnce(&rusqlite::Connection) + Send + 'static,
    ) {
        let (reply, done) = oneshot::channel();
        let input = writer::Input::Test(Box::new(work), reply);
        assert!(self.queue.send(input).await.is_ok());
        done.await.unwrap();
    }

    /// Which of the partitions it is, if there is such a one.
    fn index(&self, at: &TopicPartition) -> Result<usize, Error> {
        self.partitions.binary_search_by(|rows| rows.at.cmp(at)).map_err(|_| Error::UnknownTopic)
    }

    fn rows(&self, at: &TopicPartition) -> Result<&PartitionRows, Error> {
        Ok(&self.partitions[self.index(at)?])
    }
}

#[cfg(test)]
mod tests {
    use std::slice;

    use tempfile::TempDir;

    use super::*;
    use crate::fixture::{clock, stamped, topic};
    use crate::store::tests::execute;

    /// A log of three events.
    async fn three(folder: &TempDir) -> File {
        let path = folder.path().join("log.db");
        let order = topic("order");
        let file = File::open(&path, Topics::Named(slice::from_ref(&order)), &clock()).unwrap();
        for number in 1..=3 {
            let bytes = stamped("order", "k", number).to_json();
            let record = Record { bytes, outbox: None };
            file.publish(&order.first(), vec![record]).unwrap().await.unwrap().unwrap();
        }
        file
    }

    #[tokio::test]
    async fn a_reader_who_is_before_the_end_in_memory_finds_no_damage() {
        let folder = TempDir::new().unwrap();
        let file = three(&folder).await;
        let at = topic("order").first();
        // A reader saw what was committed before the writer came to say so.
        for end in 0..=3 {
            file.rows(&at).unwrap().end.send_replace(Offset(end));
            for after in 0..=3 {
                let read = file.read(&at, Offset(after), 10).unwrap();
                let offsets: Vec<u64> = read.iter().map(|it| it.offset.0).collect();
                assert_eq!(offsets, (after + 1..=3).collect::<Vec<_>>(), "{end} {after}");
            }
        }
    }

    #[tokio::test]
    async fn what_several_follow_is_read_from_the_file_once_and_what_one_follows_each_time() {
        let folder = TempDir::new().unwrap();
        let file = three(&folder).await;
        let at = topic("order").first();
        let all = || file.read(&at, Offset::BEGINNING, 10).map(|read| read.len());
        // Nothing can be read from the file any more where its rows are gone.
        let take_away = "UPDATE t1 SET offset = offset + 100";
        let bring_back = "UPDATE t1 SET offset = offset - 100";
        let run = |sql| execute(&folder.path().join("log.db"), sql);
        let _one = file.watch(&at).unwrap();
        assert_eq!(all().unwrap(), 3);
        run(take_away);
        assert!(all().is_err(), "one who follows alone reads the file");
        run(bring_back);
        let _another = file.watch(&at).unwrap();
        assert_eq!(all().unwrap(), 3);
        run(take_away);
        assert_eq!(all().unwrap(), 3, "what another one read");
        run(bring_back);
    }

    #[tokio::test]
    async fn behind_every_offset_that_can_be_given_there_is_nothing() {
        let folder = TempDir::new().unwrap();
        let file = three(&folder).await;
        let at = topic("order").first();
        let engine = u64::try_from(i64::MAX).unwrap();
        for after in [4, engine - 1, engine, engine + 1, u64::MAX - 1, u64::MAX] {
            let read = file.read(&at, Offset(after), 10).unwrap();
            assert_eq!(read.len(), 0, "{after}");
            assert_eq!(file.between(&at, Offset(after), Offset(3)).unwrap(), 0, "{after}");
        }
    }
}
