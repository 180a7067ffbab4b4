//! The mall over Kafka: the same services, views and settings, and one line that names the broker.
//!
//! Against a real server: `cargo xtask services install java maven kafka` puts it where it is found.

#[path = "../../brokers/tests/kafka/server.rs"]
#[allow(dead_code, reason = "the broker's own tests use the rest")]
mod server;
#[path = "support/lib.rs"]
mod support;

use std::path::PathBuf;

use server::Server;
use support::{Folder, Mall, SOON, Sold, overlay, run, text};

/// Three partitions, so that keys spread.
fn settings(folder: &Folder, address: &str) -> PathBuf {
    let events = format!(
        "events:\n  broker: {address}\n  prefix: shop.\n  replicas: 1\n  topics:\n    order: {{ partitions: 3 }}\n"
    );
    overlay(folder.path(), "kafka.yaml", &events)
}

#[test]
fn orders_stock_deliveries_and_pages_go_on_through_outages_of_broker_and_mall() {
    let Some(folder) = Folder::owned() else { return };
    let mut server = Server::start();
    let settings = settings(&folder, &server.address());
    let arguments = ["--faults", "-c", text(&settings)];
    let mall = Mall::on(folder, &arguments);
    let Sold { who, product, placed } = mall.sold();
    let page = mall.page_with(&who, &placed.position);
    assert_eq!(page["orders"][0]["orderId"], placed.id, "{page}");
    let events = mall.events_of("order", placed.id);
    assert_eq!(support::kinds(&events), ["OrderPlaced", "OrderConfirmed"]);
    let data = mall.folder().data();
    let found = run(&["doctor", "--data", text(&data)]).expect(0).stdout;
    assert!(found.contains("memory of at least 1 of 1 servers"), "{found}");

    // One moment of the folder is none of the topics.
    let copy = mall.folder().path().join("copy");
    let refused = run(&["backup", text(&copy), "--data", text(&data)]).expect(3);
    assert!(refused.stderr.contains("pg_dump"), "{}", refused.stderr);
    assert!(!copy.exists(), "nothing is begun");

    // The broker stands still: orders are taken all the same, and go on when it does.
    server.signal("-STOP");
    let waiting: Vec<_> = (0..3).map(|_| mall.order(&who, product, 1)).collect();
    assert!(waiting.iter().all(|order| order.body["state"] == "PENDING"));
    server.signal("-CONT");
    waiting.iter().for_each(|order| mall.await_order(order.id, "OrderPlaced"));

    // Both are gone at once, in the middle of something.
    let begun = mall.order(&who, product, 1);
    let folder = mall.kill();
    server.kill();
    server.start_again();
    let mall = Mall::on(folder, &arguments);
    mall.await_order(begun.id, "OrderPlaced");
    mall.await_row(&who, begun.id, ("OrderPlaced", Some("DeliveryStarted")));
    mall.await_caught_up();
    mall.await_stock(product, 100 - 2 - 3 - 1);
    assert_eq!(mall.dead(), Vec::<serde_json::Value>::new());

    // On an operator's word all is read again, and changes nothing.
    let data = mall.folder().data();
    let place =
        |name: &str| run(&["events", "place", name, "--to", "beginning", "--data", text(&data)]);
    assert!(place("product.order").expect(0).stdout.contains("reads on from the beginning"));
    place("product.nobody").expect(1);
    mall.await_caught_up();
    mall.await_stock(product, 100 - 2 - 3 - 1);
    let (code, folder) = mall.stop_by("TERM", SOON);
    assert_eq!(code, 0);
    assert!(!folder.data().join("log").exists(), "no event is beside the program");
    run(&["doctor", "--data", text(&folder.data())]).expect(0);
}

#[test]
fn a_broker_that_cannot_be_used_ends_the_start_and_names_what_helps() {
    let Some(folder) = Folder::owned() else { return };
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let nobody = format!("kafka://{}", free.local_addr().expect("an address"));
    drop(free);
    let settings = settings(&folder, &nobody);
    let data = folder.data();
    let start = ["mall", "--listen", "127.0.0.1:0", "--data", text(&data), "-c", text(&settings)];
    let refused = run(&start).expect(3);
    assert!(refused.stderr.contains(&nobody), "{}", refused.stderr);

    // Events that are beside the program are not left behind in silence.
    let mall = Mall::on(folder, &[]);
    let (_, folder) = mall.stop_by("TERM", SOON);
    let refused = run(&start).expect(3);
    assert!(refused.stderr.contains("in a log of its own"), "{}", refused.stderr);
    drop(folder);
}
