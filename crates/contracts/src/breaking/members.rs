//! What stands in a value: the members of an object, and the elements of an array.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::node::{ANYTHING, Node};
use super::{Found, Pair, Side};
use crate::pointer::step;

/// What an object takes beside the members that it names.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Others {
    Any,
    /// Of one schema.
    Bound,
    None,
}

pub(super) fn compare(old: &Node<'_>, new: &Node<'_>, at: &str, found: &mut Found) {
    required(old, new, at, found);
    named(old, new, at, found);
    others(old, new, at, found);
    elements(old, new, at, found);
}

fn required(old: &Node<'_>, new: &Node<'_>, at: &str, found: &mut Found) {
    let (was, is) = (names(old), names(new));
    let at = &step(at, "properties");
    // Of one that is not named any more that is said.
    let is_gone = |name: &&&str| {
        let is_named = |node: &Node<'_>| properties(node).is_some_and(|it| it.contains_key(**name));
        is_named(old) && !is_named(new)
    };
    for name in was.difference(&is).filter(|name| !is_gone(name)) {
        found.note(&step(at, name), Side::Readers, "may be missing now");
    }
    for name in is.difference(&was) {
        found.note(&step(at, name), Side::Publishers, "must be there now");
    }
}

fn names<'d>(node: &Node<'d>) -> BTreeSet<&'d str> {
    let list = node.words.get("required").and_then(|it| it.as_array());
    list.into_iter().flatten().filter_map(Value::as_str).collect()
}

fn properties<'d>(node: &Node<'d>) -> Option<&'d Map<String, Value>> {
    node.words.get("properties").and_then(|it| it.as_object())
}

fn named(old: &Node<'_>, new: &Node<'_>, at: &str, found: &mut Found) {
    let at = &step(at, "properties");
    let (was, is) = (properties(old), properties(new));
    for (name, schema) in was.into_iter().flatten() {
        let at = &step(at, name);
        let old = old.ends(schema);
        match is.and_then(|it| it.get(name)) {
            Some(schema) => super::compare(&Pair { old, new: new.ends(schema) }, at, found),
            None => {
                found.note(at, Side::Readers, "is gone: nobody promises it any more");
                gone(&Pair { old, new: new.schema("additionalProperties") }, new, at, found);
            }
        }
    }
    let is_new = |name: &String| !was.is_some_and(|it| it.contains_key(name));
    // Of a name that nothing was said of an old event may have anything: that is passed over, or no field could be added.
    if others_of(old) != Others::Bound {
        return;
    }
    for (name, schema) in is.into_iter().flatten().filter(|(name, _)| is_new(name)) {
        let pair = Pair { old: old.schema("additionalProperties"), new: new.ends(schema) };
        super::compare(&pair, &step(at, name), found);
    }
}

/// Whether a member that is named no more is taken among the others.
fn gone(pair: &Pair<'_>, new: &Node<'_>, at: &str, found: &mut Found) {
    match others_of(new) {
        Others::Any => {}
        Others::None => found.note(at, Side::Publishers, "is gone, and refused where it is sent"),
        Others::Bound => super::compare(pair, at, found),
    }
}

fn others_of(node: &Node<'_>) -> Others {
    let word = |name: &str| node.words.get(name).copied().unwrap_or(&ANYTHING);
    let words = ["additionalProperties", "unevaluatedProperties"].map(word);
    let is_open = |it: &Value| *it == true || it.as_object().is_some_and(Map::is_empty);
    if words.iter().any(|it| **it == false) {
        Others::None
    } else if words.into_iter().all(is_open) {
        Others::Any
    } else {
        Others::Bound
    }
}

fn others(old: &Node<'_>, new: &Node<'_>, at: &str, found: &mut Found) {
    let is_said = |word: &&str| old.has(word) || new.has(word);
    for word in ["additionalProperties", "unevaluatedProperties"].into_iter().filter(is_said) {
        let at = &step(at, word);
        let (was, is) = (old.schema(word), new.schema(word));
        match (*was.schema == false, *is.schema == false) {
            // Members are added so: who reads passes over them.
            (true, _) => {}
            (false, true) => found.note(at, Side::Publishers, "no others are taken any more"),
            (false, false) => super::compare(&Pair { old: was, new: is }, at, found),
        }
    }
}

fn elements(old: &Node<'_>, new: &Node<'_>, at: &str, found: &mut Found) {
    if old.has("items") || new.has("items") {
        let pair = Pair { old: old.schema("items"), new: new.schema("items") };
        super::compare(&pair, &step(at, "items"), found);
    }
    let (was, is) = (old.list("prefixItems"), new.list("prefixItems"));
    let at = &step(at, "prefixItems");
    for index in 0..was.len().max(is.len()) {
        // Past the end of the list an element is one of the rest.
        let of_old = was.get(index).copied().unwrap_or_else(|| old.schema("items"));
        let of_new = is.get(index).copied().unwrap_or_else(|| new.schema("items"));
        super::compare(&Pair { old: of_old, new: of_new }, &step(at, &index.to_string()), found);
    }
}
