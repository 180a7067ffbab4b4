//! One behaviour a test; the table and the model beside this file cover the rest.

mod model;
mod table;
mod threads;

use std::time::Duration;

use super::*;
use crate::origin;
use crate::share::Share;

pub(super) const MALL: Settings = Settings {
    failure_rate: percent(50),
    window_calls: 10,
    open_for: Duration::from_secs(5),
    probes: 1,
    probe_deadline: Duration::from_secs(1),
    enforce: true,
};
const NANO: Duration = Duration::from_nanos(1);

/// So many percent, which the test knows to be within 1 and 100.
pub(super) const fn percent(percent: u32) -> Share {
    Share::of_percent(percent).expect("within 1 and 100")
}

pub(super) fn breaker(settings: Settings) -> Arc<Breaker> {
    Arc::new(Breaker::new(settings).expect("settings within the limits"))
}

pub(super) fn call(breaker: &Arc<Breaker>, outcome: Outcome, now: Instant) {
    breaker.admit(now).expect("admitted").record(outcome, now);
}

/// Fails calls until the circuit refuses, and says when to come back.
pub(super) fn trip(breaker: &Arc<Breaker>, now: Instant) -> Instant {
    loop {
        match breaker.admit(now) {
            Ok(permit) => permit.record(Outcome::Failure, now),
            Err(open) => return open.retry_at,
        }
    }
}

#[test]
fn settings_are_taken_at_their_limits_and_refused_one_past() {
    let good = [
        Settings { failure_rate: percent(100), ..MALL },
        Settings { window_calls: 1, ..MALL },
        Settings { window_calls: WINDOW_CALLS_MAX, ..MALL },
        Settings { open_for: NANO, ..MALL },
        Settings { open_for: OPEN_FOR_MAX, ..MALL },
        Settings { probes: PROBES_MAX, ..MALL },
        Settings { probe_deadline: NANO, ..MALL },
        Settings { probe_deadline: PROBE_DEADLINE_MAX, ..MALL },
    ];
    for settings in good {
        assert!(Breaker::new(settings).is_ok(), "{settings:?}");
    }
    let bad = [
        (Settings { window_calls: 0, ..MALL }, "window_calls=`0`, limit=`10000`"),
        (Settings { window_calls: 10_001, ..MALL }, "window_calls=`10001`, limit=`10000`"),
        (Settings { open_for: Duration::ZERO, ..MALL }, "open_for=`0ns`, limit=`86400s`"),
        (Settings { open_for: OPEN_FOR_MAX + NANO, ..MALL }, "limit=`86400s`"),
        (Settings { probes: 0, ..MALL }, "probes=`0`, limit=`32`"),
        (Settings { probes: 33, ..MALL }, "probes=`33`, limit=`32`"),
        (Settings { probe_deadline: Duration::ZERO, ..MALL }, "probe_deadline=`0ns`"),
        (Settings { probe_deadline: PROBE_DEADLINE_MAX + NANO, ..MALL }, "limit=`3600s`"),
    ];
    for (settings, says) in bad {
        let error = Breaker::new(settings).expect_err(says).to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn a_rate_with_decimals_opens_at_the_very_call_that_reaches_it() {
    // 7.2 % of 125 calls are 9; as a float divided by 100 they were a hair more.
    let failure_rate = Share::of_billionths(72_000_000).expect("7.2 %");
    let (breaker, now) = (breaker(Settings { failure_rate, window_calls: 125, ..MALL }), origin());
    (0..8).for_each(|_| call(&breaker, Outcome::Failure, now));
    (0..117).for_each(|_| call(&breaker, Outcome::Success, now));
    assert_eq!(breaker.state(now), State::Closed, "8 of 125 are less");
    // The first of the eight leaves the window as this one comes in, the next one makes nine again.
    (0..8).for_each(|_| call(&breaker, Outcome::Failure, now));
    assert_eq!(breaker.state(now), State::Closed);
    call(&breaker, Outcome::Failure, now);
    assert_eq!(breaker.state(now), State::Open);
}

#[test]
fn nothing_is_judged_before_the_window_is_full() {
    let (breaker, now) = (breaker(MALL), origin());
    for _ in 0..9 {
        call(&breaker, Outcome::Failure, now);
    }
    assert_eq!(breaker.state(now), State::Closed);
    // The call that fills the window is judged with it, though it is a success.
    call(&breaker, Outcome::Success, now);
    assert_eq!(breaker.state(now), State::Open);
}

#[test]
fn the_rate_is_over_the_last_calls_and_the_oldest_leaves() {
    let (breaker, now) = (breaker(MALL), origin());
    // Four failures of any ten in a row are 40 %.
    for _ in 0..10 {
        (0..4).for_each(|_| call(&breaker, Outcome::Failure, now));
        (0..6).for_each(|_| call(&breaker, Outcome::Success, now));
    }
    let seen = breaker.snapshot(now);
    assert_eq!((seen.state, seen.calls, seen.failures), (State::Closed, 10, 4));
    // The next failure takes the place of a failure, and so for all four: still 40 %.
    (0..4).for_each(|_| call(&breaker, Outcome::Failure, now));
    assert_eq!(breaker.state(now), State::Closed);
    // The fifth takes the place of a success.
    call(&breaker, Outcome::Failure, now);
    assert_eq!(breaker.state(now), State::Open);
}

#[test]
fn an_open_circuit_refuses_to_the_last_nanosecond_and_then_probes() {
    let (breaker, start) = (breaker(MALL), origin());
    let retry_at = trip(&breaker, start);
    assert_eq!(retry_at, start + MALL.open_for);
    let open = breaker.admit(retry_at - NANO).expect_err("still open");
    assert_eq!(open, Open { retry_at });
    assert_eq!(breaker.state(retry_at - NANO), State::Open);
    assert_eq!(breaker.state(retry_at), State::HalfOpen);
    assert!(breaker.admit(retry_at).is_ok());
}

#[test]
fn one_probe_goes_at_a_time_and_its_success_closes() {
    let (breaker, start) = (breaker(MALL), origin());
    let now = trip(&breaker, start);
    let probe = breaker.admit(now).expect("the probe");
    let refused = breaker.admit(now).expect_err("one probe at a time");
    assert_eq!(refused.retry_at, now + MALL.probe_deadline);
    probe.record(Outcome::Success, now);
    let seen = breaker.snapshot(now);
    assert_eq!((seen.state, seen.calls, seen.failures), (State::Closed, 0, 0));
}

#[test]
fn a_failed_probe_opens_again_for_the_whole_time() {
    let (breaker, start) = (breaker(MALL), origin());
    let now = trip(&breaker, start);
    let answered = now + Duration::from_millis(300);
    breaker.admit(now).expect("the probe").record(Outcome::Failure, answered);
    let open = breaker.admit(answered).expect_err("open again");
    assert_eq!(open.retry_at, answered + MALL.open_for);
    assert_eq!(breaker.snapshot(answered).opened, 2);
}

#[test]
fn no_more_probes_go_than_it_takes_to_close() {
    let (breaker, start) = (breaker(Settings { probes: 3, ..MALL }), origin());
    let now = trip(&breaker, start);
    let mut probes: Vec<_> = (0..3).map(|_| breaker.admit(now).expect("a probe")).collect();
    assert!(breaker.admit(now).is_err());
    for _ in 0..2 {
        probes.pop().expect("three").record(Outcome::Success, now);
        assert!(breaker.admit(now).is_err(), "one in flight and the successes are enough");
        assert_eq!(breaker.state(now), State::HalfOpen);
    }
    probes.pop().expect("three").record(Outcome::Success, now);
    assert_eq!(breaker.state(now), State::Closed);
}

#[test]
fn a_late_success_does_not_close_the_circuit() {
    let (breaker, start) = (breaker(MALL), origin());
    let early = breaker.admit(start).expect("closed");
    let now = trip(&breaker, start);
    let _probe = breaker.admit(now).expect("the probe");
    early.record(Outcome::Success, now);
    let seen = breaker.snapshot(now);
    assert_eq!((seen.state, seen.probes_in_flight), (State::HalfOpen, 1));
}

#[test]
fn a_late_failure_does_not_fail_the_probe_nor_count_in_the_next_window() {
    let (breaker, start) = (breaker(MALL), origin());
    let early: Vec<_> = (0..20).map(|_| breaker.admit(start).expect("closed")).collect();
    let mut early = early.into_iter();
    let now = trip(&breaker, start);
    let probe = breaker.admit(now).expect("the probe");
    early.by_ref().take(10).for_each(|permit| permit.record(Outcome::Failure, now));
    assert_eq!(breaker.state(now), State::HalfOpen);
    probe.record(Outcome::Success, now);
    early.for_each(|permit| permit.record(Outcome::Failure, now));
    let seen = breaker.snapshot(now);
    assert_eq!((seen.state, seen.calls), (State::Closed, 0));
}

#[test]
fn a_probe_may_return_at_its_deadline_and_has_failed_after_it() {
    for (late, state) in [(Duration::ZERO, State::Closed), (NANO, State::Open)] {
        let (breaker, start) = (breaker(MALL), origin());
        let now = trip(&breaker, start);
        let probe = breaker.admit(now).expect("the probe");
        let answered = now + MALL.probe_deadline + late;
        probe.record(Outcome::Success, answered);
        assert_eq!(breaker.state(answered), state, "{late:?} late");
    }
}

#[test]
fn a_probe_that_never_returns_cannot_hold_the_circuit() {
    let (breaker, start) = (breaker(MALL), origin());
    let now = trip(&breaker, start);
    std::mem::forget(breaker.admit(now).expect("the probe"));
    let deadline = now + MALL.probe_deadline;
    let open = breaker.admit(deadline + NANO).expect_err("the probe has failed");
    assert_eq!(open.retry_at, deadline + MALL.open_for, "open since the deadline, not since now");
    breaker.admit(open.retry_at).expect("the next probe").record(Outcome::Success, open.retry_at);
    assert_eq!(breaker.state(open.retry_at), State::Closed);
}

#[test]
fn who_looks_late_sees_all_that_was_due() {
    let (breaker, start) = (breaker(MALL), origin());
    let now = trip(&breaker, start);
    std::mem::forget(breaker.admit(now).expect("the probe"));
    let much_later = now + Duration::from_secs(3600);
    let seen = breaker.snapshot(much_later);
    assert_eq!((seen.state, seen.opened, seen.transitions), (State::HalfOpen, 2, 4));
    assert!(breaker.admit(much_later).is_ok());
}

#[test]
fn a_cancelled_probe_gives_its_slot_back_and_counts_nothing() {
    let (breaker, start) = (breaker(MALL), origin());
    let now = trip(&breaker, start);
    for _ in 0..100 {
        drop(breaker.admit(now).expect("the slot came back"));
    }
    let seen = breaker.snapshot(now + Duration::from_secs(60));
    assert_eq!((seen.state, seen.probes_in_flight, seen.opened), (State::HalfOpen, 0, 1));
}

#[test]
fn a_probe_given_up_in_time_is_cancelled_and_one_given_up_late_has_failed() {
    for (late, opened) in [(Duration::ZERO, 1), (NANO, 2)] {
        let (breaker, start) = (breaker(MALL), origin());
        let now = trip(&breaker, start);
        let deadline = now + MALL.probe_deadline;
        breaker.admit(now).expect("the probe").cancel(deadline + late);
        let seen = breaker.snapshot(deadline + late);
        assert_eq!((seen.opened, seen.probes_in_flight), (opened, 0), "{late:?} late");
        let admitted = breaker.admit(deadline + late);
        assert_eq!(admitted.is_ok(), opened == 1, "{late:?} late");
    }
}

#[test]
fn a_call_given_up_counts_nothing() {
    let (breaker, now) = (breaker(MALL), origin());
    (0..64).for_each(|_| breaker.admit(now).expect("closed").cancel(now));
    assert_eq!(breaker.snapshot(now).calls, 0);
}

#[test]
fn a_cancelled_probe_of_an_earlier_stay_frees_nobody_elses_slot() {
    let (breaker, start) = (breaker(MALL), origin());
    let first = trip(&breaker, start);
    let lost = breaker.admit(first).expect("the probe");
    let second = first + MALL.probe_deadline + MALL.open_for;
    let _probe = breaker.admit(second).expect("the next probe");
    drop(lost);
    assert!(breaker.admit(second).is_err());
}

#[test]
fn clients_that_hang_up_do_not_open_the_circuit() {
    let (breaker, now) = (breaker(MALL), origin());
    for _ in 0..64 {
        drop(breaker.admit(now).expect("closed"));
    }
    let seen = breaker.snapshot(now);
    assert_eq!((seen.state, seen.calls), (State::Closed, 0));
}

#[test]
fn observing_admits_every_call_and_counts_those_it_would_refuse() {
    let (breaker, start) = (breaker(Settings { enforce: false, ..MALL }), origin());
    (0..10).for_each(|_| call(&breaker, Outcome::Failure, start));
    assert_eq!(breaker.state(start), State::Open);
    (0..7).for_each(|_| call(&breaker, Outcome::Success, start));
    let seen = breaker.snapshot(start);
    assert_eq!((seen.state, seen.would_refuse, seen.refused), (State::Open, 7, 0));

    let now = start + MALL.open_for;
    let probe = breaker.admit(now).expect("the probe");
    call(&breaker, Outcome::Failure, now);
    assert_eq!(breaker.state(now), State::HalfOpen, "not a probe, so it decides nothing");
    probe.record(Outcome::Success, now);
    let seen = breaker.snapshot(now);
    assert_eq!((seen.state, seen.would_refuse, seen.refused), (State::Closed, 8, 0));
}

#[test]
fn refusals_are_counted_while_enforcing() {
    let (breaker, start) = (breaker(MALL), origin());
    trip(&breaker, start);
    (0..6).for_each(|_| assert!(breaker.admit(start).is_err()));
    let seen = breaker.snapshot(start);
    assert_eq!((seen.refused, seen.would_refuse), (7, 0));
}

#[test]
fn a_success_that_changes_nothing_still_makes_room_for_none() {
    let (breaker, now) = (breaker(MALL), origin());
    (0..1_000).for_each(|_| call(&breaker, Outcome::Success, now));
    (0..4).for_each(|_| call(&breaker, Outcome::Failure, now));
    let seen = breaker.snapshot(now);
    assert_eq!((seen.state, seen.calls, seen.failures), (State::Closed, 10, 4));
    call(&breaker, Outcome::Failure, now);
    assert_eq!(breaker.state(now), State::Open);
}

#[test]
fn an_instant_that_goes_backwards_does_no_harm() {
    let (breaker, start) = (breaker(MALL), origin());
    let later = start + Duration::from_secs(60);
    let retry_at = trip(&breaker, later);
    assert_eq!(breaker.admit(start).expect_err("open"), Open { retry_at });
    let probe = breaker.admit(retry_at).expect("the probe");
    assert!(breaker.admit(start).is_err());
    probe.record(Outcome::Success, start);
    assert_eq!(breaker.state(start), State::Closed);
}
