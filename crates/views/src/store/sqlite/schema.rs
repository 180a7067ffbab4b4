//! The file's tables, made before anybody else opens it.
//!
//! A version counts the shape of the tables themselves; with the definitions' text it decides
//! whether the file can be read on or is made anew.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use events::store::{keep_private, upkeep};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use crate::definition::Definitions;
use crate::error::Error;
use crate::store::feed;
use crate::view::View;

/// Counts changes of the tables' shape.
const SHAPE: u32 = 3;
/// The shape from which rows are kept, and the step from it; from any other they are folded again.
const KEPT_FROM: u32 = 2;
const STEP: &str = "ALTER TABLE joined RENAME COLUMN said TO set_columns;";

/// What the name of a file that is being made anew ends with, and of what the engine keeps beside one.
const ANEW: &str = "-new";
const JOURNALS: [&str; 3] = ["-journal", "-wal", "-shm"];

/// An owner is a whole number or text, and comes back as it was written.
const TABLES: &str = "
    CREATE TABLE meta (
        id INTEGER PRIMARY KEY CHECK (id = 0), definition TEXT NOT NULL, epoch TEXT NOT NULL,
        sequence INTEGER NOT NULL, floor INTEGER NOT NULL, bytes INTEGER NOT NULL) STRICT;
    CREATE TABLE owner (
        page INTEGER NOT NULL, owner ANY NOT NULL, version INTEGER NOT NULL,
        position INTEGER NOT NULL, floor INTEGER NOT NULL, kept INTEGER NOT NULL,
        bytes INTEGER NOT NULL, PRIMARY KEY (page, owner)) STRICT, WITHOUT ROWID;
    CREATE TABLE change (
        sequence INTEGER PRIMARY KEY, before INTEGER NOT NULL, page INTEGER NOT NULL,
        bytes INTEGER NOT NULL, owner ANY NOT NULL, kind TEXT NOT NULL, row TEXT NOT NULL) STRICT;
    CREATE TABLE joined (
        place TEXT NOT NULL, value TEXT NOT NULL, set_columns TEXT NOT NULL,
        PRIMARY KEY (place, value)) STRICT, WITHOUT ROWID;";

/// Sees to it that the file holds tables of these definitions; the feed's name.
pub(super) fn prepare(
    path: &Path,
    definitions: &Definitions,
    now: Timestamp,
) -> Result<String, Error> {
    // Of a process that was ended while it made the file anew.
    remove(&beside(path, ANEW))?;
    let of_shape = |shape: u32| format!("{shape} {}", definitions.text);
    let definition = of_shape(SHAPE);
    match stored(path)? {
        Some(meta) if meta.definition == definition => Ok(meta.feed_id),
        Some(meta) if meta.definition == of_shape(KEPT_FROM) => {
            step(path, &definition)?;
            Ok(meta.feed_id)
        }
        Some(_) => {
            tracing::warn!("the views are defined anew: their rows are folded again from the log");
            replace(path, definitions, &definition, now)
        }
        // A file without its one row was never finished.
        None => {
            remove(path)?;
            create(path, definitions, &definition, now)
        }
    }
}

/// Makes the file anew. It stands beside the old one until it knows which versions that gave: whenever the
/// process ends, one of the two is there, and whole.
fn replace(
    path: &Path,
    definitions: &Definitions,
    definition: &str,
    now: Timestamp,
) -> Result<String, Error> {
    let highest = highest_version(path)?;
    let anew = beside(path, ANEW);
    let feed_id = create(&anew, definitions, definition, now)?;
    // How many versions the log makes depends on where batches end: fewer this time, perhaps.
    upkeep::jump(&anew, highest)?;
    for end in JOURNALS {
        remove_file(&beside(path, end))?;
    }
    std::fs::rename(&anew, path).map_err(|error| old_rows("replaced", &error))?;
    Ok(feed_id)
}

/// Brings the tables to the present shape with what they hold.
fn step(path: &Path, definition: &str) -> Result<(), Error> {
    let mut sql = Connection::open(path)?;
    let transaction = sql.transaction()?;
    transaction.execute_batch(STEP)?;
    transaction.execute("UPDATE meta SET definition = ?1", [definition])?;
    transaction.commit()?;
    Ok(())
}

/// The highest version that a page of the file has had, or that a restore left out.
fn highest_version(path: &Path) -> Result<u64, Error> {
    let sql = Connection::open(path)?;
    let given: Option<u64> =
        sql.query_row("SELECT max(version) FROM owner", [], |row| row.get(0))?;
    Ok(upkeep::left_out(path)?.max(given.unwrap_or(0)))
}

/// Gives the feed another name: places in the old one mean nothing here.
pub(super) fn renew(path: &Path, now: Timestamp) -> Result<(), Error> {
    if stored(path)?.is_some() {
        Connection::open(path)?.execute("UPDATE meta SET epoch = ?1", [feed::name(now)])?;
    }
    Ok(())
}

/// What a file says of itself.
struct Meta {
    /// Under which definitions its rows were folded.
    definition: String,
    /// Its feed's name.
    feed_id: String,
}

fn stored(path: &Path) -> Result<Option<Meta>, Error> {
    if !path.exists() {
        return Ok(None);
    }
    let sql = Connection::open(path)?;
    let known = "SELECT 1 FROM sqlite_schema WHERE name = 'meta'";
    if sql.query_row(known, [], |_| Ok(())).optional()?.is_none() {
        return Ok(None);
    }
    let select = "SELECT definition, epoch FROM meta";
    let meta = |row: &rusqlite::Row<'_>| Ok(Meta { definition: row.get(0)?, feed_id: row.get(1)? });
    Ok(sql.query_row(select, [], meta).optional()?)
}

/// Removes a database with its journals.
fn remove(path: &Path) -> Result<(), Error> {
    for end in JOURNALS {
        remove_file(&beside(path, end))?;
    }
    remove_file(path)
}

fn remove_file(path: &Path) -> Result<(), Error> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(old_rows("removed", &error))
        }
        _ => Ok(()),
    }
}

fn old_rows(not: &str, error: &std::io::Error) -> Error {
    events::Error::environment(format!("old rows cannot be {not}: {error}")).into()
}

/// The file of that ending beside a database.
fn beside(path: &Path, end: &str) -> PathBuf {
    let mut file = path.as_os_str().to_owned();
    file.push(end);
    PathBuf::from(file)
}

fn create(
    path: &Path,
    definitions: &Definitions,
    definition: &str,
    now: Timestamp,
) -> Result<String, Error> {
    let feed_id = feed::name(now);
    // The mode of the journal is chosen here already: what lies beside the file is private by it.
    keep_private(path);
    let mut sql = Connection::open(path)?;
    sql.pragma_update(None, "journal_mode", "WAL")?;
    let transaction = sql.transaction()?;
    transaction.execute_batch(TABLES)?;
    for view in &definitions.views {
        transaction.execute_batch(&table(view))?;
    }
    let insert = "INSERT INTO meta VALUES (0, ?1, ?2, 0, 0, 0)";
    transaction.execute(insert, params![definition, feed_id])?;
    transaction.commit()?;
    Ok(feed_id)
}

/// A view's table and indexes. Names were checked: letters, digits and underscores.
fn table(view: &View) -> String {
    let mut text = String::new();
    let name = &view.name;
    let written = write_table(&mut text, view, name);
    written.expect("a string takes every character");
    text
}

fn write_table(text: &mut String, view: &View, name: &str) -> std::fmt::Result {
    writeln!(text, "CREATE TABLE \"view_{name}\" (")?;
    for (at, column) in view.columns.iter().enumerate() {
        let key = if at == view.key { " PRIMARY KEY" } else { "" };
        writeln!(text, "  \"{column}\"{key},")?;
    }
    writeln!(text, "  _owner, _created INTEGER NOT NULL, _set INTEGER NOT NULL,")?;
    writeln!(text, "  _deleted_by TEXT) WITHOUT ROWID;")?;
    let key = &view.columns[view.key];
    // Tables and indexes share their names: no view's name has a space.
    for &at in &view.sorted {
        let column = &view.columns[at];
        // The key is named though the engine adds it: it sorts by what is named alone.
        let then = if at == view.key { String::new() } else { format!(", \"{key}\"") };
        writeln!(
            text,
            "CREATE INDEX \"{name} by {column}\" ON \"view_{name}\" \
             (_owner, \"{column}\"{then}) WHERE _created = 1;"
        )?;
    }
    for (index, join) in view.joins.iter().enumerate() {
        let on: Vec<String> =
            join.on.iter().map(|&at| format!("\"{}\"", view.columns[at])).collect();
        let on = on.join(", ");
        writeln!(text, "CREATE INDEX \"{name} join {index}\" ON \"view_{name}\" ({on});")?;
    }
    Ok(())
}
