//! The schema of all of account on this engine.

/// The schema, one migration after the other. A network is kept as a keyed digest: no address is.
pub(in crate::account) const SCHEMA: &[&str] = &[
    "CREATE TABLE \"user\" (
        username TEXT PRIMARY KEY, phc TEXT NOT NULL, nickname TEXT NOT NULL,
        address TEXT NOT NULL, role TEXT NOT NULL, sequence BIGINT NOT NULL);
     CREATE TABLE seeded (one BIGINT PRIMARY KEY CHECK (one = 1));
     CREATE TABLE family (
        sid TEXT PRIMARY KEY, username TEXT NOT NULL, used BIGINT NOT NULL, expires BIGINT NOT NULL);
     CREATE INDEX family_by_user ON family (username, used);
     CREATE INDEX family_by_end ON family (expires);
     CREATE TABLE token (
        hash BYTEA PRIMARY KEY, sid TEXT NOT NULL, place BIGINT NOT NULL,
        expires BIGINT NOT NULL, rotated BIGINT);
     CREATE UNIQUE INDEX token_by_family ON token (sid, place);
     CREATE INDEX token_by_end ON token (expires);
     CREATE TABLE known (
        username TEXT NOT NULL, network BYTEA NOT NULL, used BIGINT NOT NULL,
        PRIMARY KEY (username, network));",
    sessions::SERVED_TABLE,
    sessions::SERVED_KEYS,
];
