//! What an event of another program says beyond what ours say, kept as it came and given again so.
//!
//! An event of our own has every attribute that is known here, written one way, and JSON as its data. Others leave
//! attributes out, add their own, write an instant by their clock's zone, and have data that is no JSON. A log that
//! tidied that up would hand on another event than it was given, under the same source and id. So what differs is kept
//! beside the event, and nothing where nothing differs: our own pay for none of it.
//!
//! It does not say what any extension means.

use std::borrow::Cow;

use jiff::Timestamp;
use serde_json::value::RawValue;

/// The extension that says until when an event is worth handling (CloudEvents' extension of that name): an RFC 3339 instant.
pub const EXPIRY: &str = "expirytime";

/// How an event differs from what is published here.
#[derive(Clone, Debug, Default)]
pub struct Foreign {
    /// Its time as it was written; `None` where it had none, and [`Event::time`](super::Event::time) is when it came.
    pub time: Option<String>,
    /// The type of its data; `None` where it named none.
    pub content_type: Option<String>,
    /// Whether it named a partition key, be it the same as its subject.
    pub names_key: bool,
    /// Its count as it was written, which need not be a number.
    pub sequence: Option<Box<RawValue>>,
    /// What its data is.
    pub payload: Payload,
    /// Attributes that nobody here knows, in the order they came in; a schema of the data is among them.
    pub extensions: Vec<Extension>,
}

/// An attribute that nobody here knows: a text, a whole number or a truth value, as JSON.
#[derive(Clone, Debug)]
pub struct Extension {
    /// Lower-case letters and digits.
    pub name: String,
    /// As it was written.
    pub value: Box<RawValue>,
}

/// What the data of an event is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Payload {
    /// JSON.
    #[default]
    Json,
    /// Bytes; [`Event::data`](super::Event::data) is the text of their base64.
    Base64,
    /// There is none: no `null` either.
    Nothing,
}

/// Whether data of this type is JSON (CloudEvents' JSON format, section 3.1): data of another is a text or bytes, and in
/// an event's JSON form a JSON text or base64.
///
/// ```
/// use yeoul_events::event::foreign::is_json;
///
/// assert!(is_json("application/json; charset=utf-8") && is_json("application/vnd.bill+JSON"));
/// assert!(!is_json("text/plain") && !is_json("application/jsonlines"));
/// ```
pub fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence.ends_with("/json") || essence.ends_with("+json")
}

impl Foreign {
    /// Until when it is worth handling, where it says so. Who publishes by HTTP is refused what is no instant; what came
    /// otherwise and is none says nothing.
    pub fn expiry(&self) -> Option<Timestamp> {
        serde_json::from_str::<Cow<'_, str>>(self.extension(EXPIRY)?.get()).ok()?.parse().ok()
    }

    /// What an extension says, as JSON.
    pub fn extension(&self, name: &str) -> Option<&RawValue> {
        self.extensions.iter().find(|it| it.name == name).map(|it| &*it.value)
    }
}
