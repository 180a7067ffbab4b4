//! What a topic promises is held: data that its type does not have is refused by whichever door it comes, with its place, and
//! nothing of it is stored; and rules that read what no schema has do not start.

#[path = "support/lib.rs"]
mod support;

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use support::{Answer, Call, Folder, Started, eventually, overlay, run, text};

const STRUCTURED: &str = "application/cloudevents+json";
const BATCH: &str = "application/cloudevents-batch+json";

const SETTINGS: &str = "events:\n  topics:\n    paid: { publish: TILL, schemas: schemas/paid }\n    \
                        free: { publish: TILL }\n  schedules: {}\n";

/// The schemas of the topic, as they are where nothing is wrong with them.
fn schemas(folder: &Path) {
    let paid = json!({
        "type": "object",
        "required": ["won"],
        "properties": {
            "won": {"type": "integer", "minimum": 1},
            "lines": {"type": "array", "items": {"properties": {"price": {"type": "integer"}}}},
        },
    });
    write(folder, "Paid", &paid);
    write(folder, "com.example%2FRefunded", &json!({}));
}

fn write(folder: &Path, kind: &str, schema: &Value) {
    let place = folder.join("schemas/paid");
    fs::create_dir_all(&place).expect("a folder");
    fs::write(place.join(format!("{kind}.json")), schema.to_string()).expect("written");
}

/// A running `yeoul serve` whose topic `paid` has a contract; killed when dropped.
struct Served {
    _program: Started,
    inner: String,
}

impl Served {
    fn on(folder: &Folder) -> Served {
        schemas(folder.path());
        let (program, ready) = Started::serving(folder, SETTINGS);
        let inner = ready["inner"].as_str().expect("an address").to_owned();
        Served { _program: program, inner }
    }

    fn post(&self, topic: &str, kind: &str, body: &Value) -> Answer {
        let call = Call::new("POST", format!("{}/events/{topic}", self.inner));
        call.content(kind, body.to_string()).send()
    }

    fn stored(&self, topic: &str) -> Vec<Value> {
        let events = Call::new("GET", format!("{}/events/{topic}?limit=1000", self.inner)).send();
        events.expect(200).value().as_array().expect("a list").clone()
    }
}

#[expect(clippy::needless_pass_by_value, reason = "so that what `json!` makes goes in")]
fn event(id: &str, kind: &str, data: Value) -> Value {
    json!({"specversion": "1.0", "id": id, "source": "/till/3", "type": kind, "data": data})
}

/// The fields that are wrong, each with why.
#[track_caller]
fn errors(refused: &Answer) -> Vec<String> {
    let document = refused.problem(400);
    let errors = document["errors"].as_array().expect("errors").iter();
    let text = |it: &Value| it.as_str().expect("a text").to_owned();
    errors.map(|it| format!("{}: {}", text(&it["field"]), text(&it["reason"]))).collect()
}

#[test]
fn data_that_its_type_does_not_have_is_refused_in_each_mode_and_nothing_of_it_is_stored() {
    let folder = Folder::new();
    let served = Served::on(&folder);
    let one =
        |kind: &str, data: Value| errors(&served.post("paid", STRUCTURED, &event("1", kind, data)));
    assert_eq!(one("Paid", json!({"won": 0})), ["data/won: is less than the minimum of 1"]);
    assert_eq!(one("Paid", json!({})), ["data/won: is missing"]);
    assert_eq!(one("Pad", json!({"won": 1})), ["type: unknown type. name=`Pad`, nearest=`Paid`"]);
    let bare = json!({"specversion": "1.0", "id": "1", "source": "/till/3", "type": "Paid"});
    assert_eq!(errors(&served.post("paid", STRUCTURED, &bare)), ["data: is missing"]);

    let binary = |id: &str, content: &str, data: &[u8]| {
        let call = Call::new("POST", format!("{}/events/paid", served.inner));
        let call = call.header("ce-specversion", "1.0").header("ce-id", id);
        let call = call.header("ce-source", "/till/3").header("ce-type", "Paid");
        call.content(content, data).send()
    };
    let refused =
        errors(&binary("1", "application/json", br#"{"lines": [{"price": "x"}], "won": 1}"#));
    assert_eq!(refused, ["data/lines/0/price: is not of type \"integer\""]);
    let refused = errors(&binary("1", "image/png", b"\x89PNG"));
    assert_eq!(refused, ["data: must be JSON: the topic says what the data of its events is"]);

    // All or nothing: those of the batch that are sound are not stored either.
    let batch = json!([
        event("1", "Paid", json!({"won": 1})),
        event("2", "Paid", json!({"won": "much"})),
        event("3", "Padi", json!({"won": 3})),
    ]);
    let expected = [
        "[1].data/won: is not of type \"integer\"",
        "[2].type: unknown type. name=`Padi`, nearest=`Paid`",
    ];
    assert_eq!(errors(&served.post("paid", BATCH, &batch)), expected);
    assert_eq!(served.stored("paid"), [Value::Null; 0]);

    // Beside each refusal what is taken: a type that is anything, and a topic that promises nothing.
    served
        .post("paid", STRUCTURED, &event("1", "Paid", json!({"won": 1, "more": true})))
        .expect(200);
    served.post("paid", STRUCTURED, &event("2", "com.example/Refunded", json!("x"))).expect(200);
    served.post("free", STRUCTURED, &event("1", "Pad", json!({"won": "much"}))).expect(200);
    binary("3", "application/json", br#"{"won": 3}"#).expect(200);
    assert_eq!((served.stored("paid").len(), served.stored("free").len()), (3, 1));
}

#[test]
fn a_schedule_is_held_to_it_when_it_is_put_and_a_publisher_on_the_command_line_is_too() {
    let folder = Folder::new();
    let served = Served::on(&folder);
    let put = |kind: &str, data: Value| {
        let body = json!({"in": "10m", "topic": "paid", "type": kind, "data": data});
        Call::new("PUT", format!("{}/schedules/a", served.inner)).json(&body).send()
    };
    assert_eq!(
        errors(&put("Paid", json!({"won": "much"}))),
        ["data/won: is not of type \"integer\""]
    );
    assert_eq!(
        errors(&put("Pad", json!({"won": 1})))[0],
        "type: unknown type. name=`Pad`, nearest=`Paid`"
    );
    let get = || Call::new("GET", format!("{}/schedules/a", served.inner)).send();
    get().problem(404);
    put("Paid", json!({"won": 1})).expect(201);
    get().expect(200);

    let publish = |data: Value| {
        let file = overlay(folder.path(), "event.json", &event("9", "Paid", data).to_string());
        run(&["events", "publish", "paid", text(&file), "--data", text(&folder.data())])
    };
    let outcome = publish(json!({"won": "much"})).expect(1);
    assert!(outcome.stderr.contains("data/won"), "{outcome:?}");
    assert_eq!(served.stored("paid"), [Value::Null; 0]);
    publish(json!({"won": 9})).expect(0);
    assert_eq!(served.stored("paid").len(), 1);
}

#[test]
fn data_that_take_the_place_of_a_dead_letters_are_held_to_it() {
    let folder = Folder::new();
    schemas(folder.path());
    let settings = format!(
        "{SETTINGS}  subscriptions:\n    bill: {{ topic: paid, pull: true, attempts: 1 }}\n"
    );
    let (_program, ready) = Started::serving(&folder, &settings);
    let [inner, admin] = ["inner", "admin"].map(|name| ready[name].as_str().expect("an address"));
    let post = |path: &str| Call::new("POST", format!("{inner}{path}"));
    let paid = event("1", "Paid", json!({"won": 1})).to_string();
    post("/events/paid").content(STRUCTURED, paid).send().expect(200);
    let lent = post("/subscriptions/bill/pull").json(&json!({"limit": 1})).send().expect(200);
    let refuse = json!({"lease": lent.must("yeoul-lease"), "reason": "no till"});
    post("/subscriptions/bill/nack").json(&refuse).send().expect(200);
    let dead = || Call::new("GET", format!("{admin}/admin/dead")).send().expect(200).value();
    let id = eventually("a dead letter", || Some(dead()[0]["id"].as_str()?.to_owned()));

    let redrive = |query: &str, data: Value| {
        let path = format!("{admin}/admin/dead/{id}/redrive?edit=true{query}");
        Call::new("POST", path).json(&data).send()
    };
    for query in ["", "&dry_run=true"] {
        let wrong = redrive(query, json!({"won": 2, "lines": [{"price": "x"}]}));
        assert_eq!(errors(&wrong), ["data/lines/0/price: is not of type \"integer\""], "{query}");
    }
    assert_eq!(dead()[0]["id"], id, "nothing was done");
    redrive("", json!({"won": 2})).expect(202);
    let again = post("/subscriptions/bill/pull").json(&json!({"limit": 1})).send().expect(200);
    assert_eq!(again.value()[0]["data"], json!({"won": 2}));
}

/// What `check` prints of these settings, with the schemas beside them.
fn check(folder: &Folder, settings: &str) -> support::Outcome {
    let file = overlay(folder.path(), "checked.yaml", settings);
    run(&["check", "-c", text(&file)])
}

#[test]
fn a_rule_that_reads_what_no_schema_has_is_named_with_its_line_and_the_nearest_that_it_has() {
    let folder = Folder::new();
    schemas(folder.path());
    let rules = |kind: &str, won: &str| {
        format!(
            "{SETTINGS}views:\n  bills:\n    topics: [paid]\n    key: bill\n    owner: bill\n    on:\n      \
             {kind}:\n        create:\n          bill: event.won\n          won: {won}\n"
        )
    };
    for sound in ["event.won", "event.won * 2", "time", "7", "event.lines"] {
        check(&folder, &rules("Paid", sound)).expect(0);
    }
    for (won, says) in [
        ("event.wno", "unknown field. name=`wno`, nearest=`won`"),
        ("event.won + event.lins", "unknown field. name=`lins`, nearest=`lines`"),
        ("event.won.tax", "`won` is no object by the schema"),
    ] {
        let outcome = check(&folder, &rules("Paid", won)).expect(1);
        let line = format!("checked.yaml:15: views.bills.on.Paid.create.won: {says}\n");
        assert!(outcome.stdout.ends_with(&line), "{won}: {outcome:?}");
    }
    let outcome = check(&folder, &rules("Pid", "event.won")).expect(1);
    let line = "checked.yaml:12: views.bills.on.Pid: unknown type. name=`Pid`, nearest=`Paid`\n";
    assert!(outcome.stdout.ends_with(line), "{outcome:?}");
    // By a topic that promises nothing it may come.
    check(&folder, &rules("Pid", "event.won").replace("[paid]", "[paid, free]")).expect(0);
}

#[test]
fn a_schema_that_cannot_be_held_is_named_with_its_file_and_its_place() {
    let folder = Folder::new();
    schemas(folder.path());
    check(&folder, SETTINGS).expect(0);
    write(folder.path(), "Broken", &json!({"properties": {"won": {"tpye": "integer"}}}));
    let outcome = check(&folder, SETTINGS).expect(1);
    let says = "schemas/paid/Broken.json: /properties/won/tpye: unknown keyword. name=`tpye`, nearest=`type`";
    assert!(outcome.stdout.contains("checked.yaml:3: events.topics.paid.schemas: "), "{outcome:?}");
    assert!(outcome.stdout.contains(says), "{outcome:?}");
    for nothing in ["schemas/nobody", "schemas"] {
        let outcome = check(&folder, &SETTINGS.replace("schemas/paid", nothing)).expect(1);
        assert!(outcome.stdout.contains("events.topics.paid.schemas: "), "{outcome:?}");
    }
}

#[test]
fn rows_that_are_published_whatever_they_are_are_warned_of() {
    let folder = Folder::new();
    schemas(folder.path());
    let settings = "events:\n  topics:\n    paid: { schemas: schemas/paid }\n  outboxes:\n    \
                    till: { database: 'postgres://till@127.0.0.1:5432/till', topics: [paid] }\n";
    let outcome = check(&folder, settings).expect(0);
    let says = "checked.yaml:3: events.topics.paid.schemas: what `events.outboxes.till.topics` publishes is not held to it";
    assert!(outcome.stdout.contains(says), "{outcome:?}");
}

/// F7: the publisher renames a field that others read; it fails on both sides before anything is deployed.
#[test]
fn a_field_that_is_renamed_is_named_beside_the_settings_in_force_and_where_a_rule_reads_it() {
    let (old, new) = (Folder::new(), Folder::new());
    let in_force = overlay(old.path(), "in-force.yaml", SETTINGS);
    schemas(old.path());
    let beside = |settings: &str| {
        let file = overlay(new.path(), "checked.yaml", settings);
        run(&["check", "-c", text(&file), "--against", text(&in_force)])
    };
    schemas(new.path());
    assert_eq!(beside(SETTINGS).expect(0).stdout, "");

    // Who publishes: the change itself is named, with whom it breaks.
    let renamed = json!({
        "type": "object",
        "required": ["sum"],
        "properties": {"sum": {"type": "integer", "minimum": 1}, "lines": {"type": "array",
            "items": {"properties": {"price": {"type": "integer"}}}}},
    });
    write(new.path(), "Paid", &renamed);
    let outcome = beside(SETTINGS).expect(1);
    let lines: Vec<&str> = outcome
        .stdout
        .lines()
        .filter_map(|it| it.split_once("checked.yaml:"))
        .map(|it| it.1)
        .collect();
    let at = "3: events.topics.paid.schemas: Paid: /properties";
    let expected = [
        format!("{at}/sum: must be there now; breaks publishers, and what is stored"),
        format!("{at}/won: is gone: nobody promises it any more; breaks readers"),
    ];
    assert_eq!(lines, expected, "{outcome:?}");
    // Who reads: a rule that still names it does not hold.
    let rule = "views:\n  bills:\n    topics: [paid]\n    key: bill\n    owner: bill\n    on:\n      \
                Paid: { create: { bill: event.won } }\n";
    let outcome = check(&new, &format!("{SETTINGS}{rule}")).expect(1);
    assert!(outcome.stdout.contains("unknown field. name=`won`"), "{outcome:?}");

    // A field that is added breaks nobody; a type, a topic's promise and an old file that does not hold are named.
    let added = json!({
        "type": "object",
        "required": ["won"],
        "properties": {"won": {"type": "integer", "minimum": 1}, "tip": {"type": "integer"}, "lines": {
            "type": "array", "items": {"properties": {"price": {"type": "integer"}}}}},
    });
    write(new.path(), "Paid", &added);
    assert_eq!(beside(SETTINGS).expect(0).stdout, "");
    fs::remove_file(new.path().join("schemas/paid/com.example%2FRefunded.json")).expect("removed");
    assert!(beside(SETTINGS).expect(1).stdout.contains("com.example/Refunded: is gone"));
    let bare = SETTINGS.replace(", schemas: schemas/paid", "");
    assert!(beside(&bare).expect(1).stdout.contains("events.topics.paid.schemas: is gone"));
    fs::write(old.path().join("schemas/paid/Paid.json"), "{").expect("written");
    assert!(beside(SETTINGS).expect(1).stderr.contains("must be a JSON Schema"));
}
