//! One subscriber elsewhere: reads a topic in order, has each event delivered by somebody who waits for an answer, and
//! keeps a key that fails from holding up the others.
//!
//! A [`Subscription`](crate::Subscription) handles an event inside of its own transaction; what is delivered over a
//! network cannot be, since nobody may hold a store's writer while he waits for an answer. So events are read ahead
//! within a [`window`], given out side by side, of each key one at a time, and what was answered is written afterwards:
//!
//! | an event is | and becomes | in the store |
//! |---|---|---|
//! | read | given out, once it is the first of its key | nothing |
//! | given out | settled: it was acknowledged | the place moves over it, or it is remembered ahead of the place |
//! | given out | parked, with all behind it of its key: it failed | as any subscription's parked events ([`parking`](crate::parking)) |
//! | given out | first of its key again: nobody could be asked now | nothing; that is no attempt |
//! | parked, and due | gone, or parked on, or a dead letter after the last attempt | the same rows, `yeoul dead` and all |
//!
//! So it is delivered **at least once**: what was acknowledged and not written when the process died is delivered again,
//! under the same id. Order per key holds all the same, because the next of a key is given out after the answer for the
//! one before, and behind a parked event everything of its key is parked.
//!
//! Place, marks, dead letters, notes and status are those of any subscription, and so is its [`Control`]. Instances that
//! share a store divide the partitions; place and run fence each transaction ([`settlement`]): who lost a partition and did
//! not hear of it writes nothing there once its next owner has begun.
//!
//! It knows no HTTP: who delivers is a [`Receiver`].

mod attempts;
mod delivery_loop;
mod known;
mod pace;
pub mod pull;
mod retries;
mod round;
mod settlement;
mod turns;
mod window;

#[cfg(test)]
mod tests;

use std::future::Future;
use std::sync::Arc;

use crate::Clock;
use crate::broker::Broker;
use crate::event::Event;
use crate::share::ShareBy;
use crate::store::database::Database;
use crate::store::location::Tables;
use crate::store::{
    DELIVERY_RUNS, LEASES, SERVED_DELIVERY_RUNS, SERVED_LEASES, SERVED_SETTLED_AHEAD, SETTLED_AHEAD,
};
use crate::subscription::context::Context;
use crate::subscription::control::Control;
use crate::topic::Topic;
use delivery_loop::DeliveryLoop;
use round::Recipient;

pub use pace::{PAUSE_MAX, Pace};
pub use window::{SHARED_WINDOW_EVENTS_MAX, WINDOW_BYTES_MAX, WINDOW_EVENTS_MAX};

/// The tables that its database has beside those of any subscription.
pub const TABLES: Tables = Tables {
    embedded: &[SETTLED_AHEAD, DELIVERY_RUNS, LEASES],
    served: &[SERVED_SETTLED_AHEAD, SERVED_DELIVERY_RUNS, SERVED_LEASES],
};

/// What is drawn for pauses, between 0 and 1; the program passes the chassis' source of chance.
pub type Jitter = Arc<dyn Fn() -> f64 + Send + Sync>;

/// What came of one attempt to deliver an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The subscriber has it.
    Acknowledged,
    /// He did not take it, for this reason: an attempt.
    Failed(String),
    /// He could not be asked, or asks for a pause: no attempt.
    NotNow,
}

/// Who delivers events to one subscriber, whatever that takes.
///
/// All partitions share it, so it is where one bounds how much is under way at once, and where one waits for a
/// subscriber who is away.
pub trait Receiver: Send + Sync + 'static {
    /// A permit to make one attempt.
    type Permit: Send + 'static;

    /// Resolves when one more attempt may be made. What it resolves to may be dropped unused, and so may the future.
    fn permit(&self) -> impl Future<Output = Self::Permit> + Send;

    /// Makes one, the `attempt`th at this event, and waits for its answer no longer than it may take.
    ///
    /// Dropped, it was perhaps made and perhaps not: the event is delivered again.
    fn deliver(
        &self,
        permit: Self::Permit,
        event: &Event,
        attempt: u32,
    ) -> impl Future<Output = Answer> + Send;
}

/// A subscriber's deliveries, not yet running.
pub struct Deliveries<R: Receiver> {
    receiver: Arc<R>,
    timing: Timing,
    context: Context,
}

/// When deliveries are tried again, and by what.
#[derive(Clone)]
pub struct Timing {
    /// Attempts, and pauses between them.
    pub pace: Pace,
    /// The time.
    pub clock: Clock,
    /// What pauses are drawn by.
    pub jitter: Jitter,
}

impl<R: Receiver> Deliveries<R> {
    /// Deliveries that keep their place in `database` under `name` (`mail.order`), which must not change between starts.
    /// The database has [`TABLES`].
    pub fn new(
        name: &str,
        topic: Topic,
        database: Database,
        broker: Arc<dyn Broker>,
        receiver: R,
        timing: Timing,
    ) -> Deliveries<R> {
        let mut context = Context::new(name, topic, database, broker, timing.clock.clone());
        context.shared = true;
        Deliveries { receiver: Arc::new(receiver), timing, context }
    }

    /// Has each share its turn, of the events that are read ahead.
    #[must_use]
    pub fn by_share(mut self, by: ShareBy) -> Deliveries<R> {
        self.context.share = Some(Arc::new(by));
        self
    }

    /// A handle for whoever watches and mends it, as of any subscription.
    pub fn control(&self) -> Control {
        Control::new(self.context.clone())
    }

    /// Delivers until `stop` resolves; what is under way then is waited for ten seconds. Trouble does not end it.
    ///
    /// Dropping the future is like a crash: what was written stands, and the rest is delivered again.
    pub async fn run(self, stop: impl Future<Output = ()> + Send) {
        let Deliveries { receiver, timing, context } = self;
        let recipient = Recipient { receiver, timing };
        let delivery =
            |lane, member, stop| DeliveryLoop::new(recipient.clone(), lane, member).run(stop);
        context.run(delivery, stop).await;
    }
}
