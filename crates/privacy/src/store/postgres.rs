//! The table on this engine, a migration. Its keys are sealed by a key of the environment.

pub(super) const TABLE: &str = "CREATE TABLE person_key (
        number BIGINT PRIMARY KEY GENERATED ALWAYS AS IDENTITY, person TEXT NOT NULL UNIQUE,
        key BYTEA NOT NULL, since BIGINT NOT NULL);";
