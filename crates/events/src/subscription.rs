//! One consumer of one topic: reads in order, hands each event to a handler inside the consumer's
//! own transaction, and keeps a failing key from holding up the others.
//!
//! Position, marks of what was received, effects and the outbox rows they cause change in one
//! transaction, so that an effect happens exactly once however often an event arrives: there is no
//! window of remembered ids that could run out. A batch is one piece of the writer's work with a
//! savepoint per event; [`parking`](crate::parking) says what happens to one that fails.
//!
//! Two kinds of trouble are kept apart. A handler's own failure counts towards the dead letter;
//! trouble of the environment takes the whole batch back, is retried for as long as it lasts and
//! shown as stuck.

mod consumer;
mod control;
mod delivery;
mod skip;

#[cfg(test)]
mod tests;

use std::future::Future;
use std::sync::Arc;

use tokio::sync::watch;

use crate::Clock;
use crate::broker::{Broker, Topic};
use crate::error::Error;
use crate::event::Event;
use crate::failure::Failure;
use crate::store::{Database, Write};
use consumer::Consumer;
use control::Shared;
use delivery::Plan;

pub use crate::parking::Retry;
pub use control::{Control, STUCK_AFTER, Status};

/// Events one transaction of a subscription takes at most.
pub const BATCH_MAX: usize = 256;

/// What a service does with an event.
pub trait Handler: Send + Sync + 'static {
    /// Scratch of one delivery batch, for handlers that gather and write once; `()` for most.
    type Batch: Default + Send + 'static;

    /// Runs in the consumer's transaction, in a savepoint of its own. May run again for an event
    /// whose effects were taken back with its batch, never for one whose effects stand.
    ///
    /// # Errors
    /// [`Failure::Handler`] counts as an attempt; [`Failure::Environment`] takes the batch back and
    /// tries it again for as long as it lasts.
    fn handle(
        &self,
        batch: &mut Self::Batch,
        write: &mut Write<'_>,
        event: &Event,
    ) -> Result<(), Failure>;

    /// Writes what the batch gathered, before the position is stored.
    ///
    /// # Errors
    /// Anything but [`Error::Environment`] has the batch delivered event by event, to find whose
    /// failure it is.
    fn flush(&self, _batch: &mut Self::Batch, _write: &mut Write<'_>) -> Result<(), Error> {
        Ok(())
    }

    /// Called after the sync, once per batch that stands.
    fn committed(&self, _batch: Self::Batch) {}
}

/// Asked before the handler; an `Err` is a handler failure with that reason.
pub type Fault = Arc<dyn Fn(&Event) -> Result<(), String> + Send + Sync>;

/// One consumer of one topic, not yet running.
pub struct Subscription<H: Handler> {
    plan: Plan<H>,
    shared: Shared,
}

impl<H: Handler> Subscription<H> {
    /// A subscription that keeps its inbox in `database` under `name` (`product.order`), which must
    /// not change between starts.
    pub fn new(
        name: &str,
        topic: Topic,
        database: Database,
        broker: Arc<dyn Broker>,
        handler: H,
        retry: Retry,
        clock: Clock,
    ) -> Subscription<H> {
        let plan = Plan { name: name.to_owned(), handler, retry, fault: None };
        Subscription { plan, shared: Shared::new(name, topic, database, broker, clock) }
    }

    /// Rests while `paused` says so; a stopped service is not stuck.
    #[must_use]
    pub fn paused(mut self, paused: watch::Receiver<bool>) -> Self {
        self.shared.paused = paused;
        self
    }

    /// Has `fault` asked before the handler.
    #[must_use]
    pub fn fault(mut self, fault: Fault) -> Self {
        self.plan.fault = Some(fault);
        self
    }

    /// What the admin listener and the command line hold of it.
    pub fn control(&self) -> Control {
        Control::new(self.shared.clone())
    }

    /// Consumes until `stop` resolves; a batch under way is finished first.
    pub async fn run(self, stop: impl Future<Output = ()> + Send) {
        Consumer::new(self.plan, self.shared).run(stop).await;
    }
}
