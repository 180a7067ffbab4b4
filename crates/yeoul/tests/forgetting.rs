//! What is personal in events is sealed by whichever door it comes, told to those who may, and told to nobody once its person is
//! forgotten: no byte of it is in any file of the data folder but those of views, nor in a backup.

#[path = "../../brokers/tests/kafka/server.rs"]
#[allow(dead_code, reason = "the broker's own tests use the rest")]
mod kafka;
#[path = "../../events/tests/postgres/server.rs"]
#[allow(dead_code, reason = "the store's own tests use the rest")]
mod postgres;
#[path = "push/receiver.rs"]
#[allow(dead_code, reason = "the tests of pushing use the rest")]
mod receiver;
#[path = "support/lib.rs"]
mod support;

#[path = "forgetting/instances.rs"]
mod instances;

use std::fs;
use std::path::Path;

use receiver::{Receiver, Reply};
use serde_json::{Value, json};
use support::{Answer, Call, Folder, Started, eventually, overlay, run, text};

/// What nobody may find, by the door that it comes through.
const NAME: &str = "Hong Gildong";
const STREET: &str = "Sejong-daero 175";
const BY_COMMAND: &str = "Lee Mongryong";
const SCHEDULED: &str = "Sung Chunhyang";
const REDRIVEN: &str = "Byun Hakdo";
const ALL: [&str; 5] = [NAME, STREET, BY_COMMAND, SCHEDULED, REDRIVEN];

fn settings(receiver: &Receiver) -> String {
    format!(
        "events:
  topics:
    paid:
      publish: TILL
      pii:
        - {{ person: /who, fields: [/name, /at/street] }}
  allow: [loopback]
  schedules: {{}}
  subscriptions:
    raw: {{ topic: paid, pull: true, attempts: 1 }}
    told: {{ topic: paid, pull: true, attempts: 1, unseal: true }}
    mail: {{ topic: paid, push: \"{}\", unseal: true }}
views:
  people:
    topics: [paid]
    key: who
    owner: who
    on:
      Paid: {{ create: {{ who: event.who, name: event.name }} }}
pages:
  people: {{ path: '/people/{{who}}', view: people, by: who, private: false, template: page.html }}
",
        receiver.url()
    )
}

/// A running `yeoul serve`; killed when dropped.
struct Served {
    program: Started,
    inner: String,
    gateway: String,
    admin: String,
    data: String,
}

impl Served {
    fn on(folder: &Folder, receiver: &Receiver) -> Served {
        overlay(folder.path(), "page.html", "<p>{{ page.who }}</p>");
        Served::with(folder, &settings(receiver))
    }

    fn with(folder: &Folder, settings: &str) -> Served {
        let (program, ready) = Started::serving(folder, settings);
        let url = |name: &str| ready[name].as_str().expect("an address").to_owned();
        let data = text(&folder.data()).to_owned();
        Served { inner: url("inner"), gateway: url("gateway"), admin: url("admin"), program, data }
    }

    fn publish(&self, event: &Value) -> Answer {
        let call = Call::new("POST", format!("{}/events/paid", self.inner));
        call.content("application/cloudevents+json", event.to_string()).send()
    }

    /// Everything in the topic, as whoever reads it raw sees it.
    fn stored(&self) -> Vec<Value> {
        let url = format!("{}/events/paid?limit=1000", self.inner);
        let events = Call::new("GET", url).send().expect(200).value();
        events.as_array().expect("a list").clone()
    }

    /// So many events, as a subscriber is lent them, one after the other; of each he says this.
    #[track_caller]
    fn lent(&self, name: &str, count: usize, how: &str) -> Vec<Value> {
        let ask = |asked: &str, body: &Value| {
            let url = format!("{}/subscriptions/{name}/{asked}", self.inner);
            Call::new("POST", url).json(body).send().expect(200)
        };
        let mut all = Vec::new();
        while all.len() < count {
            let lent = ask("pull", &json!({"limit": 100, "wait_s": 5}));
            all.extend(list(&lent));
            let mut said = json!({"lease": lent.must("yeoul-lease")});
            if how == "nack" && name == "told" {
                // Whoever is told may repeat it: his words are kept nowhere.
                said["reason"] = json!(format!("no letter reaches {NAME}"));
            }
            ask(how, &said);
        }
        all
    }

    /// The names that the page of a person shows.
    fn page(&self, who: &str) -> Value {
        let page = Call::new("GET", format!("{}/people/{who}", self.gateway));
        let page = page.header("accept", "application/json").send();
        if page.status == 404 { Value::Null } else { page.value()["people"][0]["name"].clone() }
    }

    fn forget(&self, person: &str) -> String {
        run(&["events", "forget", person, "--data", &self.data]).expect(0).stdout
    }

    /// Ends it in order.
    fn end(self) {
        assert_eq!(self.program.stop_by("TERM"), Some(0));
    }
}

fn paid(id: &str, name: &str) -> Value {
    json!({"specversion": "1.0", "id": id, "source": "/till", "type": "Paid", "subject": format!("bill-{id}"),
        "data": {"who": "p1", "name": name, "at": {"street": STREET}, "won": 1.5}})
}

/// Which of the texts are in files below a folder that `but` is not the name of.
fn found(folder: &Path, but: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != but) {
                found.extend(self::found(&path, but));
            }
            continue;
        }
        let bytes = fs::read(&path).expect("a file");
        let has = |text: &&&str| bytes.windows(text.len()).any(|part| part == text.as_bytes());
        found.extend(ALL.iter().filter(has).map(|text| format!("{text} in {}", path.display())));
    }
    found
}

fn names(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["data"]["name"].as_str().expect("a name")).collect()
}

fn list(answer: &Answer) -> Vec<Value> {
    answer.value().as_array().expect("a list").clone()
}

#[test]
fn what_is_personal_is_in_no_file_by_whichever_door_it_came_and_forgotten_it_is_told_to_nobody() {
    let (folder, receiver) = (Folder::new(), Receiver::new());
    receiver.answer(|_| Reply::TAKEN);
    let served = Served::on(&folder, &receiver);
    served.publish(&paid("1", NAME)).expect(200);
    let file = overlay(folder.path(), "event.json", &paid("2", BY_COMMAND).to_string());
    run(&["events", "publish", "paid", text(&file), "--data", &served.data]).expect(0);
    fs::remove_file(file).expect("removed");
    let later = json!({"in": "1s", "topic": "paid", "type": "Paid", "subject": "bill-7",
        "data": paid("3", SCHEDULED)["data"]});
    let put = || Call::new("PUT", format!("{}/schedules/a", served.inner)).json(&later).send();
    let first = put().expect(201).value();
    assert_eq!(put().expect(200).value()["next"], first["next"], "the same again changes nothing");
    assert!(!first.to_string().contains(SCHEDULED), "{first}");

    let stored = eventually("the third comes", || Some(served.stored()).filter(|it| it.len() == 3));
    assert!(names(&stored).iter().all(|it| it.starts_with("yeoul-sealed:1:t:")), "{stored:?}");
    assert_eq!((&stored[0]["data"]["who"], &stored[0]["data"]["won"]), (&json!("p1"), &json!(1.5)));

    // Raw readers see it sealed, and those who may are told; what they do not take is parked as it was stored.
    let (raw, told) = (served.lent("raw", 3, "nack"), served.lent("told", 3, "nack"));
    assert!(names(&raw).iter().all(|it| it.starts_with("yeoul-sealed:1:t:")), "{raw:?}");
    assert_eq!(names(&told), [NAME, BY_COMMAND, SCHEDULED]);
    assert_eq!(told[0]["data"], paid("1", NAME)["data"]);
    eventually("all of it is delivered", || (receiver.got().len() == 3).then_some(()));
    assert_eq!(receiver.got()[0].data()["name"], NAME);
    eventually("the page shows it", || (served.page("p1") == NAME).then_some(()));

    // With other data, of which a field is as it was shown, sealed.
    let dead = eventually("it is a dead letter", || {
        let dead = Call::new("GET", format!("{}/admin/dead?subscription=told.paid", served.admin));
        list(&dead.send().expect(200)).into_iter().find(|letter| letter["key"] == "bill-1")
    });
    let id = dead["id"].as_str().expect("an id");
    let shown = run(&["dead", "show", id, "--data", &served.data]).expect(0).stdout;
    assert!(shown.contains("why is not kept"), "{shown}");
    assert!(!shown.contains(NAME) && shown.contains("yeoul-sealed:"), "{shown}");
    let mut data = stored[0]["data"].clone();
    data["name"] = json!(REDRIVEN);
    let file = overlay(folder.path(), "data.json", &data.to_string());
    run(&["dead", "redrive", id, "--with", text(&file), "--data", &served.data]).expect(0);
    fs::remove_file(file).expect("removed");
    let given = &served.lent("told", 1, "nack")[0]["data"];
    assert_eq!((&given["name"], &given["at"]["street"]), (&json!(REDRIVEN), &json!(STREET)));

    // No byte of it is anywhere but in the views, in whatever state it is.
    let place = Folder::new();
    let (without, with) = (place.path().join("without"), place.path().join("with"));
    let said = run(&["backup", text(&without), "--data", &served.data]).expect(0).stdout;
    assert!(said.contains("the keys of people are not in it (--keys)"), "{said}");
    let said = run(&["backup", text(&with), "--keys", "--data", &served.data]).expect(0).stdout;
    assert!(!said.contains("--keys"), "{said}");
    assert!(with.join("people/people.db").is_file() && !without.join("people").exists());
    for place in [folder.path(), &without, &with] {
        assert_eq!(found(place, "views"), [""; 0]);
    }
    // What a view shows is in its rows as it was told, and a backup has those rows.
    for place in [&folder.data(), &without, &with] {
        assert!(!found(&place.join("views"), "").is_empty(), "{}", place.display());
    }

    let said = served.forget("p1");
    assert!(said.starts_with("p1 is forgotten"), "{said}");
    assert!(said.contains("rows of views that were made of it, here and in backups"), "{said}");
    assert!(served.forget("p1").starts_with("there is no key of p1"));
    run(&["dead", "redrive", "--all", "--data", &served.data]).expect(0);
    let again = served.lent("told", 3, "ack");
    assert_eq!(names(&again), ["(forgotten)"; 3], "{again:?}");

    // Who comes again is known again, and nothing of before.
    served.publish(&paid("4", NAME)).expect(200);
    assert_eq!(names(&served.lent("told", 1, "ack")), [NAME]);
    served.forget("p1");
    served.end();

    assert!(!found(&folder.data().join("views"), "").is_empty(), "it is found where it is");
    // Views are made anew of what is told now; and then it is in no file at all.
    fs::remove_dir_all(folder.data().join("views")).expect("removed");
    let served = Served::on(&folder, &receiver);
    eventually("the page is made anew", || (served.page("p1") == "(forgotten)").then_some(()));
    served.end();
    assert_eq!(found(folder.path(), ""), [""; 0]);
}

#[test]
fn what_was_scheduled_before_it_was_said_to_be_personal_is_sealed_as_it_is_published() {
    let folder = Folder::new();
    let plain = "events:\n  topics:\n    paid: { publish: TILL }\n  schedules: {}\n";
    let served = Served::with(&folder, plain);
    let later = json!({"in": "6s", "topic": "paid", "type": "Paid", "subject": "bill-1",
        "data": paid("1", NAME)["data"]});
    let url = format!("{}/schedules/a", served.inner);
    Call::new("PUT", url).json(&later).send().expect(201);
    served.end();
    let sealing = plain.replace("TILL }", "TILL, pii: [{ person: /who, fields: [/name] }] }");
    let served = Served::with(&folder, &sealing);
    let stored = eventually("it comes", || Some(served.stored()).filter(|it| it.len() == 1));
    assert!(names(&stored)[0].starts_with("yeoul-sealed:1:t:"), "{stored:?}");
}

#[test]
fn a_backup_tells_what_is_sealed_with_its_keys_alone() {
    let (folder, receiver) = (Folder::new(), Receiver::new());
    receiver.answer(|_| Reply::TAKEN);
    let served = Served::on(&folder, &receiver);
    served.publish(&paid("1", NAME)).expect(200);
    let place = Folder::new();
    for (name, keys, expected) in [("with", &["--keys"][..], NAME), ("without", &[], "(forgotten)")]
    {
        let copy = place.path().join(name);
        let backup = ["backup", text(&copy), "--data", &served.data];
        run(&[&backup[..], keys].concat()).expect(0);
        let restored = Folder::new();
        run(&["restore", text(&copy), "--data", text(&restored.data())]).expect(0);
        let there = Served::on(&restored, &receiver);
        assert_eq!(names(&there.lent("told", 1, "ack")), [expected], "{name}");
    }
    assert_eq!(names(&served.lent("told", 1, "ack")), [NAME], "the folder itself has them");
}

#[test]
fn an_event_of_nobody_is_refused_with_its_field_and_so_is_one_that_looks_sealed() {
    let (folder, receiver) = (Folder::new(), Receiver::new());
    let served = Served::on(&folder, &receiver);
    let batch = json!([paid("1", NAME), {"specversion": "1.0", "id": "2", "source": "/till",
        "type": "Paid", "data": {"name": NAME}}]);
    let call = Call::new("POST", format!("{}/events/paid", served.inner));
    let refused = call.content("application/cloudevents-batch+json", batch.to_string()).send();
    let refused = refused.problem(400);
    assert_eq!(
        refused["errors"],
        json!([{"field": "[1].data/who",
            "reason": "must be there once: it says whose the personal fields are"}])
    );
    let refused = served.publish(&paid("1", "yeoul-sealed:1:t:AAAA")).problem(400);
    assert_eq!(refused["errors"][0]["field"], "data/name");
    let call = Call::new("POST", format!("{}/events/paid", served.inner));
    let call = call.header("ce-specversion", "1.0").header("ce-id", "1").header("ce-source", "/t");
    let refused = call.header("ce-type", "Paid").content("image/png", "PNG").send().problem(400);
    assert_eq!(
        refused["errors"],
        json!([{"field": "data", "reason": "must be JSON: fields of it are personal, and sealed"}])
    );
    for (kind, body) in
        [("text/plain", NAME), ("application/json", "\"Hong\""), ("application/json", "[{}]")]
    {
        let call = Call::new("POST", format!("{}/events/paid", served.inner));
        let call = call.header("ce-specversion", "1.0").header("ce-id", "1");
        let call = call.header("ce-source", "/t").header("ce-type", "Paid");
        let refused = call.content(kind, body).send().problem(400);
        assert_eq!(refused["errors"][0]["field"], "data", "{kind} {body}");
    }
    assert_eq!(served.stored(), [Value::Null; 0]);
    let forget = |query: &str| {
        Call::new("POST", format!("{}/admin/people/forget{query}", served.admin)).send()
    };
    forget("").problem(400);
    for wrong in ["?person=", "?person=a%00", "?person=p1&persn=p2"] {
        forget(wrong).problem(400);
    }
    assert_eq!(forget("?person=p1").expect(200).value()["known"], false, "nothing of it is there");
}

#[test]
fn settings_that_cannot_be_sealed_by_are_refused_with_their_line() {
    let folder = Folder::new();
    for (number, (yaml, says)) in [
        (
            "  topics:\n    paid: { publish: T, pii: [{ fields: [name] }] }\n",
            "events.topics.paid.pii.0.fields: must be a JSON Pointer",
        ),
        ("  topics:\n    paid: { publish: T, pii: [{ fields: [/a], whom: /b }] }\n", "whom"),
        (
            "  topics:\n    paid: { publish: T }\n  subscriptions:\n    \
          a: { topic: paid, pull: true, unseal: true }\n",
            "events.subscriptions.a.unseal: nothing of `paid` is sealed",
        ),
        (
            "  topics:\n    paid: { publish: T, pii: [{ fields: [/a/*] }] }\n  subscriptions:\n    \
          a: { topic: paid, pull: true, share: event.a.b }\n",
            "events.subscriptions.a.share: is sealed by `events.topics.paid.pii`",
        ),
        (
            "  topics:\n    paid: { pii: [{ fields: [/a] }] }\n  outboxes:\n    \
          shop: { database: 'postgres://a@127.0.0.1:1/b', topics: [paid] }\n",
            "cannot be sealed: a row is committed before it is read",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let file = overlay(folder.path(), &format!("{number}.yaml"), &format!("events:\n{yaml}"));
        let outcome = run(&["check", "-c", text(&file)]).expect(1);
        assert!(outcome.stdout.contains(says), "{says}: {outcome:?}");
    }
    let beside = "events:\n  topics:\n    paid: { publish: T, pii: [{ fields: [/a/b] }] }\n  subscriptions:\n    \
        a: { topic: paid, pull: true, share: event.a.c }\n    b: { topic: paid, pull: true, share: a }\n";
    let file = overlay(folder.path(), "beside.yaml", beside);
    run(&["check", "-c", text(&file)]).expect(0);
    let file = overlay(
        folder.path(),
        "mall.yaml",
        "events:\n  topics:\n    account: { pii: [{ fields: [/nickname] }] }\n",
    );
    let outcome = run(&["check", "--mall", "-c", text(&file)]).expect(1);
    assert!(outcome.stdout.contains("is sealed by `yeoul serve` alone"), "{outcome:?}");
}
