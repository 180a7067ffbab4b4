//! Who stores what is published to a topic, and what an answer's positions count there.
//!
//! The folder's own log takes events itself, and they are in the topic when it answers: a position is a place in it. Over
//! another broker an outbox of the process takes them, and they come into the topic later: a position is that outbox's
//! number, by which a reader waits and a condition looks.

use events::offer::Refused;
use events::outside::Outbox;
use events::{
    Broker, Error, Log, Numbered, Numbers, Offer, Outcome, Topic, TopicPosition, WritePosition,
};

use super::condition::Counted;

/// Who stores it.
#[derive(Clone, Copy)]
pub(super) enum Taker<'t> {
    Log(&'t Log),
    Outbox(&'t Outbox),
}

impl Taker<'_> {
    pub(super) fn counted(self) -> Counted {
        match self {
            Taker::Log(_) => Counted::Places,
            Taker::Outbox(_) => Counted::Numbers,
        }
    }

    /// Whether it has room for each of these events.
    pub(super) fn check(self, offer: &Offer) -> Result<(), Refused> {
        match self {
            // That has an offer's own limits.
            Taker::Log(_) => Ok(()),
            Taker::Outbox(_) => Outbox::check(offer),
        }
    }

    pub(super) async fn offer(self, topic: &Topic, offer: Offer) -> Result<Outcome, Error> {
        match self {
            Taker::Log(log) => log.offer(topic, offer).await,
            Taker::Outbox(outbox) => outbox.offer(offer).await,
        }
    }

    /// What is newest in each partition.
    pub(super) async fn newest(self, topic: &Topic) -> Result<Numbers, Error> {
        let log = match self {
            Taker::Log(log) => log,
            Taker::Outbox(outbox) => return outbox.newest().await,
        };
        let mut newest = Numbers::default();
        for partition in log.partitions(topic)?.each() {
            let number = log.end(&topic.at(partition)).await?.0;
            newest.raise(Numbered { partition, number });
        }
        Ok(newest)
    }

    /// Where events are, for whoever names it in a condition, and on the log reads on from there.
    pub(super) fn position(self, topic: &Topic, offsets: Numbers) -> String {
        match self {
            Taker::Log(_) => TopicPosition { topic: topic.clone(), offsets }.to_string(),
            Taker::Outbox(_) => self.written(topic, offsets).to_string(),
        }
    }

    /// The same for who reads a page that shows them.
    pub(super) fn written(self, topic: &Topic, numbers: Numbers) -> WritePosition {
        match self {
            Taker::Log(_) => WritePosition::in_topic(topic, numbers),
            Taker::Outbox(_) => WritePosition::new(topic.as_str(), numbers),
        }
    }
}
