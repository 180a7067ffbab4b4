//! What a batch of events looks like, as [`topics`] writes it.
//!
//! Two events are written, one with everything that an event can have and one with what it must have: the members
//! of the first are those of every event, and those of the second are never missing. What its data is, is its
//! publisher's business.

use chassis::openapi::operation::Shape;
use chassis::schema;
use events::{Cause, Event};
use jiff::Timestamp;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::pulling::ATTEMPT;
use crate::topics;

/// What every event has that is read, whoever wrote it.
const ALWAYS: [&str; 5] = ["id", "position", "source", "specversion", "type"];

/// An event with at least these attributes.
pub(super) fn event_of(required: &[&str]) -> Value {
    let text = json!({ "type": "string" });
    let members: Map<String, Value> =
        required.iter().map(|name| ((*name).to_owned(), text.clone())).collect();
    json!({ "type": "object", "properties": members, "required": required })
}

/// The events of a topic after a position.
pub(super) fn events() -> Shape {
    Shape::foreign("Events", json!({ "type": "array", "items": shape() }))
}

/// Events that are lent: with the attempt that each is in the place of its position.
pub(super) fn lent() -> Shape {
    let mut shape = shape();
    let members = shape["properties"].as_object_mut().expect("an object");
    members.remove("position");
    members.insert(ATTEMPT.to_owned(), json!({ "type": "integer", "minimum": 1 }));
    shape["required"] = json!(ALWAYS.map(|it| if it == "position" { ATTEMPT } else { it }));
    Shape::foreign("Lent", json!({ "type": "array", "items": shape }))
}

/// A transaction: its events, each behind its cause, and what was read for it.
pub(super) fn trace() -> Shape {
    let (text, whole) = (json!({ "type": "string" }), json!({ "type": "integer" }));
    let (maybe, maybe_whole) =
        (json!({ "type": ["string", "null"] }), json!({ "type": ["integer", "null"] }));
    let parked = closed(&[
        ("subscription", &text),
        ("state", &text),
        ("attempts", &whole),
        ("reason", &text),
        ("nextAttempt", &maybe),
    ]);
    let event = closed(&[
        ("depth", &whole),
        ("topic", &text),
        ("position", &text),
        ("id", &text),
        ("source", &text),
        ("type", &text),
        ("subject", &text),
        ("time", &text),
        ("afterMs", &maybe_whole),
        ("causationid", &maybe),
        ("parked", &json!({ "type": "array", "items": parked })),
        ("expired", &json!({ "type": "array", "items": { "type": "string" } })),
    ]);
    let gap = closed(&[("depth", &whole), ("missing", &text)]);
    let look = closed(&[
        ("topic", &text),
        ("partition", &whole),
        ("after", &whole),
        ("to", &whole),
        ("end", &whole),
        ("events", &whole),
        ("since", &maybe),
        ("whole", &json!({ "type": "boolean" })),
        ("trouble", &maybe),
    ]);
    let steps = json!({ "type": "array", "items": { "anyOf": [event, gap] } });
    let all = [
        ("id", &text),
        ("steps", &steps),
        ("more", &json!({ "type": "boolean" })),
        ("looked", &json!({ "type": "array", "items": look })),
    ];
    Shape::foreign("Trace", closed(&all))
}

/// An object that has exactly these members.
fn closed(members: &[(&str, &Value)]) -> Value {
    let required: Vec<&str> = members.iter().map(|(name, _)| *name).collect();
    let shapes: Map<String, Value> =
        members.iter().map(|(name, shape)| ((*name).to_owned(), (*shape).clone())).collect();
    json!({ "type": "object", "properties": shapes, "required": required, "additionalProperties": false })
}

fn shape() -> Value {
    let example = |number, cause| topics::example(event(number, cause));
    let id = || Some(String::new());
    let whole = Cause { correlation_id: id(), causation_id: id(), traceparent: id() };
    let mut shape = schema::of_example(&example(Some(1), whole), &example(None, Cause::default()));
    // What another program published has extensions of its own, and need not have what ours have.
    shape["additionalProperties"] = json!(true);
    shape["required"] = json!(ALWAYS);
    shape
}

/// Every field by its name, so that one more is one here too.
fn event(number: Option<u64>, cause: Cause) -> Event {
    Event {
        id: String::new(),
        source: String::new(),
        kind: String::new(),
        subject: String::new(),
        time: Timestamp::UNIX_EPOCH,
        key: String::new(),
        sequence: 0,
        outbox_sequence: number,
        outbox_previous: number,
        outbox_source: number.map(|_| String::new()),
        cause,
        foreign: None,
        data: RawValue::NULL.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use chassis::openapi::operation::{Operation, Shapes};

    use super::*;

    #[test]
    fn an_event_is_described_as_it_is_written() {
        let mut shapes = Shapes::new();
        Operation::new("Reads").shows("200", events()).describe("/events", &mut shapes);
        let event = &shapes["Events"]["items"];
        let ours = [
            "data",
            "datacontenttype",
            "id",
            "partitionkey",
            "position",
            "sequence",
            "source",
            "specversion",
            "subject",
            "time",
            "type",
        ];
        assert_eq!(event["required"], json!(ALWAYS));
        let members = event["properties"].as_object().expect("members");
        let optional: Vec<&str> =
            members.keys().map(String::as_str).filter(|name| !ours.contains(name)).collect();
        let expected = [
            "causationid",
            "correlationid",
            "outboxprevious",
            "outboxsequence",
            "outboxsource",
            "traceparent",
        ];
        assert_eq!(optional, expected);
        let text = json!({ "type": "string" });
        assert!(members.iter().all(|(name, it)| name == "data" || *it == text), "{members:?}");
        assert_eq!(members["data"], json!({}), "its publisher's business");
    }
}
