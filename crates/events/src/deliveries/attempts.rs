//! The attempts of one partition that are under way: tasks of their own, each with what it is made at and, in the end, how it
//! was answered.
//!
//! Whoever drops this drops them: each was perhaps made and perhaps not.

use std::sync::Arc;

use tokio::task::{JoinError, JoinSet};

use super::{Answer, Receiver};
use crate::broker::{Offset, Stored};
use crate::error::Error;
use crate::event::Event;
use crate::subscription::context::Lane;
use crate::subscription::trial::{self, Alone, Died, Tried};
use crate::subscription::workload::InHand;

/// An attempt that was answered.
pub(super) struct AnsweredAttempt {
    pub(super) job: Job,
    pub(super) answer: Answer,
    /// With this one, those that the event had.
    pub(super) attempts: u32,
}

/// What an attempt is made at.
pub(super) enum Job {
    /// An event of the window.
    Fresh(Arc<Stored>),
    /// A parked one.
    Retry(Box<DueEvent>),
}

/// A parked event whose turn it is.
pub(super) struct DueEvent {
    pub(super) turn: i64,
    pub(super) at: Offset,
    pub(super) key: String,
    /// With this one.
    pub(super) attempts: u32,
    pub(super) event: Event,
}

/// Where an attempt that is made by itself is noted.
pub(super) struct LoneAttempt {
    pub(super) lane: Lane,
    pub(super) attempts_max: u32,
}

impl LoneAttempt {
    async fn note(&self, at: Offset, attempts: u32) -> Result<Option<Died>, Error> {
        let tried = Tried { answered: attempts - 1, attempts_max: self.attempts_max };
        trial::note(&self.lane, at, tried).await
    }
}

impl Job {
    /// The event, and as its how many-eth attempt.
    fn event(&self) -> (&Event, u32) {
        match self {
            Job::Fresh(stored) => (&stored.event, 1),
            Job::Retry(retry) => (&retry.event, retry.attempts),
        }
    }

    /// Where the event came from.
    pub(super) fn at(&self) -> Offset {
        match self {
            Job::Fresh(stored) => stored.offset,
            Job::Retry(retry) => retry.at,
        }
    }
}

/// See the module.
#[derive(Default)]
pub(super) struct InFlight(JoinSet<AnsweredAttempt>);

impl InFlight {
    /// Begins one.
    pub(super) fn begin<R: Receiver>(
        &mut self,
        receiver: Arc<R>,
        permit: R::Permit,
        job: Job,
        in_hand: InHand,
    ) {
        self.0.spawn(async move {
            let _in_hand = in_hand;
            let (event, attempts) = job.event();
            let answer = receiver.deliver(permit, event, attempts).await;
            AnsweredAttempt { job, answer, attempts }
        });
    }

    /// Begins one by itself, noted before it is made.
    pub(super) fn begin_alone<R: Receiver>(
        &mut self,
        receiver: Arc<R>,
        permit: R::Permit,
        job: Job,
        lone: LoneAttempt,
    ) {
        self.0.spawn(async move {
            let _alone = Alone::wait().await;
            let _in_hand = lone.lane.workload().take(1);
            let (event, attempts) = job.event();
            let (answer, attempts) = match lone.note(job.at(), attempts).await {
                Ok(None) => (receiver.deliver(permit, event, attempts).await, attempts),
                Ok(Some(died)) => (Answer::Failed(died.reason()), died.attempts),
                // Whether it can be written is asked again at the next look.
                Err(error) => {
                    tracing::warn!(%error, "an attempt could not be noted");
                    (Answer::NotNow, attempts)
                }
            };
            AnsweredAttempt { job, answer, attempts }
        });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next answer; `None` where none is under way. Dropped, it has taken none.
    pub(super) async fn next(&mut self) -> Option<Result<AnsweredAttempt, Error>> {
        self.0.join_next().await.map(ended)
    }

    /// One more that was answered by now.
    pub(super) fn try_next(&mut self) -> Option<Result<AnsweredAttempt, Error>> {
        self.0.try_join_next().map(ended)
    }

    /// Gives them all up.
    pub(super) async fn give_up(&mut self) {
        self.0.shutdown().await;
    }
}

/// An attempt's answer; one that panicked is a mistake of the program, and everything begins anew.
fn ended(answered: Result<AnsweredAttempt, JoinError>) -> Result<AnsweredAttempt, Error> {
    answered.map_err(|error| Error::environment(format!("an attempt to deliver ended: {error}")))
}
