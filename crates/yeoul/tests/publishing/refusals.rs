//! What is refused, how, and that nothing of it is stored.

use super::*;
use support::Mall;

/// An event with another member, or without one.
fn but(name: &str, value: Value) -> Value {
    let mut event = paid("refused");
    event[name] = value;
    if event[name].is_null() {
        event.as_object_mut().expect("an event").remove(name);
    }
    event
}

#[test]
fn whatever_is_wrong_with_an_event_is_named_with_its_field_in_every_mode() {
    let folder = Folder::new();
    let served = Served::on(&folder);
    let long = |bytes: usize| json!("x".repeat(bytes));
    let table = [
        (but("id", Value::Null), "id"),
        (but("type", Value::Null), "type"),
        (but("source", Value::Null), "source"),
        (but("specversion", Value::Null), "specversion"),
        (but("specversion", json!("0.3")), "specversion"),
        (but("id", json!("")), "id"),
        (but("id", long(1025)), "id"),
        (but("source", long(1025)), "source"),
        (but("type", long(1025)), "type"),
        (but("subject", long(1025)), "subject"),
        (but("partitionkey", long(1025)), "partitionkey"),
        (but("time", json!("yesterday")), "time"),
        (but("outboxsequence", json!("7")), "outboxsequence"),
        (but("tenant", long(5000)), "tenant"),
    ];
    for (event, field) in &table {
        served.structured("paid", event).refuses_field(field);
        let refused = served.batch("paid", &[paid(1), event.clone(), paid(2)]);
        refused.refuses_field(&format!("[1].{field}"));
        let attributes = event.as_object().expect("an event").iter();
        let call = attributes.fold(served.call("paid"), |call, (name, value)| {
            call.header(&format!("ce-{name}"), value.as_str().expect("a text"))
        });
        call.send().refuses_field(field);
    }
    // All of them at once.
    let every: Vec<Value> = table.iter().map(|(event, _)| event.clone()).collect();
    let refused = served.batch("paid", &every).problem(400);
    assert_eq!(refused["errors"].as_array().expect("a list").len(), table.len(), "{refused}");
    assert_eq!(served.events("paid"), [Value::Null; 0]);
}

/// As they are written: no `Value` holds any of these.
#[test]
fn what_not_every_reader_takes_is_refused_with_its_field_in_every_mode() {
    let folder = Folder::new();
    let served = Served::on(&folder);
    for (members, field) in [
        (r#""data":{"a":["\ud800"]}"#, "data"),
        (r#""data":1e999"#, "data"),
        (r#""subject":"\udc00""#, "subject"),
        (r#""tenant":"\ud800""#, "tenant"),
        (r#""sequence":"\ud800""#, "sequence"),
    ] {
        let event = paid(1).to_string().replacen('{', &format!("{{{members},"), 1);
        served.call("paid").content(STRUCTURED, event.as_str()).send().refuses_field(field);
        let batch = format!("[{},{event}]", paid(2));
        let refused = served.call("paid").content(BATCH, batch).send();
        refused.refuses_field(&format!("[1].{field}"));
    }
    for data in [r#""\ud800""#, "-1e999"] {
        let binary = served.call("paid").header("ce-specversion", "1.0").header("ce-id", "b");
        let binary = binary.header("ce-source", "/till/3").header("ce-type", "Paid");
        binary.content("application/json", data).send().refuses_field("data");
    }
    assert_eq!(served.events("paid"), [Value::Null; 0]);
}

#[test]
fn a_body_that_is_no_event_is_refused_by_its_kind() {
    let folder = Folder::new();
    let served = Served::on(&folder);
    let event = paid(1).to_string();
    for (kind, body) in [
        ("application/json", event.as_str()),
        ("application/cloudevents+xml", "<event/>"),
        ("application/cloudevents", &event),
        ("application/cloudevents+json; charset=latin1", &event),
        ("text/plain", "a"),
    ] {
        served.call("paid").content(kind, body).send().problem(415);
    }
    served.call("paid").send().problem(415);
    for (kind, body) in [
        (STRUCTURED, ""),
        (STRUCTURED, "[]"),
        (STRUCTURED, "{"),
        (BATCH, "{}"),
        (BATCH, "[1]"),
        (BATCH, "[{},"),
    ] {
        served.call("paid").content(kind, body).send().problem(400);
    }
    served.batch("paid", &[json!(1)]).refuses_field("[0]");
    let sound =
        served.call("paid").content("Application/CloudEvents+JSON; charset=\"UTF-8\"", event);
    position(&sound.send());
    assert_eq!(served.ids("paid"), ["1"]);
}

#[test]
fn an_event_and_a_batch_have_so_many_bytes_and_so_many_events() {
    let folder = Folder::new();
    let served = Served::on(&folder);
    let of = |id: &str, bytes: usize| {
        let mut event = paid(id);
        event["time"] = json!("2026-11-27T00:00:00Z");
        event["data"] = json!("");
        let envelope = event.to_string().len();
        event["data"] = json!("x".repeat(bytes - envelope));
        event
    };
    const MIB: usize = 1 << 20;
    position(&served.structured("paid", &of("largest", MIB)));
    served.structured("paid", &of("larger", MIB + 1)).problem(413);
    let refused = served.batch("paid", &[paid(1), of("larger", MIB + 1)]).problem(413);
    assert_eq!(refused["errors"][0]["field"], "[1]", "{refused}");
    // As base64 it is larger than it came.
    let bytes = served.call("paid").header("ce-specversion", "1.0").header("ce-id", "b");
    let bytes = bytes.header("ce-source", "/till/3").header("ce-type", "Paid");
    bytes.content("application/octet-stream", vec![0; MIB - 1000]).send().problem(413);
    let seven: Vec<Value> = (0..7).map(|at| of(&format!("large-{at}"), MIB)).collect();
    position(&served.batch("paid", &seven));
    let eight: Vec<Value> = (0..8).map(|at| of(&format!("more-{at}"), MIB)).collect();
    let refused = served.batch("paid", &eight).problem(413);
    assert_eq!(refused["errors"][0]["limit"], 8 * MIB, "{refused}");
    let thousand: Vec<Value> = (0..1000).map(|at| paid(format!("many-{at}"))).collect();
    position(&served.batch("paid", &thousand));
    let more: Vec<Value> = (0..1001).map(|at| paid(format!("too-many-{at}"))).collect();
    served.batch("paid", &more).problem(413);
    assert_eq!(served.ids("paid").len(), 1 + 7 + 1000);
}

#[test]
fn a_topic_that_is_unknown_or_of_its_own_service_takes_nothing() {
    let folder = Folder::new();
    let served = Served::on(&folder);
    served.structured("nowhere", &paid(1)).problem(404);
    served.structured("Paid", &paid(1)).problem(404);
    served.structured("read-only", &paid(1)).problem(403);
    assert_eq!(served.events("read-only"), [Value::Null; 0]);
    // From outside nobody can show a token that is known here.
    let port = served.inner.clone();
    assert!(port.starts_with("http://127.0.0.1:"));
    let foreign =
        Call::new("POST", format!("{port}/events/paid")).header("origin", "https://a.example");
    foreign.content(STRUCTURED, paid(1).to_string()).send().problem(403);
    let read = Call::new("GET", format!("{port}/events/paid")).send().expect(200);
    assert_eq!(read.value(), json!([]), "who may publish here may read here");
    Call::new("PUT", format!("{port}/events/paid")).send().problem(405);
    assert_eq!(served.events("paid"), [Value::Null; 0]);
}

#[test]
fn in_the_mall_a_role_publishes_to_a_topic_that_is_declared_and_nobody_to_a_services_own() {
    let Some(folder) = Folder::owned() else { return };
    let settings = "events: { topics: { news: { publish: ORDER_ADMIN } } }\n";
    let file = overlay(folder.path(), "news.yaml", settings);
    let mall = Mall::on(folder, &["-c", text(&file)]);
    let publish = |topic: &str| mall.at("gateway", "POST", &format!("/events/{topic}"));
    let event = || paid(1).to_string();
    publish("news").content(STRUCTURED, event()).send().problem(401);
    let customer = mall.customer();
    publish("news").bearer(&customer.token).content(STRUCTURED, event()).send().problem(403);
    publish("order").bearer(&customer.token).content(STRUCTURED, event()).send().problem(403);
    let admin = mall.admin().to_owned();
    let stored = publish("news").bearer(&admin).content(STRUCTURED, event()).send();
    assert_eq!(position(&stored), "t1.news");
    for own in ["order", "product", "delivery", "account"] {
        publish(own).bearer(&admin).content(STRUCTURED, event()).send().problem(403);
    }
    publish("nowhere").bearer(&admin).content(STRUCTURED, event()).send().problem(404);
    let read = mall.at("gateway", "GET", "/events/news").bearer(&admin).send().expect(200);
    assert_eq!(read.value()[0]["id"], "1");
}
