//! What a topic promises: the types of its events, and of each what its data is.
//!
//! A topic with a contract has these types and no others: a type that is misspelt would else be stored, and read by nobody. A
//! type whose data is nobody's business has the schema `{}`.

use std::collections::BTreeMap;

use crate::fault::Fault;
use crate::schema::Schema;

/// Types of one topic at most.
pub const TYPES_MAX: usize = 256;

/// The schemas of a topic's events, by type.
#[derive(Debug, Default)]
pub struct Contract {
    types: BTreeMap<String, Schema>,
}

/// A type that the topic does not have; in words, with the nearest that it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown(pub String);

impl Contract {
    /// The contract of these schemas.
    pub fn new(types: BTreeMap<String, Schema>) -> Contract {
        Contract { types }
    }

    /// The schema of a type.
    ///
    /// # Errors
    /// There is none.
    pub fn of(&self, kind: &str) -> Result<&Schema, Unknown> {
        let known = self.types.keys().map(String::as_str);
        self.types.get(kind).ok_or_else(|| Unknown(mistakes::unknown("type", kind, known)))
    }

    /// The types, each with its schema.
    pub fn types(&self) -> &BTreeMap<String, Schema> {
        &self.types
    }

    /// What is wrong with the data of an event of this type.
    ///
    /// # Errors
    /// The type is none of this topic's.
    pub fn faults(&self, kind: &str, data: &str) -> Result<Vec<Fault>, Unknown> {
        self.of(kind).map(|schema| schema.faults(data))
    }
}
