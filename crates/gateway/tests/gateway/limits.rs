//! Rate limits: whose calls are counted together, and what who is over the limit is told.

use crate::support::{World, get};

const LIMITED: &str = "
upstreams: { service: [http://127.0.0.1:1] }
routes:
  service:
    path: /s/**
    to: service
    open: true
    guard: { rate_limit: [{ per: principal, rate: 1/s, burst: 3 }] }
  narrow:
    path: /orders/**
    to: service
    open: true
    guard: { rate_limit: [{ per: route, rate: 1/s, burst: 2 }, { per: principal, rate: 1/s, burst: 1 }] }
";

#[test]
fn the_burst_is_admitted_and_the_next_told_when_to_come_back() {
    let world = World::with(LIMITED);
    let statuses: Vec<u16> = (0..4).map(|_| get(world.address, "/s/x", &[]).status).collect();
    assert_eq!(statuses, [200, 200, 200, 429]);
    let refused = get(world.address, "/s/x", &[]);
    assert_eq!(refused.status, 429);
    assert_eq!(refused.header("ratelimit-policy"), Some("\"principal\";q=3;w=3"));
    assert_eq!(refused.header("ratelimit"), Some("\"principal\";r=0;t=1"));
    assert_eq!(refused.header("proxy-status"), Some("yeoul; error=http_request_denied"));
    assert!(["1", "2"].contains(&refused.header("retry-after").expect("when")));
    assert_eq!(world.service.seen().len(), 3);
}

#[test]
fn every_principal_has_a_limit_of_its_own() {
    let world = World::with(LIMITED);
    let (one, other) = (world.token("a@b"), world.token("c@d"));
    let status = |token: &str| {
        let bearer = format!("Bearer {token}");
        get(world.address, "/s/x", &[("authorization", &bearer)]).status
    };
    let statuses: Vec<u16> = (0..4).map(|_| status(&one)).collect();
    assert_eq!(statuses, [200, 200, 200, 429]);
    assert_eq!(status(&other), 200);
    assert_eq!(get(world.address, "/s/x", &[]).status, 200, "nobody's is the address's");
    let again = world.token("a@b");
    assert_eq!(status(&again), 429, "another token of the same principal");
}

#[test]
fn who_is_over_a_limit_of_his_own_does_not_use_up_everybodys() {
    let world = World::with(LIMITED);
    let (one, other) = (world.token("a@b"), world.token("c@d"));
    let status = |token: &str| {
        let bearer = format!("Bearer {token}");
        get(world.address, "/orders", &[("authorization", &bearer)]).status
    };
    assert_eq!([status(&one), status(&one), status(&one), status(&other)], [200, 429, 429, 200]);
}

#[test]
fn a_refused_body_does_not_hide_the_refusal() {
    let world = World::with(LIMITED);
    for _ in 0..3 {
        get(world.address, "/s/x", &[]);
    }
    let body = "x".repeat(2 << 20);
    let refused = crate::support::send(world.address, "POST", "/s/x", &[], &body);
    assert_eq!(refused.status, 429);
}

#[test]
fn behind_a_trusted_proxy_every_client_has_a_limit_of_its_own() {
    let from = |world: &World, client: &str| {
        get(world.address, "/s/x", &[("x-forwarded-for", client)]).status
    };
    let world = World::with(&format!("trusted: [127.0.0.0/8]\n{LIMITED}"));
    let statuses: Vec<u16> = (0..4).map(|_| from(&world, "6.6.6.6, 203.0.113.9")).collect();
    assert_eq!(statuses, [200, 200, 200, 429]);
    assert_eq!(from(&world, "203.0.113.9, 203.0.113.10"), 200);
    assert_eq!(from(&world, "203.0.113.10, 203.0.113.9, 127.0.0.2"), 429);
    let seen = world.service.seen().pop().expect("a call");
    assert_eq!(seen.headers["x-forwarded-for"], "203.0.113.9, 203.0.113.10, 127.0.0.1");

    let world = World::with(LIMITED);
    let statuses: Vec<u16> = (0..4).map(|it| from(&world, &format!("203.0.113.{it}"))).collect();
    assert_eq!(statuses, [200, 200, 200, 429], "nobody is trusted who is not named");
}
