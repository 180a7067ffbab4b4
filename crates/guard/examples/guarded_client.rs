//! A client that does not call a service that mostly fails, nor more often than it may.
//!
//! The three steps of every guarded call are in [`Client::call`]: ask the guards, cheapest refusal
//! first; make the call; say how it went. Everything else is the story that shows what comes of it:
//! a warehouse that answers, fails for two seconds and is well again, asked twenty times a second.
//!
//! ```text
//! cargo run --package yeoul-guard --example guarded_client
//! ```
//!
//! Time is a number here, and the whole story takes no time at all. A real client passes
//! `Instant::now()` to the very same methods.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use yeoul_guard::breaker::{Breaker, Outcome, Settings};
use yeoul_guard::rate::{Limiter, Quota};
use yeoul_guard::refusal::retry_after_seconds;
use yeoul_guard::share::Share;

/// How a call ended, as far as the caller sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// The warehouse did its work.
    Stock(u32),
    /// The warehouse was asked and did not.
    Failed,
    /// It was not asked: too many asked already.
    OverTheRate { retry_after_s: u64 },
    /// It was not asked: it mostly failed.
    CircuitOpen { retry_after_s: u64 },
}

/// One client for all who ask the same warehouse: share it, its guards count for all of them.
struct Client {
    limit: Limiter,
    breaker: Arc<Breaker>,
}

impl Client {
    fn new(now: Instant) -> Client {
        let quota = Quota::per_second(15, 5).expect("a rate and a burst within the limits");
        let settings = Settings {
            // Half of the last ten calls: a hiccup does not open the circuit, an outage does.
            failure_rate: Share::of_percent(50).expect("within 1 and 100"),
            window_calls: 10,
            open_for: Duration::from_secs(1),
            probes: 1,
            // A little above the timeout of the call itself, which should end it first.
            probe_deadline: Duration::from_millis(700),
            enforce: true,
        };
        let breaker = Breaker::new(settings).expect("settings within the limits");
        Client { limit: Limiter::new(quota, now), breaker: Arc::new(breaker) }
    }

    fn call(&self, now: Instant, ask: impl FnOnce() -> Result<u32, ()>) -> Answer {
        // Spreads those who come back; a real client draws it.
        let jitter = 0.0;
        if let Err(until) = self.limit.check(now) {
            let retry_after_s = retry_after_seconds(until.retry_after, jitter);
            return Answer::OverTheRate { retry_after_s };
        }
        let permit = match self.breaker.admit(now) {
            Ok(permit) => permit,
            Err(open) => {
                let wait = open.retry_at.saturating_duration_since(now);
                return Answer::CircuitOpen { retry_after_s: retry_after_seconds(wait, jitter) };
            }
        };
        // Were the permit dropped here, as when the caller goes away, the call would count neither way.
        match ask() {
            Ok(stock) => {
                permit.record(Outcome::Success, now);
                Answer::Stock(stock)
            }
            // That the warehouse knows no such product would be a success: it did its work.
            Err(()) => {
                permit.record(Outcome::Failure, now);
                Answer::Failed
            }
        }
    }
}

/// What happened in one second.
#[derive(Debug, Default, PartialEq, Eq)]
struct Second {
    answered: u32,
    failed: u32,
    over_the_rate: u32,
    circuit_open: u32,
}

impl Second {
    fn count(&mut self, answer: Answer) {
        match answer {
            Answer::Stock(_) => self.answered += 1,
            Answer::Failed => self.failed += 1,
            Answer::OverTheRate { .. } => self.over_the_rate += 1,
            Answer::CircuitOpen { .. } => self.circuit_open += 1,
        }
    }
}

impl fmt::Display for Second {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Second { answered, failed, over_the_rate, circuit_open } = self;
        write!(f, "answered {answered:2}, failed {failed:2}, ")?;
        write!(f, "over the rate {over_the_rate:2}, circuit open {circuit_open:2}")
    }
}

/// Twenty calls a second for six seconds; the warehouse is away in the third and fourth.
fn story(start: Instant) -> Vec<Second> {
    let client = Client::new(start);
    let mut seconds: Vec<Second> = (0..6).map(|_| Second::default()).collect();
    for call in 0..120_u32 {
        let now = start + Duration::from_millis(50) * call;
        let second = call / 20;
        let away = second == 2 || second == 3;
        let answer = client.call(now, || if away { Err(()) } else { Ok(7) });
        seconds[second as usize].count(answer);
    }
    seconds
}

#[expect(clippy::disallowed_methods, reason = "virtual time has no other origin than the clock")]
#[expect(clippy::print_stdout, reason = "an example shows what it does")]
fn main() {
    for (number, second) in (1..).zip(story(Instant::now())) {
        println!("second {number}: {second}");
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "virtual time has no other origin than the clock")]
mod tests {
    use super::*;

    #[test]
    fn an_outage_costs_the_warehouse_a_handful_of_calls_and_ends_by_itself() {
        let seconds = story(Instant::now());
        assert_eq!(seconds[1].over_the_rate, 5, "twenty are asked for, fifteen may. {seconds:?}");
        let in_vain: u32 = seconds.iter().map(|second| second.failed).sum();
        assert!((5..=8).contains(&in_vain), "half a window, then a probe a second. {seconds:?}");
        assert!(seconds[3].circuit_open > 10, "refused without a call. {seconds:?}");
        assert_eq!(seconds[5].answered, 15, "well again. {seconds:?}");
    }

    #[test]
    fn a_refusal_says_when_to_come_back() {
        let now = Instant::now();
        let client = Client::new(now);
        let answers: Vec<Answer> = (0..6).map(|_| client.call(now, || Ok(7))).collect();
        assert_eq!(answers[4], Answer::Stock(7));
        assert_eq!(answers[5], Answer::OverTheRate { retry_after_s: 1 });
    }
}
