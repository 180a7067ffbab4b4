//! Whom a request comes from, and by which scheme, where proxies stand before us.
//!
//! Each proxy adds at the right of `X-Forwarded-For` whom it was asked by, so the list is believed
//! from the right, as long as the one who added is trusted; the first address that is not trusted is
//! the client. Whatever stands further left, anybody may have written. `X-Forwarded-Proto` is
//! believed from a trusted peer alone.
//!
//! `Forwarded` (RFC 7239) is never believed: a proxy that does not know it passes on what a client
//! wrote there.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName};

use super::networks::Networks;

/// The addresses that a request came through, the client first.
pub const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// The scheme that the client used.
pub const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// The host that the client asked.
pub const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
/// The port that the client asked.
pub const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");

/// What a gateway shows a service that should believe it about where a request comes from: a secret of
/// both. No client's reaches a service.
pub const X_YEOUL_GATEWAY: HeaderName = HeaderName::from_static("x-yeoul-gateway");

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its address: the peer's, or what trusted proxies say of it.
    pub address: IpAddr,
    /// Whether it speaks HTTPS, to whoever ends that before us.
    pub secure: bool,
    /// Whether the peer is trusted to say where a request comes from.
    pub by_trusted: bool,
}

impl Client {
    /// The client of a request that came from `peer`; `trusted` are the proxies that are believed.
    pub fn of(headers: &HeaderMap, peer: IpAddr, trusted: &Networks) -> Client {
        if trusted.is_empty() || !trusted.contains(peer) {
            return Client { address: peer.to_canonical(), secure: false, by_trusted: false };
        }
        let Walked { address, steps } = walk(headers, peer, trusted);
        Client { address, secure: is_https(headers, steps), by_trusted: true }
    }
}

/// How far back a request was followed.
struct Walked {
    /// The first address from the right that is not trusted, or the last that is known.
    address: IpAddr,
    /// How many trusted ones it took.
    steps: usize,
}

fn walk(headers: &HeaderMap, peer: IpAddr, trusted: &Networks) -> Walked {
    let (mut address, mut steps) = (peer.to_canonical(), 0);
    for text in from_the_right(headers, &X_FORWARDED_FOR) {
        // Who is trusted and says nothing that can be read is the last that is known.
        let Some(hop) = text.and_then(parse) else { break };
        address = hop.to_canonical();
        if !trusted.contains(address) {
            break;
        }
        steps += 1;
    }
    Walked { address, steps }
}

/// What the proxy said of the scheme that said the client's address; where all overwrite the one
/// value, that.
fn is_https(headers: &HeaderMap, steps: usize) -> bool {
    let scheme = from_the_right(headers, &X_FORWARDED_PROTO).take(steps + 1).last().flatten();
    scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"))
}

/// The members of a list, the last one first; `None` in the place of one that is no text.
fn from_the_right<'h>(
    headers: &'h HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = Option<&'h str>> {
    let values = headers.get_all(name).iter().rev();
    values.flat_map(|value| {
        let members = value.as_bytes().rsplit(|byte| *byte == b',');
        let texts = members.map(|member| std::str::from_utf8(member).ok().map(str::trim));
        // An empty member is none (RFC 9110, section 5.6.1.2).
        texts.filter(|text| *text != Some(""))
    })
}

/// An address, also with a port, also in brackets.
fn parse(text: &str) -> Option<IpAddr> {
    let bare = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    text.parse().ok().or_else(bare).or_else(with_port)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROXIES: &str = "[\"10.0.0.0/8\", \"::1\"]";

    fn client(peer: &str, fields: &[(HeaderName, &str)]) -> (String, bool) {
        let trusted: Networks = serde_json::from_str(PROXIES).expect("networks");
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            let value = http::HeaderValue::from_bytes(value.as_bytes()).expect("a value");
            headers.append(name, value);
        }
        let client = Client::of(&headers, peer.parse().expect("an address"), &trusted);
        (client.address.to_string(), client.secure)
    }

    #[test]
    fn the_client_is_the_first_from_the_right_who_is_not_trusted() {
        let cases: [(&str, &[&str], &str); 17] = [
            ("192.0.2.1", &[], "192.0.2.1"),
            ("192.0.2.1", &["203.0.113.9"], "192.0.2.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["203.0.113.9"], "203.0.113.9"),
            ("::ffff:10.0.0.1", &["203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", &["::ffff:203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", &["6.6.6.6, 203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", &["6.6.6.6", "203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", &["6.6.6.6,203.0.113.9,10.0.0.2"], "203.0.113.9"),
            ("10.0.0.1", &["203.0.113.9", "10.0.0.3 ,10.0.0.2"], "203.0.113.9"),
            ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            ("10.0.0.1", &["203.0.113.9:4711"], "203.0.113.9"),
            ("::1", &["[2001:db8::7]:4711"], "2001:db8::7"),
            ("::1", &["[2001:db8::7]"], "2001:db8::7"),
            ("10.0.0.1", &["6.6.6.6, unknown, 10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", &["6.6.6.6, \u{e9}"], "10.0.0.1"),
            ("10.0.0.1", &["203.0.113.9", ",, "], "203.0.113.9"),
        ];
        for (peer, lists, expected) in cases {
            let fields: Vec<_> = lists.iter().map(|list| (X_FORWARDED_FOR, *list)).collect();
            assert_eq!(client(peer, &fields).0, expected, "{peer} {lists:?}");
        }
    }

    #[test]
    fn a_scheme_is_believed_from_a_trusted_peer_alone() {
        let secure = |peer: &str, fields: &[(HeaderName, &str)]| client(peer, fields).1;
        let of = |list: &'static str| (X_FORWARDED_FOR, list);
        let proto = |list: &'static str| (X_FORWARDED_PROTO, list);
        assert!(secure("10.0.0.1", &[proto("https")]));
        assert!(secure("10.0.0.1", &[proto("HTTPS"), of("203.0.113.9")]));
        assert!(!secure("192.0.2.1", &[proto("https")]));
        assert!(!secure("10.0.0.1", &[proto("http")]));
        assert!(!secure("10.0.0.1", &[]));
        // One that a client wrote itself stands left of what its proxy added.
        assert!(!secure("10.0.0.1", &[proto("https, http"), of("6.6.6.6, 203.0.113.9")]));
        // Two proxies, the outer one of which ends HTTPS.
        let way = || of("203.0.113.9, 10.0.0.2");
        assert!(secure("10.0.0.1", &[proto("https, http"), way()]));
        assert!(secure("10.0.0.1", &[proto("https"), way()]));
        assert!(!secure("10.0.0.1", &[proto("https, http, http"), way()]));
    }
}
