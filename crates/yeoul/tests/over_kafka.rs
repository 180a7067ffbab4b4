//! The mall over Kafka: the same services, views and settings, and one line that names the broker.
//!
//! Against a real server: `cargo xtask services install java maven kafka` puts it where it is found.

#[path = "../../brokers/tests/kafka/server.rs"]
#[allow(dead_code, reason = "the broker's own tests use the rest")]
mod server;
#[path = "support/lib.rs"]
mod support;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use server::Server;
use support::{
    Customer, Done, Folder, Mall, Placed, SOON, Sold, eventually, now, overlay, pause, run, text,
    within,
};

/// How long the broker stands still under load.
const AWAY: Duration = Duration::from_secs(10);
/// More than ten times how long it takes until what waited has gone on.
const GOES_ON_BY: Duration = Duration::from_secs(100);

/// Three partitions, so that keys spread.
fn settings(folder: &Folder, address: &str, replicas: u16) -> PathBuf {
    let events = format!(
        "events:\n  broker: {address}\n  prefix: shop.\n  replicas: {replicas}\n  topics:\n    order: {{ partitions: 3 }}\n"
    );
    overlay(folder.path(), "kafka.yaml", &events)
}

#[test]
fn orders_stock_deliveries_and_pages_go_on_through_outages_of_broker_and_mall() {
    let Some(folder) = Folder::owned() else { return };
    let mut server = Server::start();
    let settings = settings(&folder, &server.address(), 1);
    let arguments = ["--faults", "-c", text(&settings)];
    let mall = Mall::on(folder, &arguments);
    let Sold { who, product, placed } = mall.sold();
    let page = mall.page_with(&who, &placed.position);
    assert_eq!(page["orders"][0]["orderId"], placed.id, "{page}");
    let events = mall.events_of("order", placed.id);
    assert_eq!(support::kinds(&events), ["OrderPlaced", "OrderConfirmed"]);
    // The transaction is found there, partition by partition.
    let name = format!("order/{}", events[0]["id"].as_str().expect("an id"));
    eventually("its delivery is in its tree", || {
        let trace = mall.get(&format!("/events/trace/{name}")).bearer(mall.admin());
        let trace = trace.send().expect(200).value();
        let steps = trace["steps"].as_array().expect("steps");
        let kinds: Vec<&str> = steps.iter().filter_map(|step| step["type"].as_str()).collect();
        (kinds[..2] == ["OrderPlaced", "StockDecreased"] && kinds.contains(&"DeliveryStarted"))
            .then_some(())
    });
    let data = mall.folder().data();
    let found = run(&["doctor", "--data", text(&data)]).expect(0).stdout;
    assert!(found.contains("memory of at least 1 of 1 servers"), "{found}");

    // One moment of the folder is none of the topics.
    let copy = mall.folder().path().join("copy");
    let refused = run(&["backup", text(&copy), "--data", text(&data)]).expect(3);
    assert!(refused.stderr.contains("pg_dump"), "{}", refused.stderr);
    assert!(!copy.exists(), "nothing is begun");

    // The broker stands still: orders are taken all the same, for as long as it does, and go on when it does.
    server.signal("-STOP");
    let (end, mut waiting) = (now() + AWAY, Vec::new());
    while now() < end {
        waiting.push(mall.order(&who, product, 1));
        pause(Duration::from_millis(200));
    }
    assert!(waiting.iter().all(|order| order.body["state"] == "PENDING"));
    server.signal("-CONT");
    waiting.iter().for_each(|order| settles(&mall, order.id));
    let sold = 2 + waiting.len() as u64;

    // Both are gone at once, in the middle of something.
    let begun = mall.order(&who, product, 1);
    let folder = mall.kill();
    server.kill();
    server.start_again();
    let mall = Mall::on(folder, &arguments);
    mall.await_order(begun.id, "OrderPlaced");
    mall.await_row(&who, begun.id, ("OrderPlaced", Some("DeliveryStarted")));
    mall.await_caught_up();
    mall.await_stock(product, 100 - sold - 1);
    assert_eq!(mall.dead(), Vec::<Value>::new());

    // On an operator's word all is read again, and changes nothing.
    let data = mall.folder().data();
    let place = |name: &str, to: &[&str]| {
        run(&[&["events", "place", name, "--data", text(&data), "--to"], to].concat())
    };
    let told = place("product.order", &["beginning"]).expect(0).stdout;
    assert!(told.contains("reads on from the beginning"), "{told}");
    place("product.nobody", &["beginning"]).expect(1);
    place("product.order", &["middle"]).expect(1);
    place("product.order", &[]).expect(2);
    place("product.order", &["t9999.order"]).expect(1);
    let refused = place("product.order", &["end", "--partition", "9"]).expect(1);
    assert!(refused.stderr.contains("partition is none of the topic's"), "{}", refused.stderr);
    mall.await_caught_up();
    // In one partition alone, at a time, behind an event: what was received is received.
    for to in [&["end", "--partition", "1"][..], &["2024-05-01T12:00:00Z"], &["t1.order"]] {
        place("product.order", to).expect(0);
    }
    mall.await_caught_up();
    mall.await_stock(product, 100 - sold - 1);
    let (code, folder) = mall.stop_by("TERM", SOON);
    assert_eq!(code, 0);
    assert!(!folder.data().join("log").exists(), "no event is beside the program");
    run(&["doctor", "--data", text(&folder.data())]).expect(0);
}

/// An order that waited for the broker is decided.
fn settles(mall: &Mall, order: u64) {
    within(GOES_ON_BY, "what waited goes on", || {
        (mall.order_now(order)["state"] == "OrderPlaced").then_some(())
    });
}

/// What keeps a relay or a subscription of this name from going on.
fn stuck(mall: &Mall, list: &str, name: &str) -> Option<String> {
    let answer = mall.at("admin", "GET", list).send();
    // Kafka may give no answer for a moment, and is asked again.
    let all = (answer.status == 200).then(|| answer.value())?;
    let one = all.as_array()?.iter().find(|one| one["name"] == name)?.clone();
    one["stuck"].as_str().map(str::to_owned)
}

/// An order whose event is larger than others': with the longest name and address there may be.
fn large_order(mall: &Mall, who: &Customer, product: u64) -> Placed {
    let (name, address) = ("\u{1f3e0}".repeat(200), "\u{1f3e0}".repeat(500));
    let body = json!({
        "productId": product, "quantity": 1, "customerName": name, "customerAddr": address,
    });
    Placed::of(&mall.ordering(who, &body).send().expect(201))
}

#[test]
fn what_too_few_servers_would_have_waits_and_what_is_too_large_is_a_letter() {
    let Some(folder) = Folder::owned() else { return };
    let server = Server::start();
    let mut second = server.start_beside();
    let settings = settings(&folder, &server.address(), 2);
    let mall = Mall::on(folder, &["--faults", "-c", text(&settings)]);
    let Sold { who, product, .. } = mall.sold();

    // Fewer servers have it than the topic asks for: orders are taken, and the relay says why they wait.
    server.alter("shop.order", "min.insync.replicas=2");
    second.kill();
    let waits = mall.order(&who, product, 1);
    within(GOES_ON_BY, "the relay says why it waits", || {
        let why = stuck(&mall, "/admin/relays", "outbox.order")?;
        why.contains("1 of the 2 servers that have the partition are in sync").then_some(())
    });
    let taken = mall.order(&who, product, 1);
    assert_eq!(mall.order_now(waits.id)["state"], "PENDING");
    second.start_again();
    [&waits, &taken].into_iter().for_each(|order| settles(&mall, order.id));
    eventually("nothing waits", || {
        stuck(&mall, "/admin/relays", "outbox.order").is_none().then_some(())
    });

    // One that is too large for the topic is a letter of its outbox, and those behind it go on.
    server.alter("shop.order", "max.message.bytes=2500");
    let large = large_order(&mall, &who, product);
    let behind = mall.order(&who, product, 1);
    settles(&mall, behind.id);
    let letter = within(GOES_ON_BY, "it is a letter", || mall.dead().pop());
    assert_eq!(letter["key"], large.id.to_string(), "{letter}");
    assert!(
        letter["reason"].as_str().is_some_and(|it| it.contains("max.message.bytes")),
        "{letter}"
    );
    assert_eq!(mall.order_now(large.id)["state"], "PENDING");
    server.alter("shop.order", "max.message.bytes=100000");
    eventually("the topic takes it again", || {
        let again = mall.redrive(letter["id"].as_str().expect("an id"));
        pause(Duration::from_secs(1));
        (again.status == 202 && mall.dead().is_empty()).then_some(())
    });
    settles(&mall, large.id);
    mall.await_stock(product, 100 - 2 - 4);
}

/// A folder of before is put back while the topics went on: what was numbered since is there, and not in the folder.
#[test]
fn a_folder_that_was_put_back_gives_no_number_again_and_says_what_it_lost() {
    let Some(folder) = Folder::owned() else { return };
    let server = Server::start();
    let settings = settings(&folder, &server.address(), 1);
    let arguments = ["--faults", "-c", text(&settings)];
    let mall = Mall::on(folder, &arguments);
    let Sold { who, product, placed } = mall.sold();
    let (_, mut folder) = mall.stop_by("TERM", SOON);
    let (kept, data) = (folder.path().join("kept"), folder.data());
    copied(&data, &kept);

    let mut last = placed.id;
    // As it went on, then put back, and put back once more: the topics have what the first copy numbered, too.
    for round in 0..3 {
        let mall = Mall::on(folder, &arguments);
        let since: Vec<_> = (0..3).map(|_| mall.order(&who, product, 1)).collect();
        since.iter().for_each(|order| mall.await_order(order.id, "OrderPlaced"));
        assert!(since.iter().all(|order| order.id > last), "{round}: {last}, {:?}", since[0].id);
        mall.await_row(&who, since[2].id, ("OrderPlaced", Some("DeliveryStarted")));
        last = since[2].id;
        let notes = mall.at("admin", "GET", "/admin/skipped").send().expect(200).text();
        assert_eq!(notes.contains("put back"), round > 0, "{notes}");
        let (_, stopped) = mall.stop_by("TERM", SOON);
        let found = run(&["doctor", "--data", text(&data)]).expect(0).stdout;
        assert!(!found.contains("one story"), "there is no log to compare with: {found}");
        std::fs::remove_dir_all(&data).expect("removed");
        copied(&kept, &data);
        folder = stopped;
    }
}

/// Every subscription that stands where the topic is no more is told to begin again, as it says itself.
fn begin_again(mall: &Mall) {
    let (data, answer) = (mall.folder().data(), mall.at("admin", "GET", "/admin/subscriptions"));
    let answer = answer.send();
    // Kafka may give no answer for a moment, and is asked again.
    let all = if answer.status == 200 { answer.value() } else { json!([]) };
    for one in all.as_array().expect("a list") {
        let name = one["name"].as_str().expect("a name");
        let is_gone = one["stuck"].as_str().is_some_and(|why| why.contains("events place"));
        if is_gone {
            run(&["events", "place", name, "--data", text(&data), "--to", "beginning"]).expect(0);
        }
    }
}

#[test]
fn a_topic_that_is_made_anew_under_load_is_published_to_and_read_on_by_the_commands_that_are_told()
{
    let Some(folder) = Folder::owned() else { return };
    let server = Server::start();
    let settings = settings(&folder, &server.address(), 1);
    let mall = Mall::on(folder, &["--faults", "-c", text(&settings)]);
    let (who, product) = (mall.customer(), mall.product(1_000_000, "cancel"));
    mall.delivered(&who, product, 1);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _done = Done(&over);
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                mall.order(&who, product, 1);
                pause(Duration::from_millis(20));
            }
        });
        pause(AWAY);
        topics(&server, &["--delete", "--topic", "shop.order"]);
        pause(Duration::from_secs(2));
        let made = ["--create", "--topic", "shop.order", "--partitions", "3"];
        let kept = ["--config", "retention.ms=-1", "--config", "max.message.bytes=2097152"];
        eventually("the old one is gone", || server.ask(TOPICS, &[&made[..], &kept].concat()).ok());
        // As many as it takes for one in each partition.
        for _ in 0..9 {
            let order = mall.order(&who, product, 1);
            within(GOES_ON_BY, "it is decided", || {
                begin_again(&mall);
                let state = mall.order_now(order.id)["state"].clone();
                (state == "OrderPlaced").then_some(())
            });
        }
    });
    within(GOES_ON_BY, "nothing waits to be published", || {
        let relays = mall.at("admin", "GET", "/admin/relays").send().value();
        relays.as_array()?.iter().all(|relay| relay["lag"] == 0).then_some(())
    });
    assert_eq!(stuck(&mall, "/admin/relays", "outbox.order"), None);
}

/// Kafka's own tool.
const TOPICS: &str = "org.apache.kafka.tools.TopicCommand";

fn topics(server: &Server, arguments: &[&str]) {
    server.ask(TOPICS, arguments).expect("it is done");
}

/// Two folders of one service would number over one another.
#[test]
fn a_folder_whose_topics_another_one_publishes_to_is_refused_and_nothing_is_done_to_either() {
    let Some(folder) = Folder::owned() else { return };
    let server = Server::start();
    let settings = settings(&folder, &server.address(), 1);
    let mall = Mall::on(folder, &["--faults", "-c", text(&settings)]);
    let Sold { who, product, .. } = mall.sold();
    let second = mall.folder().path().join("second");
    let start = |data: &std::path::Path| {
        run(&["mall", "--listen", "127.0.0.1:0", "-c", text(&settings), "--data", text(data)])
    };
    let refused = start(&second).expect(3);
    let says = "another folder publishes as this service. service=`";
    assert!(refused.stderr.contains(says), "{}", refused.stderr);
    assert!(refused.last_word().contains("set another `events.prefix`"), "{}", refused.stderr);
    assert!(!second.join("order").exists(), "nothing is begun");
    // Of two copies that run at once each gives the next number, to an event of its own.
    let (_, folder) = mall.stop_by("TERM", SOON);
    let beside = Folder::new();
    copied(&folder.data(), &beside.data());
    let arguments = ["--faults", "-c", text(&settings)];
    let (one, other) = (Mall::on(folder, &arguments), Mall::on(beside, &arguments));
    for mall in [&one, &other] {
        mall.order(&who, product, 1);
        within(GOES_ON_BY, "it is published", || {
            let relays = mall.at("admin", "GET", "/admin/relays").send().value();
            relays.as_array()?.iter().all(|relay| relay["lag"] == 0).then_some(())
        });
    }
    let (_, folder) = one.stop_by("TERM", SOON);
    drop(other.stop_by("TERM", SOON));
    let refused = start(&folder.data()).expect(3);
    assert!(refused.stderr.contains(says), "{}", refused.stderr);
}

fn copied(from: &std::path::Path, to: &std::path::Path) {
    let copy = std::process::Command::new("cp").arg("-a").args([from, to]).status();
    assert!(copy.expect("cp").success());
}

#[test]
fn a_broker_that_cannot_be_used_ends_the_start_and_names_what_helps() {
    let Some(folder) = Folder::owned() else { return };
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let nobody = format!("kafka://{}", free.local_addr().expect("an address"));
    drop(free);
    let settings = settings(&folder, &nobody, 1);
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
