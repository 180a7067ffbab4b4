//! Decisions around a call: may it go now, and when should a refused caller come back.
//!
//! Everything here is a decision and nothing else: the present instant and the random number are
//! arguments, there is no I/O, no task, no clock and no allocation on the path of a call. That is
//! what lets the proxy, a service and a test in virtual time use the same code and get the same
//! answers.
//!
//! The crate does not know HTTP, does not decide what a failure is (the caller says so by
//! [`breaker::Outcome`]) and shares nothing between processes.
//!
//! * [`breaker`]: circuit breaker over the last calls, with an epoch per admission.
//! * [`outlier`]: which of several addresses are left out for a while.
//! * [`rate`]: rate limit by the generic cell rate algorithm, alone or per key in a bounded table.
//! * [`refusal`]: what to tell a refused caller.
//! * [`share`]: a share of a whole, exactly.

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
