//! The tables on this engine, each a migration.

/// The migration of who remembers ended sign-ins.
pub const TABLE: &str = "CREATE TABLE ended_session (sid TEXT PRIMARY KEY, until BIGINT NOT NULL);
     CREATE INDEX ended_session_by_end ON ended_session (until);";

/// What the gateway owes beside: `digest` finds a token again without showing it to the index.
pub(crate) const OWED: &str = "CREATE TABLE owed (
        number BIGINT PRIMARY KEY GENERATED ALWAYS AS IDENTITY, token TEXT NOT NULL,
        digest BYTEA NOT NULL UNIQUE, since BIGINT NOT NULL, sid TEXT,
        renews BIGINT NOT NULL DEFAULT 1, given_up BIGINT NOT NULL DEFAULT 0);
     CREATE INDEX owed_by_session ON owed (sid);";
