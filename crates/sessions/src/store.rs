//! Where ended sign-ins are kept, and what is owed, under names that no engine owns.

mod sqlite;

pub(crate) use sqlite::{OWED, count_owed, is_owed, owe, owed, pay};
pub use sqlite::{TABLE, load, remember};
