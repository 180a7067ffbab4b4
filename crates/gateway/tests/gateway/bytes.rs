//! Hostile bytes: whatever two servers could read differently does not pass.

use crate::support::{World, raw};

/// Each is refused, and nothing reaches the service.
#[test]
fn what_two_servers_could_read_differently_is_refused() {
    let world = World::new();
    let token = world.token("a@b");
    let bad = [
        "GET /s//x HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET /s/../orders HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET /s/%2e%2e/orders HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET /s%2forders HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET /s/x;y HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET /s/%00 HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET /s/\\x HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET /s/%0d%0ax HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET http://a/s/x HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET http://evil.example/s/x HTTP/1.1\r\nhost: a\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n",
        "CONNECT a:80 HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET /s/x HTTP/1.1\r\n\r\n",
        "GET /s/x HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
        "GET /s/x HTTP/1.1\r\nhost: a, b\r\n\r\n",
        "GET /s/x HTTP/1.1\r\nhost: a@b\r\n\r\n",
        "GET /s/x HTTP/1.1\r\nhost:\r\n\r\n",
        "GET /s/x HTTP/1.1\r\nhost: a\r\nx: a\r\n b\r\n\r\n",
        "GET /s/x HTTP/1.1\r\nhost: a\r\nx : a\r\n\r\n",
        "GET /s/x HTTP/1.1\r\nhost: a\r\nx: a\rb\r\n\r\n",
        "GET /s/x HTTP/1.1\r\nhost: a\r\nx: a\0b\r\n\r\n",
        "GET /s/x HTTP/1.1\r\nhost: a\r\n: b\r\n\r\n",
        "GET  /s/x HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET /s/x HTTP/9.9\r\nhost: a\r\n\r\n",
        "GET /s/x\r\nhost: a\r\n\r\n",
        "POST /s/x HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
        "POST /s/x HTTP/1.1\r\nhost: a\r\ncontent-length: +3\r\n\r\nabc",
        "POST /s/x HTTP/1.1\r\nhost: a\r\ncontent-length: 3x\r\n\r\nabc",
        "POST /s/x HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n",
        "POST /s/x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "POST /s/x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
        "\r\n\r\n\r\nXYZ\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ];
    for text in bad {
        for text in [text.to_owned(), with_token(text, &token)] {
            let answer = raw(world.address, text.as_bytes());
            let status = answer.as_ref().map_or(400, |answer| answer.status);
            assert!((400..500).contains(&status), "{text:?}: {answer:?}");
        }
    }
    assert_eq!(world.service.seen().len(), 0, "{:?}", world.service.seen());
}

fn with_token(text: &str, token: &str) -> String {
    text.replacen("\r\n", &format!("\r\nauthorization: Bearer {token}\r\n"), 1)
}

/// A request that hides another behind a length and chunks is either refused or read one way.
#[test]
fn a_second_request_cannot_hide_in_a_first_ones_body() {
    let world = World::new();
    let hidden = "GET /orders/7 HTTP/1.1\r\nhost: a\r\n\r\n";
    let tricks = [
        format!(
            "POST /s/x HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{hidden}",
            hidden.len() + 5
        ),
        format!(
            "POST /s/x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n0\r\n\r\n{hidden}"
        ),
        format!(
            "POST /s/x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n0\r\n\r\n{hidden}"
        ),
        format!(
            "POST /s/x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0;x=\n\r\n\r\n{hidden}"
        ),
        format!(
            "POST /s/x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffff1\r\n{hidden}"
        ),
        format!("GET /s/x HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n{hidden}", hidden.len()),
    ];
    for text in tricks {
        raw(world.address, text.as_bytes());
    }
    for seen in world.service.seen() {
        assert!(seen.target == "/s/x", "{seen:?}");
        let lengths = seen.headers.get_all("content-length").iter().count();
        let codings = seen.headers.get_all("transfer-encoding").iter().count();
        assert!(lengths + codings <= 1, "{seen:?}");
    }
}

#[test]
fn trace_and_unknown_methods_do_not_pass_where_a_route_names_its_own() {
    let world = World::new();
    let status = |text: &str| raw(world.address, text.as_bytes()).map(|answer| answer.status);
    assert_eq!(status("TRACE /s/x HTTP/1.1\r\nhost: a\r\n\r\n"), Some(405));
    let answer =
        raw(world.inner, b"POST /check/1 HTTP/1.1\r\nhost: localhost\r\n\r\n").expect("405");
    assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD")));
    assert_eq!(world.service.seen().len(), 0);
}
