//! Lists and pages: each read in one moment, bounded by its slice.

use events::store::{Bind, Rows};

use super::feed::{self, OwnerVersion};
use super::rows::{self, ViewTable};
use super::values::Parameter;
use crate::owner::{Meant, Owner};
use crate::page::{Listed, Page, Parts, Slice, SortedSlice};
use crate::row::Row;
use crate::value::Key;
use crate::view::SortOrder;

/// Shown rows, of one owner or of all.
async fn shown(
    rows: &mut Rows<'_>,
    list: ViewTable<'_>,
    owner: Option<Owner<'_>>,
    slice: SortedSlice,
) -> Result<Vec<Row>, events::Error> {
    let SortedSlice { slice, order } = slice;
    let select = list_statement(list, owner.is_some(), order);
    let (size, offset) = (slice.size, slice.offset());
    let owner = owner.map(|owner| Parameter::of(rows, owner));
    let mut values: Vec<&dyn Bind> = vec![&size, &offset];
    values.extend(owner.iter().map(|owner| owner as &dyn Bind));
    rows.all(&select, &values, |row| rows::read(list.view, row)).await
}

/// The statement of a list; one of a page's order is read through its index without sorting.
pub(super) fn list_statement(list: ViewTable<'_>, owned: bool, order: SortOrder) -> String {
    let ViewTable { view, statements } = list;
    let direction = if order.descending { "DESC" } else { "ASC" };
    // The key decides between equals, so that a row is on one slice and not on two.
    let first = if order.column == view.key {
        String::new()
    } else {
        format!("\"{}\" {direction}, ", view.columns[order.column])
    };
    format!(
        "SELECT {} FROM {} WHERE {} ORDER BY {first}\"{}\" {direction} LIMIT ?1 OFFSET ?2",
        statements.columns,
        statements.table,
        narrowed(owned, 3),
        view.columns[view.key],
    )
}

/// That a row is shown, and whose it is, where that is the value of this number.
fn narrowed(owned: bool, number: usize) -> String {
    let whose = if owned { format!("_owner = ?{number} AND ") } else { String::new() };
    format!("{whose}_created = 1")
}

/// How many rows are shown, of one owner or of all.
async fn total(
    rows: &mut Rows<'_>,
    list: ViewTable<'_>,
    owner: Option<Owner<'_>>,
) -> Result<u64, events::Error> {
    let (table, narrowed) = (&list.statements.table, narrowed(owner.is_some(), 1));
    let select = format!("SELECT count(*) FROM {table} WHERE {narrowed}");
    let owner = owner.map(|owner| Parameter::of(rows, owner));
    let values: Vec<&dyn Bind> = owner.iter().map(|owner| owner as &dyn Bind).collect();
    rows.one(&select, &values, |row| row.get(0)).await
}

/// All that a page shows: a slice of `list`, and of `head` the owner's one row.
pub(crate) async fn parts<'p>(
    rows: &mut Rows<'_>,
    page: &Page,
    list: ViewTable<'_>,
    head: Option<ViewTable<'_>>,
    named: &'p str,
    slice: Slice,
) -> Result<Parts<'p>, events::Error> {
    let Some(known) = feed::find(rows, page.index, page.owners.meant(named)).await? else {
        return Ok(Parts { owner: named, version: 0, sequence: 0, head: None, rows: Vec::new() });
    };
    let head = match head {
        Some(head) => head.load(rows, &Key::from_owner(known.owner)).await?,
        None => None,
    };
    let slice = SortedSlice { slice, order: page.order };
    Ok(Parts {
        owner: named,
        version: known.version.version,
        sequence: known.version.position,
        head,
        rows: shown(rows, list, Some(known.owner), slice).await?,
    })
}

/// A page's rows, of whom a text means there or of everybody.
pub(crate) async fn of_page(
    rows: &mut Rows<'_>,
    list: ViewTable<'_>,
    page: &Page,
    named: Option<&str>,
    slice: Slice,
) -> Result<Listed<Row>, events::Error> {
    let owner = match named {
        None => None,
        Some(named) => match feed::find(rows, page.index, page.owners.meant(named)).await? {
            Some(OwnerVersion { owner, .. }) => Some(owner),
            // Nobody can be meant: that is not everybody.
            None => return Ok(Listed::none()),
        },
    };
    let shown = shown(rows, list, owner, SortedSlice { slice, order: page.order }).await?;
    Ok(Listed { rows: shown, total: total(rows, list, owner).await? })
}

/// A view's rows of the first of those meant who has any.
pub(crate) async fn of_view(
    rows: &mut Rows<'_>,
    list: ViewTable<'_>,
    meant: Meant<'_>,
    slice: SortedSlice,
) -> Result<Listed<Row>, events::Error> {
    for owner in meant.all() {
        let total = total(rows, list, Some(owner)).await?;
        if total > 0 {
            return Ok(Listed { rows: shown(rows, list, Some(owner), slice).await?, total });
        }
    }
    Ok(Listed::none())
}

/// The row whose key is written so: as text, or as the whole number it is.
pub(crate) async fn named(
    rows: &mut Rows<'_>,
    list: ViewTable<'_>,
    key: &str,
) -> Result<Option<Row>, events::Error> {
    if let Some(row) = list.load(rows, &Key::Text(key.into())).await? {
        return Ok(Some(row));
    }
    match key.parse::<i64>() {
        Ok(number) if number.to_string() == key => list.load(rows, &Key::Int(number)).await,
        _ => Ok(None),
    }
}
