//! Which headers pass: nothing that belongs to one connection, nothing that names a principal.
//!
//! Hop-by-hop headers (RFC 9110, section 7.6.1) end here in both directions, whatever `Connection`
//! names too, however many. A client's word about who it is is dropped on the way in: the token alone says it, and a
//! service verifies it again. Its word about where it came from is dropped too, unless it is a proxy
//! that is trusted to say so: then we add ourselves to what it says.

mod crumbs;
mod location;
mod via;
pub(crate) mod withheld;

use std::net::IpAddr;

use chassis::http::Networks;
use chassis::http::client::{
    X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PORT, X_FORWARDED_PROTO, X_YEOUL_GATEWAY,
};
use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, EXPECT, FORWARDED, HOST, ORIGIN, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Version};

use crate::endpoint::Endpoint;
use crate::origin;
use via::Via;
use withheld::Withheld;

pub use withheld::{IDENTITY_HEADERS_MAX, WITHHELD};

/// The fields that say where a request comes from.
pub(crate) const ORIGINS: [HeaderName; 5] =
    [X_FORWARDED_FOR, X_FORWARDED_PROTO, X_FORWARDED_HOST, X_FORWARDED_PORT, FORWARDED];

const TRACEPARENT: HeaderName = HeaderName::from_static(chassis::http::trace::TRACEPARENT);

/// What is alike for every request of a gateway; shared by its cores.
#[derive(Debug)]
pub(crate) struct Hygiene {
    /// Proxies that are believed about where a request comes from.
    pub(crate) trusted: Networks,
    pub(crate) withheld: Withheld,
    via: Via,
}

/// What a request says of itself on its way to a service.
pub(crate) struct Forwarded {
    /// Who sent it to us.
    pub(crate) peer: IpAddr,
    /// The same as a header.
    pub(crate) peer_value: HeaderValue,
    /// Whether what it says of where the request comes from is believed.
    pub(crate) by_trusted: bool,
    /// The version it came by.
    pub(crate) version: Version,
    /// Whether the service is asked by the client's name for it.
    pub(crate) keeps_host: bool,
    /// What the service knows us by, where it does.
    pub(crate) proof: Option<HeaderValue>,
    /// The token, where it came by cookie.
    pub(crate) bearer: Option<HeaderValue>,
    pub(crate) traceparent: HeaderValue,
}

impl Hygiene {
    /// The rules of a gateway; `number` makes its name in `Via`.
    pub(crate) fn new(trusted: Networks, withheld: Withheld, number: u64) -> Hygiene {
        Hygiene { trusted, withheld, via: Via::new(number) }
    }

    /// Whether a request has been here before.
    pub(crate) fn has_seen(&self, headers: &HeaderMap) -> bool {
        self.via.is_in(headers)
    }

    /// Makes a client's headers those of a request of ours.
    pub(crate) fn to_upstream(&self, headers: &mut HeaderMap, forwarded: Forwarded) {
        let kept = |name: &HeaderName| forwarded.by_trusted && ORIGINS.contains(name);
        let present = drop_all(headers, |name| self.withheld.has(name.as_str()) && !kept(name));
        if present.cookie {
            crumbs::take_ours(headers);
        }
        // A page of our own origin is no foreign one to the service, whose name is another.
        if present.origin && !forwarded.keeps_host && origin::is_host(headers, false) {
            headers.remove(ORIGIN);
        }
        say_origin(headers, &forwarded);
        self.via.add(headers, forwarded.version);
        headers.insert(TRACEPARENT, forwarded.traceparent);
        if let Some(proof) = forwarded.proof {
            headers.insert(X_YEOUL_GATEWAY, proof);
        }
        if let Some(bearer) = forwarded.bearer {
            headers.insert(AUTHORIZATION, bearer);
        }
    }

    /// Makes a service's headers those of an answer of ours; `endpoints` are where the service is.
    pub(crate) fn to_client<'e>(
        &self,
        headers: &mut HeaderMap,
        version: Version,
        endpoints: &(impl Iterator<Item = &'e Endpoint> + Clone),
    ) {
        let present = drop_all(headers, |_| false);
        if present.location {
            location::localise(headers, endpoints);
        }
        self.via.add(headers, version);
    }
}

/// Says where a request comes from, after what is already said of it.
fn say_origin(headers: &mut HeaderMap, forwarded: &Forwarded) {
    let host = headers.get(HOST).cloned();
    if !forwarded.by_trusted {
        // What was said of it has been dropped.
        host.map(|host| headers.insert(X_FORWARDED_HOST, host));
        headers.insert(X_FORWARDED_FOR, forwarded.peer_value.clone());
        headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static("http"));
        return;
    }
    if !headers.contains_key(X_FORWARDED_HOST) {
        host.map(|host| headers.insert(X_FORWARDED_HOST, host));
    }
    extend(headers, &X_FORWARDED_FOR, forwarded.peer_value.as_bytes());
    if !headers.contains_key(X_FORWARDED_PROTO) {
        headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static("http"));
    }
    if headers.contains_key(FORWARDED) {
        let node = match forwarded.peer {
            IpAddr::V4(address) => format!("for={address}"),
            IpAddr::V6(address) => format!("for=\"[{address}]\""),
        };
        extend(headers, &FORWARDED, node.as_bytes());
    }
}

/// Adds a member at the end of a list, which becomes one line.
fn extend(headers: &mut HeaderMap, name: &HeaderName, member: &[u8]) {
    let members = headers.get_all(name).iter().map(HeaderValue::as_bytes);
    let members: Vec<&[u8]> = members.filter(|it| !it.is_empty()).chain([member]).collect();
    let list = HeaderValue::try_from(members.join(&b", "[..]));
    headers.insert(name, list.expect("values with a comma between them"));
}

/// Says which address a request is for.
pub(crate) fn to_host(headers: &mut HeaderMap, authority: &HeaderValue) {
    headers.insert(HOST, authority.clone());
}

const HOPS_COUNT: usize = 11;
/// Fields of one connection. `expect` is answered by our own edge.
const HOPS: [HeaderName; HOPS_COUNT] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("http2-settings"),
    EXPECT,
];

/// Fields that need a look of their own: whether they are there at all.
#[derive(Clone, Copy, Debug, Default)]
struct Present {
    cookie: bool,
    origin: bool,
    location: bool,
}

/// Drops what belongs to one connection, what `wrong` says, and what `Connection` names.
///
/// The names are walked once, and what is found is noted: to look a field up costs more than to pass
/// over it, and most heads have next to none of these.
fn drop_all(headers: &mut HeaderMap, wrong: impl Fn(&HeaderName) -> bool) -> Present {
    let mut present = Present::default();
    let mut hops = [false; HOPS_COUNT];
    let mut gone = Vec::new();
    for name in headers.keys() {
        let text = name.as_str();
        if let Some(at) = hop(text) {
            hops[at] = true;
            continue;
        }
        match text {
            "cookie" => present.cookie = true,
            "origin" => present.origin = true,
            "location" | "content-location" => present.location = true,
            _ => {}
        }
        if wrong(name) {
            gone.push(name.clone());
        }
    }
    if hops[0] {
        name_others(headers, &mut gone);
    }
    for (name, is_there) in HOPS.iter().zip(hops) {
        if is_there {
            headers.remove(name);
        }
    }
    for name in gone {
        headers.remove(name);
    }
    present
}

/// The place of a name in [`HOPS`].
fn hop(name: &str) -> Option<usize> {
    Some(match name {
        "connection" => 0,
        "keep-alive" => 1,
        "proxy-connection" => 2,
        "proxy-authenticate" => 3,
        "proxy-authorization" => 4,
        "te" => 5,
        "trailer" => 6,
        "transfer-encoding" => 7,
        "upgrade" => 8,
        "http2-settings" => 9,
        "expect" => 10,
        _ => return None,
    })
}

/// Adds the headers that `Connection` names, but for those that nobody may take away.
fn name_others(headers: &HeaderMap, gone: &mut Vec<HeaderName>) {
    let values = headers.get_all(CONNECTION).iter().map(HeaderValue::as_bytes);
    // Said nearly always, and alone it names no header that is not dropped anyway.
    for value in values.filter(|value| !value.eq_ignore_ascii_case(b"keep-alive")) {
        for name in value.split(|byte| *byte == b',') {
            // A name that is not among the headers is passed over before it is kept anywhere: there
            // may be as many as a head has room for.
            let name = HeaderName::from_bytes(meant(name)).ok();
            gone.extend(name.filter(|name| headers.contains_key(name) && may_be_named(name)));
        }
    }
}

/// The name in a member of `Connection`, where there is more than a name: quoted, or with something
/// behind it. Others may read a name there, so it is one here.
fn meant(member: &[u8]) -> &[u8] {
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let begins = member.iter().position(is_token).unwrap_or(member.len());
    let name = &member[begins..];
    &name[..name.iter().position(|byte| !is_token(byte)).unwrap_or(name.len())]
}

/// Whether `Connection` may take a header away.
fn may_be_named(name: &HeaderName) -> bool {
    ![HOST, AUTHORIZATION, CONTENT_LENGTH].contains(name) && !ORIGINS.contains(name)
}

#[cfg(test)]
mod tests;
