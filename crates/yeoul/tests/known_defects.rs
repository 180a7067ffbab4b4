//! The known defects of the curriculum's own code, each as a test: never here.

#[path = "support/lib.rs"]
mod support;

use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use support::{Customer, Done, Mall, eventually, eventually_is, kinds, within};

static MALL: LazyLock<Mall> = LazyLock::new(Mall::fresh);

fn deliver_again(mall: &Mall, subscription: &str) {
    mall.rewind(subscription);
    mall.await_caught_up();
}

/// "Stock 110 after an out-of-stock cancellation."
#[test]
fn a_cancellation_for_want_of_stock_gives_nothing_back() {
    let (who, product) = (MALL.customer(), MALL.product(10, "cancel"));
    let placed = MALL.order(&who, product, 100);
    MALL.await_order(placed.id, "OrderCancelled");
    MALL.settle();
    assert_eq!(MALL.stock(product), 10);
    MALL.cancel(&who, placed.id).expect(200);
    MALL.settle();
    assert_eq!(MALL.stock(product), 10, "cancelled by hand as well");
}

/// "A second cancel refunds twice."
#[test]
fn a_second_cancellation_gives_nothing_more_back() {
    let (who, product) = (MALL.customer(), MALL.product(10, "cancel"));
    let placed = MALL.delivered(&who, product, 3);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| MALL.cancel(&who, placed.id).expect(200));
        }
    });
    MALL.settle();
    assert_eq!(MALL.stock(product), 10);
    assert_eq!(
        kinds(&MALL.events_about("product", placed.id)),
        ["StockDecreased", "StockIncreased"]
    );
}

/// "The cancel handler wipes delivery state from my page."
#[test]
fn a_cancellation_leaves_the_rest_of_the_row_alone() {
    let (who, product) = (MALL.customer(), MALL.product(10, "cancel"));
    let placed = MALL.delivered(&who, product, 3);
    MALL.await_row(&who, placed.id, ("OrderPlaced", Some("DeliveryStarted")));
    let before = MALL.row(&who, placed.id).expect("a row");
    MALL.cancel(&who, placed.id).expect(200);
    MALL.await_row(&who, placed.id, ("OrderCancelled", Some("DeliveryCancelled")));
    let mut after = MALL.row(&who, placed.id).expect("a row");
    after["orderState"] = before["orderState"].clone();
    after["deliveryState"] = before["deliveryState"].clone();
    // When that was.
    for at in ["cancelledAt", "stoppedAt"] {
        assert!(after[at].is_string() && before[at].is_null(), "{at}");
        after[at] = before[at].clone();
    }
    assert_eq!(after, before);
}

/// "Handlers swallow exceptions and lose events."
#[test]
fn a_handler_that_fails_now_and_then_loses_nothing() {
    let mall = Mall::fresh();
    let (who, product) = (mall.customer(), mall.product(1000, "cancel"));
    for service in ["product", "order", "delivery"] {
        let on = match service {
            "order" => "StockDecreased",
            "product" => "OrderPlaced",
            _ => "OrderConfirmed",
        };
        mall.fault(service, &json!({"on": on, "fail_rate": 0.3}));
    }
    let orders: Vec<u64> = (0..30).map(|_| mall.order(&who, product, 1).id).collect();
    let delivered = || orders.iter().filter(|order| mall.delivery_of(**order).is_some()).count();
    // Each order is either through or waiting to be redriven; none is neither.
    within(6 * support::SOON, "each is through or given up", || {
        let dead = mall.dead().len();
        (delivered() + dead == orders.len()).then_some(())
    });
    for service in ["product", "order", "delivery"] {
        mall.mend(service);
    }
    for letter in mall.dead() {
        mall.redrive(letter["id"].as_str().expect("an id")).expect(202);
    }
    eventually_is("all are delivered", &orders.len(), delivered);
    assert_eq!(mall.stock(product), 970);
    assert_eq!(mall.dead(), Vec::<Value>::new());
}

/// "DeliveryStarted before OrderPlaced is lost or crashes."
#[test]
fn a_delivery_heard_of_before_its_order_is_on_my_page_once_both_are_known() {
    let mall = Mall::fresh();
    let (who, product) = (mall.customer(), mall.product(10, "cancel"));
    let fault = json!({"on": "OrderPlaced", "match": {"customerId": who.id}, "fail_rate": 1});
    mall.fault("mypage", &fault);
    let placed = mall.order(&who, product, 3);
    eventually("the delivery starts", || mall.delivery_of(placed.id));
    let letter = eventually("OrderPlaced is given up", || {
        mall.dead().into_iter().find(|letter| letter["subscription"] == "mypage.order")
    });
    assert_eq!(mall.row(&who, placed.id), None, "half a row is not shown");
    let waiting = mall.get(&format!("/mypages/{}", who.id)).bearer(&who.token);
    waiting.header("yeoul-position", &placed.position).send().refusal(504);
    mall.mend("mypage");
    mall.redrive(letter["id"].as_str().expect("an id")).expect(202);
    mall.await_row(&who, placed.id, ("OrderPlaced", Some("DeliveryStarted")));
    let row = mall.row(&who, placed.id).expect("a row");
    assert_eq!((&row["quantity"], &row["payment"]), (&json!(3), &json!(30_000)));
    mall.await_mileage(&who, 3_000);
}

/// "A redelivered event counts twice."
#[test]
fn an_order_delivered_again_is_taken_and_counted_once() {
    let mall = Mall::fresh();
    let (who, product) = (mall.customer(), mall.product(100, "cancel"));
    let placed = mall.delivered(&who, product, 10);
    mall.await_mileage(&who, 10_000);
    for subscription in
        ["product.order", "delivery.order", "order.product", "mypage.order", "mypage.delivery"]
    {
        deliver_again(&mall, subscription);
    }
    mall.settle();
    assert_eq!(mall.stock(product), 90);
    assert_eq!(mall.deliveries_of(placed.id).len(), 1);
    assert_eq!(mall.page(&who)["mileage"], 10_000);
    assert_eq!(mall.page(&who)["orders"].as_array().map(Vec::len), Some(1));
}

/// "A redelivery after compensation runs again (the idempotency key was deleted)."
#[test]
fn an_order_delivered_again_after_its_cancellation_takes_nothing() {
    let mall = Mall::fresh();
    let (who, product) = (mall.customer(), mall.product(100, "cancel"));
    let placed = mall.delivered(&who, product, 10);
    mall.cancel(&who, placed.id).expect(200);
    mall.await_stock(product, 100);
    for subscription in ["product.order", "delivery.order", "product.order"] {
        deliver_again(&mall, subscription);
    }
    mall.settle();
    assert_eq!(mall.stock(product), 100);
    mall.await_delivery(placed.id, "DeliveryCancelled");
    assert_eq!(mall.deliveries_of(placed.id).len(), 1);
    assert_eq!(
        kinds(&mall.events_about("product", placed.id)),
        ["StockDecreased", "StockIncreased"]
    );
}

/// "Mileage of a cancelled order added instead of taken back."
#[test]
fn the_mileage_of_a_cancelled_order_is_taken_back() {
    let (who, product) = (MALL.customer(), MALL.product_at(40_000, 10, "cancel"));
    let kept = MALL.order(&who, product, 1);
    MALL.await_mileage(&who, 4_000);
    let undone = MALL.order(&who, product, 1);
    MALL.await_mileage(&who, 8_000);
    MALL.cancel(&who, undone.id).expect(200);
    MALL.await_mileage(&who, 4_000);
    MALL.cancel(&who, kept.id).expect(200);
    MALL.await_mileage(&who, 0);
}

/// "Events published before the commit they report."
#[test]
fn what_an_event_reports_is_there_when_the_event_is() {
    let (who, product) = (MALL.customer(), MALL.product(1000, "cancel"));
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let _done = Done(&over);
            for _ in 0..50 {
                MALL.order(&who, product, 1);
            }
        });
        scope.spawn(|| watch(&who, product, &over));
    });
}

/// Reads the order topic as it grows: each event's order must be there, and as far as it says.
fn watch(who: &Customer, product: u64, over: &AtomicBool) {
    let mut from = "beginning".to_owned();
    let mut seen = 0;
    loop {
        let last_look = over.load(Ordering::SeqCst);
        let batch = MALL.batch("order", &format!("?from={from}&limit=1000")).expect(200).value();
        let events = batch.as_array().expect("a batch");
        for event in events {
            if event["data"]["customerId"] != who.id.as_str() {
                continue;
            }
            let id = event["data"]["orderId"].as_u64().expect("an order");
            let order =
                MALL.at("order", "GET", &format!("/orders/{id}")).send().expect(200).value();
            if event["type"] == "OrderConfirmed" {
                assert_eq!(order["state"], "OrderPlaced");
                assert!(MALL.stock(product) < 1000);
            }
            seen += 1;
        }
        match events.last() {
            Some(event) => from = event["position"].as_str().expect("a position").to_owned(),
            None if last_look => break,
            None => {}
        }
    }
    assert!(seen >= 50, "{seen} events seen");
}
