//! The attempts of one partition that are under way: tasks of their own, each with what it is made at and, in the end, how it
//! was answered.
//!
//! Whoever drops this drops them: each was perhaps made and perhaps not.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::{JoinError, JoinSet};

use super::settlement::TrialOutcome;
use super::{Answer, Receiver};
use crate::broker::{Offset, Stored};
use crate::error::Error;
use crate::event::Event;
use crate::share::ShareName;
use crate::store::trials::Trial;
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

/// An attempt that is made by itself, whether the store has that, and its turn: whoever has this last lets others try.
#[derive(Clone)]
pub(super) struct Noted {
    trial: Trial,
    stands: Arc<AtomicBool>,
    alone: Arc<Mutex<Option<Alone>>>,
}

impl Noted {
    /// Not yet.
    pub(super) fn new(trial: Trial) -> Noted {
        Noted { trial, stands: Arc::default(), alone: Arc::default() }
    }

    /// What the store may have.
    pub(super) fn trial(&self) -> Option<Trial> {
        self.stands.load(Ordering::Acquire).then_some(self.trial)
    }

    /// Its turn, if it has come.
    pub(super) fn alone(&self) -> Option<Alone> {
        self.alone.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    async fn wait(&self) {
        let alone = Alone::wait().await;
        *self.alone.lock().unwrap_or_else(PoisonError::into_inner) = Some(alone);
    }
}

impl LoneAttempt {
    /// Notes it, and makes it, unless the event has ended the process as often as it may.
    ///
    /// # Errors
    /// It could not be noted, and was not made.
    async fn make<R: Receiver>(
        &self,
        receiver: &R,
        permit: R::Permit,
        job: Job,
    ) -> Result<AnsweredAttempt, Error> {
        let trial = self.noted.trial;
        let (event, attempts) = job.event();
        // Before it is known whether that stands: a note that is not there is taken back as well.
        self.noted.stands.store(true, Ordering::Release);
        Ok(match self.note(attempts).await? {
            None => {
                let answer = receiver.deliver(permit, event, attempts).await;
                let trial = Some(TrialOutcome::of(&answer, trial));
                AnsweredAttempt { job, answer, attempts, trial }
            }
            Some(died) => AnsweredAttempt {
                job,
                answer: Answer::Failed(died.reason()),
                attempts: died.attempts,
                trial: Some(TrialOutcome::Answered(trial)),
            },
        })
    }

    async fn note(&self, attempts: u32) -> Result<Option<Died>, Error> {
        let tried = Tried { answered: attempts - 1, attempts_max: self.attempts_max };
        trial::note(&self.lane, self.noted.trial, tried).await
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
pub(super) struct InFlight(JoinSet<Result<AnsweredAttempt, Error>>);

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
            Ok(AnsweredAttempt { job, answer, attempts, trial: None })
        });
    }

    /// Begins one by itself, noted before it is made. One that cannot be noted is trouble of the run, as a commit's.
    pub(super) fn begin_alone<R: Receiver>(
        &mut self,
        receiver: Arc<R>,
        permit: R::Permit,
        job: Job,
        lone: LoneAttempt,
    ) {
        self.0.spawn(async move {
            lone.noted.wait().await;
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
fn ended(
    answered: Result<Result<AnsweredAttempt, Error>, JoinError>,
) -> Result<AnsweredAttempt, Error> {
    let says = |error| Error::environment(format!("an attempt to deliver ended: {error}"));
    answered.map_err(says).flatten()
}
