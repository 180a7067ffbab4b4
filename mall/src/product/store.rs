//! Where product keeps its rows, under names that no engine owns.

mod sqlite;

pub(super) use sqlite::{
    Decided, SCHEMA, claim_seeding, decide, decided, find, insert, list, next_sequence, update,
};
