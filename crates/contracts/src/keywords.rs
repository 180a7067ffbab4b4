//! The words of a schema: where further schemas stand, and what is refused before anything is compiled.
//!
//! A validator passes over a word that it does not know, and over a format: `requird` would ask for nothing. So each word is
//! looked up here, and one that is none is refused with the nearest that is. What makes the place of a schema depend on more
//! than its own document (`$id` below the root, anchors, `$dynamicRef`) is refused too.

use serde_json::{Map, Value};

use crate::fault::Fault;
use crate::pointer::{of_reference, step};

/// Bytes of a regular expression at most.
pub const PATTERN_BYTES_MAX: usize = 1024;

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// What stands behind a word.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Behind {
    /// No schema.
    Plain,
    /// A schema.
    One,
    /// Several, in a list.
    List,
    /// Several, by name.
    Named,
}

/// Every word that may be written.
const KEYWORDS: [(&str, Behind); 54] = [
    ("$schema", Behind::Plain),
    ("$id", Behind::Plain),
    ("$comment", Behind::Plain),
    ("$ref", Behind::Plain),
    ("$defs", Behind::Named),
    ("definitions", Behind::Named),
    ("title", Behind::Plain),
    ("description", Behind::Plain),
    ("default", Behind::Plain),
    ("examples", Behind::Plain),
    ("deprecated", Behind::Plain),
    ("readOnly", Behind::Plain),
    ("writeOnly", Behind::Plain),
    ("contentEncoding", Behind::Plain),
    ("contentMediaType", Behind::Plain),
    ("format", Behind::Plain),
    ("type", Behind::Plain),
    ("enum", Behind::Plain),
    ("const", Behind::Plain),
    ("multipleOf", Behind::Plain),
    ("maximum", Behind::Plain),
    ("exclusiveMaximum", Behind::Plain),
    ("minimum", Behind::Plain),
    ("exclusiveMinimum", Behind::Plain),
    ("maxLength", Behind::Plain),
    ("minLength", Behind::Plain),
    ("pattern", Behind::Plain),
    ("maxItems", Behind::Plain),
    ("minItems", Behind::Plain),
    ("uniqueItems", Behind::Plain),
    ("maxContains", Behind::Plain),
    ("minContains", Behind::Plain),
    ("maxProperties", Behind::Plain),
    ("minProperties", Behind::Plain),
    ("required", Behind::Plain),
    ("dependentRequired", Behind::Plain),
    ("items", Behind::One),
    ("contains", Behind::One),
    ("additionalProperties", Behind::One),
    ("propertyNames", Behind::One),
    ("unevaluatedItems", Behind::One),
    ("unevaluatedProperties", Behind::One),
    ("not", Behind::One),
    ("if", Behind::One),
    ("then", Behind::One),
    ("else", Behind::One),
    ("allOf", Behind::List),
    ("anyOf", Behind::List),
    ("oneOf", Behind::List),
    ("prefixItems", Behind::List),
    ("properties", Behind::Named),
    ("patternProperties", Behind::Named),
    ("dependentSchemas", Behind::Named),
    ("contentSchema", Behind::One),
];

/// The formats that are asserted.
const FORMATS: [&str; 14] = [
    "date",
    "date-time",
    "time",
    "duration",
    "email",
    "hostname",
    "ipv4",
    "ipv6",
    "uri",
    "uri-reference",
    "uri-template",
    "uuid",
    "json-pointer",
    "relative-json-pointer",
];

/// A schema within another.
pub(crate) struct Below<'s> {
    pub(crate) pointer: String,
    pub(crate) schema: &'s Value,
}

/// The schemas that stand straight below this one.
pub(crate) fn below<'s>(pointer: &str, schema: &'s Value) -> Vec<Below<'s>> {
    let Some(members) = schema.as_object() else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (name, value) in members {
        found.extend(behind_word(&step(pointer, name), name, value));
    }
    found
}

/// The schemas that stand behind a word, `at` its place.
pub(crate) fn behind_word<'s>(at: &str, word: &str, value: &'s Value) -> Vec<Below<'s>> {
    let below = |name: &str, schema: &'s Value| Below { pointer: step(at, name), schema };
    match (behind(word), value) {
        (Some(Behind::One), _) => vec![Below { pointer: at.to_owned(), schema: value }],
        (Some(Behind::List), Value::Array(all)) => {
            all.iter().enumerate().map(|(index, it)| below(&index.to_string(), it)).collect()
        }
        (Some(Behind::Named), Value::Object(all)) => {
            all.iter().map(|(name, it)| below(name, it)).collect()
        }
        _ => Vec::new(),
    }
}

fn behind(name: &str) -> Option<Behind> {
    KEYWORDS.iter().find(|(known, _)| *known == name).map(|(_, behind)| *behind)
}

/// What is wrong with the words of one schema, those below it not looked at.
pub(crate) fn check(pointer: &str, schema: &Value, faults: &mut Vec<Fault>) {
    let Some(members) = schema.as_object() else {
        if !schema.is_boolean() {
            faults.push(Fault::new(pointer, "a schema is an object, `true` or `false`"));
        }
        return;
    };
    for (name, value) in members {
        if let Some(says) = wrong(pointer, name, value) {
            faults.push(Fault::new(step(pointer, name), says));
        }
    }
    patterns(pointer, members, faults);
}

fn wrong(pointer: &str, name: &str, value: &Value) -> Option<String> {
    let is_root = pointer.is_empty();
    match name {
        "$schema" if !is_root => Some("stands at the root alone".to_owned()),
        "$schema" => {
            let dialect = value.as_str().unwrap_or_default().trim_end_matches('#');
            (dialect != DIALECT)
                .then(|| format!("must be `{DIALECT}`, which it is without it, too"))
        }
        "$id" if !is_root => {
            let says = "stands at the root alone: a reference has one document to be looked up in";
            Some(says.to_owned())
        }
        "$anchor" | "$dynamicAnchor" | "$dynamicRef" | "$recursiveRef" | "$vocabulary" => Some(
            "is not spoken here: refer to a part of this file by `$ref: \"#/$defs/NAME\"`"
                .to_owned(),
        ),
        "$ref" if value.as_str().and_then(of_reference).is_none() => {
            let says = "must be of this file, as `#/$defs/NAME`: nothing is fetched, and no other file is read";
            Some(says.to_owned())
        }
        "format" => format(value),
        _ if name.starts_with("x-") => None,
        _ => behind(name)
            .is_none()
            .then(|| mistakes::unknown("keyword", name, KEYWORDS.iter().map(|(known, _)| *known))),
    }
}

fn format(value: &Value) -> Option<String> {
    // One that is no text the dialect's own schema refuses.
    let name = value.as_str().filter(|name| !FORMATS.contains(name))?;
    Some(mistakes::unknown_of("format", name, &FORMATS))
}

fn patterns(pointer: &str, members: &Map<String, Value>, faults: &mut Vec<Fault>) {
    let one = members.get("pattern").and_then(Value::as_str);
    let several = members.get("patternProperties").and_then(Value::as_object);
    let names = several.into_iter().flat_map(|all| all.keys().map(String::as_str));
    for pattern in one.into_iter().chain(names) {
        if pattern.len() > PATTERN_BYTES_MAX {
            let says = format!(
                "a pattern has at most {PATTERN_BYTES_MAX} bytes. bytes=`{}`",
                pattern.len()
            );
            faults.push(Fault::new(pointer, says));
        }
    }
}
