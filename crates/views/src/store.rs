//! Where rows are kept, under names that no engine owns: rows, what joins found, the feed of changes.

mod sqlite;

pub(crate) use sqlite::{feed, joined, open, read, renew_feed, rows};
