//! Lists and pages: each read in one moment, bounded by its slice.

use events::FeedPosition;
use rusqlite::{Connection, params};

use super::feed;
use super::rows::{Table, from_sql};
use crate::owner::{Meant, Owner};
use crate::page::{Page, Parts, Slice};
use crate::row::Row;
use crate::value::Key;
use crate::view::View;

/// Shown rows, of one owner or of all, in the order of a column.
pub(crate) fn rows(
    sql: &Connection,
    (view, table): (&View, &Table),
    owner: Option<Owner<'_>>,
    slice: Slice,
    order: (usize, bool),
) -> Result<Vec<Row>, events::Error> {
    let mut select = sql.prepare_cached(&list(view, table, owner.is_some(), order))?;
    let size = i64::try_from(slice.size).unwrap_or(i64::MAX);
    let found =
        select.query_map(params![owner, size, slice.offset()], |row| from_sql(view, row))?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

/// The statement of a list; one of a page's order is read through its index without sorting.
pub(super) fn list(
    view: &View,
    table: &Table,
    owned: bool,
    (column, descending): (usize, bool),
) -> String {
    let direction = if descending { "DESC" } else { "ASC" };
    // The key decides between equals, so that a row is on one slice and not on two.
    let first = if column == view.key {
        String::new()
    } else {
        format!("\"{}\" {direction}, ", view.columns[column])
    };
    format!(
        "SELECT {} FROM {} WHERE {} ORDER BY {first}\"{}\" {direction} LIMIT ?2 OFFSET ?3",
        table.columns,
        table.name,
        shown(owned),
        view.columns[view.key],
    )
}

fn shown(owned: bool) -> &'static str {
    if owned { "_owner = ?1 AND _created = 1" } else { "?1 IS NULL AND _created = 1" }
}

/// How many rows are shown, of one owner or of all.
pub(crate) fn total(
    sql: &Connection,
    table: &Table,
    owner: Option<Owner<'_>>,
) -> Result<u64, events::Error> {
    let statement = format!("SELECT count(*) FROM {} WHERE {}", table.name, shown(owner.is_some()));
    let total: i64 = sql.prepare_cached(&statement)?.query_row([owner], |row| row.get(0))?;
    Ok(total.cast_unsigned())
}

/// All that a page shows.
pub(crate) fn parts<'p>(
    sql: &Connection,
    views: &[View],
    tables: &[Table],
    page: &Page,
    named: &'p str,
    (slice, epoch): (Slice, &str),
) -> Result<Parts<'p>, events::Error> {
    let found = feed::find(sql, page.index, page.owners.meant(named))?;
    let (owner, version) = found.unzip();
    let version = version.unwrap_or_default();
    let head = match (page.head, owner) {
        (Some(head), Some(owner)) => {
            tables[head].load(sql, &views[head], &Key::from_owner(owner))?
        }
        _ => None,
    };
    let list = (&views[page.view], &tables[page.view]);
    let (rows, total) = match owner {
        Some(owner) => (
            rows(sql, list, Some(owner), slice, page.order)?,
            total(sql, &tables[page.view], Some(owner))?,
        ),
        None => (Vec::new(), 0),
    };
    Ok(Parts {
        owner: named,
        version: version.version,
        position: FeedPosition { feed: epoch.to_owned(), sequence: version.position },
        head,
        rows,
        total,
    })
}

/// A page's rows and how many there are in all, of whom a text means there or of everybody.
pub(crate) fn of_page(
    sql: &Connection,
    list: (&View, &Table),
    page: &Page,
    named: Option<&str>,
    slice: Slice,
) -> Result<(Vec<Row>, u64), events::Error> {
    let owner = match named {
        None => None,
        Some(named) => match feed::find(sql, page.index, page.owners.meant(named))? {
            Some((owner, _)) => Some(owner),
            // Nobody can be meant: that is not everybody.
            None => return Ok((Vec::new(), 0)),
        },
    };
    Ok((rows(sql, list, owner, slice, page.order)?, total(sql, list.1, owner)?))
}

/// A view's rows of the first of those meant who has any, and how many there are in all.
pub(crate) fn of_view(
    sql: &Connection,
    list: (&View, &Table),
    meant: Meant<'_>,
    (slice, order): (Slice, (usize, bool)),
) -> Result<(Vec<Row>, u64), events::Error> {
    for owner in meant.all() {
        let total = total(sql, list.1, Some(owner))?;
        if total > 0 {
            return Ok((rows(sql, list, Some(owner), slice, order)?, total));
        }
    }
    Ok((Vec::new(), 0))
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
