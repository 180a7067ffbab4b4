//! Where rows are kept; the engine's name stays inside its own module.

pub(crate) mod sqlite;
