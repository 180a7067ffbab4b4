//! What a value may be by itself: its types, which values there are, and within which bounds.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use serde_json::{Number, Value};

use super::node::Node;
use super::number::order;
use super::{Found, Side};
use crate::pointer::step;

/// Every type; a whole number is one of its own, and a number too.
const TYPES: [&str; 7] = ["null", "boolean", "integer", "number", "string", "array", "object"];

/// Words that are a least or a most, and what is meant where they are absent, if that is a number.
const BOUNDS: [(&str, Bound, Option<u8>); 12] = [
    ("minimum", Bound::Least, None),
    ("exclusiveMinimum", Bound::Least, None),
    ("minLength", Bound::Least, Some(0)),
    ("minItems", Bound::Least, Some(0)),
    ("minProperties", Bound::Least, Some(0)),
    ("minContains", Bound::Least, Some(1)),
    ("maximum", Bound::Most, None),
    ("exclusiveMaximum", Bound::Most, None),
    ("maxLength", Bound::Most, None),
    ("maxItems", Bound::Most, None),
    ("maxProperties", Bound::Most, None),
    ("maxContains", Bound::Most, None),
];

/// Words that bind where they are there, however they are written.
const BINDING: [&str; 3] = ["pattern", "format", "multipleOf"];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Bound {
    Least,
    Most,
}

pub(super) fn compare(old: &Node<'_>, new: &Node<'_>, at: &str, found: &mut Found) {
    types(old, new, at, found);
    listed(old, new, at, found);
    for (word, bound, absent) in BOUNDS {
        let number = |node: &Node<'_>| {
            let written = node.words.get(word).and_then(|it| it.as_number().cloned());
            written.or_else(|| absent.map(Number::from))
        };
        bounds(bound, number(old), number(new), &step(at, word), found);
    }
    for word in BINDING {
        let at = &step(at, word);
        match (old.words.get(word), new.words.get(word)) {
            (None, None) => {}
            (None, Some(_)) => found.note(at, Side::Publishers, "is new"),
            (Some(_), None) => found.note(at, Side::Readers, "is gone"),
            (Some(old), Some(new)) if is_equal(old, new) => {}
            (Some(_), Some(_)) => found.both(at, "is another"),
        }
    }
    let unique = |node: &Node<'_>| node.words.get("uniqueItems").is_some_and(|it| **it == true);
    match (unique(old), unique(new)) {
        (false, true) => found.note(&step(at, "uniqueItems"), Side::Publishers, "is new"),
        (true, false) => found.note(&step(at, "uniqueItems"), Side::Readers, "is gone"),
        _ => {}
    }
}

fn types(old: &Node<'_>, new: &Node<'_>, at: &str, found: &mut Found) {
    let (old, new) = (types_of(old), types_of(new));
    let at = &step(at, "type");
    let names = |types: &BTreeSet<&str>, than: &BTreeSet<&str>| {
        let more: Vec<&str> = types.difference(than).copied().collect();
        (!more.is_empty()).then(|| more.join("`, `"))
    };
    if let Some(gone) = names(&old, &new) {
        found.note(at, Side::Publishers, format!("is no `{gone}` any more"));
    }
    if let Some(added) = names(&new, &old) {
        found.note(at, Side::Readers, format!("may be `{added}` now"));
    }
}

fn types_of(node: &Node<'_>) -> BTreeSet<&'static str> {
    let Some(written) = node.words.get("type") else {
        return TYPES.into_iter().collect();
    };
    let is_written = |name: &str| {
        **written == name || written.as_array().is_some_and(|all| all.iter().any(|it| it == name))
    };
    let is_one = |name: &&str| is_written(name) || *name == "integer" && is_written("number");
    TYPES.into_iter().filter(is_one).collect()
}

/// Values by name, of `enum` and `const`.
fn listed(old: &Node<'_>, new: &Node<'_>, at: &str, found: &mut Found) {
    let at = &step(at, "enum");
    match (values(old), values(new)) {
        (None, None) => {}
        (None, Some(_)) => found.note(at, Side::Publishers, "only these values now"),
        (Some(_), None) => found.note(at, Side::Readers, "any value now"),
        (Some(old), Some(new)) => {
            let more = |these: &[&Value], than: &[&Value]| {
                these.iter().any(|one| !than.iter().any(|other| is_equal(one, other)))
            };
            if more(&old, &new) {
                found.note(at, Side::Publishers, "a value is gone");
            }
            if more(&new, &old) {
                found.note(at, Side::Readers, "a value is new");
            }
        }
    }
}

fn values<'d>(node: &Node<'d>) -> Option<Vec<&'d Value>> {
    let one = node.words.get("const").map(|it| vec![*it]);
    one.or_else(|| Some(node.words.get("enum")?.as_array()?.iter().collect()))
}

fn bounds(bound: Bound, old: Option<Number>, new: Option<Number>, at: &str, found: &mut Found) {
    let (closer, further) = match (old, new) {
        (None, None) => return,
        (None, Some(_)) => (true, false),
        (Some(_), None) => (false, true),
        (Some(old), Some(new)) => match (order(&new, &old), bound) {
            (Some(Ordering::Equal), _) => return,
            (Some(Ordering::Greater), Bound::Least) | (Some(Ordering::Less), Bound::Most) => {
                (true, false)
            }
            (Some(_), _) => (false, true),
            // What cannot be told apart is named.
            (None, _) => (true, true),
        },
    };
    if closer {
        found.note(at, Side::Publishers, "is closer");
    }
    if further {
        found.note(at, Side::Readers, "is further, or gone");
    }
}

/// `1` and `1.0` are one number.
fn is_equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => order(one, other) == Some(Ordering::Equal),
        _ => one == other,
    }
}
