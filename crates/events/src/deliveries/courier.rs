//! The loop of one partition's deliveries: read ahead, give out, take answers, write them.
//!
//! It is one task that owns all of the partition's state ([`Round`]); attempts are tasks of their own, and a commit is a
//! future beside them. So nothing waits for anything else: while a subscriber thinks, others are answered, and while the
//! store syncs, events are delivered. What was answered meanwhile is the next commit.
//!
//! A run begins with what the store has and ends with trouble, with the partition, or because somebody changed the tables
//! (a redrive, a move of the place): then what is under way is waited for, written, and everything is read anew. There is
//! one way to begin, used every time.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::Receiver;
use super::pace::PAUSE_MAX;
use super::round::{Answered, Came, Couriers, Round};
use super::settlement::Written;
use crate::broker::Offset;
use crate::error::Error;
use crate::group::{Member, OwnedPartition};
use crate::subscription::beginning;
use crate::subscription::context::Lane;
use crate::wait::{BACKOFF_MAX, Backoff};

/// The deliveries of one partition.
pub(super) struct Courier<R> {
    couriers: Couriers<R>,
    lane: Lane,
    member: Member,
}

/// How a run came to its end without trouble.
#[derive(Clone, Copy, PartialEq, Eq)]
enum RunEnd {
    Stopped,
    /// The partition is another instance's, or what is in the store is to be read anew.
    Over,
}

/// What a run waits for.
enum Happening<T> {
    End(RunEnd),
    Answered(Answered),
    Written(Written),
    Leave(T),
    /// There may be more to read, or something is due.
    Look,
}

impl<T> From<Came> for Happening<T> {
    fn from(came: Came) -> Happening<T> {
        match came {
            Came::Answered(answered) => Happening::Answered(answered),
            Came::Written(written) => Happening::Written(written),
        }
    }
}

impl<R: Receiver> Courier<R> {
    pub(super) fn new(couriers: Couriers<R>, lane: Lane, member: Member) -> Courier<R> {
        Courier { couriers, lane, member }
    }

    /// Run after run, until `stop` resolves.
    pub(super) async fn run(self, stop: impl Future<Output = ()> + Send) {
        let mut stop = pin!(stop);
        let mut backoff = Backoff::new();
        loop {
            match self.turn(stop.as_mut(), &mut backoff).await {
                Ok(RunEnd::Stopped) => return,
                Ok(RunEnd::Over) => {}
                Err(trouble) => tokio::select! {
                    () = stop.as_mut() => return,
                    () = beginning::paused_after(&self.lane, &trouble, &mut backoff) => {}
                },
            }
        }
    }

    /// One run, once the partition is its own.
    async fn turn(
        &self,
        mut stop: Pin<&mut (impl Future<Output = ()> + Send)>,
        backoff: &mut Backoff,
    ) -> Result<RunEnd, Error> {
        let owned = tokio::select! {
            biased;
            () = stop.as_mut() => return Ok(RunEnd::Stopped),
            owned = beginning::taken(&self.lane, &self.member) => owned?,
        };
        let end = self.lane.context.broker.watch(&self.lane.at).await?;
        let place = beginning::recover(&self.lane).await?;
        beginning::mend_parked(&self.lane, PAUSE_MAX).await?;
        let mut round = Round::begin(self.couriers.clone(), self.lane.clone(), place).await?;
        backoff.reset();
        let run_end = self.deliver(stop, &owned, end, &mut round).await?;
        // What is under way is somebody's already: it is waited for, as far as it comes in time.
        round.finish().await?;
        Ok(run_end)
    }

    /// Delivers until it is stopped, the partition is revoked, or the tables were changed.
    async fn deliver(
        &self,
        mut stop: Pin<&mut (impl Future<Output = ()> + Send)>,
        owned: &OwnedPartition,
        mut end: watch::Receiver<Offset>,
        round: &mut Round<R>,
    ) -> Result<RunEnd, Error> {
        loop {
            owned.reached(round.place().0);
            // Before the read: what is stored from here on wakes the wait below.
            if end.has_changed().unwrap_or(true) {
                round.look_again();
            }
            end.mark_unchanged();
            round.read_ahead().await?;
            round.write();
            round.look_at_retries().await?;
            match self.happening(stop.as_mut(), &mut end, round).await? {
                Happening::End(end) => return Ok(end),
                Happening::Answered(answered) => round.take_answers(answered)?,
                Happening::Written(Written::Elsewhere) => return Ok(RunEnd::Over),
                Happening::Written(Written::At { position, parked }) => {
                    round.stands(position, parked);
                }
                Happening::Leave(leave) => round.give_out(leave).await?,
                Happening::Look => round.look_again(),
            }
        }
    }

    /// Waits for whatever comes first.
    async fn happening(
        &self,
        stop: Pin<&mut (impl Future<Output = ()> + Send)>,
        end: &mut watch::Receiver<Offset>,
        round: &mut Round<R>,
    ) -> Result<Happening<R::Leave>, Error> {
        let now = (self.lane.context.clock)();
        let (has_work, has_room) = (round.has_work(now), round.has_room());
        let pause = round.until_due(now).unwrap_or(BACKOFF_MAX).min(BACKOFF_MAX);
        let receiver = Arc::clone(&self.couriers.receiver);
        tokio::select! {
            biased;
            () = stop => Ok(Happening::End(RunEnd::Stopped)),
            () = self.member.revoked(self.lane.at.partition) => Ok(Happening::End(RunEnd::Over)),
            () = self.lane.woken() => Ok(Happening::End(RunEnd::Over)),
            happened = round.answered_or_written() => happened.map(Into::into),
            leave = receiver.leave(), if has_work => Ok(Happening::Leave(leave)),
            more = end.changed(), if has_room => match more {
                Ok(()) => Ok(Happening::Look),
                Err(_) => Err(Error::environment("the topic's end is not followed any more")),
            },
            () = tokio::time::sleep(pause.max(Duration::from_millis(1))) => Ok(Happening::Look),
        }
    }
}
