//! One business transaction is found by its correlation, through services of any language, with its gaps and what does not
//! go on.

#[path = "support/lib.rs"]
mod support;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use support::{
    Answer, Call, Folder, Mall, Started, eventually, eventually_is, is_elsewhere, run, text,
};

/// Type by type, from the root on, with its depth.
fn steps(trace: &Value) -> Vec<String> {
    let steps = trace["steps"].as_array().expect("steps").iter();
    let name = |step: &Value| {
        let kind = step["type"].as_str().or_else(|| step["missing"].as_str());
        format!("{} {}", step["depth"], kind.expect("an event or a gap"))
    };
    steps.map(name).collect()
}

fn trace(mall: &Mall, rest: &str) -> Answer {
    mall.get(&format!("/events/trace/{rest}")).bearer(mall.admin()).send()
}

/// What the first event of an order is called.
fn first_of(mall: &Mall, order: u64) -> String {
    let events = mall.events_of("order", order);
    format!("order/{}", events[0]["id"].as_str().expect("an id"))
}

#[test]
fn an_order_is_a_tree_over_its_topics_and_the_command_prints_it() {
    if is_elsewhere() {
        return;
    }
    let mall = Mall::on(Folder::new(), &["--faults"]);
    let (who, product) = (mall.customer(), mall.product(10, "cancel"));
    let placed = mall.delivered(&who, product, 1);
    mall.settle();
    let name = first_of(&mall, placed.id);
    let correlation = mall.events_of("order", placed.id)[0]["correlationid"].clone();
    let correlation = correlation.as_str().expect("a correlation");
    let found = trace(&mall, correlation).expect(200).value();
    assert_eq!(trace(&mall, &name).expect(200).value(), found, "by the name of one of its events");
    let all = steps(&found);
    assert_eq!(all[..2], ["0 OrderPlaced", "1 StockDecreased"], "{found}");
    for kind in ["2 OrderConfirmed", "3 DeliveryStarted"] {
        assert!(all.iter().any(|it| it == kind), "{kind}: {all:?}");
    }
    let first = &found["steps"][1];
    assert!(first["afterMs"].as_i64().is_some() && first["causationid"] == name.as_str());
    assert!(found["looked"].as_array().expect("looks").iter().all(|it| it["whole"] == true));

    let data = mall.folder().data();
    let printed = run(&["events", "trace", correlation, "--data", text(&data)]).expect(0);
    assert!(printed.stdout.contains("  order OrderPlaced  "), "{printed:?}");
    assert!(printed.stdout.contains(" ms  product StockDecreased  "), "{printed:?}");
    // What was not looked at is said, by who is told to look at little.
    let printed =
        run(&["events", "trace", correlation, "--limit", "1", "--data", text(&data)]).expect(0);
    assert!(printed.stderr.contains("events after"), "{printed:?}");
    let printed = run(&["events", "trace", "order/none", "--since", "1h", "--data", text(&data)]);
    assert!(printed.expect(0).stderr.contains("nothing was found"));
    run(&["events", "trace", "x", "--since", "soon", "--data", text(&data)]).expect(1);

    // Rights are those of topics, and what is wrong with a query is named.
    mall.get(&format!("/events/trace/{correlation}")).send().problem(401);
    mall.get(&format!("/events/trace/{correlation}")).bearer(&who.token).send().problem(403);
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=1000001", "limit"),
        ("since=soon", "since"),
        (&*format!("id={}", "x".repeat(1025)), "id"),
    ] {
        trace(&mall, &format!("any?{query}")).refuses_field(field);
    }
}

#[test]
fn what_does_not_go_on_is_marked_where_it_stands() {
    let Some(mall) = Mall::owned(&["--faults"]) else { return };
    let (who, product) = (mall.customer(), mall.product(10, "cancel"));
    mall.settle();
    let fault = json!({"on": "OrderConfirmed", "fail_rate": 1});
    mall.fault("delivery", &fault);
    let placed = mall.order(&who, product, 1);
    eventually("it is a dead letter", || (!mall.dead().is_empty()).then_some(()));
    let correlation = first_of(&mall, placed.id);
    let found = trace(&mall, &correlation).expect(200).value();
    let all = found["steps"].as_array().expect("steps");
    let marks: Vec<&Value> =
        all.iter().flat_map(|it| it["parked"].as_array().expect("a list")).collect();
    let dead = marks.iter().find(|it| it["state"] == "dead").expect("one is dead");
    assert_eq!((&dead["subscription"], &dead["attempts"]), (&json!("delivery.order"), &json!(3)));
    let metrics = mall.at("admin", "GET", "/metrics").send().expect(200).text();
    let parked = "yeoul_subscription_parked{subscription=\"delivery.order\"} 1.0\n";
    assert!(metrics.contains(parked), "{metrics}");
    let data = mall.folder().data();
    let printed = run(&["events", "trace", &correlation, "--data", text(&data)]).expect(0).stdout;
    assert!(printed.contains("! delivery.order: dead after 3 attempts"), "{printed}");
}

/// A service in Python, killed when dropped.
struct Python(Child);

impl Drop for Python {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn a_service_of_another_language_carries_the_thread_on_from_its_first_event() {
    let folder = Folder::new();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tracing/copies.py");
    let address = folder.path().join("address");
    let mut service = Command::new("python3");
    let service = service.arg("-u").arg(script).arg(&address).stdout(Stdio::piped());
    let mut python = Python(service.spawn().expect("python3 is installed"));
    let mut port = String::new();
    let stdout = python.0.stdout.take().expect("a pipe");
    BufReader::new(stdout).read_line(&mut port).expect("its port");
    let settings = format!(
        "events:\n  allow: [loopback]\n  topics:\n    first: {{ publish: TILL }}\n    next: {{ publish: TILL }}\n  \
         subscriptions:\n    follow: {{ topic: first, push: \"http://127.0.0.1:{}/\" }}\n    \
         again: {{ topic: next, pull: true }}\n",
        port.trim()
    );
    let (_program, ready) = Started::serving(&folder, &settings);
    let inner = ready["inner"].as_str().expect("an address");
    std::fs::write(&address, inner).expect("a file");
    // Nobody said a correlation, and an id may have anything in it.
    let event = json!({"specversion": "1.0", "id": "7/1", "source": "/till", "type": "Began", "subject": "a", "data": {}});
    let publish = Call::new("POST", format!("{inner}/events/first"));
    publish.content("application/cloudevents+json", event.to_string()).send().expect(200);
    let look = || {
        let path = format!("{inner}/events/trace/by?id=%2Ftill%2F7%252F1");
        steps(&Call::new("GET", path).send().expect(200).value())
    };
    let expected = ["0 Began", "1 Followed"].map(str::to_owned).to_vec();
    eventually_is("it followed", &expected, look);
    // Who fetches has it as well, of the first and of what follows.
    let pull = Call::new("POST", format!("{inner}/subscriptions/again/pull"));
    let lent = pull.json(&json!({"wait_s": 0})).send().expect(200).value();
    assert_eq!(lent[0]["correlationid"], "/till/7%2F1", "{lent}");
    let publish = Call::new("POST", format!("{inner}/events/next"));
    let other = json!({"specversion": "1.0", "id": "8", "source": "/till", "type": "Began", "subject": "b"});
    publish.content("application/cloudevents+json", other.to_string()).send().expect(200);
    let pull = Call::new("POST", format!("{inner}/subscriptions/again/pull"));
    let lent = pull.json(&json!({"wait_s": 5})).send().expect(200).value();
    assert_eq!(lent[0]["correlationid"], "/till/8", "{lent}");
}
