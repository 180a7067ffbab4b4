//! Where rows are kept, under names that no engine owns: rows, what joins found, the feed of changes.

mod sqlite;

pub use sqlite::STORE_FILE;
pub(crate) use sqlite::{Tables, feed, joined, open, read, renew_feed, rows};
