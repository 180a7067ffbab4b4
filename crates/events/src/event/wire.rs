//! The structured JSON form of CloudEvents 1.0, both ways.
//!
//! Counters are decimal strings, as the specification's `sequence` extension wants them: a reader
//! in another language must not lose digits to a float. Numbers are accepted all the same.
//!
//! What is written is what the specification requires, and our extensions where they have a value. What
//! is read may lack everything but `specversion`, `id`, `source`, `type` and `time`: then the subject is
//! empty, the key is the subject, a sequence is 0, and the data is `null`. A member that is `null` is one that is not
//! there. Data that is no JSON (`data_base64`) is refused: nobody here could read it, and it is not to be lost.

use std::borrow::Cow;
use std::fmt;

use jiff::Timestamp;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::{Cause, Event};
use crate::error::Error;

/// The one version spoken here.
const SPECVERSION: &str = "1.0";

/// Room beside the data that spares most events a second allocation.
const ENVELOPE_BYTES: usize = 320;

/// An event as one line of JSON.
pub(super) fn encode(event: &Event) -> Vec<u8> {
    let mut text = Vec::with_capacity(event.data.get().len() + ENVELOPE_BYTES);
    serde_json::to_writer(&mut text, &Outgoing::of(event)).expect("an envelope is JSON");
    text
}

/// An event from JSON, whatever its order of members; what is not known is passed over.
pub(super) fn decode(text: &[u8]) -> Result<Event, Error> {
    let incoming: Incoming<'_> = serde_json::from_slice(text).map_err(Error::decode)?;
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
            datacontenttype: "application/json",
            partitionkey: &event.key,
            sequence: event.sequence,
            outboxsequence: event.outbox_sequence,
            outboxprevious: event.outbox_previous,
            correlationid: event.cause.correlation_id.as_deref(),
            causationid: event.cause.causation_id.as_deref(),
            traceparent: event.cause.traceparent.as_deref(),
            data: &event.data,
        }
    }
}

/// What is read, before anything of it is believed.
#[derive(Deserialize)]
struct Incoming<'a> {
    #[serde(borrow)]
    specversion: Cow<'a, str>,
    id: String,
    source: String,
    r#type: String,
    subject: Option<String>,
    #[serde(borrow)]
    time: Cow<'a, str>,
    partitionkey: Option<String>,
    #[serde(default, deserialize_with = "count")]
    sequence: Option<u64>,
    #[serde(default, deserialize_with = "count")]
    outboxsequence: Option<u64>,
    #[serde(default, deserialize_with = "count")]
    outboxprevious: Option<u64>,
    correlationid: Option<String>,
    causationid: Option<String>,
    traceparent: Option<String>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    data_base64: Option<IgnoredAny>,
}

impl Incoming<'_> {
    /// The event, if what is required is there and is what it should be.
    fn into_event(self) -> Result<Event, Error> {
        if self.specversion != SPECVERSION {
            return Err(Error::decode(format_args!("specversion is {}", self.specversion)));
        }
        for (name, value) in [("id", &self.id), ("source", &self.source), ("type", &self.r#type)] {
            if value.is_empty() {
                return Err(Error::decode(format_args!("{name} is empty")));
            }
        }
        if self.data_base64.is_some() {
            return Err(Error::decode("data_base64: data that is no JSON"));
        }
        let subject = self.subject.unwrap_or_default();
        let time = self.time.parse().map_err(|_| Error::decode("time is no RFC 3339 instant"))?;
        Ok(Event {
            key: self.partitionkey.unwrap_or_else(|| subject.clone()),
            id: self.id,
            source: self.source,
            kind: self.r#type,
            subject,
            time,
            sequence: self.sequence.unwrap_or(0),
            outbox_sequence: self.outboxsequence,
            outbox_previous: self.outboxprevious,
            cause: Cause {
                correlation_id: self.correlationid,
                causation_id: self.causationid,
                traceparent: self.traceparent,
            },
            data: self.data.unwrap_or(RawValue::NULL).to_owned(),
        })
    }
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

/// A counter, whichever way it was written; `null` is none.
fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    deserializer.deserialize_any(CountVisitor)
}

/// Reads a counter from a number or from digits; signs, fractions and spaces are refused.
struct CountVisitor;

impl serde::de::Visitor<'_> for CountVisitor {
    type Value = Option<u64>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a whole number, as a string of digits or a number")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Option<u64>, E> {
        Ok(None)
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Option<u64>, E> {
        Ok(Some(value))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Option<u64>, E> {
        let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        let value = digits.then(|| value.parse().ok()).flatten();
        value.map(Some).ok_or_else(|| E::custom("not a whole number"))
    }
}
