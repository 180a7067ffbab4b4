//! The promises every broker keeps, as one suite that any engine's tests call unchanged.
//!
//! Every case gets a fresh, empty broker and panics at the first broken promise with the case's
//! name in its backtrace. It does not test speed, damage or a full disk: those are each engine's.
//!
//! What it holds an engine to, in words:
//!
//! * A batch is stored whole or not at all, in order, behind everything acknowledged before it.
//! * What is acknowledged is there after the storage was opened again.
//! * A second copy by outbox sequence is recognised, also after opening again and among others.
//! * A reader beside publishers sees each event once, in its place, and is woken when there is more.
//! * Limits are kept at themselves and refused one past, with nothing stored of what was refused.
//! * Partitions of a topic have nothing of each other.
//! * A topic, or a partition of one, that does not exist is [`Error::UnknownTopic`](crate::error::Error::UnknownTopic)
//!   everywhere.
//!
//! An engine's own test is a dozen lines: make a fixture, run the suite.
//!
//! ```
//! use std::sync::Arc;
//! use yeoul_events::contract::{Fixture, Opening, suite, topics};
//! use yeoul_events::{Broker, Clock, Log};
//!
//! /// The local log in a folder of its own for every case.
//! async fn fresh() -> Fixture {
//!     let folder = Arc::new(tempfile::tempdir().expect("a folder"));
//!     let open = move || -> Arc<dyn Broker> {
//!         let clock: Clock = Arc::new(|| jiff::Timestamp::UNIX_EPOCH);
//!         Arc::new(Log::open_declared(folder.path(), &topics(), clock).expect("it opens"))
//!     };
//!     let broker = open();
//!     Fixture { broker, reopen: Box::new(move || -> Opening { Box::pin(std::future::ready(open())) }) }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! suite(fresh).await;
//! # }
//! ```

mod limits;
mod order;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::value::RawValue;

use crate::broker::READ_MAX;
use crate::broker::{Broker, Declared, Offset, Stored, Topic, TopicPartition};
use crate::event::{Cause, Event};
use crate::partition::{Partition, Partitions};

/// A broker that is being opened; a future, because one in a cluster takes its time.
pub type Opening = Pin<Box<dyn Future<Output = Arc<dyn Broker>> + Send>>;

/// A fresh, empty broker, and the way to open its storage again.
pub struct Fixture {
    /// It has the [`topics`] and nothing stored.
    pub broker: Arc<dyn Broker>,
    /// Opens the same storage again; called after the broker was dropped, more than once in a case.
    pub reopen: Box<dyn Fn() -> Opening + Send + Sync>,
}

/// The two topics every fixture has: `alpha` of one partition and `beta` of three.
pub fn topics() -> [Declared; 2] {
    [("alpha", 1), ("beta", 3)].map(|(name, partitions)| Declared {
        topic: Topic::parse(name).expect("a topic"),
        partitions: Partitions::new(partitions).expect("a count"),
    })
}

/// A fixture with the places that a case is about: its own, and one that must notice nothing of it.
struct Case {
    broker: Arc<dyn Broker>,
    reopen: Box<dyn Fn() -> Opening + Send + Sync>,
    at: TopicPartition,
    other: TopicPartition,
}

/// Runs every case, one after the other, each on a fixture of its own from `make`: on the one partition of a
/// topic beside another topic, and on a later partition beside an earlier one of the same topic.
///
/// # Panics
/// At the first promise the engine does not keep.
pub async fn suite<F, R>(make: F)
where
    F: Fn() -> R,
    R: Future<Output = Fixture>,
{
    let [alpha, beta] = topics().map(|declared| declared.topic);
    let [second, third] = [1, 2].map(|index| beta.at(Partition::new(index).expect("in range")));
    for (at, other) in [(alpha.first(), third.clone()), (third, second)] {
        let case = || async {
            let Fixture { broker, reopen } = make().await;
            Case { broker, reopen, at: at.clone(), other: other.clone() }
        };
        every(case).await;
    }
}

async fn every<F, R>(make: F)
where
    F: Fn() -> R,
    R: Future<Output = Case>,
{
    order::a_batch_gets_gapless_offsets_and_reads_back_as_it_was(make().await).await;
    order::partitions_and_topics_do_not_mix(make().await).await;
    order::an_acknowledged_event_is_there_after_reopening(make().await).await;
    order::a_second_copy_is_recognised_by_its_outbox_sequence(make().await).await;
    order::an_event_without_outbox_sequence_is_stored_each_time(make().await).await;
    order::concurrent_publishers_keep_their_own_order(make().await).await;
    order::a_reader_beside_a_publisher_sees_no_gap(make().await).await;
    order::a_watch_wakes_when_more_is_on_disk(make().await).await;
    limits::a_read_returns_at_most_its_limit(make().await).await;
    limits::a_batch_is_stored_at_the_limit_and_refused_past_it(make().await).await;
    limits::a_key_is_stored_at_the_limit_and_refused_past_it(make().await).await;
    limits::a_batch_with_one_event_too_large_stores_nothing(make().await).await;
    limits::an_unknown_topic_is_refused_everywhere(make().await).await;
}

/// An event of `source` that names itself by `number`, without an outbox sequence.
fn event(source: &str, key: &str, number: u64) -> Event {
    let data = format!("{{\"number\":{number},\"text\":\"십이번가 \\\"몰\\\"\"}}");
    Event {
        id: format!("id-{number}"),
        source: source.to_owned(),
        kind: "Numbered".to_owned(),
        subject: key.to_owned(),
        time: Timestamp::from_microsecond(1_700_000_000_000_000).expect("in range"),
        key: key.to_owned(),
        sequence: number,
        outbox_sequence: None,
        cause: Cause {
            correlation_id: Some("correlation".to_owned()),
            causation_id: None,
            traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
        },
        data: RawValue::from_string(data).expect("JSON"),
    }
}

/// The same with `number` as its outbox sequence.
fn stamped(source: &str, number: u64) -> Event {
    Event { outbox_sequence: Some(number), ..event(source, "key", number) }
}

/// Publishes and is acknowledged; anything else breaks the promise under test.
async fn publish(broker: &dyn Broker, at: &TopicPartition, batch: Vec<Event>) -> Offset {
    broker.publish(at, batch).await.expect("a publish that is acknowledged")
}

/// Everything in a partition, checked for gaps.
async fn everything(broker: &dyn Broker, at: &TopicPartition) -> Vec<Event> {
    let mut events = Vec::new();
    loop {
        let after = Offset(events.len() as u64);
        let page = broker.read(at, after, READ_MAX).await.expect("a read");
        if page.is_empty() {
            return events;
        }
        for Stored { offset, event } in page {
            events.push(event);
            assert_eq!(offset, Offset(events.len() as u64), "offsets are gapless");
        }
    }
}

/// What is stored, in order, by the number that each event names itself by.
async fn numbers(broker: &dyn Broker, at: &TopicPartition) -> Vec<u64> {
    everything(broker, at).await.iter().map(|event| event.sequence).collect()
}
