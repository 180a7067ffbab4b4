//! Where a service keeps its state beside its inbox and outbox: one module per engine.

pub mod sqlite;
