//! A call to a service and back: what passes unchanged, what does not, and what a client is told
//! when there is no answer.

use std::io::Write;
use std::time::Duration;

use crate::support::client::request;
use crate::support::odd::{odd, swallow};
use crate::support::{Client, World, eventually, get, raw, refusing, send};

const TIMED: &str = "
upstreams: { service: [http://127.0.0.1:1] }
routes: { service: { path: /s/**, to: service, open: true, guard: { timeout: 300ms, idle_timeout: 300ms } } }
";

#[test]
fn a_call_reaches_the_service_with_its_own_words_and_ours() {
    let world = World::new();
    let token = world.token("a@b");
    let bearer = format!("Bearer {token}");
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
        ("x-yeoul-principal", "admin"),
        ("x-forwarded-for", "10.0.0.1"),
        ("cookie", "yeoul_session=x"),
        ("traceparent", trace),
        ("idempotency-key", "k"),
        ("origin", "http://shop.localhost"),
    ];
    let answer = send(world.address, "POST", "/orders/7?x=%20y", &headers, "{\"a\":1}");
    assert_eq!((answer.status, answer.json()["body"].as_str()), (200, Some("{\"a\":1}")));
    let seen = world.service.seen().pop().expect("a call");
    assert_eq!((seen.method.as_str(), seen.target.as_str()), ("POST", "/orders/7?x=%20y"));
    let received = |name: &str| seen.headers.get(name).map(|value| value.to_str().expect("text"));
    let service = world.service.address().to_string();
    assert_eq!(received("host"), Some(service.as_str()));
    assert_eq!(received("authorization"), Some(bearer.as_str()));
    assert_eq!(received("idempotency-key"), Some("k"));
    assert_eq!(received("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(received("x-forwarded-host"), Some("shop.localhost"));
    assert_eq!(received("x-forwarded-proto"), Some("http"));
    assert!(received("traceparent").is_some_and(|it| it[3..35] == trace[3..35] && it != trace));
    for gone in ["x-yeoul-principal", "cookie", "origin"] {
        assert_eq!(received(gone), None, "{gone}");
    }
}

#[test]
fn an_answer_loses_what_belongs_to_its_connection() {
    let world = World::new();
    let answer = get(world.address, "/s/hops", &[]);
    assert_eq!(answer.header("x-end"), Some("2"));
    assert_eq!((answer.header("x-hop"), answer.header("keep-alive")), (None, None));
}

#[test]
fn bodies_of_every_size_pass_in_both_directions() {
    let world = World::new();
    for size in [0, 1, 8 * 1024, 100_000, 3 << 20] {
        let body = "y".repeat(size);
        let answer = send(world.address, "POST", "/s/echo", &[], &body);
        assert_eq!(answer.status, 200, "{size}");
        assert_eq!(answer.json()["body"].as_str().map(str::len), Some(size));
        let answer = get(world.address, &format!("/s/large/{size}"), &[]);
        assert_eq!((answer.status, answer.body.len()), (200, size));
    }
    let chunked = "POST /s/echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n";
    let answer = raw(world.address, chunked.as_bytes()).expect("an answer");
    assert_eq!(answer.json()["body"], "abcdefg");
}

#[test]
fn a_head_has_the_length_and_no_body() {
    let world = World::new();
    let mut client = Client::connect(world.address);
    for _ in 0..2 {
        client.write(request("HEAD", "/s/x", &[], "").as_bytes());
        let answer = client.read(false).expect("an answer");
        assert_eq!((answer.status, answer.header("content-length")), (200, Some("11")));
    }
}

#[test]
fn connections_to_the_service_are_used_again() {
    let world = World::new();
    let mut client = Client::connect(world.address);
    for _ in 0..20 {
        client.write(request("POST", "/s/x", &[], "body").as_bytes());
        assert_eq!(client.read(true).expect("an answer").status, 200);
    }
    let mut peers: Vec<_> = world.service.seen().iter().map(|seen| seen.peer).collect();
    peers.dedup();
    assert_eq!(peers.len(), 1);
    assert!(
        world.metrics.text().contains("yeoul_upstream_connections{upstream=\"service\"} 1.0\n")
    );
}

#[test]
fn a_connection_that_the_service_closed_while_it_lay_idle_costs_nobody_a_request() {
    let upstream = odd(|mut stream, _| {
        swallow(&mut stream);
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
        stream.write_all(answer).expect("written");
        // Closed although it may be kept.
    });
    let world = World::at(TIMED, upstream);
    let mut client = Client::connect(world.address);
    for _ in 0..20 {
        client.write(request("POST", "/s/x", &[], "b").as_bytes());
        let answer = client.read(true).expect("an answer");
        // The close may cross the next request, which then must not be sent twice.
        assert!([200, 503].contains(&answer.status), "{answer:?}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

#[test]
fn an_answer_that_does_not_come_is_a_504() {
    let world = World::with(TIMED);
    let answer = get(world.address, "/s/slow/5000", &[]);
    assert_eq!(answer.status, 504);
    assert_eq!(answer.header("proxy-status"), Some("yeoul; error=http_response_timeout"));
    assert!(["1", "2"].contains(&answer.header("retry-after").expect("when to come back")));
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert!(!answer.body.contains("127.0.0.1"), "{}", answer.body);
    assert!(answer.took >= Duration::from_millis(300), "{:?}", answer.took);
    assert!(answer.took < Duration::from_secs(3), "{:?}", answer.took);
    assert_eq!(get(world.address, "/s/slow/1", &[]).status, 200);
}

#[test]
fn a_refused_connection_is_a_503() {
    let (_held, closed) = refusing();
    let world = World::at(TIMED, closed);
    let answer = get(world.address, "/s/x", &[]);
    assert_eq!(answer.status, 503);
    assert_eq!(answer.header("proxy-status"), Some("yeoul; error=connection_refused"));
    assert!(answer.header("retry-after").is_some());
}

#[test]
fn nonsense_is_a_502_and_a_broken_connection_a_503() {
    let table: [(&'static [u8], u16, &str); 7] = [
        (b"this is no HTTP\r\n\r\n", 502, "http_protocol_error"),
        (b"HTTP/1.1 abc OK\r\n\r\n", 502, "http_protocol_error"),
        (b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n", 502, "http_protocol_error"),
        (
            b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
            502,
            "http_protocol_error",
        ),
        (b"", 503, "connection_terminated"),
        (b"HTTP/1.1 200 OK\r\ncontent-le", 503, "connection_terminated"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf", 503, "connection_terminated"),
    ];
    for (bytes, status, error) in table {
        let upstream = odd(move |mut stream, _| {
            swallow(&mut stream);
            let _ = stream.write_all(bytes);
        });
        let world = World::at(TIMED, upstream);
        let mut client = Client::connect(world.address);
        client.write(request("GET", "/s/x", &[], "").as_bytes());
        let text = String::from_utf8_lossy(bytes);
        // A body that breaks off may do so after its head was passed on.
        if text.ends_with("half") {
            let head = client.read(false).expect("a head");
            assert!([200, status].contains(&head.status), "{text}: {head:?}");
            continue;
        }
        let answer = client.read(true).expect("an answer");
        assert_eq!(answer.status, status, "{text}: {answer:?}");
        let expected = format!("yeoul; error={error}");
        assert_eq!(answer.header("proxy-status"), Some(expected.as_str()), "{text}");
    }
}

#[test]
fn an_endless_head_is_nonsense_and_bounded() {
    let upstream = odd(|mut stream, _| {
        swallow(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nx: ");
        while stream.write_all(&[b'x'; 4096]).is_ok() {}
    });
    let world = World::at(&TIMED.replace("300ms", "10s"), upstream);
    assert_eq!(get(world.address, "/s/x", &[]).status, 502);
}

#[test]
fn a_body_that_stands_still_ends_the_answer() {
    let world = World::with(TIMED);
    let mut client = Client::connect(world.address);
    client.write(request("GET", "/s/stall", &[], "").as_bytes());
    assert_eq!(client.read(false).expect("a head").status, 200);
    assert_eq!(client.chunk().as_deref(), Some(&b"xxxx"[..]));
    assert_eq!(client.chunk(), None, "broken off, not ended");
}

/// A single failure of the service opens its circuit.
const STRICT: &str = "
upstreams: { service: [http://127.0.0.1:1] }
routes:
  service: { path: /s/**, to: service, open: true, guard: { timeout: 200ms, idle_timeout: 200ms, breaker: { calls: 1, failure_rate: 1% } } }
";

#[test]
fn a_body_that_cannot_be_read_is_a_bad_request_and_the_service_not_blamed() {
    let world = World::with(STRICT);
    let head = "POST /s/x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
    for good in ["", "3\r\nabc\r\n"] {
        let mut client = Client::connect(world.address);
        client.write(format!("{head}{good}").as_bytes());
        client.write(b"nonsense\r\n");
        assert_eq!(client.read(true).expect("an answer").status, 400, "{good:?}");
        assert_eq!(get(world.address, "/s/x", &[]).status, 200);
    }
}

#[test]
fn a_client_that_does_not_send_is_told_so_and_the_service_not_blamed() {
    let world = World::with(STRICT);
    let mut client = Client::connect(world.address);
    client.write(b"POST /s/x HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhalf");
    assert_eq!(client.read(true).expect("an answer").status, 408);
    assert_eq!(get(world.address, "/s/x", &[]).status, 200);
}

#[test]
fn a_client_that_goes_away_takes_its_call_along() {
    let world = World::new();
    let mut client = Client::connect(world.address);
    client.write(request("GET", "/s/slow/60000", &[], "").as_bytes());
    eventually("the call", || (!world.service.seen().is_empty()).then_some(()));
    drop(client);
    eventually("the connection is given up", || {
        let text = world.metrics.text();
        (text.contains("yeoul_upstream_connections{upstream=\"service\"} 0.0\n")
            && text.contains("yeoul_requests_total{route=\"service\",outcome=\"cancelled\"} 1\n"))
        .then_some(())
    });
}

#[test]
fn several_addresses_take_turns_and_one_that_is_gone_costs_nothing() {
    let service = crate::support::Service::start();
    let (_held, closed) = refusing();
    let settings = format!(
        "routes: {{ service: {{ path: /s/**, to: [\"http://{closed}\", \"http://{}\"], open: true }} }}",
        service.address()
    );
    let world = World::with(&settings);
    for _ in 0..10 {
        assert_eq!(get(world.address, "/s/x", &[]).status, 200);
    }
    assert_eq!(service.seen().len(), 10);
}

#[test]
fn a_slow_reader_is_no_failure_of_the_service() {
    let world = World::with(TIMED);
    let mut client = Client::connect(world.address);
    client.write(request("GET", "/s/large/20000000", &[], "").as_bytes());
    assert_eq!(client.read(false).expect("a head").status, 200);
    // Longer than the timeout, with far more to come than sockets hold.
    std::thread::park_timeout(Duration::from_millis(700));
    let mut read = 0;
    while let Some(piece) = client.chunk() {
        read += piece.len();
    }
    assert_eq!(read, 20_000_000);
}

#[test]
fn a_client_that_waits_to_be_told_to_send_is_told_or_refused() {
    let world = World::new();
    let ask = |target: &str| {
        let mut client = Client::connect(world.address);
        let head = "host: a\r\ncontent-length: 4\r\nexpect: 100-continue";
        client.write(format!("POST {target} HTTP/1.1\r\n{head}\r\n\r\n").as_bytes());
        (client.read(false).expect("an answer").status, client)
    };
    let (status, mut client) = ask("/s/echo");
    assert_eq!(status, 100);
    client.write(b"body");
    assert_eq!(client.read(true).expect("an answer").json()["body"], "body");
    let (status, _) = ask("/orders");
    assert_eq!(status, 401, "refused before anything was sent");
}

/// It is told when the service has a connection for it: a body that nobody takes is not asked for.
#[test]
fn a_client_that_waits_to_be_told_to_send_is_not_told_where_no_service_is() {
    let (_held, closed) = refusing();
    let world = World::at(TIMED, closed);
    let mut client = Client::connect(world.address);
    let head = "host: a\r\ncontent-length: 4\r\nexpect: 100-continue";
    client.write(format!("POST /s/echo HTTP/1.1\r\n{head}\r\n\r\n").as_bytes());
    let answer = client.read(true).expect("an answer");
    assert_eq!((answer.status, answer.header("connection")), (503, Some("close")));
}
