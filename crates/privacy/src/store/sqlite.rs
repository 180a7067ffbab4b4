//! The table on this engine, a migration. Its keys are as open as the file is, which is its owner's alone.

pub(super) const TABLE: &str = "CREATE TABLE person_key (
        number INTEGER PRIMARY KEY, person TEXT NOT NULL UNIQUE, key BLOB NOT NULL,
        since INTEGER NOT NULL) STRICT;";
