//! Many threads on one breaker: the fast path and the lock agree.

use std::sync::Barrier;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use super::*;

const THREADS: usize = 4;

/// Runs `work` on every thread, all let loose at once.
fn together(work: impl Fn() + Sync) {
    let start = Barrier::new(THREADS);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                start.wait();
                work();
            });
        }
    });
}

#[test]
fn threads_that_race_for_the_probes_get_no_more_than_there_are() {
    for _ in 0..50 {
        let (breaker, start) = (breaker(Settings { probes: 3, ..MALL }), origin());
        let now = trip(&breaker, start);
        let held = Mutex::new(Vec::new());
        together(|| {
            for _ in 0..10 {
                if let Ok(permit) = breaker.admit(now) {
                    held.lock().expect("no thread panics").push(permit);
                }
            }
        });
        assert_eq!(held.into_inner().expect("no thread panics").len(), 3);
    }
}

#[test]
fn threads_that_race_with_the_trip_admit_nothing_after_it() {
    let (breaker, now) = (breaker(MALL), origin());
    let failures = AtomicU32::new(0);
    together(|| {
        while let Ok(permit) = breaker.admit(now) {
            failures.fetch_add(1, Ordering::Relaxed);
            permit.record(Outcome::Failure, now);
        }
    });
    let seen = breaker.snapshot(now);
    assert_eq!((seen.state, seen.opened, seen.transitions), (State::Open, 1, 1));
    assert_eq!((seen.calls, seen.failures), (10, 10));
    // Besides the ten that opened it, each thread can have held one admitted before.
    let failures = failures.into_inner();
    assert!((10..10 + THREADS as u32).contains(&failures), "{failures}");
}

#[test]
fn no_outcome_is_lost_between_threads() {
    let settings = Settings { window_calls: 4_000, failure_rate: percent(100), ..MALL };
    let (breaker, now) = (breaker(settings), origin());
    together(|| {
        for turn in 0..1_000 {
            let fails = turn % 5 == 0;
            call(&breaker, if fails { Outcome::Failure } else { Outcome::Success }, now);
        }
    });
    let seen = breaker.snapshot(now);
    assert_eq!((seen.calls, seen.failures), (4_000, 800));
}
