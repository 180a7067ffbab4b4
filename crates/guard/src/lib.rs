//! Decisions around a call: may it go now, and when should a refused caller come back.
//!
//! Everything here is a decision and nothing else: the present instant and the random number are
//! arguments, there is no I/O, no task, no clock and no allocation on the path of a call. That is
//! what lets the proxy, a service and a test in virtual time use the same code and get the same
//! answers.
//!
//! The crate does not know HTTP, does not decide what a failure is (the caller does, by
//! [`breaker::Outcome`]) and shares nothing between processes.
//!
//! | module | asks | answers | counts | costs |
//! |---|---|---|---|---|
//! | [`rate`] | is there quota left? | [`Allowed`](rate::Allowed) or [`NotUntil`](rate::NotUntil) | admitted calls, nothing else | one atomic; 100 bytes a key at most |
//! | [`breaker`] | does the upstream mostly work? | a [`Permit`](breaker::Permit) or [`Open`](breaker::Open) | outcomes of the last `window_calls` calls | one atomic load while closed; a byte a call of the window |
//! | [`outlier`] | is this address of it worth a call? | a [`Ticket`](outlier::Ticket) or nothing | failures in a row, per address | one atomic load; eight bytes an address |
//! | [`refusal`] | when should a refused caller come back? | whole seconds for `Retry-After` | nothing | arithmetic |
//! | [`share`] | which count is 7.2 % of 125? | nine, exactly | nothing | arithmetic |
//!
//! # A guarded call
//!
//! Ask the cheapest refusal first, and ask all of them before anything is sent. A refusal by one
//! leaves no trace in those that were not asked yet, so their order is also the order of what a
//! refused call is charged for: one that the rate limit refuses is not seen by the breaker, and one
//! that the breaker refuses has used up quota.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Instant;
//! use yeoul_guard::breaker::{Breaker, Outcome};
//! use yeoul_guard::rate::Limiter;
//! use yeoul_guard::refusal::retry_after_seconds;
//!
//! enum Answer {
//!     Of(u32),
//!     Failed,
//!     /// Nobody was asked.
//!     RetryAfter(u64),
//! }
//!
//! fn guarded(
//!     limit: &Limiter,
//!     breaker: &Arc<Breaker>,
//!     // The clock and the random number are the caller's: a test has both in its hands.
//!     now: impl Fn() -> Instant,
//!     jitter: f64,
//!     call: impl FnOnce() -> Result<u32, ()>,
//! ) -> Answer {
//!     let began = now();
//!     if let Err(refused) = limit.check(began) {
//!         return Answer::RetryAfter(retry_after_seconds(refused.retry_after, jitter));
//!     }
//!     let permit = match breaker.admit(began) {
//!         Ok(permit) => permit,
//!         Err(open) => {
//!             let wait = open.retry_at.saturating_duration_since(began);
//!             return Answer::RetryAfter(retry_after_seconds(wait, jitter));
//!         }
//!     };
//!     // If this unwinds or is dropped, so is the permit: the call counts neither way.
//!     let answer = call();
//!     let outcome = if answer.is_ok() { Outcome::Success } else { Outcome::Failure };
//!     permit.record(outcome, now());
//!     answer.map_or(Answer::Failed, Answer::Of)
//! }
//! # use yeoul_guard::{breaker::Settings, rate::Quota, share::Share};
//! # use std::time::Duration;
//! # let start = Instant::now();
//! # let limit = Limiter::new(Quota::per_second(1, 2).unwrap(), start);
//! # let breaker = Arc::new(Breaker::new(Settings {
//! #     failure_rate: Share::of_percent(100).unwrap(),
//! #     window_calls: 1,
//! #     open_for: Duration::from_secs(5),
//! #     probes: 1,
//! #     probe_deadline: Duration::from_secs(1),
//! #     enforce: true,
//! # }).unwrap());
//! # assert!(matches!(guarded(&limit, &breaker, || start, 0.0, || Err(())), Answer::Failed));
//! # assert!(matches!(guarded(&limit, &breaker, || start, 0.0, || Ok(7)), Answer::RetryAfter(5)));
//! # assert!(matches!(guarded(&limit, &breaker, || start, 0.0, || Ok(7)), Answer::RetryAfter(1)));
//! # let later = || start + Duration::from_secs(6);
//! # assert!(matches!(guarded(&limit, &breaker, later, 0.0, || Ok(7)), Answer::Of(7)));
//! ```
//!
//! The example `guarded_client` of this crate is the same as a client of its own, with an outage
//! played through it second by second.
//!
//! # Time
//!
//! Every method takes `now` as an [`Instant`](std::time::Instant), and instants may come from many
//! threads, so one may be a little older than one that was seen before. Nothing panics on that and
//! nothing is admitted that would not have been: each module states what it makes of it.
//!
//! # Several threads
//!
//! Guards are shared as they are (`Arc<Breaker>`, or any of them in a struct that is shared); all
//! methods take `&self`. There is no lock on the path of a call that succeeds at a healthy upstream.

pub mod breaker;
pub mod outlier;
pub mod rate;
pub mod refusal;
pub mod share;

/// Where a test's virtual time begins; an `Instant` has no other origin than the clock.
#[cfg(test)]
#[allow(
    clippy::disallowed_methods,
    reason = "the one place of this crate that needs an origin for virtual time"
)]
pub(crate) fn origin() -> std::time::Instant {
    std::time::Instant::now()
}
