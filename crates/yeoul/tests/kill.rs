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
use support::{
    Call, Customer, Done, Mall, Random, SOON, data_of, eventually, kinds, pause, run, setting,
    unique, within,
};

const KILLS: u64 = 20;
const CLIENTS: usize = 4;
/// How long a life lasts after the ready line, in milliseconds.
const LIFE_MS: (u64, u64) = (20, 400);
/// What must have reached my page after a start.
const CAUGHT_UP_BY: Duration = Duration::from_secs(10);

/// A product of the run: plenty of one, little of the other, and one that is asked for first.
struct Shelf {
    product: u64,
    stock: u64,
}

/// What one client was answered.
#[derive(Clone, Default)]
struct Book {
    /// Order → product and quantity.
    taken: BTreeMap<u64, (u64, u64)>,
    cancelled: BTreeSet<u64>,
    completed: BTreeSet<u64>,
    /// Requests that were sent and never answered.
    unanswered: u64,
}

struct Client {
    who: Customer,
    book: Book,
    random: Random,
}

#[test]
fn nothing_answered_is_lost_and_the_books_balance_after_every_kill() {
    let mut random = Random::announced();
    let kills: u64 = setting("YEOUL_KILLS")
        .map_or(KILLS, |text| text.parse().expect("YEOUL_KILLS is a whole number"));
    let Some(mut mall) = Mall::owned(&["--faults"]) else { return };
    let (shelves, mut clients) = (shelves(&mall), clients(&mall, &mut random));
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

/// Plenty, little, and what is asked for first.
fn shelves(mall: &Mall) -> Vec<Shelf> {
    [(1_000_000, "cancel"), (150, "cancel"), (1_000_000, "reject")]
        .into_iter()
        .map(|(stock, policy)| Shelf { product: mall.product(stock, policy), stock })
        .collect()
}

fn clients(mall: &Mall, random: &mut Random) -> Vec<Client> {
    let book = Book::default;
    (0..CLIENTS)
        .map(|_| Client { who: mall.customer(), book: book(), random: Random::new(random.next()) })
        .collect()
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

impl Client {
    /// One thing a customer does; `Err` when the process was gone before it answered.
    fn act(&mut self, gateway: &str, shelves: &[Shelf], admin: &str) -> Result<(), String> {
        let old: Vec<u64> = self.book.taken.keys().rev().take(10).copied().collect();
        match self.random.between(0, 9) {
            0..=1 if !old.is_empty() => self.cancel(gateway, self.pick(&old)),
            2 if !old.is_empty() => self.complete(gateway, self.pick(&old), admin),
            _ => self.order(gateway, shelves),
        }
    }

    fn pick(&self, from: &[u64]) -> u64 {
        from[self.book.taken.len() % from.len()]
    }

    fn order(&mut self, gateway: &str, shelves: &[Shelf]) -> Result<(), String> {
        let shelf = &shelves[self.random.between(0, shelves.len() as u64 - 1) as usize];
        let quantity = self.random.between(1, 5);
        let body = json!({"productId": shelf.product, "quantity": quantity});
        let call =
            Call::new("POST", format!("{gateway}/orders")).bearer(&self.who.token).json(&body);
        let answer = call.try_send()?;
        if answer.status == 201 {
            let id = answer.value()["id"].as_u64().expect("an id");
            let new = self.book.taken.insert(id, (shelf.product, quantity)).is_none();
            assert!(new, "order {id} was given out twice");
        } else {
            assert_eq!(answer.status, 503, "an order: {}", answer.text());
        }
        Ok(())
    }

    fn cancel(&mut self, gateway: &str, order: u64) -> Result<(), String> {
        let call = Call::new("PATCH", format!("{gateway}/orders/{order}")).bearer(&self.who.token);
        let answer = call.json(&json!({"state": "OrderCancelled"})).try_send()?;
        match answer.status {
            200 => drop(self.book.cancelled.insert(order)),
            // Delivered by then, or a service that is not up yet.
            409 | 503 => {}
            status => panic!("a cancellation: {status}: {}", answer.text()),
        }
        Ok(())
    }

    fn complete(&mut self, gateway: &str, order: u64, admin: &str) -> Result<(), String> {
        let search = "deliveries/search/findByOrderIdOrderByDeliveryIdDesc";
        let found = Call::new("GET", format!("{gateway}/{search}?orderId={order}")).bearer(admin);
        let found = found.try_send()?;
        if found.status != 200 {
            return Ok(());
        }
        let Some(delivery) = found.embedded("deliveries").first().cloned() else { return Ok(()) };
        let path = format!("{gateway}/deliveries/{}", delivery["deliveryId"]);
        let body = json!({"deliveryState": "DeliveryCompleted"});
        let answer = Call::new("PATCH", path).bearer(admin).json(&body).try_send()?;
        if answer.status == 200 {
            self.book.completed.insert(order);
        }
        Ok(())
    }
}

/// Everything there is, read once all has come to rest.
fn audit(mall: &Mall, clients: &[Client], shelves: &[Shelf], left_out: u64) {
    within(CAUGHT_UP_BY, "everything committed has reached my page", || {
        let quiet = mall.subscriptions().iter().all(|one| one["lag"] == 0);
        let pending =
            all(mall, "order", "/orders", "orders").iter().any(|order| order["state"] == "PENDING");
        (quiet && !pending).then_some(())
    });
    mall.settle();
    assert_eq!(mall.dead(), Vec::<Value>::new());
    let orders: BTreeMap<u64, Value> = all(mall, "order", "/orders", "orders")
        .into_iter()
        .map(|order| (order["id"].as_u64().expect("an id"), order))
        .collect();
    let mut deliveries: BTreeMap<u64, String> = BTreeMap::new();
    for delivery in all(mall, "delivery", "/deliveries", "deliveries") {
        let order = delivery["orderId"].as_u64().expect("an order");
        let state = delivery["deliveryState"].as_str().expect("a state").to_owned();
        assert_eq!(deliveries.insert(order, state), None, "two deliveries of order {order}");
    }
    every_answer_holds(clients, &orders, &deliveries);
    stock_adds_up(mall, shelves, &orders);
    deliveries_follow_orders(&orders, &deliveries);
    for client in clients {
        my_page_tells_the_same(mall, &client.who, &orders, &deliveries);
    }
    for topic in ["order", "product", "delivery", "account"] {
        topics_keep_the_order_of_each_key(mall, topic, left_out);
    }
    each_order_has_one_story(mall, &orders);
}

fn all(mall: &Mall, service: &str, path: &str, list: &str) -> Vec<Value> {
    let mut all = Vec::new();
    for page in 0.. {
        let slice =
            mall.at(service, "GET", &format!("{path}?size=100&page={page}")).send().embedded(list);
        if slice.is_empty() {
            break;
        }
        all.extend(slice);
    }
    all
}

fn every_answer_holds(
    clients: &[Client],
    orders: &BTreeMap<u64, Value>,
    deliveries: &BTreeMap<u64, String>,
) {
    for client in clients {
        for (id, (product, quantity)) in &client.book.taken {
            let order =
                orders.get(id).unwrap_or_else(|| panic!("order {id} was answered 201 and is gone"));
            assert_eq!(
                (&order["productId"], &order["quantity"]),
                (&json!(product), &json!(quantity))
            );
            assert_eq!(order["customerId"], client.who.id.as_str());
        }
        for id in &client.book.cancelled {
            assert_eq!(
                orders[id]["state"], "OrderCancelled",
                "order {id} was cancelled with a 200"
            );
        }
        for id in &client.book.completed {
            assert_eq!(deliveries[id], "DeliveryCompleted", "order {id} was completed with a 200");
        }
    }
}

fn stock_adds_up(mall: &Mall, shelves: &[Shelf], orders: &BTreeMap<u64, Value>) {
    for shelf in shelves {
        let sold: u64 = orders
            .values()
            .filter(|order| order["productId"] == shelf.product && order["state"] == "OrderPlaced")
            .map(|order| order["quantity"].as_u64().expect("a quantity"))
            .sum();
        assert_eq!(mall.stock(shelf.product) + sold, shelf.stock, "product {}", shelf.product);
        assert_eq!(mall.replica(shelf.product), mall.stock(shelf.product), "the replica");
    }
}

fn deliveries_follow_orders(orders: &BTreeMap<u64, Value>, deliveries: &BTreeMap<u64, String>) {
    for (id, order) in orders {
        let delivery = deliveries.get(id).map(String::as_str);
        match order["state"].as_str() {
            Some("OrderPlaced") => assert!(
                matches!(delivery, Some("DeliveryStarted" | "DeliveryCompleted")),
                "order {id} is placed, its delivery {delivery:?}"
            ),
            // Where a completion and a cancellation crossed, the delivery stays as it is.
            Some("OrderCancelled") => assert!(
                matches!(delivery, None | Some("DeliveryCancelled" | "DeliveryCompleted")),
                "order {id} is cancelled, its delivery {delivery:?}"
            ),
            other => panic!("order {id} came to rest as {other:?}"),
        }
    }
    assert!(deliveries.keys().all(|id| orders.contains_key(id)), "a delivery without an order");
}

fn my_page_tells_the_same(
    mall: &Mall,
    who: &Customer,
    orders: &BTreeMap<u64, Value>,
    deliveries: &BTreeMap<u64, String>,
) {
    let mut rows = BTreeMap::new();
    for page in 0.. {
        let path = format!("/mypages/{}?size=100&page={page}", who.id);
        let call = mall.get(&path).bearer(&who.token).header("accept", "application/json");
        let body = call.send().expect(200).value();
        let slice = body["orders"].as_array().expect("orders").clone();
        if slice.is_empty() {
            break;
        }
        for row in slice {
            let id = row["orderId"].as_u64().expect("an id");
            assert!(rows.insert(id, row).is_none(), "order {id} is shown twice");
        }
    }
    let mine: BTreeMap<&u64, &Value> =
        orders.iter().filter(|(_, order)| order["customerId"] == who.id.as_str()).collect();
    assert!(rows.keys().eq(mine.keys().copied()), "my page shows other orders than there are");
    let mut mileage = 0;
    for (id, order) in mine {
        let row = &rows[id];
        let payment = order["price"].as_u64().expect("a price")
            * order["quantity"].as_u64().expect("a quantity");
        assert_eq!(row["orderState"], order["state"], "order {id}");
        assert_eq!(row["payment"], payment, "order {id}");
        assert_eq!(row["deliveryState"], json!(deliveries.get(id)), "order {id}");
        mileage += if order["state"] == "OrderPlaced" { payment / 10 } else { 0 };
    }
    assert_eq!(mall.page(who)["mileage"], mileage);
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
    let (shelves, mut clients) = (shelves(&mall), clients(&mall, &mut random));
    let admin = mall.admin().to_owned();
    let folder = support::Folder::new();
    let (copy, data) = (folder.path().join("copy"), mall.folder().data());
    let (over, counted) = (AtomicBool::new(false), AtomicUsize::new(0));
    let gateway = mall.base("gateway").to_owned();
    let before: Vec<Book> = std::thread::scope(|scope| {
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
