//! The members of an event's data that rules read, and nothing else of it.

use std::cell::OnceCell;
use std::fmt;

use events::Event;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::scope::Scope;
use crate::value::{self, Value};

/// The members that the rules of one event type read: top-level names, and the paths below them.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    names: Vec<String>,
    paths: Vec<Path>,
}

/// Where a value is found in an event's data.
#[derive(Debug, PartialEq)]
struct Path {
    /// The top-level name, by its place among the wanted.
    member: usize,
    /// The way on from there.
    steps: Vec<String>,
}

/// One event's wanted members, decoded.
pub(crate) struct Fields<'e> {
    wanted: &'e Wanted,
    members: Vec<Option<serde_json::Value>>,
    event: &'e Event,
    time: OnceCell<Value>,
}

impl Wanted {
    /// The place of a path, added if it is new.
    pub(super) fn index(&mut self, path: &str) -> usize {
        let mut steps = path.split('.').map(str::to_owned);
        let member = self.member(&steps.next().unwrap_or_default());
        let path = Path { member, steps: steps.collect() };
        self.paths.iter().position(|known| *known == path).unwrap_or_else(|| {
            self.paths.push(path);
            self.paths.len() - 1
        })
    }

    fn member(&mut self, name: &str) -> usize {
        self.names.iter().position(|known| known == name).unwrap_or_else(|| {
            self.names.push(name.to_owned());
            self.names.len() - 1
        })
    }
}

impl<'e> Fields<'e> {
    pub(crate) fn decode(event: &'e Event, wanted: &'e Wanted) -> Result<Fields<'e>, String> {
        let mut deserializer = serde_json::Deserializer::from_str(event.data.get());
        let members = (Members { wanted }).deserialize(&mut deserializer);
        let members = members.map_err(|error| format!("data cannot be read. says=`{error}`"))?;
        Ok(Fields { wanted, members, event, time: OnceCell::new() })
    }

    /// A path's value; null where the event has none.
    pub(super) fn value(&self, index: usize) -> Result<Value, String> {
        let Path { member, steps } = &self.wanted.paths[index];
        let mut found = self.members[*member].as_ref();
        for step in steps {
            found = found.and_then(|value| value.get(step));
        }
        found.map_or(Ok(Value::Null), Value::from_json)
    }

    /// The event's time as RFC 3339 text.
    pub(super) fn time(&self) -> Value {
        self.time.get_or_init(|| Value::Text(self.event.time.to_string().into())).clone()
    }

    /// `event` as an expression sees it, the members at `paths` alone.
    pub(super) fn scope(&self, paths: &[usize]) -> minijinja::Value {
        let members = paths.iter().map(|&at| self.wanted.paths[at].member);
        let (names, values): (Vec<String>, Vec<minijinja::Value>) = members
            .filter_map(|at| {
                let value = self.members[at].as_ref()?;
                Some((self.wanted.names[at].clone(), value::json_to_scope(value)))
            })
            .unzip();
        Scope::new(names.into(), values)
    }
}

/// All wanted members at once, in their order.
struct Members<'w> {
    wanted: &'w Wanted,
}

impl<'de> DeserializeSeed<'de> for Members<'_> {
    type Value = Vec<Option<serde_json::Value>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Members<'_> {
    type Value = Vec<Option<serde_json::Value>>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let names = &self.wanted.names;
        let mut members = vec![None; names.len()];
        while let Some(place) = map.next_key_seed(MemberName { names })? {
            match place {
                Some(at) => members[at] = Some(map.next_value()?),
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(members)
    }
}

/// A member's name as its place among the wanted ones, without keeping the text.
struct MemberName<'w> {
    names: &'w [String],
}

impl<'de> DeserializeSeed<'de> for MemberName<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for MemberName<'_> {
    type Value = Option<usize>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a name")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.names.iter().position(|wanted| wanted == name))
    }
}
