//! The known defects of the curriculum's own code, as far as they are the services': never here.

use mall::Name;
use serde_json::json;

use crate::support::{CUSTOMER, Mall};

#[test]
fn an_out_of_stock_cancellation_leaves_the_stock_as_it_was() {
    let mall = Mall::start();
    let order = mall.order(1, 100);
    mall.settle();
    assert_eq!(mall.state(order), "OrderCancelled");
    assert_eq!(mall.kinds(Name::Order, order), ["OrderPlaced", "OrderCancelled"]);
    let answer = mall.get(Name::Order, &format!("/orders/{order}")).send();
    assert_eq!(answer.body["reason"], "out of stock");
    assert_eq!((mall.stock(1), mall.stock_at(Name::Order, 1)), (10, 10));
    assert_eq!(mall.delivery_of(order), None);

    mall.cancel(order).is(200);
    mall.deliver_everything_again();
    assert_eq!(mall.stock(1), 10);
}

#[test]
fn a_second_cancel_refunds_nothing() {
    let mall = Mall::start();
    let order = mall.order(1, 3);
    mall.settle();
    assert_eq!((mall.state(order).as_str(), mall.stock(1)), ("OrderPlaced", 7));

    let first = mall.cancel(order).is(200);
    mall.settle();
    let second = mall.cancel(order).is(200);
    assert_eq!(first.body, second.body);
    mall.delete(Name::Order, &format!("/orders/{order}")).send().is(204);
    mall.settle();
    assert_eq!((mall.stock(1), mall.stock_at(Name::Order, 1)), (10, 10));
    assert_eq!(mall.kinds(Name::Order, order).len(), 3);
}

#[test]
fn a_failing_handler_loses_no_event_and_holds_up_no_other_order() {
    let mall = Mall::start();
    let fault = json!({"on": "OrderPlaced", "match": {"customerId": "c9"}, "fail_rate": 1});
    mall.faults.put(Name::Product, &fault).expect("a fault");
    let body = json!({"productId": 1, "quantity": 2, "customerId": "c9"});
    let poisoned = mall.post(Name::Order, "/orders", &body).send().is(201).body["id"].as_u64();
    let poisoned = poisoned.expect("an id");
    mall.cancel(poisoned).is(200);
    let served = mall.order(1, 3);

    let control = mall.control("product.order");
    mall.until("three attempts were made", || {
        !mall.wait(control.dead(10)).expect("it can be read").is_empty()
    });
    mall.settle();
    let dead = mall.wait(control.dead(10)).expect("it can be read");
    assert_eq!((dead.len(), dead[0].attempts, dead[0].waiting), (1, 3, 1));
    assert_eq!((dead[0].kind.as_str(), &dead[0].key), ("OrderPlaced", &poisoned.to_string()));
    assert_eq!((mall.state(served).as_str(), mall.stock(1)), ("OrderPlaced", 7));

    mall.faults.clear(Name::Product);
    assert!(mall.wait(control.redrive(&dead[0].id)).expect("it can be written"));
    mall.until("what waited is done", || {
        mall.kinds(Name::Product, poisoned).iter().any(|kind| kind == "StockIncreased")
    });
    assert!(mall.wait(control.dead(10)).expect("it can be read").is_empty());
    assert_eq!(mall.stock(1), 7);
}

#[test]
fn a_redelivered_event_counts_once() {
    let mall = Mall::start();
    let orders: Vec<u64> = (0..4).map(|_| mall.order(1, 2)).collect();
    mall.settle();
    let events =
        Name::ALL.map(|name| if name == Name::Mypage { 0 } else { mall.events(name).len() });
    for _ in 0..2 {
        mall.deliver_everything_again();
        assert_eq!((mall.stock(1), mall.stock_at(Name::Order, 1)), (2, 2));
        assert!(orders.iter().all(|order| mall.state(*order) == "OrderPlaced"));
        let now =
            Name::ALL.map(|name| if name == Name::Mypage { 0 } else { mall.events(name).len() });
        assert_eq!(now, events);
    }
    let deliveries = mall.get(Name::Delivery, "/deliveries").send().body;
    assert_eq!(deliveries["page"]["totalElements"], 4);
}

#[test]
fn a_redelivery_after_compensation_does_not_run_again() {
    let mall = Mall::start();
    let order = mall.order(1, 4);
    mall.settle();
    mall.cancel(order).is(200);
    mall.settle();
    mall.deliver_everything_again();
    let mall = mall.restart();
    mall.deliver_everything_again();
    assert_eq!((mall.state(order).as_str(), mall.stock(1)), ("OrderCancelled", 10));
    assert_eq!(mall.delivery_of(order).expect("kept")["deliveryState"], "DeliveryCancelled");
}

#[test]
fn no_event_is_published_before_the_commit_it_reports_or_without_one() {
    let mall = Mall::start();
    let refused = json!({"productId": 4, "quantity": 41, "customerId": CUSTOMER});
    mall.post(Name::Order, "/orders", &refused).send().is(409);
    mall.settle();
    assert!(mall.events(Name::Order).is_empty());

    // Whoever sees the event sees what it reports.
    for _ in 0..10 {
        let before = mall.events(Name::Order).len();
        mall.order(4, 1);
        mall.until("an event is on the topic", || mall.events(Name::Order).len() > before);
        for event in mall.events(Name::Order) {
            mall.get(Name::Order, &format!("/orders/{}", event.subject)).send().is(200);
        }
    }
}

#[test]
fn what_was_committed_before_a_crash_is_published_after_it_once() {
    let mall = Mall::start();
    mall.faults.put(Name::Order, &json!({"relay": "off"})).expect("a fault");
    let order = mall.order(1, 1);
    assert_eq!(mall.state(order), "PENDING");
    assert!(mall.events(Name::Order).is_empty());

    let mall = mall.restart();
    mall.settle();
    assert_eq!(mall.kinds(Name::Order, order), ["OrderPlaced", "OrderConfirmed"]);
    assert_eq!((mall.state(order).as_str(), mall.stock(1)), ("OrderPlaced", 9));
}

#[test]
fn a_cancellation_that_overtakes_the_confirmation_leaves_no_delivery() {
    let mall = Mall::start();
    mall.stop(Name::Delivery);
    let order = mall.order(1, 2);
    mall.until("the order is placed", || mall.state(order) == "OrderPlaced");
    mall.cancel(order).is(200);
    mall.until("its stock is back", || mall.stock(1) == 10);
    mall.resume(Name::Delivery);
    mall.settle();
    let delivery = mall.delivery_of(order).expect("started and called back");
    assert_eq!(delivery["deliveryState"], "DeliveryCancelled");

    // Cancelled while PENDING: the confirmation never comes, and a tombstone is all there is.
    mall.stop(Name::Product);
    let order = mall.order(1, 2);
    mall.cancel(order).is(200);
    mall.resume(Name::Product);
    mall.settle();
    assert_eq!(mall.delivery_of(order), None);
    assert!(mall.kinds(Name::Delivery, order).is_empty());
    assert_eq!((mall.state(order).as_str(), mall.stock(1)), ("OrderCancelled", 10));
}
