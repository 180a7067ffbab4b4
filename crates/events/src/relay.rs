//! From a service's outbox to the broker: in sequence, woken by the commit, nothing left out.
//!
//! It keeps no position of its own that could be wrong: after a start, and after every trouble, it
//! asks the broker how far this source is stored and goes on there. That makes a crash between
//! publish and note harmless, and a log that lost its tail is filled again from the rows the outbox
//! keeps. What cannot be filled again is reported with its sequences.
//!
//! A batch is bounded by count and by bytes. One that the broker refuses is halved until the event is
//! found that no broker takes: that becomes a dead letter of the outbox, and the relay goes on. A row
//! that is no event any more stops it: that is damage, and only a hand may step over it.
//!
//! It does not decide what is published, and there is one relay per outbox.

mod control;
pub(crate) mod status;

#[cfg(test)]
mod tests;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::broker::Broker;
use crate::error::Error;
use crate::parking::how_to_skip;
use crate::store::{Database, Publishes, stepped};
use crate::wait::{Backoff, resumed};

pub use control::{Control, Report};
pub use status::Status;

/// Events relayed in one publish at most.
pub const RELAY_BATCH_MAX: usize = 500;

/// How long the relay rests before it saves how far it got, if nobody else writes meanwhile.
const SAVED_AFTER: Duration = Duration::from_secs(1);

/// Carries one outbox to the broker.
pub struct Relay {
    database: Database,
    broker: Arc<dyn Broker>,
    paused: watch::Receiver<bool>,
    status: watch::Sender<Status>,
}

impl Relay {
    /// A relay from the outbox of `database` to the topic it was opened with.
    pub fn new(database: Database, broker: Arc<dyn Broker>) -> Relay {
        let never = watch::Sender::new(false).subscribe();
        // One relay per outbox: what it tells is the database's, for whoever has a handle on that.
        let status = database.relay_status().clone();
        status.send_replace(Status::default());
        Relay { database, broker, paused: never, status }
    }

    /// Rests while `paused` says so; what is committed meanwhile waits.
    #[must_use]
    pub fn paused(mut self, paused: watch::Receiver<bool>) -> Relay {
        self.paused = paused;
        self
    }

    /// Follows how it is doing.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// Relays until `stop` resolves; a publish under way is finished first. Returns at once for a
    /// database that publishes nothing.
    pub async fn run(mut self, stop: impl Future<Output = ()> + Send) {
        let Some(publishes) = self.database.publishes().cloned() else { return };
        let mut stop = pin!(stop);
        let mut backoff = Backoff::new();
        loop {
            let trouble = match self.relay(&publishes, stop.as_mut(), &mut backoff).await {
                Ok(()) => break,
                Err(error) => error,
            };
            tracing::warn!(source = publishes.source, error = %trouble, "the relay waits");
            self.tell_trouble(&publishes, &trouble);
            tokio::select! {
                () = stop.as_mut() => break,
                () = tokio::time::sleep(backoff.next()) => {}
            }
        }
        // Only a hint is lost with this: the broker is asked at the next start anyway.
        let _ = self.database.save_relayed().await;
    }

    /// Relays until it is told to stop or meets trouble.
    async fn relay(
        &mut self,
        publishes: &Publishes,
        mut stop: std::pin::Pin<&mut (impl Future<Output = ()> + Send)>,
        backoff: &mut Backoff,
    ) -> Result<(), Error> {
        let mut committed = self.database.committed();
        let mut last = None;
        loop {
            tokio::select! {
                biased;
                () = stop.as_mut() => return Ok(()),
                () = resumed(&mut self.paused) => {}
            }
            let after = match last {
                Some(after) => after,
                None => self.reconcile(publishes).await?,
            };
            committed.mark_unchanged();
            let relayed = self.step(publishes, after).await?;
            backoff.reset();
            self.tell(relayed);
            last = Some(relayed);
            if relayed == after {
                tokio::select! {
                    () = stop.as_mut() => return Ok(()),
                    more = self.rest(&mut committed) => more?,
                }
            }
        }
    }

    /// Publishes one batch after `after`; the sequence up to which all is dealt with.
    async fn step(&self, publishes: &Publishes, after: u64) -> Result<u64, Error> {
        // Read first: what is committed from here on will be looked at again.
        let committed = *self.database.committed().borrow();
        let mut limit = RELAY_BATCH_MAX;
        loop {
            let events = self.database.waiting_whole(after, limit)?;
            let Some(last) = events.last().and_then(|event| event.outbox_sequence) else {
                self.status.send_if_modified(|it| {
                    std::mem::replace(&mut it.settled, committed) != committed
                });
                return Ok(after);
            };
            let count = events.len();
            match self.broker.publish(&publishes.topic, events).await {
                Ok(_) => return Ok(last),
                // Half as many, from the same place: the one that is refused comes to stand alone.
                Err(refused) if refused.is_of_the_event() && count > 1 => limit = count / 2,
                Err(refused) if refused.is_of_the_event() => {
                    self.bury(publishes, last, &refused).await?;
                    return Ok(last);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Makes an event that no broker takes a dead letter of the outbox.
    async fn bury(&self, publishes: &Publishes, sequence: u64, why: &Error) -> Result<(), Error> {
        let (source, reason) = (&publishes.source, why.to_string());
        tracing::error!(source, sequence, reason, "an event that no broker takes is a dead letter");
        let work = self.database.write::<_, Error>(move |write| {
            stepped::bury(write.sql(), sequence, &reason, write.now())
        });
        work.await
    }

    /// Asks the broker how far it is, and reports what does not fit.
    async fn reconcile(&self, publishes: &Publishes) -> Result<u64, Error> {
        let published = self.broker.published(&publishes.topic, &publishes.source).await?;
        let found = self.database.reconcile(published).await?;
        let source = &publishes.source;
        if let Some((from, to)) = found.outbox_lost {
            self.tell_lost(source, from, to, "the outbox ends before what the log holds of it");
        }
        if let Some((from, to)) = found.log_lost {
            let topic = &publishes.topic;
            tracing::error!(%topic, source, from, to, "the log lost events; mending from the outbox");
        }
        if let Some((from, to)) = found.unmendable {
            self.tell_lost(source, from, to, "the log lost events that the outbox keeps no more");
        }
        // What cannot be brought back is told; the relay goes on behind it.
        Ok(found.unmendable.map_or(published, |(_, to)| to))
    }

    fn tell_lost(&self, source: &str, from: u64, to: u64, what: &str) {
        let lost = Error::Damaged { topic: source.to_owned(), from, to, what: what.to_owned() }
            .to_string();
        tracing::error!(lost, "events are lost");
        self.status.send_modify(|status| status.lost = Some(lost));
    }

    fn tell_trouble(&self, publishes: &Publishes, trouble: &Error) {
        let told = match trouble {
            Error::Damaged { .. } => {
                format!("{trouble}; {}", how_to_skip(&control::name(publishes)))
            }
            _ => trouble.to_string(),
        };
        let now = self.database.now();
        self.status.send_modify(|status| {
            status.stuck = Some(told);
            status.since.get_or_insert(now);
        });
    }

    fn tell(&self, relayed: u64) {
        self.database.relayed(relayed);
        self.status.send_if_modified(|status| {
            let changed = status.relayed != relayed || status.stuck.is_some();
            (status.relayed, status.stuck, status.since) = (relayed, None, None);
            changed
        });
    }

    /// Waits for a commit; saves how far it got if none comes for a while.
    async fn rest(&self, committed: &mut watch::Receiver<u64>) -> Result<(), Error> {
        tokio::select! {
            more = committed.changed() => return more.map_err(|_| Error::Closed),
            () = tokio::time::sleep(SAVED_AFTER) => {}
        }
        self.database.save_relayed().await?;
        committed.changed().await.map_err(|_| Error::Closed)
    }
}
