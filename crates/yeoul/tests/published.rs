//! Publishing over HTTP where events go through Kafka: what was acknowledged is in an outbox of the process, and in the topic
//! once that can be reached; whatever is killed, and however many instances there are.
//!
//! Against a real Kafka, and a real PostgreSQL where instances share one: `cargo xtask services install java maven kafka
//! postgres`.

#[path = "../../brokers/tests/kafka/server.rs"]
#[allow(dead_code, reason = "the broker's own tests use the rest")]
mod kafka;
#[path = "../../events/tests/postgres/server.rs"]
#[allow(dead_code, reason = "the store's own tests use the rest")]
mod postgres;
#[path = "support/lib.rs"]
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use support::{Answer, Call, Folder, Started, overlay, pause, run, signal, text, within};

const STRUCTURED: &str = "application/cloudevents+json";
const BATCH: &str = "application/cloudevents-batch+json";
const PARTITIONS: u16 = 3;
/// More than ten times how long it takes until what waited is in the topic.
const GOES_ON_BY: Duration = Duration::from_secs(100);

/// One server at a time: several that start at once are so slow that the program does not wait for them.
fn alone() -> MutexGuard<'static, ()> {
    static SERVER: Mutex<()> = Mutex::new(());
    SERVER.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A running `yeoul serve` that takes events for `paid` and lends them to `bill`; killed when dropped.
struct Served {
    program: Started,
    inner: String,
    admin: String,
    gateway: String,
}

impl Served {
    fn on(folder: &Folder, broker: &str, store: &str) -> Served {
        let settings = format!(
            "store: {store}\nevents:\n  broker: {broker}\n  prefix: till.\n  replicas: 1\n  topics:\n    \
             paid: {{ partitions: {PARTITIONS}, publish: TILL }}\n    read-only: {{ partitions: 1 }}\n  \
             subscriptions:\n    bill: {{ topic: paid, pull: true }}\n"
        );
        Served::of(folder, &settings)
    }

    fn of(folder: &Folder, settings: &str) -> Served {
        let (program, ready) = Started::serving(folder, settings);
        let url = |name: &str| ready[name].as_str().expect("an address").to_owned();
        let gateway = url("gateway");
        Served { inner: url("inner"), admin: url("admin"), gateway, program }
    }

    fn call(&self, topic: &str) -> Call {
        Call::new("POST", format!("{}/events/{topic}", self.inner))
    }

    fn send(&self, event: &Value) -> Answer {
        self.call("paid").content(STRUCTURED, event.to_string()).send()
    }

    fn send_if(&self, event: &Value, condition: &str) -> Answer {
        let call = self.call("paid").header("yeoul-condition", condition);
        call.content(STRUCTURED, event.to_string()).send()
    }

    fn batch(&self, events: &[Value]) -> Answer {
        self.call("paid").content(BATCH, Value::from(events.to_vec()).to_string()).send()
    }

    /// Everything in the topic, as it is shown.
    fn events(&self) -> Option<Vec<Value>> {
        let mut all: Vec<Value> = Vec::new();
        let mut from = "beginning".to_owned();
        loop {
            let url = format!("{}/admin/events/paid?limit=1000&from={from}", self.admin);
            let page = Call::new("GET", url).send();
            if page.status != 200 {
                return None;
            }
            let page = page.value().as_array().expect("a list").clone();
            let Some(last) = page.last() else { return Some(all) };
            from = last["position"].as_str().expect("a position").to_owned();
            all.extend(page);
        }
    }

    /// The first copies of what is in the topic, once all of these are there; each has one number, and of each partition they
    /// come in their order.
    #[track_caller]
    fn all_there(&self, ids: &BTreeSet<String>) -> Vec<Value> {
        within(GOES_ON_BY, "all that was acknowledged is in the topic", || {
            let copies = first_copies(&self.events()?);
            let found: BTreeSet<String> = copies.iter().map(id).collect();
            (ids.is_subset(&found)).then_some(copies)
        })
    }

    /// The ids of everything that is lent until nothing is, in the order in which it was.
    fn lent(&self) -> Vec<String> {
        let ask = |asked: &str, body: &Value| {
            let url = format!("{}/subscriptions/bill/{asked}", self.inner);
            Call::new("POST", url).json(body).send()
        };
        let mut ids = Vec::new();
        loop {
            let lent = ask("pull", &json!({"limit": 1000, "wait_s": 5})).expect(200);
            let events = lent.value().as_array().expect("a list").clone();
            if events.is_empty() {
                return ids;
            }
            ids.extend(events.iter().map(id));
            let lease = lent.must("yeoul-lease").to_owned();
            ask("ack", &json!({"lease": lease}));
        }
    }
}

fn id(event: &Value) -> String {
    event["id"].as_str().expect("an id").to_owned()
}

fn partition_of(event: &Value) -> u16 {
    let key = event["partitionkey"].as_str().or(event["subject"].as_str()).unwrap_or_default();
    events::Partitions::new(PARTITIONS).expect("a count").of(key).index()
}

/// A copy is passed over, as every reader does, by its number; one that comes out of order is an error.
#[track_caller]
fn first_copies(events: &[Value]) -> Vec<Value> {
    let mut last: BTreeMap<u16, u64> = BTreeMap::new();
    let mut known: BTreeMap<String, u64> = BTreeMap::new();
    let mut first = Vec::new();
    for event in events {
        assert_eq!(event["outboxsource"], "paid", "{event}");
        let number: u64 = event["outboxsequence"].as_str().expect("a number").parse().expect("one");
        let last = last.entry(partition_of(event)).or_default();
        assert_eq!(*known.entry(id(event)).or_insert(number), number, "an event has one number");
        if number > *last {
            *last = number;
            first.push(event.clone());
        }
    }
    first
}

#[track_caller]
fn position(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let position = answer.value()["position"].as_str().expect("a position").to_owned();
    assert!(position.starts_with('w'), "a number and no place: {position}");
    position
}

fn paid(id: impl std::fmt::Display, key: impl std::fmt::Display) -> Value {
    json!({"specversion": "1.0", "id": id.to_string(), "source": "/till/3", "type": "Paid", "subject": key.to_string()})
}

#[test]
fn what_is_published_is_kept_through_an_outage_of_the_broker_and_kills_of_the_process() {
    let _alone = alone();
    let server = kafka::Server::start();
    let folder = Folder::new();
    let served = Served::on(&folder, &server.address(), "sqlite");
    let foreign = json!({"specversion": "1.0", "id": "png", "source": "/till/3", "type": "Paid", "tenant": 7, "urgent": true,
        "partitionkey": "k", "datacontenttype": "image/png", "data_base64": "iVBORw0KGgo="});
    let first = served.send(&foreign);
    let place = position(&first);
    assert_eq!(position(&served.send(&foreign)), place);
    let mut told: BTreeSet<String> = ["png".to_owned()].into();
    let there = served.all_there(&told);
    let mut shown = there[0].clone();
    for stamp in ["position", "outboxsequence", "outboxprevious", "outboxsource", "receivedtime"] {
        assert!(shown.as_object_mut().expect("an event").remove(stamp).is_some(), "{stamp}");
    }
    assert_eq!(shown, foreign, "it comes out as it went in");

    // The broker stands still: what is published meanwhile is on disk when it is answered, once.
    server.signal("-STOP");
    let mut places = BTreeMap::new();
    let mut served = served;
    for life in 0..3 {
        for batch in 0..5 {
            let ids: Vec<String> =
                (0..20).map(|at| format!("{life}-{}", batch * 10 + at)).collect();
            let events: Vec<Value> = ids.iter().map(|id| paid(id, &id[id.len() - 1..])).collect();
            position(&served.batch(&events));
            told.extend(ids);
        }
        places.insert(format!("{life}-7"), position(&served.send(&paid(format!("{life}-7"), "7"))));
        if life == 1 {
            server.signal("-CONT");
            // In the middle of what is relayed.
            pause(Duration::from_millis(300));
        }
        signal("KILL", served.program.pid());
        if life == 0 {
            // A start asks the broker what it has.
            server.signal("-CONT");
        }
        drop(served);
        served = Served::on(&folder, &server.address(), "sqlite");
        if life == 0 {
            server.signal("-STOP");
        }
    }
    for (id, place) in places {
        assert_eq!(position(&served.send(&paid(&id, "elsewhere"))), place, "{id}");
    }
    let there = served.all_there(&told);
    assert_eq!(there.len(), told.len(), "nothing is there twice, nor what nobody sent");
    let lent = served.lent();
    assert_eq!((lent.len(), lent.iter().cloned().collect::<BTreeSet<_>>()), (told.len(), told));
    // Of each key in the order in which it was taken.
    let of_key = |all: &[Value]| -> Vec<String> {
        all.iter().filter(|it| it["subject"] == "7").map(id).collect()
    };
    let expected: Vec<String> =
        (0..3).flat_map(|life| (0..6).map(move |ten| format!("{life}-{}", ten * 10 + 7))).collect();
    assert_eq!(of_key(&there), expected);
}

#[test]
fn a_condition_looks_into_the_outbox_and_what_is_wrong_is_named() {
    let _alone = alone();
    let server = kafka::Server::start();
    let folder = Folder::new();
    let served = Served::on(&folder, &server.address(), "sqlite");
    // Before anything is relayed, and whether or not it can be.
    server.signal("-STOP");
    let condition = "none-of Paid subject gil%20dong after beginning";
    let won = position(&served.send_if(&paid("a", "gil dong"), condition));
    let lost = served.send_if(&paid("b", "gil dong"), condition).problem(409);
    assert_eq!(
        (&lost["events"][0]["id"], &lost["events"][0]["position"]),
        (&json!("a"), &json!(won))
    );
    assert_eq!(position(&served.send_if(&paid("a", "gil dong"), condition)), won);
    let behind = |after: &str| format!("none-of Paid subject gil%20dong after {after}");
    position(&served.send_if(&paid("c", "gil dong"), &behind(&won)));
    for (after, status) in
        [("t1.paid", 422), ("w1.other", 422), ("w99999.paid", 422), ("w1_3-1.paid", 422)]
    {
        let refused = served.send_if(&paid("d", "gil dong"), &behind(after)).problem(status);
        assert_eq!(refused["errors"][0]["field"], "Yeoul-Condition", "{after}: {refused}");
    }
    served.send_if(&paid("d", "x"), &behind("yesterday")).refuses_field("Yeoul-Condition");

    // Who may not, and what has no room.
    served.call("read-only").content(STRUCTURED, paid(1, "k").to_string()).send().problem(403);
    served.call("nothing").content(STRUCTURED, paid(1, "k").to_string()).send().problem(404);
    let mut large = paid("large", "k");
    large["data"] = json!("x".repeat(983_040));
    let refused = served.batch(&[paid("small", "k"), large]).problem(413);
    assert_eq!(
        (&refused["errors"][0]["field"], &refused["errors"][0]["limit"]),
        (&json!("[1]"), &json!(983_040))
    );
    let mut stamped = paid("stamped", "k");
    stamped["outboxsource"] = json!("paid");
    served.send(&stamped).refuses_field("outboxsource");
    let newest = position(&served.batch(&[]));
    server.signal("-CONT");
    let there = served.all_there(&["a".to_owned(), "c".to_owned()].into());
    assert_eq!(
        there.iter().map(id).collect::<Vec<_>>(),
        ["a", "c"],
        "nothing else was stored: {newest}"
    );
}

#[test]
fn two_instances_on_one_server_know_each_other_s_events_and_one_relays_what_the_other_took() {
    let _alone = alone();
    let server = kafka::Server::start();
    let database = postgres::Server::start();
    let folders = [Folder::new(), Folder::new()];
    let start = |at: usize| Served::on(&folders[at], &server.address(), &database.address());
    let (one, two) = (start(0), start(1));
    let mut told = BTreeSet::new();
    for at in 0..20 {
        let (id, key) = (format!("i{at}"), at % 5);
        let place = position(&one.send(&paid(&id, key)));
        assert_eq!(position(&two.send(&paid(&id, "elsewhere"))), place);
        told.insert(id);
    }
    let condition = "none-of Claimed subject gil after beginning";
    let claim = |id: &str| json!({"specversion": "1.0", "id": id, "source": "/a", "type": "Claimed", "subject": "gil"});
    position(&two.send_if(&claim("two"), condition));
    let lost = one.send_if(&claim("one"), condition).problem(409);
    assert_eq!(lost["events"][0]["id"], "two");
    told.insert("two".to_owned());

    // What it took last it cannot relay any more.
    server.signal("-STOP");
    for at in 20..40 {
        position(&one.send(&paid(format!("i{at}"), at % 5)));
        told.insert(format!("i{at}"));
    }
    signal("KILL", one.program.pid());
    server.signal("-CONT");
    for at in (0..40).step_by(3) {
        position(&two.send(&paid(format!("i{at}"), "elsewhere")));
    }
    let there = two.all_there(&told);
    assert_eq!(there.iter().map(id).collect::<BTreeSet<_>>(), told);
    assert_eq!(there.len(), told.len());
    let again = start(0);
    let known: BTreeSet<String> =
        [&again, &two].map(|served| position(&served.send(&paid("i39", "elsewhere")))).into();
    assert_eq!(known.len(), 1, "both say the same: {known:?}");
}

const BILLS: &str = "views:
  bills:
    topics: [paid]
    key: id
    owner: owner
    on:
      Paid: { create: { id: event.id, owner: event.owner } }
pages:
  bills: { path: '/bills/{who}', view: bills, by: owner, private: false, template: page.html }
";

/// Several sources have one publisher, and one count: a page waits for it, and none of them is missed.
#[test]
fn a_page_waits_for_what_was_published_whatever_its_source() {
    let _alone = alone();
    let server = kafka::Server::start();
    let folder = Folder::new();
    let events = format!(
        "store: sqlite\nevents:\n  broker: {}\n  replicas: 1\n  topics:\n    paid: {{ publish: TILL }}\n",
        server.address()
    );
    overlay(folder.path(), "page.html", "<p>{{ page.id }}</p>");
    let served = Served::of(&folder, &(events + BILLS));
    for won in 1..20 {
        let mut event = paid(won, format!("bill-{won}"));
        event["source"] = json!(format!("/till/{}", won % 3));
        event["data"] = json!({"id": won, "owner": "kim"});
        let stored = served.send(&event);
        position(&stored);
        let page = Call::new("GET", format!("{}/bills/kim", served.gateway));
        let page = page.header("accept", "application/json").header("prefer", "wait=30");
        let page = page.header("yeoul-position", stored.must("yeoul-position")).send().expect(200);
        assert_eq!(page.value()["bills"].as_array().expect("a list").len(), won, "{}", page.text());
    }
    let skipped = Call::new("GET", format!("{}/admin/skipped", served.admin)).send().expect(200);
    assert_eq!(skipped.value(), json!([]), "no gap is noted between sources");
    let ahead =
        Call::new("GET", format!("{}/bills/kim", served.gateway)).header("prefer", "wait=0");
    ahead.header("yeoul-position", "w1000.paid").send().refusal(504);
}

#[test]
fn settings_without_a_place_for_what_is_published_are_refused_with_their_line() {
    let folder = Folder::new();
    let broker = "events:\n  broker: kafka://127.0.0.1:1\n  topics:\n";
    let long = "n".repeat(51);
    for (number, (head, topic, names)) in [
        ("", "news: { publish: A }", Some("say where that is")),
        ("store: sqlite\n", "news: { publish: A }", None),
        ("store: postgres://a@127.0.0.1:5432/b\n", "news: { publish: A }", None),
        ("store: sqlite\n", &format!("{long}: {{ publish: A }}"), Some("50 characters")),
    ]
    .into_iter()
    .enumerate()
    {
        let yaml = format!("{head}{broker}    {topic}\n");
        let line = yaml.lines().count();
        let file = overlay(folder.path(), &format!("s{number}.yaml"), &yaml);
        let checked = run(&["check", "-c", text(&file)]).expect(i32::from(names.is_some()));
        let at = format!("s{number}.yaml:{line}:");
        let named = names.is_none_or(|names| {
            checked.stdout.lines().any(|it| it.contains(&at) && it.contains(names))
        });
        assert!(named, "no `{at}` in {checked:?}");
    }
    // The mall's own topics have a publisher, and others are taken over another broker by `yeoul serve`.
    let file = overlay(
        folder.path(),
        "mall.yaml",
        &format!("store: sqlite\n{broker}    news: {{ publish: ORDER_ADMIN }}\n"),
    );
    let checked = run(&["check", "--mall", "-c", text(&file)]).expect(1);
    assert!(checked.stdout.contains("by `yeoul serve` alone"), "{checked:?}");
}

/// What `/readyz` says.
fn readyz(served: &Served) -> Answer {
    Call::new("GET", format!("{}/readyz", served.admin)).send()
}

/// An outage of the broker and a restart, each of which is survived alone, are survived together.
#[test]
fn a_start_while_the_broker_is_away_takes_events_and_relays_them_once_it_comes() {
    let _alone = alone();
    let mut server = kafka::Server::start();
    let folder = Folder::new();
    let address = server.address();
    let served = Served::on(&folder, &address, "sqlite");
    let mut told: BTreeSet<String> = ["before".to_owned()].into();
    let place = position(&served.send(&paid("before", 1)));
    served.all_there(&told);
    signal("KILL", served.program.pid());
    drop(served);
    server.kill();

    let served = Served::on(&folder, &address, "sqlite");
    for at in 0..30 {
        position(&served.send(&paid(at, at % 5)));
        told.insert(at.to_string());
    }
    assert_eq!(position(&served.send(&paid("before", 1))), place, "it knows what it took");
    let ready = readyz(&served).expect(200).value();
    let why = ready["degraded"]["broker"].as_str().expect("what it does without");
    assert!(why.contains(&address), "{ready}");
    assert_eq!((&ready["ready"], &ready["missing"]), (&json!(true), &json!({})), "{ready}");
    let found = run(&["doctor", "--data", text(&folder.data())]).expect(3);
    let broker = found.stdout.lines().find(|line| line.starts_with("WRONG broker: "));
    let names =
        |it: &str| it.contains(&address) && it.contains("see whether the broker runs there");
    assert!(broker.is_some_and(names), "{found:?}");

    let url = format!("{}/events/paid", served.inner);
    let unread = Call::new("GET", url).send().problem(503);
    assert_eq!(unread["type"], "/problems/unavailable", "{unread}");

    // A folder that never published is not asked whose the topic is before the broker can say.
    let anew = Folder::new();
    let second = Served::on(&anew, &address, "sqlite");
    position(&second.send(&paid("second", 1)));

    // Killed and started once more before the broker comes.
    signal("KILL", served.program.pid());
    drop(served);
    let served = Served::on(&folder, &address, "sqlite");
    position(&served.send(&paid("last", 1)));
    told.insert("last".to_owned());
    server.start_again();
    let there = served.all_there(&told);
    assert_eq!(there.len(), told.len(), "each is there once, and none of the other folder's");
    within(GOES_ON_BY, "all is well again", || {
        let ready = readyz(&served);
        let is_whole = ready.status == 200 && ready.value()["degraded"] == Value::Null;
        is_whole.then_some(())
    });
    // The other one's numbers would be taken for copies of these: it waits for an operator, and takes no more.
    within(GOES_ON_BY, "the second folder says whose the topic is", || {
        let ready = readyz(&second);
        let why = ready.value()["missing"]["paid"].as_str()?.to_owned();
        (ready.status == 503 && why.contains("another folder publishes")).then_some(())
    });
    second.send(&paid("third", 1)).refusal(503);
    assert_eq!(first_copies(&served.events().expect("read")).len(), there.len());

    // Files that may have been put back are not numbered on before the broker says what it has.
    let copy = Folder::new();
    signal("KILL", served.program.pid());
    drop(served);
    let to = copy.data();
    let done = std::process::Command::new("cp").arg("-a").args([&folder.data(), &to]).status();
    assert!(done.expect("cp").success());
    server.kill();
    let file = folder.path().join("serve.yaml");
    let start = ["serve", "-c", text(&file), "--data", text(&to), "--listen", "127.0.0.1:0"];
    let refused = run(&start).expect(3);
    assert!(refused.last_word().contains("once the broker is there"), "{refused:?}");
}

/// What was acknowledged is not left behind without a word, whichever of the settings is taken away.
#[test]
fn what_was_acknowledged_and_waits_keeps_settings_that_take_none_from_starting() {
    let _alone = alone();
    let server = kafka::Server::start();
    let folder = Folder::new();
    let served = Served::on(&folder, &server.address(), "sqlite");
    server.signal("-STOP");
    for at in 0..7 {
        position(&served.send(&paid(at, at)));
    }
    signal("KILL", served.program.pid());
    server.signal("-CONT");
    drop(served);
    let data = folder.data();
    let kafka =
        format!("store: sqlite\nevents:\n  broker: {}\n  prefix: till.\n", server.address());
    let of_before = format!("{kafka}  topics:\n    paid: {{ partitions: {PARTITIONS} }}\n");
    let others = format!("{kafka}  replicas: 1\n  topics:\n    other: {{ publish: TILL }}\n");
    let local = "events:\n  broker: local\n  topics:\n    paid: { publish: TILL }\n";
    for (number, yaml) in [&of_before, &others, local].into_iter().enumerate() {
        let file = overlay(folder.path(), &format!("less-{number}.yaml"), yaml);
        let start = ["serve", "-c", text(&file), "--data", text(&data), "--listen", "127.0.0.1:0"];
        let refused = run(&start).expect(3);
        let says = &refused.stderr;
        assert!(says.contains("topic=`paid`, count=`7`"), "{yaml}{says}");
        assert!(refused.last_word().contains("events.topics.paid.publish"), "{says}");
    }
    assert!(!data.join("log").exists(), "nothing is begun");
    let served = Served::on(&folder, &server.address(), "sqlite");
    served.all_there(&(0..7).map(|at| at.to_string()).collect());
    assert_eq!(served.program.stop_by("TERM"), Some(0));
    // Relayed, it is in nobody's way.
    assert_eq!(Served::of(&folder, &of_before).program.stop_by("TERM"), Some(0));
}
