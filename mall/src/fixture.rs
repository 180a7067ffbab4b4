//! Databases for the tests of what is kept in one.

pub(crate) mod store;

use events::Database;
use events::store::{Location, Options, Publishes, Tables};
use tempfile::TempDir;

/// A database of these migrations, in a folder that goes with the handle on it.
pub(crate) fn database(schema: &'static [&'static str]) -> (TempDir, Database) {
    let folder = tempfile::tempdir().expect("a folder");
    let database = open(&folder, schema);
    (folder, database)
}

/// The database in this folder, brought up to these migrations.
pub(crate) fn open(folder: &TempDir, schema: &'static [&'static str]) -> Database {
    let path = folder.path().join("service.db");
    let clock = chassis::clock::component();
    Database::open(Options { path, schema, publishes: None, clock }).expect("it opens")
}

/// An empty database of these tables on each engine, in a folder that goes with the handle on it where it is in one.
pub(crate) async fn each(tables: Tables, publishes: Option<Publishes>) -> [(TempDir, Database); 2] {
    let folders = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
    let places = [Location::File(folders[0].path().join("service.db")), store::place()];
    let mut databases = Vec::new();
    for (folder, place) in folders.into_iter().zip(places) {
        let clock = chassis::clock::component();
        let opened = Database::at(place, tables, publishes.clone(), clock).await;
        databases.push((folder, opened.expect("it opens")));
    }
    databases.try_into().unwrap_or_else(|_| unreachable!("one for each place"))
}
