//! Whether a type has a field that somebody reads.
//!
//! A schema that names members has those, and no others for a reader, though data may bring more: what is not named is
//! promised by nobody. Where names are free (`additionalProperties` with a schema, `patternProperties`) any may be one, and
//! where nothing is said anything may be read. Below an array is not looked: a path has no step for its elements.

use serde_json::Value;

use crate::pointer::target;

/// Words whose schemas are about the same value.
const IN_PLACE_LISTS: [&str; 3] = ["allOf", "anyOf", "oneOf"];
const IN_PLACE: [&str; 3] = ["if", "then", "else"];

/// What the schemas of one value say of its members.
#[derive(Default)]
struct Members<'d> {
    named: Vec<(&'d str, &'d Value)>,
    /// What members of any name are.
    free: Vec<&'d Value>,
    /// Whether names are bound to a pattern.
    has_patterns: bool,
    /// Whether the value may be an object, by every `type`.
    may_be_object: bool,
    may_be_array: bool,
}

pub(crate) fn has(root: &Value, field: &[&str]) -> Result<(), String> {
    let mut at = vec![root];
    for (depth, step) in field.iter().enumerate() {
        let members = members(root, &at);
        if members.may_be_array || members.has_patterns {
            return Ok(());
        }
        if !members.may_be_object {
            return Err(format!("`{}` is no object by the schema", field[..depth].join(".")));
        }
        let found = members.named.iter().filter(|(name, _)| name == step).map(|(_, it)| *it);
        let found: Vec<&Value> = found.collect();
        at = match (found.is_empty(), members.named.is_empty(), members.free.is_empty()) {
            (false, _, _) => found,
            (true, _, false) => members.free,
            (true, true, true) => return Ok(()),
            (true, false, true) => {
                let known: Vec<&str> = members.named.iter().map(|(name, _)| *name).collect();
                let whole = field[..=depth].join(".");
                return Err(mistakes::unknown(
                    "field",
                    &whole,
                    names(&field[..depth], &known).iter().map(String::as_str),
                ));
            }
        };
    }
    Ok(())
}

/// Names with the way to them.
fn names(above: &[&str], known: &[&str]) -> Vec<String> {
    let name = |it: &&str| above.iter().copied().chain([*it]).collect::<Vec<_>>().join(".");
    known.iter().map(name).collect()
}

fn members<'d>(root: &'d Value, schemas: &[&'d Value]) -> Members<'d> {
    let mut members = Members { may_be_object: true, ..Members::default() };
    let mut left = schemas.to_vec();
    while let Some(schema) = left.pop() {
        let Some(words) = schema.as_object() else { continue };
        left.extend(words.get("$ref").map(|it| target(root, it)));
        let lists = IN_PLACE_LISTS.iter().filter_map(|word| words.get(*word)?.as_array());
        left.extend(lists.flatten());
        left.extend(IN_PLACE.iter().filter_map(|word| words.get(*word)));
        let depending = words.get("dependentSchemas").and_then(Value::as_object);
        left.extend(depending.into_iter().flat_map(|all| all.values()));
        let named = words.get("properties").and_then(Value::as_object);
        members.named.extend(named.into_iter().flatten().map(|(name, it)| (name.as_str(), it)));
        members.free.extend(words.get("additionalProperties").filter(|it| it.is_object()));
        members.has_patterns |= words.contains_key("patternProperties");
        if let Some(kind) = words.get("type") {
            members.may_be_object &= is_among("object", kind);
            members.may_be_array |= is_among("array", kind);
        }
    }
    members
}

fn is_among(name: &str, kind: &Value) -> bool {
    kind == name || kind.as_array().is_some_and(|all| all.iter().any(|it| it == name))
}
