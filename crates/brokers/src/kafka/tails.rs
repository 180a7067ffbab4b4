//! Following partitions at their ends: one consumer for all that are watched, which tells their readers what comes and
//! keeps it for them.
//!
//! A record is fetched once here, whatever the number of subscriptions and partitions: in steady state there is no
//! other consumer. Who is further behind than what is kept reads by one of its own (`readers`) until it has come so far.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use events::{Error, Offset, Stored, TopicPartition};
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::topic_partition_list::TopicPartitionList;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::ahead::Ahead;
use super::client::{Asker, Client, ClientLog, index, offset_after, place_of};
use super::trouble;
use super::{readers, record};

/// The pause after trouble, before what comes is looked at again.
const PAUSE: Duration = Duration::from_secs(1);

/// How long what is acknowledged may be on its way here; past that it is read elsewhere.
const ON_ITS_WAY: Duration = Duration::from_millis(500);

/// Whoever follows ends.
pub(super) struct Tails {
    shared: Arc<Shared>,
    following: AbortHandle,
}

struct Shared {
    consumer: StreamConsumer<ClientLog>,
    asker: Asker,
    watched: Mutex<HashMap<KafkaPartition, Watched>>,
}

/// Kafka's name and number of a partition.
#[derive(PartialEq, Eq, Hash)]
struct KafkaPartition {
    name: String,
    partition: i32,
}

impl KafkaPartition {
    fn of(name: &str, at: &TopicPartition) -> KafkaPartition {
        KafkaPartition { name: name.to_owned(), partition: index(at) }
    }
}

struct Watched {
    /// The newest that was received.
    end: watch::Sender<Offset>,
    /// Where somebody was told that it ends: what is up to there is on its way.
    told: Offset,
    ahead: Ahead,
}

impl Tails {
    pub(super) fn new(client: &Client, asker: &Asker) -> Result<Tails, Error> {
        let consumer =
            readers::config(client).create_with_context(ClientLog).map_err(trouble::of)?;
        let shared = Arc::new(Shared { consumer, asker: asker.clone(), watched: Mutex::default() });
        let following = tokio::spawn(follow(Arc::clone(&shared))).abort_handle();
        Ok(Tails { shared, following })
    }

    /// Follows the end from where it is now, for as long as somebody does. The sender ends where it is not known any
    /// more that the topic is the same.
    pub(super) async fn watch(
        &self,
        name: &str,
        at: &TopicPartition,
    ) -> Result<watch::Receiver<Offset>, Error> {
        let end = self.shared.asker.end(name, at).await?;
        // Taken after the end was asked for, and held until it is watched: two who begin at once find one another
        // here.
        let mut watched = self.shared.watched();
        let place = KafkaPartition::of(name, at);
        match watched.get_mut(&place) {
            Some(known) if known.end.receiver_count() > 0 => {
                known.told = known.told.max(end);
                return Ok(known.end.subscribe());
            }
            // Whoever begins after trouble begins with what is there now.
            Some(_) => self.shared.forget(&mut watched, &place).map_err(trouble::of)?,
            None => {}
        }
        let mut more = TopicPartitionList::new();
        more.add_partition_offset(name, index(at), from(end)).map_err(trouble::of)?;
        self.shared.consumer.incremental_assign(&more).map_err(trouble::of)?;
        let (sender, receiver) = watch::channel(end);
        watched.insert(place, Watched { end: sender, told: end, ahead: Ahead::after(end) });
        Ok(receiver)
    }

    /// Somebody is told that the partition ends there.
    pub(super) fn told(&self, name: &str, at: &TopicPartition, end: Offset) {
        if let Some(watched) = self.shared.watched().get_mut(&KafkaPartition::of(name, at)) {
            watched.told = watched.told.max(end);
        }
    }

    /// The topic is not the one that it was: whoever watches the partition begins again with what there is.
    pub(super) fn forget(&self, name: &str, at: &TopicPartition) {
        let place = KafkaPartition::of(name, at);
        // Not said to Kafka's client, it would be received for nobody.
        _ = self.shared.forget(&mut self.shared.watched(), &place);
    }

    /// Up to `limit` events after a place; `None` where it has to be read elsewhere.
    pub(super) async fn read(
        &self,
        name: &str,
        at: &TopicPartition,
        after: Offset,
        limit: usize,
    ) -> Option<Vec<Stored>> {
        let place = KafkaPartition::of(name, at);
        let mut end = self.shared.watched().get(&place)?.end.subscribe();
        loop {
            // Before the look: what is received from here on ends the wait below.
            end.mark_unchanged();
            {
                let watched = self.shared.watched();
                let one = watched.get(&place)?;
                let events = one.ahead.read(after, limit)?;
                if !events.is_empty() || after >= one.told {
                    return Some(events);
                }
            }
            tokio::time::timeout(ON_ITS_WAY, end.changed()).await.ok()?.ok()?;
        }
    }

    /// Whether who is at this place will read on here.
    pub(super) fn has(&self, name: &str, at: &TopicPartition, place: Offset) -> bool {
        let watched = self.shared.watched();
        watched
            .get(&KafkaPartition::of(name, at))
            .is_some_and(|it| it.ahead.read(place, 0).is_some())
    }
}

impl Drop for Tails {
    fn drop(&mut self) {
        self.following.abort();
    }
}

impl Watched {
    /// Takes what came next. What is no event is damage, and is told to whoever reads it elsewhere.
    fn receive(&mut self, record: &BorrowedMessage<'_>) {
        let offset = place_of(record.offset());
        match record::event(record) {
            Ok(event) => self.ahead.push(Stored { offset, event }),
            Err(_) => self.ahead = Ahead::after(offset),
        }
        self.end.send_replace(offset);
    }
}

/// Receives for as long as anybody may watch.
async fn follow(shared: Arc<Shared>) {
    loop {
        match shared.consumer.recv().await {
            Ok(record) => shared.receive(&record),
            Err(KafkaError::PartitionEOF(_)) => {}
            Err(error) if readers::passes(&error) => {}
            Err(error) => {
                tracing::debug!(%error, "the ends of partitions are not followed any more");
                shared.forget_all();
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

impl Shared {
    fn receive(&self, record: &BorrowedMessage<'_>) {
        let (name, partition) = (record.topic().to_owned(), record.partition());
        let place = KafkaPartition { name, partition };
        let mut watched = self.watched();
        let Some(one) = watched.get_mut(&place) else { return };
        if one.end.receiver_count() > 0 {
            return one.receive(record);
        }
        // Nobody watches it any more. Where that cannot be said to Kafka's client, the next record says it again.
        _ = self.forget(&mut watched, &place);
    }

    fn forget(
        &self,
        watched: &mut HashMap<KafkaPartition, Watched>,
        place: &KafkaPartition,
    ) -> KafkaResult<()> {
        let mut gone = TopicPartitionList::new();
        gone.add_partition(&place.name, place.partition);
        self.consumer.incremental_unassign(&gone)?;
        watched.remove(place);
        Ok(())
    }

    /// Lets go of all of them: a topic may have been made anew, and whoever watches one begins again with what there is.
    fn forget_all(&self) {
        let mut watched = self.watched();
        if let Err(error) = self.consumer.unassign() {
            tracing::warn!(%error, "kafka's client still follows ends that nobody watches");
        }
        watched.clear();
    }

    fn watched(&self) -> MutexGuard<'_, HashMap<KafkaPartition, Watched>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn from(end: Offset) -> rdkafka::Offset {
    rdkafka::Offset::Offset(offset_after(end))
}
