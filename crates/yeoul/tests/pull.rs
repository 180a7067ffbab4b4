//! Events are fetched by services of any language: lent to one at a time, of each key in order, until they are acknowledged.

#[path = "../../brokers/tests/kafka/server.rs"]
#[allow(dead_code, reason = "the broker's own tests use the rest")]
mod kafka;
#[path = "../../events/tests/postgres/server.rs"]
#[allow(dead_code, reason = "the store's own tests use the rest")]
mod postgres;
#[path = "support/lib.rs"]
mod support;

#[path = "pull/instances.rs"]
mod instances;
#[path = "pull/languages.rs"]
mod languages;
#[path = "pull/refusals.rs"]
mod refusals;
#[path = "pull/shares.rs"]
mod shares;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};
use support::{
    Answer, Call, Folder, Random, SOON, Started, eventually, eventually_is, overlay, pause, run,
    signal, text, timed, within,
};

/// A running `yeoul serve` whose events of `paid` are fetched as `bill`; killed when dropped.
struct Served {
    program: Started,
    /// The listener for services of this machine.
    inner: String,
    admin: String,
}

/// Events, and the lease that they are out under.
struct Lent {
    token: String,
    events: Vec<Value>,
}

impl Lent {
    fn ids(&self) -> Vec<&str> {
        self.events.iter().map(|event| event["id"].as_str().expect("an id")).collect()
    }
}

impl Served {
    /// With these members beside topic and `pull`.
    fn on(folder: &Folder, members: &str) -> Served {
        let settings = format!(
            "events:\n  topics:\n    paid: {{ publish: TILL }}\n    many: {{ partitions: 3, publish: TILL }}\n  \
             subscriptions:\n    bill: {{ topic: paid, pull: true{members} }}\n    \
             every: {{ topic: many, pull: true }}\n"
        );
        Served::with(folder, &settings)
    }

    /// With these settings.
    fn with(folder: &Folder, settings: &str) -> Served {
        let (program, ready) = Started::serving(folder, settings);
        let url = |name: &str| ready[name].as_str().expect("an address").to_owned();
        Served { inner: url("inner"), admin: url("admin"), program }
    }

    /// Events, each with its id and its key.
    #[track_caller]
    fn publish(&self, topic: &str, events: &[(&str, &str)]) {
        let event = |(id, key): &(&str, &str)| {
            json!({"specversion": "1.0", "id": id, "source": "/till", "type": "Paid",
                "subject": key, "data": {"won": 12000}})
        };
        let batch: Vec<Value> = events.iter().map(event).collect();
        let call = Call::new("POST", format!("{}/events/{topic}", self.inner));
        let batch = Value::from(batch).to_string();
        call.content("application/cloudevents-batch+json", batch).send().expect(200);
    }

    fn call(&self, name: &str, asked: &str, body: &Value) -> Call {
        Call::new("POST", format!("{}/subscriptions/{name}/{asked}", self.inner)).json(body)
    }

    fn ask(&self, asked: &str, body: &Value) -> Answer {
        self.call("bill", asked, body).send()
    }

    #[track_caller]
    fn lent(&self, body: &Value) -> Option<Lent> {
        lent(&self.ask("pull", body))
    }

    /// What is there now.
    #[track_caller]
    fn pull(&self, limit: usize, expected: &[&str]) -> Lent {
        let lent = self.lent(&json!({"limit": limit, "wait_s": 0})).expect("there is something");
        assert_eq!(lent.ids(), expected);
        lent
    }

    #[track_caller]
    fn nothing(&self) {
        assert!(self.lent(&json!({"wait_s": 0})).is_none(), "nothing is open");
    }

    #[track_caller]
    fn acknowledge(&self, lent: &Lent) -> u64 {
        let answer = self.ask("ack", &json!({"lease": lent.token})).expect(200).value();
        answer["acknowledged"].as_u64().expect("a count")
    }

    fn dead(&self) -> Vec<Value> {
        let dead = Call::new("GET", format!("{}/admin/dead", self.admin)).send().expect(200);
        dead.value().as_array().expect("a list").clone()
    }

    fn metric(&self, name: &str) -> f64 {
        self.metric_of(name, "bill.paid")
    }

    fn metric_of(&self, name: &str, subscription: &str) -> f64 {
        let text = Call::new("GET", format!("{}/metrics", self.admin)).send().expect(200).text();
        let begins = format!("{name}{{subscription=\"{subscription}\"}} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&begins));
        line.unwrap_or_else(|| panic!("no {name}: {text}")).parse().expect("a number")
    }
}

#[track_caller]
fn lent(answer: &Answer) -> Option<Lent> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.must("content-type"), "application/cloudevents-batch+json");
    let events = answer.value().as_array().expect("a list").clone();
    let token = answer.header("yeoul-lease").map(str::to_owned);
    assert_eq!(token.is_some(), !events.is_empty(), "a lease has events");
    Some(Lent { token: token?, events })
}

#[test]
fn events_are_lent_in_order_per_key_and_acknowledged_whole_or_in_part() {
    let folder = Folder::new();
    let served = Served::on(&folder, "");
    served.publish("paid", &[("1", "a"), ("2", "b"), ("3", "a"), ("4", "c"), ("5", "a")]);
    let first = served.pull(3, &["1", "2", "3"]);
    assert_eq!(
        (&first.events[0]["yeoulattempt"], &first.events[0]["data"]["won"]),
        (&json!(1), &json!(12000))
    );
    let second = served.pull(10, &["4"]);
    served.nothing();
    let answer = served.ask("ack", &json!({"lease": first.token, "ids": ["2", "1", "9"]}));
    assert_eq!(answer.expect(200).value(), json!({"acknowledged": 2, "unknown": ["9"]}));
    served.nothing();
    assert_eq!((served.acknowledge(&first), served.acknowledge(&first)), (1, 0));
    let third = served.pull(10, &["5"]);
    assert_eq!((served.acknowledge(&second), served.acknowledge(&third)), (1, 1));
    for (name, expected) in [
        ("yeoul_pull_given_total", 5.0),
        ("yeoul_pull_acknowledged_total", 5.0),
        ("yeoul_pull_leases_open", 0.0),
        ("yeoul_subscription_lag_events", 0.0),
    ] {
        assert!((served.metric(name) - expected).abs() < 0.5, "{name}");
    }
}

#[test]
fn of_a_paused_subscription_nothing_is_lent_and_whoever_asks_is_told_when_to_come_back() {
    let folder = Folder::new();
    let served = Served::on(&folder, "");
    served.publish("paid", &[("1", "a")]);
    let lent = served.pull(1, &["1"]);
    let ask = |verb: &str| {
        let path = format!("{}/admin/subscriptions/bill.paid/{verb}", served.admin);
        Call::new("POST", path).send().expect(204);
    };
    ask("pause");
    served.publish("paid", &[("2", "b")]);
    for wait in [0, 20] {
        let refused = served.ask("pull", &json!({"wait_s": wait}));
        let says = refused.problem(503)["detail"].to_string();
        assert!(says.contains("is paused until it is resumed"), "{says}");
        assert!(refused.must("retry-after").parse::<u64>().expect("seconds") >= 1);
    }
    assert_eq!(served.acknowledge(&lent), 1, "what is lent may be answered for");
    ask("resume");
    served.pull(1, &["2"]);
}

#[test]
fn whoever_waits_is_woken_at_once_and_whoever_waits_in_vain_is_told_so() {
    let folder = Folder::new();
    let served = Served::on(&folder, "");
    let (took, none) = timed(|| served.lent(&json!({"wait_s": 1})));
    assert!(none.is_none() && took >= Duration::from_secs(1), "after {took:?}");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| timed(|| served.lent(&json!({"wait_s": 20}))));
        eventually_is("somebody waits", &1.0, || served.metric("yeoul_pull_waiting"));
        served.publish("paid", &[("1", "a")]);
        let (took, lent) = waiting.join().expect("it is answered");
        assert_eq!(lent.expect("it came").ids(), ["1"]);
        assert!(took < Duration::from_secs(10), "woken after {took:?}");
    });
    // Who waits does not hold up the end, and is told that there is nothing.
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| served.lent(&json!({"wait_s": 20})));
        eventually_is("somebody waits", &1.0, || served.metric("yeoul_pull_waiting"));
        signal("TERM", served.program.pid());
        assert!(waiting.join().expect("it is answered").is_none());
    });
}

#[test]
fn an_ended_lease_is_409_and_what_it_had_comes_again() {
    let folder = Folder::new();
    let served = Served::on(&folder, "");
    served.publish("paid", &[("1", "a"), ("2", "b")]);
    let lent = served.lent(&json!({"wait_s": 0, "lease_s": 1})).expect("it is there");
    let again = served.lent(&json!({"wait_s": 20})).expect("it comes again");
    let mut ids = again.ids();
    ids.sort_unstable();
    assert_eq!(ids, ["1", "2"]);
    assert_eq!(again.events[0]["yeoulattempt"], 2);
    for name in ["yeoul_subscription_in_flight", "yeoul_subscription_retries_total"] {
        assert!((served.metric(name) - 2.0).abs() < 0.5, "{name}");
    }
    let late = served.ask("ack", &json!({"lease": lent.token}));
    assert_eq!(late.problem(409)["errors"][0]["field"], "lease");
    served.ask("nack", &json!({"lease": lent.token})).problem(409);
    assert_eq!(served.acknowledge(&again), 2);
    assert!((served.metric("yeoul_pull_leases_ended_total") - 1.0).abs() < 0.5);
    assert!(served.metric("yeoul_subscription_in_flight") < 0.5);
}

#[test]
fn a_poison_event_is_parked_is_a_dead_letter_and_redriven_the_rest_follows() {
    let folder = Folder::new();
    let served = Served::on(&folder, ", attempts: 3, backoff: 20ms");
    served.publish("paid", &[("1", "a"), ("2", "b"), ("3", "a")]);
    let mut attempts = Vec::new();
    let letter = eventually("it is a dead letter", || {
        if let Some(lent) = served.lent(&json!({"wait_s": 1})) {
            for event in &lent.events {
                let id = &event["id"];
                let mut body = json!({"lease": lent.token, "ids": [id]});
                let is_poison = id == "1";
                if is_poison {
                    body["reason"] = json!("it has no address");
                    attempts.push(event["yeoulattempt"].clone());
                }
                served.ask(if is_poison { "nack" } else { "ack" }, &body).expect(200);
            }
        }
        served.dead().first().cloned()
    });
    assert_eq!(attempts, [1, 2, 3]);
    assert_eq!(
        (&letter["id"], &letter["attempts"], &letter["reason"], &letter["waiting"]),
        (&json!("bill.paid.1"), &json!(3), &json!("it has no address"), &json!(1))
    );
    served.nothing();
    let data = folder.data();
    let listed = run(&["dead", "list", "--data", text(&data)]).expect(0).stdout;
    assert!(listed.contains("bill.paid.1") && listed.contains("it has no address"), "{listed}");
    run(&["dead", "redrive", "bill.paid.1", "--data", text(&data)]).expect(0);
    let lent = served.lent(&json!({"wait_s": 20})).expect("it is tried again");
    assert_eq!(lent.ids(), ["1", "3"]);
    assert_eq!(served.acknowledge(&lent), 2);
    assert_eq!(served.dead(), [Value::Null; 0]);
    // One that is never to be tried again, and one that nobody had time for.
    served.publish("paid", &[("4", "d"), ("5", "e")]);
    let lent = served.pull(10, &["4", "5"]);
    let body =
        json!({"lease": lent.token, "ids": ["4"], "mode": "fatal", "reason": "no such bill"});
    served.ask("nack", &body).expect(200);
    served.ask("nack", &json!({"lease": lent.token, "mode": "silent"})).expect(200);
    assert_eq!(served.dead()[0]["reason"], "no such bill");
    assert_eq!(served.pull(10, &["5"]).events[0]["yeoulattempt"], 1);
}

#[test]
fn whenever_the_process_is_killed_what_is_lent_stays_lent_and_everything_is_handled_in_order() {
    let mut random = Random::announced();
    let folder = Folder::new();
    let mut handled: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let mut published: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let mut number = 0;
    for life in 0..5 {
        let served = Served::on(&folder, "");
        let batch: Vec<(String, String)> = (0..40)
            .map(|_| {
                number += 1;
                let key = format!("k{}", random.between(0, 6));
                published.entry(key.clone()).or_default().push(number);
                (number.to_string(), key)
            })
            .collect();
        let batch: Vec<(&str, &str)> = batch.iter().map(|it| (&*it.0, &*it.1)).collect();
        served.publish("paid", &batch);
        let before = served.lent(&json!({"limit": 10, "wait_s": 5})).expect("there is something");
        // In the middle of what another worker does.
        std::thread::scope(|scope| {
            let pid = served.program.pid();
            scope.spawn(|| work_until_it_dies(&served, &mut handled));
            pause(Duration::from_millis(random.between(20, 200)));
            signal("KILL", pid);
        });
        let served = Served::on(&folder, "");
        // Whatever is given out now, it is nothing that somebody has.
        if let Some(other) = served.lent(&json!({"limit": 1000, "wait_s": 0, "lease_s": 1})) {
            let keys = |lent: &Lent| {
                lent.events.iter().map(|it| it["subject"].to_string()).collect::<Vec<_>>()
            };
            assert!(!keys(&other).iter().any(|key| keys(&before).contains(key)), "life {life}");
        }
        assert_eq!(served.acknowledge(&before), before.events.len() as u64, "life {life}");
        note(&mut handled, &before);
        signal("KILL", served.program.pid());
    }
    let served = Served::on(&folder, "");
    within(3 * SOON, "the rest is handled", || {
        if let Some(lent) = served.lent(&json!({"limit": 1000, "wait_s": 1})) {
            note(&mut handled, &lent);
            served.acknowledge(&lent);
        }
        (once(&handled) == published).then_some(())
    });
    assert_eq!(served.dead(), [Value::Null; 0]);
}

/// A worker: what it was lent it handles, and says so then.
fn work_until_it_dies(served: &Served, handled: &mut BTreeMap<String, Vec<u64>>) {
    let asked = json!({"limit": 3, "wait_s": 1, "lease_s": 2});
    while let Ok(answer) = served.call("bill", "pull", &asked).try_send() {
        // Who waits when the process ends is told that it ends.
        let Some(lent) = (answer.status == 200).then(|| lent(&answer)).flatten() else { return };
        note(handled, &lent);
        if served.call("bill", "ack", &json!({"lease": lent.token})).try_send().is_err() {
            return;
        }
    }
}

fn note(handled: &mut BTreeMap<String, Vec<u64>>, lent: &Lent) {
    for event in &lent.events {
        let key = event["subject"].as_str().expect("a key").to_owned();
        let number = event["id"].as_str().expect("an id").parse().expect("a number");
        handled.entry(key).or_default().push(number);
    }
}

/// Each once, at its first time.
fn once(handled: &BTreeMap<String, Vec<u64>>) -> BTreeMap<String, Vec<u64>> {
    let first = |numbers: &Vec<u64>| {
        let mut seen = std::collections::BTreeSet::new();
        numbers.iter().filter(|number| seen.insert(**number)).copied().collect()
    };
    handled.iter().map(|(key, numbers)| (key.clone(), first(numbers))).collect()
}

#[test]
fn all_partitions_of_a_topic_are_lent_and_a_place_can_be_moved() {
    let folder = Folder::new();
    let served = Served::on(&folder, "");
    let names: Vec<String> = (0..60).map(|number| format!("{number}")).collect();
    let events: Vec<(&str, &str)> = names.iter().map(|name| (&**name, &**name)).collect();
    served.publish("many", &events);
    let pull = json!({"limit": 25, "wait_s": 0});
    let mut seen = std::collections::BTreeSet::new();
    while let Some(lent) = lent(&served.call("every", "pull", &pull).send()) {
        assert!(lent.events.len() <= 25);
        lent.ids().iter().for_each(|id| assert!(seen.insert((*id).to_owned()), "{id} twice"));
        served.call("every", "ack", &json!({"lease": lent.token})).send().expect(200);
    }
    assert_eq!(seen.len(), 60);
    let data = folder.data();
    run(&["events", "place", "bill.paid", "--to", "end", "--data", text(&data)]).expect(0);
    served.publish("paid", &[("1", "a")]);
    let lent = served.pull(10, &["1"]);
    served.acknowledge(&lent);
}

/// Eight events of some 900 KB, of which a worker reads a little and goes away.
#[test]
fn an_answer_that_breaks_off_in_the_middle_is_lent_to_nobody() {
    let folder = Folder::new();
    let served = Served::on(&folder, "");
    let event = |id: usize| {
        json!({"specversion": "1.0", "id": id.to_string(), "source": "/till", "type": "Paid",
            "subject": id.to_string(), "data": "x".repeat(900_000)})
    };
    let batch = Value::from((1..=8).map(event).collect::<Vec<_>>()).to_string();
    let publish = Call::new("POST", format!("{}/events/paid", served.inner));
    publish.content("application/cloudevents-batch+json", batch).send().expect(200);
    let body = json!({"limit": 8, "wait_s": 0, "lease_s": 3600}).to_string();
    let address = served.inner.trim_start_matches("http://");
    let mut worker = TcpStream::connect(address).expect("a connection");
    let head = format!(
        "POST /subscriptions/bill/pull HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    worker.write_all(head.as_bytes()).expect("it is sent");
    let mut begun = [0; 4096];
    worker.read_exact(&mut begun).expect("the answer begins");
    assert!(begun.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&begun));
    drop(worker);
    let again = within(SOON, "what he did not read is there again", || {
        served.lent(&json!({"limit": 8, "wait_s": 0}))
    });
    assert_eq!(again.ids(), ["1", "2", "3", "4", "5", "6", "7", "8"]);
    assert_eq!(again.events[0]["yeoulattempt"], 1, "nobody had it");
    // What was handed over to the end is somebody's, however his connection ends.
    served.publish("paid", &[("9", "9")]);
    let kept = served.lent(&json!({"limit": 8, "wait_s": 5})).expect("it is there");
    assert_eq!(kept.ids(), ["9"]);
    assert!(served.lent(&json!({"limit": 8, "wait_s": 1})).is_none(), "it is lent");
}

#[test]
fn what_is_tried_again_by_itself_is_said_to_be_that_and_can_be_tried_at_once() {
    let folder = Folder::new();
    let served = Served::on(&folder, ", backoff: 600s");
    served.publish("paid", &[("1", "a"), ("2", "a")]);
    let lent = served.pull(10, &["1", "2"]);
    let body = json!({"lease": lent.token, "ids": ["1"], "reason": "no address"});
    served.ask("nack", &body).expect(200);
    served.nothing();
    let data = folder.data();
    let dead = |command: &str| run(&["dead", command, "bill.paid.1", "--data", text(&data)]);
    let shown = dead("show").expect(0).stdout;
    assert!(shown.contains("nextAttempt") && shown.contains("12000"), "{shown}");
    let refused = dead("drop").expect(1).stderr;
    for part in ["no dead letter", "no address", "next at", "yeoul dead redrive bill.paid.1"] {
        assert!(refused.contains(part), "{part}: {refused}");
    }
    dead("redrive").expect(0);
    let lent = served.lent(&json!({"wait_s": 20})).expect("it is tried at once");
    assert_eq!((lent.ids(), &lent.events[0]["yeoulattempt"]), (vec!["1", "2"], &json!(2)));
    assert_eq!(served.acknowledge(&lent), 2);
    dead("redrive").expect(1);
}
