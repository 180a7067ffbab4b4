//! The embedded engine: two rooms that share plumbing alone and know nothing of each other.
//!
//! [`log`] is the local broker's file: a table per topic, offsets, a chain of checksums. [`state`] is a
//! service's own file: its rows, and beside them outbox, inbox and parked events. Both stand on
//! [`plumbing`]: connections, statements, a writing thread that groups, readers beside it, notes of what
//! was skipped. What is done to whole
//! files, whichever room they belong to, is [`upkeep`], [`cut`] and [`erase`](erase()), above both.
//!
//! This module and its children are the only place of this crate that names the engine; others say
//! what they need of it in the words of [`store`](super).

pub mod cut;
#[cfg(test)]
mod direct;
mod erase;
pub(crate) mod log;
mod plumbing;
pub(crate) mod state;
pub mod upkeep;

pub use erase::erase;
pub use plumbing::numbering::COUNTED;
pub use plumbing::private::keep_private;
pub use plumbing::readers::READERS_MAX;
pub(crate) use plumbing::statements::Row;
