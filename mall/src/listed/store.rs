//! A slice of a table, and the count of what it is a slice of.

use chassis::http::hal::Slice;
use events::Error;
use events::store::{Row, Rows};

use crate::listed::Listed;

/// Where the rows of a list come from.
pub(crate) struct Selection<'q> {
    pub(crate) table: &'static str,
    /// The condition on a row, with `value` as `?1`.
    pub(crate) narrowed: &'static str,
    pub(crate) value: Option<&'q str>,
}

impl Selection<'_> {
    /// The slice, by id.
    pub(crate) async fn list<T: Send>(
        &self,
        rows: &mut Rows<'_>,
        slice: Slice,
        read: fn(&Row<'_>) -> Result<T, Error>,
    ) -> Result<Listed<T>, Error> {
        let Selection { table, narrowed, value } = self;
        let count = format!("SELECT count(*) FROM {table} WHERE {narrowed}");
        let total = rows.one(&count, &[value], |row| row.get::<u64>(0)).await?;
        let select =
            format!("SELECT * FROM {table} WHERE {narrowed} ORDER BY id LIMIT ?2 OFFSET ?3");
        let items = rows.all(&select, &[value, &slice.size, &slice.offset()], read).await?;
        Ok(Listed { items, total })
    }
}
