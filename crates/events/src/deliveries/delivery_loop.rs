//! The loop of one partition's deliveries: read ahead, give out, take answers, write them.
//!
//! It is one task that owns all of the partition's state ([`Round`]); attempts are tasks of their own, and a commit is a
//! future beside them. So nothing waits for anything else: while a subscriber thinks, others are answered, and while the
//! store syncs, events are delivered. What was answered meanwhile is the next commit.
//!
//! A run begins with what the store has and ends with trouble, with the partition, or because somebody changed the tables
//! so that it is not as the run knows it (a letter that was dropped, a move of the place; a redrive is only looked at): then
//! what is under way is waited for, written, and everything is read anew. There is one way to begin, used every time, and
//! one way to end.
//!
//! Who changes the tables in this process says so; from another instance nobody hears, so the loop looks for itself every
//! [`LOOK_EVERY`].

use std::future::{Future, pending, ready};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior};

use super::pace::PAUSE_MAX;
use super::round::{Arrival, Begun, Recipient, Round};
use super::settlement::Written;
use super::{Receiver, pull};
use crate::broker::Offset;
use crate::error::Error;
use crate::group::{Member, OwnedPartition};
use crate::store::delivery_runs;
use crate::subscription::beginning;
use crate::subscription::context::Lane;
use crate::subscription::trial::Trials;
use crate::wait::{BACKOFF_MAX, Backoff};

/// How late at most it sees what was changed in the store by another instance.
const LOOK_EVERY: Duration = BACKOFF_MAX;

/// How long attempts under way are waited for when the program stops: as long as its requests in flight are, and beside them.
const STOPPED_WITHIN: Duration = Duration::from_secs(10);

/// The same when another instance waits for the partition: less than an engine waits for it to be released (Kafka's group
/// 3 s), since by then that one has the place and what is answered later cannot be written.
const REVOKED_WITHIN: Duration = Duration::from_secs(2);

/// The deliveries of one partition.
pub(super) struct DeliveryLoop<R> {
    recipient: Recipient<R>,
    lane: Lane,
    member: Member,
    trials: Trials,
}

/// How a run came to its end without trouble.
#[derive(Clone, Copy, PartialEq, Eq)]
enum RunEnd {
    Stopped,
    /// The partition is another instance's.
    Revoked,
    /// What is in the store is to be read anew.
    Changed,
    /// Another run has begun in this partition.
    Superseded,
}

/// What a run waits for.
enum Happening<T> {
    End(RunEnd),
    Arrived(Arrival),
    Permitted(T),
    /// Others may have changed what is in the store.
    Look,
    /// There is more to read, or something is due.
    GoOn,
}

/// What a run waits with, from one happening to the next.
struct Waits<T> {
    /// The topic's end.
    end: watch::Receiver<Offset>,
    looks: Interval,
    /// The permit for the next attempt. Kept, since whoever asks anew is the last of those who wait.
    permit: Option<Pin<Box<dyn Future<Output = T> + Send>>>,
}

impl<T> Waits<T> {
    fn new(end: watch::Receiver<Offset>) -> Waits<T> {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        looks.reset();
        Waits { end, looks, permit: None }
    }
}

impl<R: Receiver> DeliveryLoop<R> {
    pub(super) fn new(recipient: Recipient<R>, lane: Lane, member: Member) -> DeliveryLoop<R> {
        DeliveryLoop { recipient, lane, member, trials: Trials::default() }
    }

    /// Run after run, until `stop` resolves.
    pub(super) async fn run(mut self, stop: impl Future<Output = ()> + Send) {
        let mut stop = pin!(stop);
        let mut backoff = Backoff::new();
        loop {
            match self.run_once(stop.as_mut(), &mut backoff).await {
                Ok(RunEnd::Stopped) => return self.trials.end(&self.lane).await,
                Ok(RunEnd::Changed) => {}
                Ok(RunEnd::Revoked) => self.trials.end(&self.lane).await,
                // Two that begin in turns would both write nothing: the other one has time to, until this one hears whose
                // the partition is.
                Ok(RunEnd::Superseded) => tokio::select! {
                    () = stop.as_mut() => return self.trials.end(&self.lane).await,
                    () = tokio::time::sleep(backoff.next()) => {}
                },
                Err(trouble) => tokio::select! {
                    () = stop.as_mut() => return self.trials.end(&self.lane).await,
                    () = beginning::paused_after(&self.lane, &trouble, &mut backoff) => {}
                },
            }
        }
    }

    /// One run, once the partition is its own.
    async fn run_once(
        &mut self,
        mut stop: Pin<&mut (impl Future<Output = ()> + Send)>,
        backoff: &mut Backoff,
    ) -> Result<RunEnd, Error> {
        let owned = tokio::select! {
            biased;
            () = stop.as_mut() => return Ok(RunEnd::Stopped),
            owned = beginning::taken(&self.lane, &self.member) => owned?,
        };
        if self.lane.context.hold.pause().is_some() {
            return Ok(self.rest(stop).await);
        }
        if let Some(until) = pull::lent_until(&self.lane).await? {
            return Ok(self.wait_for_leases(stop, until).await);
        }
        let end = self.lane.context.broker.watch(&self.lane.at).await?;
        self.lane.set_lent(false);
        // Before anything is read: nobody who ran before changes it any more.
        let run = self.take_over().await?;
        let place = beginning::recover(&self.lane).await?;
        // Who had it before may have a clock that is ahead of this one.
        beginning::mend_parked(&self.lane, PAUSE_MAX * 2).await?;
        self.trials.begin(&self.lane, place).await?;
        let (recipient, lane) = (self.recipient.clone(), self.lane.clone());
        let begun = Begun { run, place, care: self.trials.care };
        let mut round = Round::begin(recipient, lane, begun).await?;
        let run_end =
            self.deliver(stop.as_mut(), &owned, Waits::new(end), &mut round, backoff).await;
        let run_end = self.finish(stop, run_end, &mut round).await;
        if let Some(noted) = round.noted() {
            (self.trials.noted, self.trials.alone) = (noted.trial(), noted.alone());
        }
        // Before any pause: who has the partition now may have to wait for this turn. What cannot be written now is when it begins again.
        _ = self.trials.withdraw(&self.lane).await;
        run_end
    }

    /// On an operator's word nothing is delivered; the next run begins with what the store has then.
    async fn rest(&self, stop: Pin<&mut (impl Future<Output = ()> + Send)>) -> RunEnd {
        // It came as far as one without trouble does.
        self.lane.set_trouble(None);
        tokio::select! {
            biased;
            () = stop => RunEnd::Stopped,
            () = self.member.revoked(self.lane.at.partition) => RunEnd::Revoked,
            () = self.lane.context.hold.over() => RunEnd::Changed,
        }
    }

    /// Before its settings said push it was fetched, and somebody has events of it in hand until then: delivered now they
    /// would be at work twice. Looks again after a moment, so that a partition that is revoked is let go.
    async fn wait_for_leases(
        &self,
        stop: Pin<&mut (impl Future<Output = ()> + Send)>,
        until: Timestamp,
    ) -> RunEnd {
        let lane = &self.lane;
        if !lane.is_lent() {
            let subscription = &*lane.context.name;
            tracing::info!(subscription, %until, "events are lent to who fetched them, and delivered when that ends");
        }
        lane.set_lent(true);
        let left = until.duration_since((lane.context.clock)());
        let pause = Duration::try_from(left).unwrap_or_default().min(LOOK_EVERY);
        let run_end = tokio::select! {
            biased;
            () = stop => RunEnd::Stopped,
            () = self.member.revoked(lane.at.partition) => RunEnd::Revoked,
            () = tokio::time::sleep(pause) => RunEnd::Changed,
        };
        if run_end != RunEnd::Changed {
            lane.set_lent(false);
        }
        run_end
    }

    /// Begins a run: its number, and no other writes from here on.
    async fn take_over(&self) -> Result<u64, Error> {
        let begun = self.lane.context.database.write(self.lane.clone(), |lane, tx| {
            Box::pin(delivery_runs::begin(tx, lane.assigned()))
        });
        begun.await
    }

    /// Delivers until it is stopped, the partition is revoked, or the tables were changed.
    async fn deliver(
        &mut self,
        mut stop: Pin<&mut (impl Future<Output = ()> + Send)>,
        owned: &OwnedPartition,
        mut waits: Waits<R::Permit>,
        round: &mut Round<R>,
        backoff: &mut Backoff,
    ) -> Result<RunEnd, Error> {
        loop {
            owned.reached(round.place().0);
            // Seen and read up to in one: what is stored from here on wakes the wait below.
            let stored_to = *waits.end.borrow_and_update();
            round.read_ahead(stored_to).await;
            if !round.is_as_known().await? {
                return Ok(RunEnd::Changed);
            }
            round.write();
            round.look_at_retries().await?;
            let now = (self.lane.context.clock)();
            self.trials.care = round.goes_on(now);
            round.ends_unread(now)?;
            match self.happening(stop.as_mut(), &mut waits, round).await? {
                Happening::End(end) => return Ok(end),
                Happening::Arrived(Arrival::Answered(answered)) => round.take_answers(answered)?,
                Happening::Arrived(Arrival::Written(Written::Elsewhere)) => {
                    return Ok(RunEnd::Changed);
                }
                Happening::Arrived(Arrival::Written(Written::Superseded)) => {
                    return Ok(RunEnd::Superseded);
                }
                Happening::Arrived(Arrival::Written(Written::At { position, parked })) => {
                    // Not before: a run that begins and cannot write is trouble that goes on.
                    backoff.reset();
                    round.stands(position, parked);
                }
                Happening::Permitted(permit) => round.give_out(permit).await?,
                Happening::Look => round.look_again(),
                Happening::GoOn => {}
            }
        }
    }

    /// Waits for whatever comes first.
    async fn happening(
        &self,
        stop: Pin<&mut (impl Future<Output = ()> + Send)>,
        waits: &mut Waits<R::Permit>,
        round: &mut Round<R>,
    ) -> Result<Happening<R::Permit>, Error> {
        let now = (self.lane.context.clock)();
        let (has_room, has_more) = (round.has_room(), round.has_more());
        let pause = round.until_due(now).unwrap_or(LOOK_EVERY).min(LOOK_EVERY);
        let Waits { end, looks, permit } = waits;
        if !round.has_work(now) {
            *permit = None;
        } else if permit.is_none() {
            let receiver = Arc::clone(&self.recipient.receiver);
            *permit = Some(Box::pin(async move { receiver.permit().await }));
        }
        tokio::select! {
            biased;
            () = stop => Ok(Happening::End(RunEnd::Stopped)),
            () = self.member.revoked(self.lane.at.partition) => Ok(Happening::End(RunEnd::Revoked)),
            () = self.lane.context.hold.begun() => Ok(Happening::End(RunEnd::Changed)),
            () = self.lane.woken() => Ok(Happening::Look),
            _ = looks.tick() => Ok(Happening::Look),
            came = round.answered_or_written() => came.map(Happening::Arrived),
            given = given(permit) => Ok(Happening::Permitted(given)),
            more = end.changed(), if has_room => match more {
                Ok(()) => Ok(Happening::GoOn),
                Err(_) => Err(Error::environment("the topic's end is not followed any more")),
            },
            () = tokio::time::sleep(pause.max(Duration::from_millis(1))) => Ok(Happening::GoOn),
            () = ready(()), if has_more => Ok(Happening::GoOn),
        }
    }

    /// What is under way is somebody's already: it is waited for and written, however the run ended; where somebody waits
    /// for this end, as far as it comes in time.
    async fn finish(
        &self,
        stop: Pin<&mut (impl Future<Output = ()> + Send)>,
        run_end: Result<RunEnd, Error>,
        round: &mut Round<R>,
    ) -> Result<RunEnd, Error> {
        let cut_short = match run_end {
            Ok(end @ (RunEnd::Stopped | RunEnd::Revoked)) => end,
            _ => tokio::select! {
                biased;
                () = stop => RunEnd::Stopped,
                () = self.member.revoked(self.lane.at.partition) => RunEnd::Revoked,
                finished = round.finish() => {
                    return run_end.and_then(|end| finished.map(|()| end));
                }
            },
        };
        let time = if cut_short == RunEnd::Stopped { STOPPED_WITHIN } else { REVOKED_WITHIN };
        if let Err(error) = round.finish_within(time).await {
            let subscription = &*self.lane.context.name;
            tracing::warn!(subscription, %error, "not everything that was answered is noted");
        }
        Ok(cut_short)
    }
}

/// Resolves with the permit, where it is asked for.
async fn given<T>(permit: &mut Option<Pin<Box<dyn Future<Output = T> + Send>>>) -> T {
    let Some(asked) = permit else { return pending().await };
    let given = asked.await;
    *permit = None;
    given
}
