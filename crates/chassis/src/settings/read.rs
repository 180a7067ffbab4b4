//! The serde reader of a settings tree: a refusal knows the path of the node that was refused.
//!
//! Serde carries no positions, so the reader adds a name to the refusal at every level that the
//! refusal passes on its way up; the finished path is looked up in the tree for its line.

use std::fmt;

use mistakes::{Mistake, unknown_of};
use serde::de::{
    self, DeserializeSeed, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess,
    Visitor,
};
use serde::forward_to_deserialize_any;

use super::node::{NamedNode, Node, Value};

pub(super) struct Reader<'t> {
    node: &'t Node,
}

/// What serde refused; the path grows from the inside out.
#[derive(Debug)]
pub(super) struct ReadError {
    path: Vec<String>,
    says: String,
}

impl<'t> Reader<'t> {
    pub(super) fn new(node: &'t Node) -> Self {
        Reader { node }
    }
}

impl ReadError {
    fn under(mut self, name: &str) -> ReadError {
        self.path.insert(0, name.to_owned());
        self
    }

    /// As a mistake whose line is still to be found.
    pub(super) fn into_mistake(self) -> Mistake {
        Mistake::new(&self.path, self.says)
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.says)
    }
}

impl std::error::Error for ReadError {}

impl de::Error for ReadError {
    fn custom<T: fmt::Display>(says: T) -> Self {
        ReadError { path: Vec::new(), says: says.to_string() }
    }

    fn invalid_type(unexpected: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        // What was written there may be a secret that belongs elsewhere: it is not repeated.
        let what = match unexpected {
            de::Unexpected::Str(_) => "a text".to_owned(),
            other => other.to_string(),
        };
        Self::custom(format_args!("invalid type: {what}, expected {expected}"))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        let says = unknown_of("name", field, expected);
        ReadError { path: vec![field.to_owned()], says }
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        ReadError { path: Vec::new(), says: unknown_of("value", variant, expected) }
    }

    fn missing_field(field: &'static str) -> Self {
        ReadError { path: vec![field.to_owned()], says: "is missing".to_owned() }
    }
}

impl<'de> de::Deserializer<'de> for Reader<'_> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match &self.node.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Int(value) if *value >= 0 => visitor.visit_u64(value.unsigned_abs()),
            Value::Int(value) => visitor.visit_i64(*value),
            Value::Float(value) => visitor.visit_f64(*value),
            Value::Text(value) => visitor.visit_str(value),
            Value::List(items) => visitor.visit_seq(Items { items, at: 0 }),
            Value::Map(entries) => visitor.visit_map(Entries { entries, at: 0 }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.node.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        match &self.node.value {
            Value::Text(name) => visitor.visit_enum(name.as_str().into_deserializer()),
            Value::Map(entries) if entries.len() == 1 => {
                visitor.visit_enum(Variant { name: &entries[0].name, node: &entries[0].node })
            }
            _ => Err(de::Error::custom("must be a name, or one name with its settings")),
        }
    }

    /// What is no map has none of its names: those are said.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        if !matches!(self.node.value, Value::Map(_)) {
            return Err(no_map_of(fields, &self.node.value));
        }
        self.deserialize_any(visitor)
    }

    /// A scalar where a text is wanted is taken as it was most likely meant (`nickname: 12`).
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match &self.node.value {
            Value::Int(value) => visitor.visit_string(value.to_string()),
            _ => self.deserialize_any(visitor),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str bytes byte_buf unit
        unit_struct seq tuple tuple_struct map identifier ignored_any
    }
}

/// Where names were wanted. What was written there may be a secret that belongs elsewhere: it is not repeated.
fn no_map_of(names: &[&str], written: &Value) -> ReadError {
    let what = match written {
        Value::Null => "empty",
        Value::Bool(_) => "`true` or `false`",
        Value::Int(_) | Value::Float(_) => "a number",
        Value::Text(_) => "a text",
        Value::List(_) | Value::Map(_) => "a list",
    };
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    de::Error::custom(format_args!("must be a map of {}, is {what}", names.join(", ")))
}

struct Items<'t> {
    items: &'t [Node],
    at: usize,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = ReadError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, ReadError> {
        let Some(node) = self.items.get(self.at) else { return Ok(None) };
        let name = self.at.to_string();
        self.at += 1;
        seed.deserialize(Reader { node }).map(Some).map_err(|refused| refused.under(&name))
    }
}

struct Entries<'t> {
    entries: &'t [NamedNode],
    at: usize,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = ReadError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, ReadError> {
        let Some(entry) = self.entries.get(self.at) else { return Ok(None) };
        let read = seed.deserialize(entry.name.as_str().into_deserializer());
        // A struct's unknown field is named already; a key that its type refuses is not.
        let named = |it: ReadError| if it.path.is_empty() { it.under(&entry.name) } else { it };
        read.map(Some).map_err(named)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, ReadError> {
        let NamedNode { name, node, .. } = &self.entries[self.at];
        self.at += 1;
        seed.deserialize(Reader { node }).map_err(|refused| refused.under(name))
    }
}

struct Variant<'t> {
    name: &'t str,
    node: &'t Node,
}

impl<'de> EnumAccess<'de> for Variant<'_> {
    type Error = ReadError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), ReadError> {
        let name: de::value::StrDeserializer<'_, ReadError> = self.name.into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_> {
    type Error = ReadError;

    fn unit_variant(self) -> Result<(), ReadError> {
        Err(de::Error::custom("takes no settings"))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, ReadError> {
        seed.deserialize(Reader { node: self.node }).map_err(|refused| refused.under(self.name))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, ReadError> {
        de::Deserializer::deserialize_any(Reader { node: self.node }, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        de::Deserializer::deserialize_struct(Reader { node: self.node }, "", fields, visitor)
            .map_err(|refused| refused.under(self.name))
    }
}
