//! Where on its way an event is when: a broker in front of the broker, which notes what passes it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use events::broker::Pending;
use events::{Broker, Error, Event, Offset, Partitions, Stored, Topic, TopicPartition};
use tokio::sync::watch;

use crate::hops::Times;

/// Passes everything on to the one behind it.
pub(crate) struct Observed {
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) times: Arc<Times>,
}

impl Observed {
    fn note<'e>(&self, of: &[AtomicU64], events: impl Iterator<Item = &'e Event>) {
        for id in events.filter_map(|event| event.subject.parse().ok()) {
            self.times.note(of, id);
        }
    }
}

impl Broker for Observed {
    fn publish<'a>(&'a self, at: &'a TopicPartition, batch: Vec<Event>) -> Pending<'a, Offset> {
        Box::pin(async move {
            self.note(&self.times.relayed, batch.iter());
            let given = batch.clone();
            let end = self.broker.publish(at, batch).await?;
            self.note(&self.times.published, given.iter());
            Ok(end)
        })
    }

    fn read<'a>(
        &'a self,
        at: &'a TopicPartition,
        after: Offset,
        limit: usize,
    ) -> Pending<'a, Vec<Stored>> {
        Box::pin(async move {
            let stored = self.broker.read(at, after, limit).await?;
            self.note(&self.times.read, stored.iter().map(|stored| &stored.event));
            Ok(stored)
        })
    }

    fn is_compacted(&self, at: &TopicPartition) -> bool {
        self.broker.is_compacted(at)
    }

    fn end<'a>(&'a self, at: &'a TopicPartition) -> Pending<'a, Offset> {
        self.broker.end(at)
    }

    fn between(&self, at: &TopicPartition, before: Offset, last: Offset) -> Result<u64, Error> {
        self.broker.between(at, before, last)
    }

    fn watch<'a>(&'a self, at: &'a TopicPartition) -> Pending<'a, watch::Receiver<Offset>> {
        self.broker.watch(at)
    }

    fn topics(&self) -> Vec<Topic> {
        self.broker.topics()
    }

    fn partitions(&self, topic: &Topic) -> Result<Partitions, Error> {
        self.broker.partitions(topic)
    }

    fn promise(&self) -> String {
        self.broker.promise()
    }
}

/// The middle of how long a leg takes, in milliseconds.
pub(crate) fn leg(from: &[AtomicU64], to: &[AtomicU64]) -> f64 {
    let at = |it: &AtomicU64| it.load(Ordering::Relaxed) as f64 / 1e3;
    crate::median(from.iter().zip(to).map(|(from, to)| (at(to) - at(from)).max(0.0)).collect())
}
