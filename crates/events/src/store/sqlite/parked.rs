//! Parked table.
pub(super) const TABLES: &str = "";
