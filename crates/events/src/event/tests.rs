//! The JSON form to the letter, what is read back, and what is refused.

use expect_test::expect;
use proptest::prelude::*;

use super::attributes::DATA_DEPTH_MAX;
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
        outbox_source: None,
        foreign: None,
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
        "time":"2026-11-23T10:02:03+09:00","sequence":3,"unknown":{"is":"kept"}}"#;
    let event = Event::from_json(text).unwrap();
    assert_eq!((event.key.as_str(), event.sequence, event.outbox_sequence), ("s", 3, None));
    assert_eq!(event.time.to_string(), "2026-11-23T01:02:03Z");
    assert_eq!((event.data.get(), event.cause), ("null", Cause::default()));
}

#[test]
fn what_is_null_is_not_there_but_for_data_and_bytes_are_given_again() {
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
    for member in ["correlationid", "causationid", "traceparent", "data_base64", "tenant"] {
        let read = with(&format!(r#","{member}":null"#)).unwrap();
        assert_eq!(read.to_json(), bare.to_json(), "{member}");
    }
    let null = String::from_utf8(with(r#","data":null"#).unwrap().to_json()).unwrap();
    assert!(null.ends_with(r#","data":null}"#) && !bare.to_json().ends_with(b"null}"), "{null}");
    let bytes = with(r#","data_base64":"AAEC""#).unwrap();
    assert_eq!(bytes.data.get(), r#""AAEC""#);
    assert!(bytes.to_json().ends_with(br#","data_base64":"AAEC"}"#));
    assert!(with(r#","data_base64":"AAEC","data":1"#).is_err());
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
        ("outboxsequence", "18446744073709551616".into()),
        ("outboxsequence", "+1".into()),
        ("outboxsequence", "".into()),
        ("outboxsequence", (-1).into()),
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

/// Under one source and id there is one event: a log that gave another one than it was given would be a publisher too.
#[test]
fn what_another_program_wrote_is_given_again_as_it_came() {
    let required = r#""specversion":"1.0","id":"1","source":"/till","type":"Paid""#;
    for members in [
        "",
        r#","subject":"s","time":"2026-11-23T10:02:03.10+09:00""#,
        r#","time":"2026-11-23t01:02:03z","datacontenttype":"text/xml","data":"<a/>""#,
        r#","time":"2016-12-31T23:59:60Z","partitionkey":"p","sequence":"007""#,
        r#","sequence":"a-9","dataschema":"https://a/b","tenant":7,"urgent":true,"data":null"#,
        r#","datacontenttype":"application/json; charset=utf-8","data":{"b": 1,"a":[ ]}"#,
        r#","correlationid":"c","traceparent":"t","data_base64":"AAEC""#,
    ] {
        let came = format!("{{{required}{members}}}");
        let event = incoming::incoming(came.as_bytes(), Timestamp::UNIX_EPOCH).expect(members);
        let stored = event.to_json();
        let again = Event::from_json(&stored).unwrap().to_json();
        assert_eq!(String::from_utf8(again).unwrap(), String::from_utf8(stored.clone()).unwrap());
        let value = |text: &[u8]| serde_json::from_slice::<serde_json::Value>(text).unwrap();
        let (mut shown, came) = (value(&stored), value(came.as_bytes()));
        let received = shown.as_object_mut().unwrap().remove("receivedtime");
        assert_eq!(received.is_some(), came["time"].is_null(), "{members}");
        assert_eq!(shown, came, "{members}");
    }
}

#[test]
fn what_is_wrong_with_an_event_from_outside_is_named_with_its_field() {
    let required = r#""specversion":"1.0","id":"1","source":"/till","type":"Paid""#;
    let wrong = |text: String| {
        let refused = incoming::incoming(text.as_bytes(), Timestamp::UNIX_EPOCH).err();
        let fields = refused.unwrap_or_default().into_iter().map(|it| it.field);
        fields.collect::<Vec<_>>().join(" ")
    };
    let with = |members: &str| wrong(format!("{{{required}{members}}}"));
    assert_eq!(with(""), "");
    assert_eq!(wrong("{}".to_owned()), "specversion id source type");
    let version = r#"{"specversion":"0.3","id":"","source":"a b","type":1}"#;
    assert_eq!(wrong(version.to_owned()), "specversion id source type");
    let long = |name: &str, bytes: usize| format!(r#","{name}":"{}""#, "x".repeat(bytes));
    let deep = |levels| format!(r#","data":{}{}"#, "[".repeat(levels), "]".repeat(levels));
    for (members, field) in [
        (r#","subject":"""#.to_owned(), "subject"),
        (long("subject", KEY_BYTES_MAX), ""),
        (long("subject", KEY_BYTES_MAX + 1), "subject"),
        (long("partitionkey", KEY_BYTES_MAX + 1), "partitionkey"),
        (long("correlationid", CAUSE_BYTES_MAX + 1), "correlationid"),
        (long("datacontenttype", incoming::DATA_ATTRIBUTE_BYTES_MAX + 1), "datacontenttype"),
        (r#","subject":"a\u0000b""#.to_owned(), "subject"),
        (r#","tenant":"a\u0007b""#.to_owned(), "tenant"),
        (r#","time":"yesterday""#.to_owned(), "time"),
        (r#","time":"2026-11-23T01:02Z""#.to_owned(), "time"),
        (r#","time":"2026-02-30T01:02:03Z""#.to_owned(), "time"),
        (r#","time":"2026-11-23 01:02:03Z""#.to_owned(), "time"),
        (r#","time":5"#.to_owned(), "time"),
        (r#","time":"0000-01-01T00:00:00Z""#.to_owned(), ""),
        (r#","time":"0000-01-01T00:00:00+09:00""#.to_owned(), ""),
        (r#","time":"9999-12-30T21:59:59Z""#.to_owned(), ""),
        (r#","time":"9999-12-31T23:59:59Z""#.to_owned(), "time"),
        (r#","time":"-001-01-01T00:00:00Z""#.to_owned(), "time"),
        (r#","time":"2016-12-31T23:59:60Z""#.to_owned(), ""),
        (r#","time":"2015-06-30T23:59:60.5Z""#.to_owned(), ""),
        (r#","time":"1990-12-31T15:59:60-08:00""#.to_owned(), ""),
        (r#","time":"2017-01-01T08:59:60+09:00""#.to_owned(), ""),
        (r#","time":"2026-11-23T01:02:60Z""#.to_owned(), "time"),
        (r#","time":"2016-12-31T23:58:60Z""#.to_owned(), "time"),
        (r#","time":"2016-12-30T23:59:60Z""#.to_owned(), "time"),
        (r#","time":"2016-12-31T23:59:60+09:00""#.to_owned(), "time"),
        (r#","time":"2026-11-23T01:02:03+0900""#.to_owned(), "time"),
        (r#","time":"2026-11-23T24:00:00Z""#.to_owned(), "time"),
        (r#","time":"2026-11-23t01:02:03z""#.to_owned(), ""),
        (r#","expirytime":"2026-11-23T01:02:03+09:00""#.to_owned(), ""),
        (r#","expirytime":"tomorrow""#.to_owned(), "expirytime"),
        (r#","expirytime":"2026-11-23""#.to_owned(), "expirytime"),
        (r#","expirytime":"""#.to_owned(), "expirytime"),
        (r#","expirytime":1764000000"#.to_owned(), "expirytime"),
        (r#","expirytime":true"#.to_owned(), "expirytime"),
        (r#","datacontenttype":"json""#.to_owned(), "datacontenttype"),
        (r#","datacontenttype":"text/plain; charset=utf-8""#.to_owned(), ""),
        (r#","dataschema":"schemas/paid.json""#.to_owned(), "dataschema"),
        (r#","dataschema":"https://a/b#c""#.to_owned(), "dataschema"),
        (deep(DATA_DEPTH_MAX), ""),
        (deep(DATA_DEPTH_MAX + 1), "data"),
        (deep(300_000), "data"),
        (r#","data":{"a":"\ud83d\ude00"}"#.to_owned(), ""),
        (r#","data":{"a":["\ud800"]}"#.to_owned(), "data"),
        (r#","data":{"\udc00":1}"#.to_owned(), "data"),
        (r#","data":[1e999]"#.to_owned(), "data"),
        (r#","data_base64":"\ud800""#.to_owned(), "data_base64"),
        (r#","subject":"\ud800""#.to_owned(), "subject"),
        (r#","partitionkey":"a\udfff""#.to_owned(), "partitionkey"),
        (r#","correlationid":"\ud800""#.to_owned(), "correlationid"),
        (r#","datacontenttype":"\ud800""#.to_owned(), "datacontenttype"),
        (r#","time":"\ud800""#.to_owned(), "time"),
        (r#","sequence":"\ud800""#.to_owned(), "sequence"),
        (r#","tenant":"\ud800""#.to_owned(), "tenant"),
        (r#","dataschema":"urn:\ud800""#.to_owned(), "dataschema"),
        (r#","tenant":{"a":1}"#.to_owned(), "tenant"),
        (r#","tenant":1.5"#.to_owned(), "tenant"),
        (r#","Tenant":1"#.to_owned(), "Tenant"),
        (r#","tenant_id":1"#.to_owned(), "tenant_id"),
        (long(&"e".repeat(incoming::EXTENSION_NAME_CHARS_MAX), 1), ""),
        (long(&"e".repeat(incoming::EXTENSION_NAME_CHARS_MAX + 1), 1), &"e".repeat(65)),
        (long("tenant", incoming::EXTENSION_BYTES_MAX - 2), ""),
        (long("tenant", incoming::EXTENSION_BYTES_MAX - 1), "tenant"),
        (r#","outboxsequence":"1""#.to_owned(), "outboxsequence"),
        (r#","receivedtime":"2026-11-23T01:02:03Z""#.to_owned(), "receivedtime"),
        (r#","position":"t1.a""#.to_owned(), "position"),
        (r#","id":"2""#.to_owned(), "id"),
        (r#","data":1,"data_base64":"AAEC""#.to_owned(), "data_base64"),
        (r#","data_base64":"*""#.to_owned(), "data_base64"),
        (r#","data_base64":7"#.to_owned(), "data_base64"),
        (r#","dataschema":"a b""#.to_owned(), "dataschema"),
    ] {
        assert_eq!(with(&members), field, "{members:.80}");
    }
    let many = |count: usize| (0..count).map(|at| format!(r#","e{at}":1"#)).collect::<String>();
    assert_eq!(with(&many(incoming::EXTENSIONS_MAX)), "");
    for text in ["", "[]", "null", "{", "1"] {
        let refused = incoming::incoming(text.as_bytes(), Timestamp::UNIX_EPOCH).unwrap_err();
        assert_eq!((refused.len(), refused[0].field.as_str()), (1, ""), "{text}");
    }
    let refused = incoming::incoming(
        format!("{{{required}{}}}", many(incoming::EXTENSIONS_MAX + 1)).as_bytes(),
        Timestamp::UNIX_EPOCH,
    );
    assert_eq!(refused.unwrap_err()[0].limit, Some(incoming::EXTENSIONS_MAX));
}

/// A text of 1 MiB has room for 100,000 members, and each is looked at beside the others.
#[test]
fn an_event_with_more_members_than_are_looked_at_is_refused_for_that_alone() {
    let refused = |count: usize| {
        let members = vec![r#""a":1"#; count].join(",");
        incoming::incoming(format!("{{{members}}}").as_bytes(), Timestamp::UNIX_EPOCH).unwrap_err()
    };
    let limit = incoming::MEMBERS_MAX;
    assert!(refused(limit).iter().all(|wrong| wrong.limit != Some(limit)), "at the limit");
    for count in [limit + 1, 20_000] {
        let wrong = refused(count);
        assert_eq!((wrong.len(), wrong[0].limit), (1, Some(limit)), "{count}");
        assert_eq!(wrong[0].reason, format!("has more than {limit} members"));
    }
    // What follows is still looked at as JSON.
    let cut = format!("{{{}", r#""a":1,"#.repeat(limit + 1));
    let wrong = incoming::incoming(cut.as_bytes(), Timestamp::UNIX_EPOCH).unwrap_err();
    assert!(wrong[0].reason.starts_with("must be an event"), "{wrong:?}");
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
fn a_cause_names_one_event_and_no_other() {
    let of = |source: &str, id: &str| {
        let (source, id) = (source.to_owned(), id.to_owned());
        Cause::of(&Event { source, id, cause: Cause::default(), ..event() }).causation_id
    };
    for (source, id, named) in [
        ("/till", "3/17", "/till/3%2F17"),
        ("/till/3", "17", "/till/3/17"),
        ("/till/3", "%2F17", "/till/3/%252F17"),
        ("https://a.example/b c", "한", "https://a.example/b c/한"),
    ] {
        assert_eq!(of(source, id).as_deref(), Some(named));
    }
    // What handles such an event publishes all the same: nothing else may be wrong with it.
    let long = |bytes| "x".repeat(bytes);
    assert_eq!(of("s", &long(CAUSE_BYTES_MAX - 2)).map(|it| it.len()), Some(CAUSE_BYTES_MAX));
    assert_eq!(of("s", &long(CAUSE_BYTES_MAX - 1)), None);
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
            outbox_source: outbox.filter(|it| it % 2 == 0).map(|it| it.to_string()),
            foreign: None,
            time: Timestamp::from_microsecond(micros).unwrap(),
            cause: Cause { correlation_id: correlation, ..Cause::default() },
            data: serde_json::value::to_raw_value(&text).unwrap(),
        };
        let json = event.to_json();
        let back = Event::from_json(&json).unwrap();
        prop_assert_eq!(back.to_json(), json);
        prop_assert_eq!(back.decode::<String>().unwrap(), text);
        // Our own are read without a word beside: nothing is kept twice, and nothing is written otherwise.
        prop_assert!(back.foreign.is_none());
    }
}
