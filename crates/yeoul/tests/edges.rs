//! The edge that every listener shares: the gateway's, the services' and the administrator's refuse
//! the same bytes in the same way, answer at once and say when a connection ends.

#[path = "support/lib.rs"]
mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use serde_json::Value;
use support::{
    Folder, LISTENERS, Mall, SOON, Started, Stream, Talk, connect, overlay, raw, signal, text,
    timed,
};

static MALL: LazyLock<Mall> = LazyLock::new(Mall::fresh);

/// The status of these bytes on a listener, which ends the connection and says so where it refuses
/// them for good.
#[track_caller]
fn status(listener: &str, request: &str, ends: bool) -> u16 {
    let answer = raw(MALL.base(listener), request.as_bytes());
    if ends {
        let start = &request[..request.len().min(80)];
        assert_eq!(answer.header("connection"), Some("close"), "{listener}: {start}: {answer:?}");
        let problem: Value = serde_json::from_str(&answer.body).expect("a problem");
        assert_eq!(problem["status"], answer.status, "{listener}: {start}");
    }
    answer.status
}

#[test]
fn bytes_that_could_be_read_in_two_ways_are_refused_alike_everywhere() {
    let fields = "x: y\r\n".repeat(108);
    for (listener, path) in LISTENERS {
        let get = |more: &str| format!("GET {path} HTTP/1.1\r\nHost: HOST\r\n{more}\r\n");
        let refused = [
            (get("Transfer-Encoding: gzip, chunked\r\n"), 501),
            (get("Transfer-Encoding: chunked, chunked\r\n"), 501),
            (get("Transfer-Encoding: identity\r\n"), 501),
            (get("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), 400),
            (get("Content-Length: 5\r\nContent-Length: 5\r\n"), 400),
            (get(&format!("x: {}\r\n", "v".repeat(100 << 10))), 431),
            (get(&fields), 431),
            (format!("{} / HTTP/1.1\r\nHost: HOST\r\n\r\n", "M".repeat(60 << 10)), 501),
            (format!("GET /{} HTTP/1.1\r\nHost: HOST\r\n\r\n", "p".repeat(9 << 10)), 414),
            (get("Authorization: Bearer a\r\nAuthorization: Bearer a\r\n"), 400),
            (get("x y: z\r\n"), 400),
            (get("x: \u{1}\r\n"), 400),
            (format!("GET {path}?a=<b> HTTP/1.1\r\nHost: HOST\r\n\r\n"), 400),
            ("GET /caf\u{e9} HTTP/1.1\r\nHost: HOST\r\n\r\n".to_owned(), 400),
            ("GET / HTTP/1.1\nHost: HOST\n\n".to_owned(), 400),
        ];
        for (request, expected) in refused {
            let start = &request[..request.len().min(80)];
            assert_eq!(status(listener, &request, true), expected, "{listener}: {start}");
        }
        let closing = "Connection: close\r\n";
        let others = [
            (format!("GET http://HOST{path} HTTP/1.1\r\nHost: HOST\r\n{closing}\r\n"), 400),
            (format!("GET {path} HTTP/1.1\r\n{closing}\r\n"), 400),
            (format!("GET {path} HTTP/1.1\r\nHost:\r\n{closing}\r\n"), 400),
            (format!("GET {path} HTTP/1.1\r\nHost: HOST\r\nHost: a\r\n{closing}\r\n"), 400),
            (format!("GET {path} HTTP/1.0\r\n\r\n"), 200),
            (format!("GET {path} HTTP/1.2\r\nHost: HOST\r\n{closing}\r\n"), 200),
            (format!("OPTIONS * HTTP/1.1\r\nHost: HOST\r\n{closing}\r\n"), 204),
            (
                format!("OPTIONS * HTTP/1.1\r\nHost: evil.example\r\n{closing}\r\n"),
                if listener == "gateway" { 204 } else { 403 },
            ),
            (format!("TRACE {path} HTTP/1.1\r\nHost: HOST\r\n{closing}\r\n"), 405),
            (format!("CONNECT HOST HTTP/1.1\r\nHost: a\r\n{closing}\r\n"), 405),
        ];
        for (request, expected) in others {
            assert_eq!(status(listener, &request, false), expected, "{listener}: {request}");
        }
        let authority = MALL.base(listener).trim_start_matches("http://");
        let absolute =
            format!("GET http://{authority}{path} HTTP/1.1\r\nHost: {authority}\r\n{closing}\r\n");
        assert_eq!(status(listener, &absolute, false), 200, "{listener}: {absolute}");
    }
}

/// What the gateway takes reaches its service, though it adds fields of its own.
#[test]
fn the_largest_head_and_the_most_fields_of_the_gateway_reach_a_service() {
    let first = "GET /products HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n";
    let host = MALL.base("gateway").trim_start_matches("http://");
    let first = first.replace("HOST", host);
    let fields = |count: usize| format!("{first}{}\r\n", "x:y\r\n".repeat(count - 2));
    let bytes = |count: usize| {
        let rest = count - first.len() - "x:\r\n\r\n".len();
        format!("{first}x:{}\r\n\r\n", "v".repeat(rest))
    };
    for (head, expected) in [
        (fields(100), 200),
        (fields(101), 431),
        (bytes(64 << 10), 200),
        (bytes((64 << 10) + 1), 431),
    ] {
        assert_eq!(raw(MALL.base("gateway"), head.as_bytes()).status, expected);
    }
}

/// A browser is shown a page whatever it is that is refused, and by whom.
#[test]
fn a_browser_is_shown_a_page_where_its_head_is_refused() {
    let accept = "Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n";
    let cases = [
        (format!("GET /{} HTTP/1.1\r\nHost: HOST\r\nACCEPT\r\n", "p".repeat(9 << 10)), 414),
        (format!("GET / HTTP/1.1\r\nHost: HOST\r\nx: {}\r\nACCEPT\r\n", "v".repeat(70 << 10)), 431),
        ("GET / HTTP/1.1\r\nHost: HOST\r\nACCEPTTransfer-Encoding: gzip\r\n\r\n".to_owned(), 501),
        ("GET /caf\u{e9} HTTP/1.1\r\nHost: HOST\r\nACCEPT\r\n".to_owned(), 400),
        ("GET /<x> HTTP/1.1\r\nHost: HOST\r\nACCEPT\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\nACCEPTConnection: close\r\n\r\n".to_owned(), 400),
    ];
    for (text, expected) in cases {
        let page = raw(MALL.base("gateway"), text.replace("ACCEPT", accept).as_bytes());
        assert_eq!(page.status, expected, "{page:?}");
        assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"), "{page:?}");
        assert_eq!(page.header("connection"), Some("close"), "{page:?}");
        let meta = format!("<meta name=\"yeoul-status\" content=\"{expected}\">");
        assert!(page.body.contains(&meta), "{page:?}");
        let problem = raw(MALL.base("gateway"), text.replace("ACCEPT", "").as_bytes());
        assert_eq!(problem.status, expected, "{problem:?}");
        assert_eq!(problem.header("content-type"), Some("application/problem+json"), "{problem:?}");
    }
}

#[test]
fn a_refusal_comes_at_once_and_says_that_the_connection_ends() {
    for (listener, _) in LISTENERS {
        for announced in
            ["Content-Length: 5", "Transfer-Encoding: chunked", "Content-Length: 99999999"]
        {
            let request = format!("POST /nowhere HTTP/1.1\r\nHost: HOST\r\n{announced}\r\n\r\n");
            let (took, answer) = timed(|| raw(MALL.base(listener), request.as_bytes()));
            assert!((401..=404).contains(&answer.status), "{listener}: {answer:?}");
            assert_eq!(answer.header("connection"), Some("close"), "{listener}: {answer:?}");
            assert!(took < Duration::from_millis(700), "{listener}: {took:?}");
        }
    }
}

/// A request of a client that says what it expects before it sends its body.
struct Expecting {
    listener: &'static str,
    call: &'static str,
    kind: &'static str,
    body: &'static str,
    /// What it is answered without its body, where nobody needs that; else with it.
    refused: Option<u16>,
    answered: u16,
}

const fn refused(listener: &'static str, call: &'static str, status: u16) -> Expecting {
    let (kind, body, refused) = ("application/json", "{}", Some(status));
    Expecting { listener, call, kind, body, refused, answered: status }
}

const fn read(
    listener: &'static str,
    call: &'static str,
    (kind, body): (&'static str, &'static str),
    answered: u16,
) -> Expecting {
    Expecting { listener, call, kind, body, refused: None, answered }
}

const JSON: (&str, &str) = ("application/json", "{}");
const FORM: (&str, &str) = ("application/x-www-form-urlencoded", "grant_type=x");

const EXPECTING: [Expecting; 14] = [
    refused("gateway", "POST /orders", 401),
    refused("gateway", "POST /nowhere", 401),
    refused("order", "POST /nowhere", 404),
    refused("product", "PUT /products", 405),
    refused("delivery", "POST /deliveries", 405),
    refused("account", "POST /nowhere", 404),
    refused("mypage", "POST /mypages/1@uengine.org", 405),
    refused("admin", "POST /nowhere", 404),
    read("gateway", "POST /oauth/token", FORM, 400),
    read("gateway", "POST /oauth/users", JSON, 400),
    read("order", "POST /orders", JSON, 400),
    read("product", "POST /products", JSON, 400),
    read("account", "POST /oauth/token", FORM, 400),
    read("admin", "PUT /admin/faults/order", JSON, 400),
];

impl Expecting {
    fn head(&self, version: &str, more: &str) -> String {
        let Expecting { call, kind, body, .. } = self;
        let length = body.len();
        format!(
            "{call} {version}\r\nHost: HOST\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n{more}\r\n"
        )
    }
}

/// RFC 9110, section 10.1.1: told where somebody needs the body, and not a moment before; otherwise
/// refused, which ends the connection, because nobody knows whether the client still sends. Who does
/// not wait, expects something else or speaks HTTP/1.0 is answered as if nothing had been expected.
#[test]
fn a_client_that_waits_to_be_told_to_send_is_told_where_its_body_is_needed() {
    for case in &EXPECTING {
        let Expecting { listener, call, body, refused, answered, .. } = case;
        let base = MALL.base(listener);
        let send = |text: &str| Talk::begin(base, text.as_bytes());
        for expect in ["Expect: 100-continue\r\n", "expect: 100-Continue\r\n"] {
            let mut talk = send(&case.head("HTTP/1.1", expect));
            let first = talk.answer();
            let says = format!("{listener} {call} {expect:?}: {first:?}");
            if let Some(refused) = refused {
                assert_eq!(
                    (first.status, first.header("connection")),
                    (*refused, Some("close")),
                    "{says}"
                );
                continue;
            }
            assert_eq!(first.status, 100, "{says}");
            talk.send(body.as_bytes());
            let answer = talk.answer();
            assert_eq!((answer.status, answer.header("connection")), (*answered, None), "{says}");
        }
        for (version, more) in [
            ("HTTP/1.1", "Expect: something else\r\n"),
            ("HTTP/1.1", "Expect: 100-continue\r\nExpect: x\r\n"),
            ("HTTP/1.0", "Expect: 100-continue\r\nConnection: keep-alive\r\n"),
        ] {
            let mut talk = send(&format!("{}{body}", case.head(version, more)));
            let answer = talk.answer();
            let says = format!("{listener} {call} {version} {more:?}: {answer:?}");
            assert_eq!(answer.status, *answered, "{says}");
            assert_ne!(answer.header("connection"), Some("close"), "{says}");
        }
        // Who asks and does not wait may be told; the body is read where it is needed.
        let mut talk =
            send(&format!("{}{body}", case.head("HTTP/1.1", "Expect: 100-continue\r\n")));
        let mut answer = talk.answer();
        if answer.status == 100 {
            assert_eq!(*refused, None, "{listener} {call}");
            answer = talk.answer();
        }
        assert_eq!(answer.status, *answered, "{listener} {call}: {answer:?}");
    }
}

#[test]
fn a_body_that_is_too_large_is_refused_and_the_connection_ends_openly() {
    let who = MALL.customer();
    for (listener, token, expected) in
        [("gateway", None, 401), ("gateway", Some(&who.token), 413), ("order", None, 413)]
    {
        let bearer = token.map(|it| format!("Authorization: Bearer {it}\r\n")).unwrap_or_default();
        let mut request = format!(
            "POST /orders HTTP/1.1\r\nHost: HOST\r\n{bearer}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            20 << 20
        )
        .into_bytes();
        request.resize(request.len() + (9 << 20), b' ');
        let answer = raw(MALL.base(listener), &request);
        assert_eq!(answer.status, expected, "{listener}: {answer:?}");
        assert_eq!(answer.header("connection"), Some("close"), "{listener}: {answer:?}");
    }
}

#[test]
fn a_hangup_ends_nothing() {
    let Some(mall) = Mall::owned(&[]) else { return };
    signal("HUP", mall.pid());
    support::stays("it answers", Duration::from_millis(300), &200, || {
        mall.get("/products").send().status
    });
}

#[test]
fn a_signal_waits_for_no_half_sent_head_and_for_no_stream() {
    let Some(mall) = Mall::owned(&[]) else { return };
    let who = mall.customer();
    let bearer = format!("Bearer {}", who.token);
    let path = format!("/mypages/{}/events", who.id);
    let mut stream = Stream::open(mall.base("gateway"), &path, &[("Authorization", &bearer)]);
    stream.until("the page", |message| message.event == "reset");
    let mut heads: Vec<_> =
        ["gateway", "order", "admin"].map(|name| connect(mall.base(name))).into();
    for (at, head) in heads.iter_mut().enumerate() {
        let part = ["G", "GET / HTTP/1.1\r\nHost: a\r\n", "GET / HTTP/1.1\r\nx: y"][at];
        head.write_all(part.as_bytes()).expect("a part of a head");
    }
    mall.get("/products").send().expect(200);
    let (took, (code, _folder)) = timed(|| mall.stop_by("TERM", SOON));
    assert_eq!(code, 0);
    assert!(took < Duration::from_secs(3), "{took:?}");
    assert!(stream.ends_within(SOON));
    for head in &mut heads {
        let mut rest = Vec::new();
        assert_eq!(head.read_to_end(&mut rest).unwrap_or(0), 0, "no answer to half a head");
    }
}

#[test]
fn a_signal_waits_for_no_body_that_nobody_sends_any_more() {
    let Some(mall) = Mall::owned(&[]) else { return };
    let who = mall.customer();
    let bodies: Vec<_> = ["gateway", "order", "account", "admin"]
        .map(|name| {
            let mut body = connect(mall.base(name));
            let head = format!(
                "POST /orders HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\
                 Content-Type: application/json\r\nContent-Length: 50\r\n\r\n{{\"productId\":",
                who.token
            );
            body.write_all(head.as_bytes()).expect("a part of a body");
            body
        })
        .into();
    mall.get("/products").send().expect(200);
    let (took, (code, _folder)) = timed(|| mall.stop_by("TERM", SOON));
    assert_eq!(code, 0);
    assert!(took < Duration::from_secs(6), "{took:?}");
    drop(bodies);
}

/// A service that sends events for as long as somebody takes them, and how many bytes it sent.
fn endless(kind: &'static str) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let (address, sent) =
        (listener.local_addr().expect("its address"), Arc::<AtomicUsize>::default());
    let counted = sent.clone();
    std::thread::spawn(move || {
        for mut socket in listener.incoming().flatten() {
            let counted = counted.clone();
            std::thread::spawn(move || {
                let _ = socket.read(&mut [0; 4096]);
                let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n\r\n");
                let event = format!("data: {}\n\n", "x".repeat(16 << 10));
                let mut written = socket.write_all(head.as_bytes());
                while written.is_ok() {
                    counted.fetch_add(event.len(), Ordering::Relaxed);
                    written = socket.write_all(event.as_bytes());
                }
            });
        }
    });
    (address, sent)
}

/// Everything between the service and who reads nothing is full: the end waits for neither.
#[test]
fn a_signal_waits_for_no_stream_that_nobody_reads() {
    if support::is_elsewhere() {
        return;
    }
    let (service, sent) = endless("text/event-stream");
    let folder = Folder::new();
    let settings = format!(
        "upstreams: {{ feed: [\"http://{service}\"] }}\n\
         routes: {{ feed: {{ path: /feed, to: feed, open: true }} }}\n"
    );
    let file = overlay(folder.path(), "feed.yaml", &settings);
    let data = folder.data();
    let serve = ["serve", "--json", "--listen", "127.0.0.1:0", "-c", text(&file), "--data"];
    let mut program = Started::new(&[serve.as_slice(), &[text(&data)]].concat());
    let ready = program.ready();
    let mut reader = connect(ready["gateway"].as_str().expect("a gateway"));
    reader.write_all(b"GET /feed HTTP/1.1\r\nHost: a\r\n\r\n").expect("asked");
    let mut before = 0;
    support::eventually("everything is full", || {
        let now = sent.load(Ordering::Relaxed);
        let full = now > 0 && now == before;
        before = now;
        support::pause(Duration::from_millis(300));
        full.then_some(())
    });
    let (took, code) = timed(|| program.stop_by("TERM"));
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(5), "{took:?}");
    drop(reader);
}
