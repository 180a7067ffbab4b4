//! How much a limiter lets through, and the decision itself, on plain numbers.

use std::time::{Duration, Instant};

use super::{Allowed, NotUntil};

/// Highest rate, in calls a second; above it an interval of whole nanoseconds is too coarse.
pub const RATE_MAX: u32 = 10_000_000;
/// Largest burst, in calls.
pub const BURST_MAX: u32 = 10_000_000;

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// A rate and a burst, checked.
///
/// ```
/// use std::time::Duration;
/// use yeoul_guard::rate::{Quota, QuotaError, RATE_MAX};
///
/// let quota = Quota::per_second(100, 200)?;
/// assert_eq!(quota.window(), Duration::from_secs(2), "two hundred at a hundred a second");
///
/// // Sixty a minute: one a second, and all sixty at once after a minute's rest.
/// let a_minute = Quota::per_second(1, 60)?;
/// assert_eq!(a_minute.window(), Duration::from_secs(60));
///
/// let refused = Quota::per_second(0, 1);
/// assert_eq!(refused, Err(QuotaError::Rate { rate: 0, limit: RATE_MAX }));
/// # Ok::<(), QuotaError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    rate: u32,
    burst: u32,
    /// What one call costs, in nanoseconds.
    interval: u64,
    /// What the burst costs, in nanoseconds.
    whole: u64,
}

/// A quota outside its range. Fix the setting: the same numbers will be refused again. The message
/// names the field, what was given and the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QuotaError {
    /// The rate is 0 or above the limit.
    #[error("rate not within 1 and the limit. rate=`{rate}`, limit=`{limit}`")]
    Rate {
        /// What was given, in calls a second.
        rate: u32,
        /// [`RATE_MAX`].
        limit: u32,
    },
    /// The burst is 0, which would admit nothing, or above the limit.
    #[error("burst not within 1 and the limit. burst=`{burst}`, limit=`{limit}`")]
    Burst {
        /// What was given, in calls.
        burst: u32,
        /// [`BURST_MAX`].
        limit: u32,
    },
}

impl Quota {
    /// `rate` calls a second, `1..=`[`RATE_MAX`], and up to `burst` at once, `1..=`[`BURST_MAX`].
    ///
    /// # Errors
    ///
    /// A number is outside its range: fix the setting.
    pub fn per_second(rate: u32, burst: u32) -> Result<Quota, QuotaError> {
        if !(1..=RATE_MAX).contains(&rate) {
            return Err(QuotaError::Rate { rate, limit: RATE_MAX });
        }
        if !(1..=BURST_MAX).contains(&burst) {
            return Err(QuotaError::Burst { burst, limit: BURST_MAX });
        }
        let interval = NANOS_PER_SECOND.div_ceil(u64::from(rate));
        let whole = interval * u64::from(burst);
        Ok(Quota { rate, burst, interval, whole })
    }

    /// Calls a second.
    #[must_use]
    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// Calls at once.
    #[must_use]
    pub fn burst(&self) -> u32 {
        self.burst
    }

    /// How long a quota used up takes to be whole again: the burst at the rate. No
    /// [`reset_after`](Allowed::reset_after) is longer.
    #[must_use]
    pub fn window(&self) -> Duration {
        Duration::from_nanos(self.whole)
    }

    /// One call at `now` by a limiter that is whole again at `whole_at`, both in nanoseconds since
    /// its start: when it is whole again after the call, and what to say.
    ///
    /// What is used is how far `whole_at` lies ahead of now. A call uses one interval more, and the
    /// burst is the furthest ahead that it may lie. Nothing else is remembered, and nothing has to be
    /// refilled: time passing is what refills.
    pub(super) fn decide(&self, whole_at: u64, now: u64) -> Result<Decided, NotUntil> {
        // Zero for one that has been whole for a while, and for a `now` before the start.
        let used = whole_at.saturating_sub(now);
        let used_after = used.saturating_add(self.interval);
        if used_after > self.whole {
            return Err(NotUntil {
                retry_after: Duration::from_nanos(used_after - self.whole),
                reset_after: Duration::from_nanos(used),
            });
        }
        let remaining = (self.whole - used_after) / self.interval;
        let allowed = Allowed {
            // Less than `burst`, which is 32 bits wide.
            remaining: remaining as u32,
            reset_after: Duration::from_nanos(used_after),
        };
        Ok(Decided { whole_at: now.saturating_add(used_after), allowed })
    }
}

/// An admission: what it leaves behind, and what to answer.
pub(super) struct Decided {
    pub(super) whole_at: u64,
    pub(super) allowed: Allowed,
}

/// Nanoseconds from `start` to `now`: 0 before it, and good for 584 years after it.
pub(super) fn nanos_since(start: Instant, now: Instant) -> u64 {
    let since = now.saturating_duration_since(start);
    let whole = since.as_secs().saturating_mul(NANOS_PER_SECOND);
    whole.saturating_add(u64::from(since.subsec_nanos()))
}
