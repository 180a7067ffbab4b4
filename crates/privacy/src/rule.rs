//! Which fields of which events are personal, and whose: what `events.topics.NAME.pii` says.
//!
//! It is said of a topic and not in a schema, because whose a field is concerns the event and not its shape, and because a
//! topic without schemas has people in it too (record 0096).

use mistakes::Mistakes;
use serde::Deserialize;

use crate::pointer::Pointer;

/// Rules of one topic at most.
pub const RULES_MAX: usize = 16;

/// Fields, and types, of one rule at most.
pub const NAMED_MAX: usize = 64;

/// One rule, as it is written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleEntry {
    /// Which events; all without it.
    #[serde(default)]
    types: Option<Vec<String>>,
    /// Whose the fields are: a field of the data; without it the event's subject.
    #[serde(default)]
    person: Option<String>,
    /// The fields of the data that are sealed.
    fields: Vec<String>,
}

impl RuleEntry {
    /// Whether it seals what these names lead to in the data, or something of it; what is wrong with the rule is said elsewhere.
    pub fn seals(&self, names: &[String]) -> bool {
        let member = Pointer::of_names(names);
        let mut fields = self.fields.iter().filter_map(|text| Pointer::parse(text).ok());
        fields.any(|field| field.overlaps(&member))
    }
}

/// One rule.
#[derive(Clone, Debug)]
pub struct Rule {
    types: Option<Vec<String>>,
    pub(crate) person: Whose,
    pub(crate) fields: Vec<Pointer>,
}

/// Where a person's id is.
#[derive(Clone, Debug)]
pub(crate) enum Whose {
    /// The event's subject.
    Subject,
    /// A field of the data.
    Field(Pointer),
}

impl Rule {
    /// The rules of a topic; what is wrong is noted where the walk stands.
    pub fn compile(entries: &[RuleEntry], mistakes: &mut Mistakes) -> Vec<Rule> {
        if entries.len() > RULES_MAX {
            mistakes.note(format!("at most {RULES_MAX} rules. rules=`{}`", entries.len()));
            return Vec::new();
        }
        let mut rules: Vec<Rule> = Vec::new();
        for (at, entry) in entries.iter().enumerate() {
            let mut place = mistakes.at(&[&at.to_string()]);
            let Some(rule) = Rule::of(entry, &mut place) else { continue };
            if let Some(says) = rules.iter().find_map(|other| rule.contradicts(other)) {
                place.note(says);
            }
            rules.push(rule);
        }
        rules
    }

    fn of(entry: &RuleEntry, mistakes: &mut Mistakes) -> Option<Rule> {
        let RuleEntry { types, person, fields } = entry;
        for (name, count) in
            [("fields", fields.len()), ("types", types.as_ref().map_or(1, Vec::len))]
        {
            if !(1..=NAMED_MAX).contains(&count) {
                mistakes.at(&[name]).note(format!("names 1 to {NAMED_MAX}. count=`{count}`"));
                return None;
            }
        }
        let person = match person {
            None => Some(Whose::Subject),
            Some(text) => mistakes.at(&["person"]).take(of_one(text)).map(Whose::Field),
        };
        let pointers =
            fields.iter().map(|text| mistakes.at(&["fields"]).take(Pointer::parse(text)));
        let fields: Option<Vec<Pointer>> = pointers.collect();
        let rule = Rule { types: types.clone(), person: person?, fields: fields? };
        if let Some(says) = rule.is_wrong() {
            mistakes.note(says);
        }
        Some(rule)
    }

    /// What of it cannot be.
    fn is_wrong(&self) -> Option<String> {
        for (at, field) in self.fields.iter().enumerate() {
            if self.fields[..at].iter().any(|other| other.overlaps(field)) {
                return Some(format!("`{field}` is in another of its fields"));
            }
        }
        self.contradicts(self)
    }

    /// Why the two cannot both hold: whose a field is would be sealed, or a field sealed twice.
    fn contradicts(&self, other: &Rule) -> Option<String> {
        if !self.meets(other) {
            return None;
        }
        for (rule, sealing) in [(self, other), (other, self)] {
            if let Whose::Field(person) = &rule.person
                && sealing.fields.iter().any(|field| field.overlaps(person))
            {
                return Some(format!("`{person}` says whose a field is, and cannot be sealed"));
            }
        }
        if std::ptr::eq(self, other) {
            return None;
        }
        let twice = self.fields.iter().find(|it| other.fields.iter().any(|one| one.overlaps(it)));
        twice.map(|field| format!("`{field}` is a field of another rule for the same events"))
    }

    /// Whether an event may be of both.
    fn meets(&self, other: &Rule) -> bool {
        match (&self.types, &other.types) {
            (Some(own), Some(others)) => own.iter().any(|kind| others.contains(kind)),
            _ => true,
        }
    }

    /// Whether it is of events of this type.
    pub(crate) fn is_of(&self, kind: &str) -> bool {
        self.types.as_ref().is_none_or(|types| types.iter().any(|it| it == kind))
    }
}

fn of_one(text: &str) -> Result<Pointer, String> {
    let pointer = Pointer::parse(text)?;
    if pointer.is_of_one() { Ok(pointer) } else { Err("names one field, without `*`".to_owned()) }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn mistakes(entries: Value) -> Vec<String> {
        let entries: Vec<RuleEntry> = serde_json::from_value(entries).expect("entries");
        let mut mistakes = Mistakes::default();
        Rule::compile(&entries, &mut mistakes);
        mistakes.found().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn rules_that_say_which_fields_are_whose_hold() {
        for entries in [
            json!([{"fields": ["/name", "/lines/*/note"]}]),
            json!([{"person": "/customer/id", "fields": ["/customer/name"], "types": ["Placed"]}]),
            json!([{"person": "/from", "fields": ["/fromName"]}, {"person": "/to", "fields": ["/toName"]}]),
            json!([{"fields": ["/a"], "types": ["A"]}, {"person": "/a", "fields": ["/b"], "types": ["B"]}]),
            json!(vec![json!({"fields": ["/a"], "types": ["A"]}); 1]),
        ] {
            assert_eq!(mistakes(entries.clone()), [""; 0], "{entries}");
        }
    }

    #[test]
    fn each_mistake_names_its_place() {
        let many: Vec<String> = (0..=NAMED_MAX).map(|at| format!("/f{at}")).collect();
        for (entries, expected) in [
            (json!([{"fields": []}]), "0.fields: names 1 to 64. count=`0`"),
            (json!([{"fields": many}]), "0.fields: names 1 to 64. count=`65`"),
            (json!([{"fields": ["/a"], "types": []}]), "0.types: names 1 to 64. count=`0`"),
            (
                json!([{"fields": ["name"]}]),
                "0.fields: must be a JSON Pointer into the data, such as `/name`. pointer=`name`",
            ),
            (
                json!([{"fields": ["/a"], "person": "/*/id"}]),
                "0.person: names one field, without `*`",
            ),
            (json!([{"fields": ["/a", "/a/b"]}]), "0: `/a/b` is in another of its fields"),
            (
                json!([{"fields": ["/who"], "person": "/who/id"}]),
                "0: `/who/id` says whose a field is, and cannot be sealed",
            ),
            (
                json!([{"fields": ["/a"]}, {"fields": ["/a/b"], "types": ["A"]}]),
                "1: `/a/b` is a field of another rule for the same events",
            ),
            (
                json!([{"fields": ["/id"]}, {"fields": ["/b"], "person": "/id"}]),
                "1: `/id` says whose a field is, and cannot be sealed",
            ),
        ] {
            assert_eq!(mistakes(entries.clone()), [expected], "{entries}");
        }
        let many = vec![json!({"fields": ["/a"]}); RULES_MAX + 1];
        assert_eq!(mistakes(json!(many)), ["at most 16 rules. rules=`17`"]);
    }
}
