//! The tables on this engine, each a migration.

/// The migration of who remembers ended sign-ins.
pub const TABLE: &str = "CREATE TABLE ended_session (
        sid TEXT PRIMARY KEY, until INTEGER NOT NULL) STRICT, WITHOUT ROWID;
     CREATE INDEX ended_session_by_end ON ended_session (until);";

/// What the gateway owes beside: `digest` finds a token again without showing it to the index.
pub(crate) const OWED: &str = "CREATE TABLE owed (
        number INTEGER PRIMARY KEY AUTOINCREMENT, token TEXT NOT NULL,
        digest BLOB NOT NULL UNIQUE, since INTEGER NOT NULL) STRICT;";

/// Whose it is, whether it renews its sign-in, and whether its giver would not take it back.
pub(crate) const OWED_BY_SESSION: &str = "ALTER TABLE owed ADD COLUMN sid TEXT;
     ALTER TABLE owed ADD COLUMN renews INTEGER NOT NULL DEFAULT 1;
     ALTER TABLE owed ADD COLUMN given_up INTEGER NOT NULL DEFAULT 0;
     CREATE INDEX owed_by_session ON owed (sid);";
