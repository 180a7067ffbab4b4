//! The structured JSON form of CloudEvents 1.0, both ways.
//!
//! Counters are decimal strings, as the specification's `sequence` extension wants them: a reader
//! in another language must not lose digits to a float. Numbers are accepted all the same.
//!
//! What is written is what the specification requires, and our extensions where they have a value; of an event that
//! another program wrote ([`Foreign`]), what that wrote. What
//! is read may lack everything but `specversion`, `id`, `source`, `type` and a time: then the subject is
//! empty, the key is the subject, a sequence is 0, and the data is `null`. A member that is `null` is one that is not
//! there. An event that came without a time has `receivedtime` in its place, which says when it came.
//!
//! What somebody asks to have stored is read elsewhere ([`incoming`](super::incoming)), which says why that is another reader.

use std::borrow::Cow;
use std::fmt;

use jiff::Timestamp;
use serde::de::MapAccess;
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::foreign::{Extension, Foreign, Payload};
use super::{Cause, Event};
use crate::error::Error;

/// The one version spoken here.
pub(super) const SPECVERSION: &str = "1.0";

/// The type of all data that is published here.
const JSON: &str = "application/json";

/// Room beside the data that spares most events a second allocation.
const ENVELOPE_BYTES: usize = 320;

/// An event as one line of JSON.
pub(super) fn encode(event: &Event) -> Vec<u8> {
    let mut text = Vec::with_capacity(event.data.get().len() + ENVELOPE_BYTES);
    let written = match &event.foreign {
        None => serde_json::to_writer(&mut text, &Outgoing::of(event)),
        Some(foreign) => serde_json::to_writer(&mut text, &AsItCame { event, foreign }),
    };
    written.expect("an envelope is JSON");
    text
}

/// An event from JSON, whatever its order of members.
pub(super) fn decode(text: &[u8]) -> Result<Event, Error> {
    // Looked at once as a whole: each of its texts by itself takes twenty times as long.
    let text = std::str::from_utf8(text).map_err(Error::decode)?;
    let incoming: Incoming<'_> = serde_json::from_str(text).map_err(Error::decode)?;
    let event = incoming.into_event()?;
    event.check()?;
    Ok(event)
}

/// An event under the names of the specification, borrowed from one that stays as it is.
#[derive(Serialize)]
struct Outgoing<'a> {
    specversion: &'static str,
    id: &'a str,
    source: &'a str,
    r#type: &'a str,
    subject: &'a str,
    #[serde(serialize_with = "as_text")]
    time: &'a Timestamp,
    datacontenttype: &'static str,
    partitionkey: &'a str,
    #[serde(serialize_with = "as_text")]
    sequence: u64,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_some_text")]
    outboxsequence: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_some_text")]
    outboxprevious: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outboxsource: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlationid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    causationid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<&'a str>,
    data: &'a RawValue,
}

impl<'a> Outgoing<'a> {
    /// Borrows everything: encoding allocates the text and nothing else.
    fn of(event: &'a Event) -> Outgoing<'a> {
        Outgoing {
            specversion: SPECVERSION,
            id: &event.id,
            source: &event.source,
            r#type: &event.kind,
            subject: &event.subject,
            time: &event.time,
            datacontenttype: JSON,
            partitionkey: &event.key,
            sequence: event.sequence,
            outboxsequence: event.outbox_sequence,
            outboxprevious: event.outbox_previous,
            outboxsource: event.outbox_source.as_deref(),
            correlationid: event.cause.correlation_id.as_deref(),
            causationid: event.cause.causation_id.as_deref(),
            traceparent: event.cause.traceparent.as_deref(),
            data: &event.data,
        }
    }
}

/// An event of another program, as it came.
struct AsItCame<'a> {
    event: &'a Event,
    foreign: &'a Foreign,
}

impl Serialize for AsItCame<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let AsItCame { event, foreign } = self;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("specversion", SPECVERSION)?;
        map.serialize_entry("id", &event.id)?;
        map.serialize_entry("source", &event.source)?;
        map.serialize_entry("type", &event.kind)?;
        let subject = Some(&event.subject).filter(|it| !it.is_empty());
        entry(&mut map, "subject", subject)?;
        match &foreign.time {
            Some(time) => map.serialize_entry("time", time)?,
            None => map.serialize_entry("receivedtime", &event.time.to_string())?,
        }
        entry(&mut map, "datacontenttype", foreign.content_type.as_ref())?;
        // A key that is not the subject was given to it, if not by itself: it would be lost.
        let names_key = foreign.names_key || event.key != event.subject;
        entry(&mut map, "partitionkey", names_key.then_some(&event.key))?;
        entry(&mut map, "sequence", foreign.sequence.as_ref())?;
        let text = |number: Option<u64>| number.map(|it| it.to_string());
        entry(&mut map, "outboxsequence", text(event.outbox_sequence))?;
        entry(&mut map, "outboxprevious", text(event.outbox_previous))?;
        entry(&mut map, "outboxsource", event.outbox_source.as_ref())?;
        entry(&mut map, "correlationid", event.cause.correlation_id.as_ref())?;
        entry(&mut map, "causationid", event.cause.causation_id.as_ref())?;
        entry(&mut map, "traceparent", event.cause.traceparent.as_ref())?;
        for Extension { name, value } in &foreign.extensions {
            map.serialize_entry(name, value)?;
        }
        match foreign.payload {
            Payload::Json => map.serialize_entry("data", &event.data)?,
            Payload::Base64 => map.serialize_entry("data_base64", &event.data)?,
            Payload::Nothing => {}
        }
        map.end()
    }
}

/// A member, if there is one.
fn entry<M: SerializeMap>(
    map: &mut M,
    name: &str,
    value: Option<impl Serialize>,
) -> Result<(), M::Error> {
    value.map_or(Ok(()), |value| map.serialize_entry(name, &value))
}

/// The names of what is read; of any other it is kept.
#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum Member {
    Specversion,
    Id,
    Source,
    Type,
    Subject,
    Time,
    Receivedtime,
    Datacontenttype,
    Partitionkey,
    Sequence,
    Outboxsequence,
    Outboxprevious,
    Outboxsource,
    Correlationid,
    Causationid,
    Traceparent,
    Data,
    #[serde(rename = "data_base64")]
    DataBase64,
    Other(String),
}

/// What is read, before anything of it is believed.
#[derive(Default)]
struct Incoming<'a> {
    specversion: Option<&'a RawValue>,
    id: Option<String>,
    source: Option<String>,
    kind: Option<String>,
    subject: Option<String>,
    time: Option<&'a RawValue>,
    received: Option<&'a RawValue>,
    content_type: Option<&'a RawValue>,
    partitionkey: Option<String>,
    sequence: Option<&'a RawValue>,
    outboxsequence: Count,
    outboxprevious: Count,
    outboxsource: Option<String>,
    correlationid: Option<String>,
    causationid: Option<String>,
    traceparent: Option<String>,
    data: Option<&'a RawValue>,
    base64: Option<&'a RawValue>,
    extensions: Vec<Extension>,
}

impl<'de> Deserialize<'de> for Incoming<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Incoming<'de>, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

/// Reads members one by one: what is not known is kept, which no derived reader does without a second look at all.
struct MembersVisitor;

impl<'de> serde::de::Visitor<'de> for MembersVisitor {
    type Value = Incoming<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an event as an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Incoming<'de>, A::Error> {
        let mut read = Incoming::default();
        while let Some(member) = map.next_key()? {
            match member {
                Member::Specversion => read.specversion = map.next_value()?,
                Member::Id => read.id = map.next_value()?,
                Member::Source => read.source = map.next_value()?,
                Member::Type => read.kind = map.next_value()?,
                Member::Subject => read.subject = map.next_value()?,
                Member::Time => read.time = map.next_value()?,
                Member::Receivedtime => read.received = map.next_value()?,
                Member::Datacontenttype => read.content_type = map.next_value()?,
                Member::Partitionkey => read.partitionkey = map.next_value()?,
                Member::Sequence => read.sequence = map.next_value()?,
                Member::Outboxsequence => read.outboxsequence = map.next_value()?,
                Member::Outboxprevious => read.outboxprevious = map.next_value()?,
                Member::Outboxsource => read.outboxsource = map.next_value()?,
                Member::Correlationid => read.correlationid = map.next_value()?,
                Member::Causationid => read.causationid = map.next_value()?,
                Member::Traceparent => read.traceparent = map.next_value()?,
                // A `null` that was written is data.
                Member::Data => read.data = Some(map.next_value()?),
                Member::DataBase64 => read.base64 = map.next_value()?,
                Member::Other(name) => {
                    let value: Option<Box<RawValue>> = map.next_value()?;
                    read.extensions.extend(value.map(|value| Extension { name, value }));
                }
            }
        }
        Ok(read)
    }
}

impl Incoming<'_> {
    /// The event, if what is required is there and is what it should be.
    fn into_event(self) -> Result<Event, Error> {
        let version = self.specversion.map(text).transpose()?.unwrap_or_default();
        if version != SPECVERSION {
            return Err(Error::decode(format_args!("specversion is {version}")));
        }
        let time = self.time()?;
        let foreign = self.foreign()?;
        let subject = self.subject.unwrap_or_default();
        let data = self.data.or(self.base64).unwrap_or(RawValue::NULL).to_owned();
        Ok(Event {
            key: self.partitionkey.unwrap_or_else(|| subject.clone()),
            id: required("id", self.id)?,
            source: required("source", self.source)?,
            kind: required("type", self.kind)?,
            subject,
            time,
            sequence: self.sequence.and_then(number).unwrap_or(0),
            outbox_sequence: self.outboxsequence.0,
            outbox_previous: self.outboxprevious.0,
            outbox_source: self.outboxsource,
            cause: Cause {
                correlation_id: self.correlationid,
                causation_id: self.causationid,
                traceparent: self.traceparent,
            },
            data,
            foreign,
        })
    }

    /// When it happened; when it came, where it does not say.
    fn time(&self) -> Result<Timestamp, Error> {
        let written = self.time.or(self.received);
        let written = written.ok_or_else(|| Error::decode("time is missing"))?;
        text(written)?.parse().map_err(|_| Error::decode("time is no RFC 3339 instant"))
    }

    /// How it differs from what is published here, if it does.
    fn foreign(&self) -> Result<Option<Box<Foreign>>, Error> {
        if self.base64.is_some() && self.data.is_some() {
            return Err(Error::decode("data and data_base64"));
        }
        if self.is_as_ours() {
            return Ok(None);
        }
        let text = |raw: Option<&RawValue>| -> Result<Option<String>, Error> {
            Ok(raw.map(text).transpose()?.map(Cow::into_owned))
        };
        Ok(Some(Box::new(Foreign {
            time: text(self.time)?,
            content_type: text(self.content_type)?,
            names_key: self.partitionkey.is_some(),
            sequence: self.sequence.map(RawValue::to_owned),
            payload: match (self.data, self.base64) {
                (None, None) => Payload::Nothing,
                (None, Some(_)) => Payload::Base64,
                (Some(_), _) => Payload::Json,
            },
            extensions: self.extensions.clone(),
        })))
    }

    /// Whether it would be written again as it was read, without a word beside what is known here.
    fn is_as_ours(&self) -> bool {
        let is_json = |raw: &RawValue| raw.get().get(1..raw.get().len() - 1) == Some(JSON);
        self.extensions.is_empty()
            && self.subject.is_some()
            && self.partitionkey.is_some()
            && self.data.is_some()
            && self.content_type.is_some_and(is_json)
            && self.sequence.is_some_and(is_plain_count)
            && self.time.is_some_and(|raw| text(raw).is_ok_and(|it| is_plain_time(&it)))
    }
}

fn required(name: &str, value: Option<String>) -> Result<String, Error> {
    let value = value.ok_or_else(|| Error::decode(format_args!("{name} is missing")))?;
    if value.is_empty() { Err(Error::decode(format_args!("{name} is empty"))) } else { Ok(value) }
}

/// A JSON text; borrowed, as nearly all are that have no escape in them.
pub(super) fn text(raw: &RawValue) -> Result<Cow<'_, str>, Error> {
    let inner = raw.get().strip_prefix('"').and_then(|it| it.strip_suffix('"'));
    match inner {
        Some(inner) if !inner.contains('\\') => Ok(Cow::Borrowed(inner)),
        _ => serde_json::from_str(raw.get()).map(Cow::Owned).map_err(Error::decode),
    }
}

/// A count, whether written in digits or in quotes; what is neither is somebody's own.
pub(super) fn number(raw: &RawValue) -> Option<u64> {
    let quoted = raw.get().strip_prefix('"').and_then(|it| it.strip_suffix('"'));
    let digits = quoted.unwrap_or(raw.get());
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}

/// Whether it is written as we write it: in quotes, without a zero in front.
fn is_plain_count(raw: &RawValue) -> bool {
    let text = raw.get();
    let zeros = text.starts_with("\"0") && text != "\"0\"";
    text.starts_with('"') && !zeros && number(raw).is_some()
}

/// Whether an instant is written as we write it: in UTC, in capitals, no zero behind a fraction.
fn is_plain_time(text: &str) -> bool {
    let bytes = text.as_bytes();
    let fits = |at: usize, byte: u8| bytes.get(at) == Some(&byte);
    let seconds = bytes.get(17..19).is_some_and(|it| it != b"60");
    let fraction = match bytes.get(19) {
        Some(b'Z') => bytes.len() == 20,
        Some(b'.') => (22..=30).contains(&bytes.len()) && !fits(bytes.len() - 2, b'0'),
        _ => false,
    };
    fits(10, b'T') && fits(16, b':') && seconds && fraction && text.ends_with('Z')
}

/// Digits in quotes, and an instant by its own spelling.
fn as_text<S: Serializer>(value: &impl fmt::Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

#[expect(clippy::ref_option, reason = "serde hands fields by reference")]
fn as_some_text<S: Serializer>(value: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => serializer.collect_str(value),
        None => serializer.serialize_none(),
    }
}

/// A counter that is ours, whichever way it was written; `null` is none.
#[derive(Clone, Copy, Default)]
struct Count(Option<u64>);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Count, D::Error> {
        let raw: Option<&RawValue> = Deserialize::deserialize(deserializer)?;
        let read = |raw| number(raw).ok_or_else(|| serde::de::Error::custom("not a whole number"));
        raw.map(read).transpose().map(Count)
    }
}
