//! Kafka's client library, as it is used here: one set of settings, one way to hear of trouble, and the
//! questions that are asked beside publishing and reading.
//!
//! Its questions block, so they are asked on threads that may. What it says by itself (a connection that
//! broke, one that is back) is told as debugging: whoever publishes or reads meets the trouble and says so.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use events::{Error, Offset, TopicPartition};
use jiff::Timestamp;
use rdkafka::admin::AdminClient;
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::metadata::Metadata;
use rdkafka::topic_partition_list::TopicPartitionList;

use super::address::Servers;
use super::trouble;

/// The longest pause before a connection is tried again.
const RECONNECT_MS_MAX: u64 = 1_000;
/// How long it counts as away after it gave no answer: who asks meanwhile is told at once.
const AWAY: Duration = Duration::from_secs(1);
/// How long an answer is waited for at most: whoever asks for many is not to wait for each.
const ANSWER_WITHIN_MAX: Duration = Duration::from_secs(5);
/// How long it may take to find out why something was not acknowledged.
const EXPLAINED_WITHIN: Duration = Duration::from_secs(1);
/// How often one looks at most whether a partition has a leader again, and how long between.
const LEADER_LOOKS: u32 = 20;
const LEADER_LOOKED_EVERY: Duration = Duration::from_millis(100);
/// Events of the library's own that are taken from a client before each question.
const OWN_EVENTS_MAX: usize = 100;

/// What all clients have in common.
pub(super) struct Client {
    config: ClientConfig,
    address: Arc<str>,
    pub(super) patience: Duration,
}

/// Asks what is neither published nor read. Cheap to clone.
#[derive(Clone)]
pub(super) struct Asker {
    consumer: Arc<BaseConsumer<ClientLog>>,
    patience: Duration,
    address: Arc<str>,
    away: Arc<AtomicBool>,
    /// Why it gave no answer when it was asked last.
    unanswered: Arc<Mutex<Option<String>>>,
}

/// Hears what the library says by itself.
#[derive(Clone)]
pub(super) struct ClientLog;

/// What Kafka still has of a partition.
pub(super) struct Watermarks {
    /// The place before the oldest record there still is.
    pub(super) oldest: Offset,
    pub(super) end: Offset,
}

impl Client {
    pub(super) fn new(servers: &Servers, patience: Duration) -> Client {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", servers.bootstrap())
            .set("client.id", "yeoul")
            // Nothing is made by being asked for.
            .set("allow.auto.create.topics", "false")
            // Figures of the client for whoever runs the brokers (KIP-714): eight histograms for each connection, 100 KB.
            .set("enable.metrics.push", "false")
            .set("reconnect.backoff.max.ms", RECONNECT_MS_MAX.to_string())
            .set_log_level(RDKafkaLogLevel::Warning);
        Client { config, address: servers.to_string().into(), patience }
    }

    /// Settings for one client more.
    pub(super) fn config(&self) -> ClientConfig {
        self.config.clone()
    }

    pub(super) fn admin(&self) -> Result<AdminClient<ClientLog>, Error> {
        self.config.create_with_context(ClientLog).map_err(trouble::of)
    }

    pub(super) fn asker(&self) -> Result<Asker, Error> {
        let consumer = self.config.create_with_context(ClientLog).map_err(trouble::of)?;
        let (consumer, address) = (Arc::new(consumer), Arc::clone(&self.address));
        let (away, unanswered) = Default::default();
        Ok(Asker { consumer, patience: self.patience, address, away, unanswered })
    }
}

/// What is wrong with a partition, if anything is.
fn standing(found: &Metadata, name: &str, at: &TopicPartition) -> Option<String> {
    let topic = found.topics().iter().find(|topic| topic.name() == name)?;
    let Some(partition) = topic.partitions().iter().find(|one| one.id() == index(at)) else {
        return Some(format!("there is no partition {} of {name}", index(at)));
    };
    if partition.leader() < 0 {
        return Some(format!("no server leads partition {} of {name}", index(at)));
    }
    let (in_sync, all) = (partition.isr().len(), partition.replicas().len());
    let says = || format!("{in_sync} of the {all} servers that have the partition are in sync");
    (in_sync < all).then(says)
}

/// The number of the server that leads a partition; below 0 where none does.
fn leader(found: &Metadata, name: &str, at: &TopicPartition) -> Option<i32> {
    let topic = found.topics().iter().find(|topic| topic.name() == name)?;
    Some(topic.partitions().iter().find(|one| one.id() == index(at))?.leader())
}

impl Asker {
    /// How long it waits for an answer, and whoever has one for a record.
    pub(super) fn patience(&self) -> Duration {
        self.patience
    }

    /// Where the partition ends.
    pub(super) async fn end(&self, name: &str, at: &TopicPartition) -> Result<Offset, Error> {
        self.watermarks(name, at).await.map(|marks| marks.end)
    }

    /// From where to where the partition can be read.
    pub(super) async fn watermarks(
        &self,
        name: &str,
        at: &TopicPartition,
    ) -> Result<Watermarks, Error> {
        let (name, partition) = (name.to_owned(), index(at));
        let mut looks = 1;
        let (low, high) = loop {
            let name = name.clone();
            // What says that one is elected is an answer, and no reason to count it as away.
            let asked = self.ask(move |it, patience| {
                match it.fetch_watermarks(&name, partition, patience) {
                    Err(error) if trouble::is_without_leader(&error) => Ok(Err(error)),
                    answer => answer.map(Ok),
                }
            });
            match asked.await? {
                Ok(marks) => break marks,
                Err(error) if looks == LEADER_LOOKS => return Err(trouble::of(error)),
                Err(_) => looks += 1,
            }
            tokio::time::sleep(LEADER_LOOKED_EVERY).await;
        };
        Ok(Watermarks { oldest: place_before(low), end: place_before(high) })
    }

    /// The place before the first record whose time is not before `time`; `None` if all are older.
    pub(super) async fn first_since(
        &self,
        name: &str,
        at: &TopicPartition,
        time: Timestamp,
    ) -> Result<Option<Offset>, Error> {
        let (name, partition) = (name.to_owned(), index(at));
        // Of a time within a millisecond nothing of that millisecond is passed over.
        let from = rdkafka::Offset::Offset(time.as_millisecond().max(0));
        let found = self
            .ask(move |it, patience| {
                let mut asked = TopicPartitionList::new();
                asked.add_partition_offset(&name, partition, from)?;
                it.offsets_for_times(asked, patience)
            })
            .await?;
        let found = found.elements();
        let one = found.first().ok_or_else(|| Error::environment("kafka: no answer for a time"))?;
        one.error().map_err(trouble::of)?;
        Ok(match one.offset() {
            rdkafka::Offset::Offset(first) => Some(place_before(first)),
            _ => None,
        })
    }

    /// What there is of a topic.
    pub(super) async fn metadata(&self, name: String) -> Result<Metadata, Error> {
        self.ask(move |it, patience| it.fetch_metadata(Some(&name), patience)).await
    }

    /// Trouble with how the partition stands beside it, where that is why: the client tries again what too few servers
    /// would have, and tells nobody.
    pub(super) async fn explained(&self, name: &str, at: &TopicPartition, trouble: Error) -> Error {
        let Error::Environment { what, source } = trouble else { return trouble };
        let why = self.looked(name).await.and_then(|found| standing(&found, name, at));
        let what = why.map_or_else(|| what.clone(), |why| format!("{what}: {why}"));
        Error::Environment { what, source }
    }

    /// Whether the partition has a leader and all who have it are in sync, so that what is sent there is answered.
    pub(super) async fn is_sound(&self, name: &str, at: &TopicPartition) -> bool {
        self.looked(name).await.is_some_and(|found| standing(&found, name, at).is_none())
    }

    /// Whether a server leads the partition, so that what is there can be had.
    pub(super) async fn is_led(&self, name: &str, at: &TopicPartition) -> bool {
        self.looked(name).await.is_some_and(|found| leader(&found, name, at) >= Some(0))
    }

    /// What there is of a topic, where that can be found out at once.
    async fn looked(&self, name: &str) -> Option<Metadata> {
        let asked = tokio::time::timeout(EXPLAINED_WITHIN, self.metadata(name.to_owned())).await;
        asked.ok().and_then(Result::ok)
    }

    /// Asks on a thread that may wait.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&BaseConsumer<ClientLog>, Duration) -> KafkaResult<T> + Send + 'static,
    ) -> Result<T, Error> {
        if self.away.load(Ordering::Acquire) {
            return Err(Error::environment("kafka: it gave no answer a moment ago"));
        }
        let (consumer, patience) = (Arc::clone(&self.consumer), self.patience);
        let asked = tokio::task::spawn_blocking(move || {
            // Nobody reads from it: what it says by itself would gather.
            for _ in 0..OWN_EVENTS_MAX {
                if consumer.poll(Duration::ZERO).is_none() {
                    break;
                }
            }
            question(&consumer, patience.min(ANSWER_WITHIN_MAX))
        });
        let answer = asked.await.map_err(|_| Error::Closed)?.map_err(trouble::of);
        let unanswered = answer.as_ref().err().filter(|error| error.is_environment());
        *self.unanswered() = unanswered.map(Error::to_string);
        if unanswered.is_some() {
            self.count_as_away();
        }
        answer
    }

    /// Why it gave no answer when it was asked last, and where it is.
    pub(super) fn why_away(&self) -> Option<String> {
        let why = self.unanswered().clone()?;
        Some(format!("the broker gives no answer. address=`{}`, why=`{why}`", self.address))
    }

    fn unanswered(&self) -> MutexGuard<'_, Option<String>> {
        self.unanswered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count_as_away(&self) {
        let away = Arc::clone(&self.away);
        away.store(true, Ordering::Release);
        tokio::spawn(async move {
            tokio::time::sleep(AWAY).await;
            away.store(false, Ordering::Release);
        });
    }
}

impl ClientContext for ClientLog {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(?level, facility, message, "kafka's client");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "kafka's client");
    }
}

impl ConsumerContext for ClientLog {}

/// A partition's number in Kafka's type.
pub(super) fn index(at: &TopicPartition) -> i32 {
    i32::from(at.partition.index())
}

/// The place of the record that Kafka has at this offset.
pub(super) fn place_of(offset: i64) -> Offset {
    Offset(u64::try_from(offset).map_or(0, |offset| offset + 1))
}

/// The place before the record that Kafka has at this offset, or will have.
pub(super) fn place_before(offset: i64) -> Offset {
    Offset(u64::try_from(offset).unwrap_or(0))
}

/// The offset that the next record after a place has at least.
pub(super) fn offset_after(place: Offset) -> i64 {
    i64::try_from(place.0).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_kafkas_offsets_and_one() {
        assert_eq!(place_before(0), Offset::BEGINNING);
        assert_eq!(place_of(0), Offset(1));
        for offset in [0, 1, 41, i64::MAX - 1] {
            assert_eq!(offset_after(place_of(offset)), offset + 1);
            assert_eq!(offset_after(place_before(offset)), offset);
        }
        // What Kafka's client says where it knows none.
        assert_eq!(place_before(-1001), Offset::BEGINNING);
    }
}
