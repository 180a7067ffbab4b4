//! The schema of all of account on this engine.

use events::store::COUNTED;

/// The schema, one migration after the other.
pub(in crate::account) const SCHEMA: &[&str] = &[
    "CREATE TABLE user (
        username TEXT PRIMARY KEY, phc TEXT NOT NULL, nickname TEXT NOT NULL,
        address TEXT NOT NULL, role TEXT NOT NULL, sequence INTEGER NOT NULL) STRICT;
     CREATE TABLE refresh (
        number INTEGER PRIMARY KEY AUTOINCREMENT, hash BLOB NOT NULL UNIQUE,
        username TEXT NOT NULL, expires INTEGER NOT NULL) STRICT;
     CREATE INDEX refresh_by_user ON refresh (username, number);
     CREATE INDEX refresh_by_end ON refresh (expires);
     CREATE TABLE seeded (one INTEGER PRIMARY KEY CHECK (one = 1)) STRICT;",
    FAMILIES,
    sessions::TABLE,
    KNOWN,
    COUNTED,
    "INSERT INTO counted VALUES ('user', 'sequence', 0)",
];

/// The migration from refresh tokens that each stood alone; each becomes a family.
const FAMILIES: &str = "CREATE TABLE family (
        sid TEXT PRIMARY KEY, username TEXT NOT NULL, used INTEGER NOT NULL,
        expires INTEGER NOT NULL) STRICT;
     CREATE INDEX family_by_user ON family (username, used);
     CREATE INDEX family_by_end ON family (expires);
     CREATE TABLE token (
        hash BLOB PRIMARY KEY, sid TEXT NOT NULL, place INTEGER NOT NULL,
        expires INTEGER NOT NULL, rotated INTEGER) STRICT, WITHOUT ROWID;
     CREATE UNIQUE INDEX token_by_family ON token (sid, place);
     CREATE INDEX token_by_end ON token (expires);
     INSERT INTO family SELECT lower(hex(substr(hash, 1, 16))), username, number, expires FROM refresh;
     INSERT INTO token SELECT hash, lower(hex(substr(hash, 1, 16))), 0, expires, NULL FROM refresh;
     DROP TABLE refresh;";

/// The migration. A network is kept as a keyed digest: no address is.
const KNOWN: &str = "CREATE TABLE known (
        username TEXT NOT NULL, network BLOB NOT NULL, used INTEGER NOT NULL,
        PRIMARY KEY (username, network)) STRICT, WITHOUT ROWID;";
