//! The messages of a topic: of each type one in CloudEvents' binary mode and one in its structured mode, and a batch of any.
//!
//! A message in binary mode has the attributes as headers and the type's schema as its payload; in structured mode the payload is
//! the whole event, with the schema behind `data`. Types and topics may have letters that no name in a document has, so
//! a name here has `_` and two digits for each byte of those, and of `_` itself: what stands behind a single or double `_` of
//! ours is never a part of a type.

use contracts::{Contract, Schema};
use events::Topic;
use push::header_value;
use serde_json::{Map, Value, json};

/// What the message is called that is several events.
pub(super) const BATCH: &str = "_batch";
/// What a type is called where it may be any.
const ANY: &str = "_any";

const STRUCTURED_CONTENT: &str = "application/cloudevents+json";
const BATCH_CONTENT: &str = "application/cloudevents-batch+json";

/// How one event is a message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Attributes are headers, data is the body.
    Binary,
    /// The event is the body.
    Structured,
}

/// A type of a topic's events, or any.
pub(super) struct Kind<'t> {
    topic: &'t Topic,
    /// What it has to be; nothing where the topic does not say.
    promised: Option<Promised<'t>>,
}

struct Promised<'t> {
    kind: &'t str,
    schema: &'t Schema,
}

/// What a topic's events may be.
pub(super) fn kinds<'t>(topic: &'t Topic, contract: Option<&'t Contract>) -> Vec<Kind<'t>> {
    let Some(contract) = contract else { return vec![Kind { topic, promised: None }] };
    let of = |(kind, schema)| Kind { topic, promised: Some(Promised { kind, schema }) };
    contract.types().iter().map(|(kind, schema)| of((kind.as_str(), schema))).collect()
}

/// The messages of a channel, by their names there.
pub(super) fn messages(kinds: &[Kind<'_>]) -> Value {
    let one = |kind: &Kind<'_>| {
        [(kind.key(Mode::Binary), kind.binary()), (kind.key(Mode::Structured), kind.structured())]
    };
    let mut all: Map<String, Value> = kinds.iter().flat_map(one).collect();
    let events: Vec<Value> = kinds.iter().map(Kind::event).collect();
    let payload = json!({"type": "array", "items": {"anyOf": events}});
    all.insert(
        BATCH.to_owned(),
        json!({"name": "batch", "contentType": BATCH_CONTENT, "payload": payload}),
    );
    Value::Object(all)
}

impl Kind<'_> {
    /// What its message is called in its channel.
    pub(super) fn key(&self, mode: Mode) -> String {
        let key = self.promised.as_ref().map_or_else(|| ANY.to_owned(), |it| named(it.kind));
        if mode == Mode::Binary { key } else { format!("{key}_structured") }
    }

    /// Its schemas: of the data, and of the event around that.
    pub(super) fn schemas(&self) -> [(String, Value); 2] {
        let name = self.schema_name();
        let data = self.promised.as_ref().map_or_else(
            || json!({"description": "Anything."}),
            |it| it.schema.carried(&format!("/components/schemas/{name}")),
        );
        [(format!("{name}_event"), self.envelope()), (name, data)]
    }

    fn schema_name(&self) -> String {
        format!("{}__{}", named(self.topic.as_str()), self.key(Mode::Binary))
    }

    /// The schema of its data.
    fn data(&self) -> Value {
        schema(&self.schema_name())
    }

    /// The schema of the whole event.
    fn event(&self) -> Value {
        schema(&format!("{}_event", self.schema_name()))
    }

    fn name(&self) -> &str {
        self.promised.as_ref().map_or("any", |it| it.kind)
    }

    fn binary(&self) -> Value {
        let mut headers = json!({"type": "object", "allOf": [schema("_headers")]});
        let mut message = json!({"name": self.name(), "payload": self.data()});
        if let Some(Promised { kind, .. }) = self.promised {
            headers["properties"] = json!({"ce-type": {"const": header_value(kind)}});
            message["contentType"] = json!("application/json");
        }
        message["headers"] = headers;
        message
    }

    fn structured(&self) -> Value {
        json!({"name": self.name(), "contentType": STRUCTURED_CONTENT, "payload": self.event()})
    }

    fn envelope(&self) -> Value {
        let mut envelope = json!({"type": "object", "allOf": [schema("_attributes")], "properties": {"data": self.data()}});
        match self.promised {
            None => {
                let base64 = json!({"type": "string", "contentEncoding": "base64"});
                envelope["properties"]["data_base64"] = base64;
            }
            Some(Promised { kind, schema }) => {
                envelope["properties"]["type"] = json!({"const": kind});
                // An event without data is looked at as `null`.
                if !schema.faults("null").is_empty() {
                    envelope["required"] = json!(["data"]);
                }
            }
        }
        envelope
    }
}

/// What every event has, as members of itself and as headers.
pub(super) fn shared() -> Value {
    let required = ["specversion", "id", "source", "type"];
    let text = || json!({"type": "string", "minLength": 1});
    let attributes = Map::from_iter([
        ("specversion".to_owned(), json!({"const": "1.0"})),
        ("id".to_owned(), text()),
        ("source".to_owned(), json!({"type": "string", "minLength": 1, "format": "uri-reference"})),
        ("type".to_owned(), text()),
        ("subject".to_owned(), text()),
        ("time".to_owned(), json!({"type": "string", "format": "date-time"})),
        ("partitionkey".to_owned(), text()),
        ("traceparent".to_owned(), text()),
    ]);
    let header = |name: &str| format!("ce-{name}");
    let headers: Map<String, Value> =
        attributes.iter().map(|(name, it)| (header(name), it.clone())).collect();
    json!({
        "_attributes": {"type": "object", "required": required, "properties": attributes},
        "_headers": {"type": "object", "required": required.map(header), "properties": headers},
    })
}

fn schema(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// A text as a name of a document, each its own.
fn named(text: &str) -> String {
    let one = |byte: u8| match byte {
        b'.' | b'-' => char::from(byte).to_string(),
        _ if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        _ => format!("_{byte:02X}"),
    };
    text.bytes().map(one).collect()
}
