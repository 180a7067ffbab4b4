//! Compensation: an order undone, an event delivered twice, a handler that fails, a process that
//! dies between commit and publish; the books balance after each.
//!
//! The scenarios C1 to C17 as far as they concern one machine. Tests that count what is on a topic
//! or switch something off have a mall of their own.

#[path = "support/lib.rs"]
mod support;

use std::sync::LazyLock;
use std::time::Duration;

use serde_json::{Value, json};
use support::{Customer, Mall, Placed, SOON, eventually, eventually_is, kinds, now, stays, within};

static MALL: LazyLock<Mall> = LazyLock::new(Mall::fresh);

/// Three attempts a second apart: the last comes two seconds after the first.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(2);

/// Delivers every event again to every subscription, and waits until they are through.
fn deliver_everything_again(mall: &Mall) {
    for subscription in mall.subscriptions() {
        let name = subscription["name"].as_str().expect("a name");
        mall.rewind(name);
        within(3 * SOON, "the subscription is through again", || {
            let all = mall.subscriptions();
            let now = all.iter().find(|one| one["name"] == name).expect("it is still there");
            (now["lag"] == 0).then_some(())
        });
    }
    mall.await_caught_up();
}

/// The dead letter about this order, once there is one.
fn given_up(mall: &Mall, order: u64) -> Value {
    let key = json!(order.to_string());
    eventually("the event is given up", || {
        mall.dead().into_iter().find(|letter| letter["key"] == key)
    })
}

fn spoil(mall: &Mall, service: &str, event: &str, who: &Customer) {
    let fault = json!({"on": event, "match": {"customerId": who.id}, "fail_rate": 1});
    mall.fault(service, &fault);
}

#[test]
fn an_order_of_ten_takes_ten() {
    let (who, product) = (MALL.customer(), MALL.product(1000, "cancel"));
    let placed = MALL.order(&who, product, 10);
    MALL.await_order(placed.id, "OrderPlaced");
    MALL.await_stock(product, 990);
}

#[test]
fn an_event_delivered_again_changes_nothing() {
    let mall = Mall::fresh();
    let (who, product) = (mall.customer(), mall.product(1000, "cancel"));
    let kept = mall.delivered(&who, product, 10);
    let undone = mall.delivered(&who, product, 20);
    mall.cancel(&who, undone.id).expect(200);
    let returned = mall.delivered(&who, product, 30);
    mall.move_delivery(returned.id, "DeliveryCompleted").expect(200);
    mall.move_delivery(returned.id, "DeliveryReturned").expect(200);
    let refused = mall.order(&who, product, 1000);
    mall.await_order(refused.id, "OrderCancelled");
    mall.settle();
    mall.await_mileage(&who, 10_000);

    let look = || {
        let orders = [&kept, &undone, &returned, &refused].map(|placed| mall.order_now(placed.id));
        let deliveries = [&kept, &undone, &returned].map(|placed| mall.deliveries_of(placed.id));
        let page = mall.page(&who);
        (
            orders,
            deliveries,
            page["orders"].clone(),
            page["mileage"].clone(),
            mall.stock(product),
            mall.totals(),
        )
    };
    let before = look();
    assert_eq!(before.4, 990);
    for _ in 0..2 {
        deliver_everything_again(&mall);
        assert_eq!(look(), before);
    }
    mall.settle();
    assert_eq!(mall.stock(product), 990);
    assert_eq!(mall.dead(), Vec::<Value>::new());
}

#[test]
fn cancelling_twice_is_the_same_as_once() {
    let (who, product) = (MALL.customer(), MALL.product(10, "cancel"));
    let placed = MALL.delivered(&who, product, 4);
    let path = format!("/orders/{}", placed.id);
    MALL.cancel(&who, placed.id).expect(200);
    let answer = MALL.cancel(&who, placed.id).expect(200);
    assert_eq!(answer.value()["state"], "OrderCancelled");
    assert!(!answer.must("yeoul-position").is_empty(), "a write that changed nothing has one too");
    MALL.call("DELETE", &path).bearer(&who.token).send().expect(204);
    MALL.settle();
    assert_eq!(MALL.stock(product), 10);
    assert_eq!(
        kinds(&MALL.events_of("order", placed.id)),
        ["OrderPlaced", "OrderConfirmed", "OrderCancelled"]
    );
    assert_eq!(
        kinds(&MALL.events_about("product", placed.id)),
        ["StockDecreased", "StockIncreased"]
    );
    assert_eq!(
        kinds(&MALL.events_about("delivery", placed.id)),
        ["DeliveryStarted", "DeliveryCancelled"]
    );
}

#[test]
fn deleting_an_order_keeps_it_as_cancelled() {
    let (who, product) = (MALL.customer(), MALL.product(10, "cancel"));
    let placed = MALL.delivered(&who, product, 4);
    let path = format!("/orders/{}", placed.id);
    let answer = MALL.call("DELETE", &path).bearer(&who.token).send().expect(204);
    assert!(!answer.must("yeoul-position").is_empty());
    assert_eq!(
        MALL.get(&path).bearer(&who.token).send().expect(200).value()["state"],
        "OrderCancelled"
    );
    MALL.call("DELETE", &path).bearer(&who.token).send().expect(204);
    MALL.await_delivery(placed.id, "DeliveryCancelled");
    MALL.await_stock(product, 10);
}

#[test]
fn an_order_cancelled_before_product_has_seen_it_takes_nothing_in_the_end() {
    let mall = Mall::fresh();
    let (who, product) = (mall.customer(), mall.product(10, "cancel"));
    mall.settle();
    mall.stop("product");
    let placed = mall.order(&who, product, 4);
    mall.cancel(&who, placed.id).expect(200);
    assert_eq!(mall.order_now(placed.id)["state"], "OrderCancelled");
    mall.start("product");
    mall.settle();
    assert_eq!(mall.stock(product), 10);
    assert_eq!(mall.order_now(placed.id)["state"], "OrderCancelled");
    assert_eq!(mall.deliveries_of(placed.id), Vec::<Value>::new());
    assert_eq!(kinds(&mall.events_of("order", placed.id)), ["OrderPlaced", "OrderCancelled"]);
}

#[test]
fn an_order_cancelled_before_delivery_has_seen_it_is_never_delivered() {
    let mall = Mall::fresh();
    let (who, product) = (mall.customer(), mall.product(10, "cancel"));
    mall.settle();
    mall.stop("delivery");
    let placed = mall.order(&who, product, 4);
    mall.await_order(placed.id, "OrderPlaced");
    mall.cancel(&who, placed.id).expect(200);
    mall.await_stock(product, 10);
    mall.start("delivery");
    mall.settle();
    let shipped = mall.deliveries_of(placed.id);
    let states: Vec<&Value> = shipped.iter().map(|delivery| &delivery["deliveryState"]).collect();
    assert!(states.iter().all(|state| **state == "DeliveryCancelled"), "{shipped:?}");
    assert_eq!(mall.stock(product), 10);
}

#[test]
fn a_completed_delivery_cannot_be_cancelled_but_returned_once() {
    let (who, product) = (MALL.customer(), MALL.product(10, "cancel"));
    let placed = MALL.delivered(&who, product, 4);
    MALL.await_mileage(&who, 4_000);
    MALL.move_delivery(placed.id, "DeliveryReturned").problem(409);
    MALL.move_delivery(placed.id, "DeliveryCompleted").expect(200);
    MALL.move_delivery(placed.id, "DeliveryCompleted").expect(200);
    MALL.await_row(&who, placed.id, ("OrderPlaced", Some("DeliveryCompleted")));
    eventually("order has heard of it", || {
        (MALL.cancel(&who, placed.id).status == 409).then_some(())
    });
    let path = format!("/orders/{}", placed.id);
    MALL.call("DELETE", &path).bearer(&who.token).send().problem(409);
    assert_eq!(MALL.order_now(placed.id)["state"], "OrderPlaced");
    assert_eq!(MALL.stock(product), 6);

    MALL.move_delivery(placed.id, "DeliveryReturned").expect(200);
    MALL.move_delivery(placed.id, "DeliveryReturned").expect(200);
    MALL.move_delivery(placed.id, "DeliveryCompleted").problem(409);
    MALL.await_row(&who, placed.id, ("OrderPlaced", Some("DeliveryReturned")));
    MALL.settle();
    assert_eq!(MALL.stock(product), 10);
    MALL.await_mileage(&who, 0);
    MALL.cancel(&who, placed.id).problem(409);
    MALL.settle();
    assert_eq!(MALL.stock(product), 10);
    assert_eq!(MALL.order_now(placed.id)["state"], "OrderPlaced");
    assert_eq!(
        kinds(&MALL.events_about("delivery", placed.id)),
        ["DeliveryStarted", "DeliveryCompleted", "DeliveryReturned"]
    );
}

#[test]
fn a_cancellation_that_crosses_a_completed_delivery_gives_stock_back_once() {
    let mall = Mall::fresh();
    let (who, product) = (mall.customer(), mall.product(10, "cancel"));
    let placed = mall.delivered(&who, product, 4);
    mall.settle();
    // Neither hears of the other's step until both have been made.
    mall.fault("delivery", &json!({"relay": "off"}));
    mall.fault("order", &json!({"relay": "off"}));
    mall.move_delivery(placed.id, "DeliveryCompleted").expect(200);
    mall.cancel(&who, placed.id).expect(200);
    mall.move_delivery(placed.id, "DeliveryReturned").expect(200);
    mall.mend("delivery");
    mall.mend("order");
    mall.settle();
    assert_eq!(mall.stock(product), 10, "cancelled and returned, given back once");
    assert_eq!(mall.order_now(placed.id)["state"], "OrderCancelled");
    mall.await_delivery(placed.id, "DeliveryReturned");
    mall.await_mileage(&who, 0);
}

#[test]
fn a_handler_that_fails_for_one_order_holds_up_no_other() {
    let mall = Mall::fresh();
    let (poisoned, healthy) = (mall.customer(), mall.customer());
    let product = mall.product(100, "cancel");
    mall.settle();
    spoil(&mall, "product", "OrderPlaced", &poisoned);
    let start = now();
    let stuck = mall.order(&poisoned, product, 1);
    for _ in 0..10 {
        let placed = mall.order(&healthy, product, 1);
        mall.await_order(placed.id, "OrderPlaced");
    }
    mall.cancel(&poisoned, stuck.id).expect(200);

    let letter = given_up(&mall, stuck.id);
    assert!(
        start.elapsed() >= GIVEN_UP_AFTER,
        "three attempts a second apart: {:?}",
        start.elapsed()
    );
    assert_eq!(letter["subscription"], "product.order");
    assert_eq!(letter["topic"], "order");
    assert_eq!(letter["type"], "OrderPlaced");
    assert_eq!(letter["attempts"], 3);
    assert!(letter["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{letter}");
    assert!(letter["since"].as_str().is_some_and(|since| since.contains('T')), "{letter}");
    eventually_is("its later events wait behind it", &json!(1), || {
        given_up(&mall, stuck.id)["waiting"].clone()
    });
    assert_eq!(mall.dead().len(), 1);
    assert_eq!(mall.stock(product), 90);
    assert_eq!(mall.events_about("product", stuck.id), Vec::<Value>::new());

    mall.mend("product");
    stays("only a redrive tries again", Duration::from_millis(300), &1, || mall.dead().len());
    mall.redrive("nosuch.letter.1").problem(404);
    mall.redrive(letter["id"].as_str().expect("an id")).expect(202);
    eventually_is("dead letters", &0, || mall.dead().len());
    mall.settle();
    assert_eq!(
        kinds(&mall.events_about("product", stuck.id)),
        ["StockDecreased", "StockIncreased"],
        "applied once, in order"
    );
    assert_eq!(mall.stock(product), 90);
    assert_eq!(mall.deliveries_of(stuck.id), Vec::<Value>::new());
}

#[test]
fn a_redriven_order_is_served_and_one_still_failing_is_given_up_again() {
    let mall = Mall::fresh();
    let (who, product) = (mall.customer(), mall.product(100, "cancel"));
    mall.settle();
    spoil(&mall, "delivery", "OrderConfirmed", &who);
    let placed = mall.order(&who, product, 5);
    let letter = given_up(&mall, placed.id);
    assert_eq!(letter["subscription"], "delivery.order");
    let id = letter["id"].as_str().expect("an id").to_owned();

    mall.redrive(&id).expect(202);
    let given_up_now =
        || mall.dead().into_iter().find(|one| one["id"] == letter["id"] && one["attempts"] == 3);
    eventually("it is tried again", || given_up_now().is_none().then_some(()));
    let again = eventually("it is given up again", given_up_now);
    assert_eq!(again["id"], letter["id"]);
    mall.mend("delivery");
    mall.redrive(&id).expect(202);
    mall.await_delivery(placed.id, "DeliveryStarted");
    eventually_is("dead letters", &0, || mall.dead().len());
    assert_eq!(mall.stock(product), 95);
}

#[test]
fn a_fault_of_the_same_kind_replaces_and_another_kind_joins() {
    let mall = Mall::fresh();
    let (first, second) = (mall.customer(), mall.customer());
    let product = mall.product(100, "cancel");
    spoil(&mall, "product", "OrderPlaced", &first);
    spoil(&mall, "product", "OrderPlaced", &second);
    mall.fault("product", &json!({"path": "/products/*", "fail_rate": 1}));
    let served = mall.order(&first, product, 1);
    let spoilt = mall.order(&second, product, 1);
    mall.await_order(served.id, "OrderPlaced");
    mall.get(&format!("/products/{product}")).send().expect(500);
    let letter = given_up(&mall, spoilt.id);
    mall.mend("product");
    mall.redrive(letter["id"].as_str().expect("an id")).expect(202);
    mall.await_order(spoilt.id, "OrderPlaced");
}

#[test]
fn what_was_committed_before_a_kill_is_published_once_after_it() {
    let Some(mall) = Mall::owned(&["--faults"]) else { return };
    let (who, product) = (mall.customer(), mall.product(100, "cancel"));
    let before = mall.delivered(&who, product, 1);
    mall.settle();
    mall.fault("order", &json!({"relay": "off"}));
    let silent = mall.order(&who, product, 10);
    let key = "once-and-for-all";
    let body = json!({"productId": product, "quantity": 20});
    let keyed = Placed::of(&mall.ordering(&who, &body).header("idempotency-key", key).send());
    stays("nothing is published", Duration::from_millis(200), &0, || {
        mall.events_of("order", silent.id).len()
    });

    let mall = Mall::on(mall.kill(), &["--faults"]);
    let placed = [(before, 1), (silent, 10), (keyed.clone(), 20)];
    for (order, quantity) in &placed {
        mall.await_order(order.id, "OrderPlaced");
        mall.await_row(&who, order.id, ("OrderPlaced", Some("DeliveryStarted")));
        assert_eq!(mall.order_now(order.id)["quantity"], *quantity);
    }
    let again = Placed::of(&mall.ordering(&who, &body).header("idempotency-key", key).send());
    assert_eq!(again.id, keyed.id, "an answer is remembered over a kill");
    mall.settle();
    for (order, _) in &placed {
        assert_eq!(kinds(&mall.events_of("order", order.id)), ["OrderPlaced", "OrderConfirmed"]);
        assert_eq!(kinds(&mall.events_about("product", order.id)), ["StockDecreased"]);
        assert_eq!(kinds(&mall.events_about("delivery", order.id)), ["DeliveryStarted"]);
    }
    assert_eq!(mall.stock(product), 100 - 31);
}

#[test]
fn every_service_publishes_after_a_kill_what_it_had_committed() {
    for service in ["product", "delivery"] {
        let Some(mall) = Mall::owned(&["--faults"]) else { return };
        let (who, product) = (mall.customer(), mall.product(100, "cancel"));
        mall.settle();
        mall.fault(service, &json!({"relay": "off"}));
        let placed = mall.order(&who, product, 10);
        if service == "product" {
            eventually_is("stock is taken in silence", &90, || mall.stock(product));
            assert_eq!(mall.order_now(placed.id)["state"], "PENDING");
        } else {
            eventually("the delivery is there in silence", || mall.delivery_of(placed.id));
        }
        let mall = Mall::on(mall.kill(), &["--faults"]);
        mall.await_row(&who, placed.id, ("OrderPlaced", Some("DeliveryStarted")));
        mall.settle();
        assert_eq!(mall.stock(product), 90, "{service}");
        let (topic, kind) = match service {
            "product" => ("product", "StockDecreased"),
            _ => ("delivery", "DeliveryStarted"),
        };
        assert_eq!(kinds(&mall.events_about(topic, placed.id)), [kind]);
    }
}
