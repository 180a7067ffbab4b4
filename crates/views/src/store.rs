//! Where rows are kept, under names that no engine owns: rows, what joins found, the feed of changes.
//!
//! A table per view with real columns, beside the feed, the page versions and what joins set. Statements
//! stand here once, for every engine; tables, and what one engine says in a way of its own, stand in its
//! module.

pub(crate) mod feed;
pub(crate) mod joined;
pub(crate) mod read;
pub(crate) mod rows;
mod sqlite;
mod values;

#[cfg(test)]
mod tests;

pub use sqlite::STORE_FILE;
pub(crate) use sqlite::{open, renew_feed};
