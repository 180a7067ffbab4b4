//! How often and how soon a delivery is tried again: pauses that double, each drawn between its half and its whole.
//!
//! Unlike a handler's ([`Retry`](crate::Retry)), whose pause stays what it is: a service elsewhere may be away for
//! minutes, and what comes back together is away again. Pure: what was drawn is an argument.

use std::time::Duration;

use jiff::Timestamp;

use crate::parking::Wait;

/// The longest pause between two attempts.
pub const PAUSE_MAX: Duration = Duration::from_secs(60 * 60);

/// Attempts, and the pause after the first.
///
/// ```
/// use std::time::Duration;
/// use yeoul_events::deliveries::Pace;
///
/// let pace = Pace { attempts: 5, backoff: Duration::from_secs(1) };
/// // What was drawn says where between the half and the whole; after the third failure the whole is four times as long.
/// assert_eq!(pace.pause(1, 0.0), Duration::from_millis(500));
/// assert_eq!(pace.pause(3, 1.0), Duration::from_secs(4));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Attempts in all, the first included; 0 counts as 1.
    pub attempts: u32,
    /// The longest that the first pause is.
    pub backoff: Duration,
}

impl Pace {
    /// The pause after so many failures, at most [`PAUSE_MAX`]; `drawn` lies between 0 and 1.
    pub fn pause(&self, failures: u32, drawn: f64) -> Duration {
        let doubled = 2u32.saturating_pow(failures.saturating_sub(1));
        let whole = self.backoff.saturating_mul(doubled).min(PAUSE_MAX);
        whole.mul_f64(0.5 + drawn.clamp(0.0, 1.0) / 2.0)
    }

    /// failed → again after a pause, or dead after the last attempt. `attempts` includes the one that just failed.
    pub(super) fn after_failure(&self, attempts: u32, now: Timestamp, drawn: f64) -> Wait {
        self.again_after(attempts, now, self.pause(attempts, drawn))
    }

    /// The same after a pause that somebody asked for.
    pub(super) fn again_after(&self, attempts: u32, now: Timestamp, pause: Duration) -> Wait {
        if attempts >= self.attempts {
            return Wait::Operator;
        }
        now.checked_add(pause).map_or(Wait::Operator, Wait::Until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_are_drawn_between_half_and_whole() {
        let pace = Pace { attempts: 40, backoff: Duration::from_secs(1) };
        for (failures, whole) in [(1, 1), (2, 2), (3, 4), (12, 2048), (13, 3600), (40, 3600)] {
            let whole = Duration::from_secs(whole);
            assert_eq!(pace.pause(failures, 1.0), whole, "{failures}");
            assert_eq!(pace.pause(failures, 0.0), whole / 2, "{failures}");
        }
    }

    #[test]
    fn the_last_attempt_is_followed_by_an_operator_and_none_before_it() {
        let pace = Pace { attempts: 3, backoff: Duration::from_secs(2) };
        let second = |second| Wait::Until(Timestamp::from_second(second).expect("in range"));
        for (attempts, wait) in
            [(1, second(2)), (2, second(4)), (3, Wait::Operator), (4, Wait::Operator)]
        {
            assert_eq!(
                pace.after_failure(attempts, Timestamp::UNIX_EPOCH, 1.0),
                wait,
                "{attempts}"
            );
        }
        let never = Pace { attempts: 0, ..pace };
        assert_eq!(never.after_failure(1, Timestamp::UNIX_EPOCH, 1.0), Wait::Operator);
    }
}
