//! Which share an event is in, and what is refused as that by which it would be told.

use super::*;

fn event(members: &str) -> Event {
    let text = format!(
        r#"{{"specversion":"1.0", "id":"1", "source":"till", "type":"Paid", "subject":"9",
        "partitionkey":"k", "time":"2024-05-01T12:00:00Z", {members}}}"#
    );
    Event::from_json(text.as_bytes()).expect("an event")
}

#[test]
fn an_event_is_in_the_share_of_the_value_that_it_has_there() {
    let data = r#""tenant":"acme", "level":3, "is":true,
        "data":{"a":{"b":7, "b":"last", "c":null}, "d":"\u0041", "e":"", "f":false, "g":1.50}"#;
    let event = event(data);
    for (by, value) in [
        ("source", Some("till")),
        ("type", Some("Paid")),
        ("subject", Some("9")),
        ("partitionkey", Some("k")),
        ("tenant", Some("acme")),
        ("level", Some("3")),
        ("is", Some("true")),
        ("nobody", None),
        ("event.a.b", Some("last")),
        ("event.a.c", None),
        ("event.a", None),
        ("event.a.b.c", None),
        ("event.d", Some("A")),
        ("event.e", None),
        ("event.f", Some("false")),
        ("event.g", Some("1.50")),
        ("event.h", None),
    ] {
        let by_what: ShareBy = by.parse().expect(by);
        assert_eq!(by_what.of(&event).value(), value, "{by}");
    }
}

#[test]
fn data_that_is_no_object_has_no_members() {
    for data in [r#""data":[1]"#, r#""data":"text""#, r#""data":null"#, r#""is":true"#] {
        let by: ShareBy = "event.a".parse().expect("a path");
        assert_eq!(by.of(&event(data)), ShareName::none(), "{data}");
    }
}

#[test]
fn a_long_value_counts_by_its_beginning() {
    let long = |last: &str| ShareName::of(&format!("{}{last}", "가".repeat(85)));
    // 255 bytes, and a letter that would need three more.
    assert_eq!(long("나"), long("다"));
    assert_eq!(long("나").value().map(str::len), Some(255));
    assert_ne!(long("a"), long("b"), "the last that counts");
}

#[test]
fn what_is_no_name_and_no_path_is_refused_and_so_is_what_each_event_has_of_its_own() {
    let parse = |text: &str| text.parse::<ShareBy>();
    assert_eq!([parse(""), parse("  ")], [Err(Unfit::Empty), Err(Unfit::Empty)]);
    for text in ["/customer/id", "Tenant", "event.", "event.a..b", "event.1", "a.b", "event.a[0]"] {
        assert_eq!(parse(text), Err(Unfit::NoName(text.to_owned())), "{text}");
    }
    for text in OF_EACH.iter().chain(&OURS) {
        assert_eq!(parse(text), Err(Unfit::OfEach((*text).to_owned())), "{text}");
    }
    let deep = |steps: usize| format!("event{}", ".a".repeat(steps));
    assert!(parse(&deep(DATA_DEPTH_MAX)).is_ok());
    assert_eq!(parse(&deep(DATA_DEPTH_MAX + 1)), Err(Unfit::TooLong));
    let long = |bytes: usize| format!("event.{}", "a".repeat(bytes - "event.".len()));
    assert!(parse(&long(SHARE_BY_BYTES_MAX)).is_ok());
    assert_eq!(parse(&long(SHARE_BY_BYTES_MAX + 1)), Err(Unfit::TooLong));
    assert!(parse(&"a".repeat(EXTENSION_NAME_CHARS_MAX)).is_ok());
    assert!(parse(&"a".repeat(EXTENSION_NAME_CHARS_MAX + 1)).is_err());
}

#[test]
fn a_control_character_is_no_part_of_a_name_and_one_is_like_another() {
    let by: ShareBy = "tenant".parse().expect("an attribute");
    let of = |json: &str| by.of(&event(&format!(r#""tenant":{json}, "data":1"#)));
    assert_eq!(of(r#""a\u0000b""#).value(), Some("a?b"));
    assert_eq!(of(r#""a\u0000b""#), of(r#""a\nb""#));
    assert_ne!(of(r#""\u0000""#), ShareName::none());
}
