//! Which headers pass: nothing that belongs to one connection, nothing that names a principal.
//!
//! Hop-by-hop headers (RFC 9110, section 7.6.1) end here in both directions, whatever `Connection`
//! names too. A client's word about who it is, or where it came from, is dropped on the way in: the
//! token alone says it, and a service verifies it again.

use http::header::{AUTHORIZATION, CONNECTION, COOKIE, HOST, ORIGIN, VIA};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::origin;

/// How many headers `Connection` may name.
const NAMED_MAX: usize = 32;

/// What a request says of itself on its way to a service.
pub(crate) struct Forwarded {
    /// The client's address.
    pub(crate) client: HeaderValue,
    /// The token, where it came by cookie.
    pub(crate) bearer: Option<HeaderValue>,
    pub(crate) traceparent: HeaderValue,
}

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const TRACEPARENT: HeaderName = HeaderName::from_static(chassis::http::trace::TRACEPARENT);

/// Makes a client's headers those of a request of ours.
pub(crate) fn to_upstream(headers: &mut HeaderMap, forwarded: Forwarded) {
    drop_all(headers, |name| is_hop(name) || is_ours_to_say(name));
    // A page of our own origin is no foreign one to the service, whose name is another.
    if headers.contains_key(ORIGIN) && origin::is_host(headers) {
        headers.remove(ORIGIN);
    }
    if let Some(host) = headers.get(HOST).cloned() {
        headers.insert(X_FORWARDED_HOST, host);
    }
    headers.insert(X_FORWARDED_FOR, forwarded.client);
    headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static("http"));
    headers.insert(TRACEPARENT, forwarded.traceparent);
    if let Some(bearer) = forwarded.bearer {
        headers.insert(AUTHORIZATION, bearer);
    }
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
            client: HeaderValue::from_static("192.0.2.7"),
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
