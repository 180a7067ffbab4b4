//! Topics of several partitions: order per key, positions over all of them, and how their number changes.

#[path = "support/lib.rs"]
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::{Value, json};
use support::{Folder, Mall, SOON, eventually, overlay, run, text, within};

const PARTITIONS: &str = "events:
  topics:
    order: { partitions: 4 }
    product: { partitions: 3 }
    delivery: { partitions: 2 }
    account: { partitions: 2 }
";

/// A mall whose topics have several partitions, and the settings that say so.
fn partitioned(folder: Folder) -> (Mall, PathBuf) {
    let settings = overlay(folder.path(), "partitions.yaml", PARTITIONS);
    (Mall::on(folder, &["--faults", "-c", text(&settings)]), settings)
}

/// Every event of a topic, read so many at a time.
fn read(mall: &Mall, topic: &str, limit: usize) -> Vec<Value> {
    let (mut from, mut all) = ("beginning".to_owned(), Vec::new());
    loop {
        let batch = mall.batch(topic, &format!("?from={from}&limit={limit}")).expect(200).value();
        let events = batch.as_array().expect("a batch").clone();
        let Some(last) = events.last() else { return all };
        last["position"].as_str().expect("a position").clone_into(&mut from);
        all.extend(events);
    }
}

fn ids(events: &[Value]) -> Vec<&str> {
    events.iter().filter_map(|event| event["id"].as_str()).collect()
}

/// Each key's numbers, as they come.
fn by_key(events: &[Value]) -> BTreeMap<&str, Vec<u64>> {
    let mut keys: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for event in events {
        let key = event["partitionkey"].as_str().expect("a key");
        // A whole number as text, which CloudEvents asks for.
        let sequence = event["sequence"].as_str().and_then(|it| it.parse().ok());
        keys.entry(key).or_default().push(sequence.expect("a number"));
    }
    keys
}

fn partitions_of(mall: &Mall, subscription: &str) -> Vec<Value> {
    let all = mall.subscriptions();
    let one = all.iter().find(|one| one["name"] == subscription).expect("a subscription");
    one["partitions"].as_array().expect("partitions").clone()
}

#[test]
fn orders_spread_over_partitions_and_every_reader_sees_each_key_in_order_once() {
    let Some(folder) = Folder::owned() else { return };
    let (mall, settings) = partitioned(folder);
    let product = mall.product(1_000, "cancel");
    let customers = [mall.customer(), mall.customer(), mall.customer()];
    let place = |mall: &Mall| {
        (0..12).map(|n| mall.order(&customers[n % 3], product, 1)).collect::<Vec<_>>()
    };
    let mut orders = place(&mall);
    for (at, order) in orders.iter().enumerate() {
        // The position of the write is enough, whichever partition it went to.
        let who = &customers[at % 3];
        let page = mall.page_with(who, &order.position);
        let mut rows = page["orders"].as_array().expect("orders").iter();
        assert!(rows.any(|row| row["orderId"] == order.id), "{}", order.position);
    }
    let positions: BTreeSet<bool> = orders.iter().map(|it| it.position.contains('-')).collect();
    assert_eq!(positions.len(), 2, "some are of the first partition and some of later ones");

    let folder = mall.kill();
    let mall = Mall::on(folder, &["--faults", "-c", text(&settings)]);
    orders.extend(place(&mall));
    for order in &orders {
        mall.await_order(order.id, "OrderPlaced");
    }
    mall.await_caught_up();
    let taken = partitions_of(&mall, "product.order");
    assert_eq!(taken.len(), 4);
    assert!(taken.iter().all(|one| one["position"].as_u64() > Some(0)), "{taken:?}");
    mall.await_stock(product, 1_000 - 24);

    for topic in ["order", "product", "delivery"] {
        let whole = read(&mall, topic, 1_000);
        let distinct: BTreeSet<&str> = ids(&whole).into_iter().collect();
        assert_eq!(distinct.len(), whole.len(), "{topic}: no event has another's id");
        for (key, numbers) in by_key(&whole) {
            assert!(numbers.is_sorted(), "{topic}/{key}: {numbers:?}");
        }
        for limit in [1, 3, 7] {
            let pages = read(&mall, topic, limit);
            let seen: BTreeSet<&str> = ids(&pages).into_iter().collect();
            assert_eq!((pages.len(), &seen), (whole.len(), &distinct), "{topic}, limit {limit}");
            assert_eq!(by_key(&pages), by_key(&whole), "{topic}, limit {limit}");
        }
    }
    // A place in a partition that the topic does not have is none of it.
    mall.batch("delivery", "?from=t3_3-1.delivery").refuses_field("from");
    mall.batch("delivery", "?from=t3_1-0.delivery").refuses_field("from");
    // Behind all that there will ever be, there is nothing.
    for huge in [i64::MAX.unsigned_abs(), i64::MAX.unsigned_abs() + 1, u64::MAX] {
        let behind = mall.batch("delivery", &format!("?from=t{huge}_1-{huge}.delivery"));
        assert_eq!(behind.expect(200).value(), json!([]), "{huge}");
    }
}

#[test]
fn a_dead_letter_of_a_later_partition_is_named_redriven_and_survives_a_restore() {
    let Some(folder) = Folder::owned() else { return };
    let (mall, _) = partitioned(folder);
    let (who, product) = (mall.customer(), mall.product(100, "cancel"));
    let fault = json!({"on": "OrderConfirmed", "match": {"customerId": who.id}});
    mall.fault("delivery", &fault);
    let orders: Vec<_> = (0..8).map(|_| mall.order(&who, product, 1)).collect();
    let letters = eventually("every order is a letter of delivery's", || {
        let dead = mall.dead();
        (dead.len() == orders.len()).then_some(dead)
    });
    let later = |letter: &&Value| letter["id"].as_str().is_some_and(|id| id.contains('-'));
    let later = letters.iter().find(later).expect("not all in the first partition").clone();
    let backup = Folder::new();
    let (copy, restored) = (backup.path().join("copy"), Folder::new());
    let data = mall.folder().data();
    run(&["backup", text(&copy), "--data", text(&data)]).expect(0);
    let id = later["id"].as_str().expect("an id");

    let try_again = |mall: &Mall| {
        let order: u64 = later["key"].as_str().and_then(|key| key.parse().ok()).expect("an order");
        mall.redrive(id).expect(202);
        eventually("its delivery starts", || mall.delivery_of(order));
        assert!(!mall.dead().iter().any(|letter| letter["id"] == id));
        mall.redrive(id).problem(404);
    };
    mall.mend("delivery");
    try_again(&mall);
    drop(mall);

    run(&["restore", text(&copy), "--data", text(&restored.data())]).expect(0);
    let (mall, _) = partitioned(restored);
    try_again(&mall);
    // What is written now comes after all that was, in every partition.
    let before: BTreeSet<String> = orders.iter().map(|it| it.position.clone()).collect();
    for order in (0..8).map(|_| mall.order(&who, product, 1)) {
        assert!(!before.contains(&order.position), "{}", order.position);
        mall.await_row(&who, order.id, ("OrderPlaced", Some("DeliveryStarted")));
    }
    run(&["doctor", "--data", text(&mall.folder().data())]).expect(3);
}

#[test]
fn a_topic_gets_more_partitions_when_it_rests_and_never_in_silence() {
    let Some(folder) = Folder::owned() else { return };
    let settings = overlay(folder.path(), "partitions.yaml", PARTITIONS);
    let mall = Mall::on(folder, &["--faults"]);
    let (who, product) = (mall.customer(), mall.product(100, "cancel"));
    let first = mall.delivered(&who, product, 1);
    mall.settle();
    mall.stop("product");
    let waiting = mall.order(&who, product, 1);
    let data = mall.folder().data();
    let partitions = |topic: &str, count: &str| {
        run(&["events", "partitions", topic, count, "--data", text(&data)])
    };
    partitions("order", "4").expect(3);
    let (_, folder) = mall.stop_by("TERM", 2 * SOON);

    let start = ["mall", "--data", text(&data), "--listen", "127.0.0.1:0", "-c", text(&settings)];
    let refused = run(&start).expect(3);
    let command = "yeoul events partitions account 2";
    assert!(refused.last_word().contains(command), "{}", refused.stderr);
    let busy = partitions("order", "4").expect(3);
    assert!(busy.stderr.contains("product.order"), "{}", busy.stderr);
    partitions("nosuch", "2").expect(1);
    partitions("order", "0").expect(1);
    partitions("order", "1000").expect(1);
    partitions("order", "many").expect(1);

    let mall = Mall::on(folder, &["--faults"]);
    mall.await_order(waiting.id, "OrderPlaced");
    mall.settle();
    let (_, folder) = mall.stop_by("TERM", 2 * SOON);
    for (topic, count) in [("order", "4"), ("product", "3"), ("delivery", "2"), ("account", "2")] {
        let printed = partitions(topic, count).expect(0).stdout;
        assert!(
            printed.contains(&format!("events.topics.{topic}.partitions: {count}")),
            "{printed}"
        );
    }
    partitions("order", "4").expect(0);
    partitions("order", "3").expect(1);
    // Fewer is no way: the last line names only what helps.
    let fewer = run(&["mall", "--data", text(&data), "--listen", "127.0.0.1:0"]).expect(3);
    assert!(fewer.last_word().contains("events.topics.account.partitions: 2"), "{}", fewer.stderr);
    assert!(!fewer.last_word().contains("yeoul events partitions"), "{}", fewer.stderr);

    let mall = Mall::on(folder, &["--faults", "-c", text(&settings)]);
    mall.at("admin", "GET", "/readyz").send().expect(200);
    // What was there is there, old positions hold, and a key's new events follow its old ones.
    let page = mall.get(&format!("/mypages/{}", who.id)).bearer(&who.token);
    let page = page.header("Accept", "application/json");
    page.header("Yeoul-Position", &first.position).send().expect(200);
    assert_eq!(mall.cancel(&who, first.id).status, 200);
    mall.await_row(&who, first.id, ("OrderCancelled", Some("DeliveryCancelled")));
    for order in (0..6).map(|_| mall.order(&who, product, 1)).collect::<Vec<_>>() {
        mall.await_row(&who, order.id, ("OrderPlaced", Some("DeliveryStarted")));
    }
    mall.await_caught_up();
    assert!(partitions_of(&mall, "product.order").len() == 4);
    mall.await_stock(product, 100 - 7);
}

#[test]
fn a_change_that_was_broken_off_says_how_it_ends_and_vouches_for_no_other_topic() {
    let Some(folder) = Folder::owned() else { return };
    let settings =
        "events:\n  topics:\n    order: { partitions: 4 }\n    product: { partitions: 3 }\n";
    let settings = overlay(folder.path(), "partitions.yaml", settings);
    let only_order = "events:\n  topics:\n    order: { partitions: 4 }\n";
    let only_order = overlay(folder.path(), "order.yaml", only_order);
    let mall = Mall::on(folder, &["--faults"]);
    let (who, product) = (mall.customer(), mall.product(100, "cancel"));
    mall.delivered(&who, product, 1);
    mall.settle();
    mall.stop("order");
    let more = mall.at("product", "POST", &format!("/products/{product}/restock"));
    more.json(&json!({"quantity": 5})).send().expect(200);
    // Order rests and nobody else does: whoever else is behind would be named in its place.
    within(3 * SOON, "order alone is behind", || {
        let all = mall.subscriptions().into_iter();
        let mut behind = all.filter(|one| one["lag"] != 0);
        (behind.next()?["name"] == "order.product" && behind.next().is_none()).then_some(())
    });
    let (_, folder) = mall.stop_by("TERM", 2 * SOON);
    let data = folder.data();
    let partitions = |topic: &str, count: &str| {
        run(&["events", "partitions", topic, count, "--data", text(&data)])
    };
    // The log has them and the outbox has not: killed between the two.
    let outbox = data.join("order/service.db");
    let before = std::fs::read(&outbox).expect("a store");
    partitions("order", "4").expect(0);
    std::fs::write(&outbox, before).expect("as it was");

    let start = ["mall", "--data", text(&data), "--listen", "127.0.0.1:0"];
    let start = run(&[&start[..], &["-c", text(&only_order)]].concat()).expect(3);
    let command = "yeoul events partitions order 4";
    assert!(start.last_word().contains(command), "{}", start.stderr);
    // A change of another topic does not hide that something of this one is under way.
    let other = partitions("product", "3").expect(3);
    assert!(other.last_word().contains(command), "{}", other.stderr);

    partitions("order", "4").expect(0);
    let busy = partitions("product", "3").expect(3);
    assert!(busy.stderr.contains("order.product"), "{}", busy.stderr);
    let mall = Mall::on(folder, &["--faults", "-c", text(&only_order)]);
    mall.settle();
    let (_, folder) = mall.stop_by("TERM", 2 * SOON);
    partitions("product", "3").expect(0);
    let mall = Mall::on(folder, &["--faults", "-c", text(&settings)]);
    for order in (0..4).map(|_| mall.order(&who, product, 1)).collect::<Vec<_>>() {
        mall.await_row(&who, order.id, ("OrderPlaced", Some("DeliveryStarted")));
    }
    mall.await_stock(product, 100);
}

#[test]
fn a_wrong_number_of_partitions_is_a_mistake_with_its_line() {
    let folder = Folder::new();
    for (wrong, line) in [
        ("{ partitions: 0 }", "3: events.topics.order.partitions: "),
        ("{ partitions: 129 }", "3: events.topics.order.partitions: "),
        (
            "{ partitions: 100000 }",
            "3: events.topics.order.partitions: must be 1 to 128. value=`100000`",
        ),
        ("{ partitions: -1 }", "3: events.topics.order.partitions: must be 1 to 128. value=`-1`"),
        ("{ partitions: -1 }", "3: events.topics.order.partitions: "),
        ("{ partitions: many }", "3: events.topics.order.partitions: "),
        ("{ partition: 2 }", "3: events.topics.order.partition: "),
    ] {
        let settings = format!("events:\n  topics:\n    order: {wrong}\n");
        let file = overlay(folder.path(), "wrong.yaml", &settings);
        let refused = run(&["check", "-c", text(&file), "--mall"]).expect(1);
        assert!(refused.stdout.contains(line), "{wrong}: {}", refused.stdout);
    }
    let name = overlay(folder.path(), "name.yaml", "events:\n  topics:\n    Order: {}\n");
    let refused = run(&["check", "-c", text(&name)]).expect(1);
    assert!(refused.stdout.contains("3: events.topics.Order: "), "{}", refused.stdout);
    let sound = overlay(folder.path(), "sound.yaml", PARTITIONS);
    run(&["check", "-c", text(&sound), "--mall"]).expect(0);
}
