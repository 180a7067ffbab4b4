//! Where in a text of JSON the values stand that a pointer names.
//!
//! A JSON Pointer (RFC 6901), in which `*` is every member of an object, or every element of an array:
//! `/passengers/*/name`. A member whose own name is `*` cannot be named by itself.
//!
//! Values are found as places of the text and not as values, so that what stands around them stays as it was written,
//! numbers and all. A member that is there twice is found twice: which of the two counts is its reader's to say.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Steps that a pointer has at most.
pub(crate) const STEPS_MAX: usize = 16;

/// Bytes of a pointer at most.
pub(crate) const POINTER_BYTES_MAX: usize = 256;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pointer {
    steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Every,
    Named(String),
}

/// A value, and how its place is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) range: Range<usize>,
    pub(crate) pointer: String,
}

/// A member or an element, and its value as it is written.
struct Child<'t> {
    name: Cow<'t, str>,
    value: &'t RawValue,
}

impl Pointer {
    /// The pointer that a text says.
    ///
    /// # Errors
    /// What it must be.
    pub(crate) fn parse(text: &str) -> Result<Pointer, String> {
        if text.len() > POINTER_BYTES_MAX {
            return Err(format!("has at most {POINTER_BYTES_MAX} bytes. bytes=`{}`", text.len()));
        }
        let Some(steps) = text.strip_prefix('/') else {
            return Err(format!(
                "must be a JSON Pointer into the data, such as `/name`. pointer=`{text}`"
            ));
        };
        if steps.split('~').skip(1).any(|it| !it.starts_with(['0', '1'])) {
            return Err(format!("has a `~` that is neither `~0` nor `~1`. pointer=`{text}`"));
        }
        let steps: Vec<Step> = steps.split('/').map(Step::parse).collect();
        if steps.len() > STEPS_MAX {
            return Err(format!("has at most {STEPS_MAX} steps. steps=`{}`", steps.len()));
        }
        Ok(Pointer { steps })
    }

    /// The one that leads to a member by these names.
    pub(crate) fn of_names(names: &[String]) -> Pointer {
        Pointer { steps: names.iter().cloned().map(Step::Named).collect() }
    }

    /// Whether it may lead into an array: its first step is `*`.
    pub(crate) fn is_of_arrays(&self) -> bool {
        self.steps.first() == Some(&Step::Every)
    }

    /// Whether it names one value at most.
    pub(crate) fn is_of_one(&self) -> bool {
        !self.steps.contains(&Step::Every)
    }

    /// Whether a value that one of the two names may be, or be part of, one that the other names.
    pub(crate) fn overlaps(&self, other: &Pointer) -> bool {
        self.steps.iter().zip(&other.steps).all(|(one, other)| one.meets(other))
    }

    /// Every value that it names in this text.
    ///
    /// # Errors
    /// The text is no JSON.
    pub(crate) fn find(&self, text: &str) -> Result<Vec<Found>, serde_json::Error> {
        let mut found = vec![Found { range: 0..text.len(), pointer: String::new() }];
        for step in &self.steps {
            let mut below = Vec::new();
            for Found { range, pointer } in found {
                let value = &text[range.clone()];
                for child in children(value)? {
                    if step.takes(&child.name) {
                        below.push(child.within(value, range.start, &pointer));
                    }
                }
            }
            found = below;
        }
        Ok(found)
    }
}

impl Step {
    fn parse(text: &str) -> Step {
        match text {
            "*" => Step::Every,
            named => Step::Named(named.replace("~1", "/").replace("~0", "~")),
        }
    }

    fn takes(&self, name: &str) -> bool {
        match self {
            Step::Every => true,
            Step::Named(own) => own == name,
        }
    }

    fn meets(&self, other: &Step) -> bool {
        match (self, other) {
            (Step::Named(one), Step::Named(other)) => one == other,
            _ => true,
        }
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.steps.iter().try_for_each(|step| match step {
            Step::Every => f.write_str("/*"),
            Step::Named(name) => f.write_str(&below("", name)),
        })
    }
}

/// `pointer`, one step further.
fn below(pointer: &str, name: &str) -> String {
    let name = name.replace('~', "~0").replace('/', "~1");
    format!("{pointer}/{name}")
}

impl Child<'_> {
    /// As a place of the text that `value`, its whole, stands in at `start`.
    fn within(&self, value: &str, start: usize, pointer: &str) -> Found {
        let own = self.value.get();
        // It is borrowed from its whole: how far apart the two begin is where it stands there.
        let at = start + (own.as_ptr().addr() - value.as_ptr().addr());
        Found { range: at..at + own.len(), pointer: below(pointer, &self.name) }
    }
}

/// What stands straight below a value; nothing below one that has no parts.
fn children(value: &str) -> Result<Vec<Child<'_>>, serde_json::Error> {
    if !value.starts_with(['{', '[']) {
        return Ok(Vec::new());
    }
    serde_json::Deserializer::from_str(value).deserialize_any(Children)
}

/// The name of a member.
#[derive(Deserialize)]
struct Name<'t>(#[serde(borrow)] Cow<'t, str>);

struct Children;

impl<'t> Visitor<'t> for Children {
    type Value = Vec<Child<'t>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or an array")
    }

    fn visit_map<A: MapAccess<'t>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut all = Vec::new();
        while let Some((Name(name), value)) = map.next_entry()? {
            all.push(Child { name, value });
        }
        Ok(all)
    }

    fn visit_seq<A: SeqAccess<'t>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut all = Vec::new();
        while let Some(value) = list.next_element()? {
            all.push(Child { name: all.len().to_string().into(), value });
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests;
