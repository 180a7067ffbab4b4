//! Which changes of a schema break whom: a row for each word in each direction, and what breaks nobody beside.

use serde_json::{Value, json};
use yeoul_contracts::{Break, Schema, Side, breaking};

/// What breaks, as `POINTER SIDE: WORDS`.
fn broken(old: &Value, new: &Value) -> Vec<String> {
    let schema = |value: &Value| Schema::parse(&value.to_string()).expect("a schema");
    let said = |Break { pointer, side, says }: Break| {
        let side = if side == Side::Readers { "readers" } else { "publishers" };
        format!("{pointer} {side}: {says}")
    };
    breaking(&schema(old), &schema(new)).into_iter().map(said).collect()
}

/// A narrower and a wider schema: to the one publishers break, to the other readers, and nobody where nothing changes.
#[expect(clippy::needless_pass_by_value, reason = "so that what `json!` makes goes in")]
#[track_caller]
fn ordered(wider: Value, narrower: Value, at: &str) {
    let sides = |found: Vec<String>, side: &str| {
        assert!(!found.is_empty(), "{wider} {narrower} {side}");
        let begin = format!("{at} {side}: ");
        assert!(
            found.iter().all(|it| it.starts_with(&begin)),
            "{wider} {narrower} {side}: {found:?}"
        );
    };
    sides(broken(&wider, &narrower), "publishers");
    sides(broken(&narrower, &wider), "readers");
    for same in [&wider, &narrower] {
        assert_eq!(broken(same, same), [""; 0], "{same}");
    }
}

#[test]
fn a_word_that_binds_more_breaks_publishers_and_one_that_binds_less_readers() {
    for (wider, narrower, at) in [
        (json!({}), json!({"type": "string"}), "/type"),
        (json!({"type": ["string", "null"]}), json!({"type": "string"}), "/type"),
        (json!({"type": "number"}), json!({"type": "integer"}), "/type"),
        (json!({}), json!({"enum": [1]}), "/enum"),
        (json!({"enum": [1, 2]}), json!({"enum": [1]}), "/enum"),
        (json!({"enum": [1, 2]}), json!({"const": 1.0}), "/enum"),
        (json!({}), json!({"minimum": 1}), "/minimum"),
        (json!({"minimum": 1}), json!({"minimum": 2}), "/minimum"),
        (json!({"exclusiveMinimum": 1}), json!({"exclusiveMinimum": 2}), "/exclusiveMinimum"),
        (json!({"maximum": 2}), json!({"maximum": 1}), "/maximum"),
        (
            json!({"minimum": 9_007_199_254_740_992_u64}),
            json!({"minimum": 9_007_199_254_740_993_u64}),
            "/minimum",
        ),
        (
            json!({"maximum": 9_007_199_254_740_993_u64}),
            json!({"maximum": 9_007_199_254_740_992.0}),
            "/maximum",
        ),
        (json!({"maximum": 1.5}), json!({"maximum": 1}), "/maximum"),
        (json!({"exclusiveMaximum": 2}), json!({"exclusiveMaximum": 1}), "/exclusiveMaximum"),
        (json!({}), json!({"minLength": 1}), "/minLength"),
        (json!({"maxLength": 2}), json!({"maxLength": 1}), "/maxLength"),
        (json!({}), json!({"minItems": 1}), "/minItems"),
        (json!({}), json!({"maxItems": 1}), "/maxItems"),
        (json!({}), json!({"minProperties": 1}), "/minProperties"),
        (json!({}), json!({"maxProperties": 1}), "/maxProperties"),
        (json!({"contains": {}}), json!({"contains": {}, "minContains": 2}), "/minContains"),
        (json!({"contains": {}}), json!({"contains": {}, "maxContains": 2}), "/maxContains"),
        (json!({}), json!({"pattern": "a"}), "/pattern"),
        (json!({}), json!({"format": "uuid"}), "/format"),
        (json!({}), json!({"multipleOf": 2}), "/multipleOf"),
        (json!({}), json!({"uniqueItems": true}), "/uniqueItems"),
        (json!({}), json!({"required": ["a/b"]}), "/properties/a~1b"),
        (json!({}), json!({"items": {"type": "string"}}), "/items/type"),
        (json!({}), json!({"prefixItems": [{"type": "string"}]}), "/prefixItems/0/type"),
        (
            json!({}),
            json!({"additionalProperties": {"type": "string"}}),
            "/additionalProperties/type",
        ),
        (json!({}), json!({"anyOf": [{"type": "string"}]}), "/anyOf"),
        (
            json!({"anyOf": [{"type": "string"}, {"type": "null"}]}),
            json!({"anyOf": [{"type": "null"}]}),
            "/anyOf",
        ),
        (json!({"oneOf": [{"type": "number"}]}), json!({"oneOf": [{"type": "integer"}]}), "/oneOf"),
        (json!({"minimum": 1}), json!({"minimum": 1, "allOf": [{"type": "integer"}]}), "/allOf"),
        (json!(true), json!(false), ""),
        (
            json!({"properties": {"a": {"type": "number"}}}),
            json!({"properties": {"a": {"type": "integer"}}}),
            "/properties/a/type",
        ),
        (
            json!({"$ref": "#/$defs/a", "$defs": {"a": {"properties": {"b": {}}}}}),
            json!({"$ref": "#/$defs/a", "$defs": {"a": {"properties": {"b": {"type": "null"}}}}}),
            "/properties/b/type",
        ),
    ] {
        ordered(wider, narrower, at);
    }
}

#[test]
fn what_is_another_thing_breaks_both() {
    for (old, new, at) in [
        (json!({"type": "string"}), json!({"type": "integer"}), "/type"),
        (json!({"enum": [1]}), json!({"enum": [2]}), "/enum"),
        (json!({"pattern": "a"}), json!({"pattern": "b"}), "/pattern"),
        (json!({"format": "date"}), json!({"format": "time"}), "/format"),
        (json!({"not": {"type": "null"}}), json!({}), "/not"),
        (
            json!({"if": {"const": 1}, "then": false}),
            json!({"if": {"const": 2}, "then": false}),
            "/if",
        ),
        (json!({"if": {}, "then": false}), json!({"if": {}, "then": true}), "/then"),
        (json!({"if": {}, "else": false}), json!({"if": {}, "else": true}), "/else"),
        (json!({}), json!({"dependentRequired": {"a": ["b"]}}), "/dependentRequired"),
        (json!({}), json!({"dependentSchemas": {"a": false}}), "/dependentSchemas"),
        (json!({}), json!({"contains": {"const": 1}}), "/contains"),
        (json!({}), json!({"propertyNames": {"maxLength": 1}}), "/propertyNames"),
        (json!({}), json!({"patternProperties": {"a": false}}), "/patternProperties"),
        (json!({}), json!({"unevaluatedItems": false}), "/unevaluatedItems"),
        // Written alike, and what it refers to is another.
        (
            json!({"not": {"$ref": "#/$defs/a"}, "$defs": {"a": {"type": "null"}}}),
            json!({"not": {"$ref": "#/$defs/a"}, "$defs": {"a": {"type": "string"}}}),
            "/not",
        ),
        // A field that is added breaks nobody, but where it takes away from what is ruled out.
        (
            json!({"not": {"$ref": "#/$defs/a"}, "$defs": {"a": {"type": "object"}}}),
            json!({"not": {"$ref": "#/$defs/a"}, "$defs": {"a": {
                "type": "object", "properties": {"b": {"type": "string"}},
            }}}),
            "/not",
        ),
        (
            json!({"not": {"items": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {}}}),
            json!({"not": {"items": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {
                "properties": {"c": {"type": "string"}},
            }}}),
            "/not",
        ),
        (
            json!({"const": 9_007_199_254_740_992_u64}),
            json!({"const": 9_007_199_254_740_993_u64}),
            "/enum",
        ),
        (
            json!({"multipleOf": 9_007_199_254_740_992_u64}),
            json!({"multipleOf": 9_007_199_254_740_993_u64}),
            "/multipleOf",
        ),
    ] {
        let found = broken(&old, &new);
        for side in ["readers", "publishers"] {
            let begin = format!("{at} {side}: ");
            assert!(found.iter().any(|it| it.starts_with(&begin)), "{old} {new}: {found:?}");
        }
        assert_eq!(broken(&old, &old), [""; 0]);
    }
}

#[test]
fn a_member_that_is_taken_away_renamed_or_made_to_be_there_is_named_and_one_that_is_added_is_not() {
    let old = json!({
        "required": ["won"],
        "properties": {"won": {"type": "integer"}, "tip": {"type": "integer"}},
    });
    let with = |members: &Value| {
        let mut new = old.clone();
        for (name, value) in members.as_object().expect("an object") {
            new[name] = value.clone();
        }
        broken(&old, &new)
    };
    let (won, tip) = (json!({"type": "integer"}), json!({"type": "integer"}));
    assert_eq!(
        with(&json!({"properties": {"won": won, "tip": tip, "note": {"type": "string"}}})),
        [""; 0]
    );
    assert_eq!(
        with(&json!({"properties": {"won": won}})),
        ["/properties/tip readers: is gone: nobody promises it any more"]
    );
    assert_eq!(
        with(&json!({"properties": {"won": won}, "additionalProperties": false})),
        [
            "/additionalProperties publishers: no others are taken any more",
            "/properties/tip readers: is gone: nobody promises it any more",
            "/properties/tip publishers: is gone, and refused where it is sent",
        ]
    );
    assert_eq!(
        with(&json!({"required": ["sum"], "properties": {"sum": won, "tip": tip}})),
        [
            "/properties/sum publishers: must be there now",
            "/properties/won readers: is gone: nobody promises it any more",
        ]
    );
    assert_eq!(with(&json!({"required": []})), ["/properties/won readers: may be missing now"]);
    assert_eq!(
        with(&json!({"required": ["won", "tip"]})),
        ["/properties/tip publishers: must be there now"]
    );
    // Who took no others before may take some now: fields are added so.
    let closed = |names: Value| json!({"additionalProperties": false, "properties": names});
    assert_eq!(broken(&closed(json!({"a": {}})), &closed(json!({"a": {}, "b": {}}))), [""; 0]);
    assert_eq!(broken(&closed(json!({"a": {}})), &json!({"properties": {"a": {}}})), [""; 0]);
    // Where others were of one schema, a new name is one of them no more.
    let others = json!({"additionalProperties": {"type": "integer"}});
    let named = json!({"additionalProperties": {"type": "integer"}, "properties": {"a": {"type": "string"}}});
    assert_eq!(broken(&others, &named).len(), 2);
}

#[test]
fn what_only_explains_and_what_is_only_written_otherwise_breaks_nobody() {
    let bare = json!({"properties": {"a": {"type": "integer"}}});
    for other in [
        json!({"title": "t", "description": "d", "$comment": "c", "x-owner": "o", "properties": {"a": {
            "type": "integer", "default": 1, "examples": [1], "deprecated": true, "readOnly": true,
        }}}),
        json!({"properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"type": "integer"}}}),
        json!({"allOf": [{"properties": {"a": {"type": "integer"}}}]}),
        json!({"properties": {"a": {"title": "t", "$ref": "#/$defs/a"}}, "$defs": {"a": {"type": "integer"}}}),
        json!({"minLength": 0, "additionalProperties": true, "properties": {"a": {"type": ["integer"]}}}),
        json!({"required": [], "items": true, "uniqueItems": false, "properties": {"a": {"type": "integer"}}}),
    ] {
        assert_eq!(broken(&bare, &other), [""; 0], "{other}");
        assert_eq!(broken(&other, &bare), [""; 0], "{other}");
    }
    let choices = |all: Value| json!({ "anyOf": all });
    let (a, b) = (json!({"type": "null"}), json!({"type": "string"}));
    assert_eq!(broken(&choices(json!([a, b])), &choices(json!([b, a]))), [""; 0]);
}

/// Each level of choices is compared with each: that is once a pair, and not twice again at each level.
#[test]
fn choices_within_choices_are_compared_once() {
    let deep = |leaf: Value| {
        (0..25).fold(
            leaf,
            |inner, level| json!({"minLength": level, "anyOf": [inner, {"const": level}]}),
        )
    };
    assert_eq!(broken(&deep(json!({"type": "null"})), &deep(json!({"type": "null"}))), [""; 0]);
    assert!(!broken(&deep(json!({"type": "null"})), &deep(json!({"type": "string"}))).is_empty());
}
