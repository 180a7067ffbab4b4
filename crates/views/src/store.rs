//! Where rows are kept, under names that no engine owns: rows, what joins found, the feed of changes.
//!
//! A table per view with real columns, beside the feed, the page versions and what joins set. Statements
//! stand here once, for every engine; tables, and what one engine says in a way of its own, stand in its
//! module.

pub(crate) mod feed;
pub(crate) mod joined;
mod postgres;
pub(crate) mod read;
pub(crate) mod rows;
mod sqlite;
mod values;

#[cfg(test)]
mod tests;

use events::Database;

use rows::Statements;

pub use postgres::Server;
pub(crate) use postgres::connect;
pub(crate) use postgres::instances;
pub use sqlite::STORE_FILE;
pub(crate) use sqlite::{open, renew_feed};

/// Rows, ready to be read and folded into.
pub(crate) struct Store {
    pub(crate) database: Database,
    /// The same by connections of its own, for what must not wait behind readers of pages.
    pub(crate) apart: Database,
    /// The feed's name: another store's feed has another.
    pub(crate) feed_id: String,
    /// How each view's rows are spoken of, in the definitions' order.
    pub(crate) statements: Vec<Statements>,
}
