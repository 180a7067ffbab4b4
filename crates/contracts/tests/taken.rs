//! Which schemas are taken, and what is said of those that are not.

use serde_json::{Value, json};
use yeoul_contracts::{
    Fault, PATTERN_BYTES_MAX, SCHEMA_BYTES_MAX, SCHEMA_DEPTH_MAX, Schema, UNFOLDED_MAX,
};

/// The first thing that is wrong, as `POINTER: WORDS`; nothing where the schema is taken.
#[expect(clippy::needless_pass_by_value, reason = "so that what `json!` makes goes in")]
fn wrong(schema: Value) -> String {
    of_text(&schema.to_string())
}

fn of_text(text: &str) -> String {
    match Schema::parse(text) {
        Ok(_) => String::new(),
        Err(faults) => {
            let Fault { pointer, says } = &faults[0];
            format!("{pointer}: {says}")
        }
    }
}

#[test]
fn a_schema_has_words_of_the_dialect_and_each_that_is_none_is_named_with_the_nearest() {
    for (schema, expected) in [
        (json!(true), ""),
        (json!({}), ""),
        (
            json!({"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "https://a.example/b"}),
            "",
        ),
        (json!({"x-owner": "till", "deprecated": true, "examples": [{"requird": 1}]}), ""),
        (
            json!({"requird": ["a"]}),
            "/requird: unknown keyword. name=`requird`, nearest=`required`",
        ),
        (
            json!({"properties": {"a/b": {"typ": "string"}}}),
            "/properties/a~1b/typ: unknown keyword. name=`typ`, nearest=`type`",
        ),
        (json!({"items": {"allOf": [{"enumm": [1]}]}}), "/items/allOf/0/enumm: unknown keyword"),
        (json!({"type": "text"}), "/type: "),
        (json!({"required": "a"}), "/required: "),
        (json!({"minLength": -1}), "/minLength: "),
        (json!({"properties": {"a": 7}}), "/properties/a: a schema is an object"),
        (
            json!({"format": "date-tim"}),
            "/format: unknown format. name=`date-tim`, nearest=`date-time`",
        ),
        (json!({"$schema": "http://json-schema.org/draft-07/schema#"}), "/$schema: must be `https"),
        (json!({"items": {"$id": "a"}}), "/items/$id: stands at the root alone"),
        (json!({"items": {"$schema": "a"}}), "/items/$schema: stands at the root alone"),
        (json!({"$anchor": "a"}), "/$anchor: is not spoken here"),
        (json!({"$dynamicRef": "#a"}), "/$dynamicRef: is not spoken here"),
        (json!({"pattern": "("}), "/pattern: "),
        (json!({"pattern": "(a)\\1"}), "/pattern: "),
        (json!({"pattern": "(?=a)b"}), "/pattern: "),
        (json!(7), ": a schema is an object"),
    ] {
        let found = wrong(schema.clone());
        let holds =
            if expected.is_empty() { found.is_empty() } else { found.starts_with(expected) };
        assert!(holds, "{schema}: {found}");
    }
    assert!(of_text("{").starts_with(": must be a JSON Schema: "));
}

#[test]
fn a_reference_stays_in_its_file_leads_to_a_schema_and_never_back() {
    let refer = |to: &str| json!({"$ref": to, "$defs": {"won": {"type": "integer"}, "a b": {}}});
    for (to, expected) in [
        ("#/$defs/won", ""),
        ("#/$defs/a%20b", ""),
        ("#/$defs/wan", "/$ref: unknown schema. name=`#/$defs/wan`, nearest=`#/$defs/won`"),
        ("#/$defs/won/type", "/$ref: unknown schema"),
        ("#won", "/$ref: must be of this file"),
        ("won.json", "/$ref: must be of this file"),
        ("https://a.example/won.json", "/$ref: must be of this file"),
        ("file:///etc/passwd", "/$ref: must be of this file"),
        ("#", ": a schema does not refer to itself"),
    ] {
        let found = wrong(refer(to));
        let holds =
            if expected.is_empty() { found.is_empty() } else { found.starts_with(expected) };
        assert!(holds, "{to}: {found}");
    }
    let around = json!({"$defs": {
        "a": {"properties": {"b": {"$ref": "#/$defs/b"}}},
        "b": {"items": {"$ref": "#/$defs/a"}},
    }});
    assert!(wrong(around).starts_with("/$defs/a: a schema does not refer to itself"));
}

#[test]
fn a_schema_has_its_limits_and_one_past_each_is_told_it() {
    let sized = |bytes: usize| format!("{{\"title\":\"{}\"}}", "a".repeat(bytes - 12));
    assert_eq!(of_text(&sized(SCHEMA_BYTES_MAX)), "");
    assert!(
        of_text(&sized(SCHEMA_BYTES_MAX + 1))
            .contains(&format!("at most {SCHEMA_BYTES_MAX} bytes"))
    );
    // An innermost `{}` is a level too.
    let deep = |levels: usize| (1..levels).fold(json!({}), |inner, _| json!({"not": inner}));
    assert_eq!(wrong(deep(SCHEMA_DEPTH_MAX)), "");
    assert!(
        wrong(deep(SCHEMA_DEPTH_MAX + 1)).contains(&format!("more than {SCHEMA_DEPTH_MAX} levels"))
    );
    let pattern = |bytes: usize| json!({"pattern": "a".repeat(bytes)});
    assert_eq!(wrong(pattern(PATTERN_BYTES_MAX)), "");
    let says = format!("a pattern has at most {PATTERN_BYTES_MAX} bytes");
    assert!(wrong(pattern(PATTERN_BYTES_MAX + 1)).contains(&says));
    let names = json!({"patternProperties": {"a".repeat(PATTERN_BYTES_MAX + 1): {}}});
    assert!(wrong(names).contains(&says));
    let wide = |count: usize| json!({"allOf": vec![json!({}); count - 1]});
    assert_eq!(wrong(wide(UNFOLDED_MAX)), "");
    assert!(wrong(wide(UNFOLDED_MAX + 1)).contains(&format!("more than {UNFOLDED_MAX} schemas")));
}

/// Each of forty refers to the next twice: a text of a page, 2⁴⁰ comparisons.
#[test]
fn a_short_text_that_unfolds_without_measure_is_refused_at_once() {
    let link = |at: usize| {
        let next = format!("#/$defs/{}", at + 1);
        (at.to_string(), json!({"anyOf": [{"$ref": next}, {"$ref": next}]}))
    };
    let mut all: serde_json::Map<String, Value> = (0..40).map(link).collect();
    all.insert("40".to_owned(), json!({"type": "integer"}));
    let found = wrong(json!({"$ref": "#/$defs/0", "$defs": all}));
    assert!(found.contains("each counted as often as it is referred to"), "{found}");
    // One expression that is short and compiles to a gigabyte.
    assert!(wrong(json!({"pattern": "((a{1000}){1000}){1000}"})).starts_with("/pattern: "));
}
