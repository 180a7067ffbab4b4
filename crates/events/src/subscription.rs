//! A subscription.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::parking::DeadLetter;
use crate::store::sqlite::{Database, Write};
use crate::{Broker, Clock, Error, Event, Offset, Topic};

/// What a service does with an event.
pub trait Handler: Send + Sync + 'static {
    /// Scratch of one delivery batch; `()` for most.
    type Batch: Default + Send + 'static;

    /// Runs in the consumer's transaction, in a savepoint of its own.
    fn handle(
        &self,
        batch: &mut Self::Batch,
        write: &mut Write<'_>,
        event: &Event,
    ) -> Result<(), Failure>;

    /// Before the position is stored.
    fn flush(&self, _batch: &mut Self::Batch, _write: &mut Write<'_>) -> Result<(), Error> {
        Ok(())
    }

    /// After the sync.
    fn committed(&self, _batch: Self::Batch) {}
}

/// Why a handler did not do its work.
#[derive(Clone, Debug)]
pub enum Failure {
    /// The handler's own: counts as an attempt.
    Handler(String),
    /// The environment's: retried for as long as it lasts.
    Environment(Error),
}

/// How often and how soon a failed event is tried again.
#[derive(Clone, Copy, Debug)]
pub struct Retry {
    /// Attempts in all, the first included; at least 1.
    pub attempts: u32,
    /// Time between two attempts.
    pub backoff: Duration,
}

/// Asked before the handler; an `Err` is a handler failure.
pub type Fault = Arc<dyn Fn(&Event) -> Result<(), String> + Send + Sync>;

/// One consumer of one topic.
pub struct Subscription<H> {
    handler: H,
}

/// What the admin listener and the command line hold of a subscription.
#[derive(Clone)]
pub struct Control {}

/// How a subscription is doing.
#[derive(Clone, Debug)]
pub struct Status {
    /// `product.order`.
    pub name: String,
    /// The topic.
    pub topic: Topic,
    /// The last offset taken.
    pub position: Offset,
    /// The topic's end.
    pub end: Offset,
    /// Events between the two.
    pub lag: u64,
    /// Trouble, in words; `None` while all is well.
    pub stuck: Option<String>,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        if error.is_environment() {
            Failure::Environment(error)
        } else {
            Failure::Handler(error.to_string())
        }
    }
}

impl<H: Handler> Subscription<H> {
    /// A subscription.
    pub fn new(
        name: &str,
        topic: Topic,
        database: Database,
        broker: Arc<dyn Broker>,
        handler: H,
        retry: Retry,
        clock: Clock,
    ) -> Subscription<H> {
        let _ = (name, topic, database, broker, retry, clock);
        Subscription { handler }
    }

    /// Rests while `paused` says so.
    #[must_use]
    pub fn paused(self, paused: watch::Receiver<bool>) -> Self {
        let _ = paused;
        self
    }

    /// Asked before the handler.
    #[must_use]
    pub fn fault(self, fault: Fault) -> Self {
        let _ = fault;
        self
    }

    /// The handle.
    pub fn control(&self) -> Control {
        todo!()
    }

    /// Runs until `stop` resolves.
    pub async fn run(self, stop: impl Future<Output = ()> + Send) {
        stop.await;
        let _ = self.handler;
        todo!()
    }
}

impl Control {
    /// `product.order`.
    pub fn name(&self) -> &str {
        todo!()
    }

    /// The topic.
    pub fn topic(&self) -> &Topic {
        todo!()
    }

    /// How it is doing.
    pub fn status(&self) -> Result<Status, Error> {
        todo!()
    }

    /// Up to `limit` dead letters, oldest first.
    pub fn dead(&self, limit: usize) -> Result<Vec<DeadLetter>, Error> {
        let _ = limit;
        todo!()
    }

    /// Tries a dead letter again at once; `false` if there is none of that id.
    pub async fn redrive(&self, id: &str) -> Result<bool, Error> {
        let _ = id;
        todo!()
    }

    /// Delivers everything again from the beginning; what was received changes nothing.
    pub async fn rewind(&self) -> Result<(), Error> {
        todo!()
    }

    /// Whether anything of this key waits.
    pub fn is_parked(&self, key: &str) -> Result<bool, Error> {
        let _ = key;
        todo!()
    }

    /// Whether an event of `source` at or under `sequence` waits.
    pub fn parked_through(&self, source: &str, sequence: u64) -> Result<bool, Error> {
        let _ = (source, sequence);
        todo!()
    }
}
