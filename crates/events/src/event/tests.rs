//! The JSON form to the letter, what is read back, and what is refused.

use expect_test::expect;
use proptest::prelude::*;

use super::*;

fn event() -> Event {
    Event {
        id: "5f1c-7".to_owned(),
        source: "order".to_owned(),
        kind: "OrderPlaced".to_owned(),
        subject: "7".to_owned(),
        time: "2026-11-23T01:02:03.456789Z".parse().unwrap(),
        key: "7".to_owned(),
        sequence: 1,
        outbox_sequence: Some(42),
        outbox_previous: None,
        cause: Cause {
            correlation_id: Some("request-1".to_owned()),
            causation_id: Some("web/1".to_owned()),
            traceparent: None,
        },
        data: RawValue::from_string(r#"{"orderId": 7, "price": 10000}"#.to_owned()).unwrap(),
    }
}

#[test]
fn the_json_form_is_cloudevents_with_the_data_as_it_was_born() {
    let text = String::from_utf8(event().to_json()).unwrap();
    expect![[r#"{"specversion":"1.0","id":"5f1c-7","source":"order","type":"OrderPlaced","subject":"7","time":"2026-11-23T01:02:03.456789Z","datacontenttype":"application/json","partitionkey":"7","sequence":"1","outboxsequence":"42","correlationid":"request-1","causationid":"web/1","data":{"orderId": 7, "price": 10000}}"#]]
    .assert_eq(&text);
}

#[test]
fn what_others_write_is_read_with_its_defaults() {
    let text = br#"{"specversion":"1.0","id":"1","source":"/sensor","type":"Seen","subject":"s",
        "time":"2026-11-23T10:02:03+09:00","sequence":3,"unknown":{"is":"dropped"}}"#;
    let event = Event::from_json(text).unwrap();
    assert_eq!((event.key.as_str(), event.sequence, event.outbox_sequence), ("s", 3, None));
    assert_eq!(event.time.to_string(), "2026-11-23T01:02:03Z");
    assert_eq!((event.data.get(), event.cause), ("null", Cause::default()));
}

#[test]
fn what_is_null_is_not_there_and_data_that_is_no_json_is_refused() {
    let with = |members: &str| {
        let text = format!(
            r#"{{"specversion":"1.0","id":"1","source":"s","type":"T","time":"2026-11-23T01:02:03Z"{members}}}"#
        );
        Event::from_json(text.as_bytes())
    };
    let bare = with("").unwrap();
    for member in ["subject", "partitionkey", "sequence", "outboxsequence", "outboxprevious"] {
        let read = with(&format!(r#","{member}":null"#)).unwrap();
        assert_eq!(read.to_json(), bare.to_json(), "{member}");
    }
    for member in ["correlationid", "causationid", "traceparent", "data", "data_base64"] {
        let read = with(&format!(r#","{member}":null"#)).unwrap();
        assert_eq!(read.to_json(), bare.to_json(), "{member}");
    }
    assert!(with(r#","data_base64":"AAEC""#).is_err());
}

#[test]
fn what_is_missing_or_malformed_is_refused() {
    let sound: serde_json::Value = serde_json::from_slice(&event().to_json()).unwrap();
    let changed = |member: &str, value: serde_json::Value| {
        let mut text = sound.clone();
        text[member] = value;
        Event::from_json(text.to_string().as_bytes())
    };
    assert!(changed("sequence", "18446744073709551615".into()).is_ok());
    for (member, value) in [
        ("specversion", "0.3".into()),
        ("id", "".into()),
        ("source", "".into()),
        ("type", "".into()),
        ("type", serde_json::Value::Null),
        ("time", "yesterday".into()),
        ("sequence", "18446744073709551616".into()),
        ("sequence", "+1".into()),
        ("sequence", "".into()),
        ("sequence", (-1).into()),
        ("outboxsequence", "x".into()),
        ("partitionkey", 7.into()),
    ] {
        let refused = changed(member, value.clone());
        assert!(matches!(refused, Err(Error::Decode { .. })), "{member} = {value}");
    }
    for member in ["specversion", "id", "source", "type", "time"] {
        let mut text = sound.clone();
        text.as_object_mut().unwrap().remove(member);
        let refused = Event::from_json(text.to_string().as_bytes());
        assert!(matches!(refused, Err(Error::Decode { .. })), "{member}");
    }
    for text in ["", "[]", "null", "{", "\u{0}"] {
        assert!(Event::from_json(text.as_bytes()).is_err(), "{text:?}");
    }
}

/// A reader that got one would try it for ever, and nobody could step over it: in its topic it is sound.
#[test]
fn what_no_store_can_hold_is_refused_and_what_is_at_the_limit_is_read() {
    let sound: serde_json::Value = serde_json::from_slice(&event().to_json()).unwrap();
    let read = |member: &str, value: &str| {
        let mut text = sound.clone();
        text[member] = value.into();
        Event::from_json(text.to_string().as_bytes())
    };
    let long = |bytes| "x".repeat(bytes);
    for member in ["id", "source", "partitionkey"] {
        assert!(read(member, &long(1024)).is_ok(), "{member}");
        assert!(read(member, &long(1025)).is_err(), "{member}");
    }
    for number in ["outboxsequence", "outboxprevious"] {
        assert!(read(number, "281474976710655").is_ok(), "{number}");
        assert!(read(number, "281474976710656").is_err(), "{number}");
    }
    let texts = ["id", "source", "type", "subject", "partitionkey"];
    for member in texts.into_iter().chain(["correlationid", "causationid", "traceparent"]) {
        assert!(read(member, "a\u{1}b").is_ok(), "{member}");
        assert!(read(member, "a\0b").is_err(), "{member}");
    }
    let mut keyless = sound.clone();
    keyless["partitionkey"] = serde_json::Value::Null;
    keyless["subject"] = long(1025).into();
    assert!(Event::from_json(keyless.to_string().as_bytes()).is_err(), "the key is its subject");
}

#[test]
fn a_cause_names_the_event_before_and_keeps_the_correlation() {
    let cause = Cause::of(&event());
    assert_eq!(cause.correlation_id.as_deref(), Some("request-1"));
    assert_eq!(cause.causation_id.as_deref(), Some("order/5f1c-7"));
    let first = Cause::of(&Event { cause: Cause::default(), ..event() });
    assert_eq!(first.correlation_id, first.causation_id);
}

#[test]
fn data_is_decoded_or_refused_by_its_shape() {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Placed {
        order_id: u64,
    }
    assert_eq!(event().decode::<Placed>().unwrap().order_id, 7);
    assert!(matches!(event().decode::<Vec<u8>>(), Err(Error::Decode { .. })));
}

proptest! {
    #[test]
    fn any_event_reads_back_as_it_was(
        id in "[^\0]{1,20}", source in "[^\0]{1,20}", kind in "[^\0]{1,20}", key in "[^\0]{0,20}",
        text in ".{0,40}", micros in 0..4_000_000_000_000_000i64, sequence: u64,
        outbox in proptest::option::of(0..1_u64 << 48),
        correlation in proptest::option::of("[^\0]{0,20}"),
    ) {
        let event = Event {
            id, source, kind, subject: key.clone(), key, sequence, outbox_sequence: outbox,
            outbox_previous: outbox.map(|number| number / 2),
            time: Timestamp::from_microsecond(micros).unwrap(),
            cause: Cause { correlation_id: correlation, ..Cause::default() },
            data: serde_json::value::to_raw_value(&text).unwrap(),
        };
        let json = event.to_json();
        let back = Event::from_json(&json).unwrap();
        prop_assert_eq!(back.to_json(), json);
        prop_assert_eq!(back.decode::<String>().unwrap(), text);
    }
}
