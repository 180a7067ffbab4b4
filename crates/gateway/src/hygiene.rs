//! Which headers pass: nothing that belongs to one connection, nothing that names a principal.
//!
//! Hop-by-hop headers (RFC 9110, section 7.6.1) end here in both directions, whatever `Connection`
//! names too. A client's word about who it is is dropped on the way in: the token alone says it, and a
//! service verifies it again. Its word about where it came from is dropped too, unless it is a proxy
//! that is trusted to say so: then we add ourselves to what it says.

use std::net::IpAddr;

use chassis::http::client::{
    X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PORT, X_FORWARDED_PROTO,
};
use http::header::{AUTHORIZATION, CONNECTION, COOKIE, FORWARDED, HOST, ORIGIN, VIA};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::origin;

/// How many headers `Connection` may name.
const NAMED_MAX: usize = 32;

/// The fields that say where a request comes from.
pub(crate) const ORIGINS: [HeaderName; 5] =
    [X_FORWARDED_FOR, X_FORWARDED_PROTO, X_FORWARDED_HOST, X_FORWARDED_PORT, FORWARDED];

/// What a request says of itself on its way to a service.
pub(crate) struct Forwarded {
    /// Who sent it to us.
    pub(crate) peer: IpAddr,
    /// The same as a header.
    pub(crate) peer_value: HeaderValue,
    /// Whether what it says of where the request comes from is believed.
    pub(crate) by_trusted: bool,
    /// The token, where it came by cookie.
    pub(crate) bearer: Option<HeaderValue>,
    pub(crate) traceparent: HeaderValue,
}

const TRACEPARENT: HeaderName = HeaderName::from_static(chassis::http::trace::TRACEPARENT);

/// Makes a client's headers those of a request of ours.
pub(crate) fn to_upstream(headers: &mut HeaderMap, forwarded: Forwarded) {
    let kept = |name: &HeaderName| forwarded.by_trusted && ORIGINS.contains(name);
    drop_all(headers, |name| is_hop(name) || (is_ours_to_say(name) && !kept(name)));
    // A page of our own origin is no foreign one to the service, whose name is another.
    if headers.contains_key(ORIGIN) && origin::is_host(headers) {
        headers.remove(ORIGIN);
    }
    say_origin(headers, &forwarded);
    headers.insert(TRACEPARENT, forwarded.traceparent);
    if let Some(bearer) = forwarded.bearer {
        headers.insert(AUTHORIZATION, bearer);
    }
}

/// Says where a request comes from, after what is already said of it.
fn say_origin(headers: &mut HeaderMap, forwarded: &Forwarded) {
    if !headers.contains_key(X_FORWARDED_HOST)
        && let Some(host) = headers.get(HOST).cloned()
    {
        headers.insert(X_FORWARDED_HOST, host);
    }
    if !forwarded.by_trusted {
        headers.insert(X_FORWARDED_FOR, forwarded.peer_value.clone());
        headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static("http"));
        return;
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

/// Makes a service's headers those of an answer of ours.
pub(crate) fn to_client(headers: &mut HeaderMap) {
    drop_all(headers, is_hop);
}

/// Drops what `wrong` says, and what `Connection` names.
fn drop_all(headers: &mut HeaderMap, wrong: impl Fn(&HeaderName) -> bool) {
    let mut gone = Vec::new();
    for name in headers.keys() {
        if wrong(name) {
            gone.push(name.clone());
        }
    }
    if gone.contains(&CONNECTION) {
        gone.extend(named(headers));
    }
    for name in gone {
        headers.remove(name);
    }
}

/// The headers that `Connection` names, but for those that no client may take away.
fn named(headers: &HeaderMap) -> Vec<HeaderName> {
    let values = headers.get_all(CONNECTION).iter();
    // Said nearly always, and alone it names no header that is not dropped anyway.
    let values = values.filter(|value| !value.as_bytes().eq_ignore_ascii_case(b"keep-alive"));
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
        .take(NAMED_MAX)
        .filter_map(|name| name.trim().parse().ok())
        .filter(|name| ![HOST, AUTHORIZATION, http::header::CONTENT_LENGTH].contains(name))
        .filter(|name| !ORIGINS.contains(name))
        .collect()
}

/// Headers of one connection. `expect` is answered by our own edge.
fn is_hop(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "keep-alive"
            | "proxy-connection"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
            | "http2-settings"
            | "expect"
    )
}

/// Headers that only we say to a service.
fn is_ours_to_say(name: &HeaderName) -> bool {
    if *name == COOKIE {
        return true;
    }
    let text = name.as_str();
    match text.as_bytes()[0] {
        b'x' => {
            text.starts_with("x-yeoul-")
                || text.starts_with("x-forwarded-")
                || text.starts_with("x-auth-request-")
                || text.starts_with("x-user")
                || matches!(
                    text,
                    "x-principal" | "x-role" | "x-roles" | "x-remote-user" | "x-real-ip"
                )
        }
        b'f' => text == "forwarded",
        b'r' => text == "remote-user",
        b'y' => text == "yeoul-principal",
        b'v' => *name == VIA,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let parse = |(name, value): &(&str, &str)| {
            (name.parse::<HeaderName>().expect("a name"), value.parse().expect("a value"))
        };
        pairs.iter().map(parse).collect()
    }

    fn forwarded(bearer: Option<&'static str>) -> Forwarded {
        Forwarded {
            peer: [192, 0, 2, 7].into(),
            peer_value: HeaderValue::from_static("192.0.2.7"),
            by_trusted: false,
            bearer: bearer.map(HeaderValue::from_static),
            traceparent: HeaderValue::from_static("trace"),
        }
    }

    #[test]
    fn what_belongs_to_a_connection_or_a_principal_does_not_pass() {
        let mut given = headers(&[
            ("host", "shop.example"),
            ("connection", "close, X-Hop, Authorization, content-length"),
            ("x-hop", "1"),
            ("keep-alive", "1"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("expect", "100-continue"),
            ("proxy-authorization", "x"),
            ("cookie", "yeoul_session=x"),
            ("cookie", "a=b"),
            ("x-yeoul-principal", "admin"),
            ("x-user-id", "admin"),
            ("x-user", "admin"),
            ("x-forwarded-user", "admin"),
            ("x-forwarded-for", "10.0.0.1"),
            ("forwarded", "for=10.0.0.1"),
            ("x-auth-request-user", "admin"),
            ("yeoul-principal", "admin"),
            ("x-role", "admin"),
            ("origin", "http://shop.example"),
            ("authorization", "Bearer own"),
            ("content-length", "3"),
            ("content-type", "application/json"),
            ("idempotency-key", "k"),
            ("yeoul-position", "w1.order"),
            ("x-other", "stays"),
        ]);
        to_upstream(&mut given, forwarded(None));
        to_host(&mut given, &HeaderValue::from_static("127.0.0.1:8081"));
        let expected = headers(&[
            ("host", "127.0.0.1:8081"),
            ("authorization", "Bearer own"),
            ("content-length", "3"),
            ("content-type", "application/json"),
            ("idempotency-key", "k"),
            ("yeoul-position", "w1.order"),
            ("x-other", "stays"),
            ("x-forwarded-host", "shop.example"),
            ("x-forwarded-for", "192.0.2.7"),
            ("x-forwarded-proto", "http"),
            ("traceparent", "trace"),
        ]);
        assert_eq!(given, expected);
    }

    #[test]
    fn what_a_trusted_proxy_says_of_where_a_request_comes_from_is_kept_and_extended() {
        let said = [
            ("host", "inside.example"),
            ("connection", "x-forwarded-for"),
            ("x-forwarded-for", "203.0.113.9"),
            ("x-forwarded-for", "10.0.0.2"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "shop.example"),
            ("x-forwarded-port", "443"),
            ("forwarded", "for=203.0.113.9;proto=https"),
            ("x-forwarded-user", "admin"),
        ];
        let sent = |by_trusted| {
            let mut given = headers(&said);
            to_upstream(&mut given, Forwarded { by_trusted, ..forwarded(None) });
            given.remove(HOST);
            given.remove(TRACEPARENT);
            given
        };
        let expected = headers(&[
            ("x-forwarded-for", "203.0.113.9, 10.0.0.2, 192.0.2.7"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "shop.example"),
            ("x-forwarded-port", "443"),
            ("forwarded", "for=203.0.113.9;proto=https, for=192.0.2.7"),
        ]);
        assert_eq!(sent(true), expected);
        let expected = headers(&[
            ("x-forwarded-for", "192.0.2.7"),
            ("x-forwarded-proto", "http"),
            ("x-forwarded-host", "inside.example"),
        ]);
        assert_eq!(sent(false), expected);
    }

    #[test]
    fn a_trusted_proxy_that_says_nothing_is_itself_the_client() {
        let mut given = headers(&[("host", "shop.example")]);
        let peer = "2001:db8::7".parse().expect("an address");
        let said = Forwarded { by_trusted: true, peer, ..forwarded(None) };
        to_upstream(&mut given, said);
        assert_eq!(given[X_FORWARDED_FOR], "192.0.2.7");
        assert_eq!(given[X_FORWARDED_PROTO], "http");
        assert_eq!(given[X_FORWARDED_HOST], "shop.example");
        assert!(!given.contains_key(FORWARDED));
        let mut given = headers(&[("forwarded", "for=a")]);
        let said = Forwarded { by_trusted: true, peer, ..forwarded(None) };
        to_upstream(&mut given, said);
        assert_eq!(given[FORWARDED], "for=a, for=\"[2001:db8::7]\"");
    }

    #[test]
    fn a_cookies_token_goes_on_as_a_bearer() {
        let mut given = headers(&[("host", "shop.example"), ("cookie", "yeoul_session=x")]);
        to_upstream(&mut given, forwarded(Some("Bearer x")));
        assert_eq!(given.get(AUTHORIZATION).expect("a token"), "Bearer x");
        assert!(!given.contains_key(COOKIE));
    }

    #[test]
    fn a_foreign_origin_stays_for_the_service_to_see() {
        let mut given = headers(&[("host", "shop.example"), ("origin", "http://evil.example")]);
        to_upstream(&mut given, forwarded(None));
        assert_eq!(given.get(ORIGIN).expect("an origin"), "http://evil.example");
    }

    #[test]
    fn an_answer_loses_its_connections_headers_alone() {
        let mut given = headers(&[
            ("connection", "keep-alive, x-hop"),
            ("keep-alive", "timeout=5"),
            ("x-hop", "1"),
            ("transfer-encoding", "chunked"),
            ("trailer", "x"),
            ("proxy-authenticate", "Basic"),
            ("etag", "\"a\""),
            ("set-cookie", "a=b"),
            ("proxy-status", "yeoul; error=connection_refused"),
        ]);
        to_client(&mut given);
        let expected = headers(&[
            ("etag", "\"a\""),
            ("set-cookie", "a=b"),
            ("proxy-status", "yeoul; error=connection_refused"),
        ]);
        assert_eq!(given, expected);
    }
}
