//! An order that is not confirmed in time is rejected, once and for good, whatever is stopped or killed meanwhile (C5).

#[path = "support/lib.rs"]
mod support;

use std::time::Duration;

use support::{Folder, Mall, kinds, now, overlay, pause, text};

const DEADLINE: Duration = Duration::from_secs(2);

/// A mall whose orders have a deadline; `None` where the suite was given another.
fn mall(folder: Folder) -> Mall {
    let settings = "mall: { order_deadline: 2s }\n";
    let file = overlay(folder.path(), "deadline.yaml", settings);
    Mall::on(folder, &["--faults", "-c", text(&file)])
}

#[test]
fn an_order_that_product_does_not_answer_in_time_is_rejected_and_takes_nothing() {
    let Some(folder) = Folder::owned() else { return };
    let mall = mall(folder);
    let (who, product) = (mall.customer(), mall.product(10, "cancel"));
    let in_time = mall.delivered(&who, product, 1);
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
    assert_eq!(mall.order_now(in_time.id)["state"], "OrderPlaced", "its deadline is long past");
    assert_eq!(kinds(&mall.events_of("order", in_time.id)), ["OrderPlaced", "OrderConfirmed"]);
    assert!(mall.dead().is_empty());
}

#[test]
fn a_deadline_that_passed_while_nothing_ran_is_told_at_the_start_and_the_books_say_one_of_the_two()
{
    let Some(folder) = Folder::owned() else { return };
    let before = mall(folder);
    let (who, product) = (before.customer(), before.product(10, "cancel"));
    before.stop("product");
    let placed = before.order(&who, product, 4);
    let folder = before.kill();
    pause(DEADLINE);
    let settings = folder.path().join("deadline.yaml");
    let after = Mall::on(folder, &["--faults", "-c", text(&settings)]);
    let ended = |mall: &Mall| mall.order_now(placed.id)["state"].clone();
    // Product runs again, too: whichever is first, the order ends one way and the books say the same.
    support::eventually("it is decided", || (ended(&after) != "PENDING").then_some(()));
    after.settle();
    let kinds_of = after.events_of("order", placed.id);
    let (rejected, stock) = (ended(&after) == "OrderRejected", after.stock(product));
    let expected: &[&str] = if rejected {
        &["OrderPlaced", "DeadlineReached", "OrderRejected"]
    } else {
        &["OrderPlaced", "OrderConfirmed"]
    };
    assert_eq!((kinds(&kinds_of), stock), (expected.to_vec(), if rejected { 10 } else { 6 }));
}
