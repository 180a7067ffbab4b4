//! My page as the settings file declares it, over what the services really publish.

use std::sync::Arc;

use chassis::settings::Tree;
use events::{Event, Handler};
use jiff::Timestamp;
use mall::Name;
use serde::Deserialize;
use serde_json::{Value, json};
use views::{Batch, Definitions, Look, Money, Settings, Slice, Views};

use crate::support::{CUSTOMER, Mall, OTHER};

/// What views reads of the settings file.
#[derive(Deserialize)]
struct File {
    views: std::collections::BTreeMap<String, views::settings::View>,
    pages: std::collections::BTreeMap<String, views::settings::Page>,
}

fn definitions() -> Definitions {
    let tree = Tree::parse("mall/yeoul.yaml", mall::SETTINGS).expect("sound YAML");
    let File { views, pages } = tree.read().expect("sound views and pages");
    let template = |_: &str| Ok("{{ nickname }}".to_owned());
    match Definitions::compile(&Settings { views, pages }, &template) {
        Ok(definitions) => definitions,
        Err(mistakes) => panic!("{mistakes:?}"),
    }
}

/// The page of `owner`, folded from the mall's topics one after the other in this order.
fn timed(mall: &Mall, topics: &[Name], owner: &str) -> Value {
    let folder = tempfile::tempdir().expect("a folder");
    let look = Look {
        locales: vec!["ko".into(), "en".into()],
        money: Money { sign: "₩".into(), decimals: 0 },
        ..Look::default()
    };
    let clock: events::Clock = Arc::new(|| Timestamp::UNIX_EPOCH);
    let views = Views::open(folder.path(), definitions(), look, clock).expect("views open");
    for topic in topics {
        let given = (mall.events(*topic), views.fold());
        let folded = views.database().write(given, |(events, fold), tx| {
            Box::pin(async move {
                let mut batch = Batch::default();
                for event in events {
                    let handled = fold.handle(&mut batch, tx, event).await;
                    handled.expect("the rules fit the event");
                }
                fold.flush(&mut batch, tx).await
            })
        });
        mall.wait(folded).expect("folded");
    }
    let page = views.pages().find(|page| page.name == "my-page").expect("my page").clone();
    let mut json = mall.wait(views.page(&page, owner, Slice::first(20))).expect("read").json;
    for moving in ["version", "position"] {
        json.as_object_mut().expect("an object").remove(moving).expect("it is there");
    }
    json
}

/// The same, its steps' times apart.
fn page(mall: &Mall, topics: &[Name], owner: &str) -> Value {
    let mut json = timed(mall, topics, owner);
    for row in json["orders"].as_array_mut().expect("a list") {
        let row = row.as_object_mut().expect("a row");
        for step in STEPS {
            let time = row.remove(step).expect("it is there");
            assert!(!time.is_null() || step != "placedAt");
            moment(&time);
        }
    }
    json
}

/// The times of a row's steps.
const STEPS: [&str; 6] =
    ["placedAt", "confirmedAt", "startedAt", "completedAt", "cancelledAt", "stoppedAt"];

const TOPICS: [Name; 4] = [Name::Account, Name::Order, Name::Product, Name::Delivery];

/// Every order that four topics can come in.
fn every_order_of_arrival() -> Vec<Vec<Name>> {
    let mut orders = vec![Vec::new()];
    for _ in TOPICS {
        let longer = |order: &Vec<Name>| {
            let rest = TOPICS.into_iter().filter(|name| !order.contains(name)).collect::<Vec<_>>();
            rest.into_iter().map(|name| [order.clone(), vec![name]].concat()).collect::<Vec<_>>()
        };
        orders = orders.iter().flat_map(longer).collect();
    }
    orders
}

fn row(order: u64, product: (u64, &str, &str), quantity: u64, states: &(&str, Value)) -> Value {
    let (product_id, name, picture) = product;
    json!({
        "orderId": order, "productId": product_id, "productName": name, "imageUrl": picture,
        "quantity": quantity, "payment": product_id * 10_000 * quantity,
        "customerName": "유엔진", "customerAddr": "서울시",
        "orderState": states.0, "deliveryState": states.1,
    })
}

#[test]
fn the_page_shows_payments_states_and_mileage() {
    let mall = Mall::start();
    for (product, quantity) in [(1, 1), (2, 2), (3, 4)] {
        mall.order(product, quantity);
        mall.settle();
    }
    mall.cancel(3).is(200);
    mall.order(1, 100);
    mall.settle();
    let placed = ("OrderPlaced", json!("DeliveryStarted"));
    let expected = json!({
        "customerId": CUSTOMER, "nickname": "유엔진", "address": "서울시", "mileage": 5000,
        "orders": [
            row(4, (1, "TV", "/goods/img/TV"), 100, &("OrderCancelled", Value::Null)),
            row(3, (3, "NOTEBOOK", "/goods/img/NOTEBOOK"), 4, &("OrderCancelled", json!("DeliveryCancelled"))),
            row(2, (2, "MASK", "/goods/img/MASK"), 2, &placed),
            row(1, (1, "TV", "/goods/img/TV"), 1, &placed),
        ],
    });
    assert_eq!(page(&mall, &TOPICS, CUSTOMER), expected);
    let others = page(&mall, &TOPICS, OTHER);
    assert_eq!((&others["orders"], &others["mileage"]), (&json!([]), &json!(0)));
}

#[test]
fn a_cancellation_leaves_the_delivery_on_my_page() {
    let mall = Mall::start();
    let order = mall.order(1, 1);
    mall.settle();
    mall.deliver(order, "DeliveryCompleted").is(200);
    mall.deliver(order, "DeliveryReturned").is(200);
    let cancelled = mall.order(1, 1);
    mall.settle();
    mall.cancel(cancelled).is(200);
    mall.settle();
    let orders = page(&mall, &TOPICS, CUSTOMER)["orders"].clone();
    assert_eq!(orders[0]["deliveryState"], "DeliveryCancelled");
    assert_eq!(
        (&orders[1]["orderState"], &orders[1]["deliveryState"]),
        (&json!("OrderPlaced"), &json!("DeliveryReturned"))
    );
}

#[test]
fn a_delivery_that_is_heard_of_before_its_order_is_neither_lost_nor_an_error() {
    let mall = Mall::start();
    mall.order(1, 2);
    mall.order(2, 1);
    mall.settle();
    mall.cancel(2).is(200);
    mall.patch(Name::Product, "/products/1", &json!({"imageUrl": "/goods/img/CLOCK"}))
        .send()
        .is(200);
    mall.settle();
    let expected = timed(&mall, &TOPICS, CUSTOMER);
    assert_eq!(expected["orders"][1]["imageUrl"], "/goods/img/CLOCK");
    for topics in every_order_of_arrival() {
        assert_eq!(timed(&mall, &topics, CUSTOMER), expected, "{topics:?}");
    }
}

#[test]
fn each_step_has_the_time_of_its_event() {
    let mall = Mall::start();
    for quantity in [1, 2, 100, 3] {
        mall.order(1, quantity);
        mall.settle();
    }
    mall.cancel(2).is(200);
    mall.settle();
    mall.deliver(1, "DeliveryCompleted").is(200);
    mall.deliver(1, "DeliveryReturned").is(200);
    mall.settle();
    let events = TOPICS.map(|topic| mall.events(topic)).concat();
    let orders = timed(&mall, &TOPICS, CUSTOMER)["orders"].clone();
    let placed = [("placedAt", "OrderPlaced")];
    let started = [placed[0], ("confirmedAt", "OrderConfirmed"), ("startedAt", "DeliveryStarted")];
    let returned = [("completedAt", "DeliveryCompleted"), ("stoppedAt", "DeliveryReturned")];
    let cancelled = [("cancelledAt", "OrderCancelled"), ("stoppedAt", "DeliveryCancelled")];
    for (row, reached) in orders.as_array().expect("a list").iter().zip([
        started.to_vec(),
        [&placed[..], &cancelled[..1]].concat(),
        [&started[..], &cancelled].concat(),
        [&started[..], &returned].concat(),
    ]) {
        for step in STEPS {
            let kind = reached.iter().find(|(of, _)| *of == step).map(|(_, kind)| *kind);
            let time = kind.map(|kind| time_of(&events, &row["orderId"], kind));
            assert_eq!(moment(&row[step]), time, "{step} of {row}");
        }
    }
}

fn moment(time: &Value) -> Option<Timestamp> {
    serde_json::from_value::<Option<String>>(time.clone())
        .expect("text")
        .map(|time| time.parse().expect("RFC 3339"))
}

/// When it happened to that order.
fn time_of(events: &[Event], order: &Value, kind: &str) -> Timestamp {
    let is_it = |event: &&Event| {
        event.kind == kind && event.decode::<Value>().expect("JSON")["orderId"] == *order
    };
    events.iter().find(is_it).unwrap_or_else(|| panic!("no {kind} of {order}")).time
}

#[test]
fn the_mileage_of_a_cancelled_or_returned_order_is_taken_back_and_not_added() {
    let mall = Mall::start();
    let mileage = || page(&mall, &TOPICS, CUSTOMER)["mileage"].clone();
    let kept = mall.order(1, 1);
    mall.settle();
    assert_eq!(mileage(), 1000);
    let cancelled = mall.order(2, 2);
    mall.settle();
    assert_eq!(mileage(), 5000);
    mall.cancel(cancelled).is(200);
    mall.settle();
    assert_eq!(mileage(), 1000);
    // What was never confirmed was never counted.
    mall.order(1, 100);
    mall.settle();
    assert_eq!(mileage(), 1000);
    mall.deliver(kept, "DeliveryCompleted").is(200);
    mall.settle();
    assert_eq!(mileage(), 1000);
    mall.deliver(kept, "DeliveryReturned").is(200);
    mall.settle();
    assert_eq!(mileage(), 0);
}
