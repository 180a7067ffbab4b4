//! How long bodies may take, in both directions: as long as they like, unless they stand still.

use std::io::Write;
use std::time::Duration;

use chassis::clock;

use crate::support::client::request;
use crate::support::odd::{odd, swallow};
use crate::support::{Client, SOON, World, eventually, get};

const PATIENT: &str = "
upstreams: { service: [http://127.0.0.1:1] }
routes:
  service:
    path: /s/**
    to: service
    open: true
    guard: { timeout: 300ms, upload_timeout: 2s, breaker: { calls: 1, failure_rate: 1% } }
";

const PIECE: Duration = Duration::from_millis(100);

/// Sends a body of so many pieces, one after the other.
fn upload(world: &World, target: &str, pieces: usize, announced: usize) -> Client {
    let mut client = Client::connect(world.address);
    let head =
        format!("POST {target} HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n", announced * 10);
    client.write(head.as_bytes());
    for _ in 0..pieces {
        std::thread::park_timeout(PIECE);
        client.write(b"0123456789");
    }
    client
}

#[test]
fn the_services_time_stands_while_the_client_sends() {
    let world = World::with(PATIENT);
    let answer = upload(&world, "/s/x", 10, 10).read(true).expect("an answer");
    assert_eq!((answer.status, answer.json()["body"].as_str().map(str::len)), (200, Some(100)));
    // When all of it is there, the service has no more time than it would have had.
    let late = upload(&world, "/s/slow/5000", 10, 10).read(true).expect("an answer");
    assert_eq!(late.status, 504);
    assert!(late.took < Duration::from_secs(3), "{:?}", late.took);
}

#[test]
fn a_client_that_stands_still_or_never_ends_is_let_go_and_the_service_not_blamed() {
    let still = PATIENT.replace("timeout: 300ms", "timeout: 300ms, idle_timeout: 500ms");
    for (settings, pieces, what) in
        [(still.as_str(), 5, "stands still"), (PATIENT, 60, "never ends")]
    {
        let world = World::with(settings);
        let answer = upload(&world, "/s/x", pieces, 1_000).read(true).expect(what);
        assert_eq!(answer.status, 408, "{what}");
        assert_eq!(get(world.address, "/s/x", &[]).status, 200, "{what}");
    }
}

/// A service that may take its time gives none of it to a client that stands still, nor to one that never
/// ends.
#[test]
fn a_clients_limits_hold_also_where_the_service_has_more_time() {
    let still = PATIENT.replace("timeout: 300ms", "timeout: 20s, idle_timeout: 300ms");
    let endless = PATIENT.replace("timeout: 300ms", "timeout: 20s");
    for (settings, pieces, at_most) in [(&still, 0, 3), (&still, 3, 3), (&endless, 30, 6)] {
        let world = World::with(settings);
        let start = clock::now();
        let answer = upload(&world, "/s/x", pieces, 1_000).read(true).expect("an answer");
        let took = clock::now() - start;
        assert_eq!(answer.status, 408, "{pieces}");
        assert!(took < Duration::from_secs(at_most), "{pieces}: {took:?}");
    }
    let world = World::with(&still);
    let answer = upload(&world, "/s/x", 10, 10).read(true).expect("an answer");
    assert_eq!(answer.status, 200, "who goes on sending is waited for");
    let late = get(world.address, "/s/slow/600", &[]);
    assert_eq!(late.status, 200, "the service's time is its own");
}

#[test]
fn an_answer_may_take_longer_than_the_timeout_as_long_as_it_comes() {
    let upstream = odd(|mut stream, _| {
        swallow(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n");
        for _ in 0..5 {
            std::thread::park_timeout(Duration::from_millis(250));
            let _ = stream.write_all(b"3\r\n{}\n\r\n");
        }
        let _ = stream.write_all(b"0\r\n\r\n");
    });
    let world = World::at(PATIENT, upstream);
    let mut client = Client::connect(world.address);
    client.write(request("GET", "/s/x", &[], "").as_bytes());
    assert_eq!(client.read(true).expect("an answer").body, "{}\n".repeat(5));
}

#[test]
fn a_reader_that_never_reads_is_let_go() {
    let world = World::with(&format!("idle_timeout: 500ms\n{PATIENT}"));
    let mut client = Client::connect(world.address);
    client.write(request("GET", "/s/large/200000000", &[], "").as_bytes());
    assert_eq!(client.read(false).expect("a head").status, 200);
    eventually("the service's connection is free", || {
        let text = world.metrics.text();
        text.contains("yeoul_upstream_connections{upstream=\"service\"} 0.0\n").then_some(())
    });
    assert_eq!(get(world.address, "/s/x", &[]).status, 200, "the service is not blamed");
}

/// An answer that goes on and says nowhere that it has no end is in flight: all of it comes, stop or no stop.
#[test]
fn an_answer_that_may_end_is_finished_after_the_listener_stops() {
    let upstream = odd(|mut stream, _| {
        swallow(&mut stream);
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\n\
                    transfer-encoding: chunked\r\n\r\n";
        let _ = stream.write_all(head.as_bytes());
        for _ in 0..20 {
            let _ = stream.write_all(b"3\r\n{}\n\r\n");
            std::thread::park_timeout(PIECE);
        }
        let _ = stream.write_all(b"0\r\n\r\n");
    });
    let world = World::at(PATIENT, upstream);
    let mut client = Client::connect(world.address);
    client.write(request("GET", "/s/lines", &[], "").as_bytes());
    assert_eq!(client.read(false).expect("a head").status, 200);
    let mut lines = client.chunk().expect("a line");
    // The end of live streams, and of clients that stand still, is long over before the last line.
    world.stop();
    while let Some(more) = client.chunk() {
        lines.extend(more);
    }
    assert_eq!(lines, b"{}\n".repeat(20));
}

/// A stream of events has no end to wait for; what has one is finished.
#[test]
fn a_services_live_stream_ends_at_once_when_the_listener_stops() {
    let upstream = odd(|mut stream, _| {
        swallow(&mut stream);
        let head = "HTTP/1.1 200 OK\r\ncontent-type: Text/Event-Stream; charset=utf-8\r\n\
                    transfer-encoding: chunked\r\n\r\n3\r\n: \n\r\n";
        let _ = stream.write_all(head.as_bytes());
        // Kept open until the gateway leaves.
        swallow(&mut stream);
    });
    let world = World::at(PATIENT, upstream);
    let mut client = Client::connect(world.address);
    client.write(request("GET", "/s/live", &[], "").as_bytes());
    assert_eq!(client.read(false).expect("a head").status, 200);
    assert_eq!(client.chunk().expect("an event"), b": \n");
    let start = clock::now();
    world.stop();
    assert!(client.chunk().is_none(), "nothing comes any more");
    let took = clock::now() - start;
    assert!(took < SOON / 2, "{took:?}");
}
