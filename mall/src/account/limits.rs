//! Where a sign-in comes from, and how it is refused when too many were wrong.
//!
//! Account's port sees the gateway's address. The gateway overwrites what a client says of where it
//! comes from, so its word is believed: it shows a secret that both were given. So are the proxies that
//! settings trust. Whoever else is on this machine may say what he likes and is the loopback.

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
use crate::proof::Proof;

/// Who is believed about where a request comes from.
#[derive(Clone)]
pub(super) struct Trust {
    proxies: Networks,
    /// The same, behind a gateway that is beside this service.
    behind_gateway: Networks,
    /// What the gateway shows.
    proof: Proof,
}

impl Trust {
    /// The proxies that settings trust, and who shows `proof`.
    pub(super) fn new(proxies: &Networks, proof: Option<&str>) -> Trust {
        let behind_gateway = proxies.clone().and_loopback();
        Trust { proxies: proxies.clone(), behind_gateway, proof: Proof::of(proof) }
    }

    fn by(&self, headers: &HeaderMap) -> &Networks {
        if self.proof.is_shown(headers) { &self.behind_gateway } else { &self.proxies }
    }
}

/// The network that a request comes from, as far as one client has it.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClientNetwork {
    /// The client's part of its address.
    pub(super) network: IpAddr,
    /// The same, for keeping.
    pub(super) digest: [u8; 16],
}

impl ClientNetwork {
    pub(super) fn of(
        headers: &HeaderMap,
        peer: IpAddr,
        believed: &Trust,
        key: &ChainKey,
    ) -> ClientNetwork {
        let network = network(Client::of(headers, peer, believed.by(headers)).address);
        let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length is a key");
        mac.update(network.to_string().as_bytes());
        let mut digest = [0; 16];
        digest.copy_from_slice(&mac.finalize().into_bytes()[..16]);
        ClientNetwork { network, digest }
    }
}

/// The refusal of a password that was not looked at.
pub(super) fn refusal(not_now: NotNow) -> Problem {
    match not_now {
        NotNow::Busy => Problem::unavailable("connection_limit_reached", chance::seconds(1)),
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

    /// What is taken for the client's, of a request that shows this proof.
    fn from(believed: &Trust, peer: &str, forwarded: &str, proof: &str) -> String {
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", forwarded.parse().expect("a value"));
        headers.insert("x-yeoul-gateway", proof.parse().expect("a value"));
        let peer = peer.parse().expect("an ip");
        ClientNetwork::of(&headers, peer, believed, &[0; 32]).network.to_string()
    }

    #[test]
    fn the_gateways_word_is_believed_and_a_strangers_is_not() {
        let believed = Trust::new(&Networks::default(), Some("secret"));
        for (peer, forwarded, expected) in [
            ("127.0.0.1", "192.0.2.7", "192.0.2.7"),
            ("127.0.0.1", "10.9.9.9, 192.0.2.7", "192.0.2.7"),
            ("192.0.2.1", "10.9.9.9", "192.0.2.1"),
            ("127.0.0.1", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("127.0.0.1", "127.0.0.2", "127.0.0.2"),
        ] {
            assert_eq!(from(&believed, peer, forwarded, "secret"), expected, "{peer} {forwarded}");
        }
        for proof in ["", "other", "secre", "secrets"] {
            assert_eq!(from(&believed, "127.0.0.1", "192.0.2.7", proof), "127.0.0.1", "{proof}");
        }
        let nobody = Trust::new(&Networks::default(), None);
        assert_eq!(from(&nobody, "127.0.0.1", "192.0.2.7", ""), "127.0.0.1");
        let proxies: Networks = serde_json::from_str("[\"10.0.0.0/8\"]").expect("networks");
        let believed = Trust::new(&proxies, Some("secret"));
        assert_eq!(
            from(&believed, "10.1.1.1", "192.0.2.7", ""),
            "192.0.2.7",
            "a proxy in settings"
        );
        assert_eq!(from(&believed, "127.0.0.1", "192.0.2.7, 10.1.1.1", "secret"), "192.0.2.7");
    }
}
