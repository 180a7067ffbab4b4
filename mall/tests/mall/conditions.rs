//! Conditional requests: what has changed is not overwritten, what the client has is not sent again.

use std::sync::atomic::{AtomicUsize, Ordering};

use mall::Name;
use serde_json::{Value, json};

use crate::support::{ADMIN, Answer, CUSTOMER, Mall, OTHER};

/// Tags that are not the present one, and what a write under them is answered.
const FALSE: [(&str, &str, u16); 6] = [
    ("if-match", "\"nope\"", 412),
    ("if-match", "\"nope\", W/\"other\"", 412),
    ("if-none-match", "*", 412),
    ("if-match", "nope", 400),
    ("if-match", "*, \"x\"", 400),
    ("if-none-match", "nope", 400),
];

fn etag(answer: &Answer) -> String {
    let etag = answer.header("etag");
    assert!(etag.starts_with('"') && etag.ends_with('"') && etag.len() > 2, "strong: {etag}");
    etag.to_owned()
}

/// A delivered order of product 1: orders 1, deliveries 1, products 1.
fn mall_with_an_order() -> Mall {
    let mall = Mall::start();
    mall.order(1, 1);
    mall.settle();
    mall
}

const ROWS: [(Name, &str); 6] = [
    (Name::Product, "/products/1"),
    (Name::Product, "/product/1"),
    (Name::Product, "/inventories/1"),
    (Name::Order, "/orders/1"),
    (Name::Order, "/products/1"),
    (Name::Delivery, "/deliveries/1"),
];

#[test]
fn a_row_that_the_client_has_is_not_sent_again() {
    let mall = mall_with_an_order();
    for (name, path) in ROWS {
        let get = |header: &str, value: &str| mall.get(name, path).header(header, value).send();
        let whole = mall.get(name, path).send().is(200);
        let etag = etag(&whole);
        assert_eq!(mall.get(name, path).send().header("etag"), etag, "{path}: steady");
        let weak = format!("W/{etag}");
        for known in ["*", &etag, &weak, &format!("\"a\", {weak}"), &format!("\"a,b\",{etag}")] {
            let again = get("if-none-match", known).is(304);
            assert_eq!((again.text.as_str(), again.header("etag")), ("", etag.as_str()), "{known}");
            let head = mall.ask(name, "HEAD", path).header("if-none-match", known).send();
            assert_eq!(head.is(304).header("etag"), etag);
        }
        assert_eq!(get("if-none-match", "\"a\"").is(200).text, whole.text);
        assert_eq!(mall.ask(name, "HEAD", path).send().is(200).header("etag"), etag);
        get("if-match", &etag).is(200);
        get("if-match", "*").is(200);
        get("if-match", &weak).is(412);
        for malformed in ["nope", "\"a", "W/a", "*, *"] {
            for header in ["if-match", "if-none-match"] {
                get(header, malformed).is(400);
            }
        }
        // What is not there is not there, whatever is asked of it.
        let nowhere = path.replace('1', "99");
        mall.get(name, &nowhere).header("if-none-match", "*").send().is(404);
        mall.get(name, &nowhere).header("if-match", "\"a\"").send().is(404);
    }
}

#[test]
fn a_products_tag_follows_its_versions_and_guards_every_change() {
    let mall = Mall::start();
    let path = "/products/2";
    let lamp = json!({"name": "LAMP", "price": 1, "stock": 1});
    let count = |mall: &Mall| mall.events(Name::Product).len();
    let before = mall.get(Name::Product, path).send().is(200);
    for (header, value, status) in FALSE {
        for path in [path, "/inventories/2"] {
            let ask = |method: &str, path: &str| {
                mall.ask(Name::Product, method, path).header(header, value).by(ADMIN)
            };
            ask("PATCH", path).json(&json!({"stock": 7})).send().is(status);
            ask("PUT", path).json(&lamp).send().is(status);
            ask("DELETE", path).send().is(status);
            let arrived = json!({"quantity": 1});
            ask("POST", &format!("{path}/restock")).json(&arrived).send().is(status);
        }
        let post = mall.post(Name::Product, "/products", &lamp).header(header, value).by(ADMIN);
        post.send().is(status);
    }
    mall.settle();
    assert_eq!((mall.get(Name::Product, path).send().body, count(&mall)), (before.body.clone(), 5));

    let first = etag(&before);
    let patch = |etag: &str, body: &Value| {
        mall.patch(Name::Product, path, body).header("if-match", etag).by(ADMIN).send()
    };
    let changed = patch(&first, &json!({"stock": 7})).is(200);
    let second = etag(&changed);
    assert_ne!(first, second);
    patch(&first, &json!({"stock": 8})).is(412);
    assert_eq!(etag(&mall.get(Name::Product, path).send()), second);
    // Nothing changes: the tag stays.
    assert_eq!(etag(&patch(&second, &json!({"stock": 7})).is(200)), second);
    assert_eq!(etag(&patch("*", &json!({"stock": 7})).is(200)), second);
    let several = format!("\"a\", {first}, {second}");
    let third = etag(&patch(&several, &json!({"stock": 6})).is(200));
    let put = mall.ask(Name::Product, "PUT", path).header("if-none-match", &second).json(&lamp);
    let fourth = etag(&put.by(ADMIN).send().is(200));
    assert!(fourth != third && fourth != second);
    // A taken piece is another version too.
    mall.order(2, 1);
    mall.settle();
    let delete = |etag: &str| mall.delete(Name::Product, path).header("if-match", etag).by(ADMIN);
    delete(&fourth).send().is(412);
    let fifth = etag(&mall.get(Name::Product, path).send());
    delete(&fifth).send().is(204);
    delete(&fifth).send().is(404);
    patch("\"nope\"", &json!({"stock": 1})).is(404);
}

#[test]
fn a_condition_is_looked_at_behind_a_replay_and_404_and_before_409_and_422() {
    let mall = Mall::start();
    let order = json!({"productId": 1, "quantity": 1});
    let post = |body: &Value, key: &str, tags: &str| {
        let ask = mall.post(Name::Order, "/orders", body).header("if-match", tags);
        if key.is_empty() { ask.send() } else { ask.header("idempotency-key", key).send() }
    };
    // A collection is there; it has no tag.
    let first = post(&order, "k", "*").is(201);
    let again = post(&order, "k", "\"nope\"").is(201);
    assert_eq!((again.text.as_str(), again.header("etag")), (first.text.as_str(), &*etag(&first)));
    let other = json!({"productId": 1, "quantity": 2});
    post(&other, "k", "\"nope\"").is(412);
    post(&other, "k", "*").is(422);
    post(&json!({"productId": 99, "quantity": 1}), "", "\"nope\"").is(404);
    // TABLE is asked for first: it has 40.
    post(&json!({"productId": 4, "quantity": 41}), "", "\"nope\"").is(412);
    post(&json!({"productId": 4, "quantity": 41}), "", "*").is(409);
    post(&json!({"productId": 1, "quantity": 0}), "", "\"nope\"").is(400);
    post(&order, "another", "\"nope\"").is(412);
    // What was refused is not remembered.
    post(&order, "another", "*").is(201);

    let patch = |body: Value, by: &str, tags: &str| {
        mall.patch(Name::Order, "/orders/1", &body).by(by).header("if-match", tags).send()
    };
    patch(json!({"quantity": 2}), ADMIN, "\"nope\"").is(412);
    patch(json!({"quantity": 2}), ADMIN, "*").is(409);
    patch(json!({"state": "OrderCancelled"}), OTHER, "\"nope\"").is(404);
    patch(json!({}), ADMIN, "\"nope\"").is(400);

    let restock = |path: &str, quantity: u64, tags: &str| {
        let body = json!({ "quantity": quantity });
        let ask = mall.post(Name::Product, path, &body).header("idempotency-key", "r");
        ask.header("if-match", tags).by(ADMIN).send()
    };
    let tag = etag(&mall.get(Name::Product, "/products/3").send());
    let done = restock("/products/3/restock", 5, &tag).is(200);
    let again = restock("/products/3/restock", 5, &tag).is(200);
    assert_eq!((&again.body, etag(&again)), (&done.body, etag(&done)));
    restock("/products/3/restock", 6, &tag).is(412);
    restock("/products/3/restock", 6, "*").is(422);
    restock("/products/99/restock", 6, "\"nope\"").is(404);
}

#[test]
fn an_orders_tag_follows_its_events_and_guards_its_end() {
    let mall = Mall::start();
    let made = mall.post(
        Name::Order,
        "/orders",
        &json!({"productId": 1, "quantity": 1, "customerId": CUSTOMER}),
    );
    let pending = etag(&made.send().is(201));
    mall.settle();
    let get = || mall.get(Name::Order, "/orders/1").send().is(200);
    let placed = etag(&get());
    assert_ne!(pending, placed, "confirmed in between");
    let cancel = json!({"state": "OrderCancelled"});
    for (header, value, status) in FALSE.into_iter().chain([("if-match", pending.as_str(), 412)]) {
        let patch = mall.patch(Name::Order, "/orders/1", &cancel).header(header, value);
        patch.by(CUSTOMER).send().is(status);
        mall.delete(Name::Order, "/orders/1").header(header, value).by(CUSTOMER).send().is(status);
    }
    mall.settle();
    assert_eq!(mall.kinds(Name::Order, 1), ["OrderPlaced", "OrderConfirmed"]);
    assert_eq!(etag(&get()), placed);

    let patch = mall.patch(Name::Order, "/orders/1", &cancel).header("if-match", &placed);
    let cancelled = etag(&patch.by(CUSTOMER).send().is(200));
    assert_eq!(etag(&get()), cancelled);
    let delete = mall.delete(Name::Order, "/orders/1").header("if-match", &cancelled);
    assert_eq!(etag(&delete.by(CUSTOMER).send().is(204)), cancelled, "ended already");
}

#[test]
fn a_deliverys_tag_follows_its_states_and_guards_them() {
    let mall = mall_with_an_order();
    let path = "/deliveries/1";
    let started = etag(&mall.get(Name::Delivery, path).send().is(200));
    let patch = |state: &str, header: &str, value: &str| {
        let body = json!({ "deliveryState": state });
        mall.patch(Name::Delivery, path, &body).header(header, value).by(ADMIN).send()
    };
    for (header, value, status) in FALSE {
        patch("DeliveryCompleted", header, value).is(status);
        // Before the 409.
        patch("DeliveryReturned", header, value).is(status);
    }
    mall.settle();
    assert_eq!(mall.kinds(Name::Delivery, 1), ["DeliveryStarted"]);
    let completed = etag(&patch("DeliveryCompleted", "if-match", &started).is(200));
    assert_ne!(started, completed);
    patch("DeliveryReturned", "if-match", &started).is(412);
    let body = json!({"deliveryState": "DeliveryReturned"});
    let nowhere = mall.patch(Name::Delivery, "/deliveries/9", &body).header("if-match", &started);
    nowhere.by(ADMIN).send().is(404);
    let again = etag(&patch("DeliveryCompleted", "if-match", &completed).is(200));
    assert_eq!(again, completed);
}

#[test]
fn of_many_that_change_one_state_one_does() {
    const WRITERS: usize = 8;
    const ROUNDS: u64 = 5;
    let mall = Mall::start();
    let address = mall.endpoint(Name::Product).address();
    let token = mall.token(ADMIN, mall::Role::OrderAdmin);
    for round in 0..ROUNDS {
        let tag = etag(&mall.get(Name::Product, "/products/1").send());
        let (done, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for writer in 0..WRITERS {
                let (tag, token, done, refused) = (&tag, &token, &done, &refused);
                scope.spawn(move || {
                    let price = 100 + round * 100 + writer as u64;
                    let agent: ureq::Agent = ureq::Agent::config_builder()
                        .http_status_as_error(false)
                        .proxy(None)
                        .build()
                        .into();
                    let request = http::Request::patch(format!("http://{address}/products/1"))
                        .header("authorization", format!("Bearer {token}"))
                        .header("content-type", "application/json")
                        .header("if-match", tag)
                        .body(json!({ "price": price }).to_string())
                        .expect("a request");
                    match agent.run(request).expect("an answer").status().as_u16() {
                        200 => done.fetch_add(1, Ordering::Relaxed),
                        412 => refused.fetch_add(1, Ordering::Relaxed),
                        other => panic!("status {other}"),
                    };
                });
            }
        });
        let seen = (done.into_inner(), refused.into_inner());
        assert_eq!(seen, (1, WRITERS - 1), "round {round}");
    }
}
