//! The log beside the program: every topic in one file, an acknowledgement means "on disk".
//!
//! Publishers of all topics share one sync; what came while it ran goes with the next one. The
//! file, its chain of checksums and its thread are the engine's (`store::log`); this module
//! turns events into records and keeps the promises of [`Broker`], and more than those: second copies are
//! recognised by number, those of publishers without one by source and id ([`Log::offer`]), a batch is stored whole or not at all, places are counted without a gap but a
//! restore's, and nothing is removed but what a topic is told not to keep ([`Retention`], and
//! [`contract::log_suite`](crate::contract::log_suite) for one that keeps all).
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
//! | a place was removed | at the read that begins there | [`Error::Gone`]: events behind it may be missed |
//!
//! It does not remember consumers: what a topic is told to keep it keeps for all, and no longer for one that is slow.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;

use tokio::sync::watch;

use crate::Clock;
use crate::broker::{Broker, Offset, PUBLISH_MAX, Pending, READ_MAX, Stored};
use crate::error::Error;
use crate::event::EVENT_BYTES_MAX;
use crate::event::Event;
use crate::offer::{BATCH_BYTES_MAX, Offer, Outcome};
use crate::partition::{Partition, Partitions};
use crate::retention::Retention;
use crate::skipped::{Skipped, moment};
use crate::store::log::{File, OutboxSequence, Record, Topics};
use crate::topic::{Declared, Topic, TopicPartition};

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
/// assert_eq!(log.end(&topics[0].first()).await?, Offset::BEGINNING);
///
/// let findings = log.check();
/// assert_eq!((findings.events, findings.damage.len()), (0, 0));
///
/// // Synced anyway; this only spares the next start a look at the write-ahead file.
/// log.close().await;
/// # Ok(())
/// # }
/// ```
pub struct Log {
    file: File,
    clock: Clock,
}

/// What a full check found. Events that are hurt are not among the sound ones; each stretch is one
/// entry, so that a hole of a million rows is one line.
///
/// ```
/// use yeoul_events::Error;
/// use yeoul_events::local::Findings;
///
/// /// What an operator reads: nothing to do, or which offsets of what to look up where they were published.
/// fn report(findings: &Findings) -> Vec<String> {
///     let line = |error: &Error| match error {
///         Error::Damaged { topic, from, to, what } => format!("{topic} {from} to {to}: {what}"),
///         other => other.to_string(),
///     };
///     findings.damage.iter().map(line).collect()
/// }
/// # let hurt = Error::Damaged { topic: "order".into(), from: 7, to: 9, what: "missing".into() };
/// # let findings = Findings { events: 12, damage: vec![hurt] };
/// # assert_eq!(report(&findings), ["order 7 to 9: missing"]);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// Events that are sound.
    pub events: u64,
    /// Every stretch that is hurt, each an [`Error::Damaged`] with topic and offsets.
    pub damage: Vec<Error>,
}

impl Log {
    /// Opens or creates `log.db` in `folder` with at least `topics`; those the file has already
    /// stay, with the partitions they have, and new ones have one. Checks the newest events of every topic
    /// and logs what is hurt. Blocks for the disk.
    ///
    /// # Errors
    /// [`Error::Environment`]: cure the disk and open again. [`Error::Damaged`]: the file is no log.
    /// [`Error::Limit`]: too many topics.
    pub fn open(folder: &Path, topics: &[Topic], clock: Clock) -> Result<Log, Error> {
        Log::open_for(folder, Topics::Named(topics), clock)
    }

    /// The same with so many partitions for each topic.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// use yeoul_events::{Broker, Clock, Declared, Error, Log, Partitions, Topic};
    ///
    /// # fn main() -> Result<(), Error> {
    /// # let folder = tempfile::tempdir().expect("a folder");
    /// # let folder = folder.path();
    /// # let clock: Clock = Arc::new(|| jiff::Timestamp::UNIX_EPOCH);
    /// let topic = Topic::parse("order")?;
    /// let four = Declared { topic: topic.clone(), partitions: Partitions::new(4)? };
    /// let log = Log::open_declared(folder, std::slice::from_ref(&four), clock.clone())?;
    /// assert_eq!(log.partitions(&topic)?.count(), 4);
    /// # drop(log);
    ///
    /// // What a topic was made with it keeps: another number is never taken in silence.
    /// let two = Declared { partitions: Partitions::new(2)?, ..four };
    /// let refused = Log::open_declared(folder, &[two], clock).err();
    /// assert!(matches!(refused, Some(Error::Partitions { has: 4, asked: 2, .. })));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As for [`Log::open`]; and [`Error::Partitions`]: the file has another number for one of them. Events
    /// of a key would change their partition and overtake each other, so that is an operator's decision.
    pub fn open_declared(folder: &Path, topics: &[Declared], clock: Clock) -> Result<Log, Error> {
        Log::open_retaining(folder, topics, &BTreeMap::new(), clock)
    }

    /// The same with topics that do not keep everything; what is not to be kept goes by
    /// [`remove_expired`](Log::remove_expired).
    ///
    /// ```
    /// # use std::collections::BTreeMap;
    /// # use std::sync::Arc;
    /// # use std::time::Duration;
    /// use yeoul_events::{Broker, Clock, Declared, Error, Log, Partitions, Retention, Topic};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let folder = tempfile::tempdir().expect("a folder");
    /// # let folder = folder.path();
    /// # let clock: Clock = Arc::new(|| jiff::Timestamp::UNIX_EPOCH);
    /// let topic = Topic::parse("reading")?;
    /// let week = Duration::from_secs(7 * 24 * 60 * 60);
    /// let retention = Retention { keep_for: Some(week), ..Retention::default() };
    /// let declared = [Declared { topic: topic.clone(), partitions: Partitions::ONE }];
    /// let retained = BTreeMap::from([(topic.clone(), retention)]);
    /// let log = Log::open_retaining(folder, &declared, &retained, clock)?;
    /// assert!(!log.keeps_all(&topic.first()));
    ///
    /// // Now and then, and again at once as long as something is left to do.
    /// while log.remove_expired().await? {}
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As for [`Log::open_declared`].
    pub fn open_retaining(
        folder: &Path,
        topics: &[Declared],
        retained: &BTreeMap<Topic, Retention>,
        clock: Clock,
    ) -> Result<Log, Error> {
        Log::open_for(folder, Topics::Declared { all: topics, retained }, clock)
    }

    fn open_for(folder: &Path, topics: Topics<'_>, clock: Clock) -> Result<Log, Error> {
        File::open(&folder.join("log.db"), topics, &clock).map(|file| Log { file, clock })
    }

    /// Reads everything and checks every checksum. It blocks for as long as the disk needs to read the whole file, a
    /// page at a time, so that publishing goes on beside it; what is published meanwhile is not looked at.
    pub fn check(&self) -> Findings {
        let mut findings = Findings::default();
        for rows in self.file.partitions() {
            let condition = self.file.check(rows);
            findings.events += condition.sound;
            findings.damage.extend(condition.damage);
        }
        findings
    }

    /// Stores an offer whole, or nothing of it: each event once for as long as the topic keeps it, whichever partition
    /// its first copy is in. Answered after the sync, that of a second copy too.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// use yeoul_events::offer::Outcome;
    /// use yeoul_events::{Clock, Error, Event, Log, Offer, Topic};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let folder = tempfile::tempdir().expect("a folder");
    /// # let clock: Clock = Arc::new(|| jiff::Timestamp::UNIX_EPOCH);
    /// let topic = Topic::parse("reading")?;
    /// let log = Log::open(folder.path(), std::slice::from_ref(&topic), clock)?;
    /// let reading = Event::from_json(
    ///     br#"{"specversion":"1.0", "id":"1", "source":"/sensor/7", "type":"Measured",
    ///     "time":"2024-05-01T12:00:00Z", "data":21.5}"#,
    /// )?;
    /// let offer = || Offer::new(std::slice::from_ref(&reading)).expect("within its limits");
    /// for _ in 0..2 {
    ///     let Outcome::Stored(places) = log.offer(&topic, offer()).await? else { panic!("no condition") };
    ///     assert_eq!(places[0].number, 1, "the first copy's, however often");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Environment`]: nothing is acknowledged; ask again, it is stored once. [`Error::UnknownTopic`];
    /// [`Error::Limit`]: more events of the condition's key came than are looked at. [`Error::Gone`]: whether the
    /// condition is true cannot be told any more, because events behind its place were removed; name a later one.
    pub async fn offer(&self, topic: &Topic, offer: Offer) -> Result<Outcome, Error> {
        let partitions = self.partitions(topic)?;
        let answer = self.file.offer(topic, partitions, offer)?;
        answer.await.unwrap_or(Err(Error::Closed))
    }

    /// Removes a little of what its topics are not told to keep; whether more is left to do at once. Publishers wait for one
    /// slice of a partition, which are some milliseconds.
    ///
    /// # Errors
    /// [`Error::Environment`]: nothing is lost, and what is not to be kept stays until it is asked again.
    pub async fn remove_expired(&self) -> Result<bool, Error> {
        let mut more = Ok(false);
        for rows in self.file.partitions() {
            if self.file.retained(&rows.at).is_some_and(|it| !it.keeps_all()) {
                let answer = self.file.keep(&rows.at)?;
                match answer.await.unwrap_or(Err(Error::Closed)) {
                    Ok(some) => more = more.map(|more| more | some),
                    // Trouble with one partition is no reason to keep what is another's.
                    Err(error) => more = Err(error),
                }
            }
        }
        more
    }

    /// Finishes what is queued, folds the write-ahead file in and stops the writer. What is published
    /// later is [`Error::Closed`].
    pub async fn close(&self) {
        self.file.close().await;
    }
}

impl Broker for Log {
    fn publish<'a>(&'a self, at: &'a TopicPartition, batch: Vec<Event>) -> Pending<'a, Offset> {
        Box::pin(async move {
            let answer = self.file.publish(at, records(&batch)?)?;
            answer.await.unwrap_or(Err(Error::Closed))
        })
    }

    fn read<'a>(
        &'a self,
        at: &'a TopicPartition,
        after: Offset,
        limit: usize,
    ) -> Pending<'a, Vec<Stored>> {
        Box::pin(async move {
            Error::check("limit", limit, READ_MAX)?;
            self.file.read(at, after, limit)
        })
    }

    fn unverified(&self, of: &TopicPartition, at: Offset) -> Option<Event> {
        self.file.unverified(of, at).ok().flatten()
    }

    fn skip<'a>(&'a self, topic: &'a Topic, by: &'a str) -> Pending<'a, Option<Skipped>> {
        Box::pin(async move {
            let Some(hurt) = self.file.first_hurt(topic)? else { return Ok(None) };
            let claimed = self.unverified(&topic.at(hurt.partition), Offset(hurt.last));
            let (event, key) = claimed.map(|event| (event.id, event.key)).unzip();
            let (at, by) = (moment((self.clock)()), by.to_owned());
            let skipped = Skipped { event, key, at, by, ..hurt };
            self.file.note(skipped.clone()).await?;
            Ok(Some(skipped))
        })
    }

    fn pass<'a>(&'a self, of: &'a TopicPartition, skipped: Skipped) -> Pending<'a, ()> {
        Box::pin(async move {
            if self.passed(of, Offset(skipped.first))? >= Some(Offset(skipped.last)) {
                return Ok(());
            }
            self.file.note(Skipped { name: File::name(&of.topic), ..skipped }).await
        })
    }

    fn passed(&self, of: &TopicPartition, at: Offset) -> Result<Option<Offset>, Error> {
        self.file.passed(of, at)
    }

    fn skipped(&self) -> Result<Vec<Skipped>, Error> {
        self.file.skipped()
    }

    fn keeps_all(&self, at: &TopicPartition) -> bool {
        self.file.retained(at).is_none()
    }

    fn is_compacted(&self, at: &TopicPartition) -> bool {
        self.file.retained(at).is_some_and(|it| it.latest_per_key)
    }

    fn end<'a>(&'a self, at: &'a TopicPartition) -> Pending<'a, Offset> {
        Box::pin(async move { self.file.end(at) })
    }

    fn between(&self, at: &TopicPartition, before: Offset, last: Offset) -> Result<u64, Error> {
        self.file.between(at, before, last)
    }

    fn watch<'a>(&'a self, at: &'a TopicPartition) -> Pending<'a, watch::Receiver<Offset>> {
        Box::pin(async move { self.file.watch(at) })
    }

    fn published<'a>(
        &'a self,
        at: &'a TopicPartition,
        source: &'a str,
    ) -> Pending<'a, Option<u64>> {
        Box::pin(async move { self.file.published(at, source).map(Some) })
    }

    fn topics(&self) -> Vec<Topic> {
        let firsts =
            self.file.partitions().iter().filter(|rows| rows.at.partition == Partition::FIRST);
        firsts.map(|rows| rows.at.topic.clone()).collect()
    }

    fn partitions(&self, topic: &Topic) -> Result<Partitions, Error> {
        let its = self.file.partitions().iter().filter(|rows| rows.at.topic == *topic);
        u16::try_from(its.count())
            .ok()
            .filter(|count| *count > 0)
            .map_or(Err(Error::UnknownTopic), Partitions::new)
    }

    fn promise(&self) -> String {
        let promise = "an acknowledged event is on this machine's disk: one file, synced before the answer, \
                       a chained checksum on every event";
        let firsts = self.topics().into_iter().filter_map(|topic| {
            let retained = self.file.retained(&topic.first()).filter(|it| !it.keeps_all())?;
            Some(format!("; one of {topic} is removed {retained}"))
        });
        firsts.fold(promise.to_owned(), |promise, removed| promise + &removed)
    }
}

/// The batch as it will be stored, every limit checked.
fn records(batch: &[Event]) -> Result<Vec<Record>, Error> {
    Error::check("events", batch.len(), PUBLISH_MAX)?;
    let mut records = Vec::with_capacity(batch.len());
    let mut total = 0;
    for event in batch {
        event.check()?;
        let bytes = event.to_json();
        Error::check("event", bytes.len(), EVENT_BYTES_MAX)?;
        total += bytes.len();
        Error::check("batch", total, BATCH_BYTES_MAX)?;
        let source = || event.publisher().to_owned();
        let outbox =
            event.outbox_sequence.map(|sequence| OutboxSequence { source: source(), sequence });
        records.push(Record { bytes, outbox });
    }
    Ok(records)
}
