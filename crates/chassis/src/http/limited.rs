//! How a rate limit refuses.
//!
//! The fields are those of the current draft (draft-ietf-httpapi-ratelimit-headers-10), beside a
//! `Retry-After` that whoever counts has spread, so that not everybody comes back in one second.
//!
//! It does not count: limits are the guards', and account's own.

use std::time::Duration;

use http::{HeaderName, HeaderValue};

use super::problem::Problem;

const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// A limit of which nothing is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exceeded<'l> {
    /// What it is called; letters, digits, `-` and `_`.
    pub name: &'l str,
    /// How many fit within `window`.
    pub quota: u32,
    /// The time that the quota is for.
    pub window: Duration,
    /// When there is some left again.
    pub retry_after: Duration,
}

impl Exceeded<'_> {
    /// 429 with the limit's fields; `seconds` is the `Retry-After`.
    ///
    /// # Panics
    /// If the name holds what no header may.
    pub fn refuse(&self, seconds: u64) -> Problem {
        let Exceeded { name, quota, window, retry_after } = self;
        let value = |text: String| HeaderValue::try_from(text).expect("names and numbers");
        let policy = format!("\"{name}\";q={quota};w={}", whole_seconds(*window));
        let state = format!("\"{name}\";r=0;t={}", whole_seconds(*retry_after));
        Problem::too_many(seconds)
            .header(RATELIMIT_POLICY, value(policy))
            .header(RATELIMIT, value(state))
    }
}

/// Whole seconds, rounded up, at least one.
pub fn whole_seconds(span: Duration) -> u64 {
    (span.as_secs() + u64::from(span.subsec_nanos() > 0)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_its_limit_and_rounds_its_times_up() {
        let (window, retry_after) = (Duration::from_millis(60_001), Duration::from_millis(1));
        let exceeded = Exceeded { name: "sign-in", quota: 5, window, retry_after };
        let response = exceeded.refuse(7).into_response(&crate::http::Trace::start());
        assert_eq!(response.status(), 429);
        let header = |name: &str| response.headers()[name].to_str().expect("text");
        assert_eq!(header("ratelimit-policy"), "\"sign-in\";q=5;w=61");
        assert_eq!(header("ratelimit"), "\"sign-in\";r=0;t=1");
        assert_eq!(header("retry-after"), "7");
    }
}
