//! Personal data in events: sealed before they are stored, with a key of the person, and forgotten by throwing that key
//! away.
//!
//! A log keeps its events for good, and copies of it are elsewhere: with a broker, in outboxes, among dead letters, in
//! backups. Who asks to be forgotten cannot be looked for in all of them. So what a topic's settings call personal
//! ([`Rule`]) is sealed where an event comes in, each field by itself, with the key of the person whose it is
//! ([`Keyring`]); whoever may read it is told by that key ([`Sealing::opened`]), and nobody is once the key is gone.
//!
//! | module | says |
//! |---|---|
//! | [`rule`] | which fields of which events are personal, and whose |
//! | `pointer` | where in a text of JSON a field's values stand |
//! | `sealed` | what a sealed value looks like, and what it is bound to |
//! | `fields` | the personal fields of one event, and its data with other values in their places |
//! | [`sealing`] | events sealed at the door, and told to those who may |
//! | [`keyring`] | the keys: where they are kept, for how long one is remembered, how one is thrown away |
//!
//! An envelope is never sealed: who a person is stands in the log for good, so that is an opaque id. What a service or a
//! view keeps in tables of its own is its own to erase. Nothing here decides who may read.

mod fields;
pub mod keyring;
mod pointer;
pub mod rule;
mod sealed;
pub mod sealing;
mod store;

pub use fields::is_person_id;
pub use keyring::{Forgotten, Keyring};
pub use rule::{Rule, RuleEntry};
pub use sealed::FORGOTTEN;
pub use sealing::{Refused, Sealing};
