//! What a schema is within another document: what it means there is what it means alone, as a reader of draft-07 sees it.

use jsonschema::Draft;
use serde_json::{Value, json};
use yeoul_contracts::Schema;

/// The schema in a document at `/kept/a b`, with a reference to it as the document's root.
fn document(schema: &Value) -> Value {
    let schema = Schema::parse(&schema.to_string()).expect("a schema");
    json!({"allOf": [{"$ref": "#/kept/a%20b"}], "kept": {"a b": schema.carried("/kept/a b")}})
}

#[test]
fn within_another_document_it_takes_and_refuses_what_it_does_alone() {
    let line = json!({"type": "object", "required": ["price"], "properties": {"price": {"type": "integer"}}});
    for (schema, taken, refused) in [
        (
            json!({"$id": "https://a.example/b", "$ref": "#/$defs/l", "$defs": {"l": line}}),
            json!({"price": 1}),
            json!({}),
        ),
        (
            json!({"dependentSchemas": {"a": {"required": ["c"]}}}),
            json!({"a": 1, "c": 1}),
            json!({"a": 1}),
        ),
        // Beside a reference draft-07 reads nothing.
        (
            json!({"$ref": "#/$defs/l", "required": ["tax"], "$defs": {"l": line}}),
            json!({"price": 1, "tax": 2}),
            json!({"price": 1}),
        ),
        (
            json!({"$ref": "#/$defs/l", "allOf": [{"required": ["tax"]}, {"$ref": "#/allOf/0"}], "$defs": {"l": line}}),
            json!({"price": 1, "tax": 2}),
            json!({"tax": 1}),
        ),
        (
            json!({"properties": {"a/b~c %": {"type": "integer"}, "d": {"$ref": "#/properties/a~1b~0c%20%25"}}}),
            json!({"d": 1}),
            json!({"d": "1"}),
        ),
        // A name is no word, whatever it is called.
        (
            json!({"properties": {"prefixItems": {"type": "integer"}, "d": {"$ref": "#/properties/prefixItems"}}}),
            json!({"d": 1}),
            json!({"d": "1"}),
        ),
        (json!({"prefixItems": [{"type": "integer"}], "items": false}), json!([1]), json!([1, 2])),
        (
            json!({"properties": {"a": {"prefixItems": [{"type": "integer"}], "items": {"type": "string"}},
                "b": {"$ref": "#/properties/a/prefixItems/0"}, "c": {"$ref": "#/properties/a/items"}}}),
            json!({"a": [1, "x"], "b": 1, "c": "x"}),
            json!({"b": "x"}),
        ),
        (json!({"items": {"type": "integer"}}), json!([1, 2]), json!([1, "x"])),
        (json!({"dependentRequired": {"a": ["b"]}}), json!({"a": 1, "b": 1}), json!({"a": 1})),
        (
            json!({"dependentRequired": {"a": ["b"]}, "dependentSchemas": {"a": {"required": ["c"]}}}),
            json!({"a": 1, "b": 1, "c": 1}),
            json!({"a": 1, "c": 1}),
        ),
        (
            json!({"properties": {"x": {"$ref": "#/dependentSchemas/a"}}, "dependentSchemas": {"a": {"required": ["c"]}}}),
            json!({"x": {"c": 1}}),
            json!({"x": {}}),
        ),
        (
            json!({"contains": {"type": "string"}, "minContains": 0, "prefixItems": [{"$ref": "#/contains"}]}),
            json!([]),
            json!([1]),
        ),
        (json!({"contains": {"type": "string"}}), json!(["x", 1]), json!([1])),
    ] {
        let whole = document(&schema);
        let reader = jsonschema::options().with_draft(Draft::Draft7).build(&whole);
        let reader = reader.unwrap_or_else(|error| panic!("{whole}: {error}"));
        let alone = Schema::parse(&schema.to_string()).expect("a schema");
        let says =
            |data: &Value| (reader.is_valid(data), alone.faults(&data.to_string()).is_empty());
        assert_eq!(says(&taken), (true, true), "{schema} takes {taken}; {whole}");
        assert_eq!(says(&refused), (false, false), "{schema} refuses {refused}; {whole}");
    }
}

#[test]
fn whatever_it_is_it_is_an_object_there_and_what_draft_07_has_no_word_for_stays() {
    for (schema, carried) in [
        (json!(true), json!({})),
        (json!(false), json!({"not": {}})),
        (
            json!({"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "https://a.example/b"}),
            json!({}),
        ),
        (
            json!({"unevaluatedProperties": false, "x-owner": "till", "const": {"items": true, "$id": "a"}}),
            json!({"unevaluatedProperties": false, "x-owner": "till", "const": {"items": true, "$id": "a"}}),
        ),
    ] {
        let parsed = Schema::parse(&schema.to_string()).expect("a schema");
        assert_eq!(parsed.carried("/x"), carried, "{schema}");
    }
}
