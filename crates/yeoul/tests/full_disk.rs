//! A disk that is full, as far as the program can tell: clear refusals, nothing lost, nobody has to help.

#![cfg(target_os = "linux")]

#[path = "support/lib.rs"]
mod support;

use std::collections::BTreeSet;

use serde_json::{Value, json};
use support::{Answer, Customer, Mall, SOON, within};

/// More than the start writes to any file, less than a few hundred orders.
const FILE_KIB: u32 = 3 * 1024;

fn order(mall: &Mall, who: &Customer, product: u64) -> Answer {
    let address = "a".repeat(490);
    let body = json!({"productId": product, "quantity": 1, "customerAddr": address});
    mall.ordering(who, &body).send()
}

fn id(answer: &Answer) -> u64 {
    answer.value()["id"].as_u64().expect("an id")
}

#[test]
fn a_full_disk_refuses_orders_and_takes_them_again_once_there_is_room() {
    let Some(mall) = Mall::with_files_of_at_most(FILE_KIB) else { return };
    let (who, product) = (mall.customer(), mall.product(1_000_000, "cancel"));
    let mut taken = BTreeSet::new();
    let refused = within(6 * SOON, "the disk is full", || {
        let answer = order(&mall, &who, product);
        if answer.status == 201 {
            taken.insert(id(&answer));
            return None;
        }
        Some(answer)
    });
    refused.refusal(503);
    assert!(taken.len() > 10, "{} orders", taken.len());
    mall.get("/products").send().expect(200);
    mall.page(&who);
    // Which files are full is chance: where a handler or a relay is held up by it, the process says so.
    within(SOON, "readiness, subscriptions and relays tell the same", || {
        let held_up = |list: &[Value]| list.iter().any(|one| !one["stuck"].is_null());
        let stuck = held_up(&mall.subscriptions()) || held_up(&mall.relays());
        let readiness = mall.at("admin", "GET", "/readyz").send();
        (readiness.value()["ready"] == !stuck && (readiness.status == 503) == stuck).then_some(())
    });

    mall.lift_file_limit();
    let next = within(SOON, "orders are taken again", || {
        Some(order(&mall, &who, product)).filter(|answer| answer.status == 201)
    });
    assert!(taken.insert(id(&next)));
    let orders = || -> Vec<Value> {
        let page = |page: usize| {
            let path = format!("/orders?size=100&page={page}");
            mall.get(&path).bearer(&who.token).send().embedded("orders")
        };
        (0..).map(page).take_while(|orders| !orders.is_empty()).flatten().collect()
    };
    let placed = within(3 * SOON, "every order is placed", || {
        Some(orders()).filter(|all| all.iter().all(|order| order["state"] == "OrderPlaced"))
    });
    let ids: BTreeSet<u64> = placed.iter().filter_map(|order| order["id"].as_u64()).collect();
    assert_eq!(ids, taken, "what was answered, and nothing else");
    mall.settle();
    mall.at("admin", "GET", "/readyz").send().expect(200);
    assert_eq!(mall.stock(product), 1_000_000 - taken.len() as u64);
    assert_eq!(mall.page(&who)["orders"][0]["orderId"], *taken.last().expect("an order"));
}
