//! A slice of a table, and the count of what it is a slice of.

use chassis::http::hal::Slice;
use events::Error;
use rusqlite::{Connection, Row, params};

use crate::listed::Listed;

/// Where the rows of a list come from.
pub(crate) struct Rows<'q> {
    pub(crate) table: &'static str,
    /// The condition on a row, with `value` as `?1`.
    pub(crate) narrowed: &'static str,
    pub(crate) value: Option<&'q str>,
}

impl Rows<'_> {
    /// The slice, by id.
    pub(crate) fn list<T>(
        &self,
        connection: &Connection,
        slice: Slice,
        read: fn(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Listed<T>, Error> {
        let Rows { table, narrowed, value } = self;
        let count = format!("SELECT count(*) FROM {table} WHERE {narrowed}");
        let total = connection.prepare_cached(&count)?.query_row([value], |row| row.get(0))?;
        let select =
            format!("SELECT * FROM {table} WHERE {narrowed} ORDER BY id LIMIT ?2 OFFSET ?3");
        let mut select = connection.prepare_cached(&select)?;
        let rows = select.query_map(params![value, slice.size, slice.offset()], read)?;
        Ok(Listed { items: rows.collect::<Result<_, _>>()?, total })
    }
}
