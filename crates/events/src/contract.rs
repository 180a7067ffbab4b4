//! The promises every broker keeps, as one suite that any engine's tests call unchanged, and a second one
//! of what a log keeps beyond.
//!
//! Every case gets a fresh, empty broker and panics at the first broken promise with the case's
//! name in its backtrace. It does not test speed, damage or a full disk: those are each engine's.
//!
//! What [`suite`] holds an engine to, in words:
//!
//! * A batch that is acknowledged is stored whole, in order, behind everything acknowledged before it.
//! * What is acknowledged is there after the storage was opened again.
//! * Places go up within a partition; one reads on from any of them, from a time and from the beginning.
//! * A reader beside publishers sees every event, each publisher's in its order, and is woken when there is
//!   more.
//! * Limits are kept at themselves and refused one past, with nothing stored of what was refused.
//! * Partitions of a topic have nothing of each other.
//! * A reader that is alone in its group has every partition, also after others were in it.
//! * A topic, or a partition of one, that does not exist is [`Error::UnknownTopic`](crate::error::Error::UnknownTopic)
//!   everywhere.
//!
//! That a copy is a second one is recognised by the inbox of whoever reads, so no engine has to. What
//! [`log_suite`] adds is the local log's:
//!
//! * Places are counted from 1 without a gap, and a page is as long as was asked for.
//! * A second copy by outbox sequence is recognised, also after opening again and among others.
//! * Nothing is ever removed.
//!
//! And where readers may be in several processes, [`group_suite`] adds what a group divides:
//!
//! * The partitions of two members are disjoint and together all; after one left the other has all.
//! * What is taken from a member nobody is given before he lets go of it.
//!
//! An engine's own test is a dozen lines: make a fixture, run the suite.
//!
//! ```
//! use std::sync::Arc;
//! use yeoul_events::contract::{Fixture, Opening, log_suite, suite, topics};
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
//! log_suite(fresh).await;
//! # }
//! ```

mod groups;
mod limits;
mod log;
mod order;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::value::RawValue;

use crate::broker::READ_MAX;
use crate::broker::{Broker, Offset, Stored};
use crate::event::{Cause, Event};
use crate::partition::{Partition, Partitions};
use crate::topic::{Declared, Topic, TopicPartition};

/// A broker that is being opened; a future, because one in a cluster takes its time. One that cannot be opened fails the
/// case: a suite never passes over what is not there.
pub type Opening = Pin<Box<dyn Future<Output = Arc<dyn Broker>> + Send>>;

/// A fresh, empty broker, and the way to open its storage again.
///
/// Each case of a suite asks for one of its own, so that what one leaves behind no other meets. What it is made of (a
/// folder, a server on a free port) lives in `reopen`, and goes when the fixture does.
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

/// Runs every case of what all engines keep, one after the other, each on a fixture of its own from `make`:
/// on the one partition of a topic beside another topic, and on a later partition beside an earlier one of
/// the same topic.
///
/// # Panics
/// At the first promise the engine does not keep.
pub async fn suite<F, R>(make: F)
where
    F: Fn() -> R,
    R: Future<Output = Fixture>,
{
    for places in places() {
        let case = async || Case::new(&make, &places).await;
        order::a_batch_is_stored_in_order_and_reads_back_as_it_was(case().await).await;
        order::partitions_and_topics_do_not_mix(case().await).await;
        order::an_acknowledged_event_is_there_after_reopening(case().await).await;
        order::an_event_without_outbox_sequence_is_stored_each_time(case().await).await;
        order::concurrent_publishers_keep_their_own_order(case().await).await;
        order::a_reader_beside_a_publisher_misses_nothing(case().await).await;
        order::a_watch_wakes_when_there_is_more(case().await).await;
        order::a_time_is_a_place_to_read_from(case().await).await;
        groups::a_member_that_is_alone_has_every_partition(case().await).await;
        limits::a_read_returns_at_most_its_limit_from_any_place(case().await).await;
        limits::a_batch_is_stored_at_the_limit_and_refused_past_it(case().await).await;
        limits::a_key_is_stored_at_the_limit_and_refused_past_it(case().await).await;
        limits::what_no_store_can_hold_is_refused(case().await).await;
        limits::a_batch_with_one_event_too_large_stores_nothing(case().await).await;
        limits::an_unknown_topic_is_refused_everywhere(case().await).await;
    }
}

/// The same for what a log keeps beyond.
///
/// # Panics
/// At the first promise the engine does not keep.
pub async fn log_suite<F, R>(make: F)
where
    F: Fn() -> R,
    R: Future<Output = Fixture>,
{
    for places in places() {
        let case = async || Case::new(&make, &places).await;
        log::places_are_counted_without_a_gap(case().await).await;
        log::a_page_is_as_long_as_was_asked_for(case().await).await;
        log::a_second_copy_is_recognised_by_its_outbox_sequence(case().await).await;
        log::what_was_published_is_counted_by_source_and_partition(case().await).await;
        log::nothing_is_ever_removed(case().await).await;
    }
}

/// The same for what an engine keeps that readers in several processes share.
///
/// # Panics
/// At the first promise the engine does not keep.
pub async fn group_suite<F, R>(make: F)
where
    F: Fn() -> R,
    R: Future<Output = Fixture>,
{
    for places in places() {
        let case = async || Case::new(&make, &places).await;
        groups::two_members_divide_the_partitions_and_who_stays_has_all(case().await).await;
        groups::nobody_is_given_what_another_has_in_hand(case().await).await;
    }
}

/// The place of a case, and of what must notice nothing of it.
struct Places {
    at: TopicPartition,
    other: TopicPartition,
}

fn places() -> [Places; 2] {
    let [alpha, beta] = topics().map(|declared| declared.topic);
    let [second, third] = [1, 2].map(|index| beta.at(Partition::new(index).expect("in range")));
    [Places { at: alpha.first(), other: third.clone() }, Places { at: third, other: second }]
}

impl Case {
    async fn new<R: Future<Output = Fixture>>(
        make: &impl Fn() -> R,
        Places { at, other }: &Places,
    ) -> Case {
        let Fixture { broker, reopen } = make().await;
        Case { broker, reopen, at: at.clone(), other: other.clone() }
    }
}

/// An event of `source` that names itself by `number`, without an outbox sequence.
fn event(source: &str, key: &str, number: u64) -> Event {
    let data = format!("{{\"number\":{number},\"text\":\"Ξάνθη \\\"μῆλον\\\"\"}}");
    Event {
        id: format!("id-{number}"),
        source: source.to_owned(),
        kind: "Numbered".to_owned(),
        subject: key.to_owned(),
        time: Timestamp::from_microsecond(1_700_000_000_000_000).expect("in range"),
        key: key.to_owned(),
        sequence: number,
        outbox_sequence: None,
        outbox_previous: None,
        outbox_source: None,
        foreign: None,
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

/// Everything in a partition, each place higher than the one before.
async fn stored(broker: &dyn Broker, at: &TopicPartition) -> Vec<Stored> {
    let mut all: Vec<Stored> = Vec::new();
    loop {
        let after = all.last().map_or(Offset::BEGINNING, |last| last.offset);
        let page = broker.read(at, after, READ_MAX).await.expect("a read");
        if page.is_empty() {
            return all;
        }
        for one in page {
            assert!(all.last().is_none_or(|last| last.offset < one.offset), "places go up");
            all.push(one);
        }
    }
}

/// What is stored, in order, by the number that each event names itself by.
async fn numbers(broker: &dyn Broker, at: &TopicPartition) -> Vec<u64> {
    stored(broker, at).await.iter().map(|one| one.event.sequence).collect()
}

/// The partition's end.
async fn end(broker: &dyn Broker, at: &TopicPartition) -> Offset {
    broker.end(at).await.expect("an end")
}
