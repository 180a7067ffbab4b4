//! A PostgreSQL that is slow, full, or started anew under load, and one that stands still while a mall ends: requests
//! are answered in time, nothing is half done, done twice or lost, and all goes on afterwards.
//!
//! Against a real server: `cargo xtask services install postgres`.

#![cfg(target_os = "linux")]

#[path = "../../events/tests/postgres/server.rs"]
#[allow(dead_code, reason = "the store's own tests use the rest")]
mod server;
#[path = "support/lib.rs"]
mod support;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use server::Server;
use support::books::{self, Client, Shelf};
use support::{
    Call, Customer, Done, Folder, Mall, Random, SOON, eventually, overlay, pause, text, within,
};

/// What is answered while the store is in trouble: not now, or not in time.
const AWAY: [u16; 2] = [503, 504];

/// How long it is slow at least.
const SLOW: Duration = Duration::from_secs(5);

/// Ten times what a process may take to its end: requests, stores.
const ENDED_BY: Duration = Duration::from_secs(270);

/// A customer who asks again with the same key until an order is taken, and then for the next.
struct Insistent {
    who: Customer,
    product: u64,
    asked: u64,
    orders: BTreeSet<u64>,
    refused: u64,
}

impl Insistent {
    fn of(mall: &Mall) -> Insistent {
        let (who, product) = (mall.customer(), mall.product(1_000_000, "cancel"));
        Insistent { who, product, asked: 0, orders: BTreeSet::new(), refused: 0 }
    }

    /// One more order, however often it has to be asked for.
    fn insist(&mut self, gateway: &str) {
        let address = "a".repeat(490);
        let body = json!({"productId": self.product, "quantity": 1, "customerAddr": address});
        let key = format!("k{}", self.asked);
        self.asked += 1;
        let order = within(9 * SOON, "an order is taken", || {
            let call = Call::new("POST", format!("{gateway}/orders")).bearer(&self.who.token);
            let answer = call.json(&body).header("Idempotency-Key", &key).send();
            match answer.status {
                201 => return answer.value()["id"].as_u64(),
                // The first is on its way still.
                409 => {}
                503 => drop(answer.refusal(503)),
                _ => drop(answer.problem(504)),
            }
            self.refused += 1;
            pause(Duration::from_millis(50));
            None
        });
        assert!(self.orders.insert(order), "order {order} was given for two keys");
    }
}

struct Load {
    clients: Vec<Client>,
    shelves: Vec<Shelf>,
    insistent: Insistent,
    admin: String,
}

impl Load {
    fn of(mall: &Mall) -> Load {
        let mut random = Random::announced();
        let (clients, shelves) = (books::clients(mall, &mut random, &AWAY), books::shelves(mall));
        Load { clients, shelves, insistent: Insistent::of(mall), admin: mall.admin().to_owned() }
    }

    /// Goes on for as long as the trouble lasts, and until an order has gone through after it.
    fn during(&mut self, mall: &Mall, trouble: impl FnOnce()) {
        let over = AtomicBool::new(false);
        let (gateway, shelves, admin) = (mall.base("gateway"), &self.shelves, &self.admin);
        std::thread::scope(|scope| {
            for client in &mut self.clients {
                scope.spawn(|| {
                    while !over.load(Ordering::SeqCst) {
                        client.act(gateway, shelves, admin).expect("it is answered");
                    }
                });
            }
            let (insistent, over) = (&mut self.insistent, &over);
            let insists = scope.spawn(move || {
                while !over.load(Ordering::SeqCst) {
                    insistent.insist(gateway);
                }
                insistent.insist(gateway);
            });
            {
                let _done = Done(over);
                trouble();
            }
            insists.join().expect("whoever insists is served");
        });
        within(3 * SOON, "it is ready again", || {
            (mall.at("admin", "GET", "/readyz").send().status == 200).then_some(())
        });
    }

    /// Everything there is, once all has come to rest.
    fn audit(&self, mall: &Mall) {
        within(3 * SOON, "every order is decided and handled", || {
            let quiet = mall.subscriptions().iter().all(|one| one["lag"] == 0);
            (quiet && !books::is_pending(mall)).then_some(())
        });
        mall.settle();
        assert_eq!(mall.dead(), Vec::<Value>::new());
        let all = books::balance(mall, &self.clients, &self.shelves).orders;
        let Insistent { who, product, asked, orders, .. } = &self.insistent;
        let own = all.iter().filter(|(_, order)| order["customerId"] == who.id.as_str());
        let own: BTreeSet<u64> = own.map(|(id, _)| *id).collect();
        assert_eq!(
            (&own, own.len() as u64),
            (orders, *asked),
            "one order for each key, and no other"
        );
        assert_eq!(mall.stock(*product), 1_000_000 - asked);
    }
}

/// Waits until it says that it is not ready.
fn await_unready(mall: &Mall) {
    within(3 * SOON, "readiness says it", || {
        let told = mall.at("admin", "GET", "/readyz").send();
        (told.status == 503 && told.value()["ready"] == false).then_some(())
    });
}

#[test]
fn a_store_that_is_slow_full_or_started_anew_loses_nothing_doubles_nothing_and_ends_no_process_late()
 {
    let Some(folder) = Folder::owned() else { return };
    let mut server = Server::start_on_a_disk();
    let settings = format!("store: \"{}\"\n", server.address());
    let settings = overlay(folder.path(), "trouble.yaml", &settings);
    let arguments = ["-c", text(&settings)];
    let mall = Mall::on(folder, &arguments);
    let mut load = Load::of(&mall);

    // Slow: it stands still for a while, in the middle of everything.
    load.during(&mall, || {
        eventually("there is load", || (!mall.events("order").is_empty()).then_some(()));
        server.signal("-STOP");
        pause(SLOW);
        await_unready(&mall);
        server.signal("-CONT");
    });

    // Full: what needs room is refused, and what is there is read.
    let before = load.insistent.refused;
    load.during(&mall, || {
        server.fill_disk(true);
        within(3 * SOON, "the disk is full", || {
            server.log().contains("No space left on device").then_some(())
        });
        let read = mall.get("/products").send();
        assert_eq!(read.status, 200, "{}\n{}", read.text(), server.log());
        pause(Duration::from_secs(2));
        server.fill_disk(false);
    });
    assert!(load.insistent.refused > before, "orders were refused");

    // Started anew, in both ways that end what is under way.
    for signal in ["-INT", "-QUIT"] {
        load.during(&mall, || {
            pause(Duration::from_secs(1));
            server.end_by(signal);
            await_unready(&mall);
            server.start_again();
        });
    }
    load.audit(&mall);

    // Still, while the mall ends: it does not wait for that.
    let gateway = mall.base("gateway").to_owned();
    let folder = std::thread::scope(|scope| {
        server.signal("-STOP");
        let (who, product) = (load.insistent.who.clone(), load.insistent.product);
        let body = json!({"productId": product, "quantity": 1});
        let call = Call::new("POST", format!("{gateway}/orders")).bearer(&who.token).json(&body);
        let in_flight = scope.spawn(|| call.try_send().map(|answer| answer.status));
        pause(Duration::from_millis(300));
        let (code, folder) = mall.stop_by("TERM", ENDED_BY);
        assert_eq!(code, 0);
        let answered = in_flight.join().expect("it was sent");
        assert!(answered.as_ref().is_ok_and(|status| AWAY.contains(status)), "{answered:?}");
        folder
    });
    server.signal("-CONT");
    let mall = Mall::on(folder, &arguments);
    load.audit(&mall);
}
