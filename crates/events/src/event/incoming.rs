//! An event from outside: looked at member by member, and everything that is wrong with it said at once.
//!
//! What is stored is read leniently, because it is there and must stay readable. What somebody asks to have stored can
//! still be refused, to whom can mend it: so here the specification is taken at its word (CloudEvents 1.0.2 and its JSON
//! format), each attribute has a limit with a name, and a mistake names its attribute. Attributes that this layer stamps
//! itself ([`OURS`]) are nobody else's to write: one that posed as another publisher's count would have its events taken
//! for second copies.
//!
//! What HTTP says beside JSON is turned into it at the edge; nothing here knows headers.
//!
//! So there are two readers of one document, and they stay two: this one keeps every member as it came, twice and unknown
//! ones too, because it has to name all that is wrong; the other ([`wire`]) takes each member straight into its field, two
//! million times a second where a log is read from its beginning, and stops at the first thing that it cannot use. What an
//! attribute's text is worth, both ask of the same functions.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::de::{IgnoredAny, MapAccess};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::attributes::{
    DATA_DEPTH_MAX, FRACTION_DIGITS_MAX, depth, ends_half_a_year, is_absolute_uri, is_instant,
    is_leap, is_media_type, is_uri_reference, unreadable,
};
use super::foreign::{EXPIRY, Extension, Foreign, Payload};
use super::wire::{self, SPECVERSION};
use super::{CAUSE_BYTES_MAX, Cause, Event, ID_BYTES_MAX, KEY_BYTES_MAX, TYPE_BYTES_MAX};

/// Bytes the type of the data, and the address of its schema, may have each.
pub const DATA_ATTRIBUTE_BYTES_MAX: usize = 1024;

/// Extensions an event from outside may have.
pub const EXTENSIONS_MAX: usize = 64;

/// Members an event from outside may have, known, unknown, twice and `null` alike: each is looked at beside the others.
pub const MEMBERS_MAX: usize = 128;

/// Letters and digits the name of an extension may have; the specification advises 20.
pub const EXTENSION_NAME_CHARS_MAX: usize = 64;

/// Bytes the value of an extension may have, as JSON.
pub const EXTENSION_BYTES_MAX: usize = 4096;

/// Attributes that are stamped here, and refused from outside.
pub const OURS: [&str; 6] = [
    "outboxsequence",
    "outboxprevious",
    "outboxsource",
    "receivedtime",
    "position",
    "yeoulattempt",
];

/// What is wrong with an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// Which one; empty where it is the whole event.
    pub field: String,
    /// What is wrong with it: `is missing`.
    pub reason: String,
    /// The limit that it broke, where there is one.
    pub limit: Option<usize>,
}

/// The event that a JSON text is, `received` then, or everything that is wrong with it.
///
/// ```
/// use yeoul_events::event::incoming::incoming;
///
/// let received = jiff::Timestamp::UNIX_EPOCH;
/// let read = |text: &str| incoming(text.as_bytes(), received);
///
/// let event = read(r#"{"specversion":"1.0","id":"1","source":"/till/3","type":"Paid","tenant":"7"}"#);
/// let event = event.expect("an event");
/// assert_eq!(event.time, received, "it came without a time");
/// let again = String::from_utf8(event.to_json()).expect("text");
/// assert!(again.contains(r#""tenant":"7""#) && !again.contains(r#""time""#), "{again}");
///
/// let refused = read(r#"{"specversion":"0.3","source":"/till/3","type":"Paid"}"#);
/// let fields: Vec<String> = refused.unwrap_err().into_iter().map(|wrong| wrong.field).collect();
/// assert_eq!(fields, ["specversion", "id"]);
/// ```
///
/// # Errors
/// Every mistake; none of them goes away by trying again.
pub fn incoming(text: &[u8], received: Timestamp) -> Result<Event, Vec<Wrong>> {
    let members: Members<'_> = serde_json::from_slice(text).map_err(|error| {
        // Its words name a place in the text, and never what stands there.
        let reason = format!("must be an event as a JSON object: {error}");
        vec![Wrong { field: String::new(), reason, limit: None }]
    })?;
    let mut reader = Reader { members: members.first, wrong: Vec::new() };
    if members.is_more {
        reader.note_limit("", MEMBERS_MAX, "members");
        return Err(reader.wrong);
    }
    let event = reader.event(received);
    if reader.wrong.is_empty() { Ok(event) } else { Err(reader.wrong) }
}

/// A member as it came.
struct Member<'a> {
    name: Cow<'a, str>,
    value: &'a RawValue,
}

/// Those of one event, as many of them as it may have.
struct Members<'a> {
    first: Vec<Member<'a>>,
    is_more: bool,
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Members<'de>, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> serde::de::Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
        /// A name that is borrowed where it has no escape in it.
        #[derive(Deserialize)]
        struct Name<'n>(#[serde(borrow)] Cow<'n, str>);
        let mut members = Members { first: Vec::with_capacity(16), is_more: false };
        while members.first.len() < MEMBERS_MAX {
            let Some(Name(name)) = map.next_key()? else { return Ok(members) };
            members.first.push(Member { name, value: map.next_value()? });
        }
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
            members.is_more = true;
        }
        Ok(members)
    }
}

/// Takes members out one after the other; what is left in the end are extensions.
struct Reader<'a> {
    members: Vec<Member<'a>>,
    wrong: Vec<Wrong>,
}

impl<'a> Reader<'a> {
    fn event(&mut self, received: Timestamp) -> Event {
        self.check_members();
        self.version();
        let id = self.required("id", ID_BYTES_MAX);
        let source = self.required("source", ID_BYTES_MAX);
        if !is_uri_reference(&source) {
            self.note("source", "must be a URI reference");
        }
        let kind = self.required("type", TYPE_BYTES_MAX);
        let subject = self.text("subject", KEY_BYTES_MAX).unwrap_or_default();
        let key = self.text("partitionkey", KEY_BYTES_MAX);
        let time = self.text("time", EXTENSION_BYTES_MAX);
        let cause = Cause {
            correlation_id: self.text("correlationid", CAUSE_BYTES_MAX),
            causation_id: self.text("causationid", CAUSE_BYTES_MAX),
            traceparent: self.text("traceparent", CAUSE_BYTES_MAX),
        };
        let content_type = self.text("datacontenttype", DATA_ATTRIBUTE_BYTES_MAX);
        if content_type.as_deref().is_some_and(|it| !is_media_type(it)) {
            self.note("datacontenttype", "must be a media type (RFC 2046)");
        }
        let data = self.data();
        let sequence = self.simple("sequence");
        let foreign = Foreign {
            time: time.clone(),
            content_type,
            names_key: key.is_some(),
            sequence: sequence.map(RawValue::to_owned),
            payload: data.payload,
            extensions: self.extensions(),
        };
        Event {
            id,
            source,
            kind,
            time: time.map_or(received, |text| self.instant("time", &text).unwrap_or(received)),
            key: key.unwrap_or_else(|| subject.clone()),
            subject,
            sequence: sequence.and_then(wire::number).unwrap_or(0),
            outbox_sequence: None,
            outbox_previous: None,
            outbox_source: None,
            cause,
            data: data.value.to_owned(),
            foreign: Some(Box::new(foreign)),
        }
    }

    fn note(&mut self, field: &str, reason: impl Into<String>) {
        self.wrong.push(Wrong { field: field.to_owned(), reason: reason.into(), limit: None });
    }

    fn note_limit(&mut self, field: &str, limit: usize, of: &str) {
        let reason = format!("has more than {limit} {of}");
        self.wrong.push(Wrong { field: field.to_owned(), reason, limit: Some(limit) });
    }

    /// Notes what not every reader takes of a value, if there is something.
    fn note_unreadable(&mut self, field: &str, value: &RawValue) {
        unreadable(value.get()).into_iter().for_each(|reason| self.note(field, reason));
    }

    /// What is wrong with members whatever they mean.
    fn check_members(&mut self) {
        for at in 0..self.members.len() {
            let name = self.members[at].name.clone();
            if self.members[..at].iter().any(|it| it.name == name) {
                self.note(&name, "is there twice");
            }
        }
        for name in OURS {
            if self.members.iter().any(|it| it.name == name) {
                self.note(name, "is stamped here and not by a publisher");
            }
        }
        // A `null` that was written is data, and nothing else.
        let is_there = |it: &Member<'_>| it.name == "data" || it.value.get() != "null";
        self.members.retain(|it| !OURS.contains(&&*it.name) && is_there(it));
    }

    fn version(&mut self) {
        match self.raw("specversion").map(wire::text) {
            None => self.note("specversion", "is missing"),
            Some(Ok(version)) if version == SPECVERSION => {}
            Some(_) => self.note("specversion", format!("must be `{SPECVERSION}`")),
        }
    }

    /// Takes a member out.
    fn raw(&mut self, name: &str) -> Option<&'a RawValue> {
        let at = self.members.iter().position(|it| it.name == name)?;
        Some(self.members.remove(at).value)
    }

    fn required(&mut self, name: &str, limit: usize) -> String {
        let known = self.wrong.len();
        let text = self.text(name, limit);
        if text.is_none() && self.wrong.len() == known {
            self.note(name, "is missing");
        }
        text.unwrap_or_default()
    }

    /// A text of at least one character and at most so many bytes; absent is `None`, anything else is noted.
    fn text(&mut self, name: &str, limit: usize) -> Option<String> {
        let raw = self.raw(name)?;
        if !raw.get().starts_with('"') {
            self.note(name, "must be text");
            return None;
        }
        match wire::text(raw) {
            Ok(text) if text.is_empty() => self.note(name, "is empty"),
            Ok(text) if text.len() > limit => self.note_limit(name, limit, "bytes"),
            Ok(text) if text.chars().any(char::is_control) => {
                self.note(name, "has a control character in it");
            }
            Ok(text) => return Some(text.into_owned()),
            Err(_) => self.note_unreadable(name, raw),
        }
        None
    }

    fn instant(&mut self, name: &str, text: &str) -> Option<Timestamp> {
        let instant = Some(text).filter(|text| is_instant(text)).and_then(|text| text.parse().ok());
        let instant = instant.filter(|instant| !is_leap(text) || ends_half_a_year(*instant));
        if instant.is_none() {
            let says = format!(
                "must be an RFC 3339 instant, as `2026-11-27T17:31:00+09:00`, of at most \
                 {FRACTION_DIGITS_MAX} digits behind the second, before 9999-12-30T22:00:00Z; a second 60 \
                 there is at the end of June or December alone"
            );
            self.note(name, says);
        }
        instant
    }

    /// A text, a whole number or a truth value; absent is `None`, anything else is noted.
    fn simple(&mut self, name: &str) -> Option<&'a RawValue> {
        let value = self.raw(name)?;
        self.check_simple(name, value).then_some(value)
    }

    fn check_simple(&mut self, name: &str, value: &RawValue) -> bool {
        let text = value.get();
        let is_text = text.starts_with('"');
        let whole = text.parse::<i32>().is_ok();
        if !is_text && !whole && !["true", "false"].contains(&text) {
            self.note(name, "must be text, a whole number of 32 bits, true or false");
            return false;
        }
        if unreadable(text).is_some() {
            self.note_unreadable(name, value);
            return false;
        }
        if is_text && wire::text(value).is_ok_and(|it| it.chars().any(char::is_control)) {
            self.note(name, "has a control character in it");
            return false;
        }
        if text.len() > EXTENSION_BYTES_MAX {
            self.note_limit(name, EXTENSION_BYTES_MAX, "bytes");
            return false;
        }
        true
    }

    fn check_expiry(&mut self, value: &RawValue) {
        if self.check_simple(EXPIRY, value) {
            // What is no text is no instant either.
            let text = wire::text(value).ok().filter(|_| value.get().starts_with('"'));
            self.instant(EXPIRY, &text.unwrap_or_default());
        }
    }

    fn data(&mut self) -> Data<'a> {
        let (data, base64) = (self.raw("data"), self.raw("data_base64"));
        match (data, base64) {
            (Some(_), Some(_)) => self.note("data_base64", "is there beside `data`"),
            (None, Some(value)) => {
                let text = wire::text(value).unwrap_or(Cow::Borrowed("*"));
                if STANDARD.decode(text.as_bytes()).is_err() {
                    self.note("data_base64", "must be base64 as a text");
                }
            }
            _ => {}
        }
        match (data, base64) {
            (None, None) => Data { value: RawValue::NULL, payload: Payload::Nothing },
            (None, Some(value)) => Data { value, payload: Payload::Base64 },
            (Some(value), _) => {
                if depth(value.get()) > DATA_DEPTH_MAX {
                    self.note_limit("data", DATA_DEPTH_MAX, "levels of arrays and objects");
                }
                self.note_unreadable("data", value);
                Data { value, payload: Payload::Json }
            }
        }
    }

    /// What is left.
    fn extensions(&mut self) -> Vec<Extension> {
        let left = std::mem::take(&mut self.members);
        if left.len() > EXTENSIONS_MAX {
            self.note_limit("", EXTENSIONS_MAX, "extensions");
            return Vec::new();
        }
        for Member { name, value } in &left {
            let plain = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit();
            if !(1..=EXTENSION_NAME_CHARS_MAX).contains(&name.len()) || !name.bytes().all(plain) {
                let says = format!(
                    "is no name of an attribute: 1 to {EXTENSION_NAME_CHARS_MAX} of a-z and 0-9"
                );
                self.note(name, says);
                continue;
            }
            if name == EXPIRY {
                self.check_expiry(value);
                continue;
            }
            let is_schema = self.check_simple(name, value) && name == "dataschema";
            if is_schema && !wire::text(value).is_ok_and(|text| is_absolute_uri(&text)) {
                self.note(name, "must be an absolute URI, without a fragment (RFC 3986, 4.3)");
            }
        }
        let kept = |Member { name, value }: Member<'_>| Extension {
            name: name.into_owned(),
            value: value.to_owned(),
        };
        left.into_iter().map(kept).collect()
    }
}

/// The data of an event.
struct Data<'a> {
    value: &'a RawValue,
    payload: Payload,
}
