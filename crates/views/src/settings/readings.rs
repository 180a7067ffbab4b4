//! Which fields of which events the rules read, each with the place in the settings that does: for who knows what events have.

use crate::expression;
use crate::settings::{Formula, Rule, Settings};

/// What a rule is about, or a field that it reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading<'s> {
    /// Where in the settings: `["views", "orders", "on", "Paid", "create", "won"]`.
    pub place: Vec<&'s str>,
    /// The topics that the event may come by.
    pub topics: &'s [String],
    /// Its type.
    pub kind: &'s str,
    /// The way to the field in its data, dotted; empty for the type itself.
    pub field: String,
}

impl Settings {
    /// Every type that a rule is about, and every field that one reads.
    pub fn readings(&self) -> Vec<Reading<'_>> {
        let rules = self.views.iter().flat_map(|(name, view)| {
            view.on.iter().map(move |(kind, rule)| {
                let place = vec!["views", name.as_str(), "on", kind.as_str()];
                let of = Reading { place, topics: &view.topics, kind, field: String::new() };
                below(&of, rule)
            })
        });
        rules.flatten().collect()
    }
}

/// What a rule is about, then what it reads.
fn below<'s>(of: &Reading<'s>, rule: &'s Rule) -> Vec<Reading<'s>> {
    let mut found = vec![of.clone()];
    let parts = [
        ("create", rule.create.as_ref()),
        ("update", rule.update.as_ref()),
        ("where", Some(&rule.r#where)),
    ];
    for (part, formulas) in parts {
        for (column, Formula(text)) in formulas.into_iter().flatten() {
            let steps = [part, column.as_str()];
            let place: Vec<&str> = of.place.iter().copied().chain(steps).collect();
            let fields = expression::fields_of(text).into_iter();
            found.extend(fields.map(|field| Reading { place: place.clone(), field, ..of.clone() }));
        }
    }
    found
}
