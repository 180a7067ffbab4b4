//! One partition of an outbox on its way to the broker: the loop that the [header above](super) describes.

use std::future::Future;
use std::ops::RangeInclusive;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::{RELAY_BATCH_MAX, control};
use crate::broker::Broker;
use crate::error::Error;
use crate::event::Event;
use crate::parking::how_to_skip;
use crate::partition::numbers::Numbers;
use crate::partition::{Numbered, Partition};
use crate::relay_progress::Progress;
use crate::standing::{Standing, standing};
use crate::store::database::Database;
use crate::store::options::{LeaseOutcome, Publishes};
use crate::store::stepped;
use crate::topic::TopicPartition;
use crate::trouble::Trouble;
use crate::wait::{Backoff, resumed};

/// How long the relay rests before it saves how far it got, if nobody else writes meanwhile.
const SAVED_AFTER: Duration = Duration::from_secs(1);

/// How long a relay stands by before it looks again whether a partition is its own to relay.
const STOOD_BY: Duration = Duration::from_secs(1);

/// Carries one partition of it.
pub(super) struct Lane {
    pub(super) database: Database,
    pub(super) broker: Arc<dyn Broker>,
    pub(super) paused: watch::Receiver<bool>,
    pub(super) publishes: Publishes,
    pub(super) at: TopicPartition,
}

/// How far a relay got.
#[derive(Clone, Copy)]
struct Reached {
    /// All up to here is dealt with.
    after: u64,
    /// The last that was published, and no letter: what the next one is chained to.
    published: u64,
}

/// Says in each event which one was published before it.
fn chain(events: &mut [Event], published: u64) {
    let mut previous = published;
    for event in events {
        event.outbox_previous = Some(previous);
        previous = event.outbox_sequence.unwrap_or(previous);
    }
}

/// What becomes of a loop that ends before its time, by a panic or because nobody waits for it any more: others may
/// relay in its place, and a panic is said.
struct Unfinished {
    database: Database,
    partition: Partition,
    is_done: bool,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if self.is_done {
            return;
        }
        self.database.drop_leases();
        if std::thread::panicking() {
            let says = "its loop panicked, and does not come back before the next start";
            let (stuck, now) = (Trouble::lasting(says.to_owned()), self.database.now());
            let status = self.database.relay_progress(self.partition);
            status.send_modify(|status| status.set_stuck(stuck, now));
        }
    }
}

impl Lane {
    /// Until `stop` resolves.
    pub(super) async fn run(mut self, stop: impl Future<Output = ()> + Send) {
        let (database, partition) = (self.database.clone(), self.at.partition);
        let mut unfinished = Unfinished { database, partition, is_done: false };
        self.run_until(stop).await;
        unfinished.is_done = true;
    }

    async fn run_until(&mut self, stop: impl Future<Output = ()> + Send) {
        let mut stop = pin!(stop);
        let mut backoff = Backoff::new();
        loop {
            let trouble = match self.relay(stop.as_mut(), &mut backoff).await {
                Ok(()) => return,
                Err(error) => error,
            };
            let (source, at) = (&self.publishes.source, &self.at);
            tracing::warn!(source, %at, error = %trouble, "the relay waits");
            self.record_trouble(&trouble);
            tokio::select! {
                () = stop.as_mut() => return,
                () = tokio::time::sleep(backoff.next()) => {}
            }
        }
    }

    /// One run: relays until it is stopped or meets trouble.
    async fn relay(
        &mut self,
        mut stop: std::pin::Pin<&mut (impl Future<Output = ()> + Send)>,
        backoff: &mut Backoff,
    ) -> Result<(), Error> {
        let mut committed = self.database.committed();
        // Nothing is known of the broker yet. Trouble ends this run, and with it what was known.
        let mut last = None;
        loop {
            // Stop is asked first: a relay that is both stopped and paused ends.
            tokio::select! {
                biased;
                () = stop.as_mut() => return Ok(()),
                () = resumed(&mut self.paused) => {}
            }
            let lease = self.database.take_lease(self.at.partition).await?;
            self.record_whose(lease != LeaseOutcome::Anothers);
            if lease != LeaseOutcome::Had {
                // Another instance relays it, or may have meanwhile: what is known of the broker is old.
                last = None;
            }
            if lease == LeaseOutcome::Anothers {
                tokio::select! {
                    () = stop.as_mut() => return Ok(()),
                    () = tokio::time::sleep(STOOD_BY) => continue,
                }
            }
            let before = match last {
                Some(before) => before,
                None => self.begin().await?,
            };
            // Before the read: what is committed from here on wakes the rest below.
            let seen = committed.borrow().of(self.at.partition);
            let reached = self.step(seen, before).await?;
            backoff.reset();
            self.record(reached.after);
            self.database.save_if_due(self.at.partition).await?;
            last = Some(reached);
            let newest = committed.borrow().of(self.at.partition);
            // At the newest that anybody knows of there is nothing to look for: what comes wakes it.
            let is_at_the_end = reached.after == newest;
            let seen = if is_at_the_end { newest } else { seen };
            if is_at_the_end {
                self.settle(newest);
            }
            // Nothing was left. After anything else there may be more, and nobody needs to wake it.
            if is_at_the_end || reached.after == before.after {
                tokio::select! {
                    () = stop.as_mut() => return Ok(()),
                    more = self.rest(&mut committed, seen) => more?,
                }
            }
        }
    }

    /// Where it begins, once the broker has been asked.
    async fn begin(&self) -> Result<Reached, Error> {
        let before = self.reconcile().await?;
        // Known before the first batch, which may be what it gets stuck at.
        self.progress().send_if_modified(|status| {
            std::mem::replace(&mut status.relayed, before.after) != before.after
        });
        Ok(before)
    }

    /// Whether this instance relays it. One that stands by has no trouble of its own.
    fn record_whose(&self, is_own: bool) {
        self.progress().send_if_modified(|it| {
            let before = it.clone();
            it.elsewhere = !is_own;
            if it.elsewhere {
                it.set_well();
            }
            *it != before
        });
    }

    /// Publishes one batch; how far that got. `committed` was noted before: what came since will be looked at again.
    async fn step(&self, committed: u64, before: Reached) -> Result<Reached, Error> {
        let Reached { after, published } = before;
        let mut limit = RELAY_BATCH_MAX;
        loop {
            let mut events = self.database.waiting_whole(self.number(after), limit).await?;
            chain(&mut events, published);
            // Nothing waits: all that was committed before the read is dealt with.
            let Some(last) = events.last().and_then(|event| event.outbox_sequence) else {
                self.settle(committed);
                return Ok(before);
            };
            let count = events.len();
            match self.broker.publish(&self.at, events).await {
                Ok(_) => return Ok(Reached { after: last, published: last }),
                // Half as many, from the same place: the one that is refused comes to stand alone.
                Err(refused) if refused.is_of_the_event() && count > 1 => limit = count / 2,
                // It stands alone and is refused for what it is, today and for ever.
                Err(refused) if refused.is_of_the_event() => {
                    self.bury(last, &refused).await?;
                    return Ok(Reached { after: last, published });
                }
                // The broker's trouble and not the event's: the run ends, and asks the broker anew.
                Err(error) => return Err(error),
            }
        }
    }

    /// All that was committed up to here is dealt with.
    fn settle(&self, committed: u64) {
        self.progress()
            .send_if_modified(|it| std::mem::replace(&mut it.settled, committed) != committed);
    }

    /// Makes an event that no broker takes a dead letter of the outbox.
    async fn bury(&self, sequence: u64, why: &Error) -> Result<(), Error> {
        let (source, reason) = (&self.publishes.source, why.to_string());
        let at = self.number(sequence);
        tracing::error!(source, %at, reason, "an event that no broker takes is a dead letter");
        let work = self.database.write((at, reason), |(at, reason), tx| {
            let now = tx.now();
            Box::pin(stepped::bury(tx, *at, reason, now))
        });
        work.await
    }

    /// Asks the broker how far it is, and reports what does not fit.
    async fn reconcile(&self) -> Result<Reached, Error> {
        let counted = self.broker.published(&self.at, &self.publishes.source).await?;
        let published = match counted {
            Some(published) => published,
            None => self.noted_or_above().await?,
        };
        let found = self.database.reconcile(self.number(published)).await?;
        let source = &self.at.partition.of(&self.publishes.source);
        // The service's file is older than the log: numbering went on above what the log has.
        if let Some(lost) = found.outbox_lost {
            self.record_lost(source, &lost, "the outbox ends before what the log holds of it");
        }
        // The log is older than the outbox: what is kept is published again, from `published` on.
        if let Some(lost) = found.log_lost {
            let topic = &self.at;
            let (from, to) = (lost.start(), lost.end());
            tracing::error!(%topic, source, from, to, "the log lost events; mending from the outbox");
        }
        let Some(gone) = found.unmendable else {
            let before = match counted {
                Some(published) => published,
                // What was noted last may have become a letter, which nobody received.
                None => self.database.newest_published(self.number(published)).await?,
            };
            return Ok(Reached { after: published, published: before });
        };
        self.record_lost(source, &gone, "the log lost events that the outbox keeps no more");
        // What cannot be brought back is on record; the relay goes on behind it.
        Ok(Reached { after: *gone.end(), published: *gone.end() })
    }

    /// How far it got by its own note, where a broker does not count. Numbers that are there and were never given here belong
    /// to another life of the store: what has them here gets others first.
    async fn noted_or_above(&self) -> Result<u64, Error> {
        let found = self.broker.newest_ids(&self.at, &self.publishes.source).await?;
        let relayed = self.database.relayed_up_to(self.at.partition);
        let found = found.into_iter().filter(|it| it.number > relayed).collect();
        let seen = self.database.compared(self.at.partition, found).await?;
        let Standing::GivenTwice { after, newest } = standing(relayed, &seen) else {
            return Ok(relayed);
        };
        // A folder that was put back numbers above it from its start on.
        if self.database.is_above(self.number(after), newest).await? {
            return Ok(relayed);
        }
        self.database.move_up(self.number(after), newest).await?;
        let source = &self.at.partition.of(&self.publishes.source);
        self.record_lost(
            source,
            &(after + 1..=newest),
            "the outbox ends before what the broker has of it",
        );
        Ok(newest)
    }

    /// What is gone stays in the status until the next start: nobody is to overlook it.
    fn record_lost(&self, source: &str, lost: &RangeInclusive<u64>, what: &str) {
        let (topic, what) = (source.to_owned(), what.to_owned());
        let lost = Error::Damaged { topic, from: *lost.start(), to: *lost.end(), what }.to_string();
        tracing::error!(lost, "events are lost");
        self.progress().send_modify(|status| status.lost = Some(lost));
    }

    /// Why it does not go on, and since when.
    fn record_trouble(&self, trouble: &Error) {
        let stuck = match trouble {
            // Nothing but an operator ends this one, so it names the command.
            Error::Damaged { .. } => {
                format!("{trouble}; {}", how_to_skip(&control::name(&self.publishes)))
            }
            _ => trouble.to_string(),
        };
        let (stuck, now) = (Trouble::of(trouble, stuck), self.database.now());
        self.progress().send_modify(|status| status.set_stuck(stuck, now));
    }

    /// How far it is, and that all is well. Followers wake only if that is news.
    fn record(&self, relayed: u64) {
        self.database.relayed(self.number(relayed));
        self.progress().send_if_modified(|status| {
            let changed = status.relayed != relayed || status.stuck.is_some();
            status.relayed = relayed;
            status.set_well();
            changed
        });
    }

    /// Waits for a commit in its partition after `seen`; saves how far it got if none comes for a while.
    async fn rest(&self, committed: &mut watch::Receiver<Numbers>, seen: u64) -> Result<(), Error> {
        let partition = self.at.partition;
        let more = |committed: &Numbers| committed.of(partition) != seen;
        tokio::select! {
            more = committed.wait_for(more) => return more.map(drop).map_err(|_| Error::Closed),
            () = tokio::time::sleep(SAVED_AFTER) => {}
        }
        self.database.save_relayed().await?;
        // Where others may take the lease over it is looked at again; else nothing but a commit ends the rest.
        let look = async {
            match self.database.followed_every() {
                Some(_) => tokio::time::sleep(STOOD_BY).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            more = committed.wait_for(more) => more.map(drop).map_err(|_| Error::Closed),
            () = look => Ok(()),
        }
    }

    fn number(&self, number: u64) -> Numbered {
        Numbered { partition: self.at.partition, number }
    }

    fn progress(&self) -> &watch::Sender<Progress> {
        self.database.relay_progress(self.at.partition)
    }
}
