//! A schema as a part of another document: what describes a whole system (AsyncAPI) has the schemas of its events within it.
//!
//! Two things change on the way. A reference leads from the root of the document that it stands in, so each is led to where
//! its target is then. And such documents speak draft-07, whose tools pass over what they do not know: words that were
//! renamed since have their old names, and a `$ref`, beside which draft-07 reads nothing, stands in a list of conditions.
//!
//! What draft-07 has no word for (`unevaluatedProperties`, `minContains`, …) stays as it is written: a reader that does not know it
//! takes more than the type has. Whether data is sound [`Schema::faults`] alone says.

use std::collections::BTreeMap;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use crate::keywords::{self, Below};
use crate::pointer::{of_reference, step};
use crate::schema::Schema;

/// What a fragment of a URI does not have as it is, of what a pointer may have.
const IN_FRAGMENTS: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/').remove(b'$');

/// A schema on its way into another document.
struct Carried<'a> {
    /// Where the root is there.
    at: &'a str,
    /// Where each of its parts is then, from its root.
    moved: BTreeMap<String, String>,
}

impl Schema {
    /// This schema in words of draft-07, for the place `at` (a JSON Pointer) of another document; always an object.
    ///
    /// ```
    /// use serde_json::json;
    /// use yeoul_contracts::Schema;
    ///
    /// let schema = r##"{"items": {"$ref": "#/$defs/line"}, "$defs": {"line": {"type": "object"}}}"##;
    /// let carried = Schema::parse(schema).expect("a schema").carried("/components/schemas/Paid");
    /// assert_eq!(carried["items"]["$ref"], "#/components/schemas/Paid/$defs/line");
    /// ```
    pub fn carried(&self, at: &str) -> Value {
        let mut carried = Carried { at, moved: BTreeMap::new() };
        carried.note("", String::new(), &self.document);
        match carried.schema("", &self.document) {
            Value::Bool(true) => json!({}),
            Value::Bool(false) => json!({"not": {}}),
            schema => schema,
        }
    }
}

impl Carried<'_> {
    /// Notes where a schema and all below it will be.
    fn note(&mut self, pointer: &str, then: String, schema: &Value) {
        for (word, value) in schema.as_object().into_iter().flatten() {
            let (at, will_be) = (step(pointer, word), step(&then, renamed(word, schema)));
            for Below { pointer, schema } in keywords::behind_word(&at, word, value) {
                let then = format!("{will_be}{}", &pointer[at.len()..]);
                self.note(&pointer, then, schema);
            }
        }
        self.moved.insert(pointer.to_owned(), then);
    }

    fn schema(&self, pointer: &str, schema: &Value) -> Value {
        let Some(words) = schema.as_object() else { return schema.clone() };
        let (mut carried, mut conditions) = (Map::new(), Vec::new());
        for (word, value) in words {
            match word.as_str() {
                // Of a document of its own, which it is no more: beside `$id` references would lead elsewhere.
                "$schema" | "$id" => {}
                "$ref" => conditions.push(json!({"$ref": self.reference(value)})),
                "dependentRequired" => conditions.push(json!({"dependencies": value})),
                _ => {
                    let below = self.behind(&step(pointer, word), word, value);
                    carried.insert(renamed(word, schema).to_owned(), below);
                }
            }
        }
        if carried.is_empty() && conditions.len() == 1 {
            return conditions.remove(0);
        }
        add(&mut carried, conditions);
        Value::Object(carried)
    }

    /// What stands behind a word, the schemas in it carried.
    fn behind(&self, at: &str, word: &str, value: &Value) -> Value {
        let mut behind = value.clone();
        for Below { pointer, schema } in keywords::behind_word(at, word, value) {
            let place = behind.pointer_mut(&pointer[at.len()..]);
            *place.expect("it is a copy of what the place was found in") =
                self.schema(&pointer, schema);
        }
        behind
    }

    /// Where a reference leads then.
    fn reference(&self, reference: &Value) -> String {
        let target = reference.as_str().and_then(of_reference);
        let moved = target.and_then(|it| self.moved.get(&it));
        let moved = moved.expect("references were looked at when it was taken");
        format!("#{}", utf8_percent_encode(&format!("{}{moved}", self.at), IN_FRAGMENTS))
    }
}

/// Conditions that hold beside what is there already, behind those: the places of these are referred to.
fn add(carried: &mut Map<String, Value>, conditions: Vec<Value>) {
    if conditions.is_empty() {
        return;
    }
    let all = carried.entry("allOf").or_insert_with(|| json!([]));
    all.as_array_mut().expect("the dialect has a list there").extend(conditions);
}

/// What a word is called in draft-07.
fn renamed<'w>(word: &'w str, schema: &Value) -> &'w str {
    match word {
        "prefixItems" => "items",
        "items" if schema.get("prefixItems").is_some() => "additionalItems",
        "dependentSchemas" => "dependencies",
        // Where none has to be there, draft-07 would ask for one.
        "contains" if schema.get("minContains").and_then(Value::as_f64) == Some(0.0) => {
            "x-contains"
        }
        _ => word,
    }
}
