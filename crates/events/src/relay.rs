//! From a service's outbox to the broker: in sequence, woken by the commit, nothing left out.
//!
//! Each partition of the outbox is relayed by itself, to the partition of the topic that has its number. A
//! run begins at the start and after every trouble:
//!
//! 1. *Reconcile.* It asks a broker that knows it how far this source is stored and goes on there, and
//!    trusts no position of its own that could be wrong. That makes a crash between publish and note
//!    harmless, and a log that lost its tail is filled again from the rows the outbox keeps. What cannot
//!    be filled again is reported with its sequences, and passed. With a broker that does not count
//!    numbers it goes on from what it noted itself, and above the newest event there if that was never numbered
//!    here; what it publishes again then, inboxes recognise.
//! 2. *Batch after batch*: rest while paused; note what is committed; read what comes after the last
//!    one, bounded by count and by bytes; publish it; record how far that got.
//! 3. *A batch that the broker refuses for what is in it* is halved, from the same place, until the
//!    event is found that no broker takes: that becomes a dead letter of the outbox, and the relay
//!    goes on.
//! 4. *Nothing left*: wait for the next commit. If none comes for a second, save how far it got; that
//!    is a hint for whoever prunes, and what it goes on from only where the broker cannot say.
//!
//! What must stay true: the sequence only ever goes up, because an inbox takes a lower one for a second
//! copy, and so does a log. A number is passed only when the broker has it, or a note in the outbox says why not.
//! Commits are noted before rows are read, so that none is slept through. A row that is no event any more stops it:
//! that is damage, and only an operator may step over it.
//!
//! It does not decide what is published, and of each partition one relay publishes at a time, whatever the number of
//! instances.
//!
//! # The life of a relay
//!
//! | moment | what happens |
//! |---|---|
//! | it runs | a loop for each partition asks the broker how far this source is there, and goes on behind that |
//! | a commit with events | wakes it; what was committed while it published goes with the next batch |
//! | nothing to do | it sleeps; after a second it saves how far it got |
//! | paused | it finishes its publish and rests; events wait in the outbox |
//! | the broker is away | it tries again after 50 ms, doubling to 2 s; its status shows since when |
//! | no broker takes an event | a dead letter of the outbox; the others go on |
//! | a row is hurt, or rows are missing | its partition stops there, and the status names the command that steps over; the other partitions go on |
//! | the log lost its tail | it publishes again what the outbox keeps, and reports what it does not |
//! | the service's file lost its tail | numbering goes on above what the log has, and the loss is reported |
//! | another instance relays a partition | it stands by, and takes over within seconds of that one's end |
//! | `stop` resolves | it finishes its publish and returns |
//! | a crash | what was published stays so; a second copy is recognised by its number |

pub(crate) mod control;
mod lane;

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::sync::Arc;

use tokio::sync::watch;

use crate::broker::Broker;
use crate::lanes::run_each;
use crate::partition::{Partition, Partitions};
use crate::store::database::Database;
use lane::Lane;

pub use crate::relay_progress::Progress;
pub use control::{Control, Status};

/// Events relayed in one publish at most; their data together is bounded by
/// [`WAITING_BYTES_MAX`](crate::store::WAITING_BYTES_MAX).
pub const RELAY_BATCH_MAX: usize = 500;

/// Carries one outbox to the broker. One for each outbox, however many write to it.
///
/// ```
/// # use std::sync::Arc;
/// # use yeoul_events::store::{Database, Options, Publishes};
/// # use yeoul_events::{Broker, Cause, Clock, Draft, Error, Log, Offset, Partition, Partitions, Relay, Topic};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Error> {
/// # let folder = tempfile::tempdir().expect("a folder");
/// # let clock: Clock = Arc::new(|| jiff::Timestamp::UNIX_EPOCH);
/// # let topic = Topic::parse("order")?;
/// # let log: Arc<dyn Broker> =
/// #     Arc::new(Log::open(folder.path(), std::slice::from_ref(&topic), clock.clone())?);
/// let publishes = Some(Publishes {
///     source: "order".into(),
///     topic: topic.clone(),
///     partitions: Partitions::ONE,
/// });
/// let path = folder.path().join("order.db");
/// let order = Database::open(Options { path, schema: &[], publishes, clock })?;
///
/// let relay = Relay::new(order.clone(), log.clone());
/// let mut status = relay.progress(Partition::FIRST);
/// let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
/// let running = tokio::spawn(relay.run(async { _ = stopped.await }));
///
/// let placed = Draft::new("OrderPlaced", 7, 1, &(), &Cause::default());
/// let placed = order.write(placed, |placed, tx| Box::pin(tx.publish(placed.clone()))).await?;
/// // Woken by the commit; no timer is involved.
/// status.wait_for(|status| status.relayed >= placed.number().number).await.expect("it runs");
/// assert_eq!(log.end(&topic.first()).await?, Offset(1));
///
/// drop(stop);
/// running.await.expect("a relay does not panic");
/// # Ok(())
/// # }
/// ```
pub struct Relay {
    database: Database,
    broker: Arc<dyn Broker>,
    paused: watch::Receiver<bool>,
}

impl Relay {
    /// A relay from the outbox of `database` to the topic it was opened with. Nothing is asked of either until it runs;
    /// of several processes that run one for the same table, each partition is one's at a time.
    pub fn new(database: Database, broker: Arc<dyn Broker>) -> Relay {
        // One relay per outbox: its status is the database's, for whoever has a handle on that.
        let partitions = database.publishes().map(|publishes| publishes.partitions);
        for partition in partitions.into_iter().flat_map(Partitions::each) {
            database.relay_progress(partition).send_replace(Progress::default());
        }
        Relay { database, broker, paused: watch::Sender::new(false).subscribe() }
    }

    /// Rests while `paused` has `true`; what is committed meanwhile waits in the outbox, up to
    /// [`OUTBOX_WAITING_MAX`](crate::store::OUTBOX_WAITING_MAX) events.
    #[must_use]
    pub fn paused(mut self, paused: watch::Receiver<bool>) -> Relay {
        self.paused = paused;
        self
    }

    /// Follows how it is doing in one of its topic's partitions: what it recorded last, and every change
    /// from here on.
    ///
    /// ```
    /// # use yeoul_events::{Partition, Relay};
    /// /// Resolves once the outbox is empty, or says what keeps it from being.
    /// async fn drained(relay: &Relay, committed: u64) -> Result<(), String> {
    ///     let mut progress = relay.progress(Partition::FIRST);
    ///     let there = |it: &yeoul_events::relay::Progress| it.settled >= committed || it.stuck.is_some();
    ///     match progress.wait_for(there).await {
    ///         Ok(now) => now.stuck.clone().map_or(Ok(()), Err),
    ///         Err(_) => Err("its database is closed".to_owned()),
    ///     }
    /// }
    /// ```
    ///
    /// # Panics
    /// If the database publishes nothing, or its topic has no such partition: a mistake of the program.
    pub fn progress(&self, partition: Partition) -> watch::Receiver<Progress> {
        self.database.relay_progress(partition).subscribe()
    }

    /// Relays until `stop` resolves; a publish under way is finished first. Trouble does not end it:
    /// it is tried again after a pause from 50 ms to 2 s. Returns at once for a database that
    /// publishes nothing.
    ///
    /// Dropping the future is like a crash: what was published stays so, the next run asks the
    /// broker how far it is, and another instance may go on at once. A loop that panics ends the same way, says so in
    /// its partition's progress, and stays away.
    pub async fn run(self, stop: impl Future<Output = ()> + Send) {
        let Some(publishes) = self.database.publishes().cloned() else { return };
        let lane = |partition| Lane {
            database: self.database.clone(),
            broker: Arc::clone(&self.broker),
            paused: self.paused.clone(),
            publishes: publishes.clone(),
            at: publishes.topic.at(partition),
        };
        let lanes = publishes.partitions.each().map(lane);
        tokio::select! {
            () = run_each(lanes, Lane::run, stop) => {}
            () = self.follow() => {}
            () = self.check_leases() => {}
        }
        // Only a hint is lost with this: the broker is asked at the next start anyway.
        let _ = self.database.save_relayed().await;
        self.database.release_leases().await;
    }

    /// Learns, for as long as it runs, what other processes commit: what this one commits wakes it at once.
    async fn follow(&self) {
        let Some(pause) = self.database.followed_every() else {
            return std::future::pending().await;
        };
        loop {
            tokio::time::sleep(pause).await;
            // Trouble shows where it is met: the lanes ask the same server.
            if let Err(error) = self.database.follow().await {
                tracing::debug!(%error, "what others committed is not known");
            }
        }
    }

    /// Finds out, for as long as it runs, whether what it has to relay is its own still. Apart from the loop above: a
    /// session that is silent holds up nobody who waits for commits.
    async fn check_leases(&self) {
        let Some(pause) = self.database.followed_every() else {
            return std::future::pending().await;
        };
        loop {
            tokio::time::sleep(pause).await;
            if let Err(error) = self.database.check_leases().await {
                tracing::warn!(%error, "what this instance had to relay may be another's now");
            }
        }
    }
}
