//! How large a schema is once each `$ref` in it is what it refers to: never without end, and at most [`UNFOLDED_MAX`].
//!
//! A text of forty lines can ask for a billion comparisons (each part referring twice to the next), and one that refers to
//! itself for any number of them. What a member of data can meet is counted here before anything is compiled, so a schema
//! that is taken costs at most so many looks at each part of an event.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::fault::Fault;
use crate::keywords::{self, Below};
use crate::pointer::{of_reference, step};

/// Schemas within one, each counted as often as it is referred to, at most.
pub const UNFOLDED_MAX: usize = 2_000;

/// The parts of a document that are schemas, by their pointers.
pub(crate) type Parts<'d> = BTreeMap<String, &'d Value>;

/// What is known of the size of a part.
enum Size {
    /// It is being counted: who comes here again goes in a circle.
    Open,
    Known(usize),
}

/// Every schema within the document.
pub(crate) fn parts(root: &Value) -> Parts<'_> {
    let mut found = Parts::new();
    let mut left = vec![Below { pointer: String::new(), schema: root }];
    while let Some(Below { pointer, schema }) = left.pop() {
        left.extend(keywords::below(&pointer, schema));
        found.insert(pointer, schema);
    }
    found
}

/// What is wrong with the references and the size of a document whose words are sound.
pub(crate) fn check(root: &Value, parts: &Parts<'_>) -> Option<Fault> {
    let mut sizes = BTreeMap::new();
    match size("", root, parts, &mut sizes) {
        Ok(size) if size > UNFOLDED_MAX => {
            let says = format!(
                "unfolds to more than {UNFOLDED_MAX} schemas, each counted as often as it is referred to"
            );
            Some(Fault::new("", says))
        }
        Ok(_) => None,
        Err(fault) => Some(fault),
    }
}

fn size<'d>(
    pointer: &str,
    schema: &'d Value,
    parts: &Parts<'d>,
    sizes: &mut BTreeMap<String, Size>,
) -> Result<usize, Fault> {
    match sizes.get(pointer) {
        Some(Size::Known(size)) => return Ok(*size),
        Some(Size::Open) => {
            let says =
                "a schema does not refer to itself: what an event may cost would have no end";
            return Err(Fault::new(pointer, says));
        }
        None => {}
    }
    sizes.insert(pointer.to_owned(), Size::Open);
    let mut sum = 1_usize;
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        let target = of_reference(reference).unwrap_or_default();
        let Some(found) = parts.get(&target) else {
            return Err(unknown(pointer, reference, parts));
        };
        sum = sum.saturating_add(size(&target, found, parts, sizes)?);
    }
    for Below { pointer, schema } in keywords::below(pointer, schema) {
        sum = sum.saturating_add(size(&pointer, schema, parts, sizes)?);
    }
    sizes.insert(pointer.to_owned(), Size::Known(sum));
    Ok(sum)
}

fn unknown(pointer: &str, reference: &str, parts: &Parts<'_>) -> Fault {
    let known: Vec<String> = parts.keys().map(|it| format!("#{it}")).collect();
    let says = mistakes::unknown("schema", reference, known.iter().map(String::as_str));
    Fault::new(step(pointer, "$ref"), says)
}
