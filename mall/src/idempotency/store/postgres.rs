//! The table of remembered answers on this engine.

/// The table, for the schema of each service that remembers.
pub(crate) const TABLE: &str = "
    CREATE TABLE remembered (
        number BIGINT NOT NULL, principal TEXT NOT NULL, route TEXT NOT NULL, key TEXT NOT NULL,
        fingerprint BYTEA NOT NULL, location TEXT NOT NULL, position TEXT NOT NULL,
        body TEXT NOT NULL, etag TEXT NOT NULL, PRIMARY KEY (principal, route, key));
    CREATE INDEX remembered_by_number ON remembered (number);";
