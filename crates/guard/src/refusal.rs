//! What to answer a refused caller: how many seconds to wait.
//!
//! Callers refused in one moment would all come back in one moment, so the wait is spread by a
//! random number that the caller of this module draws. The spread only ever lengthens the wait:
//! who obeys never comes too early. Writing the header is the edge's work.
//!
//! ```
//! use std::time::Duration;
//! use yeoul_guard::refusal::retry_after_seconds;
//!
//! let open_for = Duration::from_millis(4_200);
//! assert_eq!(retry_after_seconds(open_for, 0.0), 5);
//! assert_eq!(retry_after_seconds(open_for, 0.9), 6);
//! ```
//!
//! Each guard's refusal knows its wait in its own form:
//!
//! | refusal | wait |
//! |---|---|
//! | [`rate::NotUntil`](crate::rate::NotUntil) | `retry_after`, exact: one call is admitted then if no other comes first |
//! | [`breaker::Open`](crate::breaker::Open) | `retry_at - now`; then a probe may go, not everybody |
//! | no address left by [`outlier`](crate::outlier) | [`Snapshot::out_for`](crate::outlier::Snapshot::out_for), the shortest of the addresses |

use std::time::Duration;

/// The wait is lengthened by at most one part in so many of it, and by at most one second where
/// that is less than a second.
pub const SPREAD_DIVISOR: u64 = 4;

/// Whole seconds for `Retry-After`, at least 1: `wait` rounded up, plus up to a
/// [`SPREAD_DIVISOR`]th of it (at least one second) by `jitter`.
///
/// `jitter` is a random number in `0.0..1.0`; a number outside is taken as the nearer end, and
/// not-a-number as 0. Evenly drawn numbers give evenly spread seconds. Without a random source
/// pass 0: the wait is then the shortest that is right, and callers come back together.
///
/// `Retry-After` has whole seconds and no fraction (RFC 9110, 10.2.3), hence the rounding.
#[must_use]
pub fn retry_after_seconds(wait: Duration, jitter: f64) -> u64 {
    let begun = u64::from(wait.subsec_nanos() > 0);
    let whole = wait.as_secs().saturating_add(begun).max(1);
    let spread = (whole / SPREAD_DIVISOR).max(1);
    // A cast from float saturates and turns not-a-number into 0; `min` closes the upper end.
    let extra = (jitter * (spread as f64 + 1.0)) as u64;
    whole.saturating_add(extra.min(spread))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_rounded_up_and_is_never_zero() {
        for (millis, seconds) in [(0, 1), (1, 1), (999, 1), (1_000, 1), (1_001, 2), (5_000, 5)] {
            let wait = Duration::from_millis(millis);
            assert_eq!(retry_after_seconds(wait, 0.0), seconds, "{millis} ms");
        }
    }

    #[test]
    fn jitter_lengthens_by_a_quarter_at_most_and_by_a_second_at_least() {
        let almost_one = 1.0 - f64::EPSILON;
        for (seconds, longest) in [(1, 2), (4, 5), (7, 8), (8, 10), (60, 75)] {
            let wait = Duration::from_secs(seconds);
            assert_eq!(retry_after_seconds(wait, 0.0), seconds);
            assert_eq!(retry_after_seconds(wait, almost_one), longest);
        }
    }

    #[test]
    fn jitter_spreads_evenly_over_the_whole_seconds() {
        let mut hits = [0_u32; 3];
        for step in 0..300 {
            let seconds = retry_after_seconds(Duration::from_secs(8), f64::from(step) / 300.0);
            hits[usize::try_from(seconds - 8).expect("at most 2 more")] += 1;
        }
        assert_eq!(hits, [100, 100, 100]);
    }

    #[test]
    fn jitter_out_of_range_is_taken_as_the_nearer_end() {
        let wait = Duration::from_secs(8);
        for (jitter, seconds) in [
            (-1.0, 8),
            (f64::NAN, 8),
            (f64::NEG_INFINITY, 8),
            (1.0, 10),
            (7.5, 10),
            (f64::INFINITY, 10),
        ] {
            assert_eq!(retry_after_seconds(wait, jitter), seconds, "{jitter}");
        }
    }

    #[test]
    fn the_longest_wait_does_not_overflow() {
        assert_eq!(retry_after_seconds(Duration::MAX, 0.99), u64::MAX);
    }
}
