//! Where ended sign-ins are kept, and what is owed, under names that no engine owns.

mod sqlite;

pub(crate) use sqlite::{
    OWED, OWED_BY_SESSION, count, count_unknown, forget_unknown, give_up, is_owed, owe, owed, pay,
    sweep,
};
pub use sqlite::{TABLE, load, remember};
