//! The loop of a running subscription: retry what is due, take what is new, wait for either.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use super::control::Shared;
use super::delivery::Plan;
use super::{BATCH_MAX, Handler};
use crate::broker::Offset;
use crate::error::Error;
use crate::parking::how_to_skip;
use crate::store::inbox::{self, Place};
use crate::store::parked;
use crate::wait::{BACKOFF_MAX, Backoff, resumed};

pub(super) struct Consumer<H: Handler> {
    plan: Arc<Plan<H>>,
    shared: Shared,
}

/// What one look at the topic came to.
enum Look {
    /// Something was taken, or the position was moved: look again at once.
    Moved,
    /// There is nothing new.
    Idle,
    /// There is no room to park in.
    Full,
}

impl<H: Handler> Consumer<H> {
    pub(super) fn new(plan: Plan<H>, shared: Shared) -> Consumer<H> {
        Consumer { plan: Arc::new(plan), shared }
    }

    pub(super) async fn run(mut self, stop: impl Future<Output = ()> + Send) {
        let mut stop = pin!(stop);
        let mut backoff = Backoff::new();
        loop {
            let trouble = match self.consume(stop.as_mut(), &mut backoff).await {
                Ok(()) => return,
                Err(error) => error,
            };
            tracing::warn!(subscription = &*self.shared.name, error = %trouble, "waiting");
            self.shared.set_trouble(Some(self.told(&trouble)));
            tokio::select! {
                () = stop.as_mut() => return,
                () = tokio::time::sleep(backoff.next()) => {}
            }
        }
    }

    /// What holds it up, with the command that steps over it where one does.
    fn told(&self, trouble: &Error) -> String {
        match trouble {
            Error::Damaged { .. } => format!("{trouble}; {}", how_to_skip(&self.shared.name)),
            _ => trouble.to_string(),
        }
    }

    /// Consumes until it is told to stop or meets trouble.
    async fn consume(
        &mut self,
        mut stop: Pin<&mut (impl Future<Output = ()> + Send)>,
        backoff: &mut Backoff,
    ) -> Result<(), Error> {
        let mut end = self.shared.broker.watch(&self.shared.topic)?;
        let mut position = self.recover().await?;
        self.mend_parked().await?;
        loop {
            tokio::select! {
                biased;
                () = stop.as_mut() => return Ok(()),
                () = resumed(&mut self.shared.paused) => {}
            }
            end.mark_unchanged();
            let more = self.retry().await?;
            let look = self.look(&mut position).await?;
            self.tell(&look, position, backoff);
            if more || matches!(look, Look::Moved) {
                continue;
            }
            let pause = self.until_due()?;
            tokio::select! {
                () = stop.as_mut() => return Ok(()),
                // Without room a new event is no reason to look: a parked one has to go first.
                more = end.changed(), if matches!(look, Look::Idle) => {
                    more.map_err(|_| Error::Closed)?;
                }
                () = self.shared.poked.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
            position = self.shared.place()?.position;
        }
    }

    /// The stored position, if the log still is what was read of it. Otherwise the beginning: the
    /// marks keep every effect from happening twice, and nothing genuinely new is passed over.
    async fn recover(&self) -> Result<Offset, Error> {
        let place = self.shared.place()?;
        let end = self.shared.broker.end(&self.shared.topic)?;
        let Some(damage) = self.damage(&place, end).await? else { return Ok(place.position) };
        let (subscription, what) = (&*self.shared.name, damage.to_string());
        tracing::error!(subscription, what, "the log is not what was read of it; reading it again");
        self.shared.set_damage(place.position, what);
        let name = Arc::clone(&self.shared.name);
        let work = self
            .shared
            .database
            .write::<_, Error>(move |write| inbox::rewind_shortened(write.sql(), &name, end));
        work.await?;
        Ok(Offset::BEGINNING)
    }

    /// Has every parked key go on that waits for nothing a pause could bring.
    async fn mend_parked(&self) -> Result<(), Error> {
        let (name, pause) = (Arc::clone(&self.shared.name), self.plan.retry.backoff);
        let work = self.shared.database.write::<_, Error>(move |write| {
            let now = write.now();
            let latest = now.checked_add(pause).unwrap_or(jiff::Timestamp::MAX);
            parked::mend(write.sql(), &name, (now, latest))
        });
        let mended = work.await?;
        if mended > 0 {
            let subscription = &*self.shared.name;
            tracing::warn!(subscription, mended, "parked keys waited for nothing: tried again");
        }
        Ok(())
    }

    async fn damage(&self, place: &Place, end: Offset) -> Result<Option<Error>, Error> {
        let damaged = |from, what: &str| Error::Damaged {
            topic: self.shared.topic.to_string(),
            from,
            to: place.position.0,
            what: what.to_owned(),
        };
        if place.position > end {
            return Ok(Some(damaged(end.0 + 1, "the log ends before what was read of it")));
        }
        let Some(before) = place.position.0.checked_sub(1) else { return Ok(None) };
        let there = self.shared.broker.read(&self.shared.topic, Offset(before), 1).await;
        match there {
            Err(error) if error.is_environment() => Err(error),
            // Hurt, but it was read once: whoever comes next will say so.
            Err(_) => Ok(None),
            Ok(events) => {
                let same = |it: &crate::broker::Stored| Place::of(it) == *place;
                let other = !events.first().is_some_and(same);
                Ok(other.then(|| damaged(place.position.0, "another event is where it was read")))
            }
        }
    }

    /// Tries what is due; whether more may be.
    async fn retry(&self) -> Result<bool, Error> {
        let due = self.shared.database.read(|sql| parked::next_due(sql, &self.shared.name))?;
        if due.is_none_or(|due| due > (self.shared.clock)()) {
            return Ok(false);
        }
        let plan = Arc::clone(&self.plan);
        let retried = self.shared.database.write(move |write| plan.retry(write)).await?;
        self.plan.committed(retried.batches);
        Ok(retried.more)
    }

    /// Takes the next batch.
    async fn look(&self, position: &mut Offset) -> Result<Look, Error> {
        let after = *position;
        let events = self.shared.broker.read(&self.shared.topic, after, BATCH_MAX).await?;
        if events.is_empty() {
            return Ok(Look::Idle);
        }
        let plan = Arc::clone(&self.plan);
        let work = self.shared.database.write(move |write| plan.deliver(write, after, &events));
        let delivered = work.await?;
        self.plan.committed(delivered.batches);
        *position = delivered.position;
        Ok(if delivered.full { Look::Full } else { Look::Moved })
    }

    fn tell(&self, look: &Look, position: Offset, backoff: &mut Backoff) {
        backoff.reset();
        self.shared.arrived(position);
        let full = matches!(look, Look::Full);
        self.shared.set_trouble(full.then(|| {
            format!("no new events are taken: {} are parked", crate::parking::PARKED_MAX)
        }));
    }

    /// How long until an event is due, at most [`BACKOFF_MAX`]: the clock may be set meanwhile.
    fn until_due(&self) -> Result<Duration, Error> {
        let due = self.shared.database.read(|sql| parked::next_due(sql, &self.shared.name))?;
        let Some(due) = due else { return Ok(BACKOFF_MAX) };
        let left = due.duration_since((self.shared.clock)());
        Ok(Duration::try_from(left).unwrap_or(Duration::ZERO).min(BACKOFF_MAX))
    }
}
