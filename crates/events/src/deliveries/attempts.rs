//! The attempts of one partition that are under way: tasks of their own, each with what it is made at and, in the end, how it
//! was answered.
//!
//! Whoever drops this drops them: each was perhaps made and perhaps not.

use std::sync::Arc;

use tokio::task::{JoinError, JoinSet};

use super::{Answer, Receiver};
use crate::broker::Stored;
use crate::error::Error;
use crate::event::Event;

/// An attempt that was answered.
pub(super) struct AnsweredAttempt {
    pub(super) job: Job,
    pub(super) answer: Answer,
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
    pub(super) key: String,
    /// With this one.
    pub(super) attempts: u32,
    pub(super) event: Event,
}

/// See the module.
#[derive(Default)]
pub(super) struct InFlight(JoinSet<AnsweredAttempt>);

impl InFlight {
    /// Begins one.
    pub(super) fn begin<R: Receiver>(&mut self, receiver: Arc<R>, permit: R::Permit, job: Job) {
        self.0.spawn(async move {
            let answer = match &job {
                Job::Fresh(stored) => receiver.deliver(permit, &stored.event, 1).await,
                Job::Retry(retry) => receiver.deliver(permit, &retry.event, retry.attempts).await,
            };
            AnsweredAttempt { job, answer }
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
