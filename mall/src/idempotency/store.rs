//! Where remembered answers are kept, under names that no engine owns.

pub(crate) mod sqlite;

pub(crate) use sqlite::{recall, remember};
