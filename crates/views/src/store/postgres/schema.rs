//! The tables: those that never differ as migrations, the views' own made by their definitions.

use std::fmt::Write;

use events::Database;
use events::store::{Row, Tx};
use jiff::Timestamp;

use super::instances;
use crate::definition::Definitions;
use crate::error::Error;
use crate::store::feed;
use crate::view::View;

/// Counts changes of the views' own tables.
const SHAPE: u32 = 1;

/// Bytes of a name that the engine tells from others.
const NAME_BYTES_MAX: usize = 63;
/// What a view's table is called before its name.
const PREFIX: &str = "view_";

/// An owner is packed like any value: a number and the text of its digits are two.
pub(super) const TABLES: &[&str] = &[OWN, instances::TABLES];

const OWN: &str = "CREATE TABLE meta (
        id INTEGER PRIMARY KEY CHECK (id = 0), definition TEXT NOT NULL, epoch TEXT NOT NULL,
        sequence BIGINT NOT NULL, floor BIGINT NOT NULL, bytes BIGINT NOT NULL);
    CREATE TABLE owner (
        page BIGINT NOT NULL, owner BYTEA NOT NULL, version BIGINT NOT NULL,
        position BIGINT NOT NULL, floor BIGINT NOT NULL, kept BIGINT NOT NULL,
        bytes BIGINT NOT NULL, PRIMARY KEY (page, owner));
    CREATE TABLE change (
        sequence BIGINT PRIMARY KEY, before BIGINT NOT NULL, page BIGINT NOT NULL,
        bytes BIGINT NOT NULL, owner BYTEA NOT NULL, kind TEXT NOT NULL, row TEXT NOT NULL);
    CREATE TABLE joined (
        place TEXT NOT NULL, value TEXT NOT NULL, set_columns TEXT NOT NULL,
        PRIMARY KEY (place, value));";

/// Whoever looks whether the tables are those of the definitions has them to itself.
const ALONE: &str = "SELECT pg_advisory_xact_lock(hashtext('views ' || current_schema()))";

/// Versions go on: how many the events make depends on where batches end, fewer this time, perhaps.
const COUNT_ON: &str = "INSERT INTO numbering SELECT 1, coalesce(max(version), 0) FROM owner
    ON CONFLICT (one) DO UPDATE SET base = greatest(numbering.base, excluded.base)";

/// What is derived from the events, where they have got to, and which were parked.
const DERIVED: [&str; 8] =
    ["meta", "owner", "change", "joined", "touched", "inbox", "inbox_mark", "parked"];

/// What is wanted, ready to be made.
struct Layout {
    definition: String,
    feed_id: String,
    folds: bool,
    statements: Vec<String>,
}

/// Sees to it that the tables are those of these definitions; the feed's name.
///
/// # Errors
/// [`events::Error::Limit`]: a name is too long for the engine. [`events::Error::Environment`]: they are of other
/// definitions, and whoever asks does not fold. Otherwise the store's.
pub(super) async fn prepare(
    database: &Database,
    definitions: &Definitions,
    folds: bool,
    now: Timestamp,
) -> Result<String, Error> {
    let mut statements = Vec::new();
    for (number, view) in definitions.views.iter().enumerate() {
        check_names(view)?;
        statements.extend(tables(number, view));
    }
    let definition = format!("{SHAPE} {}", definitions.text);
    let layout = Layout { definition, feed_id: feed::name(now), folds, statements };
    let prepared = database.write(layout, |layout, tx| Box::pin(make(tx, layout)));
    Ok(prepared.await?)
}

async fn make(tx: &mut Tx<'_>, layout: &Layout) -> Result<String, events::Error> {
    tx.one(ALONE, &[], |_| Ok::<_, events::Error>(())).await?;
    let select = "SELECT definition, epoch FROM meta";
    let stored = |row: &Row<'_>| Ok((row.get::<String>(0)?, row.get::<String>(1)?));
    let stored: Result<_, events::Error> = tx.find(select, &[], stored).await;
    match stored? {
        Some((definition, feed_id)) if definition == layout.definition => {
            instances::ensure(tx, &feed_id).await?;
            return Ok(feed_id);
        }
        Some(_) if !layout.folds => {
            return Err(events::Error::environment(
                "the rows there were folded under other definitions: start whoever folds them with these first",
            ));
        }
        Some(_) => {
            tracing::warn!("the views are defined anew: their rows are folded again from the log");
        }
        None => {}
    }
    drop_all(tx).await?;
    for statement in &layout.statements {
        tx.execute(statement, &[]).await?;
    }
    let insert = "INSERT INTO meta VALUES (0, ?1, ?2, 0, 0, 0)";
    tx.execute(insert, &[&layout.definition, &layout.feed_id]).await?;
    instances::begin_anew(tx, &layout.feed_id).await?;
    Ok(layout.feed_id.clone())
}

async fn drop_all(tx: &mut Tx<'_>) -> Result<(), events::Error> {
    tx.execute(COUNT_ON, &[]).await?;
    let select = "SELECT tablename FROM pg_tables
        WHERE schemaname = current_schema() AND starts_with(tablename, ?1)";
    let name = |row: &Row<'_>| row.get::<String>(0);
    let old: Vec<String> = tx.all::<_, events::Error>(select, &[&PREFIX], name).await?;
    for table in old {
        tx.execute(&format!("DROP TABLE \"{table}\""), &[]).await?;
    }
    for table in DERIVED {
        tx.execute(&format!("DELETE FROM {table}"), &[]).await?;
    }
    Ok(())
}

/// A name that the engine would cut would be another's.
fn check_names(view: &View) -> Result<(), events::Error> {
    let table = PREFIX.len() + view.name.len();
    let longest = view.columns.iter().map(String::len).chain([table]).max().unwrap_or(0);
    if longest > NAME_BYTES_MAX {
        let (field, limit) = ("a view's or a column's name", NAME_BYTES_MAX as u64);
        return Err(events::Error::Limit { field, value: longest as u64, limit });
    }
    Ok(())
}

/// A view's table and indexes. Names were checked: letters, digits and underscores.
fn tables(number: usize, view: &View) -> Vec<String> {
    let table = format!("\"{PREFIX}{}\"", view.name);
    let mut columns = String::new();
    for (at, column) in view.columns.iter().enumerate() {
        let key = if at == view.key { " PRIMARY KEY" } else { "" };
        write!(columns, "\"{column}\" BYTEA NOT NULL{key}, ").expect("a string takes it");
    }
    let mut statements = vec![format!(
        "CREATE TABLE {table} ({columns}_owner BYTEA, _created BIGINT NOT NULL, _set BIGINT NOT NULL,
            _deleted_by TEXT)"
    )];
    let key = &view.columns[view.key];
    for &at in &view.sorted {
        let column = &view.columns[at];
        let then = if at == view.key { String::new() } else { format!(", \"{key}\"") };
        statements.push(format!(
            "CREATE INDEX view{number}_by{at} ON {table} (_owner, \"{column}\"{then})
                WHERE _created = 1"
        ));
    }
    for (index, join) in view.joins.iter().enumerate() {
        let on: Vec<String> =
            join.on.iter().map(|&at| format!("\"{}\"", view.columns[at])).collect();
        let on = on.join(", ");
        statements.push(format!("CREATE INDEX view{number}_join{index} ON {table} ({on})"));
    }
    statements
}
