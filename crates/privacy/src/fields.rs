//! The personal fields of one event, and its data with other values in their places. Pure.

use std::ops::Range;

use crate::pointer::{Found, Pointer};
use crate::rule::{Rule, Whose};

/// Bytes of a person's id at most: it stands in an index.
pub(crate) const PERSON_BYTES_MAX: usize = 1024;

/// What is said of who is none.
pub(crate) const MUST_BE_AN_ID: &str = "must be a text of 1 to 1024 bytes without control characters, or a whole number without \
     fraction and exponent: it says whose the personal fields are";

/// What is looked at of an event.
#[derive(Clone, Copy)]
pub(crate) struct Looked<'e> {
    pub(crate) kind: &'e str,
    pub(crate) subject: &'e str,
    pub(crate) data: &'e str,
}

/// A personal value, and whose it is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Personal {
    pub(crate) range: Range<usize>,
    pub(crate) pointer: String,
    pub(crate) person: String,
}

/// Why it is not known whose a field is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    /// The attribute, and within data the place: `data/customerId`.
    pub(crate) field: String,
    pub(crate) says: String,
}

/// A value that takes another's place.
pub(crate) struct Replaced {
    pub(crate) range: Range<usize>,
    pub(crate) value: String,
}

impl Wrong {
    fn of_data(pointer: &str, says: &str) -> Wrong {
        Wrong { field: format!("data{pointer}"), says: says.to_owned() }
    }
}

/// The personal values that are there, in the order of their places; what is `null` says nothing of anybody.
///
/// # Errors
/// It is not said whose one of them is, or the data cannot be read.
pub(crate) fn personal(rules: &[Rule], event: Looked<'_>) -> Result<Vec<Personal>, Wrong> {
    let mut all = Vec::new();
    for rule in rules.iter().filter(|rule| rule.is_of(event.kind)) {
        let mut found = Vec::new();
        for field in &rule.fields {
            found.extend(
                find(field, event.data)?
                    .into_iter()
                    .filter(|it| &event.data[it.range.clone()] != "null"),
            );
        }
        if found.is_empty() {
            continue;
        }
        let person = person(&rule.person, event)?;
        all.extend(found.into_iter().map(|Found { range, pointer }| Personal {
            range,
            pointer,
            person: person.clone(),
        }));
    }
    all.sort_by_key(|it| it.range.start);
    Ok(all)
}

/// The personal values of which it is known whose they are: a rule of which that cannot be said is passed over, and no other.
pub(crate) fn known(rules: &[Rule], event: Looked<'_>) -> Vec<Personal> {
    let each = rules.iter().filter_map(|rule| personal(std::slice::from_ref(rule), event).ok());
    let mut all: Vec<Personal> = each.flatten().collect();
    all.sort_by_key(|it| it.range.start);
    all
}

fn find(pointer: &Pointer, data: &str) -> Result<Vec<Found>, Wrong> {
    pointer.find(data).map_err(|_| Wrong::of_data("", "has a name that cannot be read"))
}

fn person(whose: &Whose, event: Looked<'_>) -> Result<String, Wrong> {
    let pointer = match whose {
        Whose::Subject if event.subject.is_empty() => {
            let says = "is missing: it says whose the personal fields are";
            return Err(Wrong { field: "subject".to_owned(), says: says.to_owned() });
        }
        Whose::Subject if !is_person_id(event.subject) => {
            let field = "subject".to_owned();
            return Err(Wrong { field, says: MUST_BE_AN_ID.to_owned() });
        }
        Whose::Subject => return Ok(event.subject.to_owned()),
        Whose::Field(pointer) => pointer,
    };
    let wrong = |says| Wrong::of_data(&pointer.to_string(), says);
    let found = find(pointer, event.data)?;
    let [found] = &found[..] else {
        return Err(wrong("must be there once: it says whose the personal fields are"));
    };
    let person = id(&event.data[found.range.clone()]);
    person.filter(|it| is_person_id(it)).ok_or_else(|| wrong(MUST_BE_AN_ID))
}

/// A person's id: a text, or a whole number. One that is written with a fraction or an exponent is none, since the same
/// number could be written in another way, and would be another person.
fn id(value: &str) -> Option<String> {
    let digits = value.strip_prefix('-').unwrap_or(value);
    match value.as_bytes().first()? {
        b'"' => serde_json::from_str(value).ok(),
        _ if value != "-0" && digits.bytes().all(|it| it.is_ascii_digit()) => {
            Some(value.to_owned())
        }
        _ => None,
    }
}

/// Whether a person can be called so.
pub fn is_person_id(person: &str) -> bool {
    (1..=PERSON_BYTES_MAX).contains(&person.len()) && !person.chars().any(char::is_control)
}

/// Data with other values in these places, which are in order.
pub(crate) fn with(data: &str, replaced: &[Replaced]) -> String {
    let mut text = String::with_capacity(data.len());
    let mut at = 0;
    for Replaced { range, value } in replaced {
        text.push_str(&data[at..range.start]);
        text.push_str(value);
        at = range.end;
    }
    text.push_str(&data[at..]);
    text
}

#[cfg(test)]
mod tests {
    use mistakes::Mistakes;
    use serde_json::{Value, json};

    use super::*;

    fn rules(entries: Value) -> Vec<Rule> {
        let entries: Vec<crate::RuleEntry> = serde_json::from_value(entries).expect("entries");
        let mut mistakes = Mistakes::default();
        let rules = Rule::compile(&entries, &mut mistakes);
        assert_eq!(mistakes.found(), [], "rules");
        rules
    }

    fn found(entries: Value, data: &str) -> Result<Vec<String>, String> {
        let event = Looked { kind: "Placed", subject: "s1", data };
        let found =
            personal(&rules(entries), event).map_err(|it| format!("{} {}", it.field, it.says))?;
        let said = |it: Personal| format!("{} {} {}", it.person, it.pointer, &data[it.range]);
        Ok(found.into_iter().map(said).collect())
    }

    #[test]
    fn personal_values_are_found_in_their_order_with_whose_they_are() {
        let by_field = json!([{"person": "/id", "fields": ["/z", "/a"]}, {"fields": ["/m"]}]);
        let data = r#"{"a":"A","m":[1],"id":"p9","z":2}"#;
        assert_eq!(
            found(by_field.clone(), data),
            Ok(["p9 /a \"A\"", "s1 /m [1]", "p9 /z 2"].map(String::from).to_vec())
        );
        assert_eq!(
            found(by_field.clone(), r#"{"a":"A","id":17}"#),
            Ok(vec!["17 /a \"A\"".to_owned()])
        );
        for nothing in ["{}", "null", r#"{"a":null,"id":null}"#, "[1]"] {
            assert_eq!(found(by_field.clone(), nothing), Ok(vec![]), "{nothing}");
        }
        let others = json!([{"types": ["Cancelled"], "fields": ["/a"]}]);
        assert_eq!(found(others, data), Ok(vec![]));
    }

    #[test]
    fn a_personal_field_of_nobody_is_a_mistake_that_names_who_is_missing() {
        let rules = json!([{"person": "/id", "fields": ["/a"]}]);
        let long = format!(r#"{{"a":1,"id":"{}"}}"#, "x".repeat(PERSON_BYTES_MAX + 1));
        for (data, says) in [
            (r#"{"a":1}"#, "data/id must be there once"),
            (r#"{"a":1,"id":"x","id":"y"}"#, "data/id must be there once"),
            (r#"{"a":1,"id":""}"#, "data/id must be a text"),
            (r#"{"a":1,"id":null}"#, "data/id must be a text"),
            (r#"{"a":1,"id":true}"#, "data/id must be a text"),
            (r#"{"a":1,"id":"x\u0000"}"#, "data/id must be a text"),
            (r#"{"a":1,"id":17.0}"#, "data/id must be a text"),
            (r#"{"a":1,"id":1.7e1}"#, "data/id must be a text"),
            (r#"{"a":1,"id":17E0}"#, "data/id must be a text"),
            (r#"{"a":1,"id":-0}"#, "data/id must be a text"),
            (&long, "data/id must be a text"),
        ] {
            let refused = found(rules.clone(), data).expect_err(data);
            assert!(refused.starts_with(says), "{refused}");
        }
        let fits = format!(r#"{{"a":1,"id":"{}"}}"#, "x".repeat(PERSON_BYTES_MAX));
        assert!(found(rules, &fits).is_ok());
        for subject in ["a\nb", &"x".repeat(PERSON_BYTES_MAX + 1)] {
            let event = Looked { kind: "Placed", subject, data: r#"{"a":1}"# };
            let wrong = personal(&self::rules(json!([{"fields": ["/a"]}])), event);
            assert_eq!(wrong.expect_err("no id").field, "subject", "{subject}");
        }
    }

    #[test]
    fn a_rule_of_nobody_hides_no_other_rules_values() {
        let rules = rules(
            json!([{"person": "/from", "fields": ["/b"]}, {"person": "/to", "fields": ["/a"]}]),
        );
        let data = r#"{"a":1,"b":2,"to":"p1"}"#;
        let event = Looked { kind: "Placed", subject: "", data };
        assert!(personal(&rules, event).is_err());
        let known = known(&rules, event).into_iter().map(|it| it.pointer).collect::<Vec<_>>();
        assert_eq!(known, ["/a"]);
    }

    #[test]
    fn other_values_stand_in_their_places_and_all_else_stays_as_it_was_written() {
        let data = r#"{ "a" : 1.50, "b":[ "x" ] }"#;
        let replaced = [
            Replaced { range: 8..12, value: "\"sealed\"".to_owned() },
            Replaced { range: 20..23, value: "null".to_owned() },
        ];
        assert_eq!(&data[8..12], "1.50");
        assert_eq!(&data[20..23], "\"x\"");
        assert_eq!(with(data, &replaced), r#"{ "a" : "sealed", "b":[ null ] }"#);
        assert_eq!(with(data, &[]), data);
    }
}
