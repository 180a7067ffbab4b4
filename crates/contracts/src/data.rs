//! Data before a schema: what is wrong, by the place in the data, in words that repeat none of it.
//!
//! A member that is missing or too much is named by its own place, as any other mistake is. What was sent stands in no word of
//! an answer: it may be a megabyte, or a password in the wrong field.

use std::fmt;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{ValidationError, Validator};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::fault::Fault;
use crate::pointer::step;

/// Things that are wrong with the data of one event that are named at most.
pub const DATA_FAULTS_MAX: usize = 10;

/// Bytes of data of which everything that is wrong is looked for. Of larger data it is the first thing alone: all of them are
/// gathered before one is seen, and a megabyte of small objects may lack millions of members.
const SEARCHED_BYTES_MAX: usize = 16 * 1024;

/// Characters of one reason at most: an enumeration may be long.
const REASON_CHARS_MAX: usize = 300;

/// Characters of one place at most: whoever sent the data gave its members their names.
const PLACE_CHARS_MAX: usize = 300;

pub(crate) fn faults(document: &Value, validator: &Validator, text: &str) -> Vec<Fault> {
    let Once(value) = match serde_json::from_str(text) {
        Ok(value) => value,
        Err(error) => return vec![Fault::new("", format!("must be JSON: {error}"))],
    };
    let named = |error| named(document, &error);
    if text.len() > SEARCHED_BYTES_MAX {
        return validator.validate(&value).err().map(named).unwrap_or_default();
    }
    validator.iter_errors(&value).flat_map(named).take(DATA_FAULTS_MAX).collect()
}

/// What one thing that is wrong is called: each member that is too much by itself.
fn named(document: &Value, error: &ValidationError<'_>) -> Vec<Fault> {
    let at = error.instance_path().as_str();
    match error.kind() {
        ValidationErrorKind::Required { property } => {
            vec![fault(&step(at, property.as_str().unwrap_or_default()), "is missing")]
        }
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
            let known = known(document, error.schema_path().as_str());
            let one = |name: &String| fault(&step(at, name), too_much(name, &known));
            unexpected.iter().take(DATA_FAULTS_MAX).map(one).collect()
        }
        _ => vec![fault(at, words(error))],
    }
}

fn fault(at: &str, says: impl Into<String>) -> Fault {
    Fault::new(shortened(at, PLACE_CHARS_MAX), says)
}

/// The members that are named beside an `additionalProperties` or the like.
fn known<'s>(document: &'s Value, keyword: &str) -> Vec<&'s str> {
    let beside = keyword.rsplit_once('/').map_or("", |(beside, _)| beside);
    let named = document.pointer(&format!("{beside}/properties"));
    named.and_then(Value::as_object).into_iter().flatten().map(|(name, _)| name.as_str()).collect()
}

fn too_much(name: &str, known: &[&str]) -> String {
    let nearest = mistakes::nearest(name, known.iter().copied());
    let meant = nearest.map(|it| format!(": perhaps `{it}` is meant")).unwrap_or_default();
    format!("is no member that the schema has{meant}")
}

/// What is wrong, without the value that is.
pub(crate) fn words(error: &ValidationError<'_>) -> String {
    let says = error.masked().to_string();
    shortened(says.strip_prefix("value ").unwrap_or(&says), REASON_CHARS_MAX)
}

fn shortened(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// A value in which no object names a member twice: two readers of one that does would read two events.
struct Once(Value);

impl<'de> Deserialize<'de> for Once {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Once, D::Error> {
        deserializer.deserialize_any(OnceVisitor).map(Once)
    }
}

struct OnceVisitor;

impl<'de> Visitor<'de> for OnceVisitor {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("no number"))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(Once(value)) = seq.next_element()? {
            all.push(value);
        }
        Ok(Value::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut all = Map::new();
        while let Some((name, Once(value))) = map.next_entry::<String, Once>()? {
            if all.insert(name, value).is_some() {
                return Err(A::Error::custom("an object names a member twice"));
            }
        }
        Ok(Value::Object(all))
    }
}
