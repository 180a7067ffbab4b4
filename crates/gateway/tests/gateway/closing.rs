//! Answers that come before their request has: at once, and honest about what becomes of the
//! connection.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use chassis::clock;
use chassis::http::whole::READ_IDLE_MAX;

use crate::support::{Answer, Client, World, pause};

/// Far below what waiting for a body would take, far above what an answer takes.
const AT_ONCE: Duration = Duration::from_millis(500);

const LIMITED: &str = "
upstreams: { service: [http://127.0.0.1:1] }
routes:
  service:
    path: /s/**
    to: service
    open: true
    guard: { rate_limit: [{ per: principal, rate: 1/s, burst: 1 }] }
  check: { path: \"/check/{id}\", methods: [GET], listener: inner, to: service, open: true }
";

fn head(method: &str, target: &str, length: usize) -> String {
    format!("{method} {target} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n")
}

/// The answer to a request of which only this is sent, and that the connection ends with it.
#[track_caller]
fn cut_short(address: SocketAddr, sent: &[u8], status: u16) -> Answer {
    let mut client = Client::connect(address);
    let start = clock::now();
    client.write(sent);
    let answer = client.read(true).expect("an answer");
    let took = clock::now() - start;
    assert_eq!((answer.status, answer.header("connection")), (status, Some("close")));
    assert!(client.read(true).is_none(), "the connection ends");
    assert!(took < AT_ONCE || sent.len() > 1 << 20, "{took:?}");
    answer
}

#[test]
fn a_refusal_does_not_wait_for_a_body_that_never_comes() {
    let world = World::new();
    let cases = [
        (world.address, "/orders", 401),
        (world.address, "/s//x", 400),
        (world.address, "/assets/none", 401),
        (world.inner, "/check/1", 405),
        (world.inner, "/nope", 404),
        (world.pages, "/mypages/a@b", 405),
        (world.pages, "/nope", 404),
        (world.exposed, "/nope", 401),
    ];
    for (address, target, status) in cases {
        cut_short(address, head("POST", target, 5).as_bytes(), status);
        let chunked = format!(
            "POST {target} HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n"
        );
        cut_short(address, chunked.as_bytes(), status);
        let expects = format!(
            "POST {target} HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n"
        );
        cut_short(address, expects.as_bytes(), status);
    }
    let limited = World::with(LIMITED);
    let mut client = Client::connect(limited.address);
    let (whole, part) = (head("POST", "/s/x", 5) + "hello", head("POST", "/s/x", 5));
    client.write(format!("{whole}{part}").as_bytes());
    assert_eq!(client.read(true).expect("an answer").status, 200);
    let refused = client.read(true).expect("an answer");
    assert_eq!((refused.status, refused.header("connection")), (429, Some("close")));
    assert!(refused.took < AT_ONCE, "{:?}", refused.took);
}

#[test]
fn what_was_answered_early_is_read_for_a_while_so_that_the_answer_is_seen() {
    let world = World::new();
    let mut sent = head("POST", "/orders", 20 << 20).into_bytes();
    sent.resize(sent.len() + (6 << 20), b'x');
    cut_short(world.address, &sent, 401);
    let mut more = head("POST", "/orders", 20 << 20).into_bytes();
    more.resize(more.len() + (9 << 20), b'x');
    cut_short(world.address, &more, 401);
}

#[test]
fn a_request_that_has_come_whole_keeps_its_connection_whatever_the_answer() {
    let world = World::new();
    let large = "x".repeat(40 << 10);
    let chunked = "POST /orders HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n\
                   3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nx: y\r\n\r\n";
    let mut client = Client::connect(world.address);
    for (text, status) in [
        (format!("{}hello", head("POST", "/orders", 5)), 401),
        (format!("{}{large}", head("POST", "/orders", large.len())), 401),
        (chunked.to_owned(), 401),
        (format!("{}hello", head("POST", "/s/x", 5)), 200),
        (format!("{}hello", head("PUT", "/s/early", 5)), 404),
    ] {
        client.write(text.as_bytes());
        let answer = client.read(true).expect("an answer on the same connection");
        assert_eq!((answer.status, answer.header("connection")), (status, None), "{text:.60}");
    }
}

/// A service that answers before the body is sent: the gateway cannot wait for it either.
#[test]
fn a_service_that_answers_early_ends_the_clients_connection_openly() {
    let world = World::new();
    cut_short(world.address, head("PATCH", "/s/early", 5).as_bytes(), 404);
}

/// What clients with a pool do: head and body in two writes, the connection kept unless the answer
/// says otherwise. Under load the body comes now before and now after the answer.
#[test]
fn a_pooled_client_never_meets_a_connection_that_closed_without_a_word() {
    let world = World::new();
    let address = world.address;
    let clients: Vec<_> =
        (0..16).map(|number: u64| thread::spawn(move || pooled(address, number))).collect();
    let kept: usize =
        clients.into_iter().map(|client| client.join().expect("no word was broken")).sum();
    assert!(kept > 100, "some connections are kept: {kept}");
}

/// How often the connection was kept.
fn pooled(address: SocketAddr, number: u64) -> usize {
    let mut client = Client::connect(address);
    let mut kept = 0;
    for turn in 0..60u64 {
        let target = ["/s/early", "/orders", "/s/x"][(turn % 3) as usize];
        client.write(head("PATCH", target, 5).as_bytes());
        pause(Duration::from_micros((turn * 37 + number * 101) % 800));
        client.write(b"hello");
        let answer = client.read(true);
        let answer =
            answer.unwrap_or_else(|| panic!("{target}: closed without a word, turn {turn}"));
        if answer.header("connection") == Some("close") {
            client = Client::connect(address);
        } else {
            kept += 1;
        }
    }
    kept
}

#[test]
fn a_sign_in_whose_body_never_comes_is_given_up_in_words() {
    let world = World::new();
    let mut client = Client::connect(world.address);
    client.wait_at_most(4 * READ_IDLE_MAX);
    client.write(
        b"POST /oauth/session HTTP/1.1\r\nhost: localhost\r\norigin: http://localhost\r\n\
        content-type: application/x-www-form-urlencoded\r\ncontent-length: 50\r\n\r\nusername=",
    );
    let answer = client.read(true).expect("an answer");
    assert_eq!((answer.status, answer.header("connection")), (408, Some("close")));
    assert!(client.read(true).is_none(), "the connection ends");
}

/// A body whose framing breaks is no body: nothing behind it has a meaning, and the answer says that
/// the connection ends, whoever was reading.
#[test]
fn an_answer_to_a_body_that_breaks_says_that_the_connection_ends() {
    let world = World::new();
    let broken =
        ["0x2\r\nhi\r\n0\r\n\r\n", "2\r\nhi0\r\n\r\n", "2\nhi\r\n0\r\n\r\n", "0\r\nx: y\n\r\n"];
    for (target, status) in [("/s/x", 400), ("/oauth/session", 400), ("/orders", 401)] {
        let head = format!(
            "POST {target} HTTP/1.1\r\nhost: localhost\r\norigin: http://localhost\r\n\
             content-type: application/x-www-form-urlencoded\r\ntransfer-encoding: chunked\r\n\r\n"
        );
        for body in broken {
            cut_short(world.address, format!("{head}{body}").as_bytes(), status);
            let mut client = Client::connect(world.address);
            client.write(head.as_bytes());
            pause(Duration::from_millis(20));
            client.write(body.as_bytes());
            let answer = client.read(true).expect("an answer");
            let seen = (answer.status, answer.header("connection"));
            assert_eq!(seen, (status, Some("close")), "{target} {body:?} in two writes");
        }
    }
}

#[test]
fn a_connection_of_an_old_client_ends_openly_unless_it_asks_to_keep_it() {
    let world = World::new();
    for address in [world.address, world.inner, world.pages] {
        let mut client = Client::connect(address);
        client.write(b"GET /nope HTTP/1.0\r\nhost: localhost\r\n\r\n");
        let answer = client.read(true).expect("an answer");
        assert_eq!(answer.header("connection"), Some("close"));
        assert!(client.read(true).is_none(), "the connection ends");
        let mut client = Client::connect(address);
        for _ in 0..2 {
            client
                .write(b"GET /nope HTTP/1.0\r\nhost: localhost\r\nConnection: Keep-Alive\r\n\r\n");
            let answer = client.read(true).expect("an answer on the same connection");
            assert_eq!(answer.header("connection"), Some("keep-alive"));
        }
    }
}
