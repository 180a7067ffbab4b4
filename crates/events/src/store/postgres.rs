//! The engine on a server: many writers, in many processes, over connections.
//!
//! [`state`] is a service's own schema: its rows, and beside them inbox, parked events and outbox. A piece of work
//! is a task with one connection; what is read to be changed is locked, and work that was in another's way runs
//! again. [`schema`] is the outbox for writers in any language, which is the very table that work publishes to.
//!
//! This module and its children are the only place that names the engine; others say what they need of it in
//! the words of [`store`](super).

pub(super) mod address;
pub(super) mod schema;
pub(super) mod state;

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
#[expect(dead_code, reason = "tests beside the crate use the rest of it")]
#[path = "../../tests/postgres/server.rs"]
mod server;

mod connection;
pub(super) mod promise;
mod statements;
mod timeouts;
mod trouble;
pub(super) mod values;
