//! Apache Kafka as a broker: what the contract of `yeoul-events` asks of an engine, in Kafka's words.
//!
//! | the contract | here |
//! |---|---|
//! | stored at least once, in order, all acknowledged or an error | idempotent producers, `acks=all`, each partition by one of them, no record given up before those behind it (`publish`, `producers`) |
//! | a place | Kafka's offset and one: places begin at 1, so that 0 is before all of them; there are gaps |
//! | read on from a place | one consumer for all partitions, each with a queue of its own, assigned from there (`consumers`, `readers`); Kafka's committed offsets are written as a hint for its tools and not read |
//! | from a time, the beginning | the topic's index of times, its oldest record |
//! | the newest number of a source | looked for from the end back, [`SOUGHT_MAX`] places at most (`newest`) |
//! | an end that is followed | a consumer of its own at the ends of what is watched (`tails`) |
//! | a group whose members divide the partitions | a consumer group of Kafka's, called as the prefix and the group are; its members fetch nothing (`groups`) |
//! | a place that the topic has no more | asked of the partition's watermarks, and [`Error::Gone`] |
//! | what an acknowledgement means | the topics' own settings, read when it connects (`terms`) |
//!
//! On the wire an event is a CloudEvent in binary mode (`record`), so that other languages read it with
//! their own libraries, and its partition is chosen by Kafka's own rule.
//!
//! A record's time is its event's: retention counts from when something happened, also for what is
//! published late.
//!
//! It makes no topic by being asked for one; [`create`] does, where somebody wants it. It recognises no
//! second copy: inboxes do.

mod address;
mod client;
mod consumers;
mod groups;
mod newest;
mod producers;
mod publish;
mod readers;
mod record;
mod tails;
mod terms;
mod topics;
mod trouble;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use events::broker::{NumberedId, Pending, READ_MAX};
use events::group::Member;
use events::{
    Broker, Clock, Declared, Error, Event, Offset, Partitions, Stored, Topic, TopicPartition,
};
use jiff::Timestamp;
use tokio::sync::watch;

use client::{Asker, Client};
use consumers::Consumers;
use producers::Producers;
use readers::Readers;
use tails::Tails;
use topics::Topics;

pub use address::{SERVERS_MAX, Servers};
pub use consumers::shelf::{CONSUMERS_MAX, READERS_MAX};
pub use newest::SOUGHT_MAX;
pub use producers::PRODUCERS_MAX;
pub use publish::QUEUE_BYTES_MAX;
pub use readers::READ_BYTES_MAX;
pub use topics::{PREFIX_CHARS_MAX, REPLICAS_MAX, check_prefix, check_replicas, create};

/// How long one waits for Kafka, where settings do not say: for an acknowledgement, an answer, a record.
pub const PATIENCE_DEFAULT: Duration = Duration::from_secs(10);

/// Settings of a topic that is made: nothing is removed, so that what is derived from it can be derived
/// again, and the largest event fits.
pub const KEPT: [(&str, &str); 2] = [("retention.ms", "-1"), ("max.message.bytes", "2097152")];

/// Where the events are, and which.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to ask first.
    pub servers: Servers,
    /// What every topic's name begins with there, at most [`PREFIX_CHARS_MAX`] characters: two that share a
    /// cluster do not meet.
    pub prefix: String,
    /// The topics, with the partitions that they are used with.
    pub topics: Vec<Declared>,
    /// How long to wait for an acknowledgement, an answer or a record before that is trouble.
    pub patience: Duration,
}

/// A connection to Kafka.
struct Kafka {
    client: Arc<Client>,
    prefix: String,
    topics: Topics,
    /// Those of which only the newest of each key is kept.
    compacted: BTreeSet<Topic>,
    promise: String,
    asker: Asker,
    producers: Producers,
    readers: Readers,
    tails: Arc<Tails>,
}

/// Connects, and reads what there is of the topics. Needs a runtime, and keeps threads of its own; the clock
/// says how long ago a record was acknowledged.
///
/// ```no_run
/// use brokers::kafka::{PATIENCE_DEFAULT, Settings, connect};
/// use events::{Declared, Partitions, Topic};
/// # use yeoul_brokers as brokers;
///
/// # async fn run(clock: events::Clock) -> Result<(), events::Error> {
/// let orders = Declared { topic: Topic::parse("order")?, partitions: Partitions::new(8)? };
/// let settings = Settings {
///     servers: "kafka://10.0.0.5:9092,10.0.0.6:9092".parse()?,
///     prefix: "mall.".to_owned(),
///     topics: vec![orders],
///     patience: PATIENCE_DEFAULT,
/// };
/// let broker = connect(settings, clock).await?;
/// println!("{}", broker.promise());
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`Error::Environment`]: no server answers; connect again. [`Error::UnknownTopic`]: one of the topics is
/// not there. [`Error::Partitions`]: it has another number of partitions. [`Error::Decode`]: a prefix that
/// no topic can have. [`Error::Statement`]: they refuse to say how they are kept.
pub async fn connect(settings: Settings, clock: Clock) -> Result<Arc<dyn Broker>, Error> {
    let Settings { servers, prefix, topics, patience } = settings;
    let client = Arc::new(Client::new(&servers, patience));
    let asker = client.asker()?;
    let topics = Topics::find(&asker, &prefix, topics).await?;
    // Read once, and said so: what is changed in Kafka later is known with the next start.
    let terms = terms::read(&client, &topics).await?;
    let promise = terms.promise();
    let compacted = topics.iter().filter(|(_, known)| terms.is_compacted(&known.name));
    let compacted = compacted.map(|(topic, _)| topic.clone()).collect();
    let producers = Producers::new(&client, terms, clock);
    let tails = Arc::new(Tails::new(&client, &asker)?);
    let consumers = Consumers::new(&client, topics.all_partitions());
    let readers = Readers::new(consumers, &asker, Arc::clone(&tails));
    Ok(Arc::new(Kafka {
        client,
        prefix,
        topics,
        compacted,
        promise,
        asker,
        producers,
        readers,
        tails,
    }))
}

impl Kafka {
    /// Why a publish failed. Where its partition is sound and nothing is answered, the producer is given up.
    async fn troubled(&self, name: &str, at: &TopicPartition, trouble: Error) -> Error {
        let publisher = match self.producers.of(at) {
            Ok(publisher) => publisher,
            Err(error) => return error,
        };
        let in_vain = publisher.waits_in_vain(at) && self.asker.is_sound(name, at).await;
        match in_vain.then(|| publisher.give_up(at)) {
            Some(Err(error)) => error,
            _ => self.asker.explained(name, at, trouble).await,
        }
    }
}

impl Broker for Kafka {
    fn publish<'a>(&'a self, at: &'a TopicPartition, batch: Vec<Event>) -> Pending<'a, Offset> {
        Box::pin(async move {
            let name = self.topics.name(at)?;
            publish::check(&batch)?;
            let last = match self.producers.of(at)?.publish(name, at, &batch).await {
                Err(trouble) => return Err(self.troubled(name, at, trouble).await),
                Ok(last) => last,
            };
            let end = match last {
                Some(last) => last,
                // Nothing was sent, or Kafka had it already and does not say where.
                None => self.asker.end(name, at).await?,
            };
            // Whoever follows the end in this process need not wait for Kafka to tell it.
            self.tails.raise(at, end);
            Ok(end)
        })
    }

    fn is_compacted(&self, at: &TopicPartition) -> bool {
        self.compacted.contains(&at.topic)
    }

    fn read<'a>(
        &'a self,
        at: &'a TopicPartition,
        after: Offset,
        limit: usize,
    ) -> Pending<'a, Vec<Stored>> {
        Box::pin(async move {
            let name = self.topics.name(at)?;
            trouble::within("limit", limit, READ_MAX)?;
            if limit == 0 {
                return Ok(Vec::new());
            }
            self.readers.read(name, at, after, limit).await.map_err(not_at_the_moment)
        })
    }

    fn newest<'a>(&'a self, at: &'a TopicPartition, source: &'a str) -> Pending<'a, u64> {
        Box::pin(async move {
            let name = self.topics.name(at)?;
            self.readers.newest_number(name, at, source).await.map_err(not_at_the_moment)
        })
    }

    fn newest_ids<'a>(
        &'a self,
        at: &'a TopicPartition,
        source: &'a str,
    ) -> Pending<'a, Vec<NumberedId>> {
        Box::pin(async move {
            let name = self.topics.name(at)?;
            self.readers.newest_ids(name, at, source).await.map_err(not_at_the_moment)
        })
    }

    fn since<'a>(&'a self, at: &'a TopicPartition, time: Timestamp) -> Pending<'a, Offset> {
        Box::pin(async move {
            let name = self.topics.name(at)?;
            let before = self.asker.first_since(name, at, time).await.map_err(not_at_the_moment)?;
            match before {
                Some(before) => Ok(before),
                None => self.asker.end(name, at).await.map_err(not_at_the_moment),
            }
        })
    }

    fn end<'a>(&'a self, at: &'a TopicPartition) -> Pending<'a, Offset> {
        Box::pin(async move {
            let name = self.topics.name(at)?;
            self.asker.end(name, at).await.map_err(not_at_the_moment)
        })
    }

    fn watch<'a>(&'a self, at: &'a TopicPartition) -> Pending<'a, watch::Receiver<Offset>> {
        Box::pin(async move {
            let name = self.topics.name(at)?;
            self.tails.watch(name, at).await.map_err(not_at_the_moment)
        })
    }

    fn join<'a>(&'a self, group: &'a str, topic: &'a Topic) -> Pending<'a, Member> {
        Box::pin(async move {
            let name = self.topics.name(&topic.first())?;
            groups::join(&self.client, &format!("{}{group}", self.prefix), name)
        })
    }

    fn topics(&self) -> Vec<Topic> {
        self.topics.all()
    }

    fn partitions(&self, topic: &Topic) -> Result<Partitions, Error> {
        self.topics.partitions(topic)
    }

    fn away(&self) -> Option<String> {
        self.asker.why_away()
    }

    fn promise(&self) -> String {
        self.promise.clone()
    }
}

/// A topic that was there when one connected: a server that has just come back does not know all of them yet, one
/// that was deleted may be made anew, and of a partition that nobody leads the client says that it is unknown.
fn not_at_the_moment(error: Error) -> Error {
    match error {
        Error::UnknownTopic => {
            Error::environment("kafka: the topic is not known there at the moment")
        }
        error => error,
    }
}
