//! Hostile bytes: whatever two servers could read differently does not pass.

use std::time::Duration;

use crate::support::odd::answering;
use crate::support::{Client, USUAL, World, get, pause, raw, send};

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
        "GET http://a/s/x HTTP/1.1\r\n\r\n",
        "GET http://a:81/s/x HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET http://u@a/s/x HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET http://evil.example/s/x HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET * HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET /s/caf\u{e9} HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET /s/x#y HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET /s/x HTTP/1.1\nhost: a\r\n\r\n",
        "GET /s/x HTTP/1.1\r\nhost: a\n\r\n",
        "POST /s/x HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ncontent-length: 3\r\n\r\nabc",
        "POST /s/x HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /s/x HTTP/1.0\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /s/x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx: y\nGET /s/y HTTP/1.1\r\nhost: a\r\n\r\n",
        "POST /s/x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\nGET /s/y HTTP/1.1\r\nhost: a\r\n\r\n",
        "CONNECT a:80 HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET /s/x HTTP/1.1\r\n\r\n",
        "GET /s/x HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
        "GET /s/x HTTP/1.1\r\nhost: a, b\r\n\r\n",
        "GET /s/x HTTP/1.1\r\nhost: a@b\r\n\r\n",
        "GET /s/x HTTP/1.1\r\nhost:\r\n\r\n",
        "GET /s/x HTTP/1.1\r\nhost: a:x\r\n\r\n",
        "GET /s/x HTTP/1.1\r\nhost: [::1\r\n\r\n",
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

/// What every listener refuses before it looks a request up, and how.
#[test]
fn a_head_past_a_limit_or_of_another_coding_is_refused_on_every_listener_and_the_connection_ends() {
    let world = World::new();
    let head = |first: &str, more: &str| format!("{first}\r\nhost: localhost\r\n{more}\r\n");
    let get = "GET /s/x HTTP/1.1";
    let cases = [
        (head(get, &format!("x: {}\r\n", "v".repeat(100 << 10))), 431),
        (head(get, &"x: y\r\n".repeat(100)), 431),
        (head(&format!("{} /s/x HTTP/1.1", "M".repeat(60 << 10)), ""), 501),
        (head(&format!("GET /s/{} HTTP/1.1", "p".repeat(9 << 10)), ""), 414),
        (head(get, "transfer-encoding: gzip, chunked\r\n"), 501),
        (head(get, "transfer-encoding: chunked, chunked\r\n"), 501),
        (head(get, "transfer-encoding: chunked, identity\r\n"), 501),
        (head(get, "transfer-encoding: xchunked\r\n"), 501),
        (head(get, "transfer-encoding: chunked\r\ncontent-length: 3\r\n"), 400),
        (head("GET /s/caf\u{e9} HTTP/1.1", ""), 400),
        (head("XYZ", ""), 400),
    ];
    for listener in [world.address, world.inner, world.pages, world.exposed] {
        for (text, status) in &cases {
            let mut client = Client::connect(listener);
            client.write(text.as_bytes());
            let answer = client.read(true).expect("an answer");
            let sent = &text[..text.len().min(90)];
            assert_eq!(
                (answer.status, answer.header("connection")),
                (*status, Some("close")),
                "{sent}"
            );
            assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{sent}");
            assert_eq!(answer.json()["status"], *status, "{sent}");
            assert!(client.read(true).is_none(), "{sent}: the connection ends");
        }
    }
    assert_eq!(world.service.seen().len(), 0, "{:?}", world.service.seen());
}

#[test]
fn a_heads_limit_holds_however_it_arrives_and_a_head_at_it_passes() {
    let world = World::new();
    let sized = |bytes: usize| {
        let empty = "GET / HTTP/1.1\r\nhost: a\r\nx: \r\n\r\n".len();
        format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "v".repeat(bytes - empty))
    };
    for (bytes, pieces, status) in
        [(64 << 10, 1, 200), (64 << 10, 8, 200), ((64 << 10) + 1, 1, 431), (80 << 10, 8, 431)]
    {
        let (text, mut client) = (sized(bytes), Client::connect(world.address));
        for piece in text.as_bytes().chunks(bytes.div_ceil(pieces)) {
            client.write(piece);
            pause(Duration::from_millis(5));
        }
        let answer = client.read(true).expect("an answer");
        assert_eq!(answer.status, status, "{bytes} bytes in {pieces} writes");
    }
}

/// What the edge takes, our own services behind it take with what the gateway adds.
#[test]
fn the_largest_head_of_the_edge_reaches_its_service() {
    let world = World::new();
    let token = world.token("a@b");
    let host = "h".repeat(500);
    let first = format!(
        "GET /s/x HTTP/1.1\r\nhost: {host}\r\nvia: 1.1 a\r\ncookie: a=b; yeoul_session_x={token}\r\n"
    );
    let many = format!("{first}{}\r\n", "x:y\r\n".repeat(97));
    let rest = (64 << 10) - first.len() - "x:\r\n\r\n".len();
    let large = format!("{first}x:{}\r\n\r\n", "v".repeat(rest));
    let both = format!(
        "{first}{}x:{}\r\n\r\n",
        "x:y\r\n".repeat(96),
        "v".repeat(rest - 96 * "x:y\r\n".len())
    );
    for head in [many, large, both] {
        let answer = raw(world.address, head.as_bytes()).expect("an answer");
        assert_eq!(answer.status, 200, "{} bytes: {answer:?}", head.len());
    }
}

#[test]
fn what_is_refused_waits_for_the_answers_before_it() {
    let world = World::new();
    let good = "GET /s/slow/50 HTTP/1.1\r\nhost: a\r\n\r\n";
    let mut client = Client::connect(world.address);
    client
        .write(format!("{good}{good}GET /caf\u{e9} HTTP/1.1\r\nhost: a\r\n\r\n{good}").as_bytes());
    let statuses: Vec<u16> =
        std::iter::from_fn(|| client.read(true)).map(|answer| answer.status).collect();
    assert_eq!(statuses, [200, 200, 400]);
    assert_eq!(world.service.seen().len(), 2);
}

#[test]
fn absolute_form_old_clients_and_later_minor_versions_are_served() {
    let world = World::new();
    for text in [
        "GET http://a/s/x HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET http://A:80/s/x HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET /s/x HTTP/1.0\r\n\r\n",
        "GET http://a/s/x HTTP/1.0\r\n\r\n",
        "GET /s/x HTTP/1.2\r\nhost: a\r\n\r\n",
        "GET /s/x HTTP/1.9\r\nhost: a\r\n\r\n",
        "\r\nGET /s/x HTTP/1.1\r\nhost: a\r\n\r\n",
    ] {
        let answer = raw(world.address, text.as_bytes()).expect("an answer");
        assert_eq!(answer.status, 200, "{text:?}: {answer:?}");
    }
    for seen in world.service.seen() {
        assert_eq!(seen.target, "/s/x");
    }
    for (listener, status) in
        [(world.address, 204), (world.exposed, 204), (world.inner, 403), (world.pages, 403)]
    {
        for foreign in
            ["host: evil.example\r\n", "host: localhost\r\norigin: http://evil.example\r\n"]
        {
            let text = format!("OPTIONS * HTTP/1.1\r\n{foreign}\r\n");
            let answer = raw(listener, text.as_bytes()).expect("an answer");
            assert_eq!(answer.status, status, "{foreign}");
        }
    }
    for listener in [world.address, world.inner, world.pages, world.exposed] {
        for (line, status) in [
            ("OPTIONS * HTTP/1.1", 204),
            ("TRACE / HTTP/1.1", 405),
            ("TRACE /orders HTTP/1.1", 405),
            ("CONNECT localhost:80 HTTP/1.1", 405),
        ] {
            let text = format!("{line}\r\nhost: localhost\r\n\r\n");
            let answer = raw(listener, text.as_bytes()).expect("an answer");
            assert_eq!(answer.status, status, "{line}");
            let allow = answer.header("allow").expect("what is allowed");
            assert!(
                allow.contains("GET, HEAD, POST") && !allow.contains("TRACE"),
                "{line}: {allow}"
            );
        }
        for bad in [
            "GET /s/x HTTP/1.1\r\n\r\n",
            "GET /s/x HTTP/1.1\r\nhost:\r\n\r\n",
            "GET /s/x HTTP/1.1\r\nhost: localhost\r\nhost: localhost\r\n\r\n",
            "GET http://evil.example/s/x HTTP/1.1\r\nhost: localhost\r\n\r\n",
        ] {
            let status = raw(listener, bad.as_bytes()).map(|answer| answer.status);
            assert_eq!(status, Some(400), "{bad:?}");
        }
    }
}

const GUARDED: &str = "
upstreams: { service: [http://127.0.0.1:1] }
routes:
  all: { path: /x/**, to: service, open: true }
  admin: { path: /x/admin, to: service }
  items: { path: { /x/items: [POST, PURGE] }, to: service }
  one: { path: \"/x/things/{id}\", to: service, role: ORDER_ADMIN }
  below: { path: /x/closed/**, to: service }
";

#[test]
fn no_spelling_of_a_closed_path_passes_by_the_open_pattern_around_it() {
    let world = World::with(GUARDED);
    let token = format!("Bearer {}", world.token("a@b"));
    let status = |method: &str, target: &str, token: Option<&str>| {
        let headers: Vec<(&str, &str)> =
            token.map(|it| ("authorization", it)).into_iter().collect();
        send(world.address, method, target, &headers, "").status
    };
    let closed = [
        ("GET", "/x/admin", 401),
        ("GET", "/x/%61dmin", 401),
        ("GET", "/x/admin/", 404),
        ("GET", "/x/admin/?a=b", 404),
        ("GET", "/x/%61dmin/", 404),
        ("GET", "/%78/admin/", 404),
        ("HEAD", "/x/admin/", 404),
        ("PURGE", "/x/admin/", 404),
        ("GET", "/x/admin//", 400),
        ("GET", "/x//admin", 400),
        ("GET", "/x/admin/.", 400),
        ("GET", "/x/admin/%2e", 400),
        ("GET", "/x/admin%2f", 400),
        ("GET", "/x/admin/%2f", 400),
        ("GET", "/x/admin;/", 400),
        ("GET", "/x/admin/%5c", 400),
        ("POST", "/x/items", 401),
        ("POST", "/x/items/", 404),
        ("GET", "/x/items/", 404),
        ("GET", "/x/things/7", 401),
        ("GET", "/x/things/7/", 404),
        ("GET", "/x/closed/", 401),
        ("GET", "/x/closed/a/", 401),
    ];
    for (method, target, expected) in closed {
        assert_eq!(status(method, target, None), expected, "{method} {target}");
    }
    assert_eq!(status("GET", "/x/things/7", Some(&token)), 403);
    assert_eq!(status("GET", "/x/things/7/", Some(&token)), 404);
    assert_eq!(world.service.seen().len(), 0, "{:?}", world.service.seen());
    for open in ["/x/", "/x/else/", "/x/admin/else", "/x/admin/else/"] {
        assert_eq!(status("GET", open, None), 200, "{open}");
    }
    assert_eq!(status("GET", "/x/admin", Some(&token)), 200);
    let seen: Vec<String> = world.service.seen().into_iter().map(|it| it.target).collect();
    assert_eq!(seen, ["/x/", "/x/else/", "/x/admin/else", "/x/admin/else/", "/x/admin"]);
}

#[test]
fn a_method_in_another_case_is_refused_on_every_listener() {
    let world = World::with(GUARDED);
    let listeners = [world.address, world.inner, world.pages, world.exposed];
    for method in ["post", "Post", "get", "dELETE", "options", "Head", "trace", "patch", "Put"] {
        for target in ["/x/items", "/x/else", "/mypages/a@b", "/nowhere"] {
            for address in listeners {
                let text = format!(
                    "{method} {target} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\n\r\n{{}}"
                );
                let answer = raw(address, text.as_bytes()).expect("an answer");
                assert_eq!(answer.status, 400, "{method} {target}");
                assert!(answer.body.contains("upper-case"), "{answer:?}");
            }
        }
    }
    // What only a route names is known too; what nobody names is a method of its own.
    assert_eq!(send(world.address, "purge", "/x/items", &[], "").status, 400);
    assert_eq!(send(world.address, "Purge", "/x/else", &[], "").status, 400);
    assert_eq!(world.service.seen().len(), 0);
    assert_eq!(send(world.address, "report", "/x/else", &[], "").status, 200);
    assert_eq!(send(world.address, "PURGE", "/x/else", &[], "").status, 200);
}

/// What the parser does not let through (record 0019).
#[test]
fn informational_answers_end_at_the_gateway_and_protocols_are_not_switched() {
    let get = b"GET /s/x HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n";
    let (early, _asked) = answering(
        "HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
    );
    let answer = raw(World::at(USUAL, early).address, get).expect("an answer");
    assert_eq!((answer.status, answer.body.as_str()), (200, "ok"));
    assert_eq!(answer.header("link"), None);

    let (switching, _asked) =
        answering("HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n");
    let answer = raw(World::at(USUAL, switching).address, get).expect("an answer");
    assert!((500..=504).contains(&answer.status), "{answer:?}");
}

#[test]
fn a_later_minor_version_of_an_answer_is_read_as_1_1() {
    for (version, status) in [("1.0", 200), ("1.1", 200), ("1.2", 200), ("1.9", 200), ("2.0", 502)]
    {
        let answer = format!("HTTP/{version} 200 OK\r\ncontent-length: 12\r\n\r\nHTTP/1.2 end");
        let (upstream, _asked) = answering(answer);
        let answer = get(World::at(USUAL, upstream).address, "/s/x", &[]);
        assert_eq!(answer.status, status, "{version}: {answer:?}");
        assert!(status != 200 || answer.body == "HTTP/1.2 end", "{answer:?}");
    }
}

/// What of a service's answer two readers could read differently is nonsense, as in a request.
#[test]
fn an_answer_of_another_coding_or_length_is_no_answer() {
    let chunks = "2\r\nok\r\n0\r\n\r\n";
    let odd = [
        format!("Transfer-Encoding: gzip, chunked\r\n\r\n{chunks}"),
        format!("Transfer-Encoding: chunked, chunked\r\n\r\n{chunks}"),
        format!("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}"),
        "Transfer-Encoding: gzip\r\n\r\nok".to_owned(),
        "Content-Length: 2, 2\r\n\r\nok".to_owned(),
        format!("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}"),
        format!("Transfer-Encoding: chunked\r\nContent-Length: 50\r\n\r\n{chunks}"),
        format!("Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n{chunks}"),
        "Transfer-Encoding: chunked\r\n\r\nzz\r\nok\r\n0\r\n\r\n".to_owned(),
    ];
    for rest in odd {
        let (upstream, _asked) = answering(format!("HTTP/1.1 200 OK\r\n{rest}"));
        let answer = get(World::at(USUAL, upstream).address, "/s/x", &[]);
        assert_eq!(answer.status, 502, "{rest:?}: {answer:?}");
        let sent = answer.header("proxy-status");
        assert_eq!(sent, Some("yeoul; error=http_protocol_error"), "{rest:?}");
    }
    for rest in [format!("Transfer-Encoding: Chunked\r\n\r\n{chunks}"), "\r\nok".to_owned()] {
        let (upstream, _asked) = answering(format!("HTTP/1.1 200 OK\r\n{rest}"));
        let answer = get(World::at(USUAL, upstream).address, "/s/x", &[]);
        assert_eq!((answer.status, answer.body.as_str()), (200, "ok"), "{rest:?}");
    }
}
