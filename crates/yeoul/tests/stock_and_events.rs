//! Stock and events: an order takes stock by way of events, and gives back only what it took.
//!
//! The scenarios A1 to A11: what a user of the curriculum does by hand, at the gateway and at the
//! services' own ports. Outages have a mall of their own; everything else shares one, with products
//! and customers of its own for each test.

#[path = "support/lib.rs"]
mod support;

use std::sync::LazyLock;
use std::time::Duration;

use serde_json::{Value, json};
use support::{Mall, Placed, SOON, data_of, eventually, eventually_is, kinds, raw, stays, timed};

static MALL: LazyLock<Mall> = LazyLock::new(Mall::fresh);

/// What the answer to a slow or absent product may take at most: the guard's 610 ms and 50 ms,
/// the latter tenfold because machines that run tests are noisy.
const REFUSED_BY: Duration = Duration::from_millis(610 + 500);

#[test]
fn an_order_takes_stock_and_its_quantity_is_settled() {
    let (who, product) = (MALL.customer(), MALL.product(10, "cancel"));
    let placed = MALL.order(&who, product, 3);
    assert_eq!(placed.body["state"], "PENDING");
    assert_eq!(placed.body["productId"], product);
    assert_eq!(placed.body["quantity"], 3);
    assert_eq!(placed.body["customerId"], who.id.as_str());
    MALL.await_order(placed.id, "OrderPlaced");
    MALL.await_stock(product, 7);

    let path = format!("/orders/{}", placed.id);
    let found = MALL.get(&path).bearer(&who.token).send().expect(200).value();
    assert_eq!(found["quantity"], 3);
    let refused =
        MALL.call("PATCH", &path).bearer(&who.token).json(&json!({"quantity": 10})).send();
    assert!(!refused.problem(409)["detail"].as_str().unwrap_or_default().is_empty());
    assert_eq!(MALL.order_now(placed.id), found);
    assert_eq!(MALL.stock(product), 7);
}

#[test]
fn the_topic_read_from_the_beginning_shows_the_order() {
    let (who, product) = (MALL.customer(), MALL.product(10, "cancel"));
    let placed = MALL.order(&who, product, 5);
    MALL.await_stock(product, 5);
    MALL.await_order(placed.id, "OrderPlaced");

    let events = eventually("both events are on the topic", || {
        let events = MALL.events_of("order", placed.id);
        (events.len() == 2).then_some(events)
    });
    assert_eq!(kinds(&events), ["OrderPlaced", "OrderConfirmed"]);
    for event in &events {
        for (member, expected) in [
            ("productId", json!(product)),
            ("orderId", json!(placed.id)),
            ("quantity", json!(5)),
            ("price", json!(10_000)),
            ("customerId", json!(who.id)),
            ("customerName", json!("Someone")),
            ("customerAddr", json!("Somewhere 1")),
        ] {
            assert_eq!(event["data"][member], expected, "{member}");
        }
        assert!(event["data"]["productName"].is_string() && event["data"]["imageUrl"].is_string());
    }
}

#[test]
fn every_event_is_a_cloudevent_with_its_place_in_the_story() {
    let (who, product) = (MALL.customer(), MALL.product(10, "cancel"));
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let placed = Placed::of(
        &MALL
            .ordering(&who, &json!({"productId": product, "quantity": 1}))
            .header("traceparent", format!("00-{trace}-00f067aa0ba902b7-01"))
            .send(),
    );
    eventually("the delivery starts", || MALL.delivery_of(placed.id));
    MALL.settle();

    let story: Vec<Value> = ["order", "product", "delivery"]
        .iter()
        .flat_map(|topic| MALL.events_about(topic, placed.id))
        .collect();
    assert_eq!(
        kinds(&story),
        ["OrderPlaced", "OrderConfirmed", "StockDecreased", "DeliveryStarted"]
    );
    let correlation = &story[0]["correlationid"];
    for event in &story {
        assert_eq!(event["specversion"], "1.0");
        assert_eq!(event["datacontenttype"], "application/json");
        assert_eq!(event["partitionkey"], event["subject"]);
        for member in ["id", "source", "time", "position"] {
            assert!(
                event[member].as_str().is_some_and(|text| !text.is_empty()),
                "{member}: {event}"
            );
        }
        assert_eq!(&event["correlationid"], correlation, "one story: {event}");
        let traceparent = event["traceparent"].as_str().unwrap_or_default();
        assert!(traceparent.contains(trace), "the caller's trace goes on: {event}");
    }
    for event in &story[1..] {
        assert!(event["causationid"].is_string(), "has a cause: {event}");
    }
    assert_eq!([number(&story[0]["sequence"]), number(&story[1]["sequence"])], [1, 2]);
    assert!(number(&story[0]["outboxsequence"]) < number(&story[1]["outboxsequence"]));
}

#[test]
fn a_topic_is_read_in_pieces_that_join() {
    let (who, product) = (MALL.customer(), MALL.product(10, "cancel"));
    let placed = MALL.delivered(&who, product, 1);
    let answer = MALL.batch("order", "?from=beginning&limit=1").expect(200);
    assert!(answer.must("content-type").starts_with("application/cloudevents-batch+json"));
    assert_eq!(answer.value().as_array().map(Vec::len), Some(1));
    assert_eq!(
        MALL.batch("order", "").expect(200).value()[0],
        answer.value()[0],
        "absent means beginning"
    );

    let whole = MALL.events("order");
    let mine = |event: &&Value| event["subject"] == placed.id.to_string().as_str();
    let first = whole.iter().find(mine).expect("the order is on the topic");
    let after = format!("?from={}&limit=1", first["position"].as_str().expect("a position"));
    let next = MALL.batch("order", &after).expect(200).value();
    assert_ne!(next[0]["id"], first["id"], "`from` is exclusive");
    let at = whole.iter().position(|event| event["id"] == first["id"]).expect("it is there");
    assert_eq!(next[0], whole[at + 1]);
}

#[test]
fn reading_a_topic_is_refused_for_bad_input_and_for_customers() {
    let who = MALL.customer();
    for limit in ["0", "1001", "-1", "x"] {
        MALL.batch("order", &format!("?limit={limit}")).refuses_field("limit");
    }
    for limit in ["1", "1000"] {
        MALL.batch("order", &format!("?limit={limit}")).expect(200);
    }
    MALL.batch("order", "?from=nonsense").problem(400);
    MALL.batch("nosuchtopic", "").problem(404);
    MALL.get("/events/order").send().problem(401);
    MALL.get("/events/order").bearer(&who.token).send().problem(403);

    let product = MALL.product(10, "cancel");
    let placed = MALL.order(&who, product, 1);
    let of_a_write = format!("?from={}", placed.position);
    MALL.batch("order", &of_a_write).problem(400);
    let page = MALL.page(&who);
    let of_a_page = format!("?from={}", page["position"].as_str().expect("a page's position"));
    MALL.batch("order", &of_a_page).problem(400);
}

#[test]
fn a_replica_follows_stock_down_and_up_and_a_cancellation_ends_the_delivery() {
    let (who, tv) = (MALL.sign_in("1@uengine.org", "1"), 1);
    let before = MALL.stock(tv);
    let placed = MALL.delivered(&who, tv, 1);
    MALL.await_stock(tv, before - 1);
    eventually_is("the replica", &(before - 1), || MALL.replica(tv));

    MALL.cancel(&who, placed.id).expect(200);
    MALL.await_stock(tv, before);
    eventually_is("the replica", &before, || MALL.replica(tv));
    MALL.await_delivery(placed.id, "DeliveryCancelled");
    eventually("DeliveryCancelled is on the topic", || {
        (kinds(&MALL.events_about("delivery", placed.id))
            == ["DeliveryStarted", "DeliveryCancelled"])
        .then_some(())
    });
    MALL.settle();
    assert_eq!(MALL.stock(tv), before, "given back once");
}

#[test]
fn an_order_for_more_than_there_is_ends_cancelled_and_moves_nothing() {
    let (who, product) = (MALL.customer(), MALL.product(10, "cancel"));
    let placed = MALL.order(&who, product, 100);
    MALL.await_order(placed.id, "OrderCancelled");
    MALL.settle();
    assert_eq!(kinds(&MALL.events_of("order", placed.id)), ["OrderPlaced", "OrderCancelled"]);
    let answered = MALL.events_about("product", placed.id);
    assert_eq!(kinds(&answered), ["ProductOutOfStock"]);
    assert_eq!(data_of(&answered[0], "productId"), product);
    assert_eq!(data_of(&answered[0], "quantity"), 100);
    assert_eq!(MALL.deliveries_of(placed.id), Vec::<Value>::new());
    assert_eq!(MALL.events_about("delivery", placed.id), Vec::<Value>::new());
    assert_eq!(MALL.stock(product), 10);
    let reason = MALL.order_now(placed.id)["reason"].clone();
    assert!(reason.as_str().is_some_and(|text| !text.is_empty()), "says why: {reason}");
}

#[test]
fn the_last_piece_is_sold_and_not_one_more() {
    let (who, product) = (MALL.customer(), MALL.product(3, "cancel"));
    let all = MALL.order(&who, product, 3);
    MALL.await_order(all.id, "OrderPlaced");
    assert_eq!(MALL.stock(product), 0);
    let more = MALL.order(&who, product, 1);
    MALL.await_order(more.id, "OrderCancelled");
    assert_eq!(MALL.stock(product), 0);
}

#[test]
fn a_product_that_rejects_refuses_at_once_what_it_cannot_serve() {
    let (who, product) = (MALL.customer(), MALL.product(3, "reject"));
    let body = |quantity: u64| json!({"productId": product, "quantity": quantity});
    MALL.ordering(&who, &body(4)).send().problem(409);
    let placed = Placed::of(&MALL.ordering(&who, &body(3)).send());
    MALL.await_order(placed.id, "OrderPlaced");
    MALL.ordering(&who, &body(1)).send().problem(409);
    let orders = MALL.get("/orders").bearer(&who.token).send().embedded("orders");
    assert_eq!(orders.len(), 1, "what is refused is not stored");
    assert_eq!(MALL.stock(product), 0);
}

#[test]
fn customers_racing_for_the_last_pieces_never_oversell() {
    for policy in ["cancel", "reject"] {
        let product = MALL.product(37, policy);
        let customers: Vec<_> = (0..8).map(|_| MALL.customer()).collect();
        let answers: Vec<(u16, Option<u64>)> = std::thread::scope(|scope| {
            let racing: Vec<_> = customers
                .iter()
                .map(|who| {
                    scope.spawn(move || {
                        (0..10)
                            .map(|_| {
                                let body = json!({"productId": product, "quantity": 1});
                                let answer = MALL.ordering(who, &body).send();
                                (
                                    answer.status,
                                    (answer.status == 201).then(|| Placed::of(&answer).id),
                                )
                            })
                            .collect::<Vec<_>>()
                    })
                })
                .collect();
            racing.into_iter().flat_map(|one| one.join().expect("a racer")).collect()
        });
        assert!(
            answers.iter().all(|(status, _)| [201, 409].contains(status)),
            "{policy}: {answers:?}"
        );
        MALL.settle();
        let states: Vec<Value> = answers
            .iter()
            .filter_map(|(_, order)| *order)
            .map(|order| MALL.order_now(order)["state"].clone())
            .collect();
        let placed = states.iter().filter(|state| **state == "OrderPlaced").count();
        let cancelled = states.iter().filter(|state| **state == "OrderCancelled").count();
        assert_eq!(placed, 37, "{policy}");
        assert_eq!(placed + cancelled, states.len(), "{policy}: everyone is answered");
        assert_eq!(MALL.stock(product), 0, "{policy}");
    }
}

#[test]
fn bad_orders_are_refused_by_field_and_leave_no_trace() {
    let (who, product) = (MALL.customer(), MALL.product(10, "cancel"));
    let quantity = |value: Value| json!({"productId": product, "quantity": value});
    for (body, field) in [
        (json!({"quantity": 1}), "productId"),
        (json!({"productId": null, "quantity": 1}), "productId"),
        (json!({"productId": 0, "quantity": 1}), "productId"),
        (json!({"productId": -1, "quantity": 1}), "productId"),
        (json!({"productId": 1.5, "quantity": 1}), "productId"),
        (json!({"productId": "x", "quantity": 1}), "productId"),
        (json!({"productId": product}), "quantity"),
        (quantity(json!(null)), "quantity"),
        (quantity(json!(0)), "quantity"),
        (quantity(json!(-1)), "quantity"),
        (quantity(json!(1001)), "quantity"),
        (quantity(json!(1.5)), "quantity"),
        (quantity(json!("x")), "quantity"),
        (quantity(json!("")), "quantity"),
        (quantity(json!("1001")), "quantity"),
        (quantity(json!(true)), "quantity"),
        (quantity(json!([1])), "quantity"),
        (json!({"productId": product, "qty": 0}), "quantity"),
        (json!({"productId": product, "qty": 1, "quantity": 2}), "quantity"),
    ] {
        eprintln!("{body}");
        MALL.ordering(&who, &body).send().refuses_field(field);
    }
    MALL.ordering(&who, &json!({"productId": 999_999, "quantity": 1})).send().problem(404);
    let orders = || MALL.call("POST", "/orders").bearer(&who.token);
    orders().content("application/json", "{\"productId\":").send().problem(400);
    orders().content("application/json", "[]").send().problem(400);
    orders().content("application/json", "").send().problem(400);
    orders().content("text/plain", "productId=1").send().problem(415);
    orders()
        .content("application/x-www-form-urlencoded", "productId=1&quantity=1")
        .send()
        .problem(415);

    let bare = format!(
        "POST /orders HTTP/1.1\r\nHost: HOST\r\nAuthorization: Bearer {}\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}",
        who.token
    );
    assert_eq!(
        raw(MALL.base("gateway"), bare.as_bytes()).status,
        415,
        "a body without Content-Type"
    );

    MALL.settle();
    assert_eq!(
        MALL.get("/orders").bearer(&who.token).send().embedded("orders"),
        Vec::<Value>::new()
    );
    let mut published = MALL.events("order");
    published.retain(|event| event["data"]["customerId"] == who.id.as_str());
    assert_eq!(published, Vec::<Value>::new());
    assert_eq!(MALL.stock(product), 10);
}

#[test]
fn a_body_too_long_is_refused_and_the_client_sees_the_answer() {
    let who = MALL.customer();
    let long = json!({"productId": 1, "quantity": 1, "padding": "x".repeat(2 << 20)});
    MALL.ordering(&who, &long).send().problem(413);

    // Told by Content-Length alone: the answer comes before the body is sent.
    let head = |length: usize| {
        format!(
            "POST /orders HTTP/1.1\r\nHost: HOST\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n",
            who.token
        )
    };
    assert_eq!(raw(MALL.base("gateway"), head((1 << 20) + 1).as_bytes()).status, 413);

    // Without a length it has to grow too far first.
    let mut chunked = format!(
        "POST /orders HTTP/1.1\r\nHost: HOST\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
        who.token
    );
    for _ in 0..40 {
        chunked.push_str(&format!("10000\r\n{}\r\n", " ".repeat(0x10000)));
    }
    chunked.push_str("0\r\n\r\n");
    assert_eq!(raw(MALL.base("gateway"), chunked.as_bytes()).status, 413);
}

#[test]
fn a_body_of_one_mebibyte_is_taken_and_one_byte_more_is_not() {
    let (who, product) = (MALL.customer(), MALL.product(10, "cancel"));
    let body = |length: usize| {
        let start = format!("{{\"productId\":{product},\"quantity\":1,\"padding\":\"");
        let padding = "x".repeat(length - start.len() - 2);
        format!("{start}{padding}\"}}")
    };
    let send = |length: usize| {
        let call = MALL.call("POST", "/orders").bearer(&who.token);
        call.content("application/json", body(length)).send()
    };
    send(1 << 20).expect(201);
    send((1 << 20) + 1).problem(413);
}

#[test]
fn quantities_are_taken_up_to_their_limits() {
    let (who, product) = (MALL.customer(), MALL.product(10_000, "cancel"));
    for (body, quantity) in [
        (json!({"productId": product, "quantity": 1}), 1),
        (json!({"productId": product, "quantity": 1000}), 1000),
        (json!({"productId": product.to_string(), "quantity": "2"}), 2),
        (json!({"productId": product, "qty": 3}), 3),
        (json!({"productId": product, "qty": "4", "quantity": 4}), 4),
        (json!({"productId": product, "quantity": 5, "unheard": {"of": 1}}), 5),
    ] {
        let placed = Placed::of(&MALL.ordering(&who, &body).send());
        assert_eq!(placed.body["quantity"], quantity, "{body}");
    }
    MALL.await_stock(product, 10_000 - 1015);
}

#[test]
fn price_and_name_come_from_the_product_whatever_the_client_says() {
    let (who, product) = (MALL.customer(), MALL.product_at(25_000, 10, "cancel"));
    let body = json!({"productId": product, "quantity": 2, "price": 1, "productName": "Cheap", "state": "OrderPlaced", "id": 7});
    let placed = Placed::of(&MALL.ordering(&who, &body).send());
    assert_eq!(placed.body["price"], 25_000);
    assert_ne!(placed.body["productName"], "Cheap");
    assert_eq!(placed.body["state"], "PENDING");
    MALL.await_row(&who, placed.id, ("OrderPlaced", Some("DeliveryStarted")));
    assert_eq!(MALL.row(&who, placed.id).expect("a row")["payment"], 50_000);
}

#[test]
fn without_product_a_rejecting_order_is_refused_and_a_cancelling_one_waits() {
    let mall = Mall::fresh();
    let who = mall.customer();
    let (rejecting, cancelling) = (mall.product(10, "reject"), mall.product(10, "cancel"));
    mall.settle();
    mall.stop("product");
    mall.get(&format!("/products/{cancelling}")).send().refusal(503);

    let refused = json!({"productId": rejecting, "quantity": 1});
    for _ in 0..30 {
        let answer = mall.ordering(&who, &refused).send();
        answer.refusal(503);
        assert!(answer.took < REFUSED_BY, "{:?}", answer.took);
    }
    // By now the circuit is open: the refusal costs nothing.
    let mut took: Vec<Duration> = (0..50)
        .map(|_| {
            let (took, answer) = timed(|| mall.ordering(&who, &refused).send());
            answer.refusal(503);
            took
        })
        .collect();
    took.sort();
    assert!(took[25] < Duration::from_millis(50), "the median refusal took {:?}", took[25]);
    let orders = || mall.get("/orders").bearer(&who.token).send().embedded("orders");
    assert_eq!(orders(), Vec::<Value>::new(), "nothing stored");

    // A refusal passed on is no failure of order: its own route stays closed.
    let waiting = mall.order(&who, cancelling, 2);
    stays("waits for product", Duration::from_millis(300), &json!("PENDING"), || {
        mall.order_now(waiting.id)["state"].clone()
    });
    let unknown = json!({"productId": 999_999, "quantity": 1});
    mall.ordering(&who, &unknown).send().refusal(503);

    mall.start("product");
    mall.await_order(waiting.id, "OrderPlaced");
    assert_eq!(mall.stock(cancelling), 8);
    assert_eq!(orders().len(), 1);
    let mut published = mall.events("order");
    published.retain(|event| event["data"]["productId"] == rejecting);
    assert_eq!(published, Vec::<Value>::new(), "nothing published");
    support::within(2 * SOON, "the circuit closes by itself", || {
        (mall.ordering(&who, &refused).send().status == 201).then_some(())
    });
}

#[test]
fn what_waits_for_a_stopped_service_is_done_when_it_starts_at_the_same_address() {
    let mall = Mall::fresh();
    let (who, product) = (mall.customer(), mall.product(100, "cancel"));
    mall.settle();
    for service in ["product", "delivery"] {
        mall.stop(service);
        mall.stop(service);
    }
    let orders: Vec<_> = (0..10).map(|_| mall.order(&who, product, 1)).collect();
    assert!(mall.at("product", "GET", "/products/1").try_send().is_err(), "its listener is closed");
    mall.start("product");
    mall.start("product");
    mall.at("product", "GET", "/products/1").send().expect(200);
    for order in &orders {
        mall.await_order(order.id, "OrderPlaced");
    }
    mall.start("delivery");
    for order in &orders {
        mall.await_delivery(order.id, "DeliveryStarted");
    }
    assert_eq!(mall.stock(product), 90);
}

fn number(value: &Value) -> u64 {
    let text = value.as_str().and_then(|text| text.parse().ok());
    text.or_else(|| value.as_u64()).unwrap_or_else(|| panic!("no number: {value}"))
}
