//! What was attempted lately, for whoever asks why an event did not arrive: the newest [`ATTEMPT_LOG_MAX`] of a subscription.
//!
//! In memory: it is for the question of now. What has failed for good is a dead letter, which stays.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

/// Attempts that are remembered of one subscription.
pub const ATTEMPT_LOG_MAX: usize = 1_000;

/// Characters of a reason that are kept.
const REASON_CHARS_MAX: usize = 200;

/// One attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// When it was made.
    pub at: Timestamp,
    /// The event's `webhook-id`.
    pub id: String,
    /// The event's key.
    pub key: String,
    /// Which one at this event it was, from 1.
    pub attempt: u32,
    /// The answer, if there was one.
    pub status: Option<u16>,
    /// How long it took.
    pub took: Duration,
    /// What came of it.
    pub result: AttemptResult,
}

/// What came of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttemptResult {
    /// The receiver has it.
    Delivered,
    /// He does not, for this reason.
    Failed(String),
    /// He is asked again, and this counts as no attempt; why he could not be asked, where that is so.
    NotNow(Option<String>),
}

/// The newest attempts; a handle.
#[derive(Clone, Debug, Default)]
pub struct AttemptLog(Arc<Mutex<VecDeque<Attempt>>>);

impl AttemptLog {
    /// Remembers one, and forgets the oldest past the limit.
    pub fn add(&self, attempt: Attempt) {
        let mut attempts = self.attempts();
        if attempts.len() >= ATTEMPT_LOG_MAX {
            attempts.pop_front();
        }
        attempts.push_back(attempt);
    }

    /// All that are remembered, the newest first.
    pub fn newest(&self) -> Vec<Attempt> {
        self.attempts().iter().rev().cloned().collect()
    }

    fn attempts(&self) -> MutexGuard<'_, VecDeque<Attempt>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A reason no longer than is kept.
pub(crate) fn shortened(reason: &str) -> String {
    reason.chars().take(REASON_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_remembered_and_the_oldest_forgotten() {
        let log = AttemptLog::default();
        let attempt = |attempt: u32| Attempt {
            at: Timestamp::UNIX_EPOCH,
            id: "order/1".to_owned(),
            key: "1".to_owned(),
            attempt,
            status: Some(204),
            took: Duration::ZERO,
            result: AttemptResult::Delivered,
        };
        let count = u32::try_from(ATTEMPT_LOG_MAX).expect("a small number") + 3;
        (1..=count).for_each(|number| log.add(attempt(number)));
        let newest = log.newest();
        assert_eq!(newest.len(), ATTEMPT_LOG_MAX);
        assert_eq!((newest[0].attempt, newest[ATTEMPT_LOG_MAX - 1].attempt), (count, 4));
    }
}
