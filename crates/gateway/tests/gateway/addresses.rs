//! Several addresses of one service: what one that fails costs, and what comes back to it.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use serde_json::Value;
use socket2::{Domain, Socket, Type};

use crate::support::client::request;
use crate::support::odd::{odd, swallow};
use crate::support::{Client, SOON, Service, USUAL, World, eventually, get, pause};

/// A route to these addresses, with a circuit that few failures open.
fn to(addresses: &[SocketAddr]) -> World {
    let list: Vec<String> = addresses.iter().map(|it| format!("\"http://{it}\"")).collect();
    World::with(&format!(
        "routes: {{ service: {{ path: /s/**, to: [{}], open: true, guard: {{ timeout: 2s, \
         connect_timeout: 200ms, breaker: {{ failure_rate: 20%, calls: 5, open_for: 60s }} }} }} }}",
        list.join(", ")
    ))
}

fn closed() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a port")
}

fn state(world: &World) -> String {
    let guards = world.gateway.guards();
    guards["routes"]["service"]["breaker"]["state"].as_str().expect("a state").to_owned()
}

fn address(world: &World, at: usize) -> Value {
    world.gateway.guards()["upstreams"]["route service"][at].clone()
}

/// An address at which nothing answers: its queue is full, and what comes is dropped.
fn black_hole() -> (SocketAddr, Vec<Socket>) {
    let socket = || Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let listener = socket();
    let any: SocketAddr = ([127, 0, 0, 1], 0).into();
    listener.bind(&any.into()).expect("a port");
    listener.listen(0).expect("listening");
    let address = listener.local_addr().expect("an address").as_socket().expect("inet");
    let mut held = vec![listener];
    for _ in 0..8 {
        let filler = socket();
        filler.set_nonblocking(true).expect("set");
        let _ = filler.connect(&address.into());
        held.push(filler);
    }
    (address, held)
}

/// How a call went, and how long it took from before it was sent.
fn timed(world: &World) -> (u16, Duration) {
    let start = chassis::clock::now();
    (get(world.address, "/s/x", &[]).status, start.elapsed())
}

#[test]
fn an_address_that_refuses_costs_no_call() {
    let service = Service::start();
    let world = to(&[closed(), service.address()]);
    for _ in 0..20 {
        assert_eq!(get(world.address, "/s/x", &[]).status, 200);
    }
    assert_eq!((service.seen().len(), state(&world).as_str()), (20, "closed"));
    assert!(address(&world, 0)["failures"].as_u64() >= Some(3), "{}", address(&world, 0));
    assert_eq!(address(&world, 1)["failures"], 0);
}

#[test]
fn an_address_that_swallows_everything_costs_a_connect_timeout_and_is_left_out() {
    let (hole, _held) = black_hole();
    let service = Service::start();
    let world = to(&[hole, service.address()]);
    let answers: Vec<_> = (0..20).map(|_| timed(&world)).collect();
    assert!(answers.iter().all(|(status, _)| *status == 200), "{answers:?}");
    let slow = answers.iter().filter(|(_, took)| *took >= Duration::from_millis(200)).count();
    assert!(slow >= 3, "{answers:?}");
    // Three in a row, and the probes of the time that this took; not every second call.
    let failures = address(&world, 0)["failures"].as_u64();
    assert!(failures.is_some_and(|failures| (3..=5).contains(&failures)), "{failures:?}");
    assert!(answers.iter().all(|(_, took)| *took < Duration::from_secs(2)), "{answers:?}");
    assert_eq!(state(&world), "closed");
}

#[test]
fn a_black_hole_alone_is_a_504() {
    let (hole, _held) = black_hole();
    let world = to(&[hole]);
    let answer = get(world.address, "/s/x", &[]);
    assert_eq!(answer.status, 504);
    assert_eq!(answer.header("proxy-status"), Some("yeoul; error=connection_timeout"));
    let (_, took) = timed(&world);
    assert!(took >= Duration::from_millis(200) && took < Duration::from_secs(2), "{took:?}");
}

#[test]
fn an_address_that_answers_500_is_left_out_and_asked_again_later() {
    let (sick, well) = (Service::start(), Service::start());
    sick.is_sick(true);
    let world = to(&[sick.address(), well.address()]);
    let statuses: Vec<u16> = (0..20).map(|_| get(world.address, "/s/moody", &[]).status).collect();
    let failed = statuses.iter().filter(|status| **status == 500).count();
    assert!((3..=5).contains(&failed), "{statuses:?}");
    assert_eq!(state(&world), "closed", "the other one is good");
    sick.is_sick(false);
    let before = sick.seen().len();
    eventually("it is asked again", || {
        assert_eq!(get(world.address, "/s/moody", &[]).status, 200);
        (sick.seen().len() > before + 3).then_some(())
    });
    assert_eq!(address(&world, 0)["outForMs"], Value::Null);
}

#[test]
fn when_every_address_fails_the_circuit_opens() {
    let services = [Service::start(), Service::start()];
    services.iter().for_each(|service| service.is_sick(true));
    let world = to(&[services[0].address(), services[1].address()]);
    for _ in 0..8 {
        get(world.address, "/s/moody", &[]);
    }
    assert_eq!(state(&world), "open");
    let world = to(&[closed(), closed()]);
    let statuses: Vec<u16> = (0..8).map(|_| get(world.address, "/s/x", &[]).status).collect();
    assert_eq!(statuses, [503; 8]);
    assert_eq!(state(&world), "open");
}

/// A service that closes its first connection when a second request comes on it.
fn closing() -> SocketAddr {
    odd(|mut stream, count| {
        swallow(&mut stream);
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n{count}");
        let _ = std::io::Write::write_all(&mut stream, answer.as_bytes());
        if count == 0 {
            swallow(&mut stream);
        }
    })
}

#[test]
fn what_may_be_sent_twice_goes_once_more_when_the_service_closed_its_connection() {
    let strict = "
upstreams: { service: [http://127.0.0.1:1] }
routes: { service: { path: /s/**, to: service, open: true, guard: { breaker: { calls: 1, failure_rate: 1% } } } }
";
    let small = "x".repeat(60 * 1024);
    let cases: [(&str, &str, u16); 6] = [
        ("GET", "", 200),
        ("DELETE", "", 200),
        ("PUT", "body", 200),
        ("PUT", &small, 200),
        ("POST", "", 503),
        ("POST", "body", 503),
    ];
    for (method, body, expected) in cases {
        let world = World::at(strict, closing());
        let mut client = Client::connect(world.address);
        client.write(request("GET", "/s/x", &[], "").as_bytes());
        assert_eq!(client.read(true).expect("an answer").body, "0");
        client.write(request(method, "/s/x", &[], body).as_bytes());
        let answer = client.read(true).expect("an answer");
        assert_eq!(answer.status, expected, "{method} {}: {answer:?}", body.len());
        let good = expected == 200;
        assert_eq!(state(&world) == "closed", good, "the first try counts nowhere");
        if good {
            assert_eq!(answer.body, "1");
        }
    }
}

#[test]
fn what_is_sent_once_more_is_what_was_sent() {
    let (sender, asked) = std::sync::mpsc::sync_channel(2);
    let service = odd(move |mut stream, count| {
        let first = swallow(&mut stream);
        let _ = std::io::Write::write_all(&mut stream, b"HTTP/1.1 204 No Content\r\n\r\n");
        let request = if count == 0 { swallow(&mut stream) } else { first };
        let _ = sender.send(request);
    });
    let world = World::at(USUAL, service);
    let mut client = Client::connect(world.address);
    client.write(request("GET", "/s/x", &[], "").as_bytes());
    assert_eq!(client.read(true).expect("an answer").status, 204);
    let fields = [("x-one", "a"), ("x-one", "b"), ("x-two", "\u{c720}"), ("if-match", "\"e\"")];
    client.write(request("PUT", "/s/y?a=b%20c", &fields, "body").as_bytes());
    assert_eq!(client.read(true).expect("an answer").status, 204);
    let [first, second] = [0, 1].map(|_| asked.recv_timeout(SOON).expect("a request"));
    assert!(
        first.starts_with("PUT /s/y?a=b%20c HTTP/1.1\r\n") && first.ends_with("body"),
        "{first}"
    );
    assert_eq!(first, second);
}

/// Closes each connection as the second request on it comes.
fn closing_each() -> SocketAddr {
    odd(|mut stream, _| {
        swallow(&mut stream);
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nodd";
        let _ = std::io::Write::write_all(&mut stream, answer);
        swallow(&mut stream);
    })
}

#[test]
fn a_first_try_that_goes_once_more_counts_nowhere_for_its_address_either() {
    let service = Service::start();
    let world = to(&[closing_each(), service.address()]);
    // By one connection, so by one core: each takes its own turns.
    let mut client = Client::connect(world.address);
    let mut ask = || {
        client.write(request("GET", "/s/x", &[], "").as_bytes());
        client.read(true).expect("an answer")
    };
    let answers: Vec<_> = (0..16).map(|_| ask()).collect();
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    let odd = answers.iter().filter(|answer| answer.body == "odd").count();
    assert_eq!(odd, 8, "it takes its turns as the other does");
    assert_eq!(address(&world, 0)["failures"], 0);
}

/// A body that grows past what is kept of it while it is on its way cannot be sent from its beginning.
#[test]
fn a_body_of_which_the_beginning_has_gone_is_not_sent_once_more() {
    const PIECE: usize = 16 * 1024;
    const PIECES: usize = 10;
    let (sender, asked) = std::sync::mpsc::sync_channel(1);
    let service = odd(move |mut stream, count| {
        swallow(&mut stream);
        if count > 0 {
            let _ = sender.try_send(());
        }
        let _ = std::io::Write::write_all(&mut stream, b"HTTP/1.1 204 No Content\r\n\r\n");
        let mut taken = 0;
        while count == 0 && taken < PIECES * PIECE {
            taken += swallow(&mut stream).len();
        }
    });
    let world = World::at(USUAL, service);
    let mut client = Client::connect(world.address);
    client.write(request("GET", "/s/x", &[], "").as_bytes());
    assert_eq!(client.read(true).expect("an answer").status, 204);
    client.write(request("PUT", "/s/y", &[("transfer-encoding", "chunked")], "").as_bytes());
    let piece = format!("{PIECE:x}\r\n{}\r\n", "x".repeat(PIECE));
    for _ in 0..PIECES {
        client.write(piece.as_bytes());
        pause(Duration::from_millis(5));
    }
    client.write(b"0\r\n\r\n");
    assert_eq!(client.read(true).expect("an answer").status, 503);
    assert!(asked.try_recv().is_err(), "a part of the body went out as all of it");
}

#[test]
fn an_idle_connection_is_kept_as_long_as_the_service_says() {
    let cases = [
        ("", 1_500),
        ("keep-alive: timeout=3\r\n", 2_500),
        ("keep-alive: timeout=1\r\n", 500),
        ("keep-alive: timeout=0\r\n", 0),
    ];
    for (header, millis) in cases {
        let bytes = format!("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n{header}\r\n");
        let upstream = odd(move |mut stream, _| {
            swallow(&mut stream);
            let _ = std::io::Write::write_all(&mut stream, bytes.as_bytes());
            // Until the gateway closes.
            swallow(&mut stream);
        });
        let world = World::at(
            "upstreams: { service: http://127.0.0.1:1 }\nroutes: { s: { path: /s/**, to: service, open: true } }",
            upstream,
        );
        let start = chassis::clock::now();
        assert_eq!(get(world.address, "/s/x", &[]).status, 200);
        eventually("it is closed", || {
            let text = world.metrics.text();
            text.contains("yeoul_upstream_connections{upstream=\"service\"} 0.0\n").then_some(())
        });
        let kept = start.elapsed();
        assert!(kept >= Duration::from_millis(millis), "{header}: {kept:?}");
        assert!(kept < Duration::from_millis(millis + 5_000), "{header}: {kept:?}");
    }
}
