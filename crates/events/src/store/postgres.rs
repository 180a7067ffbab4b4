//! PostgreSQL: what stands there, in words of its own.

pub(super) mod schema;
