//! Rate limit: so many calls a second, and a burst on top, by the generic cell rate algorithm.
//!
//! One number says all there is to know of a limiter: the instant at which its quota is whole
//! again. A call moves it on by one interval, and is refused if that would bring it further ahead
//! than the burst allows. So a [`Limiter`] is one atomic, a [`Keyed`] table holds sixteen bytes a
//! key and a few more to find them, no timer refills anything, and how long to wait is known
//! exactly.
//!
//! In any span of time, whatever its length and beginning, at most `rate * span + burst` calls
//! are admitted. The interval is a whole number of nanoseconds, rounded up, so the limit is never
//! above the one asked for and below it by less than one part in `1e9 / rate`: exact at 1, 1,000
//! or 5,000 a second, 1 % under at [`RATE_MAX`] at the worst. Rounding does not add up over time
//! in any other way.
//!
//! An instant earlier than one seen before only makes a limiter stricter by the difference.
//! Nothing is shared between processes, and nobody waits here: a refusal names the time to come
//! back.
//!
//! What is counted is admitted calls. A refused call costs nothing, so hammering at a limit does not
//! move it away; how a call ends does not matter, so one that fails has used its quota as well.
//!
//! Choosing the two numbers: the rate is what the upstream can take for hours, the burst is what may
//! come in one moment after a rest. A burst of 1 spaces calls evenly, at least one interval apart; a
//! burst of a second's worth (`burst == rate`) lets twice the rate through in the first second after
//! a rest and never again while the callers keep on.
//!
//! ```
//! use std::time::{Duration, Instant};
//! use yeoul_guard::rate::{Keyed, Limiter, Quota};
//!
//! let now = Instant::now();
//! let quota = Quota::per_second(10, 2)?;
//!
//! let route = Limiter::new(quota, now);
//! assert_eq!(route.check(now).expect("one of the burst").remaining, 1);
//! assert_eq!(route.check(now).expect("all of the burst").remaining, 0);
//! let until = route.check(now).expect_err("one past the burst");
//! assert_eq!(until.retry_after, Duration::from_millis(100));
//! assert!(route.check(now + until.retry_after).is_ok());
//!
//! let clients: Keyed<String> = Keyed::new(quota, now, 10_000);
//! assert!(clients.check("192.0.2.1", now).is_ok());
//! # Ok::<(), yeoul_guard::rate::QuotaError>(())
//! ```

mod keyed;
mod limiter;
mod quota;

use std::time::Duration;

pub use keyed::{KEYS_MAX, Keyed};
pub use limiter::Limiter;
pub use quota::{BURST_MAX, Quota, QuotaError, RATE_MAX};

/// Admitted, and what is left: the figures of the `RateLimit` header field
/// (draft-ietf-httpapi-ratelimit-headers).
///
/// With several limits on one call, the one with the least `remaining` is what its caller has to
/// know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowed {
    /// How many more calls would be admitted at the same instant, `0..burst`.
    pub remaining: u32,
    /// After how long without a call the quota is whole again, at most [`Quota::window`].
    pub reset_after: Duration,
}

/// Refused until a moment that is known.
///
/// Answer the caller with it (over HTTP: 429, and `Retry-After` by
/// [`refusal`](crate::refusal)); calling anyway is what the limit is there against. Waiting here and
/// trying again is right only for a caller that is alone with its limiter: several that wait for the
/// same moment meet there, and all but one are refused again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("rate limit reached. retry_after=`{retry_after:?}`")]
pub struct NotUntil {
    /// After how long one call is admitted, if no other comes first; above zero.
    pub retry_after: Duration,
    /// After how long without an admitted call the quota is whole again.
    pub reset_after: Duration,
}

#[cfg(test)]
mod tests;
