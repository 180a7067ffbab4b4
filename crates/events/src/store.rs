//! Where a service keeps its state beside its inbox and outbox: one module per engine.
//!
//! A service speaks of a [`Database`] and a [`Write`] of it, and leaves the engine's name to the
//! module of its own that holds the statements.

pub mod sqlite;

pub use sqlite::{Database, Options, Publishes, Write};
