//! From a service's outbox to the broker: in sequence, woken by the commit, nothing left out.
//!
//! It keeps no position of its own that could be wrong: after a start, and after every trouble, it
//! asks the broker how far this source is stored and goes on there. That makes a crash between
//! publish and note harmless, and a log that lost its tail is filled again from the rows the outbox
//! keeps. What cannot be filled again is reported with its sequences.
//!
//! It does not decide what is published, and there is one relay per outbox.

#[cfg(test)]
mod tests;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::store::sqlite::{Database, Publishes};
use crate::wait::{Backoff, resumed};
use crate::{Broker, Error};

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

/// How a relay is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// The highest outbox sequence that the broker has.
    pub relayed: u64,
    /// Trouble, in words; `None` while all is well.
    pub stuck: Option<String>,
    /// What was found lost and cannot be brought back, in words. Stays until the next start.
    pub lost: Option<String>,
}

impl Relay {
    /// A relay from the outbox of `database` to the topic it was opened with.
    pub fn new(database: Database, broker: Arc<dyn Broker>) -> Relay {
        let never = watch::Sender::new(false).subscribe();
        Relay { database, broker, paused: never, status: watch::Sender::default() }
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
            self.status.send_modify(|status| status.stuck = Some(trouble.to_string()));
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

    /// Publishes one batch after `after`; the sequence up to which all is published.
    async fn step(&self, publishes: &Publishes, after: u64) -> Result<u64, Error> {
        let events = self.database.waiting(after, RELAY_BATCH_MAX)?;
        let Some(last) = events.last().and_then(|event| event.outbox_sequence) else {
            return Ok(after);
        };
        self.broker.publish(&publishes.topic, events).await?;
        Ok(last)
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
        Ok(published)
    }

    fn tell_lost(&self, source: &str, from: u64, to: u64, what: &str) {
        let lost = Error::Damaged { topic: source.to_owned(), from, to, what: what.to_owned() }
            .to_string();
        tracing::error!(lost, "events are lost");
        self.status.send_modify(|status| status.lost = Some(lost));
    }

    fn tell(&self, relayed: u64) {
        self.database.relayed(relayed);
        let status = Status { relayed, stuck: None, lost: self.status.borrow().lost.clone() };
        self.status.send_if_modified(|before| {
            let changed = *before != status;
            *before = status;
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
