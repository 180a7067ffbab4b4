//! Settings that are written as one thing or as a list: a text, a flag, a list of texts or a map.
//!
//! One visitor reads all of them; what a type can be written as, it says itself.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use chassis::settings::text::Span;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::{Host, OneOrMany, OpenMethods, PathMethods, Paths, Upstream};

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<OneOrMany, D::Error> {
        from.deserialize_any(Mixed(PhantomData))
    }
}

impl<'de> Deserialize<'de> for Upstream {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Upstream, D::Error> {
        from.deserialize_any(Mixed(PhantomData))
    }
}

impl<'de> Deserialize<'de> for Paths {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Paths, D::Error> {
        from.deserialize_any(Mixed(PhantomData))
    }
}

impl<'de> Deserialize<'de> for OpenMethods {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<OpenMethods, D::Error> {
        from.deserialize_any(Mixed(PhantomData))
    }
}

/// A type that is written as one thing or as a list.
trait FromMixed: Sized {
    const EXPECTED: &'static str;
    fn list(list: Vec<String>) -> Self;
    fn text(_: &str) -> Option<Self> {
        None
    }
    fn flag(_: bool) -> Option<Self> {
        None
    }
    fn map<'de, A: MapAccess<'de>>(_: A) -> Result<Self, A::Error> {
        Err(de::Error::invalid_type(de::Unexpected::Map, &Self::EXPECTED))
    }
}

impl FromMixed for Upstream {
    const EXPECTED: &'static str = "a URL, a list of URLs or a map with `to`";
    fn list(list: Vec<String>) -> Upstream {
        Upstream { to: OneOrMany(list), ..Upstream::default() }
    }
    fn text(text: &str) -> Option<Upstream> {
        Some(Upstream { to: text.into(), ..Upstream::default() })
    }
    fn map<'de, A: MapAccess<'de>>(map: A) -> Result<Upstream, A::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Detailed {
            to: OneOrMany,
            #[serde(default)]
            host: Host,
            #[serde(default)]
            keep_alive: Option<Span>,
        }
        let Detailed { to, host, keep_alive } =
            Detailed::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Upstream { to, host, keep_alive })
    }
}

impl FromMixed for OneOrMany {
    const EXPECTED: &'static str = "a text or a list of texts";
    fn list(list: Vec<String>) -> OneOrMany {
        OneOrMany(list)
    }
    fn text(text: &str) -> Option<OneOrMany> {
        Some(text.into())
    }
}

impl FromMixed for Paths {
    const EXPECTED: &'static str = "a text, a list of texts or a map from texts to methods";
    fn list(list: Vec<String>) -> Paths {
        Paths(list.into_iter().map(|text| PathMethods { text, methods: None }).collect())
    }
    fn text(text: &str) -> Option<Paths> {
        Some(text.into())
    }
    fn map<'de, A: MapAccess<'de>>(map: A) -> Result<Paths, A::Error> {
        let map = BTreeMap::<String, Vec<String>>::deserialize(MapAccessDeserializer::new(map))?;
        let paths = map.into_iter();
        let paths = paths.map(|(text, methods)| PathMethods { text, methods: Some(methods) });
        Ok(Paths(paths.collect()))
    }
}

impl FromMixed for OpenMethods {
    const EXPECTED: &'static str = "true, false or a list of methods";
    fn list(list: Vec<String>) -> OpenMethods {
        OpenMethods::Methods(list)
    }
    fn flag(flag: bool) -> Option<OpenMethods> {
        Some(OpenMethods::All(flag))
    }
}

struct Mixed<T>(PhantomData<T>);

impl<'de, T: FromMixed> Visitor<'de> for Mixed<T> {
    type Value = T;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(T::EXPECTED)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        let unexpected = de::Unexpected::Str(text);
        T::text(text).ok_or_else(|| E::invalid_type(unexpected, &self))
    }

    fn visit_bool<E: de::Error>(self, flag: bool) -> Result<T, E> {
        let unexpected = de::Unexpected::Bool(flag);
        T::flag(flag).ok_or_else(|| E::invalid_type(unexpected, &self))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::map(map)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<T, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(list)).map(T::list)
    }
}
