//! An event as an HTTP request, in CloudEvents' binary mode: attributes as `ce-` headers, the data as the body.
//!
//! Whatever attributes the event's structured form has go out, our extensions and those of its publisher alike: what is
//! written there is what is delivered. Header values are percent-encoded as the HTTP binding says (section 3.1.3.2): a
//! subject in Hangul is `%EC%9C%A0`, and the SDKs decode it. The body is what its `Content-Type` says: a text that is no
//! JSON goes out without the quotes that it has in JSON.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use events::Event;
use events::event::foreign::is_json;
use http::header::{CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::value::RawValue;

use crate::signature::{Secret, sign};

/// What a header's value does not have as it is, besides whatever is not ASCII.
const IN_HEADERS: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'%');

/// What neither part of a `webhook-id` has as it is: a signature's parts are apart by `.`, so one behind which a time could
/// follow would sign another message, too.
const IN_WEBHOOK_IDS: &AsciiSet = &IN_HEADERS.add(b'.');

/// What of an id would be taken for the end of the source that stands before it, besides.
const IN_IDS: &AsciiSet = &IN_WEBHOOK_IDS.add(b'/');

/// What data is that has no type (CloudEvents' JSON format, section 3.1.1).
const JSON: &str = "application/json";

const CORRELATION: HeaderName = HeaderName::from_static("ce-correlationid");
const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// Headers and body of a delivery.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// What an event's structured form has, member by member.
type Members = BTreeMap<String, Box<RawValue>>;

impl Message {
    /// The event, signed at this time where there are keys.
    pub(crate) fn of(
        event: &Event,
        host: &HeaderValue,
        secrets: &[Secret],
        at: Timestamp,
    ) -> Message {
        let mut members: Members =
            serde_json::from_slice(&event.to_json()).expect("an event's form is an object");
        let kind = members.remove("datacontenttype").map(|kind| text(&kind));
        let kind = kind.or_else(|| members.contains_key("data").then(|| JSON.to_owned()));
        let body = body(&mut members, kind.as_deref());
        let mut headers = HeaderMap::with_capacity(members.len() + 6);
        headers.insert(HOST, host.clone());
        headers.insert(USER_AGENT, HeaderValue::from_static("yeoul"));
        if let Some(kind) = kind {
            insert(&mut headers, CONTENT_TYPE, &kind);
        }
        for (name, value) in &members {
            // Names of attributes are lower-case letters and digits, so they are names of headers.
            if let Ok(name) = HeaderName::try_from(format!("ce-{name}")) {
                insert(&mut headers, name, &header_value(&text(value)));
            }
        }
        if event.cause.correlation_id.is_none()
            && let Some(begins) = event.correlation()
        {
            // The first of a correlation is called by it: its receiver copies one attribute, whichever event it is.
            insert(&mut headers, CORRELATION, &header_value(&begins));
        }
        let id = id(event);
        insert(&mut headers, WEBHOOK_ID, &id);
        if !secrets.is_empty() {
            headers.insert(WEBHOOK_TIMESTAMP, at.as_second().into());
            insert(&mut headers, WEBHOOK_SIGNATURE, &sign(secrets, &id, at, &body));
        }
        Message { headers, body }
    }
}

/// What stays the same however often an event is delivered, and is no other event's: its source and its id, which begins
/// behind the last `/`.
pub(crate) fn id(event: &Event) -> String {
    let source = utf8_percent_encode(&event.source, IN_WEBHOOK_IDS);
    format!("{source}/{}", utf8_percent_encode(&event.id, IN_IDS))
}

/// The data as bytes of its type, taken out of the members.
fn body(members: &mut Members, kind: Option<&str>) -> Bytes {
    if let Some(encoded) = members.remove("data_base64") {
        return STANDARD.decode(text(&encoded)).map(Bytes::from).unwrap_or_default();
    }
    let Some(data) = members.remove("data") else { return Bytes::new() };
    // What is a text in JSON because JSON is what it came in, and not what it is.
    let is_words = data.get().starts_with('"') && !kind.is_none_or(is_json);
    let data = if is_words { text(&data) } else { data.get().to_owned() };
    Bytes::from(data.into_bytes())
}

/// A member's value as an attribute's canonical text.
fn text(value: &RawValue) -> String {
    serde_json::from_str(value.get()).unwrap_or_else(|_| value.get().to_owned())
}

/// A text as the value of a `ce-` header.
pub fn header_value(text: &str) -> String {
    utf8_percent_encode(text, IN_HEADERS).to_string()
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    // What was encoded is a header's value; of the rest, what is none is left out.
    if let Ok(value) = HeaderValue::try_from(value) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(json: &str) -> Message {
        let event = Event::from_json(json.as_bytes()).expect("an event");
        let host = HeaderValue::from_static("mail:8080");
        Message::of(&event, &host, &[], Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn attributes_are_headers_and_the_data_is_the_body() {
        let Message { headers, body } = message(
            r#"{"specversion":"1.0","id":"9-1","source":"order","type":"OrderPlaced","subject":"9",
            "time":"2024-05-01T12:00:00Z","sequence":"1","outboxsequence":"17","data":{"quantity": 3}}"#,
        );
        for (name, value) in [
            ("ce-specversion", "1.0"),
            ("ce-id", "9-1"),
            ("ce-source", "order"),
            ("ce-type", "OrderPlaced"),
            ("ce-subject", "9"),
            ("ce-time", "2024-05-01T12:00:00Z"),
            ("ce-outboxsequence", "17"),
            ("content-type", "application/json"),
            ("host", "mail:8080"),
            ("webhook-id", "order/9-1"),
        ] {
            assert_eq!(
                headers.get(name).map(HeaderValue::as_bytes),
                Some(value.as_bytes()),
                "{name}"
            );
        }
        assert_eq!(body, r#"{"quantity": 3}"#);
        let absent = ["ce-data", "ce-datacontenttype", "webhook-signature", "webhook-timestamp"];
        // It named no key: that is its subject, as everywhere.
        for absent in absent.into_iter().chain(["ce-partitionkey"]) {
            assert!(!headers.contains_key(absent), "{absent}");
        }
    }

    #[test]
    fn a_key_that_is_named_goes_out_as_it_was() {
        let named = r#"{"specversion":"1.0","id":"1","source":"a","type":"A","subject":"9",
            "partitionkey":"7","time":"2024-05-01T12:00:00Z"}"#;
        assert_eq!(message(named).headers["ce-partitionkey"], "7");
    }

    /// What is said by an event's type is what its body is: a text is no JSON text, unless JSON is what it says.
    #[test]
    fn data_goes_out_as_its_type_says() {
        for (members, kind, expected) in [
            (r#""data":"hello""#, Some("application/json"), r#""hello""#),
            (r#""data":{"a": 1}"#, Some("application/json"), r#"{"a": 1}"#),
            (r#""datacontenttype":"text/plain","data":"안녕\n""#, Some("text/plain"), "안녕\n"),
            (
                r#""datacontenttype":"image/svg+xml","data":"<svg/>""#,
                Some("image/svg+xml"),
                "<svg/>",
            ),
            (
                r#""datacontenttype":"application/vnd.a+JSON; charset=utf-8","data":"a""#,
                Some("application/vnd.a+JSON; charset=utf-8"),
                r#""a""#,
            ),
            (r#""datacontenttype":"text/plain","data":[1]"#, Some("text/plain"), "[1]"),
            (r#""datacontenttype":"image/png","data_base64":"YWJj""#, Some("image/png"), "abc"),
            (r#""data_base64":"YWJj""#, None, "abc"),
            (r#""tenant":"7""#, None, ""),
        ] {
            let required = r#""specversion":"1.0","id":"1","source":"a","type":"A""#;
            let event = format!(r#"{{{required},"time":"2024-05-01T12:00:00Z",{members}}}"#);
            let Message { headers, body } = message(&event);
            let said = headers.get(CONTENT_TYPE).map(|it| it.to_str().expect("ASCII"));
            assert_eq!((said, &*body), (kind, expected.as_bytes()), "{members}");
        }
    }

    #[test]
    fn an_id_is_no_other_event_s() {
        let of = |source: &str, id: &str| {
            let event = format!(
                r#"{{"specversion":"1.0","id":"{id}","source":"{source}","type":"A","time":"2024-05-01T12:00:00Z"}}"#
            );
            message(&event).headers["webhook-id"].to_str().expect("ASCII").to_owned()
        };
        assert_eq!(of("/till", "3/17"), "/till/3%2F17");
        assert_eq!(of("/till/3", "17"), "/till/3/17");
        assert_eq!(of("/till/3", "%2F17"), "/till/3/%252F17");
    }

    /// What is signed is `id.time.body`: with a `.` in the id, a message could be cut elsewhere and be another one under the
    /// same signature.
    #[test]
    fn an_id_has_no_dot_so_that_a_signature_is_of_one_message_alone() {
        let event = |id: &str| {
            format!(
                r#"{{"specversion":"1.0","id":"{id}","source":"https://a.example/till","type":"A","time":"2024-05-01T12:00:00Z","data":1}}"#
            )
        };
        let headers = message(&event("7.1614265330")).headers;
        assert_eq!(headers["webhook-id"], "https://a%2Eexample/till/7%2E1614265330");
        assert_eq!(headers["ce-id"], "7.1614265330", "the attribute is as it was");
    }

    /// The binding's own example, and what else a header cannot have as it is.
    #[test]
    fn what_a_header_cannot_have_is_percent_encoded() {
        for (subject, header) in [
            ("Euro € 😀", "Euro%20%E2%82%AC%20%F0%9F%98%80"),
            ("100%", "100%25"),
            ("a\\\"b", "a%22b"),
            ("a\\r\\nx-evil: 1", "a%0D%0Ax-evil:%201"),
            ("유", "%EC%9C%A0"),
            ("~!'()*", "~!'()*"),
        ] {
            let json = format!(
                r#"{{"specversion":"1.0","id":"1","source":"a","type":"A","subject":"{subject}","time":"2024-05-01T12:00:00Z"}}"#
            );
            let found = message(&json).headers.remove("ce-subject").expect("a subject");
            assert_eq!(found, header, "{subject}");
        }
    }
}
