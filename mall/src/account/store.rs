//! Where account keeps its rows, under names that no engine owns.

mod sqlite;

pub(super) use sqlite::{SCHEMA, claim_seeding, families, find, insert, known};
