//! What is said of data that is not what its type promises.

use serde_json::{Value, json};
use yeoul_contracts::{DATA_FAULTS_MAX, Fault, Schema};

/// A receipt, as a till would write its schema.
fn paid() -> Schema {
    let schema = json!({
        "type": "object",
        "required": ["won", "lines"],
        "additionalProperties": false,
        "properties": {
            "won": {"type": "integer", "minimum": 1},
            "at": {"type": "string", "format": "date-time"},
            "code": {"type": "string", "pattern": "^[A-Z]{3}$", "maxLength": 3},
            "kind": {"enum": ["cash", "card"]},
            "lines": {"type": "array", "maxItems": 20, "items": {"$ref": "#/$defs/line"}},
        },
        "$defs": {"line": {
            "type": "object",
            "required": ["price"],
            "properties": {"price": {"type": "integer"}},
            "unevaluatedProperties": false,
        }},
    });
    Schema::parse(&schema.to_string()).expect("a schema")
}

/// What is wrong, as `POINTER: WORDS`.
fn faults(schema: &Schema, data: &str) -> Vec<String> {
    let said = |Fault { pointer, says }: Fault| format!("{pointer}: {says}");
    schema.faults(data).into_iter().map(said).collect()
}

#[test]
fn each_thing_that_is_wrong_is_named_by_its_place_in_the_data() {
    for (data, expected) in [
        (json!({"won": 1, "lines": []}), vec![]),
        (json!({"won": 1, "lines": [{"price": 2}], "at": "2026-11-28T09:00:00+09:00"}), vec![]),
        (json!({"lines": []}), vec!["/won: is missing"]),
        (
            json!({"won": 0, "lines": [{"price": 1}, {"price": "much"}, {}]}),
            vec![
                "/lines/1/price: is not of type \"integer\"",
                "/lines/2/price: is missing",
                "/won: is less than the minimum of 1",
            ],
        ),
        (
            json!({"won": 1, "lines": [], "kin": "cash"}),
            vec!["/kin: is no member that the schema has: perhaps `kind` is meant"],
        ),
        (
            json!({"won": 1, "lines": [{"price": 1, "pricy": 1}]}),
            vec!["/lines/0/pricy: is no member that the schema has: perhaps `price` is meant"],
        ),
        (json!({"won": 1, "lines": [], "at": "yesterday"}), vec!["/at: is not a \"date-time\""]),
        (
            json!({"won": 1, "lines": [], "code": "ab"}),
            vec!["/code: does not match \"^[A-Z]{3}$\""],
        ),
        (
            json!({"won": 1, "lines": [], "kind": "gold"}),
            vec!["/kind: is not one of \"cash\" or \"card\""],
        ),
        (json!("receipt"), vec![": is not of type \"object\""]),
        (Value::Null, vec![": is not of type \"object\""]),
    ] {
        let mut found = faults(&paid(), &data.to_string());
        found.sort_unstable();
        assert_eq!(found, expected, "{data}");
    }
}

/// A reader that takes the first of two members reads another event than one that takes the last.
#[test]
fn a_member_that_is_there_twice_is_refused_wherever_it_stands() {
    for data in [
        r#"{"won": 1, "lines": [], "won": 2}"#,
        r#"{"won": 1, "lines": [{"price": 1, "price": 1}]}"#,
    ] {
        let found = faults(&paid(), data);
        assert!(found[0].contains("an object names a member twice"), "{found:?}");
    }
}

#[test]
fn what_was_sent_is_repeated_nowhere_and_only_so_much_is_named() {
    let secret = "hunter2".repeat(10);
    let lines = vec![json!({"price": secret}); 20];
    let data = json!({"won": secret, "at": secret, "code": secret, "kind": secret, "lines": lines});
    let found = faults(&paid(), &data.to_string());
    assert_eq!(found.len(), DATA_FAULTS_MAX);
    assert!(!found.iter().any(|it| it.contains("hunter2")), "{found:?}");
    let schema =
        Schema::parse(&json!({"const": "long".repeat(100)}).to_string()).expect("a schema");
    let found = faults(&schema, "1");
    assert!(found[0].chars().count() < 320 && found[0].ends_with('…'), "{found:?}");
}

/// All of them would be gathered before the first is seen: of a megabyte that is half a million.
#[test]
fn of_large_data_the_first_thing_that_is_wrong_is_named_alone_and_by_a_place_of_bounded_length() {
    let rows = Schema::parse(r#"{"items": {"required": ["a", "b"]}}"#).expect("a schema");
    let small = format!("[{}]", ["{}"; 10].join(","));
    assert_eq!(faults(&rows, &small).len(), DATA_FAULTS_MAX);
    let large = format!("[{}]", ["{}"; 10_000].join(","));
    assert_eq!(faults(&rows, &large), ["/0/a: is missing"]);
    let member = json!({"won": 1, "lines": [], "x".repeat(100_000): 1}).to_string();
    let said = faults(&paid(), &member);
    let [said] = &said[..] else { panic!("{} things", said.len()) };
    assert!(said.len() < 400 && said.ends_with("is no member that the schema has"), "{said}");
}

#[test]
fn a_field_is_one_that_the_schema_names_or_leaves_open() {
    let schema = json!({
        "type": "object",
        "properties": {
            "won": {"type": "integer"},
            "customer": {"$ref": "#/$defs/customer"},
            "lines": {"type": "array", "items": {"type": "object"}},
            "prices": {"type": "object", "additionalProperties": {"type": "integer"}},
            "codes": {"patternProperties": {"^c": {}}},
            "free": {},
            "either": {"type": ["object", "null"], "anyOf": [
                {"properties": {"card": {}}}, {"properties": {"cash": {}}},
            ]},
        },
        "$defs": {"customer": {"allOf": [{"properties": {"name": {"type": "string"}}}]}},
    });
    let schema = Schema::parse(&schema.to_string()).expect("a schema");
    for (field, expected) in [
        ("won", ""),
        ("customer.name", ""),
        ("lines.length", ""),
        ("prices.tea", ""),
        ("codes.c1", ""),
        ("free.whatever.below", ""),
        ("either.cash", ""),
        ("wan", "unknown field. name=`wan`, nearest=`won`"),
        ("customer.nam", "unknown field. name=`customer.nam`, nearest=`customer.name`"),
        ("either.cards", "unknown field. name=`either.cards`, nearest=`either.card`"),
        ("won.tax", "`won` is no object by the schema"),
        ("prices.tea.tax", "`prices.tea` is no object by the schema"),
    ] {
        let steps: Vec<&str> = field.split('.').collect();
        assert_eq!(schema.has(&steps).err().unwrap_or_default(), expected, "{field}");
    }
    let nothing = Schema::parse("{}").expect("a schema");
    assert_eq!(nothing.has(&["whatever"]), Ok(()));
}
