//! What passes and what does not, in both directions.

use chassis::http::framing::{ADDED_BYTES_MAX, ADDED_FIELDS_MAX, FIELDS_MAX};
use http::header::{COOKIE, VIA};

use super::*;

fn to_upstream(headers: &mut HeaderMap, forwarded: Forwarded) {
    Hygiene::new(Networks::default(), Withheld::default(), 1).to_upstream(headers, forwarded);
}

fn to_client(headers: &mut HeaderMap) {
    let endpoint = Endpoint::parse("http://127.0.0.1:8085").expect("an endpoint");
    let hygiene = Hygiene::new(Networks::default(), Withheld::default(), 1);
    hygiene.to_client(headers, Version::HTTP_11, &[&endpoint].into_iter());
}

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
        version: Version::HTTP_11,
        keeps_host: false,
        proof: None,
        bearer: bearer.map(HeaderValue::from_static),
        traceparent: HeaderValue::from_static("trace"),
    }
}

#[test]
fn a_service_that_knows_the_gateway_is_shown_the_gateways_secret_and_never_a_clients() {
    for proof in [None, Some("ours")] {
        let mut given = headers(&[("host", "a"), ("x-yeoul-gateway", "theirs"), ("x-own", "1")]);
        let proof = proof.map(HeaderValue::from_static);
        to_upstream(&mut given, Forwarded { proof: proof.clone(), ..forwarded(None) });
        assert_eq!(given.get_all("x-yeoul-gateway").iter().next(), proof.as_ref());
        assert_eq!(given.get_all("x-yeoul-gateway").iter().count(), usize::from(proof.is_some()));
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
        ("x_role", "admin"),
        ("yeoul_principal", "admin"),
        ("x_forwarded_for", "10.0.0.1"),
        ("proxy", "http://evil.example"),
        ("x-original-url", "/admin"),
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
        ("cookie", "a=b"),
        ("via", "1.1 yeoul-0000000000000001"),
        ("x-forwarded-host", "shop.example"),
        ("x-forwarded-for", "192.0.2.7"),
        ("x-forwarded-proto", "http"),
        ("traceparent", "trace"),
    ]);
    assert_eq!(given, expected);
}

#[test]
fn what_a_trusted_proxy_says_of_where_a_request_comes_from_is_kept_and_extended() {
    let received = [
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
        let mut given = headers(&received);
        to_upstream(&mut given, Forwarded { by_trusted, ..forwarded(None) });
        given.remove(HOST);
        given.remove(TRACEPARENT);
        given.remove(VIA);
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
    let by_proxy = Forwarded { by_trusted: true, peer, ..forwarded(None) };
    to_upstream(&mut given, by_proxy);
    assert_eq!(given[X_FORWARDED_FOR], "192.0.2.7");
    assert_eq!(given[X_FORWARDED_PROTO], "http");
    assert_eq!(given[X_FORWARDED_HOST], "shop.example");
    assert!(!given.contains_key(FORWARDED));
    let mut given = headers(&[("forwarded", "for=a")]);
    let by_proxy = Forwarded { by_trusted: true, peer, ..forwarded(None) };
    to_upstream(&mut given, by_proxy);
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
        ("via", "1.1 yeoul-0000000000000001"),
        ("etag", "\"a\""),
        ("set-cookie", "a=b"),
        ("proxy-status", "yeoul; error=connection_refused"),
    ]);
    assert_eq!(given, expected);
}

#[test]
fn whatever_connection_names_ends_here_however_much_it_is() {
    let many: Vec<String> = (0..4_000).map(|at| format!("x-{at}")).collect();
    let lists = [
        format!("{}, x-hop", many[..40].join(", ")),
        format!("{},x-hop", many.join(",")),
        "x-hop;x, x-hop".to_owned(),
        "x-hop;q=1".to_owned(),
        "\"x-hop\"".to_owned(),
        ",, X-HOP ,".to_owned(),
        "keep-alive, x-hop".to_owned(),
    ];
    let odd = [&b"\xe9, x-hop"[..], b"x-hop\xe9"];
    let odd = odd.map(|value| HeaderValue::from_bytes(value).expect("a value"));
    let values = lists.iter().map(|list| HeaderValue::try_from(list).expect("a value"));
    for value in values.chain(odd) {
        let mut given = headers(&[("host", "a"), ("x-hop", "1"), ("x-39", "1"), ("x-end", "2")]);
        given.insert(CONNECTION, value.clone());
        let mut answer = given.clone();
        to_upstream(&mut given, forwarded(None));
        to_client(&mut answer);
        for headers in [given, answer] {
            assert!(!headers.contains_key("x-hop"), "{value:?}");
            assert!(headers.contains_key("x-end"), "{value:?}");
        }
    }
}

#[test]
fn a_service_that_is_asked_by_the_clients_name_sees_its_origin_too() {
    let received = [("host", "shop.example"), ("origin", "http://shop.example")];
    for (keeps_host, stays) in [(true, true), (false, false)] {
        let mut given = headers(&received);
        to_upstream(&mut given, Forwarded { keeps_host, ..forwarded(None) });
        assert_eq!(given.contains_key(ORIGIN), stays);
    }
}

/// What a head grows by is what a service of ours allows for: at each worst case, and all at once.
#[test]
fn no_head_grows_by_more_than_a_service_behind_allows_for() {
    let host = "h".repeat(512);
    let lists = [
        vec![("host", host.as_str())],
        vec![("host", &host), ("cookie", "a=b; yeoul_session_x=t")],
        vec![("host", &host), ("via", "1.1 a"), ("x-forwarded-for", "a"), ("forwarded", "for=a")],
    ];
    let peer = "2001:db8:1111:2222:3333:4444:5555:6666";
    let size = |headers: &HeaderMap| {
        headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum::<usize>()
    };
    for fields in lists {
        for by_trusted in [false, true] {
            let mut given = headers(&fields);
            // As it came in, without the blanks that are written behind each colon.
            let (count, bytes) = (given.len(), size(&given) - given.len());
            let by_proxy = Forwarded {
                by_trusted,
                peer: peer.parse().expect("an address"),
                peer_value: HeaderValue::from_static(peer),
                traceparent: HeaderValue::from_static(
                    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                ),
                ..forwarded(Some("Bearer t"))
            };
            to_upstream(&mut given, by_proxy);
            to_host(&mut given, &HeaderValue::try_from("s".repeat(259)).expect("a host"));
            // A length, which the parser adds where there is a body.
            given.insert(CONTENT_LENGTH, u64::MAX.into());
            let more = (given.len() - count, size(&given).saturating_sub(bytes));
            assert!(more.0 <= ADDED_FIELDS_MAX, "{} more fields: {given:?}", more.0);
            // A blank for each of the other fields that a head may have.
            assert!(more.1 + FIELDS_MAX <= ADDED_BYTES_MAX, "{} more bytes: {given:?}", more.1);
        }
    }
}
