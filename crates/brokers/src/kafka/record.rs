//! An event as a record of Kafka's: a CloudEvent in binary mode, and back.
//!
//! As the specification's Kafka binding has it: attributes are headers that begin with `ce_`, the content
//! type is `content-type`, the data is the value as it is, and the partition key is the record's key, so
//! that any producer's own partitioner chooses as we do. The record's time is the event's.
//!
//! An event that another program wrote is one JSON document as the value, structured mode, so that it comes out as it went
//! in. What is read may be in either mode, and may lack what the
//! envelope may lack. Headers that are not known are passed over. What is no event is an error that names
//! what is wrong, and never an event with a guess in it.

use std::borrow::Cow;
use std::fmt;

use events::{Cause, Error, Event};
use jiff::Timestamp;
use rdkafka::message::{BorrowedMessage, Header, Headers, Message, OwnedHeaders};
use serde_json::value::RawValue;

/// The one version spoken here.
const SPECVERSION: &str = "1.0";
/// The type of all data that is written here.
const JSON: &str = "application/json";
/// How a whole event in JSON begins to be called.
const STRUCTURED: &str = "application/cloudevents";
/// How such a one is called that is written here.
const WHOLE: &str = "application/cloudevents+json; charset=UTF-8";
/// What a record has beside its key, value and headers, at most: its own frame and its batch's.
const FRAME_BYTES: usize = 128;
/// What a header has beside its name and value, at most.
const HEADER_FRAME_BYTES: usize = 8;

/// A record that is about to be sent, borrowed from its event.
pub(super) struct Record<'e> {
    pub(super) key: &'e str,
    pub(super) value: Cow<'e, [u8]>,
    /// Milliseconds since 1970.
    pub(super) time: i64,
    attributes: Vec<Attribute>,
}

/// A header of it.
struct Attribute {
    name: &'static str,
    value: String,
}

impl<'e> Record<'e> {
    pub(super) fn of(event: &'e Event) -> Record<'e> {
        if event.foreign.is_some() {
            return Record::whole(event);
        }
        let Event { id, source, kind, subject, time, key, sequence, cause, data, .. } = event;
        let Event { outbox_sequence, outbox_previous, outbox_source, .. } = event;
        let Cause { correlation_id, causation_id, traceparent } = cause;
        let optional = [
            ("ce_outboxsequence", outbox_sequence.map(|number| number.to_string())),
            ("ce_outboxprevious", outbox_previous.map(|number| number.to_string())),
            ("ce_outboxsource", outbox_source.clone()),
            ("ce_correlationid", correlation_id.clone()),
            ("ce_causationid", causation_id.clone()),
            ("ce_traceparent", traceparent.clone()),
        ];
        let required = [
            ("ce_specversion", SPECVERSION.to_owned()),
            ("ce_id", id.clone()),
            ("ce_source", source.clone()),
            ("ce_type", kind.clone()),
            ("ce_subject", subject.clone()),
            ("ce_time", time.to_string()),
            ("ce_partitionkey", key.clone()),
            ("ce_sequence", sequence.to_string()),
            ("content-type", JSON.to_owned()),
        ];
        let optional = optional.into_iter().filter_map(|(name, it)| Some((name, it?)));
        let all = required.into_iter().chain(optional);
        let attributes = all.map(|(name, value)| Attribute { name, value }).collect();
        // Kafka has no time before 1970, and to the millisecond; the event's own is in `ce_time`.
        let (value, time) = (data.get().as_bytes().into(), time.as_millisecond().max(0));
        Record { key, value, time, attributes }
    }

    /// One that another program wrote, in structured mode: headers are texts and no more, and would hand on an extension that is
    /// a number, data that is a text or a time that is missing as something else.
    fn whole(event: &'e Event) -> Record<'e> {
        let attributes = vec![Attribute { name: "content-type", value: WHOLE.to_owned() }];
        let time = event.time.as_millisecond().max(0);
        Record { key: &event.key, value: event.to_json().into(), time, attributes }
    }

    /// Bytes that it has there, and a few more.
    pub(super) fn bytes(&self) -> usize {
        let header = |it: &Attribute| it.name.len() + it.value.len() + HEADER_FRAME_BYTES;
        let headers: usize = self.attributes.iter().map(header).sum();
        FRAME_BYTES + self.key.len() + self.value.len() + headers
    }

    pub(super) fn headers(&self) -> OwnedHeaders {
        let none = OwnedHeaders::new_with_capacity(self.attributes.len());
        self.attributes.iter().fold(none, |headers, Attribute { name, value }| {
            headers.insert(Header { key: name, value: Some(value.as_str()) })
        })
    }
}

/// The event that a record is.
pub(super) fn event(record: &BorrowedMessage<'_>) -> Result<Event, Error> {
    let headers = record.headers();
    let headers = headers.iter().flat_map(|headers| headers.iter());
    let headers = headers.map(|Header { key, value }| (key, value.unwrap_or_default()));
    read(headers, record.key(), record.payload())
}

/// What the headers say, before it is believed.
#[derive(Default)]
struct Attributes {
    content_type: Option<String>,
    specversion: Option<String>,
    id: String,
    source: String,
    kind: String,
    subject: String,
    time: String,
    key: Option<String>,
    sequence: Option<u64>,
    outbox_sequence: Option<u64>,
    outbox_previous: Option<u64>,
    outbox_source: Option<String>,
    cause: Cause,
}

fn read<'r>(
    headers: impl Iterator<Item = (&'r str, &'r [u8])>,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
) -> Result<Event, Error> {
    let mut attributes = Attributes::default();
    for (name, value) in headers {
        attributes.take(name, value)?;
    }
    let key = key.map(|key| text("the key", key)).transpose()?;
    let is = |begin: &str| attributes.content_type.as_ref().is_some_and(|it| it.starts_with(begin));
    let event = if is(STRUCTURED) {
        structured(value.unwrap_or_default(), key)?
    } else {
        attributes.into_event(key, value)?
    };
    // The same limits as for what is published here: a record of another program's must not be more than stores
    // can keep.
    event.check()?;
    Ok(event)
}

/// A whole event as the value; its key is the record's, where it names none itself.
fn structured(value: &[u8], key: Option<String>) -> Result<Event, Error> {
    let mut event = Event::from_json(value)?;
    // A key that is the subject was most likely filled in from it; who sent the record chose the record's key.
    let names_none = event.key.is_empty() || event.key == event.subject;
    if let Some(key) = key.filter(|_| names_none) {
        event.key = key;
    }
    Ok(event)
}

impl Attributes {
    fn take(&mut self, name: &str, value: &[u8]) -> Result<(), Error> {
        let known = match name {
            "content-type" => return self.set_content_type(value),
            // Room for the text that is put there below; of an attribute that is there twice the last counts.
            "ce_specversion" => self.specversion.insert(String::new()),
            "ce_id" => &mut self.id,
            "ce_source" => &mut self.source,
            "ce_type" => &mut self.kind,
            "ce_subject" => &mut self.subject,
            "ce_time" => &mut self.time,
            "ce_partitionkey" => self.key.insert(String::new()),
            "ce_outboxsource" => self.outbox_source.insert(String::new()),
            "ce_correlationid" => self.cause.correlation_id.insert(String::new()),
            "ce_causationid" => self.cause.causation_id.insert(String::new()),
            "ce_traceparent" => self.cause.traceparent.insert(String::new()),
            "ce_sequence" => {
                self.sequence = Some(count(name, value)?);
                return Ok(());
            }
            "ce_outboxsequence" => {
                self.outbox_sequence = Some(count(name, value)?);
                return Ok(());
            }
            "ce_outboxprevious" => {
                self.outbox_previous = Some(count(name, value)?);
                return Ok(());
            }
            _ => return Ok(()),
        };
        *known = text(name, value)?;
        Ok(())
    }

    fn set_content_type(&mut self, value: &[u8]) -> Result<(), Error> {
        self.content_type = Some(text("content-type", value)?.to_ascii_lowercase());
        Ok(())
    }

    /// The event, if what is required is there and is what it should be.
    fn into_event(self, key: Option<String>, value: Option<&[u8]>) -> Result<Event, Error> {
        if self.specversion.as_deref() != Some(SPECVERSION) {
            return Err(wrong("ce_specversion is missing or another one"));
        }
        let required = [("ce_id", &self.id), ("ce_source", &self.source), ("ce_type", &self.kind)];
        if let Some((name, _)) = required.into_iter().find(|(_, value)| value.is_empty()) {
            return Err(wrong(format_args!("{name} is missing or empty")));
        }
        let time: Timestamp =
            self.time.parse().map_err(|_| wrong("ce_time is no RFC 3339 instant"))?;
        let data = match value {
            Some(value) if !value.is_empty() => serde_json::from_slice::<&RawValue>(value)
                .map_err(|error| wrong(format_args!("the value is no JSON: {error}")))?,
            _ => RawValue::NULL,
        };
        Ok(Event {
            key: self.key.or(key).unwrap_or_else(|| self.subject.clone()),
            id: self.id,
            source: self.source,
            kind: self.kind,
            subject: self.subject,
            time,
            sequence: self.sequence.unwrap_or(0),
            outbox_sequence: self.outbox_sequence,
            outbox_previous: self.outbox_previous,
            outbox_source: self.outbox_source,
            foreign: None,
            cause: self.cause,
            data: data.to_owned(),
        })
    }
}

fn text(name: &str, value: &[u8]) -> Result<String, Error> {
    let text = std::str::from_utf8(value).map_err(|_| wrong(format_args!("{name} is no text")))?;
    Ok(text.to_owned())
}

fn count(name: &str, value: &[u8]) -> Result<u64, Error> {
    text(name, value)?.parse().map_err(|_| wrong(format_args!("{name} is no count")))
}

fn wrong(what: impl fmt::Display) -> Error {
    Error::Decode { what: what.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> Event {
        let text = r#"{"specversion":"1.0","id":"9-1","source":"order","type":"OrderPlaced",
            "subject":"주문-9","time":"2024-05-01T12:00:00.123456Z","datacontenttype":"application/json",
            "partitionkey":"9","sequence":"1","outboxsequence":"17","correlationid":"c","data":{"quantity": 3}}"#;
        Event::from_json(text.as_bytes()).expect("an event")
    }

    /// As it would be read after it was sent.
    fn again(sent: &Record<'_>, but: impl Fn(&str) -> bool) -> Result<Event, Error> {
        let headers = sent.attributes.iter().filter(|it| but(it.name));
        let headers = headers.map(|it| (it.name, it.value.as_bytes()));
        read(headers, Some(sent.key.as_bytes()), Some(&*sent.value))
    }

    #[test]
    fn an_event_reads_back_as_it_was() {
        for event in [
            event(),
            Event { outbox_source: Some("paid".to_owned()), ..event() },
            Event { outbox_sequence: None, cause: Cause::default(), ..event() },
            Event { data: RawValue::NULL.to_owned(), subject: String::new(), ..event() },
        ] {
            let read = again(&Record::of(&event), |_| true).expect("an event");
            assert_eq!(
                String::from_utf8(read.to_json()).expect("text"),
                String::from_utf8(event.to_json()).expect("text")
            );
        }
    }

    #[test]
    fn what_another_program_wrote_reads_back_as_it_came() {
        for text in [
            r#"{"specversion":"1.0","id":"1","source":"/till","type":"Paid","receivedtime":"2024-05-01T12:00:00Z","outboxsequence":"17","outboxsource":"paid","tenant":7,"test":true,"data":"text"}"#,
            r#"{"specversion":"1.0","id":"1","source":"/till","type":"Paid","subject":"b","time":"2024-05-01T21:00:00.0+09:00","datacontenttype":"image/png","partitionkey":"k","data_base64":"/w=="}"#,
        ] {
            let event = Event::from_json(text.as_bytes()).expect("an event");
            let read = again(&Record::of(&event), |_| true).expect("an event");
            assert_eq!(String::from_utf8(read.to_json()).expect("text"), text);
            assert_eq!(read.key, event.key);
        }
    }

    #[test]
    fn what_is_required_is_missed_and_what_is_not_has_a_meaning() {
        let event = event();
        let sent = Record::of(&event);
        for Attribute { name, .. } in &sent.attributes {
            let read = again(&sent, |it| it != *name);
            let required = ["ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time"];
            assert_eq!(read.is_err(), required.contains(name), "{name}");
        }
        let read = again(&sent, |name| !["ce_partitionkey", "ce_sequence"].contains(&name));
        let read = read.expect("an event");
        assert_eq!((read.key.as_str(), read.sequence), ("9", 0), "the record's own key");
    }

    #[test]
    fn what_is_no_event_is_refused() {
        let event = event();
        let sent = Record::of(&event);
        let with = |name: &'static str, value: &'static [u8], data: Option<&[u8]>| {
            let headers = sent.attributes.iter().map(|it| (it.name, it.value.as_bytes()));
            read(headers.chain([(name, value)]), Some(b"9"), data.or(Some(&*sent.value)))
        };
        assert!(with("other", b"\xff", None).is_ok(), "headers that nobody knows are passed over");
        for (name, value) in [
            ("ce_specversion", b"0.3" as &[u8]),
            ("ce_id", b""),
            ("ce_id", b"\xff"),
            ("ce_time", b"today"),
            ("ce_sequence", b"-1"),
            ("ce_outboxsequence", b"x"),
            ("ce_outboxsequence", b"281474976710656"),
            ("ce_outboxprevious", b"281474976710656"),
            ("ce_source", b"a\0b"),
            ("ce_partitionkey", &[b'k'; 1025]),
        ] {
            assert!(with(name, value, None).is_err(), "{name}");
        }
        assert!(with("other", b"", Some(b"no json")).is_err());
        let empty = with("other", b"", Some(b"")).expect("no data");
        assert_eq!(empty.data.get(), "null");
    }

    #[test]
    fn a_whole_event_in_json_is_read_too() {
        let headers =
            || [("content-type", b"application/cloudevents+json; charset=UTF-8" as &[u8])];
        let text = event().to_json();
        let whole = read(headers().into_iter(), Some(b"other"), Some(&text)).expect("an event");
        assert_eq!(whole.to_json(), text, "its own partition key stands");
        let bare = br#"{"specversion":"1.0","id":"1","source":"s","type":"T",
            "time":"2024-05-01T12:00:00Z"}"#;
        let keyed = read(headers().into_iter(), Some(b"k"), Some(bare)).expect("an event");
        assert_eq!(keyed.key, "k");
        assert!(read(headers().into_iter(), None, Some(b"{}")).is_err());
    }

    #[test]
    fn its_bytes_are_no_fewer_than_what_it_is_made_of() {
        let event = event();
        let sent = Record::of(&event);
        let parts: usize = sent.attributes.iter().map(|it| it.name.len() + it.value.len()).sum();
        assert!(sent.bytes() > parts + sent.key.len() + sent.value.len());
    }
}
