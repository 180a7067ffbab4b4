//! Where order keeps its rows, under names that no engine owns.

mod sqlite;

pub(super) use sqlite::{SCHEMA, find, insert, keep_newest, list, replica, update};
