//! Starting, stopping and the commands around a running mall: what is printed, what the exit code
//! says, what the folder keeps, and what an operator sees beside it.

#[path = "support/lib.rs"]
mod support;

use std::collections::BTreeSet;
use std::io::{BufRead, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use serde_json::{Value, json};
use support::{
    Call, Folder, Mall, SOON, Started, Stream, eventually, eventually_is, overlay, run, run_in,
    signal, text, within,
};

static MALL: LazyLock<Option<Mall>> = LazyLock::new(|| Mall::owned(&["--faults"]));

const DRAINED_BY: Duration = Duration::from_secs(15);

#[test]
fn a_ready_mall_prints_one_line_and_answers_everywhere() {
    let Some(mall) = &*MALL else { return };
    let ready = mall.ready();
    assert_eq!(ready["ready"], true);
    let names = ["gateway", "order", "delivery", "product", "mypage", "account", "admin"];
    let mut members: Vec<&str> = names.to_vec();
    members.extend(["ready", "pid"]);
    members.sort_unstable();
    let printed: Vec<&String> = ready.as_object().expect("an object").keys().collect();
    assert_eq!(
        printed.iter().map(|name| name.as_str()).collect::<BTreeSet<_>>(),
        members.into_iter().collect()
    );
    let bases: BTreeSet<&str> = names.iter().map(|name| mall.base(name)).collect();
    assert_eq!(bases.len(), names.len(), "a listener each");
    assert!(bases.iter().all(|base| base.starts_with("http://127.0.0.1:")), "{bases:?}");
    for (listener, path) in [
        ("gateway", "/products"),
        ("order", "/orders"),
        ("delivery", "/deliveries"),
        ("product", "/products"),
        ("mypage", "/mypages/1@uengine.org"),
        ("account", "/.well-known/jwks.json"),
        ("admin", "/healthz"),
        ("admin", "/readyz"),
    ] {
        mall.at(listener, "GET", path).send().expect(200);
    }
    assert_eq!(mall.stdout().len(), 1, "{:?}", mall.stdout());
}

#[test]
fn at_the_ready_line_seeds_replica_and_views_are_there() {
    let Some(mall) = Mall::owned(&[]) else { return };
    for product in 1..=5 {
        assert_eq!(mall.replica(product), product * 10);
    }
    let who = mall.sign_in("1@uengine.org", "1");
    assert_eq!(mall.page(&who)["nickname"], "유엔진");
    assert!(mall.subscriptions().iter().all(|one| one["lag"] == 0));
}

#[test]
fn the_folder_says_who_holds_it_and_keeps_its_keys_to_itself() {
    let Some(mall) = &*MALL else { return };
    let data = mall.folder().data();
    let lock: Value =
        serde_json::from_str(&std::fs::read_to_string(data.join("lock")).expect("a lock"))
            .expect("the lock is JSON");
    assert_eq!(lock["pid"], mall.pid());
    let admin = mall.base("admin").trim_start_matches("http://");
    assert!(lock["admin"].as_str().is_some_and(|noted| noted.contains(admin)), "{lock}");

    let mut secrets = Vec::new();
    files(&data, &mut |path| {
        let bytes = std::fs::read(path).unwrap_or_default();
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        if name.contains("key") || bytes.windows(11).any(|part| part == b"PRIVATE KEY") {
            secrets.push(path.to_owned());
        }
    });
    assert!(!secrets.is_empty(), "no signing key in the folder");
    for path in secrets {
        assert_eq!(mode(&path) & 0o777, 0o600, "{}", path.display());
    }
}

#[test]
fn a_second_process_on_the_same_folder_is_refused_with_the_firsts_pid() {
    let Some(mall) = &*MALL else { return };
    let data = mall.folder().data();
    let refused = run(&["mall", "--data", text(&data), "--listen", "127.0.0.1:0"]).expect(3);
    assert!(refused.stderr.contains(&mall.pid().to_string()), "{}", refused.stderr);
    assert_eq!(refused.stdout, "");
    mall.at("admin", "GET", "/readyz").send().expect(200);
}

#[test]
fn a_dead_process_blocks_nobody() {
    let Some(mall) = Mall::owned(&[]) else { return };
    let mall = Mall::on(mall.kill(), &[]);
    mall.get("/products").send().expect(200);
    let admin = mall.base("admin").to_owned();
    assert_ne!(admin, "");
}

#[test]
fn a_taken_port_is_the_environments_fault() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("its address").to_string();
    let folder = Folder::new();
    let data = folder.data();
    let arguments = ["mall", "--data", text(&data), "--listen", "127.0.0.1:0", "--admin", &address];
    let refused = run(&arguments).expect(3);
    assert!(refused.stderr.contains(&address), "{}", refused.stderr);
    let refused = run(&["mall", "--data", text(&data), "--listen", &address]).expect(3);
    assert!(refused.stderr.contains("127.0.0.1:"), "{}", refused.stderr);
}

#[test]
fn a_folder_that_cannot_be_written_is_the_environments_fault() {
    let folder = Folder::new();
    let file = overlay(folder.path(), "file", "not a folder");
    for data in [file.clone(), file.join("below")] {
        run(&["mall", "--data", text(&data), "--listen", "127.0.0.1:0"]).expect(3);
    }
}

#[test]
fn wrong_input_is_one_and_wrong_usage_is_two() {
    let folder = Folder::new();
    let data = folder.data();
    let missing = folder.path().join("missing.yaml");
    let table = [
        (2, vec![]),
        (2, vec!["nonsense"]),
        (2, vec!["mall", "--nonsense"]),
        (2, vec!["mall", "--data"]),
        (2, vec!["serve"]),
        (2, vec!["check"]),
        (2, vec!["dead", "show"]),
        (1, vec!["mall", "--listen", "nonsense", "--data", text(&data)]),
        (1, vec!["mall", "--listen", "127.0.0.1:99999", "--data", text(&data)]),
        (1, vec!["mall", "--listen", "localhost", "--data", text(&data)]),
        (1, vec!["mall", "--listen", ":0", "--data", text(&data)]),
        (1, vec!["mall", "--listen", "8088", "--data", text(&data)]),
        (1, vec!["mall", "--listen", "localhost:+1", "--data", text(&data)]),
        (1, vec!["mall", "--listen", "nosuch.invalid:0", "--data", text(&data)]),
        (1, vec!["mall", "--listen", "localhost:0", "--admin", "nosuch.invalid:0"]),
        (1, vec!["mall", "--listen", "127.0.0.1:0", "--admin", "0.0.0.0:0", "--data", text(&data)]),
        (
            1,
            vec![
                "mall",
                "--listen",
                "127.0.0.1:0",
                "--admin",
                "192.0.2.1:9088",
                "--data",
                text(&data),
            ],
        ),
        (1, vec!["mall", "--listen", "127.0.0.1:0", "-c", text(&missing), "--data", text(&data)]),
        (1, vec!["check", "-c", text(&missing)]),
        (0, vec!["--help"]),
        (0, vec!["--version"]),
        (0, vec!["mall", "--help"]),
    ];
    let mut wrong = Vec::new();
    for (code, arguments) in table {
        let outcome = run(&arguments);
        if outcome.code != code || (code != 0 && outcome.last_word().is_empty()) {
            wrong.push(format!("not {code}: {arguments:?}: {outcome:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(!data.exists(), "nothing was started");
}

/// Mistakes in a file laid over the mall's, each with the line that has it.
const MISTAKES: &[(&str, usize, &str)] = &[
    ("nonsense: 1\n", 1, "nonsense"),
    ("routes:\n  order:\n    gard: {}\n", 3, "gard"),
    ("routes:\n  stock-check:\n    guard:\n      timeout: soon\n", 4, "timeout"),
    ("routes:\n  stock-check:\n    guard:\n      timeout: [1]\n", 4, "timeout"),
    (
        "routes:\n  order:\n    guard:\n      breaker:\n        failure_rate: 150%\n",
        5,
        "failure_rate",
    ),
    (
        "routes:\n  order:\n    guard:\n      rate_limit:\n        - { per: nobody, rate: 5/s, burst: 1 }\n",
        5,
        "per",
    ),
    ("routes:\n  order:\n    path: 5\n", 3, "path"),
    ("routes:\n  order: { to: nosuch }\n", 2, "nosuch"),
    ("routes:\n  again: { path: /orders, to: order }\n", 2, "/orders"),
    (
        "routes:\n  one: { path: \"/x/**\", to: order }\n  two: { path: \"/x/**\", to: order }\n",
        3,
        "/x/**",
    ),
    ("listen: here\n", 1, "listen"),
    ("listen: localhost:x\n", 1, "listen"),
    ("admin: nosuch.invalid:0\n", 1, "admin"),
    (
        "views:\n  orders:\n    on:\n      OrderPlaced:\n        create:\n          payment: event.price *\n",
        6,
        "payment",
    ),
    ("pages:\n  my-page:\n    view: nosuch\n", 3, "nosuch"),
    ("listen: 127.0.0.1:1\nlisten: 127.0.0.1:2\n", 2, ""),
    ("routes:\n\torder: {}\n", 2, ""),
];

#[test]
fn every_mistake_in_the_settings_is_named_with_its_line() {
    let folder = Folder::new();
    let mut unnamed = Vec::new();
    for (number, (yaml, line, names)) in MISTAKES.iter().enumerate() {
        let file = overlay(folder.path(), &format!("bad{number}.yaml"), yaml);
        let checked = run(&["check", "--mall", "-c", text(&file)]);
        let at = format!("bad{number}.yaml:{line}:");
        let named = checked.stdout.lines().any(|line| line.contains(&at) && line.contains(names));
        if checked.code != 1 || !named {
            unnamed.push(format!("no `{at}` naming `{names}` for\n{yaml}in {checked:?}"));
        }
    }
    assert!(unnamed.is_empty(), "{}", unnamed.join("\n"));
    let both = overlay(folder.path(), "both.yaml", "nonsense: 1\nlisten: here\n");
    let checked = run(&["check", "--mall", "-c", text(&both)]).expect(1);
    for at in ["both.yaml:1", "both.yaml:2"] {
        assert!(checked.stdout.contains(at), "{}", checked.stdout);
    }
}

#[test]
fn what_is_hardly_meant_is_a_warning_with_its_line_and_no_mistake() {
    let folder = Folder::new();
    let covered = format!("{OWN}  admin: {{ path: /echo/admin, to: echo, role: ORDER_ADMIN }}\n");
    let file = overlay(folder.path(), "covered.yaml", &covered);
    let checked = run(&["check", "-c", text(&file)]).expect(0);
    let lines: Vec<&str> = checked.stdout.lines().collect();
    let is = |line: &&str, at: &str| line.starts_with("warning: ") && line.contains(at);
    assert!(lines.iter().any(|it| is(it, "covered.yaml:5: routes.echo.path: ")), "{lines:?}");
    assert!(lines.iter().any(|it| is(it, "covered.yaml:9: routes.admin.role: ")), "{lines:?}");
    assert_eq!(lines.len(), 2, "{lines:?}");
    let looped = OWN.replace("127.0.0.1:1\"", "localhost:8088\"");
    let file = overlay(folder.path(), "loop.yaml", &looped);
    let checked = run(&["check", "-c", text(&file)]).expect(1);
    assert!(checked.stdout.contains("loop.yaml:2: upstreams.echo: "), "{}", checked.stdout);
}

#[test]
fn settings_that_hold_are_said_to_hold() {
    let folder = Folder::new();
    for (name, yaml) in [
        ("empty.yaml", ""),
        ("timeout.yaml", "routes:\n  stock-check:\n    guard:\n      timeout: 200ms\n"),
        (
            "breaker.yaml",
            "routes:\n  order:\n    guard:\n      breaker: { failure_rate: 10%, calls: 5, open_for: 1s }\n",
        ),
        (
            "limit.yaml",
            "routes:\n  product:\n    guard:\n      rate_limit: [{ per: route, rate: 9/s, burst: 9 }]\n",
        ),
    ] {
        let file = overlay(folder.path(), name, yaml);
        let checked = run(&["check", "--mall", "-c", text(&file)]).expect(0);
        assert_eq!(checked.stdout.matches(".yaml:").count(), 0, "{}", checked.stdout);
    }
    let own = overlay(folder.path(), "own.yaml", OWN);
    run(&["check", "-c", text(&own)]).expect(0);
    let wrong = overlay(folder.path(), "wrong.yaml", &OWN.replace("to: echo", "to: nosuch"));
    run(&["check", "-c", text(&wrong)]).expect(1);
    let left: Vec<_> = std::fs::read_dir(folder.path()).expect("the folder").collect();
    assert_eq!(left.len(), 6, "a check starts nothing and leaves nothing");
}

#[test]
fn bad_settings_start_nothing() {
    let folder = Folder::new();
    let data = folder.data();
    let file = overlay(folder.path(), "bad.yaml", "routes:\n  order:\n    gard: {}\n");
    let refused =
        run(&["mall", "-c", text(&file), "--data", text(&data), "--listen", "127.0.0.1:0"])
            .expect(1);
    assert!(refused.stderr.contains("bad.yaml:3"), "{}", refused.stderr);
    assert_eq!(refused.stdout, "");
    assert!(!data.exists());
}

#[test]
fn the_data_folder_is_where_the_process_stands_unless_named() {
    let folder = Folder::new();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("its address").to_string();
    run_in(folder.path(), &["mall", "--listen", "127.0.0.1:0", "--admin", &address]).expect(3);
    let elsewhere = run_in(folder.path(), &["events", "tail", "order"]);
    assert_eq!(elsewhere.code, 3, "no process there: {elsewhere:?}");
}

#[test]
fn a_polite_signal_ends_streams_finishes_what_is_in_flight_and_exits_with_zero() {
    for name in ["TERM", "INT"] {
        let Some(mall) = Mall::owned(&["--faults"]) else { return };
        let who = mall.customer();
        let bearer = format!("Bearer {}", who.token);
        let path = format!("/mypages/{}/events", who.id);
        let mut stream = Stream::open(mall.base("gateway"), &path, &[("Authorization", &bearer)]);
        stream.until("the page", |message| message.event == "reset");
        mall.fault("product", &json!({"path": "/products/*", "delay_ms": [1000, 1000]}));
        let slow = mall.get("/products/1");
        let (answer, (code, folder)) = std::thread::scope(|scope| {
            let waiting = scope.spawn(|| slow.send());
            support::pause(Duration::from_millis(300));
            let ended = mall.stop_by(name, DRAINED_BY);
            (waiting.join().expect("a reader"), ended)
        });
        answer.expect(200);
        assert_eq!(code, 0, "{name}");
        assert!(stream.ends_within(SOON), "{name}: the stream was ended");
        let mall = Mall::on(folder, &[]);
        mall.sign_in(&who.id, "correct horse");
    }
}

#[test]
fn a_second_signal_exits_at_once() {
    let Some(mall) = Mall::owned(&["--faults"]) else { return };
    mall.fault("product", &json!({"path": "/products/*", "delay_ms": [9000, 9000]}));
    let slow = mall.get("/products/1");
    let pid = mall.pid();
    let waiting = std::thread::spawn(move || slow.try_send());
    support::pause(Duration::from_millis(300));
    signal("TERM", pid);
    support::pause(Duration::from_millis(300));
    let (took, (code, _folder)) = support::timed(|| mall.stop_by("TERM", DRAINED_BY));
    assert!(took < Duration::from_secs(5), "took {took:?}, with {code}");
    let answer = waiting.join().expect("a reader");
    assert!(answer.is_err() || answer.is_ok_and(|it| it.status == 503), "it was waited for");
}

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
}

#[test]
fn commands_beside_no_process_say_so() {
    let folder = Folder::new();
    let data = folder.data();
    for arguments in [vec!["dead", "list"], vec!["events", "tail", "order"]] {
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

/// One route of one's own.
const OWN: &str = "upstreams:\n  echo: [\"http://127.0.0.1:1\"]\nroutes:\n  echo:\n    path: /echo/**\n    to: echo\n    open: true\n    guard: { timeout: 500ms }\n";

#[test]
fn the_layer_serves_ones_own_services() {
    if support::setting("YEOUL_BASE").is_some() {
        return;
    }
    let upstream = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = upstream.local_addr().expect("its address");
    std::thread::spawn(move || {
        for socket in upstream.incoming() {
            let Ok(mut socket) = socket else { return };
            let mut request = [0; 4096];
            let count = socket.read(&mut request).unwrap_or(0);
            let line = String::from_utf8_lossy(&request[..count]);
            let body = line.lines().next().unwrap_or_default().to_owned();
            let _ = write!(
                socket,
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
        }
    });
    let folder = Folder::new();
    let file =
        overlay(folder.path(), "own.yaml", &OWN.replace("127.0.0.1:1\"", &format!("{address}\"")));
    let data = folder.data();
    let arguments =
        ["serve", "-c", text(&file), "--data", text(&data), "--listen", "127.0.0.1:0", "--json"];
    let mut program = Started::new(&arguments);
    let ready = program.ready();
    assert_eq!((&ready["ready"], ready["pid"].is_u64()), (&json!(true), true));
    let gateway = ready["gateway"].as_str().expect("a gateway");
    let answer = Call::new("GET", format!("{gateway}/echo/hello")).send().expect(200);
    assert_eq!(answer.text(), "GET /echo/hello HTTP/1.1");
    Call::new("GET", format!("{gateway}/elsewhere")).send().problem(401);
    let admin = ready["admin"].as_str().expect("an admin");
    Call::new("GET", format!("{admin}/readyz")).send().expect(200);
    assert_eq!(program.stop_by("TERM"), Some(0));
}

fn files(folder: &Path, visit: &mut impl FnMut(&Path)) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, visit);
        } else {
            visit(&path);
        }
    }
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).expect("it is there").permissions().mode()
}

#[test]
fn names_of_hosts_are_addresses_to_listen_on() {
    if support::setting("YEOUL_BASE").is_some() {
        return;
    }
    let folder = Folder::new();
    let file = overlay(folder.path(), "names.yaml", "listen: localhost:0\nadmin: localhost:0\n");
    run(&["check", "-c", text(&file), "--mall"]).expect(0);
    let mall = Mall::on(folder, &["--admin", "localhost:0", "--listen", "localhost:0"]);
    mall.get("/products").send().expect(200);
    mall.at("admin", "GET", "/readyz").send().expect(200);
}
