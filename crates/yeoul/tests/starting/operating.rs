//! What an operator sees and does beside a running mall: its admin listener, its switches and the commands.

use super::*;

#[test]
fn the_admin_listener_tells_how_the_process_is() {
    let Some(mall) = &*MALL else { return };
    let get = |path: &str| mall.at("admin", "GET", path).send();
    let metrics = get("/metrics").expect(200);
    assert!(
        metrics.must("content-type").starts_with("text/plain")
            || metrics.must("content-type").contains("openmetrics")
    );
    assert!(metrics.text().contains("# TYPE "), "{}", metrics.text());
    let settings = get("/admin/settings").expect(200);
    assert!(!settings.text().contains("uengine-secret"), "a secret is shown");
    assert_eq!(settings.value()["routes"]["stock-check"]["guard"]["timeout"], "610ms");
    for path in ["/admin/guards", "/admin/views"] {
        let value = get(path).expect(200).value();
        assert!(value.is_array() || value.is_object(), "{path}");
    }
    let subscriptions = mall.subscriptions();
    let names: BTreeSet<&str> =
        subscriptions.iter().filter_map(|one| one["name"].as_str()).collect();
    for name in [
        "product.order",
        "order.product",
        "delivery.order",
        "mypage.order",
        "mypage.delivery",
        "mypage.account",
    ] {
        assert!(names.contains(name), "{name} in {names:?}");
    }
    for one in &subscriptions {
        for member in ["name", "topic", "position", "lag", "stuck"] {
            assert!(one.get(member).is_some(), "{member}: {one}");
        }
        assert!(one["lag"].is_u64(), "{one}");
        let name = one["name"].as_str().unwrap_or_default();
        assert!(name.ends_with(&format!(".{}", one["topic"].as_str().unwrap_or("?"))), "{one}");
    }
    assert_eq!(mall.dead(), Vec::<Value>::new());
    get("/admin/events/order").expect(200);
    get("/admin/nowhere").problem(404);
    mall.at("admin", "POST", "/healthz").send().problem(405);
    mall.redrive("nosuch").problem(404);
}

#[test]
fn without_the_flag_there_are_no_switches() {
    let Some(mall) = Mall::owned(&[]) else { return };
    let admin = |method: &str, path: &str| mall.at("admin", method, path);
    let fault = json!({"path": "/products/*", "fail_rate": 1});
    let calls: [Call; 5] = [
        admin("PUT", "/admin/faults/product").json(&fault),
        admin("DELETE", "/admin/faults/product"),
        admin("POST", "/admin/services/product/stop"),
        admin("POST", "/admin/services/product/start"),
        admin("POST", "/admin/subscriptions/product.order/rewind")
            .json(&json!({"to": "beginning"})),
    ];
    for call in calls {
        call.send().problem(404);
    }
    mall.get("/products/1").send().expect(200);
}

#[test]
fn switches_refuse_what_they_do_not_know() {
    let Some(mall) = &*MALL else { return };
    let admin = |method: &str, path: &str| mall.at("admin", method, path);
    admin("POST", "/admin/services/nosuch/stop").send().problem(404);
    admin("PUT", "/admin/faults/nosuch").json(&json!({"relay": "off"})).send().problem(404);
    admin("PUT", "/admin/faults/product").json(&json!({})).send().problem(400);
    admin("PUT", "/admin/faults/product")
        .json(&json!({"path": "/x", "fail_rate": 2}))
        .send()
        .problem(400);
    let rewind = |to: Value| json!({"to": to});
    admin("POST", "/admin/subscriptions/nosuch/rewind")
        .json(&rewind(json!("beginning")))
        .send()
        .problem(404);
    admin("POST", "/admin/subscriptions/product.order/rewind")
        .json(&rewind(json!("x")))
        .send()
        .problem(400);
}

#[test]
fn events_tail_shows_events_as_they_come() {
    let Some(mall) = &*MALL else { return };
    let data = mall.folder().data();
    let mut tail = Started::new(&["events", "tail", "order", "--data", text(&data)]);
    let (send, lines) = std::sync::mpsc::sync_channel(1024);
    let pipe = tail.output();
    std::thread::spawn(move || {
        for line in pipe.lines().map_while(Result::ok) {
            let _ = send.try_send(line);
        }
    });
    let (who, product) = (mall.customer(), mall.product(1000, "cancel"));
    // It may take a moment to stand at the topic's end: go on ordering until it shows one.
    let line = within(2 * SOON, "an order on the tail", || {
        mall.order(&who, product, 1);
        lines.recv_timeout(Duration::from_millis(200)).ok().filter(|line| line.contains(&who.id))
    });
    let event: Value = serde_json::from_str(&line).expect("a line is an event");
    assert!(event["type"].as_str().is_some_and(|kind| kind.starts_with("Order")), "{event}");
    drop(tail);
    let nothing = run(&["events", "tail", "nosuchtopic", "--data", text(&data)]);
    assert_eq!(nothing.code, 1, "{nothing:?}");
}

#[test]
fn dead_letters_are_listed_shown_and_redriven_beside_the_process() {
    let Some(mall) = Mall::owned(&["--faults"]) else { return };
    let data = mall.folder().data();
    let dead = |arguments: &[&str]| run(&[&["dead"], arguments, &["--data", text(&data)]].concat());
    let (who, product) = (mall.customer(), mall.product(10, "cancel"));
    dead(&["list"]).expect(0);
    let fault = json!({"on": "OrderPlaced", "match": {"customerId": who.id}, "fail_rate": 1});
    mall.fault("product", &fault);
    let placed = mall.order(&who, product, 1);
    let letter = eventually("a dead letter", || mall.dead().into_iter().next());
    let id = letter["id"].as_str().expect("an id");

    let listed = dead(&["list"]).expect(0);
    let line = listed.stdout.lines().find(|line| line.contains(id)).expect("it is listed");
    assert!(line.contains("product.order") && line.contains("OrderPlaced"), "{line}");
    let shown = dead(&["show", id]).expect(0);
    let reason = letter["reason"].as_str().expect("a reason");
    assert!(shown.stdout.contains(reason) && shown.stdout.contains(&who.id), "{}", shown.stdout);
    dead(&["show", "nosuch.letter.1"]).expect(1);
    dead(&["redrive", "nosuch.letter.1"]).expect(1);

    mall.mend("product");
    dead(&["redrive", id]).expect(0);
    mall.await_order(placed.id, "OrderPlaced");
    eventually_is("dead letters", &0, || mall.dead().len());
    assert!(!dead(&["list"]).expect(0).stdout.contains(id));

    // On an operator's word all of the log is read again, and changes nothing.
    mall.await_stock(product, 9);
    mall.stop("product");
    let place =
        |name: &str| run(&["events", "place", name, "--to", "beginning", "--data", text(&data)]);
    assert!(place("product.order").expect(0).stdout.contains("reads on from the beginning"));
    place("product.nobody").expect(1);
    let all = mall.subscriptions();
    let again = all.iter().find(|one| one["name"] == "product.order").expect("it is listed");
    assert_eq!(again["position"], 0, "{again}");
    mall.start("product");
    mall.await_caught_up();
    mall.await_stock(product, 9);
    assert_eq!(mall.deliveries_of(placed.id).len(), 1);
}

#[test]
fn the_pages_are_listed_beside_the_process() {
    let Some(mall) = &*MALL else { return };
    let listed = run(&["views", "--data", text(&mall.folder().data())]).expect(0);
    assert!(listed.stdout.starts_with("page my-page\n"), "{listed:?}");
    assert!(listed.stdout.contains("every page follows the events"), "{listed:?}");
}

#[test]
fn commands_beside_no_process_say_so() {
    let folder = Folder::new();
    let data = folder.data();
    for arguments in [vec!["dead", "list"], vec!["events", "tail", "order"], vec!["views"]] {
        let refused = run(&[arguments.as_slice(), &["--data", text(&data)]].concat());
        assert_eq!(refused.code, 3, "{arguments:?}: {refused:?}");
    }
}

#[test]
fn commands_beside_a_process_that_does_not_answer_yet_name_it() {
    let folder = Folder::new();
    let data = folder.data();
    std::fs::create_dir_all(&data).expect("a folder");
    let own = std::process::id();
    std::fs::write(data.join("lock"), json!({"pid": own, "admin": null}).to_string())
        .expect("written");
    let lock = std::fs::File::open(data.join("lock")).expect("there");
    lock.try_lock().expect("free");
    for arguments in [
        vec!["dead", "list"],
        vec!["events", "tail", "order"],
        vec!["events", "skip", "product.order"],
        vec!["views"],
        vec!["doctor"],
    ] {
        let refused = run(&[arguments.as_slice(), &["--data", text(&data)]].concat());
        assert_eq!(refused.code, 3, "{arguments:?}: {refused:?}");
        assert!(refused.stderr.contains(&format!("process {own}")), "{arguments:?}: {refused:?}");
    }
}

#[test]
fn the_doctor_says_what_an_acknowledgement_means_here() {
    let Some(mall) = &*MALL else { return };
    let report = run(&["doctor", "--data", text(&mall.folder().data())]).expect(0);
    let words = report.stdout.to_lowercase();
    for word in ["acknowledge", "disk", "sync"] {
        assert!(words.contains(word), "`{word}` in {}", report.stdout);
    }
    assert!(!report.stdout.contains("uengine-secret"));
}

#[test]
fn the_outbox_as_a_table_is_printed_for_an_engine_and_a_topic() {
    let schema = ["outbox", "schema", "--postgres"];
    let plain = run(&schema).expect(0).stdout;
    assert!(plain.starts_with("BEGIN;\n") && plain.ends_with("\nCOMMIT;\n"), "{plain}");
    let declare = "yeoul_outbox_declare('order', 8);";
    assert!(!plain.contains(declare));
    let with = |topic, partitions| {
        run(&[&schema[..], &["--topic", topic, "--partitions", partitions]].concat())
    };
    assert!(with("order", "8").expect(0).stdout.contains(declare));
    for (topic, partitions) in [("Order", "8"), ("order", "0"), ("order", "129"), ("order", "x")] {
        with(topic, partitions).expect(1);
    }
    run(&["outbox", "schema"]).expect(2);
    run(&["outbox", "schema", "--postgres", "--topic", "order"]).expect(2);
    run(&["outbox", "schema", "--postgres", "--partitions", "8"]).expect(2);
}
