//! How a rate limit refuses, and whom it counts as one client.
//!
//! The fields are those of the current draft (draft-ietf-httpapi-ratelimit-headers-10), beside a
//! `Retry-After` that whoever counts has spread, so that not everybody comes back in one second.
//!
//! It does not count: limits are the guards', and account's own.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use http::{HeaderName, HeaderValue};

use super::problem::Problem;

const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// An IPv6 client has at least this many of an address's bits to itself.
const IPV6_PREFIX_BITS: u32 = 64;

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

/// The part of an address that one client has: all of an IPv4 address, half of an IPv6 one.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let bits = u128::from(address) >> (128 - IPV6_PREFIX_BITS) << (128 - IPV6_PREFIX_BITS);
            Ipv6Addr::from(bits).into()
        }
        address @ IpAddr::V4(_) => address,
    }
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

    #[test]
    fn an_ipv6_client_is_its_network() {
        let parse = |text: &str| text.parse::<IpAddr>().expect("an address");
        assert_eq!(network(parse("2001:db8::1")), network(parse("2001:db8:0:0:ffff::2")));
        assert_ne!(network(parse("2001:db8::1")), network(parse("2001:db8:0:1::1")));
        assert_eq!(network(parse("::ffff:192.0.2.1")), parse("192.0.2.1"));
        assert_ne!(network(parse("192.0.2.1")), network(parse("192.0.2.2")));
    }
}
