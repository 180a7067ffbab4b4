//! Lists and pages: each read in one moment, bounded by its slice.

use rusqlite::params;

use super::Tables;
use super::feed::{self, OwnerVersion};
use super::rows::{Stored, from_sql};
use crate::owner::{Meant, Owner};
use crate::page::{Listed, Page, Parts, Slice, Window};
use crate::row::Row;
use crate::value::Key;
use crate::view::SortOrder;

/// Shown rows, of one owner or of all.
fn rows(
    sql: Tables<'_>,
    list: Stored<'_>,
    owner: Option<Owner<'_>>,
    window: Window,
) -> Result<Vec<Row>, events::Error> {
    let Window { slice, order } = window;
    let mut select = sql.prepare_cached(&list_statement(list, owner.is_some(), order))?;
    let size = i64::try_from(slice.size).unwrap_or(i64::MAX);
    let found =
        select.query_map(params![owner, size, slice.offset()], |row| from_sql(list.view, row))?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

/// The statement of a list; one of a page's order is read through its index without sorting.
pub(super) fn list_statement(list: Stored<'_>, owned: bool, order: SortOrder) -> String {
    let Stored { view, statements } = list;
    let direction = if order.descending { "DESC" } else { "ASC" };
    // The key decides between equals, so that a row is on one slice and not on two.
    let first = if order.column == view.key {
        String::new()
    } else {
        format!("\"{}\" {direction}, ", view.columns[order.column])
    };
    format!(
        "SELECT {} FROM {} WHERE {} ORDER BY {first}\"{}\" {direction} LIMIT ?2 OFFSET ?3",
        statements.columns,
        statements.table,
        shown(owned),
        view.columns[view.key],
    )
}

fn shown(owned: bool) -> &'static str {
    if owned { "_owner = ?1 AND _created = 1" } else { "?1 IS NULL AND _created = 1" }
}

/// How many rows are shown, of one owner or of all.
fn total(
    sql: Tables<'_>,
    list: Stored<'_>,
    owner: Option<Owner<'_>>,
) -> Result<u64, events::Error> {
    let (table, shown) = (&list.statements.table, shown(owner.is_some()));
    let statement = format!("SELECT count(*) FROM {table} WHERE {shown}");
    let total: i64 = sql.prepare_cached(&statement)?.query_row([owner], |row| row.get(0))?;
    Ok(total.cast_unsigned())
}

/// All that a page shows: a slice of `list`, and of `head` the owner's one row.
pub(crate) fn parts<'p>(
    sql: Tables<'_>,
    page: &Page,
    list: Stored<'_>,
    head: Option<Stored<'_>>,
    named: &'p str,
    slice: Slice,
) -> Result<Parts<'p>, events::Error> {
    let Some(known) = feed::find(sql, page.index, page.owners.meant(named))? else {
        return Ok(Parts { owner: named, version: 0, sequence: 0, head: None, rows: Vec::new() });
    };
    let head = match head {
        Some(head) => head.load(sql, &Key::from_owner(known.owner))?,
        None => None,
    };
    let window = Window { slice, order: page.order };
    Ok(Parts {
        owner: named,
        version: known.version.version,
        sequence: known.version.position,
        head,
        rows: rows(sql, list, Some(known.owner), window)?,
    })
}

/// A page's rows, of whom a text means there or of everybody.
pub(crate) fn of_page(
    sql: Tables<'_>,
    list: Stored<'_>,
    page: &Page,
    named: Option<&str>,
    slice: Slice,
) -> Result<Listed<Row>, events::Error> {
    let owner = match named {
        None => None,
        Some(named) => match feed::find(sql, page.index, page.owners.meant(named))? {
            Some(OwnerVersion { owner, .. }) => Some(owner),
            // Nobody can be meant: that is not everybody.
            None => return Ok(Listed::none()),
        },
    };
    let rows = rows(sql, list, owner, Window { slice, order: page.order })?;
    Ok(Listed { rows, total: total(sql, list, owner)? })
}

/// A view's rows of the first of those meant who has any.
pub(crate) fn of_view(
    sql: Tables<'_>,
    list: Stored<'_>,
    meant: Meant<'_>,
    window: Window,
) -> Result<Listed<Row>, events::Error> {
    for owner in meant.all() {
        let total = total(sql, list, Some(owner))?;
        if total > 0 {
            return Ok(Listed { rows: rows(sql, list, Some(owner), window)?, total });
        }
    }
    Ok(Listed::none())
}

/// The row whose key is written so: as text, or as the whole number it is.
pub(crate) fn named(
    sql: Tables<'_>,
    list: Stored<'_>,
    key: &str,
) -> Result<Option<Row>, events::Error> {
    if let Some(row) = list.load(sql, &Key::Text(key.into()))? {
        return Ok(Some(row));
    }
    match key.parse::<i64>() {
        Ok(number) if number.to_string() == key => list.load(sql, &Key::Int(number)),
        _ => Ok(None),
    }
}
