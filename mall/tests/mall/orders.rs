//! Orders: taken, refused, found, cancelled.

use std::io::Write;

use mall::Name;
use serde_json::{Value, json};

use crate::support::{ADMIN, CUSTOMER, Mall, OTHER};

#[test]
fn an_order_is_taken_at_once_and_placed_once_its_stock_is_taken() {
    let mall = Mall::start();
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let body = json!({
        "productId": "3", "qty": "4", "customerId": CUSTOMER, "customerName": "유엔진",
        "customerAddr": "서울시", "price": 1, "productName": "free", "state": "OrderPlaced",
    });
    let answer =
        mall.post(Name::Order, "/orders", &body).header("traceparent", trace).send().is(201);
    assert_eq!(
        answer.body,
        json!({
            "id": 1, "productId": 3, "productName": "NOTEBOOK", "quantity": 4, "price": 30000,
            "customerId": CUSTOMER, "customerName": "유엔진", "customerAddr": "서울시",
            "state": "PENDING", "reason": null,
        })
    );
    assert_eq!(
        (answer.header("location"), answer.header("yeoul-position")),
        ("/orders/1", "w1.order.1")
    );

    mall.settle();
    assert_eq!(mall.state(1), "OrderPlaced");
    assert_eq!((mall.stock(3), mall.stock_at(Name::Order, 3)), (26, 26));
    let delivery = mall.delivery_of(1).expect("started");
    assert_eq!(delivery["deliveryAddress"], "서울시");
    for (topic, kinds) in [
        (Name::Order, vec!["OrderPlaced", "OrderConfirmed"]),
        (Name::Product, vec!["StockDecreased"]),
        (Name::Delivery, vec!["DeliveryStarted"]),
    ] {
        let events = mall.events(topic).into_iter().filter(|it| it.kind != "ProductChanged");
        let mut seen = Vec::new();
        for (place, event) in (1..).zip(events) {
            assert_eq!((event.source.as_str(), event.subject.as_str()), (topic.as_str(), "1"));
            assert_eq!(event.key, event.subject);
            if topic != Name::Product {
                assert_eq!(event.sequence, place);
            }
            let correlation = event.cause.correlation_id.as_deref();
            assert_eq!(correlation, Some("0af7651916cd43dd8448eb211c80319c"));
            assert_eq!(event.cause.causation_id.is_none(), event.kind == "OrderPlaced");
            seen.push(event.kind);
        }
        assert_eq!(seen, kinds);
    }
}

#[test]
fn a_subjects_events_are_counted_without_a_gap() {
    let mall = Mall::start();
    // An order and a product with the same id are one subject to whoever reads the topic.
    let order = mall.order(1, 3);
    mall.settle();
    mall.cancel(order).is(200);
    mall.settle();
    for topic in [Name::Order, Name::Product, Name::Delivery, Name::Account] {
        let mut counts = std::collections::BTreeMap::new();
        for event in mall.events(topic) {
            let count = counts.entry(event.subject).or_insert(0);
            *count += 1;
            assert_eq!(event.sequence, *count, "{topic} {}", event.kind);
        }
    }
}

#[test]
fn bad_input_is_refused_field_by_field_and_changes_nothing() {
    let mall = Mall::start();
    let cases = [
        (json!({}), 400, vec!["productId", "quantity"]),
        (json!({"productId": 1}), 400, vec!["quantity"]),
        (json!({"productId": null, "quantity": 1}), 400, vec!["productId"]),
        (json!({"productId": 0, "quantity": 1}), 400, vec!["productId"]),
        (json!({"productId": "1x", "quantity": 1}), 400, vec!["productId"]),
        (json!({"productId": 1, "quantity": 0}), 400, vec!["quantity"]),
        (json!({"productId": 1, "quantity": -1}), 400, vec!["quantity"]),
        (json!({"productId": 1, "quantity": 1001}), 400, vec!["quantity"]),
        (json!({"productId": 1, "quantity": "x"}), 400, vec!["quantity"]),
        (json!({"productId": 1, "quantity": 1.5}), 400, vec!["quantity"]),
        (json!({"productId": 1, "qty": 1001}), 400, vec!["quantity"]),
        (json!({"productId": 1, "quantity": 2, "qty": 3}), 400, vec!["quantity"]),
        (json!({"productId": 1, "quantity": 1, "customerName": 5}), 400, vec!["customerName"]),
        (
            json!({"productId": 1, "quantity": 1, "customerAddr": "a".repeat(501)}),
            400,
            vec!["customerAddr"],
        ),
        (json!({"productId": 99, "quantity": 1}), 404, vec![]),
        (json!({"productId": i64::MAX, "quantity": 1}), 404, vec![]),
        (json!({"productId": u64::MAX, "quantity": 1}), 400, vec!["productId"]),
        (json!([1]), 400, vec![]),
    ];
    for (body, status, fields) in cases {
        let answer = mall.post(Name::Order, "/orders", &body).send().is(status);
        assert_eq!(answer.fields(), fields, "{body}");
        assert_eq!(answer.header("content-type"), "application/problem+json");
    }
    let post = || mall.ask(Name::Order, "POST", "/orders");
    post().text("application/json", "{").send().is(400);
    post().text("text/plain", "{}").send().is(415);
    post().send().is(415);
    post().text("application/json", &" ".repeat((1 << 20) + 1)).send().is(413);
    post().text("application/json", &" ".repeat(1 << 20)).send().is(400);
    mall.settle();
    assert!(mall.events(Name::Order).is_empty());
    let list = mall.get(Name::Order, "/orders").send().is(200);
    assert_eq!(list.body["page"]["totalElements"], 0);
    for (quantity, qty) in
        [(json!(1000), json!(null)), (json!(null), json!("1")), (json!(7), json!("7"))]
    {
        let body = json!({"productId": 1, "quantity": quantity, "qty": qty});
        let answer = mall.post(Name::Order, "/orders", &body).send().is(201);
        assert_eq!(answer.body["customerId"], "");
    }
}

#[test]
fn an_order_is_refused_where_its_price_is_not_the_one_expected() {
    let mall = Mall::start();
    let post = |product: u64, expected: Value, key: &str| {
        let body = json!({"productId": product, "quantity": 2, "expectedPrice": expected});
        let ask = mall.post(Name::Order, "/orders", &body);
        if key.is_empty() { ask.send() } else { ask.header("idempotency-key", key).send() }
    };
    // TABLE is asked for first, TV is not.
    for (product, price) in [(1, 10_000), (4, 40_000)] {
        for expected in
            [json!(price - 1), json!((price + 1).to_string()), json!(0), json!(i64::MAX)]
        {
            let refused = post(product, expected.clone(), "").is(409);
            assert_eq!(refused.header("content-type"), "application/problem+json");
            let error = &refused.body["errors"][0];
            assert_eq!(
                (&error["field"], &error["limit"]),
                (&json!("expectedPrice"), &json!(price))
            );
            let expected = expected.as_str().map_or_else(|| expected.to_string(), str::to_owned);
            let reason = error["reason"].as_str().expect("a reason");
            assert!(reason.contains(&expected) && reason.contains(&price.to_string()), "{reason}");
        }
        for wrong in
            [json!(-1), json!(1.5), json!("x"), json!("1.0"), json!(""), json!([]), json!(u64::MAX)]
        {
            assert_eq!(post(product, wrong, "").is(400).fields(), ["expectedPrice"]);
        }
    }
    mall.settle();
    assert!(mall.events(Name::Order).is_empty(), "nothing was stored");
    assert_eq!(post(1, json!(10_000), "").is(201).body["price"], 10_000);
    assert_eq!(post(4, json!("40000"), "").is(201).body["price"], 40_000);
    post(1, Value::Null, "").is(201);

    // A refusal is not remembered; what was taken is given again at any price.
    post(1, json!(9_000), "k").is(409);
    mall.patch(Name::Product, "/products/1", &json!({"price": 9000})).by(ADMIN).send().is(200);
    mall.settle();
    let taken = post(1, json!(9_000), "k").is(201);
    assert_eq!(taken.body["price"], 9_000);
    mall.patch(Name::Product, "/products/1", &json!({"price": 9001})).by(ADMIN).send().is(200);
    mall.settle();
    let again = post(1, json!(9_000), "k").is(201);
    assert_eq!(
        (&again.body, again.header("yeoul-position")),
        (&taken.body, taken.header("yeoul-position"))
    );
    post(1, json!(9_001), "k").is(422);
    post(99, json!(1), "").is(404);
}

#[test]
fn an_order_can_be_cancelled_and_nothing_else() {
    let mall = Mall::start();
    let order = mall.order(1, 3);
    mall.settle();
    let path = format!("/orders/{order}");
    let patch = |body: &Value| mall.patch(Name::Order, &path, body).send();
    for (body, status) in [
        (json!({}), 400),
        (json!({"colour": "red"}), 400),
        (json!({"state": null}), 400),
        (json!({"quantity": 10}), 409),
        (json!({"price": 1}), 409),
        (json!({"state": "OrderPlaced"}), 409),
        (json!({"state": "Nonsense"}), 409),
        (json!({"state": 5}), 409),
        (json!({"state": "OrderCancelled", "quantity": 3}), 409),
    ] {
        patch(&body).is(status);
    }
    assert_eq!((mall.state(order).as_str(), mall.stock(1)), ("OrderPlaced", 7));
    patch(&json!({"state": "OrderCancelled", "colour": "red"})).is(200);
    patch(&json!({"quantity": 10})).is(409);
    mall.settle();
    let answer = mall.get(Name::Order, &path).send().is(200);
    assert_eq!(
        (&answer.body["state"], &answer.body["reason"]),
        (&json!("OrderCancelled"), &Value::Null)
    );

    let order = mall.order(2, 1);
    let deleted = mall.delete(Name::Order, &format!("/orders/{order}")).send().is(204);
    assert!(deleted.header("yeoul-position").starts_with('w'));
    assert_eq!(mall.state(order), "OrderCancelled");
    for path in ["/orders/0", "/orders/99", "/orders/x", "/orders/18446744073709551615"] {
        mall.get(Name::Order, path).send().is(404);
        mall.delete(Name::Order, path).send().is(404);
        mall.patch(Name::Order, path, &json!({"state": "OrderCancelled"})).send().is(404);
    }
}

#[test]
fn a_delivered_order_is_not_cancelled_any_more() {
    let mall = Mall::start();
    for state in ["DeliveryCompleted", "DeliveryReturned"] {
        let order = mall.order(1, 1);
        mall.settle();
        mall.deliver(order, "DeliveryCompleted").is(200);
        if state == "DeliveryReturned" {
            mall.deliver(order, state).is(200);
        }
        mall.settle();
        mall.cancel(order).is(409);
        mall.delete(Name::Order, &format!("/orders/{order}")).send().is(409);
        assert_eq!(mall.state(order), "OrderPlaced");
    }
    assert_eq!(mall.stock(1), 9);
}

#[test]
fn a_cancellation_that_crosses_the_delivery_gives_the_stock_back_once() {
    let mall = Mall::start();
    let order = mall.order(1, 2);
    mall.settle();
    // Order does not hear of the delivery, delivery not of the cancellation, until both have happened.
    mall.faults.put(Name::Delivery, &json!({"relay": "off"})).expect("a fault");
    let deaf = json!({"on": "OrderCancelled"});
    mall.faults.put(Name::Delivery, &deaf).expect("a fault");
    mall.deliver(order, "DeliveryCompleted").is(200);
    mall.deliver(order, "DeliveryReturned").is(200);
    mall.cancel(order).is(200);
    let control = mall.control("delivery.order");
    mall.until("it is a dead letter", || {
        !mall.wait(control.dead(1)).expect("it can be read").is_empty()
    });
    mall.faults.clear(Name::Delivery);
    let dead = mall.wait(control.dead(1)).expect("it can be read");
    assert!(mall.wait(control.redrive(&dead[0].id)).expect("it can be written"));
    mall.until("nothing is parked", || mall.wait(control.parked()).expect("it can be read") == 0);
    mall.settle();
    assert_eq!((mall.state(order).as_str(), mall.stock(1)), ("OrderCancelled", 10));
    assert_eq!(mall.delivery_of(order).expect("kept")["deliveryState"], "DeliveryReturned");
}

#[test]
fn a_product_with_the_policy_reject_is_asked_for_its_stock_first() {
    let mall = Mall::start();
    let body =
        |quantity: u64| json!({"productId": 4, "quantity": quantity, "customerId": CUSTOMER});
    let refused = mall.post(Name::Order, "/orders", &body(41)).send().is(409);
    assert_eq!(refused.fields(), ["quantity"]);
    mall.post(Name::Order, "/orders", &body(40)).send().is(201);
    mall.settle();
    assert_eq!(mall.stock(4), 0);
    mall.post(Name::Order, "/orders", &body(1)).send().is(409);

    mall.stop(Name::Product);
    let answer = mall.post(Name::Order, "/orders", &body(1)).send().is(503);
    assert!(answer.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds >= 1));
    assert!(answer.header("proxy-status").starts_with("yeoul; error="));
    // A product that leaves it to the events is ordered all the same, and served later.
    let order = mall.order(1, 3);
    assert_eq!(mall.state(order), "PENDING");
    mall.resume(Name::Product);
    mall.settle();
    assert_eq!((mall.state(order).as_str(), mall.stock(1)), ("OrderPlaced", 7));
    assert_eq!(mall.get(Name::Order, "/orders").send().body["page"]["totalElements"], 2);
}

#[test]
fn a_client_that_goes_away_during_the_check_leaves_no_order() {
    let mall = Mall::start();
    mall.faults
        .put(Name::Product, &json!({"path": "/product/*", "delay_ms": [200, 200]}))
        .expect("a fault");
    let body = json!({"productId": 4, "quantity": 1}).to_string();
    let request = format!(
        "POST /orders HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         idempotency-key: gone\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let address = mall.endpoint(Name::Order).address();
    let gone: Vec<_> = (0..8)
        .map(|_| {
            let mut client = std::net::TcpStream::connect(address).expect("it listens");
            client.write_all(request.as_bytes()).expect("sent");
            client
        })
        .collect();
    drop(gone);
    let body = json!({"productId": 4, "quantity": 2});
    let order =
        || mall.post(Name::Order, "/orders", &body).header("idempotency-key", "gone").send();
    // Taken would be 422: the key would stand for the other body.
    mall.until("the key is free again", || order().status == 201);
    mall.faults.clear(Name::Product);
    mall.settle();
    let list = mall.get(Name::Order, "/orders").send().is(200).body;
    assert_eq!(list["page"]["totalElements"], 1);
    assert_eq!((&list["_embedded"]["orders"][0]["quantity"], mall.stock(4)), (&json!(2), 38));
}

#[test]
fn two_that_passed_the_check_at_once_do_not_oversell() {
    let mall = Mall::start();
    // Both see a stock of 40: the check reserves nothing.
    mall.faults.put(Name::Order, &json!({"relay": "off"})).expect("a fault");
    let orders = [mall.order(4, 30), mall.order(4, 30)];
    mall.faults.clear(Name::Order);
    mall.settle();
    let mut states = orders.map(|order| mall.state(order));
    states.sort();
    assert_eq!((states, mall.stock(4)), (["OrderCancelled".into(), "OrderPlaced".into()], 10));
}

#[test]
fn a_product_that_the_replica_lacks_is_asked_for() {
    let mall = Mall::start();
    mall.faults.put(Name::Product, &json!({"relay": "off"})).expect("a fault");
    let product = json!({"name": "LAMP", "price": 5000, "stock": 5});
    let id = mall.post(Name::Product, "/products", &product).send().is(201).body["id"].clone();
    mall.get(Name::Order, &format!("/products/{id}")).send().is(404);
    let body = json!({"productId": id, "quantity": 2, "customerId": CUSTOMER});
    let order = mall.post(Name::Order, "/orders", &body).send().is(201);
    assert_eq!((&order.body["productName"], &order.body["price"]), (&json!("LAMP"), &json!(5000)));
    let replica = mall.get(Name::Order, &format!("/products/{id}")).send().is(200);
    assert_eq!(replica.body["name"], "LAMP");

    mall.stop(Name::Product);
    let unknown = json!({"productId": 77, "quantity": 2, "customerId": CUSTOMER});
    mall.post(Name::Order, "/orders", &unknown).send().is(503);
    mall.resume(Name::Product);
    mall.post(Name::Order, "/orders", &unknown).send().is(404);
    mall.faults.clear(Name::Product);
    mall.delete(Name::Product, &format!("/products/{id}")).send().is(204);
    mall.settle();
    mall.post(Name::Order, "/orders", &body).send().is(404);
    mall.get(Name::Order, &format!("/products/{id}")).send().is(404);
}

#[test]
fn an_order_of_a_product_that_is_gone_ends_cancelled() {
    let mall = Mall::start();
    mall.stop(Name::Order);
    mall.resume(Name::Order);
    mall.faults.put(Name::Product, &json!({"relay": "off"})).expect("a fault");
    mall.delete(Name::Product, "/products/2").send().is(204);
    let order = mall.order(2, 1);
    mall.faults.clear(Name::Product);
    mall.settle();
    assert_eq!(mall.state(order), "OrderCancelled");
}

#[test]
fn a_command_with_a_key_is_carried_out_once() {
    let mall = Mall::start();
    let send = |key: &str, quantity: u64, by: Option<&str>| {
        let body = json!({"productId": 1, "quantity": quantity});
        let ask = mall.post(Name::Order, "/orders", &body).header("idempotency-key", key);
        by.map_or_else(
            || mall.post(Name::Order, "/orders", &body).header("idempotency-key", key),
            |by| ask.by(by),
        )
        .send()
    };
    let first = send("k1", 1, Some(CUSTOMER)).is(201);
    let again = send("k1", 1, Some(CUSTOMER)).is(201);
    assert_eq!(first.body, again.body);
    for name in ["location", "yeoul-position", "content-type"] {
        assert_eq!(first.header(name), again.header(name));
    }
    send("k1", 2, Some(CUSTOMER)).is(422);
    assert_ne!(send("k1", 1, Some(OTHER)).is(201).body["id"], first.body["id"]);
    assert_ne!(send("k1", 1, None).is(201).body["id"], first.body["id"]);
    let mall = mall.restart();
    let body = json!({"productId": 1, "quantity": 1});
    let ask = mall.post(Name::Order, "/orders", &body).header("idempotency-key", "k1");
    assert_eq!(ask.by(CUSTOMER).send().is(201).body["id"], first.body["id"]);
    mall.post(Name::Order, "/orders", &body)
        .header("idempotency-key", &"k".repeat(256))
        .send()
        .is(400);
    mall.settle();
    assert_eq!(mall.stock(1), 7);

    // A refusal is not remembered.
    let wrong = json!({"productId": 99, "quantity": 1});
    mall.post(Name::Order, "/orders", &wrong).header("idempotency-key", "k2").send().is(404);
    mall.post(Name::Order, "/orders", &body).header("idempotency-key", "k2").send().is(201);
}

#[test]
fn one_key_used_at_once_by_many_makes_one_order() {
    let mall = Mall::start();
    let body = json!({"productId": 4, "quantity": 1, "customerId": CUSTOMER});
    let answers: Vec<_> = std::thread::scope(|scope| {
        let send =
            || mall.post(Name::Order, "/orders", &body).header("idempotency-key", "k").send();
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(send)).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    assert!(answers.iter().all(|answer| matches!(answer.status, 201 | 409)));
    assert!(answers.iter().any(|answer| answer.status == 201));
    let made = answers.iter().filter(|answer| answer.status == 201);
    assert!(made.into_iter().all(|answer| answer.body["id"] == 1));
    assert_eq!(mall.get(Name::Order, "/orders").send().body["page"]["totalElements"], 1);
}

#[test]
fn a_token_narrows_orders_to_its_own() {
    let mall = Mall::start();
    let place = |by: &str, body: Value| mall.post(Name::Order, "/orders", &body).by(by).send();
    let mine = place(CUSTOMER, json!({"productId": 1, "quantity": 1})).is(201);
    assert_eq!(mine.body["customerId"], CUSTOMER);
    place(CUSTOMER, json!({"productId": 1, "quantity": 1, "customerId": OTHER})).is(403);
    let others = place(ADMIN, json!({"productId": 1, "quantity": 1, "customerId": OTHER})).is(201);
    let path = format!("/orders/{}", others.body["id"]);

    mall.get(Name::Order, &path).by(CUSTOMER).send().is(404);
    mall.patch(Name::Order, &path, &json!({"state": "OrderCancelled"})).by(CUSTOMER).send().is(404);
    mall.patch(Name::Order, &path, &json!({"quantity": 2})).by(CUSTOMER).send().is(404);
    mall.delete(Name::Order, &path).by(CUSTOMER).send().is(404);
    mall.get(Name::Order, &path).by(OTHER).send().is(200);
    mall.get(Name::Order, &path).by(ADMIN).send().is(200);

    let ids = |ask: crate::support::Ask<'_>| -> Vec<u64> {
        let body = ask.send().is(200).body;
        let orders = body["_embedded"]["orders"].as_array().expect("a list").clone();
        orders.iter().filter_map(|order| order["id"].as_u64()).collect()
    };
    let search = format!("/orders/search/findByCustomerId?customerId={OTHER}");
    assert_eq!(ids(mall.get(Name::Order, "/orders").by(CUSTOMER)), [1]);
    assert_eq!(ids(mall.get(Name::Order, "/orders").by(ADMIN)), [1, 2]);
    assert_eq!(ids(mall.get(Name::Order, "/orders")), [1, 2]);
    assert_eq!(ids(mall.get(Name::Order, "/orders?page=1&size=1")), [2]);
    assert_eq!(ids(mall.get(Name::Order, &search).by(CUSTOMER)), [0; 0]);
    assert_eq!(ids(mall.get(Name::Order, &search).by(OTHER)), [2]);
    assert_eq!(ids(mall.get(Name::Order, &search)), [2]);
    mall.delete(Name::Order, &path).by(ADMIN).send().is(204);
    for (query, field) in [("?size=101", "size"), ("?size=0", "size"), ("?page=x", "page")] {
        let answer = mall.get(Name::Order, &format!("/orders{query}")).send().is(400);
        assert_eq!(answer.fields(), [field]);
    }
}
