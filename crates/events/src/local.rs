//! The log beside the program: every topic in one file, an acknowledgement means "on disk".
//!
//! Publishers of all topics share one sync; what came while it ran goes with the next one. The
//! file, its chain of checksums and its thread are the engine's (`store::log`); this module
//! turns events into records and keeps the promises of [`Broker`].
//!
//! A publish, from the call to the answer:
//!
//! 1. *Records.* Every event becomes its JSON, every limit is checked; what is refused here has touched
//!    nothing.
//! 2. *The queue* of the file's writer, bounded. A full one is environment trouble: nothing was done.
//! 3. *A group*: whatever came while the last sync ran. Second copies are recognised by number; each new
//!    record gets the next offset and a checksum that hangs on the one before.
//! 4. *One sync* for all of them. Only now are the topic's followers woken and the publishers answered.
//!
//! What hurts a file is met where it is met, and never served as if it were sound:
//!
//! | damage | found | then |
//! |---|---|---|
//! | bytes of a record changed, or a row moved | at the read that passes it | [`Error::Damaged`] with its offsets; sound ones before it are served first |
//! | rows are missing in between | at the read that passes them | the same |
//! | the newest rows vanished | when the file is opened, by what publishers were noted to have | they are asked of the outboxes again |
//! | the newest rows vanished, and were read | by the subscription that read them | it reads from the beginning |
//! | the file is no log | when it is opened | [`Error::Damaged`]; restore a backup |
//!
//! It does not remember consumers, and nothing is ever removed from it.

#[cfg(test)]
mod limits;
#[cfg(test)]
mod tests;

use std::path::Path;

use tokio::sync::watch;

use crate::Clock;
use crate::broker::{Broker, Offset, PUBLISH_MAX, Pending, READ_MAX, Stored, Topic};
use crate::error::Error;
use crate::event::Event;
use crate::event::{EVENT_BYTES_MAX, KEY_BYTES_MAX};
use crate::store::log::{File, Record, Stamp};

/// Bytes the events of one batch may have together, in their JSON form.
pub const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Durable topics in one file, `log.db`, for one process: offsets are given from memory. Share it as an
/// `Arc`.
///
/// Publishing blocks nobody: batches are queued for the file's writer, and all that came while a sync
/// ran share the next one, so that sixty-four publishers cost little more than one. A full queue is
/// [`Error::Environment`].
///
/// ```
/// # use std::sync::Arc;
/// use yeoul_events::{Broker, Clock, Error, Log, Offset, Topic};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Error> {
/// # let folder = tempfile::tempdir().expect("a folder");
/// # let folder = folder.path();
/// # let clock: Clock = Arc::new(|| jiff::Timestamp::UNIX_EPOCH);
/// let topics = [Topic::parse("order")?, Topic::parse("product")?];
/// let log = Log::open(folder, &topics, clock)?;
/// assert_eq!(log.end(&topics[0])?, Offset::BEGINNING);
///
/// let report = log.check();
/// assert_eq!((report.events, report.damage.len()), (0, 0));
///
/// // Synced anyway; this only spares the next start a look at the write-ahead file.
/// log.close().await;
/// # Ok(())
/// # }
/// ```
pub struct Log {
    file: File,
}

/// What a full check found. Events that are hurt are not among the sound ones; each stretch is one
/// entry, so that a hole of a million rows is one line.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Events that are sound.
    pub events: u64,
    /// Every stretch that is hurt, each an [`Error::Damaged`] with topic and offsets.
    pub damage: Vec<Error>,
}

impl Log {
    /// Opens or creates `log.db` in `folder` with at least `topics`; those the file has already
    /// stay. Checks the newest events of every topic and logs what is hurt. Blocks for the disk.
    ///
    /// # Errors
    /// [`Error::Environment`]: cure the disk and open again. [`Error::Damaged`]: the file is no log.
    /// [`Error::Limit`]: too many topics.
    #[expect(clippy::needless_pass_by_value, reason = "components are handed over")]
    pub fn open(folder: &Path, topics: &[Topic], clock: Clock) -> Result<Log, Error> {
        File::open(&folder.join("log.db"), topics, &clock).map(|file| Log { file })
    }

    /// Reads everything and checks every checksum.
    pub fn check(&self) -> Report {
        let mut report = Report::default();
        for rows in self.file.topics() {
            let (events, damage) = self.file.check(rows);
            report.events += events;
            report.damage.extend(damage);
        }
        report
    }

    /// Finishes what is queued, folds the write-ahead file in and stops the writer. What is published
    /// later is [`Error::Closed`].
    pub async fn close(&self) {
        self.file.close().await;
    }
}

impl Broker for Log {
    fn publish<'a>(&'a self, topic: &'a Topic, batch: Vec<Event>) -> Pending<'a, Offset> {
        Box::pin(async move {
            let answer = self.file.publish(topic, records(&batch)?)?;
            answer.await.unwrap_or(Err(Error::Closed))
        })
    }

    fn read<'a>(
        &'a self,
        topic: &'a Topic,
        after: Offset,
        limit: usize,
    ) -> Pending<'a, Vec<Stored>> {
        Box::pin(async move {
            Error::check("limit", limit, READ_MAX)?;
            self.file.read(topic, after, limit)
        })
    }

    fn unverified(&self, topic: &Topic, at: Offset) -> Option<Event> {
        self.file.unverified(topic, at).ok().flatten()
    }

    fn end(&self, topic: &Topic) -> Result<Offset, Error> {
        self.file.end(topic)
    }

    fn between(&self, topic: &Topic, before: Offset, last: Offset) -> Result<u64, Error> {
        self.file.between(topic, before, last)
    }

    fn watch(&self, topic: &Topic) -> Result<watch::Receiver<Offset>, Error> {
        self.file.watch(topic)
    }

    fn published<'a>(&'a self, topic: &'a Topic, source: &'a str) -> Pending<'a, u64> {
        Box::pin(async move { self.file.published(topic, source) })
    }

    fn topics(&self) -> Vec<Topic> {
        self.file.topics().iter().map(|rows| rows.topic.clone()).collect()
    }

    fn promise(&self) -> String {
        "an acknowledged event is on this machine's disk: one file, synced before the answer, \
         a chained checksum on every event"
            .to_owned()
    }
}

/// The batch as it will be stored, every limit checked.
fn records(batch: &[Event]) -> Result<Vec<Record>, Error> {
    Error::check("events", batch.len(), PUBLISH_MAX)?;
    let mut records = Vec::with_capacity(batch.len());
    let mut total = 0;
    for event in batch {
        Error::check("partitionkey", event.key.len(), KEY_BYTES_MAX)?;
        let bytes = event.to_json();
        Error::check("event", bytes.len(), EVENT_BYTES_MAX)?;
        total += bytes.len();
        Error::check("batch", total, BATCH_BYTES_MAX)?;
        let source = || event.source.clone();
        let stamp = event.outbox_sequence.map(|sequence| Stamp { source: source(), sequence });
        records.push(Record { bytes, stamp });
    }
    Ok(records)
}
