//! Orders and deliveries: how they are read, changed and repeated, and at which price.

use super::*;

#[test]
fn an_order_is_whole_wherever_it_is_read() {
    let (who, product) = (MALL.customer(), MALL.product(10, "cancel"));
    let placed = MALL.order(&who, product, 2);
    let members = [
        "id",
        "productId",
        "productName",
        "quantity",
        "price",
        "customerId",
        "customerName",
        "customerAddr",
        "state",
        "reason",
    ];
    MALL.await_order(placed.id, "OrderPlaced");
    let read =
        MALL.get(&format!("/orders/{}", placed.id)).bearer(&who.token).send().expect(200).value();
    let listed = MALL.get("/orders").bearer(&who.token).send().embedded("orders").remove(0);
    for member in members {
        assert!(placed.body.get(member).is_some(), "created without {member}: {}", placed.body);
        assert_eq!(read[member], listed[member], "{member}");
        if member != "state" {
            assert_eq!(read[member], placed.body[member], "{member}");
        }
    }
    assert_eq!(read["price"], 10_000);
    assert_eq!(read["customerName"], "Someone");
}

#[test]
fn an_order_can_be_cancelled_and_changed_in_no_other_way() {
    let (who, product) = (MALL.customer(), MALL.product(10, "cancel"));
    let placed = MALL.delivered(&who, product, 2);
    let path = format!("/orders/{}", placed.id);
    let patch = |body: Value| MALL.call("PATCH", &path).bearer(&who.token).json(&body).send();
    let refuse_all = || {
        let before = MALL.order_now(placed.id);
        for body in [
            json!({"quantity": 10}),
            json!({"quantity": 2}),
            json!({"price": 1}),
            json!({"productId": 1}),
            json!({"productName": "X"}),
            json!({"customerId": "2@uengine.org"}),
            json!({"customerName": "X"}),
            json!({"customerAddr": "X"}),
            json!({"state": "OrderPlaced"}),
            json!({"state": "PENDING"}),
            json!({"state": "nonsense"}),
            json!({"state": "OrderCancelled", "quantity": 1}),
            json!({"state": "OrderCancelled", "customerAddr": "X"}),
        ] {
            let detail = patch(body.clone()).problem(409)["detail"].clone();
            assert!(detail.as_str().is_some_and(|text| !text.is_empty()), "{body}: no reason");
        }
        for body in [json!({}), json!({"unheard": 1})] {
            patch(body).problem(400);
        }
        assert_eq!(MALL.order_now(placed.id), before, "nothing changed");
    };
    refuse_all();
    let answer = patch(json!({"state": "OrderCancelled", "unheard": 1})).expect(200);
    assert_eq!(answer.value()["state"], "OrderCancelled");
    assert_eq!(answer.value()["id"], placed.id);
    answer.must("yeoul-position");
    refuse_all();
    MALL.call("PATCH", &path).bearer(&who.token).content("text/plain", "x").send().problem(415);
    MALL.call("PATCH", &path)
        .bearer(&who.token)
        .content("application/json", "[]")
        .send()
        .problem(400);
}

#[test]
fn a_delivery_goes_from_started_to_completed_to_returned() {
    let (who, product) = (MALL.customer(), MALL.product(10, "cancel"));
    let placed = MALL.delivered(&who, product, 2);
    let delivery = MALL.delivery_of(placed.id).expect("a delivery");
    for (member, value) in [
        ("orderId", json!(placed.id)),
        ("quantity", json!(2)),
        ("productId", json!(product)),
        ("customerId", json!(who.id)),
        ("customerName", json!("Someone")),
        ("deliveryAddress", json!("Somewhere 1")),
        ("deliveryState", json!("DeliveryStarted")),
    ] {
        assert_eq!(delivery[member], value, "{member}");
    }
    let path = format!("/deliveries/{}", delivery["deliveryId"]);
    let patch = |body: Value| as_admin("PATCH", &path).json(&body).send();
    for bad in [
        json!({"deliveryState": "Nonsense"}),
        json!({"deliveryState": 1}),
        json!({}),
        json!({"deliveryState": null}),
    ] {
        patch(bad).problem(400);
    }
    let step = |state: &str| patch(json!({"deliveryState": state}));
    step("DeliveryReturned").problem(409);
    let done = step("DeliveryCompleted").expect(200);
    assert_eq!(done.value()["deliveryState"], "DeliveryCompleted");
    done.must("yeoul-position");
    step("DeliveryCompleted").expect(200);
    step("DeliveryCancelled").problem(409);
    step("DeliveryStarted").problem(409);
    step("DeliveryReturned").expect(200);
    step("DeliveryReturned").expect(200);
    step("DeliveryCompleted").problem(409);
    MALL.settle();
    assert_eq!(
        kinds(&MALL.events_about("delivery", placed.id)),
        ["DeliveryStarted", "DeliveryCompleted", "DeliveryReturned"],
        "the same step again publishes nothing"
    );
    assert_eq!(MALL.stock(product), 10);
    as_admin("PATCH", "/deliveries/99999999")
        .json(&json!({"deliveryState": "DeliveryCompleted"}))
        .send()
        .problem(404);
}

#[test]
fn an_order_keeps_the_price_it_was_made_at() {
    let (who, product) = (MALL.customer(), MALL.product_at(10_000, 10, "cancel"));
    let placed = MALL.order(&who, product, 1);
    let path = format!("/products/{product}");
    as_admin("PATCH", &path).json(&json!({"price": 99_000})).send().expect(200);
    eventually_is("the replica's price", &json!(99_000), || {
        MALL.at("order", "GET", &path).send().value()["price"].clone()
    });
    assert_eq!(MALL.order_now(placed.id)["price"], 10_000);
    assert_eq!(MALL.order(&who, product, 1).body["price"], 99_000);
}

#[test]
fn the_same_key_and_body_is_the_same_order() {
    let (who, other) = (MALL.customer(), MALL.customer());
    let product = MALL.product(100, "cancel");
    let body = json!({"productId": product, "quantity": 2});
    let send = |who, key: &str, body: &Value| {
        MALL.ordering(who, body).header("idempotency-key", key).send()
    };
    let first = send(&who, "key-1", &body).expect(201);
    let again = send(&who, "key-1", &body).expect(201);
    assert_eq!(first.value(), again.value(), "the first answer again");
    assert_eq!(first.must("location"), again.must("location"));
    assert_eq!(first.must("yeoul-position"), again.must("yeoul-position"));
    send(&who, "key-1", &json!({"productId": product, "quantity": 3})).problem(422);
    assert_ne!(Placed::of(&send(&who, "key-2", &body)).id, Placed::of(&first).id);
    assert_ne!(
        Placed::of(&send(&other, "key-1", &body)).id,
        Placed::of(&first).id,
        "per principal"
    );

    // Only what was done is remembered: a refusal is not.
    send(&who, "key-3", &json!({"productId": product, "quantity": 0})).problem(400);
    send(&who, "key-3", &json!({"productId": 999_999, "quantity": 1})).problem(404);
    send(&who, "key-3", &body).expect(201);
    send(&who, &"k".repeat(255), &body).expect(201);
    send(&who, &"k".repeat(256), &body).problem(400);
    assert_eq!(MALL.get("/orders").bearer(&who.token).send().embedded("orders").len(), 4);
    MALL.await_stock(product, 90);
}

#[test]
fn calls_that_meet_under_one_key_make_one_order() {
    let mall = Mall::fresh();
    let (who, product) = (mall.customer(), mall.product(100, "reject"));
    mall.fault("product", &json!({"path": "/product/*", "delay_ms": [300, 300]}));
    let body = json!({"productId": product, "quantity": 2});
    let send = || mall.ordering(&who, &body).header("idempotency-key", "meet").send();
    let answers: Vec<_> = std::thread::scope(|scope| {
        let calls: Vec<_> = (0..6).map(|_| scope.spawn(send)).collect();
        calls.into_iter().map(|call| call.join().expect("a caller")).collect()
    });
    let done: Vec<u64> = answers
        .iter()
        .filter(|answer| answer.status == 201)
        .map(|answer| Placed::of(answer).id)
        .collect();
    assert!(!done.is_empty() && done.iter().all(|id| *id == done[0]), "{done:?}");
    let meanwhile: Vec<_> = answers.iter().filter(|answer| answer.status != 201).collect();
    assert!(!meanwhile.is_empty(), "nobody met");
    for answer in meanwhile {
        answer.problem(409);
    }
    assert_eq!(Placed::of(&send()).id, done[0]);
    mall.mend("product");
    mall.settle();
    assert_eq!(mall.stock(product), 98);
}

#[test]
fn an_order_at_another_price_than_the_one_expected_is_a_409_with_both() {
    let (who, product) = (MALL.customer(), MALL.product_at(7_000, 10, "cancel"));
    let order = |expected: Value| {
        let body = json!({"productId": product, "quantity": 2, "expectedPrice": expected});
        MALL.ordering(&who, &body).header("idempotency-key", unique("k")).send()
    };
    for expected in [json!(6_999), json!("7001"), json!(14_000), json!(0)] {
        let errors = order(expected.clone()).problem(409)["errors"].clone();
        assert_eq!(errors[0]["field"], "expectedPrice");
        let text = errors.to_string();
        let expected = expected.to_string().replace('"', "");
        assert!(text.contains("7000") && text.contains(&expected), "both: {text}");
    }
    for wrong in [json!(-1), json!("x"), json!(1.5), json!(true)] {
        order(wrong).refuses_field("expectedPrice");
    }
    assert_eq!(MALL.get("/orders").bearer(&who.token).send().embedded("orders").len(), 0);
    assert_eq!(order(json!("7000")).expect(201).value()["price"], 7_000);
}
