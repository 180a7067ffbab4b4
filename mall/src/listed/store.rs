//! How a slice is read out of a table: one module per engine.

pub(crate) mod sqlite;
