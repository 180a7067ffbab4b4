//! The circuit in front of a service: what opens it, what never does, how it closes.

use std::time::Duration;

use crate::support::client::request;
use crate::support::{Client, World, eventually, get};

const GUARDED: &str = "
upstreams: { service: [http://127.0.0.1:1] }
routes:
  service:
    path: /s/**
    to: service
    open: true
    guard: { timeout: 200ms, idle_timeout: 200ms, breaker: { failure_rate: 50%, calls: 4, open_for: 500ms, probes: 1 } }
";

fn state(world: &World) -> String {
    let guards = world.gateway.guards();
    guards["routes"]["service"]["breaker"]["state"].as_str().expect("a state").to_owned()
}

#[test]
fn failures_open_it_then_nothing_reaches_the_service_until_a_probe_succeeds() {
    let world = World::with(GUARDED);
    world.service.is_sick(true);
    for _ in 0..4 {
        assert_eq!(get(world.address, "/s/moody", &[]).status, 500);
    }
    assert_eq!(state(&world), "open");
    let reached = world.service.seen().len();
    for _ in 0..20 {
        let refused = get(world.address, "/s/moody", &[]);
        assert_eq!(refused.status, 503);
        assert_eq!(refused.header("proxy-status"), Some("yeoul; error=destination_unavailable"));
        assert!(refused.header("retry-after").is_some());
        assert!(refused.took < Duration::from_millis(50), "{:?}", refused.took);
    }
    assert_eq!(world.service.seen().len(), reached);
    assert!(
        world
            .metrics
            .text()
            .contains("yeoul_breaker_state{route=\"service\",state=\"open\"} 1.0\n")
    );
    world.service.is_sick(false);
    eventually("it closes by itself", || {
        (get(world.address, "/s/moody", &[]).status == 200).then_some(())
    });
    assert_eq!(state(&world), "closed");
}

#[test]
fn timeouts_open_it() {
    let world = World::with(GUARDED);
    for _ in 0..4 {
        assert_eq!(get(world.address, "/s/slow/3000", &[]).status, 504);
    }
    assert_eq!(state(&world), "open");
}

#[test]
fn what_is_not_the_services_fault_never_opens_it() {
    let world = World::with(GUARDED);
    for _ in 0..10 {
        assert_eq!(get(world.address, "/s/refused", &[]).status, 503);
    }
    assert_eq!(state(&world), "closed");
}

#[test]
fn clients_that_disconnect_do_not_open_it_and_the_next_request_is_served() {
    let world = World::with(&GUARDED.replace("200ms", "5s"));
    for round in 1..4 {
        let clients: Vec<Client> = (0..64)
            .map(|_| {
                let mut client = Client::connect(world.address);
                client.write(request("GET", "/s/slow/3000", &[], "").as_bytes());
                client
            })
            .collect();
        eventually("all are in flight", || {
            (world.service.seen().len() >= round * 65 - 1).then_some(())
        });
        drop(clients);
        assert_eq!(get(world.address, "/s/x", &[]).status, 200);
        assert_eq!(state(&world), "closed");
    }
    let guards = world.gateway.guards();
    assert_eq!(guards["routes"]["service"]["breaker"]["failures"], 0);
}

#[test]
fn a_body_that_stands_still_counts_as_a_failure() {
    let world = World::with(GUARDED);
    for _ in 0..4 {
        let mut client = Client::connect(world.address);
        client.write(request("GET", "/s/stall", &[], "").as_bytes());
        assert_eq!(client.read(false).expect("a head").status, 200);
        while client.chunk().is_some() {}
    }
    assert_eq!(state(&world), "open");
}

/// Opens the circuit, and waits until it may probe; the service works again.
fn half_open(world: &World) {
    world.service.is_sick(true);
    for _ in 0..4 {
        get(world.address, "/s/moody", &[]);
    }
    assert_eq!(state(world), "open");
    world.service.is_sick(false);
    eventually("it may probe", || (state(world) == "half-open").then_some(()));
}

#[test]
fn a_probe_is_decided_by_its_head_however_slowly_the_rest_is_read() {
    let world = World::with(GUARDED);
    half_open(&world);
    let mut client = Client::connect(world.address);
    client.write(request("GET", "/s/large/20000000", &[], "").as_bytes());
    assert_eq!(client.read(false).expect("a head").status, 200);
    assert_eq!(state(&world), "closed");
    // Longer than a probe may take, with far more to come than sockets hold.
    std::thread::park_timeout(Duration::from_millis(1_500));
    assert_eq!(state(&world), "closed");
}

#[test]
fn a_request_whose_body_is_still_coming_is_no_probe() {
    let world = World::with(GUARDED);
    half_open(&world);
    let mut upload = Client::connect(world.address);
    upload.write(b"POST /s/slowly HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhalf");
    std::thread::park_timeout(Duration::from_millis(100));
    assert_eq!(get(world.address, "/s/x", &[]).status, 200, "the probe");
    assert_eq!(state(&world), "closed");
    upload.write(b"secret");
    assert_eq!(upload.read(true).expect("an answer").json()["body"], "halfsecret");
    // One that does not come whole in a while is told to come back.
    half_open(&world);
    let mut upload = Client::connect(world.address);
    upload.write(b"POST /s/slowly HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhalf");
    let refused = upload.read(true).expect("an answer");
    assert_eq!(refused.status, 503);
    assert!(refused.header("retry-after").is_some());
    assert_eq!(get(world.address, "/s/x", &[]).status, 200, "the probe");
}
