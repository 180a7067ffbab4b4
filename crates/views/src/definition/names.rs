//! Names in settings: which are names, which are too much alike, and what they stand for.

use std::collections::HashMap;
use std::fmt;

use mistakes::Mistakes;

use crate::expression::is_name;
use crate::view::View;

pub(super) fn check_name(what: &str, name: &str, mistakes: &mut Mistakes) {
    if !is_name(name) || name.starts_with('_') || name.len() > 64 {
        mistakes.note(format!(
            "a {what} is a letter, then letters, digits and underscores, 64 at most. name=`{name}`"
        ));
    }
}

/// The store takes names for one that differ in case only.
pub(super) fn names_apart<'n>(
    what: &str,
    names: impl Iterator<Item = &'n String>,
    mistakes: &mut Mistakes,
) {
    for twin in twins(names) {
        mistakes.at(&[what, twin.other]).note(twin.to_string());
    }
}

/// Two names that differ in case only.
pub(super) struct Twins<'n> {
    first: &'n str,
    pub(super) other: &'n str,
}

impl fmt::Display for Twins<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Twins { first, other } = self;
        write!(f, "two names differ in case only. names=`{first}`, `{other}`")
    }
}

/// Names that differ in case only, each with the first of its kind.
pub(super) fn twins<'n>(names: impl Iterator<Item = &'n String>) -> Vec<Twins<'n>> {
    let mut known: HashMap<String, &str> = HashMap::new();
    let twin = |other: &'n String| {
        let first = *known.entry(other.to_ascii_lowercase()).or_insert(other);
        (first != other).then_some(Twins { first, other })
    };
    names.filter_map(twin).collect()
}

/// The place of a column that must be there; any place where it is not.
pub(super) fn find(name: &str, columns: &[String], mistakes: &mut Mistakes) -> usize {
    columns.iter().position(|column| column == name).unwrap_or_else(|| {
        mistakes.unknown("column", name, columns.iter().map(String::as_str));
        0
    })
}

/// The place of a view that must be there.
pub(super) fn find_view(name: &str, views: &[View], mistakes: &mut Mistakes) -> Option<usize> {
    let found = views.iter().position(|view| view.name == name);
    if found.is_none() {
        mistakes.unknown("view", name, views.iter().map(|view| view.name.as_str()));
    }
    found
}
