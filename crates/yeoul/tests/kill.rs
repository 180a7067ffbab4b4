//! Kill -9 of the whole mall at random moments under load, then an audit of the books.
//!
//! Clients order, cancel and complete deliveries until the process is gone; the next one starts on
//! the same folder, again and again. Whatever was answered must be there at the end, and stock,
//! orders, deliveries, my page and topics must tell one story. `YEOUL_KILLS` sets how often it dies
//! (20), `YEOUL_SEED` repeats a run's random choices; the seed is printed.

#[path = "support/lib.rs"]
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use support::books::{self, Books, CLIENTS, Client, Shelf};
use support::{
    Done, Mall, Random, SOON, data_of, eventually, kinds, pause, run, setting, unique, within,
};

const KILLS: u64 = 20;
/// What is answered while services are not up yet.
const AWAY: [u16; 1] = [503];
/// How long a life lasts after the ready line, in milliseconds.
const LIFE_MS: (u64, u64) = (20, 400);
/// What must have reached my page after a start.
const CAUGHT_UP_BY: Duration = Duration::from_secs(10);

#[test]
fn nothing_answered_is_lost_and_the_books_balance_after_every_kill() {
    let mut random = Random::announced();
    let kills: u64 = setting("YEOUL_KILLS")
        .map_or(KILLS, |text| text.parse().expect("YEOUL_KILLS is a whole number"));
    let Some(mut mall) = Mall::owned(&["--faults"]) else { return };
    let (shelves, mut clients) = (books::shelves(&mall), books::clients(&mall, &mut random, &AWAY));
    let admin = mall.admin().to_owned();

    for _ in 0..kills {
        let life = Duration::from_millis(random.between(LIFE_MS.0, LIFE_MS.1));
        let folder = live_and_die(mall, &mut clients, &shelves, &admin, life);
        mall = Mall::on(folder, &["--faults"]);
    }
    let taken: usize = clients.iter().map(|client| client.book.taken.len()).sum();
    let cancelled: usize = clients.iter().map(|client| client.book.cancelled.len()).sum();
    let unanswered: u64 = clients.iter().map(|client| client.book.unanswered).sum();
    eprintln!("{kills} kills, {taken} orders, {cancelled} cancellations, {unanswered} unanswered");
    assert!(taken as u64 >= kills, "there was load");
    assert!(unanswered > 0, "something was in flight");
    audit(&mall, &clients, &shelves, 0);
}

/// Runs the load for `life`, then kills.
fn live_and_die(
    mall: Mall,
    clients: &mut [Client],
    shelves: &[Shelf],
    admin: &str,
    life: Duration,
) -> support::Folder {
    let over = AtomicBool::new(false);
    let gateway = mall.base("gateway").to_owned();
    std::thread::scope(|scope| {
        for client in clients.iter_mut() {
            let (over, gateway) = (&over, &gateway);
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    if client.act(gateway, shelves, admin).is_err() {
                        client.book.unanswered += 1;
                        return;
                    }
                }
            });
        }
        let _done = Done(&over);
        pause(life);
        mall.kill()
    })
}

/// Everything there is, read once all has come to rest.
fn audit(mall: &Mall, clients: &[Client], shelves: &[Shelf], left_out: u64) {
    within(CAUGHT_UP_BY, "everything committed has reached my page", || {
        let quiet = mall.subscriptions().iter().all(|one| one["lag"] == 0);
        (quiet && !books::is_pending(mall)).then_some(())
    });
    mall.settle();
    assert_eq!(mall.dead(), Vec::<Value>::new());
    let Books { orders, .. } = books::balance(mall, clients, shelves);
    for topic in ["order", "product", "delivery", "account"] {
        topics_keep_the_order_of_each_key(mall, topic, left_out);
    }
    each_order_has_one_story(mall, &orders);
}

/// What a restore leaves out of every count.
const LEFT_OUT: u64 = 1_000_000;

/// Each publisher's events about one key come in its own order, without a hole and without a
/// repetition, but for what a restore left out of every count once.
fn topics_keep_the_order_of_each_key(mall: &Mall, topic: &str, left_out: u64) {
    let mut last: BTreeMap<(String, String), u64> = BTreeMap::new();
    let mut outbox: BTreeMap<String, u64> = BTreeMap::new();
    let mut ids = BTreeSet::new();
    for event in mall.events(topic) {
        let text = |member: &str| event[member].as_str().unwrap_or_default().to_owned();
        let number = |member: &str| {
            let text = event[member].as_str().and_then(|text| text.parse().ok());
            text.or_else(|| event[member].as_u64())
                .unwrap_or_else(|| panic!("no {member}: {event}"))
        };
        assert!(ids.insert((text("source"), text("id"))), "published twice: {event}");
        let before =
            last.insert((text("source"), text("subject")), number("sequence")).unwrap_or(0);
        let next = if before < left_out && number("sequence") > left_out {
            before + 1 + left_out
        } else {
            before + 1
        };
        assert_eq!(number("sequence"), next, "{topic}: {event}");
        let before = outbox.insert(text("source"), number("outboxsequence")).unwrap_or(0);
        assert!(number("outboxsequence") > before, "{topic}: {event}");
    }
}

fn each_order_has_one_story(mall: &Mall, orders: &BTreeMap<u64, Value>) {
    let mut stories: BTreeMap<u64, Vec<Value>> = BTreeMap::new();
    for event in mall.events("order") {
        stories.entry(data_of(&event, "orderId")).or_default().push(event);
    }
    assert!(stories.keys().eq(orders.keys()), "what is published and what is stored differ");
    for (id, story) in &stories {
        let expected: &[&[&str]] = match orders[id]["state"].as_str() {
            Some("OrderPlaced") => &[&["OrderPlaced", "OrderConfirmed"]],
            _ => &[
                &["OrderPlaced", "OrderCancelled"],
                &["OrderPlaced", "OrderConfirmed", "OrderCancelled"],
            ],
        };
        assert!(expected.contains(&kinds(story).as_slice()), "order {id}: {:?}", kinds(story));
    }
}

/// Orders, cancellations and completions go on while the cut is made; what was answered before it is
/// there, its books balance, and no number that anybody was told is given again.
#[test]
fn a_backup_under_load_restores_to_books_that_balance() {
    let mut random = Random::announced();
    let Some(mall) = Mall::owned(&["--faults"]) else { return };
    let (shelves, mut clients) = (books::shelves(&mall), books::clients(&mall, &mut random, &AWAY));
    let admin = mall.admin().to_owned();
    let folder = support::Folder::new();
    let (copy, data) = (folder.path().join("copy"), mall.folder().data());
    let (over, counted) = (AtomicBool::new(false), AtomicUsize::new(0));
    let gateway = mall.base("gateway").to_owned();
    let before: Vec<books::Book> = std::thread::scope(|scope| {
        let running: Vec<_> = clients
            .iter_mut()
            .map(|client| {
                let (over, counted, gateway) = (&over, &counted, &gateway);
                let (shelves, admin) = (&shelves, &admin);
                scope.spawn(move || {
                    for _ in 0..40 {
                        client.act(gateway, shelves, admin).expect("it is answered");
                    }
                    let before = client.book.clone();
                    counted.fetch_add(1, Ordering::SeqCst);
                    while !over.load(Ordering::Relaxed) {
                        client.act(gateway, shelves, admin).expect("it is answered");
                    }
                    before
                })
            })
            .collect();
        let done = Done(&over);
        within(3 * SOON, "every client has counted", || {
            (counted.load(Ordering::SeqCst) == CLIENTS).then_some(())
        });
        let text = |path: &std::path::Path| path.to_str().expect("UTF-8").to_owned();
        run(&["backup", &text(&copy), "--data", &text(&data)]).expect(0);
        pause(Duration::from_millis(200));
        drop(done);
        running.into_iter().map(|one| one.join().expect("a client")).collect()
    });
    let acknowledged: BTreeSet<u64> =
        clients.iter().flat_map(|client| client.book.taken.keys().copied()).collect();
    let early: usize = before.iter().map(|book| book.taken.len()).sum();
    assert!(acknowledged.len() > early, "there was load while the cut was made");
    drop(mall);

    let text = |path: &std::path::Path| path.to_str().expect("UTF-8").to_owned();
    let restored = run(&["restore", &text(&copy), "--data", &text(&folder.data())]).expect(0);
    assert!(restored.stdout.contains("sign-outs"), "{}", restored.stdout);
    let mall = Mall::on(folder, &["--faults"]);
    for (client, book) in clients.iter_mut().zip(before) {
        client.book = book;
    }
    audit(&mall, &clients, &shelves, LEFT_OUT);
    let newest = acknowledged.last().expect("an order");
    for _ in 0..3 {
        let placed = mall.order(&clients[0].who, shelves[0].product, 1);
        assert!(placed.id > *newest, "order {} was given out before", placed.id);
        mall.await_order(placed.id, "OrderPlaced");
        clients[0].book.taken.insert(placed.id, (shelves[0].product, 1));
    }
    audit(&mall, &clients, &shelves, LEFT_OUT);
}

#[test]
fn a_killed_mall_starts_again_by_itself_and_catches_up() {
    let Some(mall) = Mall::owned(&["--faults"]) else { return };
    let (who, product) = (mall.customer(), mall.product(1000, "cancel"));
    let placed: Vec<_> = (0..50).map(|_| mall.order(&who, product, 1).id).collect();
    let mall = Mall::on(mall.kill(), &["--faults"]);
    within(CAUGHT_UP_BY, "all of it is on my page", || {
        let path = format!("/mypages/{}?size=100", who.id);
        let call = mall.get(&path).bearer(&who.token).header("accept", "application/json");
        let page = call.send().expect(200).value();
        let rows = page["orders"].as_array().expect("orders").clone();
        let done = rows.iter().filter(|row| row["deliveryState"] == "DeliveryStarted").count();
        (done == placed.len()).then_some(())
    });
    assert_eq!(mall.stock(product), 950);
    let fresh = format!("{}@test.example", unique("late"));
    let user = json!({"username": fresh, "password": "12345678", "nickname": "N", "address": "A"});
    mall.call("POST", "/oauth/users").json(&user).send().expect(201);
    eventually("it lives on", || (mall.password(&fresh, "12345678").status == 200).then_some(()));
}
