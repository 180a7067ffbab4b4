//! What events of a type have to be: a contract between who publishes and who reads, as JSON Schema (draft 2020-12).
//!
//! One text answers four questions. At the door: is this data what its type promises ([`Schema::faults`])? For a reader:
//! has the type the field that a rule names ([`Schema::has`])? Between two versions: can who relied on the old one go on
//! with the new ([`breaking`])? To who reads a description of the whole: what is it there ([`Schema::carried`])? So the shape of an event is written once, beside the settings, and each of them looks there.
//!
//! Everything here is pure: texts and values in, words out; no file, no clock, nothing of the network. A schema that is
//! taken is bounded ([`keywords`], [`bounds`]): it refers to nothing outside, never to itself, and unfolds to at most
//! [`UNFOLDED_MAX`] parts, so that what one event costs is known from its size.
//!
//! It knows neither topics' settings nor HTTP: who reads the files and who words the answer are elsewhere.

mod bounds;
mod breaking;
mod carried;

mod contract;
mod data;
mod fault;
mod keywords;
mod pointer;
mod reading;
mod schema;

pub use bounds::UNFOLDED_MAX;
pub use breaking::{Break, Side, breaking};

pub use contract::{Contract, TYPES_MAX, Unknown};
pub use data::DATA_FAULTS_MAX;
pub use fault::Fault;
pub use keywords::PATTERN_BYTES_MAX;
pub use schema::{SCHEMA_BYTES_MAX, SCHEMA_DEPTH_MAX, Schema};
