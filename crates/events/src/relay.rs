//! The relay.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::watch;

use crate::Broker;
use crate::store::sqlite::Database;

/// Carries one outbox to the broker.
pub struct Relay {
    database: Database,
    broker: Arc<dyn Broker>,
    paused: Option<watch::Receiver<bool>>,
}

/// How a relay is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// The highest outbox sequence that the broker has.
    pub relayed: u64,
    /// Trouble, in words; `None` while all is well.
    pub stuck: Option<String>,
}

impl Relay {
    /// A relay from the outbox of `database` to its topic.
    pub fn new(database: Database, broker: Arc<dyn Broker>) -> Relay {
        Relay { database, broker, paused: None }
    }

    /// Rests while `paused` says so.
    #[must_use]
    pub fn paused(mut self, paused: watch::Receiver<bool>) -> Relay {
        self.paused = Some(paused);
        self
    }

    /// Follows how it is doing.
    pub fn status(&self) -> watch::Receiver<Status> {
        todo!()
    }

    /// Relays until `stop` resolves.
    pub async fn run(self, stop: impl Future<Output = ()> + Send) {
        stop.await;
        todo!()
    }
}
