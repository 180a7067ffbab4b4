//! Where a sign-in comes from, and how it is refused when too many were wrong.
//!
//! Account's port sees the gateway's address. The gateway overwrites what a client says of where it
//! comes from, so its word is believed: that of the loopback, and of the proxies that settings trust.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use chassis::chance;
use chassis::http::{Client, Networks, Problem};
use hmac::{Hmac, Mac};
use http::{HeaderMap, HeaderName, HeaderValue};
use sha2::Sha256;

use super::attempts::Exceeded;
use super::password::NotNow;
use super::refresh::ChainKey;

const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// An IPv6 client has at least this many of an address's bits to itself.
const IPV6_PREFIX_BITS: u32 = 64;

/// Where a request comes from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    /// The part of its address that one client has.
    pub(super) network: IpAddr,
    /// The same, for keeping.
    pub(super) digest: [u8; 16],
}

impl Origin {
    pub(super) fn of(
        headers: &HeaderMap,
        peer: IpAddr,
        trusted: &Networks,
        key: &ChainKey,
    ) -> Origin {
        let network = network(Client::of(headers, peer, trusted).address);
        let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length is a key");
        mac.update(network.to_string().as_bytes());
        let mut digest = [0; 16];
        digest.copy_from_slice(&mac.finalize().into_bytes()[..16]);
        Origin { network, digest }
    }
}

/// The refusal of a password that was not looked at.
pub(super) fn refusal(not_now: NotNow) -> Problem {
    match not_now {
        NotNow::Busy => Problem::unavailable("connection_limit_reached", 1),
        NotNow::TooMany(exceeded) => too_many(&exceeded),
    }
}

/// 429, with the fields of a rate limit.
pub(super) fn too_many(exceeded: &Exceeded) -> Problem {
    let Exceeded { name, limit, within, retry_after } = *exceeded;
    let value = |text: String| HeaderValue::try_from(text).expect("names and numbers");
    let policy = format!("\"{name}\";q={limit};w={}", seconds(within));
    let state = format!("\"{name}\";r=0;t={}", seconds(retry_after));
    let jitter = (chance::jitter() * 2.0) as u64;
    Problem::too_many(seconds(retry_after) + jitter)
        .detail("too many attempts of late")
        .header(RATELIMIT_POLICY, value(policy))
        .header(RATELIMIT, value(state))
}

/// Whole seconds, rounded up, at least one.
fn seconds(span: Duration) -> u64 {
    (span.as_secs() + u64::from(span.subsec_nanos() > 0)).max(1)
}

fn network(address: IpAddr) -> IpAddr {
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
    fn the_gateways_word_is_believed_and_a_strangers_is_not() {
        let from = |peer: &str, said: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("x-forwarded-for", said.parse().expect("a value"));
            let trusted = Networks::default().and_loopback();
            Origin::of(&headers, peer.parse().expect("an ip"), &trusted, &[0; 32])
                .network
                .to_string()
        };
        let cases = [
            ("127.0.0.1", "192.0.2.7", "192.0.2.7"),
            ("127.0.0.1", "10.9.9.9, 192.0.2.7", "192.0.2.7"),
            ("192.0.2.1", "10.9.9.9", "192.0.2.1"),
            ("127.0.0.1", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("127.0.0.1", "127.0.0.2", "127.0.0.2"),
        ];
        for (peer, said, expected) in cases {
            assert_eq!(from(peer, said), expected, "{peer} {said}");
        }
    }
}
