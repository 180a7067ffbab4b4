//! Where a sign-in comes from, and how it is refused when too many were wrong.
//!
//! Account's port sees the gateway's address. The gateway overwrites what a client says of where it
//! comes from, so its word is believed: that of the loopback, and of the proxies that settings trust.

use std::net::IpAddr;

use chassis::chance;
use chassis::http::limited::{self, whole_seconds};
use chassis::http::networks::network;
use chassis::http::{Client, Networks, Problem};
use hmac::{Hmac, Mac};
use http::HeaderMap;
use sha2::Sha256;

use super::attempts::Exceeded;
use super::password::NotNow;
use super::refresh::ChainKey;

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
    let jitter = (chance::jitter() * 2.0) as u64;
    limited::Exceeded { name, quota: limit, window: within, retry_after }
        .refuse(whole_seconds(retry_after) + jitter)
        .detail("too many attempts of late")
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
