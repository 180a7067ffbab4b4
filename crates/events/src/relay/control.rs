//! What others may ask of a relay and do to it, while it runs or rests.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use tokio::sync::watch;

use super::status::Status;
use crate::broker::{Broker, Offset, Topic};
use crate::error::Error;
use crate::marks::Publisher;
use crate::parking::{self, DeadLetter};
use crate::store::skipped::{self, Skipped};
use crate::store::{Database, Publishes, stepped};
use crate::subscription::STUCK_AFTER;

/// A handle on a relay; [`Control::of`] its database.
#[derive(Clone)]
pub struct Control {
    name: Arc<str>,
    database: Database,
    publishes: Publishes,
    broker: Arc<dyn Broker>,
    paused: watch::Receiver<bool>,
    status: watch::Receiver<Status>,
    /// Where a look found it behind, and when it was first found there.
    behind: Arc<Mutex<Option<(u64, Timestamp)>>>,
}

/// How a relay is doing.
#[derive(Clone, Debug)]
pub struct Report {
    /// `outbox.order`.
    pub name: String,
    /// The topic it publishes to.
    pub topic: Topic,
    /// The highest outbox sequence that the broker has, or that was stepped over.
    pub relayed: u64,
    /// Everything committed up to this sequence has been dealt with.
    pub settled: u64,
    /// Events that wait in the outbox.
    pub lag: u64,
    /// Trouble, or no progress, in words; `None` while all is well.
    pub stuck: Option<String>,
    /// Since when it has been stuck.
    pub since: Option<Timestamp>,
    /// What was found lost and cannot be brought back, in words.
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
        let (name, status) = (name(&publishes).into(), database.relay_status().subscribe());
        let behind = Arc::default();
        Some(Control { name, database, publishes, broker, paused, status, behind })
    }

    /// `outbox.order`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it is doing. No progress is noticed between two looks [`STUCK_AFTER`] apart.
    pub fn status(&self) -> Report {
        let Status { relayed, settled, stuck, since, lost } = self.status.borrow().clone();
        let lag = self.database.lag(relayed);
        let still = self.still(relayed, lag);
        let (stuck, since) = match (stuck, still) {
            (Some(stuck), _) => (Some(stuck), since),
            (None, Some(since)) => {
                (Some(format!("no progress at number {relayed} since {since}")), Some(since))
            }
            (None, None) => (None, None),
        };
        let (name, topic) = (self.name.to_string(), self.publishes.topic.clone());
        // Under load it may never find nothing: what it has relayed is dealt with all the same.
        let settled = settled.max(relayed);
        Report { name, topic, relayed, settled, lag, stuck, since, lost }
    }

    /// Since when it has not moved, if that is too long; one that rests on purpose may.
    fn still(&self, relayed: u64, lag: u64) -> Option<Timestamp> {
        let now = self.database.now();
        let mut behind = self.behind.lock().unwrap_or_else(PoisonError::into_inner);
        if lag == 0 || *self.paused.borrow() {
            *behind = None;
            return None;
        }
        let since = match *behind {
            Some((same, since)) if same == relayed => since,
            _ => behind.insert((relayed, now)).1,
        };
        (now.duration_since(since).unsigned_abs() >= STUCK_AFTER).then_some(since)
    }

    /// Up to `limit` dead letters of the outbox, oldest first.
    ///
    /// # Errors
    /// [`Error::Environment`]: ask again later.
    pub fn dead(&self, limit: usize) -> Result<Vec<DeadLetter>, Error> {
        let Some(origin) = self.database.origin() else { return Ok(Vec::new()) };
        let whose = (self.name(), &self.publishes.topic);
        self.database.read(|sql| stepped::dead(sql, origin, whose, limit))
    }

    /// Has a dead letter published after all, as a new event: the newest of its key. `false` if
    /// there is none of that id. If the broker still does not take it, it is a dead letter again.
    ///
    /// # Errors
    /// [`Error::Environment`]: nothing was done, ask again later.
    pub async fn redrive(&self, id: &str) -> Result<bool, Error> {
        let Some(Offset(sequence)) = parking::offset_of(id, self.name()) else { return Ok(false) };
        let work = self.database.write::<_, Error>(move |write| {
            let known = stepped::end(write.sql(), sequence)?;
            if known {
                write.publish_again(sequence)?;
            }
            Ok(known)
        });
        work.await
    }

    /// Drops a dead letter, with a note that it was; `false` if there is none of that id.
    ///
    /// # Errors
    /// [`Error::Limit`]: no room for the note. [`Error::Environment`]: nothing was done, ask again.
    pub async fn discard(&self, id: &str, by: &str) -> Result<bool, Error> {
        let letter = self.dead(usize::try_from(stepped::OUTBOX_DEAD_MAX).unwrap_or(usize::MAX))?;
        let Some(letter) = letter.into_iter().find(|letter| letter.id == id) else {
            return Ok(false);
        };
        let Some(Offset(sequence)) = parking::offset_of(id, self.name()) else { return Ok(false) };
        let mut skipped = self.skipped_at(sequence, ("letter", letter.reason), by);
        (skipped.key, skipped.event) = (Some(letter.key), letter.event.map(|event| event.id));
        let work = self.database.write::<_, Error>(move |write| {
            let known = stepped::end(write.sql(), sequence)?;
            if known {
                skipped::note(write.sql(), &skipped)?;
            }
            Ok(known)
        });
        work.await
    }

    /// Steps over the row that stops it because it is no event any more. `None` if none does.
    ///
    /// # Errors
    /// [`Error::Limit`]: no room for the note. [`Error::Environment`]: nothing was done, ask again.
    pub async fn skip(&self, by: &str) -> Result<Option<Skipped>, Error> {
        let published = self.broker.published(&self.publishes.topic, &self.publishes.source);
        // What is lost for good the relay has passed already.
        let after = published.await?.max(self.status.borrow().relayed);
        let (first, last, reason) = match self.database.waiting_whole(after, 1) {
            Ok(_) => return Ok(None),
            // A page that cannot be read names no row: no row can be stepped over.
            Err(Error::Damaged { from, to, what, .. }) if from > 0 => (from, to, what),
            Err(error) => return Err(error),
        };
        let mut skipped = self.skipped_at(first, ("outbox", reason), by);
        skipped.last = last;
        skipped.event =
            self.database.origin().filter(|_| first == last).map(|origin| origin.id(first));
        let note = skipped.clone();
        let work = self.database.write::<_, Error>(move |write| {
            stepped::pass(write.sql(), (first, last), &note.reason, write.now())?;
            skipped::note(write.sql(), &note)
        });
        work.await?;
        Ok(Some(skipped))
    }

    /// What it has to do with, for [`agreement`](crate::agreement).
    pub(crate) async fn publisher(&self) -> Result<Publisher, Error> {
        let Publishes { source, topic } = &self.publishes;
        let published = self.broker.published(topic, source).await?;
        Ok(self.database.publisher(published)?.expect("a relay's database publishes"))
    }

    /// Everything that was stepped over or dropped, oldest first.
    ///
    /// # Errors
    /// [`Error::Environment`]: ask again later.
    pub fn skipped(&self) -> Result<Vec<Skipped>, Error> {
        self.database.read(|sql| skipped::all(sql, self.name()))
    }

    fn skipped_at(&self, sequence: u64, (kind, reason): (&str, String), by: &str) -> Skipped {
        Skipped {
            name: self.name().to_owned(),
            kind: kind.to_owned(),
            first: sequence,
            last: sequence,
            event: None,
            key: None,
            reason,
            at: skipped::moment(self.database.now()),
            by: by.to_owned(),
        }
    }
}
