//! A database for the tests of what is kept in one.

use events::Database;
use events::store::Options;
use tempfile::TempDir;

/// A database of this schema, in a folder that goes with the handle on it.
pub(crate) fn database(schema: &'static [&'static str]) -> (TempDir, Database) {
    let folder = tempfile::tempdir().expect("a folder");
    let database = open(&folder, schema);
    (folder, database)
}

/// The database in this folder, brought up to this schema.
pub(crate) fn open(folder: &TempDir, schema: &'static [&'static str]) -> Database {
    let path = folder.path().join("service.db");
    let clock = chassis::clock::component();
    Database::open(Options { path, schema, publishes: None, clock }).expect("it opens")
}
