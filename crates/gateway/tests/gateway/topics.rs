//! Topics over HTTP: for administrators, in batches that go on where the last one ended.

use serde_json::Value;

use crate::support::{ADMIN, Answer, CUSTOMER, World, get};

fn read(world: &World, role: &str, target: &str) -> Answer {
    let bearer = format!("Bearer {}", world.token_of("a@b", role));
    get(world.address, target, &[("authorization", &bearer)])
}

#[test]
fn a_topic_is_read_in_batches() {
    let world = World::new();
    for order in 1..=5 {
        world.place(order, "a@b");
    }
    let mut from = "beginning".to_owned();
    let mut found = Vec::new();
    loop {
        let target = format!("/events/order?from={from}&limit=2");
        let answer = read(&world, ADMIN, &target);
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.header("content-type"), Some("application/cloudevents-batch+json"));
        let batch: Vec<Value> = serde_json::from_str(&answer.body).expect("a batch");
        let Some(last) = batch.last() else { break };
        from = last["position"].as_str().expect("a position").to_owned();
        found.extend(batch.iter().map(|event| event["data"]["orderId"].as_u64().expect("an id")));
        assert_eq!(last["specversion"], "1.0");
    }
    assert_eq!(found, [1, 2, 3, 4, 5]);
    let all = read(&world, ADMIN, "/events/order");
    assert_eq!(all.json().as_array().map(Vec::len), Some(5));
}

#[test]
fn who_may_not_and_what_is_wrong_is_refused() {
    let world = World::new();
    let order = world.place(1, "a@b");
    assert_eq!(get(world.address, "/events/order", &[]).status, 401);
    assert_eq!(read(&world, CUSTOMER, "/events/order").status, 403);
    assert_eq!(read(&world, CUSTOMER, "/events/nothing").status, 403);
    for (target, status) in [
        ("/events/nothing", 404),
        ("/events/NO", 404),
        ("/events", 404),
        ("/events/order?limit=0", 400),
        ("/events/order?limit=1", 200),
        ("/events/order?limit=1000", 200),
        ("/events/order?limit=1001", 400),
        ("/events/order?from=nonsense", 400),
        ("/events/order?from=t1.account", 400),
        ("/events/order?from=t1.order", 200),
        ("/events/order?from=f1.order", 400),
    ] {
        assert_eq!(read(&world, ADMIN, target).status, status, "{target}");
    }
    let refused = read(&world, ADMIN, &format!("/events/order?from={order}&limit=x"));
    let errors = refused.json()["errors"].as_array().expect("errors").clone();
    let mut fields: Vec<_> = errors.iter().filter_map(|error| error["field"].as_str()).collect();
    fields.sort_unstable();
    assert_eq!(fields, ["from", "limit"]);
}
