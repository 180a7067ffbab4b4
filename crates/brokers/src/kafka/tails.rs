//! Following where partitions end: one consumer that reads the ends of all that are watched.
//!
//! It takes every record of them once more, for nothing but their places: what that costs in bytes it saves
//! in time, since Kafka tells it at once, where asking would be late or often. What is published here raises
//! the ends as well, and sooner.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use events::{Error, Offset, TopicPartition};
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::topic_partition_list::TopicPartitionList;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::client::{Asker, Client, ClientLog, index, offset_after, place_of};
use super::consumers;
use super::trouble;

/// The pause before it begins again after trouble.
const PAUSE: Duration = Duration::from_secs(1);

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
#[derive(Clone, PartialEq, Eq, Hash)]
struct KafkaPartition {
    name: String,
    partition: i32,
}

/// What is known of a partition without asking.
pub(super) struct Known {
    /// It ends there, or further.
    pub(super) end: Offset,
    /// So many read it on.
    pub(super) followers: usize,
}

struct Watched {
    at: TopicPartition,
    end: watch::Sender<Offset>,
}

impl Tails {
    pub(super) fn new(client: &Client, asker: &Asker) -> Result<Tails, Error> {
        let consumer =
            consumers::config(client).create_with_context(ClientLog).map_err(trouble::of)?;
        let shared = Arc::new(Shared { consumer, asker: asker.clone(), watched: Mutex::default() });
        let following = tokio::spawn(follow(Arc::clone(&shared))).abort_handle();
        Ok(Tails { shared, following })
    }

    /// Follows the end from where it is now.
    pub(super) async fn watch(
        &self,
        name: &str,
        at: &TopicPartition,
    ) -> Result<watch::Receiver<Offset>, Error> {
        let end = self.shared.asker.end(name, at).await?;
        // Taken after the end was asked for, and held until it is watched: two who begin at once find one another
        // here.
        let mut watched = self.shared.watched();
        let place = KafkaPartition { name: name.to_owned(), partition: index(at) };
        if let Some(known) = watched.get(&place) {
            known.raise(end);
            return Ok(known.end.subscribe());
        }
        let mut more = TopicPartitionList::new();
        more.add_partition_offset(name, index(at), from(end)).map_err(trouble::of)?;
        self.shared.consumer.incremental_assign(&more).map_err(trouble::of)?;
        let (sender, receiver) = watch::channel(end);
        watched.insert(place, Watched { at: at.clone(), end: sender });
        Ok(receiver)
    }

    /// What is known of a partition that somebody watches, or did.
    pub(super) fn known(&self, name: &str, at: &TopicPartition) -> Option<Known> {
        let place = KafkaPartition { name: name.to_owned(), partition: index(at) };
        let watched = self.shared.watched();
        let Watched { end, .. } = watched.get(&place)?;
        Some(Known { end: *end.borrow(), followers: end.receiver_count() })
    }

    /// The partition ends there, or further.
    pub(super) fn raise(&self, at: &TopicPartition, end: Offset) {
        if let Some(watched) = self.shared.watched().values().find(|watched| watched.at == *at) {
            watched.raise(end);
        }
    }
}

impl Drop for Tails {
    fn drop(&mut self) {
        self.following.abort();
    }
}

impl Watched {
    fn raise(&self, to: Offset) {
        self.end.send_if_modified(|end| {
            let is_news = *end < to;
            *end = to.max(*end);
            is_news
        });
    }
}

/// Raises ends for as long as anybody may watch them.
async fn follow(shared: Arc<Shared>) {
    loop {
        match shared.consumer.recv().await {
            Ok(record) => {
                let place = KafkaPartition {
                    name: record.topic().to_owned(),
                    partition: record.partition(),
                };
                if let Some(watched) = shared.watched().get(&place) {
                    watched.raise(place_of(record.offset()));
                }
            }
            Err(KafkaError::PartitionEOF(_)) => {}
            Err(error) if consumers::passes(&error) => {}
            Err(error) => {
                tracing::debug!(%error, "the ends of partitions are looked for again");
                // Its partitions are pointed anew, all of them: which one the trouble was of is not always said.
                tokio::time::sleep(PAUSE).await;
                shared.look_again().await;
            }
        }
    }
}

impl Shared {
    /// Goes on from where the partitions end now, also where that is before where they ended: a topic may
    /// have been made anew.
    async fn look_again(&self) {
        let all: Vec<_> = {
            let watched = self.watched();
            watched.iter().map(|(place, it)| (place.clone(), it.at.clone())).collect()
        };
        let mut assigned = TopicPartitionList::new();
        for (place, at) in all {
            // One that nobody can say is left out until the next look; what is published here raises it
            // meanwhile.
            let Ok(end) = self.asker.end(&place.name, &at).await else { continue };
            if let Some(watched) = self.watched().get(&place) {
                watched.end.send_if_modified(|known| std::mem::replace(known, end) != end);
            }
            // Refused only for a place that is none, which ends are not.
            _ = assigned.add_partition_offset(&place.name, place.partition, from(end));
        }
        if let Err(error) = self.consumer.assign(&assigned) {
            tracing::warn!(%error, "the ends of partitions are not followed");
        }
    }

    fn watched(&self) -> MutexGuard<'_, HashMap<KafkaPartition, Watched>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn from(end: Offset) -> rdkafka::Offset {
    rdkafka::Offset::Offset(offset_after(end))
}
