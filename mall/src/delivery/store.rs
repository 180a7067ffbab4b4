//! Where delivery keeps its rows, under names that no engine owns.

mod sqlite;

pub(super) use sqlite::{SCHEMA, bury, find, insert, is_buried, list, of_order, update};
