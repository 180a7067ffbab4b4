//! An order that is not confirmed in time is rejected, once and for good, whatever is stopped or killed meanwhile (C5).

#[path = "support/lib.rs"]
mod support;

use std::time::Duration;

use support::{Folder, Mall, SOON, kinds, now, overlay, pause, run, text};

const DEADLINE: Duration = Duration::from_secs(2);
/// One that an order is confirmed within, however busy the machine is.
const AMPLE: &str = "10m";

/// A mall whose orders have a deadline.
fn mall(folder: Folder, deadline: &str) -> Mall {
    let settings = format!("mall: {{ order_deadline: {deadline} }}\n");
    let file = overlay(folder.path(), "deadline.yaml", &settings);
    Mall::on(folder, &["--faults", "-c", text(&file)])
}

#[test]
fn an_order_that_product_does_not_answer_in_time_is_rejected_and_takes_nothing() {
    let Some(folder) = Folder::owned() else { return };
    let before = mall(folder, AMPLE);
    let (who, product) = (before.customer(), before.product(10, "cancel"));
    let in_time = before.delivered(&who, product, 1);
    let (code, folder) = before.stop_by("TERM", 2 * SOON);
    assert_eq!(code, 0);
    let mall = mall(folder, "2s");
    mall.stop("product");
    let begun = now();
    let placed = mall.order(&who, product, 4);
    mall.await_order(placed.id, "OrderRejected");
    let took = now() - begun;
    assert!(took > DEADLINE - Duration::from_millis(100), "after {took:?}");
    assert_eq!(mall.order_now(placed.id)["reason"], "not confirmed in time");
    let events = mall.events_of("order", placed.id);
    assert_eq!(kinds(&events), ["OrderPlaced", "DeadlineReached", "OrderRejected"]);
    assert_eq!(events[1]["data"]["orderId"], placed.id);
    assert_eq!(events[1]["correlationid"], events[0]["correlationid"]);
    mall.start("product");
    mall.settle();
    mall.await_stock(product, 9);
    assert!(mall.deliveries_of(placed.id).is_empty());
    assert_eq!(mall.order_now(placed.id)["state"], "OrderRejected");
    assert_eq!(mall.order_now(in_time.id)["state"], "OrderPlaced", "it was confirmed in time");
    assert_eq!(kinds(&mall.events_of("order", in_time.id)), ["OrderPlaced", "OrderConfirmed"]);
    assert!(mall.dead().is_empty());
}

#[test]
fn a_deadline_that_passed_while_nothing_ran_is_told_at_the_start() {
    let Some(folder) = Folder::owned() else { return };
    let before = mall(folder, "2s");
    let (who, product) = (before.customer(), before.product(10, "cancel"));
    // Product runs and takes nothing, so that nobody is quicker than the deadline.
    let data = before.folder().data();
    let product_order = |verb| run(&["events", verb, "product.order", "--data", text(&data)]);
    product_order("pause").expect(0);
    let placed = before.order(&who, product, 4);
    let folder = before.kill();
    pause(DEADLINE);
    let settings = folder.path().join("deadline.yaml");
    let after = Mall::on(folder, &["--faults", "-c", text(&settings)]);
    after.await_order(placed.id, "OrderRejected");
    product_order("resume").expect(0);
    after.settle();
    let events = after.events_of("order", placed.id);
    assert_eq!(kinds(&events), ["OrderPlaced", "DeadlineReached", "OrderRejected"]);
    after.await_stock(product, 10);
    assert_eq!(after.order_now(placed.id)["state"], "OrderRejected");
}
