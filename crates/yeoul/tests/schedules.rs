//! Events are published at a time to come, once, whoever is killed, by the road of whatever is published from outside.

#[path = "../../brokers/tests/kafka/server.rs"]
#[allow(dead_code, reason = "the broker's own tests use the rest")]
mod kafka;
#[path = "../../events/tests/postgres/server.rs"]
#[allow(dead_code, reason = "the store's own tests use the rest")]
mod postgres;
#[path = "support/lib.rs"]
mod support;

#[path = "schedules/aside.rs"]
mod aside;
#[path = "schedules/instances.rs"]
mod instances;
#[path = "schedules/refusals.rs"]
mod refusals;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use support::{
    Answer, Call, Folder, Random, SOON, Started, eventually, overlay, pause, run, signal, text,
    within,
};

const SETTINGS: &str = "events:\n  topics:\n    paid: { publish: TILL }\n    read: {}\n  \
                        schedules: { max_ahead: 30d, max_pending: 1000 }\n";

/// A running `yeoul serve` with schedules; killed when dropped.
struct Served {
    program: Started,
    /// The listener for services of this machine.
    inner: String,
    gateway: String,
    admin: String,
}

impl Served {
    fn on(folder: &Folder) -> Served {
        Served::with(folder, SETTINGS)
    }

    fn with(folder: &Folder, settings: &str) -> Served {
        let (program, ready) = Started::serving(folder, settings);
        let url = |name: &str| ready[name].as_str().expect("an address").to_owned();
        Served { inner: url("inner"), gateway: url("gateway"), admin: url("admin"), program }
    }

    fn call(&self, method: &str, key: &str) -> Call {
        Call::new(method, format!("{}/schedules/{key}", self.inner))
    }

    fn put(&self, key: &str, body: &Value) -> Answer {
        self.call("PUT", key).json(body).send()
    }

    /// Everything in the topic, in its order.
    fn events(&self) -> Vec<Value> {
        let url = format!("{}/events/paid?limit=1000", self.inner);
        let events = Call::new("GET", url).send().expect(200).value();
        events.as_array().expect("a list").clone()
    }

    fn metric(&self, name: &str) -> f64 {
        let text = Call::new("GET", format!("{}/metrics", self.admin)).send().expect(200).text();
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name}{{}} ")));
        line.unwrap_or_else(|| panic!("no {name}: {text}")).parse().expect("a number")
    }
}

/// A reminder, after a while.
fn reminder(after: &str) -> Value {
    json!({"in": after, "topic": "paid", "type": "Reminded", "subject": "bill-7",
        "data": {"won": 12000}})
}

/// How often each schedule's event is there, by its source.
fn by_source(events: &[Value]) -> BTreeMap<String, usize> {
    let mut all = BTreeMap::new();
    for event in events {
        let source = event["source"].as_str().expect("a source").to_owned();
        *all.entry(source).or_default() += 1;
    }
    all
}

#[test]
fn an_event_comes_at_its_time_and_says_when_it_was_due_and_shown_it_is_over() {
    let folder = Folder::new();
    let served = Served::on(&folder);
    let put = served.put("bill%207", &reminder("300ms"));
    assert_eq!(put.status, 201, "{}", put.text());
    let put = put.value();
    assert_eq!(
        (&put["key"], &put["in"], &put["occurrences"]),
        (&json!("bill 7"), &json!("300ms"), &json!(0))
    );
    let events =
        eventually("it is published", || Some(served.events()).filter(|it| !it.is_empty()));
    let event = &events[0];
    assert_eq!(
        (&event["type"], &event["source"], &event["subject"], &event["data"], &event["time"]),
        (
            &json!("Reminded"),
            &json!("/schedules/bill%207"),
            &json!("bill-7"),
            &json!({"won": 12000}),
            &put["next"]
        )
    );
    let over = within(SOON, "it is over", || {
        let shown = served.call("GET", "bill%207").send().expect(200).value();
        shown["next"].is_null().then_some(shown)
    });
    assert_eq!((&over["fired"], &over["occurrences"]), (&put["next"], &json!(1)));
    served.call("DELETE", "bill%207").send().problem(404);
    assert_eq!(served.events().len(), 1);
    let late = served.metric("yeoul_schedule_late_seconds_sum");
    assert!(late < 10.0, "{late} s late");
    assert!((served.metric("yeoul_schedule_late_seconds_count") - 1.0).abs() < 0.5);
    assert!((served.metric("yeoul_schedules_holder") - 1.0).abs() < 0.5);
}

#[test]
fn the_same_again_changes_nothing_while_it_waits() {
    let folder = Folder::new();
    let served = Served::on(&folder);
    let put = served.put("a", &reminder("10m")).expect(201).value();
    assert_eq!(served.put("a", &reminder("10m")).expect(200).value(), put);
}

#[test]
fn what_is_cancelled_is_there_no_more_and_what_is_past_comes_at_once() {
    let folder = Folder::new();
    let served = Served::on(&folder);
    served.put("a", &reminder("10m")).expect(201);
    served.call("DELETE", "a").send().expect(204);
    served.call("DELETE", "a").send().problem(404);
    served.call("GET", "a").send().problem(404);
    let mut past = reminder("1s");
    past["at"] = json!("2020-01-01T09:00:00+09:00");
    past["in"] = Value::Null;
    served.put("b", &past).expect(201);
    let events =
        eventually("it is published", || Some(served.events()).filter(|it| !it.is_empty()));
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0]["time"], "2020-01-01T00:00:00Z");
    within(SOON, "it is over", || {
        let shown = served.call("GET", "b").send().expect(200).value();
        shown["next"].is_null().then_some(())
    });
    served.put("b", &past).expect(200);
    pause(Duration::from_millis(200));
    assert_eq!(served.events().len(), 1, "the same moment is published no second time");
}

#[test]
fn what_comes_again_is_shown_with_its_zone_and_outlives_a_restart() {
    let folder = Folder::new();
    let served = Served::on(&folder);
    let body = json!({"cron": "30 9 * * mon-fri", "zone": "asia/seoul", "topic": "paid", "type": "Opened"});
    let put = served.put("daily", &body).expect(201).value();
    assert_eq!((&put["zone"], &put["cron"]), (&json!("Asia/Seoul"), &json!("30 9 * * mon-fri")));
    let next = put["next"].as_str().expect("a moment");
    assert!(next.ends_with("T00:30:00Z"), "half past nine in Seoul: {next}");
    signal("KILL", served.program.pid());
    drop(served);
    let served = Served::on(&folder);
    let shown = served.call("GET", "daily").send().expect(200).value();
    assert_eq!(shown, put);
    within(SOON, "it is counted", || {
        ((served.metric("yeoul_schedules_pending") - 1.0).abs() < 0.5).then_some(())
    });
}

#[test]
fn whenever_the_process_is_killed_each_event_comes_once() {
    const LIVES: u64 = 6;
    const EACH: usize = 60;
    let mut random = Random::announced();
    let folder = Folder::new();
    let mut put = Vec::new();
    for life in 0..LIVES {
        let served = Served::on(&folder);
        for at in 0..EACH {
            let key = format!("{life}-{at}");
            let after = format!("{}ms", random.between(0, 800));
            if served.put(&key, &reminder(&after)).status == 201 {
                put.push(format!("/schedules/{}", key.replace('-', "%2D")));
            }
        }
        pause(Duration::from_millis(random.between(0, 500)));
        signal("KILL", served.program.pid());
    }
    let served = Served::on(&folder);
    assert_eq!(put.len(), EACH * LIVES as usize);
    within(3 * SOON, "all are published", || (served.events().len() >= put.len()).then_some(()));
    let events = by_source(&served.events());
    assert!(events.values().all(|count| *count == 1), "{events:?}");
    assert!(put.iter().all(|key| events.contains_key(key)), "{events:?}");
}
