//! The limiter at its limits, against a token bucket, and against a count of what it admitted.

mod keyed;

use std::sync::Barrier;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Instant;

use proptest::prelude::*;

use super::*;
use crate::origin;

const NANO: Duration = Duration::from_nanos(1);

pub(super) fn quota(rate: u32, burst: u32) -> Quota {
    Quota::per_second(rate, burst).expect("a quota within the limits")
}

#[test]
fn a_quota_is_taken_at_its_limits_and_refused_one_past() {
    for (rate, burst) in [(1, 1), (RATE_MAX, BURST_MAX), (1, BURST_MAX), (RATE_MAX, 1)] {
        let quota = quota(rate, burst);
        assert_eq!((quota.rate(), quota.burst()), (rate, burst));
    }
    let bad = [
        (0, 1, "rate not within 1 and the limit. rate=`0`, limit=`10000000`"),
        (10_000_001, 1, "rate not within 1 and the limit. rate=`10000001`, limit=`10000000`"),
        (1, 0, "burst not within 1 and the limit. burst=`0`, limit=`10000000`"),
        (1, 10_000_001, "burst not within 1 and the limit. burst=`10000001`, limit=`10000000`"),
    ];
    for (rate, burst, says) in bad {
        assert_eq!(Quota::per_second(rate, burst).expect_err(says).to_string(), says);
    }
}

#[test]
fn the_window_is_the_burst_at_the_rate() {
    for (rate, burst, millis) in [(5_000, 10_000, 2_000), (10, 1, 100), (1, 60, 60_000)] {
        assert_eq!(quota(rate, burst).window(), Duration::from_millis(millis));
    }
}

#[test]
fn the_burst_is_admitted_at_once_and_one_past_it_is_not() {
    let now = origin();
    let limiter = Limiter::new(quota(10, 3), now);
    for (remaining, reset_millis) in [(2, 100), (1, 200), (0, 300)] {
        let reset_after = Duration::from_millis(reset_millis);
        assert_eq!(limiter.check(now), Ok(Allowed { remaining, reset_after }));
    }
    let refused = limiter.check(now).expect_err("one past the burst");
    assert_eq!(refused.retry_after, Duration::from_millis(100));
    assert_eq!(refused.reset_after, Duration::from_millis(300));
}

#[test]
fn a_refusal_is_exact_to_the_nanosecond_and_costs_nothing() {
    let start = origin();
    let limiter = Limiter::new(quota(3, 1), start);
    limiter.check(start).expect("the burst");
    let wait = limiter.check(start).expect_err("used up").retry_after;
    assert_eq!(wait, Duration::from_nanos(333_333_334));
    for _ in 0..10 {
        let refused = limiter.check(start + wait - NANO).expect_err("a nanosecond early");
        assert_eq!(refused.retry_after, NANO);
    }
    assert!(limiter.check(start + wait).is_ok());
}

#[test]
fn an_idle_limiter_saves_no_more_than_the_burst() {
    let start = origin();
    let limiter = Limiter::new(quota(1_000, 5), start);
    let later = start + Duration::from_secs(365 * 24 * 3600);
    let admitted = (0..100).filter(|_| limiter.check(later).is_ok()).count();
    assert_eq!(admitted, 5);
}

#[test]
fn an_instant_that_goes_backwards_admits_nothing_more() {
    let start = origin();
    let limiter = Limiter::new(quota(10, 2), start);
    let later = start + Duration::from_secs(10);
    (0..2).for_each(|_| assert!(limiter.check(later).is_ok()));
    let refused = limiter.check(start).expect_err("the burst is used up");
    assert_eq!(refused.retry_after, Duration::from_millis(10_100));
    let before_the_start = start.checked_sub(NANO).expect("the machine has run for a nanosecond");
    assert!(limiter.check(before_the_start).is_err());
    assert!(limiter.check(later + Duration::from_millis(100)).is_ok());
}

#[test]
fn threads_together_are_admitted_the_burst_and_not_one_more() {
    let now = origin();
    let limiter = Limiter::new(quota(1, 1_000), now);
    let (admitted, start) = (AtomicU32::new(0), Barrier::new(4));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                start.wait();
                for _ in 0..500 {
                    let ok = limiter.check(now).is_ok();
                    admitted.fetch_add(u32::from(ok), Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(admitted.into_inner(), 1_000);
}

/// A token bucket that counts in nanoseconds' worth of tokens: the same promise in the words of
/// another algorithm.
struct Bucket {
    interval: u64,
    whole: u64,
    level: u64,
    last: u64,
}

impl Bucket {
    fn new(rate: u32, burst: u32) -> Bucket {
        let interval = 1_000_000_000_u64.div_ceil(u64::from(rate));
        let whole = interval * u64::from(burst);
        Bucket { interval, whole, level: whole, last: 0 }
    }

    fn check(&mut self, now: u64) -> Result<Allowed, NotUntil> {
        self.level = self.whole.min(self.level + (now - self.last));
        self.last = now;
        if self.level < self.interval {
            let retry_after = Duration::from_nanos(self.interval - self.level);
            let reset_after = Duration::from_nanos(self.whole - self.level);
            return Err(NotUntil { retry_after, reset_after });
        }
        self.level -= self.interval;
        let remaining = (self.level / self.interval) as u32;
        Ok(Allowed { remaining, reset_after: Duration::from_nanos(self.whole - self.level) })
    }
}

/// Rates that divide a second and rates that do not; waits around the interval of each.
fn arrivals() -> impl Strategy<Value = (u32, u32, Vec<u64>)> {
    let rate = prop_oneof![1..=20_u32, Just(5_000), Just(999_983), 1..=RATE_MAX];
    (rate, 1..=8_u32).prop_flat_map(|(rate, burst)| {
        let interval = 1_000_000_000 / u64::from(rate);
        let wait = prop_oneof![
            Just(0),
            0..=2 * interval,
            (interval - 1)..=(interval + 1),
            0..=20 * interval,
        ];
        (Just(rate), Just(burst), prop::collection::vec(wait, 1..120))
    })
}

proptest! {
    #[test]
    fn the_limiter_cannot_be_told_from_a_token_bucket((rate, burst, waits) in arrivals()) {
        let start = origin();
        let limiter = Limiter::new(quota(rate, burst), start);
        let mut bucket = Bucket::new(rate, burst);
        let mut now = 0;
        for wait in waits {
            now += wait;
            let decided = limiter.check(start + Duration::from_nanos(now));
            prop_assert_eq!(decided, bucket.check(now));
        }
    }

    #[test]
    fn no_span_of_time_admits_more_than_its_rate_and_the_burst((rate, burst, waits) in arrivals()) {
        let start = origin();
        let limiter = Limiter::new(quota(rate, burst), start);
        let mut now = 0;
        let mut admitted: Vec<u64> = Vec::new();
        for wait in waits {
            now += wait;
            if limiter.check(start + Duration::from_nanos(now)).is_ok() {
                admitted.push(now);
            }
        }
        for (first, from) in admitted.iter().enumerate() {
            for (last, to) in admitted.iter().enumerate().skip(first) {
                let count = (last - first + 1) as u128;
                let share = u128::from(to - from) * u128::from(rate);
                let bound = share + u128::from(burst) * 1_000_000_000;
                prop_assert!(count * 1_000_000_000 <= bound, "{} calls in {}..={}", count, from, to);
            }
        }
    }

    #[test]
    fn who_comes_back_when_told_is_admitted_and_not_a_nanosecond_earlier(
        (rate, burst, waits) in arrivals(),
    ) {
        let mut now = origin();
        let limiter = Limiter::new(quota(rate, burst), now);
        for wait in waits {
            now += Duration::from_nanos(wait);
            if let Err(until) = limiter.check(now) {
                now += until.retry_after;
                prop_assert!(limiter.check(now - NANO).is_err());
                prop_assert!(limiter.check(now).is_ok());
            }
        }
    }

    #[test]
    fn a_steady_load_at_the_rate_loses_less_than_the_rounding(rate in 1..=RATE_MAX) {
        let start = origin();
        let limiter = Limiter::new(quota(rate, 1), start);
        let interval = limiter.quota().window();
        // A thousand calls, each as soon as it may come, stay on the promised side of the rate.
        (0..1_000).for_each(|turn| assert!(limiter.check(start + interval * turn).is_ok()));
        let exact = 1e9 / f64::from(rate);
        let kept = interval.as_nanos() as f64;
        prop_assert!(kept >= exact && kept < exact + 1.0);
    }
}
