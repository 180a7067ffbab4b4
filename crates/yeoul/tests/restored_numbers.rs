//! Numbers after a restore: whatever anybody outside was given after the restored moment is given to
//! nobody again, and who kept such a number reads all that is new.

#[path = "support/lib.rs"]
mod support;

use std::collections::BTreeSet;

use serde_json::{Value, json};
use support::{Answer, Customer, Folder, Mall, Stream, eventually, eventually_is, run, text};

const TOPICS: [&str; 4] = ["order", "product", "delivery", "account"];
/// Signs up after the restored moment, in both of its futures.
const NEWCOMER: &str = "newcomer@test.example";

/// What is there at the moment that is backed up.
struct Before {
    who: Customer,
    product: u64,
    /// An order that is delivered, and one that waits for product.
    done: u64,
    waiting: u64,
    /// Each topic's newest place.
    ends: Vec<String>,
}

/// One future of that moment, as outsiders saw it.
struct After {
    /// Every number that was given, with what it counts.
    given: BTreeSet<String>,
    /// Each topic's events, in order.
    events: Vec<Vec<Value>>,
    product_tag: String,
    page_tag: String,
    page_version: u64,
    live: String,
    written: String,
}

fn places(events: &[Value]) -> Vec<String> {
    events.iter().map(|event| event["position"].as_str().expect("a place").to_owned()).collect()
}

fn page(mall: &Mall, who: &Customer, accept: &str) -> Answer {
    let call = mall.get(&format!("/mypages/{}", who.id)).bearer(&who.token);
    call.header("accept", accept).send().expect(200)
}

fn stream(mall: &Mall, who: &Customer, after: &[(&str, &str)]) -> Stream {
    let bearer = format!("Bearer {}", who.token);
    let headers = [&[("authorization", bearer.as_str())], after].concat();
    Stream::open(mall.base("gateway"), &format!("/mypages/{}/events", who.id), &headers)
}

/// A mall at the moment of a backup: product rests, so that an order of before is decided after.
fn before(mall: &Mall) -> Before {
    let (who, product) = (mall.customer(), mall.product(100, "cancel"));
    let done = mall.delivered(&who, product, 1).id;
    mall.settle();
    mall.stop("product");
    let waiting = mall.order(&who, product, 2).id;
    let lag = |name: &str| {
        let all = mall.subscriptions();
        all.iter().find(|one| one["name"] == name).expect("a subscription")["lag"].clone()
    };
    // Nobody lags behind an order that the log does not have yet.
    eventually("the order in the log", || {
        let subject = json!(waiting.to_string());
        mall.events("order").iter().any(|event| event["subject"] == subject).then_some(())
    });
    for name in ["delivery.order", "mypage.order"] {
        eventually_is("caught up", &json!(0), || lag(name));
    }
    let end = |topic: &&str| places(&mall.events(topic)).pop().expect("events");
    Before { who, product, done, waiting, ends: TOPICS.iter().map(end).collect() }
}

/// The same for every future: old rows change, new ones come.
fn after(mall: &Mall, before: &Before) -> After {
    let Before { who, product, done, waiting, .. } = before;
    let mut live = stream(mall, who, &[]);
    let mut given = BTreeSet::new();
    let mut note = |what: &str, number: &str| {
        given.insert(format!("{what} {number}"));
    };
    mall.await_order(*waiting, "OrderPlaced");
    mall.await_delivery(*waiting, "DeliveryStarted");
    mall.move_delivery(*done, "DeliveryCompleted").expect(200);
    let restock = mall.call("POST", &format!("/products/{product}/restock")).bearer(mall.admin());
    let restocked = restock.json(&json!({"quantity": 5})).send();
    assert!(restocked.status < 300, "{}", restocked.text());
    let user =
        json!({"username": NEWCOMER, "password": "correct horse", "nickname": "N", "address": "A"});
    let newcomer = mall.call("POST", "/oauth/users").json(&user).send().expect(201);
    let fresh = mall.delivered(who, *product, 1);
    let cancelled = mall.cancel(who, *waiting).expect(200);
    for answer in [&restocked, &newcomer, &cancelled] {
        note("write", answer.must("yeoul-position"));
    }
    note("write", &fresh.position);
    mall.await_row(who, *waiting, ("OrderCancelled", Some("DeliveryCancelled")));
    mall.settle();

    note("order", &fresh.id.to_string());
    let delivery = mall.delivery_of(fresh.id).expect("a delivery")["deliveryId"].to_string();
    note("delivery", &delivery);
    note("product", &mall.product(1, "cancel").to_string());
    let old_delivery = mall.delivery_of(*done).expect("a delivery")["deliveryId"].to_string();
    let tag = |path: &str, token: &str| {
        let answer = mall.get(path).bearer(token).send().expect(200);
        answer.must("etag").to_owned()
    };
    let product_tag = tag(&format!("/products/{product}"), mall.admin());
    note("tag of the product", &product_tag);
    note("tag of an order", &tag(&format!("/orders/{waiting}"), &who.token));
    note("tag of a delivery", &tag(&format!("/deliveries/{old_delivery}"), mall.admin()));
    let events: Vec<Vec<Value>> = TOPICS
        .iter()
        .zip(&before.ends)
        .map(|(topic, end)| {
            mall.batch(topic, &format!("?from={end}&limit=1000")).expect(200).value()
        })
        .map(|batch| batch.as_array().expect("a batch").clone())
        .collect();
    for event in events.iter().flatten() {
        let (source, subject) = (&event["source"], &event["subject"]);
        note("place", event["position"].as_str().expect("a place"));
        note("event", &format!("{source} {}", event["id"]));
        note("sequence", &format!("{source} {subject} {}", event["sequence"]));
        note("outbox", &format!("{source} {}", event["outboxsequence"]));
        for member in ["version", "orderId", "deliveryId"] {
            let of_old = [done, waiting].into_iter().any(|old| event["data"][member] == *old);
            if event["data"][member].is_u64()
                && !of_old
                && event["data"][member] != json!(old_delivery.parse::<u64>().expect("an id"))
            {
                note(member, &format!("{source} {subject} {}", event["data"][member]));
            }
        }
    }
    let html = page(mall, who, "text/html");
    note("tag of a page", html.must("etag"));
    let shown = page(mall, who, "application/json");
    let page_tag = shown.must("etag").to_owned();
    note("tag of a page", &page_tag);
    let shown = shown.value();
    note("place on a page", shown["position"].as_str().expect("a position"));
    let page_version = shown["version"].as_u64().expect("a version");
    note("version of a page", &page_version.to_string());
    let seen = live.until("the cancelled row", |message| {
        message.data["orderId"] == *waiting && message.data["deliveryState"] == "DeliveryCancelled"
    });
    let ids: Vec<&str> =
        seen.iter().map(|message| &*message.id).filter(|id| !id.is_empty()).collect();
    ids.iter().for_each(|id| note("live", id));
    let live = (*ids.last().expect("an id")).to_owned();
    let written = fresh.position;
    After { given, events, product_tag, page_tag, page_version, live, written }
}

#[test]
fn nothing_that_was_given_after_the_restored_moment_is_given_again() {
    let Some(mall) = Mall::owned(&["--faults"]) else { return };
    let start = before(&mall);
    let place = Folder::new();
    let copy = place.path().join("copy");
    run(&["backup", text(&copy), "--data", text(&mall.folder().data())]).expect(0);
    mall.start("product");
    let lost = after(&mall, &start);
    drop(mall.kill());

    let new = Folder::new();
    run(&["restore", text(&copy), "--data", text(&new.data())]).expect(0);
    let mall = Mall::on(new, &["--faults"]);
    // A write of the future that is gone is not waited for: there is nothing newer than what shows.
    let call = mall.get(&format!("/mypages/{}", start.who.id)).bearer(&start.who.token);
    call.header("accept", "application/json")
        .header("yeoul-position", &*lost.written)
        .send()
        .expect(200);
    let kept = after(&mall, &start);

    let again: Vec<&String> = lost.given.intersection(&kept.given).collect();
    assert_eq!(again, Vec::<&String>::new());
    assert!(kept.page_version > lost.page_version, "{}", kept.page_version);
    for (topic, (lost, kept)) in TOPICS.iter().zip(lost.events.iter().zip(&kept.events)) {
        assert!(!lost.is_empty(), "{topic}");
        let new = places(kept);
        for old in places(lost) {
            let read = mall.batch(topic, &format!("?from={old}&limit=1000")).expect(200).value();
            let read = places(read.as_array().expect("a batch"));
            assert!(read.starts_with(&new), "{topic} from {old}: {read:?}");
        }
    }
    old_conditions(&mall, &start, &lost);
    mall.await_caught_up();
    let report = run(&["doctor", "--data", text(&mall.folder().data())]);
    assert!(!report.stdout.contains("damaged"), "{report:?}");
    mall.at("admin", "GET", "/readyz").send().expect(200);

    // And at the next start it is a folder like any other.
    let mall = Mall::on(mall.kill(), &["--faults"]);
    let next = mall.delivered(&start.who, start.product, 1);
    mall.await_row(&start.who, next.id, ("OrderPlaced", Some("DeliveryStarted")));
    mall.await_caught_up();
}

/// Who kept a tag or a place of the future that is gone is told that things are otherwise.
fn old_conditions(mall: &Mall, start: &Before, lost: &After) {
    let product = format!("/products/{}", start.product);
    let known = |path: &str, token: &str, tag: &str| {
        let call = mall.get(path).bearer(token).header("accept", "application/json");
        call.header("if-none-match", tag).send()
    };
    known(&product, mall.admin(), &lost.product_tag).expect(200);
    known(&format!("/mypages/{}", start.who.id), &start.who.token, &lost.page_tag).expect(200);
    let change = mall.call("PATCH", &product).bearer(mall.admin()).json(&json!({"price": 1}));
    change.header("if-match", &*lost.product_tag).send().problem(412);
    let mut live = stream(mall, &start.who, &[("last-event-id", &lost.live)]);
    let first = eventually("an event", || live.next_within(std::time::Duration::from_secs(1)));
    assert_eq!(first.event, "reset", "{first:?}");
}
