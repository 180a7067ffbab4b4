//! Whatever the interleaving of topics, the cuts of batches and the repetition of what came last:
//! the same rows, the same mileage, versions that only grow.
//!
//! Within a topic events come in order, as subscriptions promise. A suffix given again stands for a
//! redelivery that nobody recognised: the fold's own rules must bear it.

use std::collections::BTreeMap;

use events::Event;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::mall::{Mall, Publisher, delivery, order};

const CUSTOMERS: [&str; 3] = ["a@b", "b@b", "c@b"];
const PRODUCTS: u64 = 3;

/// What becomes of one order.
#[derive(Clone, Debug)]
struct Fate {
    customer: usize,
    product: u64,
    quantity: u64,
    /// How many of `OrderPlaced`, `OrderConfirmed`, `OrderCancelled` happen.
    steps: usize,
    /// Delivery steps after the start; none if the order is not confirmed.
    delivered: Vec<&'static str>,
}

fn fate() -> impl Strategy<Value = Fate> {
    let delivered = prop::sample::select(vec![
        vec![],
        vec!["DeliveryStarted"],
        vec!["DeliveryStarted", "DeliveryCancelled"],
        vec!["DeliveryStarted", "DeliveryCompleted"],
        vec!["DeliveryStarted", "DeliveryCompleted", "DeliveryReturned"],
    ]);
    (0..CUSTOMERS.len(), 1..=PRODUCTS, 1..=9_u64, 1..=3_usize, delivered).prop_map(
        |(customer, product, quantity, steps, delivered)| {
            let delivered = if steps > 1 { delivered } else { vec![] };
            Fate { customer, product, quantity, steps, delivered }
        },
    )
}

/// The topics' events, each in its own order.
fn topics(fates: &[Fate], pictures: &[(u64, u8)]) -> Vec<Vec<Event>> {
    let mut orders = Publisher::new("order");
    let mut deliveries = Publisher::new("delivery");
    let mut products = Publisher::new("product");
    let mut accounts = Publisher::new("account");
    let (mut order_events, mut delivery_events) = (Vec::new(), Vec::new());
    for (id, fate) in (1..).zip(fates) {
        let data = order(id, CUSTOMERS[fate.customer], fate.product, fate.quantity);
        for kind in &["OrderPlaced", "OrderConfirmed", "OrderCancelled"][..fate.steps] {
            order_events.push(orders.say(kind, data.clone()));
        }
        for state in &fate.delivered {
            delivery_events.push(deliveries.say(state, delivery(id, state)));
        }
    }
    let product_events = pictures.iter().map(|(product, picture)| {
        let data = json!({"productId": product, "imageUrl": format!("/{product}-{picture}.png")});
        products.say("ProductChanged", data)
    });
    let product_events = product_events.collect();
    let mut account_events = Vec::new();
    for customer in CUSTOMERS {
        let user =
            |nickname: &str| json!({"username": customer, "nickname": nickname, "address": ""});
        account_events.push(accounts.say("UserRegistered", user("first")));
        account_events.push(accounts.say("UserChanged", user("second")));
    }
    vec![order_events, delivery_events, product_events, account_events]
}

/// One delivery in the order of `picks`; a batch ends where `cuts` say, and after some of them the
/// last events of a topic come again.
fn deliver(mall: &Mall, topics: &[Vec<Event>], picks: &[u8], cuts: &[(u8, u8)]) {
    let mut next = vec![0; topics.len()];
    let mut picks = picks.iter().cycle();
    let mut cuts = cuts.iter().cycle();
    let mut versions: BTreeMap<&str, u64> = BTreeMap::new();
    while next.iter().zip(topics).any(|(&at, events)| at < events.len()) {
        let &(size, again) = cuts.next().expect("endless");
        let topic = usize::from(*picks.next().expect("endless")) % topics.len();
        let (events, from) = (&topics[topic], next[topic]);
        let to = events.len().min(from + 1 + usize::from(size % 5));
        mall.give(&events[from..to]);
        next[topic] = to;
        if again % 3 == 0 {
            mall.give(&events[to.saturating_sub(usize::from(again % 8))..to]);
        }
        for customer in CUSTOMERS {
            let version = mall.json(customer)["version"].as_u64().expect("a number");
            let before = versions.insert(customer, version).unwrap_or(0);
            assert!(version >= before, "a version went back");
        }
    }
}

/// The page without what counts deliveries.
fn rows(mall: &Mall, customer: &str) -> Value {
    let mut page = mall.json(customer);
    let members = page.as_object_mut().expect("a map");
    members.remove("version");
    members.remove("position");
    page
}

/// Mileage as the domain defines it, without the fold.
fn mileage(fates: &[Fate], customer: usize) -> u64 {
    let counted = fates.iter().filter(|fate| {
        fate.customer == customer
            && fate.steps == 2
            && fate.delivered.last() != Some(&"DeliveryReturned")
    });
    counted.map(|fate| fate.product * 10_000 * fate.quantity / 10).sum()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: crate::place::CASES, ..ProptestConfig::default() })]

    #[test]
    fn any_delivery_gives_the_rows_of_the_canonical_one(
        fates in prop::collection::vec(fate(), 1..8),
        pictures in prop::collection::vec((1..=PRODUCTS, 0..3_u8), 0..6),
        picks in prop::collection::vec(any::<u8>(), 1..32),
        cuts in prop::collection::vec((any::<u8>(), any::<u8>()), 1..16),
    ) {
        let topics = topics(&fates, &pictures);
        let canonical = Mall::new();
        for events in &topics {
            canonical.give(events);
        }
        let shuffled = Mall::new();
        // Every topic must be picked now and then.
        let picks: Vec<u8> = picks.into_iter().chain(0..topics.len() as u8).collect();
        deliver(&shuffled, &topics, &picks, &cuts);
        for (at, customer) in CUSTOMERS.into_iter().enumerate() {
            let page = rows(&shuffled, customer);
            prop_assert_eq!(&page, &rows(&canonical, customer));
            prop_assert_eq!(&page["mileage"], &json!(mileage(&fates, at)));
        }
    }
}
