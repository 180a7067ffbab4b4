//! Publishing over HTTP: what was acknowledged is there once and as it came, what is wrong is named and nothing of it
//! stored.

#[path = "support/lib.rs"]
mod support;

#[path = "publishing/bodies.rs"]
mod bodies;
#[path = "publishing/conditions.rs"]
mod conditions;
#[path = "publishing/kills.rs"]
mod kills;
#[path = "publishing/languages.rs"]
mod languages;
#[path = "publishing/refusals.rs"]
mod refusals;
#[path = "publishing/retention.rs"]
mod retention;

use serde_json::{Value, json};
use support::{Answer, Call, Folder, Started, overlay, run, text};

const STRUCTURED: &str = "application/cloudevents+json";
const BATCH: &str = "application/cloudevents-batch+json";

/// A running `yeoul serve` with a topic of one partition and one of three; killed when dropped.
struct Served {
    program: Started,
    /// The listener for services of this machine.
    inner: String,
    admin: String,
}

const SETTINGS: &str = "events:\n  topics:\n    paid: { publish: TILL }\n    \
     many: { partitions: 3, publish: TILL }\n    read-only: { partitions: 1 }\n";

impl Served {
    fn on(folder: &Folder) -> Served {
        Served::with(folder, SETTINGS)
    }

    fn with(folder: &Folder, settings: &str) -> Served {
        let file = overlay(folder.path(), "serve.yaml", settings);
        let data = folder.data();
        let listen = ["--listen", "127.0.0.1:0", "--json"];
        let mut arguments = vec!["serve", "-c", text(&file), "--data", text(&data)];
        arguments.extend(listen);
        let mut program = Started::new(&arguments);
        let ready = program.ready();
        let url = |name: &str| ready[name].as_str().expect("an address").to_owned();
        Served { inner: url("inner"), admin: url("admin"), program }
    }

    fn call(&self, topic: &str) -> Call {
        Call::new("POST", format!("{}/events/{topic}", self.inner))
    }

    fn structured(&self, topic: &str, event: &Value) -> Answer {
        self.call(topic).content(STRUCTURED, event.to_string()).send()
    }

    fn batch(&self, topic: &str, events: &[Value]) -> Answer {
        self.call(topic).content(BATCH, Value::from(events.to_vec()).to_string()).send()
    }

    /// Everything in a topic, each event as it is shown but for its position.
    #[track_caller]
    fn events(&self, topic: &str) -> Vec<Value> {
        let mut all: Vec<Value> = Vec::new();
        let mut from = "beginning".to_owned();
        loop {
            let url = format!("{}/admin/events/{topic}?limit=1000&from={from}", self.admin);
            let page = Call::new("GET", url).send().expect(200).value();
            let page = page.as_array().expect("a list").clone();
            let Some(last) = page.last() else { return all };
            from = last["position"].as_str().expect("a position").to_owned();
            all.extend(page.into_iter().map(|mut event| {
                event.as_object_mut().expect("an event").remove("position");
                event
            }));
        }
    }

    fn ids(&self, topic: &str) -> Vec<String> {
        let events = self.events(topic).into_iter();
        events.map(|event| event["id"].as_str().expect("an id").to_owned()).collect()
    }
}

/// An event with no more than it has to have.
#[expect(clippy::needless_pass_by_value, reason = "so that numbers and texts both go in")]
fn paid(id: impl ToString) -> Value {
    json!({"specversion": "1.0", "id": id.to_string(), "source": "/till/3", "type": "Paid"})
}

#[track_caller]
fn position(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.value()["position"].as_str().expect("a position").to_owned()
}

/// Without the time that was stamped on it because it came with none.
fn without_receipt(mut event: Value) -> Value {
    event.as_object_mut().expect("an event").remove("receivedtime");
    event
}

#[test]
fn events_of_all_three_modes_come_out_as_they_went_in() {
    let folder = Folder::new();
    let served = Served::on(&folder);
    let mut sent = vec![
        paid(1),
        json!({"specversion": "1.0", "id": "2", "source": "/till/3", "type": "Paid", "subject": "영수증-2",
            "time": "2026-11-27T17:31:00.120+09:00", "datacontenttype": "application/json",
            "dataschema": "https://schemas.example/paid.json", "partitionkey": "k", "sequence": "a-9",
            "tenant": "7", "copies": 2, "urgent": true, "data": {"won": 12000}}),
        json!({"specversion": "1.0", "id": "3", "source": "/till/3", "type": "Paid",
            "datacontenttype": "image/png", "data_base64": "iVBORw0KGgo="}),
        json!({"specversion": "1.0", "id": "4", "source": "/till/3", "type": "Paid",
            "datacontenttype": "text/xml", "data": "<won>12000</won>"}),
        json!({"specversion": "1.0", "id": "5", "source": "/till/3", "type": "Paid", "data": null}),
    ];
    for (at, event) in (1..).zip(&sent) {
        assert_eq!(position(&served.structured("paid", event)), format!("t{at}.paid"));
    }
    let batch: Vec<Value> = sent
        .iter()
        .enumerate()
        .map(|(at, event)| {
            let mut event = event.clone();
            event["id"] = json!(format!("batch-{at}"));
            event
        })
        .collect();
    assert_eq!(position(&served.batch("paid", &batch)), "t10.paid");
    sent.extend(batch);

    let binary = |id: &str, kind: &str, data: &[u8]| {
        let call = served.call("paid").header("ce-specversion", "1.0").header("ce-id", id);
        let call = call.header("ce-source", "/till/3").header("CE-Type", "Paid");
        position(
            &call
                .header("ce-subject", "%EC%98%81%20%22a%22")
                .header("ce-copies", "2")
                .content(kind, data)
                .send(),
        )
    };
    binary("json", "application/json", br#"{"won":12000}"#);
    binary("bytes", "application/octet-stream", b"\x00\xff");
    binary("text", "text/plain; charset=utf-8", "값\n".as_bytes());
    let of = |id: &str, kind: &str| {
        json!({"specversion": "1.0", "id": id, "source": "/till/3", "type": "Paid",
            "subject": "영 \"a\"", "copies": "2", "datacontenttype": kind})
    };
    let with = |mut event: Value, name: &str, value: Value| {
        event[name] = value;
        event
    };
    sent.push(with(of("json", "application/json"), "data", json!({"won": 12000})));
    sent.push(with(of("bytes", "application/octet-stream"), "data_base64", json!("AP8=")));
    sent.push(with(of("text", "text/plain; charset=utf-8"), "data", json!("값\n")));
    let bare = served.call("paid").header("ce-specversion", "1.0").header("ce-id", "bare");
    position(&bare.header("ce-source", "/till/3").header("ce-type", "Paid").send());
    sent.push(paid("bare"));

    let shown = served.events("paid");
    for event in &shown {
        assert_eq!(event["receivedtime"].is_string(), event["time"].is_null(), "{event}");
    }
    let shown: Vec<Value> = shown.into_iter().map(without_receipt).collect();
    assert_eq!(shown, sent);
    // And after a restart, from the disk.
    drop(served);
    let served = Served::on(&folder);
    let shown: Vec<Value> = served.events("paid").into_iter().map(without_receipt).collect();
    assert_eq!(shown, sent);
}

#[test]
fn a_second_copy_is_answered_with_the_place_of_the_first_whenever_and_however_it_comes() {
    let folder = Folder::new();
    let served = Served::on(&folder);
    let first = position(&served.structured("paid", &paid(1)));
    assert_eq!(position(&served.batch("paid", &[paid(2), paid(3), paid(2)])), "t3.paid");
    assert_eq!(position(&served.structured("paid", &paid(1))), first);
    drop(served);
    let served = Served::on(&folder);
    let again = served.call("paid").header("ce-specversion", "1.0").header("ce-id", "1");
    let again = again.header("ce-source", "/till/3").header("ce-type", "Paid").send();
    assert_eq!(position(&again), first, "in another mode, after a restart");
    assert_eq!(position(&served.batch("paid", &[paid(1), paid(2)])), "t2.paid");
    assert_eq!(position(&served.batch("paid", &[])), "t3.paid", "nothing new: the newest");
    assert_eq!(served.ids("paid"), ["1", "2", "3"]);
    // Elsewhere it is another event.
    position(&served.structured("many", &paid(1)));
    assert_eq!(served.ids("many"), ["1"]);
}

#[test]
fn events_of_a_key_keep_the_order_of_their_acknowledgement_over_partitions() {
    let folder = Folder::new();
    let served = Served::on(&folder);
    let of_key = |key: usize, count: usize| {
        let mut event = paid(format!("{key}-{count}"));
        event["subject"] = json!(format!("till-{key}"));
        event["data"] = json!(count);
        event
    };
    for count in 0..20 {
        let batch: Vec<Value> = (0..10).map(|key| of_key(key, count)).collect();
        position(&served.batch("many", &batch));
    }
    let events = served.events("many");
    assert_eq!(events.len(), 200);
    for key in 0..10 {
        let subject = format!("till-{key}");
        let counts = events.iter().filter(|it| it["subject"] == json!(subject));
        let counts: Vec<&Value> = counts.map(|it| &it["data"]).collect();
        assert_eq!(counts, (0..20).map(Value::from).collect::<Vec<_>>().iter().collect::<Vec<_>>());
    }
}

#[test]
fn settings_that_give_a_topic_two_publishers_or_no_place_are_refused_with_their_line() {
    let folder = Folder::new();
    let table: [(&str, bool, usize, &str); 6] = [
        ("events:\n  topics:\n    order: { publish: ORDER_ADMIN }\n", true, 3, "publish"),
        ("events:\n  topics:\n    news: { publish: ORDER_ADMN }\n", true, 3, "ORDER_ADMIN"),
        ("events:\n  topics:\n    news: { publich: A }\n", false, 3, "publish"),
        ("events:\n  topics:\n    news: { publish: [] }\n", false, 3, "publish"),
        (
            "events:\n  broker: kafka://127.0.0.1:1\n  topics:\n    news: { publish: A }\n",
            false,
            4,
            "say where that is",
        ),
        (
            "events:\n  topics:\n    bills:\n      publish: A\n  outboxes:\n    bills: { database: postgres://a@127.0.0.1/b, topics: [bills] }\n",
            false,
            4,
            "events.outboxes.bills.topics",
        ),
    ];
    for (number, (yaml, over_the_mall, line, names)) in table.into_iter().enumerate() {
        let file = overlay(folder.path(), &format!("bad{number}.yaml"), yaml);
        let mall = over_the_mall.then_some("--mall");
        let arguments: Vec<&str> = ["check", "-c", text(&file)].into_iter().chain(mall).collect();
        let checked = run(&arguments).expect(1);
        let at = format!("bad{number}.yaml:{line}:");
        let named = checked.stdout.lines().any(|it| it.contains(&at) && it.contains(names));
        assert!(named, "no `{at}` naming `{names}` in {checked:?}");
    }
    let sound = overlay(
        folder.path(),
        "sound.yaml",
        "events: { topics: { news: { publish: ORDER_ADMIN } } }\n",
    );
    let checked = run(&["check", "--mall", "-c", text(&sound)]).expect(0);
    assert!(!checked.stdout.contains("nobody publishes"), "{checked:?}");
}

#[test]
fn the_command_line_publishes_what_a_file_or_a_pipe_has_and_says_what_is_wrong() {
    let folder = Folder::new();
    let served = Served::on(&folder);
    let data = folder.data();
    let publish = |name: &str, document: &str| {
        let file = overlay(folder.path(), name, document);
        run(&["events", "publish", "paid", text(&file), "--data", text(&data)])
    };
    let one = publish("one.json", &paid(1).to_string()).expect(0);
    assert_eq!(one.stdout, "t1.paid\n");
    assert!(one.stderr.contains("read them: `yeoul events tail paid`"), "{one:?}");
    let many = Value::from(vec![paid(2), paid(1), paid(3)]);
    assert_eq!(publish("many.json", &format!("\n {many}")).expect(0).stdout, "t3.paid\n");
    let wrong =
        publish("wrong.json", r#"[{"specversion":"1.0","id":"9","source":"/a"}]"#).expect(1);
    assert!(wrong.stderr.contains("[0].type is missing"), "{wrong:?}");
    let missing = folder.path().join("missing.json");
    run(&["events", "publish", "paid", text(&missing), "--data", text(&data)]).expect(1);
    run(&["events", "publish", "nowhere", text(&missing), "--data", text(&data)]).expect(1);
    let large = publish("large.json", &" ".repeat((8 << 20) + 1)).expect(1);
    assert!(large.stderr.contains("8388608"), "{large:?}");
    // From a pipe that is closed at once: nothing is no event.
    run(&["events", "publish", "paid", "--data", text(&data)]).expect(1);
    assert_eq!(served.ids("paid"), ["1", "2", "3"]);
    drop(served);
    let file = overlay(folder.path(), "late.json", &paid(4).to_string());
    run(&["events", "publish", "paid", text(&file), "--data", text(&data)]).expect(3);
}

const BILLS: &str = "\
events: { topics: { paid: { publish: TILL } } }
views:
  bills:
    topics: [paid]
    key: id
    owner: owner
    on:
      Paid: { create: { id: event.id, owner: event.owner } }
pages:
  bills: { path: '/bills/{who}', view: bills, by: owner, private: false, template: page.html }
";

#[test]
fn a_page_waits_for_what_was_published_to_its_topic() {
    let folder = Folder::new();
    let file = overlay(folder.path(), "views.yaml", BILLS);
    overlay(folder.path(), "page.html", "<p>{{ page.id }}</p>");
    let data = folder.data();
    let mut program = Started::new(&[
        "serve",
        "-c",
        text(&file),
        "--data",
        text(&data),
        "--listen",
        "127.0.0.1:0",
        "--json",
    ]);
    let ready = program.ready();
    let at =
        |name: &str, path: &str| format!("{}{path}", ready[name].as_str().expect("an address"));
    for won in 1..20 {
        let mut event = paid(won);
        event["subject"] = json!(format!("bill-{won}"));
        event["data"] = json!({"id": won, "owner": "kim"});
        let stored = Call::new("POST", at("inner", "/events/paid"));
        let stored = stored.content(STRUCTURED, event.to_string()).send();
        position(&stored);
        let page =
            Call::new("GET", at("gateway", "/bills/kim")).header("accept", "application/json");
        let page = page.header("yeoul-position", stored.must("yeoul-position")).send().expect(200);
        let bills = page.value()["bills"].as_array().expect("a list").len();
        assert_eq!(bills, won.min(20), "{}", page.text());
    }
    // What was never published is not there, and nobody is shown less.
    let ahead = Call::new("GET", at("gateway", "/bills/kim")).header("prefer", "wait=0");
    ahead.header("yeoul-position", "w1000.log~2epaid").send().refusal(504);
}
