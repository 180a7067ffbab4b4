//! Inbox tables.
pub(super) const TABLES: &str = "";
