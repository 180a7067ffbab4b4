//! One limiter for all callers: a quota and one atomic.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::quota::{Decided, Quota, nanos_since};
use super::{Allowed, NotUntil};

/// Admits calls within one quota, from any number of threads.
///
/// Two threads that check at once are admitted one after the other, in either order; there is no
/// moment at which more than the quota is through. Under contention a check repeats one
/// compare-and-swap, it never waits.
///
/// ```
/// use std::time::{Duration, Instant};
/// use yeoul_guard::rate::{Limiter, Quota};
///
/// let start = Instant::now();
/// // Two a second, one at a time: calls come through half a second apart.
/// let limiter = Limiter::new(Quota::per_second(2, 1)?, start);
/// assert!(limiter.check(start).is_ok());
/// let refused = limiter.check(start + Duration::from_millis(100)).expect_err("too soon");
/// assert_eq!(refused.retry_after, Duration::from_millis(400));
/// // The refusal itself cost nothing.
/// assert!(limiter.check(start + Duration::from_millis(500)).is_ok());
/// # Ok::<(), yeoul_guard::rate::QuotaError>(())
/// ```
#[derive(Debug)]
pub struct Limiter {
    quota: Quota,
    start: Instant,
    cell: Cell,
}

impl Limiter {
    /// A limiter with its whole quota. `start` is any instant not after the first check; an
    /// earlier check is taken as made then.
    #[must_use]
    pub fn new(quota: Quota, start: Instant) -> Limiter {
        Limiter { quota, start, cell: Cell::new(0) }
    }

    /// What it was made with.
    #[must_use]
    pub fn quota(&self) -> Quota {
        self.quota
    }

    /// One call at `now`.
    ///
    /// # Errors
    ///
    /// The quota is used up: answer without calling, and name the wait. A refusal costs nothing.
    pub fn check(&self, now: Instant) -> Result<Allowed, NotUntil> {
        self.cell.check(&self.quota, nanos_since(self.start, now))
    }
}

/// All that is known of one limiter: when its quota is whole again, in nanoseconds since the
/// its start. The number stands alone, so no ordering with other memory is needed.
#[derive(Debug)]
pub(super) struct Cell(AtomicU64);

impl Cell {
    pub(super) fn new(whole_at: u64) -> Cell {
        Cell(AtomicU64::new(whole_at))
    }

    pub(super) fn whole_at(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn check(&self, quota: &Quota, now: u64) -> Result<Allowed, NotUntil> {
        let mut seen = self.whole_at();
        loop {
            let Decided { whole_at, allowed } = quota.decide(seen, now)?;
            match self.swap(seen, whole_at) {
                Ok(_) => return Ok(allowed),
                // Another call was admitted in between: what it left decides about this one.
                Err(newer) => seen = newer,
            }
        }
    }

    fn swap(&self, seen: u64, whole_at: u64) -> Result<u64, u64> {
        self.0.compare_exchange_weak(seen, whole_at, Ordering::Relaxed, Ordering::Relaxed)
    }
}
