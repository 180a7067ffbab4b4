//! Outlier ejection: of several addresses of one upstream, leaves out for a while those that fail
//! one call after the other.
//!
//! Three failures in a row leave an address out for a second. When that is over one call is let
//! through to it as a probe; if it succeeds the address is in again, if it fails the address is out
//! for twice as long, up to half a minute. A success at any other time begins the row anew. The last
//! address that is in is never left out: somebody has to be asked.
//!
//! What a probe does not say within the time that the address was out for, the next probe is asked.
//! A call that was sent before the address was left out says nothing of it any more, as in
//! [`breaker`](crate::breaker).
//!
//! An address is one atomic word, so whoever asks takes one load, and a success of an address that
//! did not fail takes one too. It does not know what a failure is, and chooses no address: it says
//! which are worth a call.
//!
//! ```
//! use std::time::{Duration, Instant};
//! use yeoul_guard::breaker::Outcome;
//! use yeoul_guard::outlier::{Outliers, Ticket};
//!
//! let now = Instant::now();
//! let addresses = Outliers::new(2, now);
//! for _ in 0..3 {
//!     let ticket = addresses.admit(0, now).expect("in");
//!     addresses.record(0, ticket, Outcome::Failure, now);
//! }
//! assert_eq!(addresses.admit(0, now), None, "left out");
//! assert_eq!(addresses.admit(0, now + Duration::from_secs(1)), Some(Ticket::Probe));
//! assert_eq!(addresses.admit(1, now), Some(Ticket::Call));
//! ```
//!
//! # With a circuit breaker
//!
//! The circuit is the upstream's, the addresses are inside of it. A call that fails at one address
//! while another is good ([`Outliers::is_another_good`]) is tried there or answered as it is, and does
//! not move the breaker: the upstream works. Only where no address is good does a failure say
//! something about the upstream.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::breaker::Outcome;

/// So many failures in a row leave an address out.
pub const FAILURES_IN_A_ROW: u16 = 3;
/// How long an address is left out the first time; each time that its probe fails, twice as long.
pub const OUT_FOR: Duration = Duration::from_secs(1);
/// The longest that it is left out.
pub const OUT_FOR_MAX: Duration = Duration::from_secs(30);

/// The addresses of one upstream, shared by all who call them. An address is its number, `0..count`;
/// any other panics, for the caller has the list.
///
/// ```
/// use std::time::Instant;
/// use yeoul_guard::breaker::Outcome;
/// use yeoul_guard::outlier::Outliers;
///
/// /// Asks one address after the other, from `first` on, until one does its work.
/// fn ask(
///     addresses: &Outliers,
///     count: usize,
///     first: usize,
///     now: Instant,
///     call: impl Fn(usize) -> bool,
/// ) -> Option<usize> {
///     (first..first + count).map(|at| at % count).find(|at| {
///         let Some(ticket) = addresses.admit(*at, now) else { return false };
///         let well = call(*at);
///         let outcome = if well { Outcome::Success } else { Outcome::Failure };
///         addresses.record(*at, ticket, outcome, now);
///         well
///     })
/// }
///
/// let now = Instant::now();
/// let addresses = Outliers::new(2, now);
/// for _ in 0..5 {
///     assert_eq!(ask(&addresses, 2, 0, now, |at| at == 1), Some(1));
/// }
/// assert_eq!(addresses.snapshot(0, now).failures, 3, "after three, it was not asked again");
/// ```
#[derive(Debug)]
pub struct Outliers {
    origin: Instant,
    addresses: Box<[AtomicU64]>,
}

/// Leave to make one call to an address; forgotten, the call says nothing of it. A probe that is
/// forgotten is followed by another one after as long as the address was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ticket {
    /// One call of many.
    Call,
    /// The one call that says whether an address is worth calling again.
    Probe,
}

/// An address at one instant, for people and metrics. [`Snapshot::out_for`] is nothing for one that is
/// in and for one that may be probed now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Snapshot {
    /// Failures in a row; once it is left out, how often its probes failed is added.
    pub failures: u16,
    /// How long it is still left out.
    pub out_for: Option<Duration>,
}

impl Outliers {
    /// `count` addresses that have not failed.
    #[must_use]
    pub fn new(count: usize, now: Instant) -> Outliers {
        Outliers { origin: now, addresses: (0..count).map(|_| AtomicU64::new(0)).collect() }
    }

    /// Leave to call the address `at`; nothing while it is left out.
    #[must_use]
    pub fn admit(&self, at: usize, now: Instant) -> Option<Ticket> {
        let address = self.address(at);
        // in
        if address.until == 0 {
            return Some(Ticket::Call);
        }
        // out, and it is not time yet
        let now = self.millis(now);
        if address.until > now {
            return None;
        }
        // Whoever moves the time on is the probe; the others see that it has moved.
        let probing = Address { until: now + address.out_for(), ..address };
        let moved = self.addresses[at].compare_exchange(
            address.word(),
            probing.word(),
            Ordering::AcqRel,
            Ordering::Acquire,
        );
        moved.ok().map(|_| Ticket::Probe)
    }

    /// Records how a call to the address `at` went, by the ticket that it was admitted with. A call
    /// whose ticket is older than the ejection changes nothing.
    pub fn record(&self, at: usize, ticket: Ticket, outcome: Outcome, now: Instant) {
        // in -> in: nearly every call there is, and it writes nothing.
        if outcome == Outcome::Success && self.address(at) == Address::IN {
            return;
        }
        let now = self.millis(now);
        let others = (0..self.addresses.len()).filter(|other| *other != at);
        let last = !others.into_iter().any(|other| self.address(other).until <= now);
        // Nobody waits for this word: a change that another one overtook is made again upon it.
        let _ = self.addresses[at].fetch_update(Ordering::AcqRel, Ordering::Acquire, |word| {
            let next = Address::of(word).after(ticket, outcome, now, last);
            (next.word() != word).then_some(next.word())
        });
    }

    /// Whether another address than `at` is in and did not fail when it was last called.
    #[must_use]
    pub fn is_another_good(&self, at: usize) -> bool {
        let others = (0..self.addresses.len()).filter(|other| *other != at);
        others.into_iter().any(|other| self.address(other) == Address::IN)
    }

    /// The address `at` at `now`.
    #[must_use]
    pub fn snapshot(&self, at: usize, now: Instant) -> Snapshot {
        let address = self.address(at);
        let left = address.until.checked_sub(self.millis(now)).filter(|left| *left > 0);
        Snapshot { failures: address.failures, out_for: left.map(Duration::from_millis) }
    }

    fn address(&self, at: usize) -> Address {
        Address::of(self.addresses[at].load(Ordering::Acquire))
    }

    fn millis(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.origin).as_millis();
        u64::try_from(since).unwrap_or(u64::MAX).min(Address::UNTIL_MAX)
    }
}

/// One address: a word of 48 bits of time and 16 of failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Address {
    /// Milliseconds from the origin until it may be probed; 0 while it is in.
    until: u64,
    failures: u16,
}

impl Address {
    const IN: Address = Address { until: 0, failures: 0 };
    const FAILURE_BITS: u32 = 16;
    /// Nine thousand years.
    const UNTIL_MAX: u64 = u64::MAX >> Self::FAILURE_BITS;

    fn of(word: u64) -> Address {
        Address { until: word >> Self::FAILURE_BITS, failures: (word & 0xFFFF) as u16 }
    }

    fn word(self) -> u64 {
        self.until.min(Self::UNTIL_MAX) << Self::FAILURE_BITS | u64::from(self.failures)
    }

    /// What it is after a call; `last` says that no other address is in.
    fn after(self, ticket: Ticket, outcome: Outcome, now: u64, last: bool) -> Address {
        match (ticket, outcome) {
            // in -> in, out -> out: the call is older than what is known.
            (Ticket::Call, _) if self.until != 0 => self,
            // in -> in, out -> in
            (_, Outcome::Success) => Address::IN,
            (_, Outcome::Failure) => self.failed(now, last),
        }
    }

    fn failed(self, now: u64, last: bool) -> Address {
        let failures = self.failures.saturating_add(1);
        // in -> in: the row is not long enough yet.
        if failures < FAILURES_IN_A_ROW {
            return Address { until: 0, failures };
        }
        if last {
            // in -> in, out -> in: one failure more leaves it out, once there is another to ask.
            return Address { until: 0, failures: self.failures.max(FAILURES_IN_A_ROW - 1) };
        }
        // in -> out, out -> out
        let out = Address { until: 0, failures };
        // Never 0, which would be an address that is in.
        Address { until: (now + out.out_for()).max(1), failures }
    }

    /// How long it is left out after so many failures, in milliseconds.
    fn out_for(self) -> u64 {
        let times = self.failures.saturating_sub(FAILURES_IN_A_ROW).min(16);
        let span = (OUT_FOR * (1 << times)).min(OUT_FOR_MAX);
        u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::origin;

    const SECOND: Duration = Duration::from_secs(1);

    fn fail(addresses: &Outliers, at: usize, now: Instant) {
        let ticket = addresses.admit(at, now).expect("in");
        addresses.record(at, ticket, Outcome::Failure, now);
    }

    #[test]
    fn three_failures_in_a_row_leave_an_address_out_for_a_second() {
        let (now, tick) = (origin(), Duration::from_millis(1));
        let addresses = Outliers::new(2, now);
        for _ in 0..10 {
            fail(&addresses, 0, now);
            fail(&addresses, 0, now);
            addresses.record(0, Ticket::Call, Outcome::Success, now);
        }
        for _ in 0..3 {
            assert_eq!(addresses.admit(0, now), Some(Ticket::Call));
            addresses.record(0, Ticket::Call, Outcome::Failure, now);
        }
        assert_eq!(addresses.snapshot(0, now), Snapshot { failures: 3, out_for: Some(SECOND) });
        assert_eq!(addresses.admit(0, now + SECOND - tick), None);
        assert_eq!(addresses.admit(0, now + SECOND), Some(Ticket::Probe));
        assert_eq!(addresses.admit(0, now + SECOND), None, "one probe");
        assert_eq!(addresses.admit(0, now + SECOND * 2), Some(Ticket::Probe), "it was lost");
        addresses.record(0, Ticket::Probe, Outcome::Success, now + SECOND * 2);
        assert_eq!(addresses.admit(0, now + SECOND * 2), Some(Ticket::Call));
        assert_eq!(addresses.snapshot(0, now).failures, 0);
    }

    #[test]
    fn each_failed_probe_doubles_the_time_up_to_half_a_minute() {
        let mut now = origin();
        let addresses = Outliers::new(3, now);
        for _ in 0..3 {
            fail(&addresses, 1, now);
        }
        for seconds in [1, 2, 4, 8, 16, 30, 30, 30] {
            let out_for = addresses.snapshot(1, now).out_for;
            assert_eq!(out_for, Some(SECOND * seconds));
            now += SECOND * seconds;
            fail(&addresses, 1, now);
        }
    }

    #[test]
    fn the_last_address_is_never_left_out() {
        let now = origin();
        let alone = Outliers::new(1, now);
        let both = Outliers::new(2, now);
        for _ in 0..10 {
            fail(&alone, 0, now);
        }
        assert_eq!(alone.admit(0, now), Some(Ticket::Call));
        for _ in 0..3 {
            fail(&both, 0, now);
        }
        for _ in 0..10 {
            fail(&both, 1, now);
        }
        assert_eq!((both.admit(0, now), both.admit(1, now)), (None, Some(Ticket::Call)));
        // The other one is back: now this one can go, for a second as the first time.
        assert_eq!(both.admit(0, now + SECOND), Some(Ticket::Probe));
        both.record(0, Ticket::Probe, Outcome::Success, now + SECOND);
        fail(&both, 1, now + SECOND);
        let seen = both.snapshot(1, now + SECOND);
        assert_eq!(seen.out_for, Some(SECOND));
    }

    #[test]
    fn a_call_that_is_older_than_the_ejection_changes_nothing() {
        let now = origin();
        let addresses = Outliers::new(2, now);
        for _ in 0..3 {
            fail(&addresses, 0, now);
        }
        for outcome in [Outcome::Failure, Outcome::Success, Outcome::Failure] {
            addresses.record(0, Ticket::Call, outcome, now);
        }
        assert_eq!(addresses.snapshot(0, now), Snapshot { failures: 3, out_for: Some(SECOND) });
    }

    #[test]
    fn another_address_is_good_while_it_does_not_fail() {
        let now = origin();
        let addresses = Outliers::new(2, now);
        assert!(addresses.is_another_good(0) && addresses.is_another_good(1));
        fail(&addresses, 0, now);
        assert!(addresses.is_another_good(0) && !addresses.is_another_good(1));
        assert!(!Outliers::new(1, now).is_another_good(0));
    }

    #[test]
    fn many_who_fail_at_once_leave_it_out_once() {
        let now = origin();
        let addresses = Outliers::new(2, now);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        addresses.record(0, Ticket::Call, Outcome::Failure, now);
                    }
                });
            }
        });
        assert_eq!(addresses.snapshot(0, now), Snapshot { failures: 3, out_for: Some(SECOND) });
        // Of all who come when the time is over, one is the probe.
        let probes = std::sync::atomic::AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    if addresses.admit(0, now + SECOND).is_some() {
                        probes.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(probes.into_inner(), 1);
    }
}
