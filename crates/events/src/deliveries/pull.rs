//! One subscriber elsewhere that fetches: whoever asks is lent events for a while, and says what became of them.
//!
//! It is what [`Deliveries`](super::Deliveries) are, with leases in the place of attempts: the same place, window, parked
//! events and dead letters, the same [`Control`].
//!
//! | an event is | and becomes | in the store |
//! |---|---|---|
//! | read | out under a lease, with what is behind it of its key | the lease, with all that it has |
//! | out | settled: it was acknowledged | the place moves over it, or it is remembered ahead of the place |
//! | out | parked, with all behind it of its key: it was rejected, or its lease ended | as any subscription's parked events |
//! | parked, and due | out again, with what is behind it of its key | the lease; the row stays |
//!
//! What must stay true: of a key nobody has anything while another has some; every event is lent until it is acknowledged,
//! dropped or a dead letter; and a lease is on disk before its events leave, so that after a crash they are lent to nobody
//! else before it ends.
//!
//! Leases are the store's: any instance lends and any takes answers, each by what it knows ([`shelf`]), and a transaction
//! writes nothing where the leases or a place are other than that. Nobody owns a partition, and none has to be moved.
//! Whether a lease is over each instance says by its own clock.
//!
//! It knows no HTTP. What it does not do: a lease is not prolonged, since who forgets to stop that keeps an event for ever;
//! one is asked for that is as long as the work may take.

mod desk;
mod due;
mod feed;
mod keeper;
mod lease;
mod parcel;
mod part;
mod shelf;
mod tally;
mod turn;

#[cfg(test)]
mod tests;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;

use super::Timing;
use crate::broker::{Broker, Stored};
use crate::error::Error;
use crate::event::Event;
use crate::share::ShareBy;
use crate::store::database::Database;
use crate::store::leases;
use crate::store::options::Reading;
use crate::subscription::context::{Context, Lane};
use crate::subscription::control::Control;
use crate::topic::Topic;
use desk::Ask;
use keeper::Keeper;
use lease::Lease;
use tally::Tally;

pub use desk::{Desk, OnItsWay, Pull};
pub use lease::{Again, Named, Rejection};
pub use tally::Counts;

/// Events of one lease at most.
pub const LIMIT_MAX: usize = 1000;

/// Bytes of the events of one lease, beyond which no more are put in; one alone may have more.
pub const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;

/// How long one waits for events at most.
pub const WAIT_MAX: Duration = Duration::from_secs(20);

/// The shortest lease.
pub const LEASE_MIN: Duration = Duration::from_secs(1);

/// The longest lease: what is lent to who died comes again this late at most.
pub const LEASE_MAX: Duration = Duration::from_secs(60 * 60);

/// Leases of a subscription that have something out at most, at all instances together.
pub const LEASES_MAX: usize = 1000;

/// Leases of which all was answered for that are remembered until their time is over: to answer again is no mistake.
pub const ANSWERED_MAX: usize = 1000;

/// Requests that wait for events of a subscription at one instance at most.
pub const WAITING_MAX: usize = 256;

/// Requests that wait to be looked at, at one instance at most.
pub const ASKS_MAX: usize = 1024;

/// No pause.
const AT_ONCE: Duration = Duration::ZERO;

/// What tells leases apart: nobody who did not get one guesses it, nor is one that a restored copy does not know any more
/// given again.
pub type Draw = Arc<dyn Fn() -> String + Send + Sync>;

/// An event that was lent.
#[derive(Clone, Debug)]
pub struct Given {
    event: Lending,
    /// The attempt that this is, from 1.
    pub attempt: u32,
}

#[derive(Clone, Debug)]
enum Lending {
    Fresh(Arc<Stored>),
    Again(Arc<Event>),
}

impl Given {
    fn fresh(stored: Arc<Stored>) -> Given {
        Given { event: Lending::Fresh(stored), attempt: 1 }
    }

    fn again(event: Event, attempt: u32) -> Given {
        Given { event: Lending::Again(Arc::new(event)), attempt }
    }

    /// The event.
    pub fn event(&self) -> &Event {
        match &self.event {
            Lending::Fresh(stored) => &stored.event,
            Lending::Again(event) => event,
        }
    }
}

/// Events, and the lease that they are out under.
#[derive(Clone, Debug)]
pub struct Lent {
    /// By which they are answered for.
    pub token: String,
    /// In the order in which they are to be handled: of each key it is the topic's.
    pub events: Vec<Given>,
}

/// What an answer came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// How many events it was about.
    pub count: usize,
    /// Ids that are not answered for: no event of the lease has them, or one has that was answered for before, or was
    /// rejected, or is behind one of its key that was.
    pub unknown: Vec<String>,
}

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// What is left of the lease comes again.
    #[error("the lease has ended, or never was")]
    Ended,
    /// Too many at once: ask again.
    #[error("too many {what}. limit=`{limit}`")]
    Full {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        limit: usize,
    },
    /// There is nothing to lend before an operator mends this: events of other partitions may come meanwhile.
    #[error("stopped: {0}")]
    Stuck(String),
    /// An operator has nothing lent until then, or until somebody says so. What is lent may be answered for.
    #[error("paused")]
    Paused {
        /// When it goes on by itself, if it does.
        until: Option<Timestamp>,
    },
    /// The answer is taken for what can be read, and the rest of the lease stands as it did: ask again for that.
    #[error(
        "a partition of the lease cannot be read now, and what is meant in the others is settled: ask again for the rest"
    )]
    Unread,
    /// The process ends.
    #[error("the process ends")]
    Stopped,
    /// The store or the broker refused: ask again. An answer may have been taken all the same.
    #[error(transparent)]
    Store(#[from] Error),
}

/// Until when events of a partition are out, if some are.
pub(super) async fn lent_until(lane: &Lane) -> Result<Option<Timestamp>, Error> {
    let (database, name) = (&lane.context.database, &*lane.context.name);
    let read =
        database.read_by(Reading::Statement, name, |name, rows| Box::pin(leases::all(rows, name)));
    let (index, now) = (lane.at.partition.index(), (lane.context.clock)());
    let leases = read.await?;
    let open = leases.iter().map(Lease::of_row).filter(|lease| !lease.is_over(now));
    let here = open.filter(|lease| lease.entries.iter().any(|it| it.partition == index));
    Ok(here.map(|lease| lease.until).max())
}

/// A subscriber's leases, not yet running.
pub struct Leases {
    keeper: Keeper,
    context: Context,
    desk: Desk,
}

impl Leases {
    /// Leases that keep their place in `database` under `name` (`mail.order`), which must not change between starts. The
    /// database has [`TABLES`](super::TABLES).
    pub fn new(
        name: &str,
        topic: Topic,
        database: Database,
        broker: Arc<dyn Broker>,
        timing: Timing,
        draw: Draw,
    ) -> Leases {
        let context = Context::new(name, topic, database, broker, timing.clock.clone());
        let (asks, inbox) = mpsc::channel::<Ask>(ASKS_MAX);
        let tally = Arc::new(Tally::default());
        let desk = Desk::new(asks, Arc::clone(&tally), timing.clock.clone());
        let keeper = Keeper::new(context.clone(), timing, draw, inbox, tally);
        Leases { keeper, context, desk }
    }

    /// Has each share its turn, of the events that are read ahead.
    #[must_use]
    pub fn by_share(mut self, by: ShareBy) -> Leases {
        self.context.share = Some(Arc::new(by));
        self.keeper.set_context(self.context.clone());
        self
    }

    /// Where events are asked for.
    pub fn desk(&self) -> Desk {
        self.desk.clone()
    }

    /// A handle for whoever watches and mends it, as of any subscription.
    pub fn control(&self) -> Control {
        Control::new(self.context.clone())
    }

    /// Answers until `stop` resolves. Trouble does not end it: whoever asks meanwhile is told of it.
    ///
    /// Dropping the future is like a crash: what was written stands, and who was lent something has it.
    pub async fn run(self, stop: impl Future<Output = ()> + Send) {
        let hold = self.context.hold.clone();
        tokio::select! {
            () = self.keeper.run(stop) => {}
            never = hold.follow() => match never {},
        }
    }
}
