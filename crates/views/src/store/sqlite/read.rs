//! Lists and pages: each read in one moment, bounded by its slice.

use events::FeedPosition;
use rusqlite::{Connection, params};

use super::rows::from_sql;
use super::{Table, feed};
use crate::definition::{Page, View};
use crate::page::{Parts, Slice};
use crate::row::Row;
use crate::value::Key;

/// An owner's shown rows in the order of a column.
pub(crate) fn rows(
    sql: &Connection,
    (view, table): (&View, &Table),
    owner: &str,
    slice: Slice,
    order: (usize, bool),
) -> Result<Vec<Row>, events::Error> {
    let mut select = sql.prepare_cached(&list(view, table, order))?;
    let size = i64::try_from(slice.size).unwrap_or(i64::MAX);
    let found =
        select.query_map(params![owner, size, slice.offset()], |row| from_sql(view, row))?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

/// The statement of a list; one of a page's order is read through its index without sorting.
pub(super) fn list(view: &View, table: &Table, (column, descending): (usize, bool)) -> String {
    let direction = if descending { "DESC" } else { "ASC" };
    // The key decides between equals, so that a row is on one slice and not on two.
    let first = if column == view.key {
        String::new()
    } else {
        format!("\"{}\" {direction}, ", view.columns[column])
    };
    format!(
        "SELECT {} FROM {} WHERE _owner = ?1 AND _created = 1 \
         ORDER BY {first}\"{}\" {direction} LIMIT ?2 OFFSET ?3",
        table.columns, table.name, view.columns[view.key],
    )
}

/// How many rows of an owner are shown.
pub(crate) fn total(sql: &Connection, table: &Table, owner: &str) -> Result<u64, events::Error> {
    let statement =
        format!("SELECT count(*) FROM {} WHERE _owner = ?1 AND _created = 1", table.name);
    let total: i64 = sql.prepare_cached(&statement)?.query_row([owner], |row| row.get(0))?;
    Ok(total.cast_unsigned())
}

/// All that a page shows.
pub(crate) fn parts<'p>(
    sql: &Connection,
    views: &[View],
    tables: &[Table],
    page: &Page,
    owner: &'p str,
    (slice, epoch): (Slice, &str),
) -> Result<Parts<'p>, events::Error> {
    let version = feed::version(sql, owner)?;
    let head = match page.head {
        Some(head) => named(sql, (&views[head], &tables[head]), owner)?,
        None => None,
    };
    let list = (&views[page.view], &tables[page.view]);
    Ok(Parts {
        owner,
        version: version.version,
        position: FeedPosition { feed: epoch.to_owned(), sequence: version.position },
        head,
        rows: rows(sql, list, owner, slice, page.order)?,
        total: total(sql, &tables[page.view], owner)?,
    })
}

/// The row whose key is written so: as text, or as the whole number it is.
pub(crate) fn named(
    sql: &Connection,
    (view, table): (&View, &Table),
    key: &str,
) -> Result<Option<Row>, events::Error> {
    if let Some(row) = table.load(sql, view, &Key::Text(key.into()))? {
        return Ok(Some(row));
    }
    match key.parse::<i64>() {
        Ok(number) if number.to_string() == key => table.load(sql, view, &Key::Int(number)),
        _ => Ok(None),
    }
}
