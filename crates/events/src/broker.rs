//! What every engine that carries events promises, as a trait, and the words it is put in.
//!
//! One trait for a log in a file beside the program and for a cluster: who publishes or subscribes
//! does not know which it is. The promises are checked by one suite, [`contract`](crate::contract),
//! that every engine runs unchanged. They are what every engine can keep: stored at least once, in order
//! within a partition, all acknowledged or an error. That a copy is a second one is told by the inbox of
//! whoever reads; an engine may notice it as well, and needs not.
//!
//! It does not retry, remember consumers or know handlers: a position belongs to the consumer.
//!
//! # Writing an engine
//!
//! What is hard is not the trait but its promises, so an engine begins with the suite that holds it to
//! them. One in memory, good for the tests of a service, is short enough to read here:
//!
//! ```
//! use std::collections::BTreeMap;
//! use std::sync::{Arc, Mutex};
//!
//! use tokio::sync::watch;
//! use yeoul_events::broker::{PUBLISH_MAX, Pending, READ_MAX};
//! use yeoul_events::contract::{self, Fixture};
//! use yeoul_events::event::EVENT_BYTES_MAX;
//! use yeoul_events::{
//!     Broker, Declared, Error, Event, Offset, Partitions, Stored, Topic, TopicPartition,
//! };
//!
//! struct Stream {
//!     events: Mutex<Vec<Event>>,
//!     end: watch::Sender<Offset>,
//! }
//!
//! #[derive(Clone)]
//! struct Memory(Arc<BTreeMap<TopicPartition, Stream>>);
//!
//! impl Memory {
//!     fn of(topics: impl IntoIterator<Item = Declared>) -> Memory {
//!         let stream = || Stream { events: Mutex::default(), end: watch::Sender::default() };
//!         let of_topic = |Declared { topic, partitions }: Declared| {
//!             let all: Vec<_> = partitions.each().map(|it| (topic.at(it), stream())).collect();
//!             all
//!         };
//!         Memory(Arc::new(topics.into_iter().flat_map(of_topic).collect()))
//!     }
//!
//!     fn stream(&self, at: &TopicPartition) -> Result<&Stream, Error> {
//!         self.0.get(at).ok_or(Error::UnknownTopic)
//!     }
//! }
//!
//! fn within(field: &'static str, value: usize, limit: usize) -> Result<(), Error> {
//!     let (value, limit) = (value as u64, limit as u64);
//!     if value <= limit { Ok(()) } else { Err(Error::Limit { field, value, limit }) }
//! }
//!
//! impl Broker for Memory {
//!     fn publish<'a>(
//!         &'a self,
//!         at: &'a TopicPartition,
//!         batch: Vec<Event>,
//!     ) -> Pending<'a, Offset> {
//!         Box::pin(async move {
//!             let stream = self.stream(at)?;
//!             // Everything that can be refused is refused before anything is stored.
//!             within("events", batch.len(), PUBLISH_MAX)?;
//!             for event in &batch {
//!                 event.check()?;
//!                 within("event", event.to_json().len(), EVENT_BYTES_MAX)?;
//!             }
//!             let mut events = stream.events.lock().expect("nobody panics with it");
//!             events.extend(batch);
//!             let end = Offset(events.len() as u64);
//!             // Readers wake only if there is more.
//!             stream.end.send_if_modified(|before| std::mem::replace(before, end) != end);
//!             Ok(end)
//!         })
//!     }
//!
//!     fn read<'a>(
//!         &'a self,
//!         at: &'a TopicPartition,
//!         after: Offset,
//!         limit: usize,
//!     ) -> Pending<'a, Vec<Stored>> {
//!         Box::pin(async move {
//!             within("limit", limit, READ_MAX)?;
//!             let events = self.stream(at)?.events.lock().expect("nobody panics with it");
//!             let stored = (1..).zip(events.iter()).map(|(offset, event)| Stored {
//!                 offset: Offset(offset),
//!                 event: event.clone(),
//!             });
//!             Ok(stored.skip_while(|stored| stored.offset <= after).take(limit).collect())
//!         })
//!     }
//!
//!     fn end<'a>(&'a self, at: &'a TopicPartition) -> Pending<'a, Offset> {
//!         Box::pin(async move { Ok(*self.stream(at)?.end.borrow()) })
//!     }
//!
//!     fn watch<'a>(&'a self, at: &'a TopicPartition) -> Pending<'a, watch::Receiver<Offset>> {
//!         Box::pin(async move { Ok(self.stream(at)?.end.subscribe()) })
//!     }
//!
//!     fn topics(&self) -> Vec<Topic> {
//!         let firsts = self.0.keys().filter(|at| at.partition.index() == 0);
//!         firsts.map(|at| at.topic.clone()).collect()
//!     }
//!
//!     fn partitions(&self, topic: &Topic) -> Result<Partitions, Error> {
//!         let count = self.0.keys().filter(|at| at.topic == *topic).count();
//!         Partitions::new(count as u16).map_err(|_| Error::UnknownTopic)
//!     }
//!
//!     fn promise(&self) -> String {
//!         "an acknowledged event is in this process's memory, and gone with it".to_owned()
//!     }
//! }
//!
//! async fn fresh() -> Fixture {
//!     let memory = Memory::of(contract::topics());
//!     let broker = Arc::new(memory.clone());
//!     // Its storage is what all clones share; another engine opens its files or connects anew.
//!     let reopen = move || -> contract::Opening {
//!         let again: Arc<dyn Broker> = Arc::new(memory.clone());
//!         Box::pin(std::future::ready(again))
//!     };
//!     Fixture { broker, reopen: Box::new(reopen) }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! contract::suite(fresh).await;
//! # }
//! ```

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use jiff::Timestamp;
use tokio::sync::watch;

use crate::error::Error;
use crate::event::Event;
use crate::group::Member;
use crate::partition::Partitions;
use crate::skipped::Skipped;
use crate::topic::{Topic, TopicPartition};

/// Events one [`Broker::read`] returns at most.
pub const READ_MAX: usize = 1000;

/// Events one [`Broker::publish`] takes at most; an engine may bound their bytes as well.
pub const PUBLISH_MAX: usize = 1000;

/// An event's place in its partition of a topic: an engine's own count, for comparing with another place of
/// the same partition and for reading on from.
///
/// Later events have higher ones, and that is all that can be told from them: there may be gaps (an engine
/// removes or skips records), and the next event's place is known when it is read. Before the first of them
/// all is [`BEGINNING`](Offset::BEGINNING).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Offset(pub u64);

/// An event with the place it has. The place is the broker's and not the event's: a copy elsewhere, or
/// the same event in a topic that was restored, may have another.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Its place.
    pub offset: Offset,
    /// The event.
    pub event: Event,
}

/// By what an event of a source is told from another one that has its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NumberedId {
    /// Its outbox sequence.
    pub number: u64,
    /// Where it comes from: what one publisher took from others has the sources of those.
    pub source: String,
    /// Its id.
    pub id: String,
}

/// An answer that comes later, in a shape a trait object can give. Nothing is promised to happen
/// before it is polled, and nothing that was begun is taken back when it is dropped.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

/// An engine that stores events durably, in order, and gives them again.
///
/// A service does not publish here itself: a [`Relay`](crate::relay::Relay) does, from the outbox, so
/// that what is published is what was committed. What has no state of its own to commit (a sensor, a
/// gateway) may:
///
/// ```
/// # use std::sync::Arc;
/// # use yeoul_events::{Broker, Clock, Error, Event, Log, Offset, Topic};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Error> {
/// # let folder = tempfile::tempdir().expect("a folder");
/// # let clock: Clock = Arc::new(|| jiff::Timestamp::UNIX_EPOCH);
/// let topic = Topic::parse("reading")?;
/// let broker: Arc<dyn Broker> =
///     Arc::new(Log::open(folder.path(), std::slice::from_ref(&topic), clock)?);
/// // One partition: the whole of the topic.
/// let at = topic.first();
/// let mut end = broker.watch(&at).await?;
///
/// let reading = Event::from_json(
///     br#"{"specversion":"1.0", "id":"1", "source":"sensor-7", "type":"Measured",
///     "subject":"sensor-7", "time":"2024-05-01T12:00:00Z", "data":21.5}"#,
/// )?;
/// // Resolves once it is durable as the engine's `promise` puts it.
/// let offset = broker.publish(&at, vec![reading]).await?;
///
/// end.wait_for(|end| *end >= offset).await.map_err(|_| Error::Closed)?;
/// let page = broker.read(&at, Offset::BEGINNING, 100).await?;
/// assert_eq!(page[0].event.decode::<f64>()?, 21.5);
/// # Ok(())
/// # }
/// ```
pub trait Broker: Send + Sync + 'static {
    /// Resolves once every event of the batch (at most [`PUBLISH_MAX`]) is stored as
    /// [`promise`](Self::promise) puts it, in the batch's order, with the place of the last one or one after
    /// it; for an empty batch, with the end.
    ///
    /// Dropping the future does not take the batch back.
    ///
    /// # Errors
    /// [`Error::Environment`]: nothing is acknowledged, publish the whole batch again; some of it may be
    /// stored already, and is stored once more then, unless the engine recognises it. [`Error::Limit`],
    /// [`Error::UnknownTopic`]: fix the input; nothing of it is stored.
    fn publish<'a>(&'a self, at: &'a TopicPartition, batch: Vec<Event>) -> Pending<'a, Offset>;

    /// At most `limit` (itself at most [`READ_MAX`]) events after `after`, in order, every checksum
    /// on the way checked. Fewer do not mean that there are no more; none at all does, as far as
    /// [`end`](Self::end) and [`watch`](Self::watch) have told and [`publish`](Self::publish) has
    /// acknowledged by now.
    ///
    /// # Errors
    /// [`Error::Damaged`] when the very next event is hurt (sound ones before it are returned
    /// first); [`Error::Gone`] when the topic has the place no more, so that events may have been missed;
    /// [`Error::Environment`]: read again.
    fn read<'a>(
        &'a self,
        at: &'a TopicPartition,
        after: Offset,
        limit: usize,
    ) -> Pending<'a, Vec<Stored>>;

    /// What stands at a place whose checksum does not fit, as far as it still is an event: for the note
    /// of an operator who steps over it, never to be handled. An engine that cannot tell returns
    /// nothing, and the note names only the place.
    fn unverified(&self, _in: &TopicPartition, _at: Offset) -> Option<Event> {
        None
    }

    /// Steps over the first stretch of a topic that is hurt and was not stepped over, for readers from
    /// outside; a subscription steps for itself. `None` if nothing is hurt.
    ///
    /// # Errors
    /// [`Error::Limit`]: no room for the note. [`Error::UnknownTopic`]; [`Error::Environment`].
    fn skip<'a>(&'a self, _topic: &'a Topic, _by: &'a str) -> Pending<'a, Option<Skipped>> {
        Box::pin(async { Ok(None) })
    }

    /// Has readers from outside pass what a subscription stepped over.
    ///
    /// # Errors
    /// As for [`skip`](Self::skip).
    fn pass<'a>(&'a self, _at: &'a TopicPartition, _skipped: Skipped) -> Pending<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    /// Where a reader from outside goes on who met damage at this place, if it was stepped over.
    ///
    /// # Errors
    /// [`Error::UnknownTopic`]; [`Error::Environment`].
    fn passed(&self, _of: &TopicPartition, _at: Offset) -> Result<Option<Offset>, Error> {
        Ok(None)
    }

    /// What readers from outside pass, oldest first.
    ///
    /// # Errors
    /// [`Error::Environment`].
    fn skipped(&self) -> Result<Vec<Skipped>, Error> {
        Ok(Vec::new())
    }

    /// After which place one reads on to have every event whose time is not before `time`: events come in
    /// the order of their publishing, so earlier ones may be among them.
    ///
    /// An engine without an index of times looks through the events from the beginning.
    ///
    /// # Errors
    /// As for [`read`](Self::read).
    fn since<'a>(&'a self, at: &'a TopicPartition, time: Timestamp) -> Pending<'a, Offset> {
        Box::pin(async move {
            let mut before = Offset::BEGINNING;
            loop {
                let page = self.read(at, before, READ_MAX).await?;
                if page.is_empty() {
                    return Ok(before);
                }
                for Stored { offset, event } in page {
                    if event.time >= time {
                        return Ok(before);
                    }
                    before = offset;
                }
            }
        })
    }

    /// Whether nothing was or is ever removed there, so that reading again from the beginning misses nothing: what a
    /// subscription does whose place is not there any more. Elsewhere it stops and an operator decides.
    fn keeps_all(&self, _at: &TopicPartition) -> bool {
        false
    }

    /// Whether of a key's events only the newest is kept, so that what is missing between two is no loss.
    fn is_compacted(&self, _at: &TopicPartition) -> bool {
        false
    }

    /// The place of the partition's newest event, [`Offset::BEGINNING`] if there was none yet.
    ///
    /// # Errors
    /// [`Error::UnknownTopic`]; [`Error::Environment`]: ask again.
    fn end<'a>(&'a self, at: &'a TopicPartition) -> Pending<'a, Offset>;

    /// How many events there are after one place up to another, at most: an engine that does not count gaps
    /// says how many places there are.
    ///
    /// # Errors
    /// [`Error::UnknownTopic`].
    fn between(&self, _in: &TopicPartition, before: Offset, last: Offset) -> Result<u64, Error> {
        Ok(last.0.saturating_sub(before.0))
    }

    /// Follows the partition's end from where it is now; wakes when there is more to read.
    ///
    /// # Errors
    /// [`Error::UnknownTopic`]; [`Error::Environment`]: ask again.
    fn watch<'a>(&'a self, at: &'a TopicPartition) -> Pending<'a, watch::Receiver<Offset>>;

    /// Joins the group of this name among the readers of a topic. Each partition is some member's, as far as the
    /// group knows them: one that comes or goes has them divided anew. An engine whose readers are all in one
    /// process gives every one of them all.
    ///
    /// Nothing is read by it and no place is kept: the reader does both, as without a group.
    ///
    /// # Errors
    /// [`Error::UnknownTopic`]; [`Error::Environment`]: join again. What comes later, the member is told
    /// ([`Assignment::trouble`](crate::group::Assignment::trouble)).
    fn join<'a>(&'a self, _group: &'a str, topic: &'a Topic) -> Pending<'a, Member> {
        Box::pin(async move { Ok(Member::of_all(self.partitions(topic)?)) })
    }

    /// The highest outbox sequence stored of this source, 0 if there is none: where a relay goes on. `None`
    /// of an engine that does not count them, where it goes on from what it noted itself: what it publishes
    /// a second time then, inboxes recognise.
    ///
    /// # Errors
    /// [`Error::UnknownTopic`], [`Error::Environment`].
    fn published<'a>(
        &'a self,
        _at: &'a TopicPartition,
        _source: &'a str,
    ) -> Pending<'a, Option<u64>> {
        Box::pin(async { Ok(None) })
    }

    /// The highest outbox sequence of this source that is found among the newest events there, 0 if none is: numbers
    /// up to it were given. An engine that removes events or looks back only so far says by it nothing of lower ones.
    ///
    /// # Errors
    /// As for [`read`](Self::read).
    fn newest<'a>(&'a self, at: &'a TopicPartition, source: &'a str) -> Pending<'a, u64> {
        Box::pin(async move { Ok(self.published(at, source).await?.unwrap_or(0)) })
    }

    /// Numbers and ids of this source's events among the newest there, in the order in which they are stored: enough
    /// to tell whether another store publishes as this source. Nothing where numbers are counted: what is there goes
    /// wherever its publishers' files go.
    ///
    /// # Errors
    /// As for [`read`](Self::read).
    fn newest_ids<'a>(
        &'a self,
        _at: &'a TopicPartition,
        _source: &'a str,
    ) -> Pending<'a, Vec<NumberedId>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    /// Every topic that it was opened with or found then, in order.
    fn topics(&self) -> Vec<Topic>;

    /// How many partitions a topic has. It is known since the engine was opened: their number does not
    /// change while anybody reads or publishes.
    ///
    /// # Errors
    /// [`Error::UnknownTopic`].
    fn partitions(&self, topic: &Topic) -> Result<Partitions, Error>;

    /// Why it cannot be reached at the moment, in words that name where it is; nothing while it answers, and of an engine
    /// that is in this process.
    fn away(&self) -> Option<String> {
        None
    }

    /// What an acknowledgement means here, in one sentence, for start-up and doctor: which disks an
    /// event is on before the answer, and what its loss would take.
    fn promise(&self) -> String;
}

impl Offset {
    /// Before the first event.
    pub const BEGINNING: Offset = Offset(0);
}

impl fmt::Display for Offset {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}
