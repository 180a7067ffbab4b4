//! A broker that was away when the process started, until it is there.
//!
//! What is published waits in outboxes, so a process need not wait for its broker; it is connected to as soon as it answers.
//! Until then each question is refused as one that the broker did not answer: relays and subscriptions ask again anyway. What
//! the settings say of the topics is known without it, and looked at when it is there: a topic that does not fit, or that
//! was removed, is said from then on as it is by [`away`](Broker::away), and tried again, since an operator mends it there.
//!
//! It compares nothing with stores: relays look before they publish anything.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use events::broker::{NumberedId, Pending};
use events::group::Member;
use events::{Broker, Declared, Error, Event, Offset, Partitions, Stored, Topic, TopicPartition};
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// How long between two attempts: each takes as long as one waits for an answer.
const PAUSE: Duration = Duration::from_secs(1);

/// Connects once more.
pub(crate) type Connect =
    Box<dyn Fn() -> Pin<Box<dyn Future<Output = Result<Arc<dyn Broker>, Error>> + Send>> + Send>;

/// See the module.
pub(crate) struct Later {
    declared: Vec<Declared>,
    shared: Arc<Shared>,
    connecting: AbortHandle,
}

struct Shared {
    broker: OnceLock<Arc<dyn Broker>>,
    address: String,
    why: Mutex<String>,
}

impl Later {
    pub(crate) fn new(topics: &[Declared], address: &str, away: &Error, connect: Connect) -> Later {
        let shared = Arc::new(Shared {
            broker: OnceLock::new(),
            address: address.to_owned(),
            why: Mutex::new(away.to_string()),
        });
        tracing::warn!(address, why = %away, "the broker is away: what is published waits for it");
        let connecting = tokio::spawn(until_there(Arc::clone(&shared), connect)).abort_handle();
        Later { declared: topics.to_vec(), shared, connecting }
    }

    fn there(&self) -> Result<&Arc<dyn Broker>, Error> {
        self.shared.broker.get().ok_or_else(|| Error::environment(self.shared.says()))
    }
}

impl Drop for Later {
    fn drop(&mut self) {
        self.connecting.abort();
    }
}

impl Shared {
    fn says(&self) -> String {
        let why = self.why.lock().unwrap_or_else(PoisonError::into_inner);
        format!("the broker was not reached yet. address=`{}`, why=`{why}`", self.address)
    }
}

async fn until_there(shared: Arc<Shared>, connect: Connect) {
    loop {
        tokio::time::sleep(PAUSE).await;
        let error = match connect().await {
            Ok(broker) => {
                tracing::info!(
                    "the broker is there; an acknowledgement means: {}",
                    broker.promise()
                );
                // Nobody else sets it.
                _ = shared.broker.set(broker);
                return;
            }
            Err(error) => error,
        };
        let mut why = shared.why.lock().unwrap_or_else(PoisonError::into_inner);
        let words = error.to_string();
        if *why != words {
            let address = &shared.address;
            tracing::warn!(address, why = %error, "the broker cannot be used yet");
            *why = words;
        }
    }
}

impl Broker for Later {
    fn publish<'a>(&'a self, at: &'a TopicPartition, batch: Vec<Event>) -> Pending<'a, Offset> {
        Box::pin(async move { self.there()?.publish(at, batch).await })
    }

    fn read<'a>(
        &'a self,
        at: &'a TopicPartition,
        after: Offset,
        limit: usize,
    ) -> Pending<'a, Vec<Stored>> {
        Box::pin(async move { self.there()?.read(at, after, limit).await })
    }

    fn since<'a>(&'a self, at: &'a TopicPartition, time: Timestamp) -> Pending<'a, Offset> {
        Box::pin(async move { self.there()?.since(at, time).await })
    }

    fn is_compacted(&self, at: &TopicPartition) -> bool {
        self.there().is_ok_and(|broker| broker.is_compacted(at))
    }

    fn end<'a>(&'a self, at: &'a TopicPartition) -> Pending<'a, Offset> {
        Box::pin(async move { self.there()?.end(at).await })
    }

    fn watch<'a>(&'a self, at: &'a TopicPartition) -> Pending<'a, watch::Receiver<Offset>> {
        Box::pin(async move { self.there()?.watch(at).await })
    }

    fn join<'a>(&'a self, group: &'a str, topic: &'a Topic) -> Pending<'a, Member> {
        Box::pin(async move { self.there()?.join(group, topic).await })
    }

    fn newest<'a>(&'a self, at: &'a TopicPartition, source: &'a str) -> Pending<'a, u64> {
        Box::pin(async move { self.there()?.newest(at, source).await })
    }

    fn newest_ids<'a>(
        &'a self,
        at: &'a TopicPartition,
        source: &'a str,
    ) -> Pending<'a, Vec<NumberedId>> {
        Box::pin(async move { self.there()?.newest_ids(at, source).await })
    }

    fn topics(&self) -> Vec<Topic> {
        let mut topics: Vec<Topic> = self.declared.iter().map(|it| it.topic.clone()).collect();
        topics.sort();
        topics
    }

    fn partitions(&self, topic: &Topic) -> Result<Partitions, Error> {
        let known = self.declared.iter().find(|it| it.topic == *topic);
        known.map(|it| it.partitions).ok_or(Error::UnknownTopic)
    }

    fn away(&self) -> Option<String> {
        self.shared.broker.get().map_or_else(|| Some(self.shared.says()), |broker| broker.away())
    }

    fn promise(&self) -> String {
        match self.there() {
            Ok(broker) => broker.promise(),
            Err(_) => "what one means is the topics' own settings, which are read once the broker is reached".to_owned(),
        }
    }
}
