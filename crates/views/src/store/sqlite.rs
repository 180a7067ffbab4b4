//! Rows in a SQLite file: a table per view with real columns, beside the feed, the page versions and
//! what joins set.
//!
//! Columns have no declared type, so that a value comes back as it was written; a truth value is a
//! blob of one byte, the one shape the engine does not need for anything else here. A table is
//! clustered by its key, and the list of an owner is one index in the list's order.
//!
//! The file is derived: rows folded under other definitions are dropped with it, and the log makes
//! them again. Damage is reported, never repaired in silence.
//!
//! This module and its children are the only place of this crate that names the engine.

mod schema;

#[cfg(test)]
mod tests;

use std::path::Path;

use events::Database;
use events::store::{COUNTED, Options};

use super::Store;
use super::rows::{Comparison, Statements};
use crate::definition::Definitions;
use crate::error::Error;

/// Memory the writer keeps of the file, in KiB: tables and indexes are written all over.
const CACHE_KIB: i64 = 16 * 1024;

/// What a page's version says to outsiders goes on past what a restore leaves out. The tables are made
/// before, by their definitions.
const SCHEMA: &[&str] = &[COUNTED, "INSERT INTO counted VALUES ('owner', 'version', 0)"];

/// The file's name, whatever its folder is called.
pub const STORE_FILE: &str = "views.db";

/// Opens `views.db` in `folder`, made anew if its rows were folded under other definitions.
pub(crate) fn open(
    folder: &Path,
    definitions: &Definitions,
    clock: events::Clock,
) -> Result<Store, Error> {
    let path = folder.join(STORE_FILE);
    let feed_id = schema::prepare(&path, definitions, clock())?;
    let options = Options { path, schema: SCHEMA, publishes: None, clock };
    let database = Database::open(options)?;
    // Queued by the call itself, before anything else; a smaller cache is no reason to stop.
    let set = format!("PRAGMA cache_size = -{CACHE_KIB}");
    drop(database.write(set, |set, tx| {
        Box::pin(async move { tx.find(set, &[], |_| Ok::<_, events::Error>(())).await })
    }));
    let statements = definitions.views.iter().map(|view| Statements::new(view, COMPARED)).collect();
    // Nothing is followed here, and no lease is held.
    Ok(Store { apart: database.clone(), database, feed_id, statements })
}

/// Gives the feed of `views.db` in `folder` another name, if there is one.
pub(crate) fn renew_feed(folder: &Path, now: jiff::Timestamp) -> Result<(), Error> {
    schema::renew(&folder.join(STORE_FILE), now)
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Error {
        Error::Store(error.into())
    }
}

/// The engine takes 1 and 1.0 for equal, so types are compared too.
const COMPARED: Comparison = Comparison { same, differs };

fn same(name: &str, number: usize) -> String {
    format!("\"{name}\" = ?{number} AND typeof(\"{name}\") = typeof(?{number})")
}

fn differs(name: &str, number: usize) -> String {
    format!("\"{name}\" IS NOT ?{number} OR typeof(\"{name}\") <> typeof(?{number})")
}
