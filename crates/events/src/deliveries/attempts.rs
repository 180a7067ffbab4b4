//! The attempts of one partition that are under way: tasks of their own, each with what it is made at and, in the end, how it
//! was answered.
//!
//! Whoever drops this drops them: each was perhaps made and perhaps not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::task::{JoinError, JoinSet};

use super::settlement::TrialOutcome;
use super::{Answer, Receiver};
use crate::broker::{Offset, Stored};
use crate::error::Error;
use crate::event::Event;
use crate::share::ShareName;
use crate::subscription::context::Lane;
use crate::subscription::trial::{self, Alone, Died, Tried};
use crate::subscription::workload::InHand;

/// An attempt that was answered.
pub(super) struct AnsweredAttempt {
    pub(super) job: Job,
    pub(super) answer: Answer,
    /// With this one, those that the event had.
    pub(super) attempts: u32,
    /// Where it was noted in the store: what becomes of that.
    pub(super) trial: Option<TrialOutcome>,
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
    /// Whose turn it was.
    pub(super) share: ShareName,
    /// With this one.
    pub(super) attempts: u32,
    pub(super) event: Event,
}

/// Where an attempt that is made by itself is noted.
pub(super) struct LoneAttempt {
    pub(super) lane: Lane,
    pub(super) attempts_max: u32,
    pub(super) noted: Noted,
}

/// Where an attempt is made by itself, and whether the store has that.
#[derive(Clone)]
pub(super) struct Noted {
    at: Offset,
    stands: Arc<AtomicBool>,
}

impl Noted {
    /// Not yet.
    pub(super) fn new(at: Offset) -> Noted {
        Noted { at, stands: Arc::default() }
    }

    /// Where the store has one.
    pub(super) fn place(&self) -> Option<Offset> {
        self.stands.load(Ordering::Acquire).then_some(self.at)
    }

    fn stand(&self) {
        self.stands.store(true, Ordering::Release);
    }
}

impl LoneAttempt {
    /// Notes it, and makes it, unless the event has ended the process as often as it may.
    async fn make<R: Receiver>(
        &self,
        receiver: &R,
        permit: R::Permit,
        job: Job,
    ) -> AnsweredAttempt {
        let at = self.noted.at;
        let (event, attempts) = job.event();
        match self.note(attempts).await {
            Ok(None) => {
                self.noted.stand();
                let answer = receiver.deliver(permit, event, attempts).await;
                let trial = Some(TrialOutcome::of(&answer, at));
                AnsweredAttempt { job, answer, attempts, trial }
            }
            Ok(Some(died)) => AnsweredAttempt {
                job,
                answer: Answer::Failed(died.reason()),
                attempts: died.attempts,
                trial: Some(TrialOutcome::Answered(at)),
            },
            // Whether it can be written is asked again at the next look; what the store has of it are deaths.
            Err(error) => {
                tracing::warn!(%error, "an attempt could not be noted");
                AnsweredAttempt { job, answer: Answer::NotNow, attempts, trial: None }
            }
        }
    }

    async fn note(&self, attempts: u32) -> Result<Option<Died>, Error> {
        let tried = Tried { answered: attempts - 1, attempts_max: self.attempts_max };
        trial::note(&self.lane, self.noted.at, tried).await
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
            AnsweredAttempt { job, answer, attempts, trial: None }
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
            lone.make(&*receiver, permit, job).await
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
