//! What one guarded call costs in decisions: breaker admission, rate limit, recorded outcome.
//!
//! Virtual time moves on by a call's share of the rate, so the limiter always admits and the
//! figure is the decisions alone, without the reading of a clock.

use std::hint::black_box;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use yeoul_guard::breaker::{Breaker, Outcome, Settings};
use yeoul_guard::rate::{BURST_MAX, Keyed, Limiter, Quota};
use yeoul_guard::share::Share;

/// How far virtual time moves on from call to call: two threads then just keep to the rate.
const STEP: Duration = Duration::from_micros(2);
const RATE: u32 = 1_000_000;

struct Guards {
    breaker: Arc<Breaker>,
    limiter: Limiter,
    clients: Keyed<u32>,
    start: Instant,
}

/// What is measured of the guards.
#[derive(Clone, Copy)]
enum Load {
    /// Breaker and limiter, every call a success.
    Healthy,
    /// Breaker and limiter, every fourth call a failure, not enough to open.
    Failing,
    /// Breaker, limiter and the limit of the caller's key.
    PerClient,
}

#[allow(clippy::disallowed_methods, reason = "a measurement reads the clock")]
fn clock() -> Instant {
    Instant::now()
}

fn guards() -> Guards {
    let start = clock();
    let settings = Settings {
        failure_rate: Share::of_percent(50).expect("within 1 and 100"),
        window_calls: 10,
        open_for: Duration::from_secs(5),
        probes: 1,
        probe_deadline: Duration::from_secs(1),
        enforce: true,
    };
    let quota = Quota::per_second(RATE, BURST_MAX).expect("within the limits");
    Guards {
        breaker: Arc::new(Breaker::new(settings).expect("within the limits")),
        limiter: Limiter::new(quota, start),
        clients: Keyed::new(quota, start, 10_000),
        start,
    }
}

impl Guards {
    fn call(&self, turn: u32, load: Load) {
        let now = self.start + STEP * turn;
        let permit = self.breaker.admit(now).expect("closed");
        self.limiter.check(now).expect("within the quota");
        if matches!(load, Load::PerClient) {
            self.clients.check(&(turn % 1_000), now).expect("within the quota");
        }
        let fails = matches!(load, Load::Failing) && turn.is_multiple_of(4);
        permit.record(if fails { Outcome::Failure } else { Outcome::Success }, now);
    }

    /// `calls` on each of `threads` at once, from the first start to the last end.
    fn hammer(&self, threads: usize, calls: u64, load: Load) -> Duration {
        let ready = Barrier::new(threads + 1);
        let done = Barrier::new(threads + 1);
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    ready.wait();
                    for turn in 0..calls {
                        self.call(black_box(turn as u32), load);
                    }
                    done.wait();
                });
            }
            ready.wait();
            let start = clock();
            done.wait();
            start.elapsed()
        })
    }
}

fn decision(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decision");
    let loads =
        [("healthy", Load::Healthy), ("failing", Load::Failing), ("per_client", Load::PerClient)];
    for (name, load) in loads {
        for threads in [1, 2] {
            group.bench_function(format!("{name}/{threads}"), |bencher| {
                bencher.iter_custom(|calls| guards().hammer(threads, calls, load));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, decision);
criterion_main!(benches);
