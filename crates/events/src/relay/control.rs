//! What others may ask of a relay and do to it, while it runs or rests.
//!
//! As with a subscription's: what an operator asks for is one transaction of the service's own
//! database, and the relay finds it there. There is nothing to wake: a redrive commits an event,
//! which wakes the relay like any other, and a row that is skipped stops a relay that asks again by
//! itself.
//!
//! What must stay true: no number is published after a higher one. So a dead letter that is redriven
//! becomes a new row with a new number, and the old one stays passed; and a skip passes exactly the
//! numbers that cannot be read, which the relay has not gone beyond.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use tokio::sync::watch;

use crate::broker::Broker;
use crate::error::Error;
use crate::event::Event;
use crate::marks::Publisher;
use crate::parking::{self, DeadLetter};
use crate::partition::numbers::Numbers;
use crate::partition::{Numbered, Partition};
use crate::relay_progress::Progress;
use crate::skipped::Skipped;
use crate::stillness::Stillness;
use crate::store::database::Database;
use crate::store::options::Publishes;
use crate::store::tx::Tx;
use crate::store::{notes, stepped};
use crate::topic::Topic;

/// A handle on a relay; [`Control::of`] its database. Cheap to clone, good whether or not the relay
/// runs.
///
/// ```
/// # use std::sync::Arc;
/// # use yeoul_events::store::{Database, Options, Publishes};
/// # use yeoul_events::{Broker, Cause, Clock, Draft, Error, Log, Partition, Partitions, Topic, relay};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Error> {
/// # let folder = tempfile::tempdir().expect("a folder");
/// # let clock: Clock = Arc::new(|| jiff::Timestamp::UNIX_EPOCH);
/// # let topic = Topic::parse("order")?;
/// # let log: Arc<dyn Broker> =
/// #     Arc::new(Log::open(folder.path(), std::slice::from_ref(&topic), clock.clone())?);
/// # let partitions = Partitions::ONE;
/// # let publishes = Some(Publishes { source: "order".into(), topic: topic.clone(), partitions });
/// # let path = folder.path().join("order.db");
/// # let order = Database::open(Options { path, schema: &[], publishes, clock })?;
/// let running = tokio::sync::watch::Sender::new(false).subscribe();
/// let control = relay::Control::of(order.clone(), log, running).expect("order publishes");
///
/// let placed = Draft::new("OrderPlaced", 7, 1, &(), &Cause::default());
/// order.write(placed, |placed, tx| Box::pin(tx.publish(placed.clone()))).await?;
///
/// // No relay runs, so it waits: committed, and not lost.
/// let status = control.status();
/// assert_eq!((status.name.as_str(), status.lag), ("outbox.order", 1));
/// assert_eq!(status.relayed.of(Partition::FIRST), 0);
/// assert_eq!(status.stuck, None, "not for so short a time");
/// assert!(control.dead(100).await?.is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Control {
    name: Arc<str>,
    database: Database,
    publishes: Publishes,
    broker: Arc<dyn Broker>,
    paused: watch::Receiver<bool>,
    /// What the looks so far found in each partition; clones of one handle are one watcher.
    stillness: Arc<Mutex<Vec<Stillness>>>,
}

/// How a relay is doing, at the moment it was asked.
///
/// | what it shows | what it means | what to do |
/// |---|---|---|
/// | `lag` rises and falls | events are published as they are committed | nothing |
/// | `lag` rises, `stuck` is `None` | more is committed than the broker takes | look at the broker; at the limit writes that publish are refused |
/// | `stuck` names a command | a row is no event any more | look at what it was to do, then `yeoul events skip` |
/// | `stuck` names the broker | it is away, or refuses | nothing here: it is tried again, nothing is lost meanwhile |
/// | `lost` | what was acknowledged is not where it was: a file was put back, or the broker forgot | compare what the words name with what readers have |
/// | `lag` is 0 and another instance is at work | it relays the partition, this one stands by | ask that one |
#[derive(Clone, Debug)]
pub struct Status {
    /// `outbox.order`.
    pub name: String,
    /// The topic it publishes to.
    pub topic: Topic,
    /// The highest outbox sequences that the broker has, or that were stepped over.
    pub relayed: Numbers,
    /// Everything committed up to these sequences has been dealt with.
    pub settled: Numbers,
    /// Events that wait in the outbox, at most
    /// [`OUTBOX_WAITING_MAX`](crate::store::OUTBOX_WAITING_MAX).
    pub lag: u64,
    /// Trouble, or no progress, in words; `None` while all is well.
    pub stuck: Option<String>,
    /// Whether all that is wrong is its broker's or its store's, which are asked again.
    pub passes: bool,
    /// Since when it has been stuck.
    pub since: Option<Timestamp>,
    /// What was found lost and cannot be brought back, in words; stays until the next start.
    pub lost: Option<String>,
}

/// A relay's name: subscriptions begin with their service's, relays with `outbox`.
pub(super) fn name(publishes: &Publishes) -> String {
    format!("outbox.{}", publishes.source)
}

impl Control {
    /// The handle on the relay of `database`, which rests while `paused` says so; `None` if nothing
    /// is published from there.
    pub fn of(
        database: Database,
        broker: Arc<dyn Broker>,
        paused: watch::Receiver<bool>,
    ) -> Option<Control> {
        let publishes = database.publishes()?.clone();
        let name = name(&publishes).into();
        let looks = publishes.partitions.each().map(|_| Stillness::default());
        let stillness = Arc::new(Mutex::new(looks.collect()));
        Some(Control { name, database, publishes, broker, paused, stillness })
    }

    /// `outbox.order`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it is doing. No progress is noticed between two looks
    /// [`STUCK_AFTER`](crate::subscription::STUCK_AFTER) apart.
    pub fn status(&self) -> Status {
        let mut status = Status {
            name: self.name.to_string(),
            topic: self.publishes.topic.clone(),
            relayed: Numbers::default(),
            settled: Numbers::default(),
            lag: 0,
            stuck: None,
            passes: false,
            since: None,
            lost: None,
        };
        for partition in self.publishes.partitions.each() {
            self.look_at(partition, &mut status);
        }
        status
    }

    /// Whether its store answers, whatever its broker does: then only that keeps it from its work which [passes](Status::passes).
    ///
    /// # Errors
    /// [`Error::Environment`]: it does not.
    pub async fn store_answers(&self) -> Result<(), Error> {
        self.database.committed_by_now().await.map(drop)
    }

    /// Adds what stands in one partition; the first trouble is the status's, one that lasts before one that passes.
    fn look_at(&self, partition: Partition, status: &mut Status) {
        let progress = self.database.relay_progress(partition).borrow().clone();
        let Progress { relayed, settled, elsewhere, stuck, passes, since, lost } = progress;
        let at = Numbered { partition, number: relayed };
        if elsewhere && stuck.is_none() {
            // Whoever relays it tells how it goes; what is noted of it here may be long behind that.
            let number = self.database.committed().borrow().of(partition);
            status.settled.raise(Numbered { partition, number });
            status.relayed.raise(at);
            return;
        }
        let lag = self.database.lag(at);
        let still = self.still(at, lag);
        // Its own words are the better ones: they name what is wrong.
        let since = if stuck.is_some() { since } else { still };
        let says = |since| format!("no progress at number {at} since {since}");
        let stuck = stuck.or_else(|| still.map(says));
        status.relayed.raise(at);
        // Under load it may never find nothing: what it has relayed is dealt with all the same.
        status.settled.raise(Numbered { partition, number: settled.max(relayed) });
        status.lag += lag;
        if status.stuck.is_none() || (status.passes && stuck.is_some() && !passes) {
            (status.stuck, status.passes, status.since) = (stuck, passes, since);
        }
        status.lost = status.lost.take().or(lost);
    }

    /// Since when it has not moved, if that is too long; one that rests on purpose may.
    fn still(&self, at: Numbered, lag: u64) -> Option<Timestamp> {
        let now = self.database.now();
        let mut looks = self.stillness.lock().unwrap_or_else(PoisonError::into_inner);
        let stillness = &mut looks[usize::from(at.partition.index())];
        if lag == 0 || *self.paused.borrow() {
            stillness.idle();
            return None;
        }
        stillness.behind(at.number, now)
    }

    /// Up to `limit` dead letters of the outbox, oldest first: events that no broker takes, because
    /// they are too large or no events. Those behind them went on.
    ///
    /// # Errors
    /// [`Error::Environment`]: ask again later.
    pub async fn dead(&self, limit: usize) -> Result<Vec<DeadLetter>, Error> {
        let addressed = stepped::Addressed { relay: self.name(), topic: &self.publishes.topic };
        let given = (addressed, limit);
        let read = self.database.read(&given, |(addressed, limit), rows| {
            Box::pin(stepped::dead(rows, *addressed, *limit))
        });
        read.await
    }

    /// The event of a dead letter; `None` if there is none of that id, or its row is no event any more.
    ///
    /// # Errors
    /// [`Error::Environment`]: ask again later.
    pub async fn dead_event(&self, id: &str) -> Result<Option<Event>, Error> {
        let Some(at) = parking::number_in(id, self.name()) else { return Ok(None) };
        let Some(origin) = self.database.origin() else { return Ok(None) };
        let given = (origin, at);
        let read = self
            .database
            .read(&given, |(origin, at), rows| Box::pin(stepped::dead_event(rows, *origin, *at)));
        read.await
    }

    /// Has a dead letter published after all, as a new event: the newest of its key. `false` if
    /// there is none of that id. If the broker still does not take it, it is a dead letter again.
    ///
    /// # Errors
    /// [`Error::Environment`]: nothing was done, ask again later.
    pub async fn redrive(&self, id: &str) -> Result<bool, Error> {
        let Some(at) = parking::number_in(id, self.name()) else { return Ok(false) };
        self.database.write(at, |at, tx| Box::pin(redrive(tx, *at))).await
    }

    /// Drops a dead letter, with a note that it was; `false` if there is none of that id.
    ///
    /// # Errors
    /// [`Error::Limit`]: no room for the note. [`Error::Environment`]: nothing was done, ask again.
    pub async fn discard(&self, id: &str, by: &str) -> Result<bool, Error> {
        let all = usize::try_from(stepped::OUTBOX_DEAD_MAX).unwrap_or(usize::MAX);
        let letter = self.dead(all).await?;
        let Some(letter) = letter.into_iter().find(|letter| letter.id == id) else {
            return Ok(false);
        };
        let Some(at) = parking::number_in(id, self.name()) else { return Ok(false) };
        let skipped = Skipped {
            event: self.dead_event(id).await?.map(|event| event.id),
            key: Some(letter.key),
            ..self.skipped_from("letter", at, letter.reason, by)
        };
        let work = self
            .database
            .write((at, skipped), |(at, skipped), tx| Box::pin(discard(tx, *at, skipped)));
        work.await
    }

    /// Steps over the row that stops it because it is no event any more, or over the numbers whose rows
    /// are missing. `None` if none does: what is sound is never skipped. A row that cannot even be
    /// named (a page of the file is hurt) is not stepped over: restore a backup.
    ///
    /// # Errors
    /// [`Error::Limit`]: no room for the note. [`Error::Environment`]: nothing was done, ask again.
    pub async fn skip(&self, by: &str) -> Result<Option<Skipped>, Error> {
        for partition in self.publishes.partitions.each() {
            if let Some(skipped) = self.skip_in(partition, by).await? {
                return Ok(Some(skipped));
            }
        }
        Ok(None)
    }

    async fn skip_in(&self, partition: Partition, by: &str) -> Result<Option<Skipped>, Error> {
        let published = self.published(partition).await?;
        // What is lost for good the relay has passed already.
        let relayed = self.database.relay_progress(partition).borrow().relayed;
        let after = Numbered { partition, number: published.max(relayed) };
        let Err(error) = self.database.waiting_whole(after, 1).await else { return Ok(None) };
        // A page that cannot be read names no row: no row can be stepped over.
        let Error::Damaged { from: from @ 1.., to, what: reason, .. } = error else {
            return Err(error);
        };
        let last = to.min(from + stepped::PASSED_MAX - 1);
        let first = Numbered { partition, number: from };
        // One row has one id; of a stretch of missing ones nobody knows which were events.
        let event = if from == last { Some(self.database.id_of(first).await?) } else { None };
        let skipped = Skipped { last, event, ..self.skipped_from("outbox", first, reason, by) };
        let given = (first, skipped.clone());
        let work =
            self.database.write(given, |(first, skipped), tx| Box::pin(pass(tx, *first, skipped)));
        work.await?;
        Ok(Some(skipped))
    }

    /// How many events of the outbox the broker does not have, dead letters not counted: asked now, whether
    /// or not the relay runs.
    ///
    /// # Errors
    /// [`Error::Environment`]: ask again later.
    pub async fn unrelayed(&self) -> Result<u64, Error> {
        let mut unrelayed = 0;
        for Publisher { partition, relayed, published, .. } in self.publishers().await? {
            // What it passed at the end as a letter, the broker has not.
            let number = published.max(relayed);
            unrelayed += self.database.lag(Numbered { partition, number });
        }
        Ok(unrelayed)
    }

    /// What it has to do with in each partition, for [`agreement`](crate::agreement).
    pub(crate) async fn publishers(&self) -> Result<Vec<Publisher>, Error> {
        let mut publishers = Vec::new();
        for partition in self.publishes.partitions.each() {
            let published = self.published(partition).await?;
            publishers
                .extend(self.database.publisher(Numbered { partition, number: published }).await?);
        }
        Ok(publishers)
    }

    /// How far the broker has this source; what the relay noted, where it does not count.
    async fn published(&self, partition: Partition) -> Result<u64, Error> {
        let Publishes { source, topic, .. } = &self.publishes;
        let published = self.broker.published(&topic.at(partition), source).await?;
        Ok(published.unwrap_or_else(|| self.database.relayed_up_to(partition)))
    }

    /// Everything that was stepped over or dropped, oldest first.
    ///
    /// # Errors
    /// [`Error::Environment`]: ask again later.
    pub async fn skipped(&self) -> Result<Vec<Skipped>, Error> {
        self.database.read(self.name(), |name, rows| Box::pin(notes::all(rows, name))).await
    }

    /// A note on the row of this number, as yet without event and key.
    fn skipped_from(&self, kind: &str, at: Numbered, reason: String, by: &str) -> Skipped {
        let blank = Skipped::blank(self.name(), kind, at, self.database.now());
        Skipped { reason, by: by.to_owned(), ..blank }
    }
}

/// The letter ends and its copy begins in one transaction: never both, never neither.
async fn redrive(tx: &mut Tx<'_>, at: Numbered) -> Result<bool, Error> {
    let known = stepped::end(tx, at).await?;
    if known {
        tx.publish_again(at).await?;
    }
    Ok(known)
}

async fn discard(tx: &mut Tx<'_>, at: Numbered, skipped: &Skipped) -> Result<bool, Error> {
    let known = stepped::end(tx, at).await?;
    if known {
        tx.note(skipped).await?;
    }
    Ok(known)
}

async fn pass(tx: &mut Tx<'_>, first: Numbered, skipped: &Skipped) -> Result<(), Error> {
    let now = tx.now();
    stepped::pass(tx, first, skipped.last, &skipped.reason, now).await?;
    tx.note(skipped).await
}
