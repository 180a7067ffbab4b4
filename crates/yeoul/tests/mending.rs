//! What an operator does when something is hurt or was given up: named by the status, done by a command,
//! written down.

#[path = "support/lib.rs"]
mod support;

use std::path::Path;

use serde_json::{Value, json};
use support::{
    Answer, Call, Folder, Mall, SOON, Sold, Started, eventually, eventually_is, is_elsewhere,
    overlay, run, text,
};

/// Changes one byte of the record that holds `needle`, in a file that nobody has open.
fn hurt(file: &Path, needle: &str) {
    let mut bytes = std::fs::read(file).expect("the file is there");
    let places: Vec<usize> = bytes
        .windows(needle.len())
        .enumerate()
        .filter(|(_, window)| *window == needle.as_bytes())
        .map(|(at, _)| at)
        .collect();
    assert!(!places.is_empty(), "`{needle}` is in the file");
    for at in places {
        // Inside the text: the record still is JSON.
        bytes[at + needle.len() - 2] ^= 1;
    }
    std::fs::write(file, bytes).expect("the file is written");
}

/// An order that everybody knows of but the service that has the stock, which rests.
fn ordered_without_product(mall: &Mall) -> Sold {
    let (who, product) = (mall.customer(), mall.product(10, "cancel"));
    mall.settle();
    mall.stop("product");
    let placed = mall.order(&who, product, 1);
    eventually("my page has the order", || mall.row(&who, placed.id));
    Sold { who, product, placed }
}

#[test]
fn a_hurt_record_is_skipped_in_a_resting_folder_and_the_mall_starts_and_tells() {
    let Some(mall) = Mall::owned(&["--faults"]) else { return };
    let Sold { who, product, placed } = ordered_without_product(&mall);
    let behind = |name: &str| {
        let all = mall.subscriptions();
        all.iter().find(|one| one["name"] == name).expect("a subscription")["lag"].clone()
    };
    eventually_is("product is behind by it", &json!(1), || behind("product.order"));
    eventually_is("delivery is not", &json!(0), || behind("delivery.order"));
    let (code, folder) = mall.stop_by("TERM", 2 * SOON);
    assert_eq!(code, 0);
    let data = folder.data();
    let skip = |name: &str| run(&["events", "skip", name, "--data", text(&data)]);
    skip("product.order").expect(1);
    skip("outbox.order").expect(1);
    skip("nosuch.order").expect(1);
    skip("order").expect(1);

    hurt(&data.join("log/log.db"), &format!("\"customerId\":\"{}\"", who.id));
    let skipped = skip("product.order").expect(0).stdout;
    assert!(skipped.contains("product.order record") && skipped.contains("uid-"), "{skipped}");
    skip("product.order").expect(1);

    let mall = Mall::on(folder, &["--faults"]);
    let listed = run(&["dead", "list", "--data", text(&data)]).expect(0).stdout;
    assert!(listed.contains(skipped.trim()), "{listed}");
    let report = run(&["doctor", "--data", text(&data)]);
    assert!(report.stdout.contains(skipped.trim()), "{report:?}");
    mall.at("admin", "POST", "/admin/skip/product.order").send().problem(409);
    mall.at("admin", "POST", "/admin/skip/nosuch").send().problem(404);
    run(&["events", "skip", "product.order", "--data", text(&data)]).expect(1);
    // Who reads the topic from outside passes what a subscription was made to step over.
    let given = mall.events("order");
    assert!(given.iter().all(|event| event["data"]["orderId"] != placed.id), "it is not given");
    // Only the order that was skipped is untouched; others go on.
    let next = mall.order(&who, product, 1);
    mall.await_order(next.id, "OrderPlaced");
}

#[test]
fn what_is_skipped_in_a_later_partition_is_named_with_it() {
    if is_elsewhere() {
        return;
    }
    let folder = Folder::new();
    let settings = "events:\n  topics:\n    order: { partitions: 4 }\n";
    let settings = overlay(folder.path(), "partitions.yaml", settings);
    let data = folder.data();
    let mall = Mall::on(folder, &["--faults", "-c", text(&settings)]);
    let product = mall.product(100, "cancel");
    mall.settle();
    mall.stop("product");
    let later = (0..16).find_map(|_| {
        let who = mall.customer();
        let placed = mall.order(&who, product, 1);
        let partition = placed.position.strip_prefix('w')?.split_once('-')?.0.to_owned();
        Some((who, placed, partition))
    });
    let (who, placed, partition) = later.expect("one of them is in a later partition");
    eventually("my page has the order", || mall.row(&who, placed.id));
    let (_, folder) = mall.stop_by("TERM", 2 * SOON);
    hurt(&data.join("log/log.db"), &format!("\"customerId\":\"{}\"", who.id));
    let skipped = run(&["events", "skip", "product.order", "--data", text(&data)]).expect(0).stdout;
    assert!(skipped.contains(&format!(" of partition {partition}  event ")), "{skipped}");

    let mall = Mall::on(folder, &["--faults", "-c", text(&settings)]);
    let report = run(&["doctor", "--data", text(&data)]);
    assert!(report.stdout.contains(skipped.trim()), "{report:?}");
    let next = mall.order(&who, product, 1);
    mall.await_order(next.id, "OrderPlaced");
}

#[test]
fn a_reader_from_outside_is_told_where_a_record_is_hurt_and_goes_on_behind_it() {
    let Some(mall) = Mall::owned(&["--faults"]) else { return };
    let (who, product) = (mall.customer(), mall.product(10, "cancel"));
    mall.settle();
    let early = mall.events("order").len();
    let placed = mall.delivered(&who, product, 1);
    mall.settle();
    let all = mall.events("order");
    let (code, folder) = mall.stop_by("TERM", 2 * SOON);
    assert_eq!(code, 0);
    let data = folder.data();
    hurt(&data.join("log/log.db"), &format!("\"customerId\":\"{}\"", who.id));
    let is_hurt = |event: &Value| event["data"]["customerId"] == who.id.as_str();
    let hurt = all.iter().filter(|event| is_hurt(event)).count();
    assert!(hurt >= 2, "placed and confirmed");
    // Neighbours that are hurt in the same way are one damage.
    let damages = all.chunk_by(|one, next| is_hurt(one) == is_hurt(next));
    let damages = damages.filter(|chunk| is_hurt(&chunk[0])).count();
    let skip = |name: &str| run(&["events", "skip", name, "--data", text(&data)]);
    skip("log.delivery").expect(0);
    skip("log.nosuch").expect(1);

    // Everybody here has read it already: the mall is ready, and outsiders are report.
    let mall = Mall::on(folder, &["--faults"]);
    let before = mall.batch("order", "?limit=1000").expect(200).value();
    let before = before.as_array().expect("a batch").clone();
    assert_eq!(before.len(), early, "everything before it is given");
    let from = before.last().map_or("beginning", |event| event["position"].as_str().expect("it"));
    let read = |from: &str| mall.batch("order", &format!("?from={from}&limit=1000"));
    let detail = read(from).problem(500)["detail"].as_str().expect("a detail").to_owned();
    let first = format!("offset {} ", early + 1);
    assert!(detail.contains(&first), "{detail}");
    assert!(detail.contains("`yeoul events skip log.order`"), "{detail}");
    let behind = detail.split("from=").nth(1).and_then(|rest| rest.split(',').next()).expect("it");
    let asked = read(behind);
    let goes_on = |answer: &Answer| answer.status == 200 || !answer.text().contains(&first);
    assert!(goes_on(&asked), "behind it");

    for _ in 0..damages {
        let skipped = skip("log.order").expect(0).stdout;
        assert!(skipped.contains("log.order record"), "{skipped}");
        assert!(goes_on(&read(from)), "past it");
    }
    skip("log.order").expect(1);
    let given = mall.events("order");
    assert_eq!(given.len(), all.len() - hurt, "all but what is hurt");
    assert!(!given.iter().any(|event| event["data"]["orderId"] == placed.id));
    for event in mall.events("delivery") {
        assert_ne!(event["data"]["orderId"], placed.id, "stepped over while it rested");
    }
    let listed = run(&["dead", "list", "--data", text(&data)]).expect(0).stdout;
    assert_eq!(listed.matches("skipped  log.order record").count(), damages, "{listed}");
    assert_eq!(listed.matches("skipped  log.delivery record").count(), 1, "{listed}");
}

#[test]
fn a_start_that_is_stuck_is_not_ready_and_names_the_command_that_makes_it_so() {
    let Some(mall) = Mall::owned(&["--faults"]) else { return };
    let Sold { who, .. } = ordered_without_product(&mall);
    let (code, folder) = mall.stop_by("TERM", 2 * SOON);
    assert_eq!(code, 0);
    let data = folder.data();
    hurt(&data.join("log/log.db"), &format!("\"customerId\":\"{}\"", who.id));
    let healthy = run(&["doctor", "--data", text(&data)]).expect(3).stdout;
    assert!(healthy.contains("ok    agreement") && healthy.contains("WRONG log"), "{healthy}");

    while_starting(&data, |admin, ready| {
        let readyz = || Call::new("GET", format!("{admin}/readyz")).send();
        eventually("it says what is stuck", || {
            let answer = readyz();
            let missing = answer.value()["missing"]["product.order"].as_str()?.to_owned();
            assert_eq!(answer.status, 503);
            assert!(missing.contains("`yeoul events skip product.order`"), "{missing}");
            Some(())
        });
        let skipped = run(&["events", "skip", "product.order", "--data", text(&data)]).expect(0);
        assert!(!skipped.stdout.contains("event unknown"), "{}", skipped.stdout);
        ready();
        assert_eq!(readyz().status, 200);
        run(&["events", "skip", "product.order", "--data", text(&data)]).expect(1);
    });
}

#[test]
fn pages_are_stale_while_their_fold_is_stuck_on_an_event_and_no_longer() {
    let Some(mall) = Mall::owned(&["--faults"]) else { return };
    let (who, other) = (mall.customer(), mall.customer());
    let product = mall.product(10, "cancel");
    let kept = mall.delivered(&other, product, 1);
    mall.settle();
    mall.stop("mypage");
    let placed = mall.order(&who, product, 1);
    mall.await_delivery(placed.id, "DeliveryStarted");
    // Whoever else reads the order's events has done so before they are hurt.
    eventually("only my page is behind", || {
        let behind = |one: &&Value| one["lag"] != 0;
        let all = mall.subscriptions();
        let pages = |one: &Value| one["name"].as_str().is_some_and(|it| it.starts_with("mypage."));
        all.iter().filter(behind).all(pages).then_some(())
    });
    let (code, folder) = mall.stop_by("TERM", 2 * SOON);
    assert_eq!(code, 0);
    let data = folder.data();
    hurt(&data.join("log/log.db"), &format!("\"customerId\":\"{}\"", who.id));
    while_starting(&data, |admin, ready| {
        let since = || Call::new("GET", format!("{admin}/admin/views")).send().value();
        // Nobody has switched my page off: it is the fold that stands still.
        let stale_since =
            eventually("the pages are stale", || since()["staleSince"].as_str().map(str::to_owned));
        assert!(stale_since.contains('T') && stale_since.len() >= 20, "RFC 3339: {stale_since}");
        // Every event that names the customer is hurt: they are stepped over one at a time.
        eventually("it is ready", || {
            for name in ["mypage.order", "mypage.delivery"] {
                let skipped = run(&["events", "skip", name, "--data", text(&data)]);
                assert!([0, 1].contains(&skipped.code), "{skipped:?}");
            }
            let readyz = Call::new("GET", format!("{admin}/readyz")).send();
            (readyz.status == 200).then_some(())
        });
        let line = ready();
        eventually("the pages follow again", || since()["staleSince"].is_null().then_some(()));
        let gateway = line["gateway"].as_str().expect("a gateway");
        let page = Call::new("GET", format!("{gateway}/mypages/{}", other.id)).bearer(&other.token);
        let page = page.header("accept", "application/json").send().expect(200);
        assert_eq!(page.header("yeoul-stale-since"), None);
        assert_eq!(page.value()["orders"][0]["orderId"], kept.id);
    });
}

/// A mall that starts on `data`, and may have to be helped before it is ready: `act` is given its admin
/// listener and what waits for its ready line.
fn while_starting(data: &Path, act: impl FnOnce(&str, &mut dyn FnMut() -> Value)) {
    let mut program =
        Started::new(&["mall", "--data", text(data), "--listen", "127.0.0.1:0", "--json"]);
    let pid = program.pid();
    let admin = eventually("its admin listener", || {
        let held: Value = serde_json::from_slice(&std::fs::read(data.join("lock")).ok()?).ok()?;
        // The one before has left its own there.
        let admin = held["admin"].as_str().filter(|_| held["pid"] == pid)?;
        Some(format!("http://{admin}"))
    });
    act(&admin, &mut || program.ready());
}

#[test]
fn a_relay_that_is_stuck_is_told_by_readiness_metric_and_doctor_until_it_is_stepped_over() {
    let Some(mall) = Mall::owned(&["--faults"]) else { return };
    let (who, product) = (mall.customer(), mall.product(100, "cancel"));
    mall.settle();
    mall.fault("order", &json!({"relay": "off"}));
    mall.order(&who, product, 77);
    let next = mall.order(&who, product, 1);
    let (code, folder) = mall.stop_by("TERM", 2 * SOON);
    assert_eq!(code, 0);
    let data = folder.data();
    // The colon: what is left is no JSON.
    hurt(&data.join("order/service.db"), "\"quantity\":7");
    while_starting(&data, |admin, ready| {
        let get = |path: &str| Call::new("GET", format!("{admin}{path}")).send();
        let metric = |value: u8| {
            let metrics = get("/metrics").expect(200).text();
            metrics.contains(&format!("yeoul_relay_stuck{{relay=\"outbox.order\"}} {value}"))
        };
        let why = eventually("it says what is stuck", || {
            let answer = get("/readyz");
            let missing = answer.value()["missing"]["outbox.order"].as_str()?.to_owned();
            assert_eq!(answer.status, 503);
            Some(missing)
        });
        assert!(why.contains("`yeoul events skip outbox.order`"), "{why}");
        assert!(metric(1));
        let relays = get("/admin/relays").expect(200).value();
        let status = (&relays[0]["stuck"], &relays[0]["lag"]);
        assert_eq!(status, (&json!(why), &json!(2)), "{relays}");
        let report = run(&["doctor", "--data", text(&data)]).expect(3).stdout;
        let line = report.lines().find(|line| line.contains("WRONG outbox.order: stuck since"));
        assert!(
            line.is_some_and(|line| line.contains("`yeoul events skip outbox.order`")),
            "{report}"
        );

        let skipped = run(&["events", "skip", "outbox.order", "--data", text(&data)]).expect(0);
        assert!(skipped.stdout.contains("outbox.order outbox"), "{}", skipped.stdout);
        ready();
        assert_eq!(get("/readyz").status, 200);
        eventually("all of it is relayed", || metric(0).then_some(()));
        let report = run(&["doctor", "--data", text(&data)]).expect(0).stdout;
        assert!(report.contains("ok    outbox.order: 0 events wait"), "{report}");
    });
    let mall = Mall::on(folder, &["--faults"]);
    mall.await_order(next.id, "OrderPlaced");
}

#[test]
fn a_letter_is_dropped_beside_the_process_and_written_down() {
    let Some(mall) = Mall::owned(&["--faults"]) else { return };
    let data = mall.folder().data();
    let (who, product) = (mall.customer(), mall.product(10, "cancel"));
    let fault = json!({"on": "OrderPlaced", "match": {"customerId": who.id}, "fail_rate": 1});
    mall.fault("product", &fault);
    mall.order(&who, product, 1);
    let letter = eventually("a dead letter", || mall.dead().into_iter().next());
    let id = letter["id"].as_str().expect("an id");
    // Whatever is typed is a name that nothing has, and no other path.
    for odd in ["nosuch.letter.1", "no such letter", "a/b", "a?by=somebody", "..", "가", "%"] {
        for verb in ["show", "redrive", "drop"] {
            run(&["dead", verb, odd, "--data", text(&data)]).expect(1);
        }
        run(&["events", "tail", odd, "--no-follow", "--data", text(&data)]).expect(1);
    }
    run(&["dead", "drop", id, "--data", text(&data)]).expect(0);
    assert!(mall.dead().is_empty());
    let listed = run(&["dead", "list", "--data", text(&data)]).expect(0).stdout;
    assert!(listed.contains("skipped  product.order letter"), "{listed}");
}

#[test]
fn every_relay_tells_how_it_is() {
    let Some(mall) = Mall::owned(&["--faults"]) else { return };
    let relays = mall.relays();
    let names: Vec<&str> = relays.iter().filter_map(|it| it["name"].as_str()).collect();
    assert_eq!(names, ["outbox.order", "outbox.product", "outbox.delivery", "outbox.account"]);
    for relay in relays {
        assert_eq!((&relay["lag"], relay["stuck"].is_null()), (&json!(0), true), "{relay}");
    }
    let metrics = mall.at("admin", "GET", "/metrics").send().expect(200).text();
    for metric in ["yeoul_relay_lag_events", "yeoul_relay_stuck"] {
        assert!(metrics.contains(&format!("{metric}{{relay=\"outbox.order\"}} 0")), "{metrics}");
    }
    let report = run(&["doctor", "--data", text(&mall.folder().data())]).expect(0);
    assert!(report.stdout.contains("ok    outbox.order: 0 events wait"), "{}", report.stdout);
    // One that rests on purpose is behind, and not stuck.
    let (who, product) = (mall.customer(), mall.product(10, "cancel"));
    mall.fault("order", &json!({"relay": "off"}));
    mall.order(&who, product, 1);
    eventually_is("it waits", &json!(1), || mall.relays()[0]["lag"].clone());
    mall.at("admin", "GET", "/readyz").send().expect(200);
}

/// How many letters a command says in its last line.
fn last_line(output: &str) -> &str {
    output.trim_end().lines().last().unwrap_or_default()
}

#[test]
fn letters_are_listed_redriven_and_dropped_by_what_they_have_in_common() {
    let Some(folder) = Folder::owned() else { return };
    let data = folder.data();
    let mall = Mall::on(folder, &["--faults"]);
    let dead = |what: &[&str]| {
        let mut arguments = vec!["dead"];
        arguments.extend(what);
        arguments.extend(["--data", text(&data)]);
        run(&arguments)
    };
    let product = mall.product(100, "cancel");
    mall.settle();
    mall.fault("delivery", &json!({"on": "OrderConfirmed", "fail_rate": 1}));
    let placed: Vec<_> = (0..4).map(|_| mall.order(&mall.customer(), product, 1)).collect();
    eventually_is("dead letters", &4, || mall.dead().len());

    // What is misspelt, or says nothing, does nothing.
    for (query, field) in [("", "all"), ("keys=1", "keys"), ("key=1&limit=1001", "limit")] {
        let refused =
            mall.at("admin", "POST", &format!("/admin/dead/drop?{query}")).send().problem(400);
        assert_eq!(refused["errors"][0]["field"], field, "{refused}");
    }
    dead(&["drop"]).expect(2);
    dead(&["drop", "delivery.order.1", "--all"]).expect(2);
    dead(&["redrive", "--subscription", "delivery.orders"]).expect(1);
    mall.at("admin", "GET", "/admin/dead?keys=1").send().problem(400);
    let key = placed[0].id.to_string();
    let listed = dead(&["list", "--key", &key]).expect(0).stdout;
    assert_eq!(listed.lines().count(), 1, "{listed}");
    assert!(listed.contains(&format!("key {key} ")), "{listed}");
    let shown =
        dead(&["drop", "--type", "OrderConfirmed", "--limit", "3", "--dry-run"]).expect(0).stdout;
    assert_eq!(
        (shown.lines().count(), last_line(&shown)),
        (4, "3 would be done, 1 left"),
        "{shown}"
    );
    assert_eq!(dead(&["redrive", "--until", "1h"]).expect(0).stdout.trim(), "0 redriven, 0 left");
    assert_eq!(mall.dead().len(), 4, "nothing was done");

    let dropped = dead(&["drop", "--key", &key, "--reason", "fault"]).expect(0).stdout;
    assert_eq!(last_line(&dropped), "1 dropped, 0 left");
    let notes = mall.at("admin", "GET", "/admin/skipped").send().expect(200).value();
    assert_eq!((&notes[0]["key"], &notes[0]["kind"]), (&json!(key), &json!("letter")), "{notes}");
    assert!(notes[0]["by"].as_str().is_some_and(|by| by.starts_with("uid-")), "{notes}");
    mall.mend("delivery");
    let some =
        dead(&["redrive", "--subscription", "delivery.order", "--limit", "2"]).expect(0).stdout;
    assert_eq!(last_line(&some), "2 redriven, 1 left");
    for of in &placed[1..3] {
        mall.await_delivery(of.id, "DeliveryStarted");
    }
    assert_eq!(last_line(&dead(&["redrive", "--all"]).expect(0).stdout), "1 redriven, 0 left");
    mall.await_delivery(placed[3].id, "DeliveryStarted");
    assert_eq!(mall.dead(), Vec::<Value>::new());
    assert_eq!(mall.deliveries_of(placed[0].id), Vec::<Value>::new(), "what was dropped");
}

#[test]
fn a_letter_is_tried_with_other_data_and_redriven_with_them() {
    let Some(folder) = Folder::owned() else { return };
    let (data, file) = (folder.data(), folder.path().join("data.json"));
    let mall = Mall::on(folder, &["--faults"]);
    let (who, product) = (mall.customer(), mall.product(10, "cancel"));
    mall.settle();
    // Who fails at what the data say goes on with other data.
    let fault = json!({"on": "OrderConfirmed", "match": {"customerId": who.id}, "fail_rate": 1});
    mall.fault("delivery", &fault);
    let placed = mall.order(&who, product, 1);
    let letter = eventually("a dead letter", || mall.dead().pop());
    let id = letter["id"].as_str().expect("an id");
    let path = format!("/admin/dead/{id}");
    let shown = || mall.at("admin", "GET", &path).send().expect(200).value();
    let mut edited = shown()["event"]["data"].clone();
    edited["customerId"] = json!("another@uengine.org");
    std::fs::write(&file, edited.to_string()).expect("written");
    let redrive = |more: &[&str]| {
        let mut arguments = vec!["dead", "redrive", id, "--data", text(&data)];
        arguments.extend(more);
        run(&arguments)
    };
    let as_it_is = redrive(&["--dry-run"]).expect(0).stdout;
    assert!(as_it_is.contains("would fail") && as_it_is.contains("fault"), "{as_it_is}");
    let with = ["--with", text(&file)];
    let tried = redrive(&[&with[..], &["--dry-run"]].concat()).expect(0).stdout;
    assert!(tried.contains("would be handled; nothing was done"), "{tried}");
    assert_eq!((mall.deliveries_of(placed.id), shown()["edited"].clone()), (vec![], Value::Null));

    run(&["dead", "redrive", "--all", "--with", text(&file), "--data", text(&data)]).expect(2);
    let post = |path: &str| mall.at("admin", "POST", path);
    post(&format!("{path}/redrive?dry=true")).send().problem(400);
    post("/admin/dead/delivery.order.999/redrive?dry_run=true").send().problem(404);
    let edit = format!("{path}/redrive?edit=true");
    post(&edit).json(&json!("x".repeat(1024 * 1024 - 8))).send().problem(400);
    post(&edit).send().problem(415);
    std::fs::write(&file, "{").expect("written");
    let refused = redrive(&with).expect(1);
    assert!(refused.stderr.contains("data is no JSON"), "{refused:?}");
    assert_eq!(mall.dead().len(), 1, "nothing was done");

    std::fs::write(&file, edited.to_string()).expect("written");
    redrive(&with).expect(0);
    mall.await_delivery(placed.id, "DeliveryStarted");
    assert_eq!(mall.dead(), Vec::<Value>::new());
    let notes = mall.at("admin", "GET", "/admin/skipped").send().expect(200).value();
    assert_eq!(
        (&notes[0]["kind"], &notes[0]["name"]),
        (&json!("edited"), &json!("delivery.order"))
    );
    assert!(notes[0]["by"].as_str().is_some_and(|by| by.starts_with("uid-")), "{notes}");
}
