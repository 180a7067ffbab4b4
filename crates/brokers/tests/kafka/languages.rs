//! Events as services in other languages read and write them: with the CloudEvents libraries of Python and
//! Node, and clients of Kafka that know nothing of us.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use events::{Event, Offset};
use serde_json::{Value, json};

use crate::support::{KEPT, Place, at, shared, topic};

/// As services publish them: text beyond ASCII, a key that is not the subject, every extension and none.
const PUBLISHED: [&str; 3] = [
    r#"{"specversion":"1.0","id":"a-1","source":"order","type":"OrderPlaced","subject":"7",
        "time":"2024-05-01T12:00:00.123456Z","partitionkey":"손님 1","sequence":"1",
        "outboxsequence":"1","correlationid":"c-1","causationid":"z-9",
        "traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "datacontenttype":"application/json","data":{"productName":"여울 텔레비전","quantity":2,"price":null}}"#,
    r#"{"specversion":"1.0","id":"a-2","source":"order","type":"OrderCancelled","subject":"8",
        "time":"2024-05-01T12:00:01Z","partitionkey":"8","sequence":"3","outboxsequence":"2",
        "datacontenttype":"application/json","data":{"reason":"100% \"off\"","of":[1,2.5,true]}}"#,
    r#"{"specversion":"1.0","id":"a-3","source":"order","type":"Counted","subject":"9",
        "time":"2024-05-01T12:00:02Z","partitionkey":"9","sequence":"4","outboxsequence":"3",
        "datacontenttype":"application/json","data":{}}"#,
];

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kafka/languages")
}

fn python() -> Command {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target folder");
    let libraries = target.join("peers/python");
    let install = "cargo xtask services install cloudevents";
    assert!(libraries.is_dir(), "Python's libraries are missing. Install them with:\n{install}");
    let mut command = Command::new("python3");
    command.env("PYTHONPATH", libraries).arg(here().join("events.py"));
    command
}

fn node() -> Command {
    let libraries = here().join("node/node_modules");
    let install = "cargo xtask services install kafkajs";
    assert!(libraries.is_dir(), "Node's libraries are missing. Install them with:\n{install}");
    let mut command = Command::new("node");
    command.arg(here().join("node/events.js"));
    command
}

/// Runs one of the two with `input`; what it prints, a document a line.
fn run(mut command: Command, arguments: &[&str], input: &str) -> Vec<Value> {
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it is installed");
    child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    let lines = String::from_utf8(output.stdout).expect("text");
    lines.lines().map(|line| serde_json::from_str(line).expect("a document")).collect()
}

fn server(place: &Place) -> (String, String) {
    let server = place.servers.to_string().replace("kafka://", "");
    (server, format!("{}{}", place.prefix, topic()))
}

/// An event as its attributes and its data, as a reader in another language has it. An attribute that is a
/// time is compared as one.
fn of_reader(seen: &Value) -> Event {
    let mut whole = seen["attributes"].as_object().expect("attributes").clone();
    whole.insert("data".to_owned(), seen["data"].clone());
    // The key is the record's own there.
    whole.insert("partitionkey".to_owned(), seen["key"].clone());
    Event::from_json(Value::Object(whole).to_string().as_bytes()).expect("an event")
}

fn value(event: &Event) -> Value {
    let mut value: Value = serde_json::from_slice(&event.to_json()).expect("a document");
    value["time"] = json!(event.time.as_microsecond());
    value
}

/// Node's times end at the millisecond.
fn to_the_millisecond(mut event: Value) -> Value {
    let time = event["time"].as_i64().expect("a time");
    event["time"] = json!(time / 1_000 * 1_000);
    event
}

async fn is_read_in(language: fn() -> Command) {
    let (place, broker) = Place::fresh(shared(), &KEPT).await;
    let published = PUBLISHED.map(|one| Event::from_json(one.as_bytes()).expect("an event"));
    broker.publish(&at(), published.to_vec()).await.expect("stored");
    let (server, topic) = server(&place);
    let seen = run(language(), &["read", &server, &topic, "3"], "");
    let seen: Vec<_> = seen.iter().map(|one| to_the_millisecond(value(&of_reader(one)))).collect();
    let expected: Vec<_> = published.iter().map(|one| to_the_millisecond(value(one))).collect();
    assert_eq!(seen, expected);
}

async fn is_written_in(language: fn() -> Command) {
    let (place, broker) = Place::fresh(shared(), &KEPT).await;
    let attributes = |id: &str| {
        json!({
            "specversion": "1.0", "id": id, "source": "https://shop.example/cart", "type": "Filled",
            "subject": "장바구니", "time": "2024-05-01T12:00:00+00:00", "partitionkey": "손님 1",
            "correlationid": "c-1", "datacontenttype": "application/json",
        })
    };
    let data = json!({ "품목": ["tv", 2, null] });
    let line = |id: &str, mode: &str| {
        json!({ "attributes": attributes(id), "data": data, "mode": mode }).to_string()
    };
    let lines = [line("b-1", "binary"), line("b-2", "structured")].join("\n");
    let (server, topic) = server(&place);
    run(language(), &["write", &server, &topic], &lines);
    let stored = broker.read(&at(), Offset::BEGINNING, 10).await.expect("events");
    let stored: Vec<&Event> = stored.iter().map(|stored| &stored.event).collect();
    assert_eq!(stored.iter().map(|event| event.id.as_str()).collect::<Vec<_>>(), ["b-1", "b-2"]);
    for event in stored {
        assert_eq!(serde_json::from_str::<Value>(event.data.get()).expect("JSON"), data);
        let said = [&event.source, &event.kind, &event.subject, &event.key];
        assert_eq!(said, ["https://shop.example/cart", "Filled", "장바구니", "손님 1"]);
        assert_eq!(event.time.to_string(), "2024-05-01T12:00:00Z");
        assert_eq!(event.cause.correlation_id.as_deref(), Some("c-1"));
        assert_eq!(event.outbox_sequence, None);
    }
}

#[tokio::test]
async fn what_is_published_is_read_in_python() {
    is_read_in(python).await;
}

#[tokio::test]
async fn what_is_published_is_read_in_node() {
    is_read_in(node).await;
}

#[tokio::test]
async fn what_is_written_in_python_is_an_event() {
    is_written_in(python).await;
}

#[tokio::test]
async fn what_is_written_in_node_is_an_event() {
    is_written_in(node).await;
}
