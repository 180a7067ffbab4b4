//! A slice of a table, and the count of what it is a slice of.

use chassis::http::hal::Slice;
use events::Error;
use events::store::{Bind, Row, Rows};

use crate::listed::Listed;

/// Where the rows of a list come from.
pub(crate) struct Selection<'q> {
    pub(crate) table: &'static str,
    /// A condition on every row, if there is one.
    pub(crate) standing: Option<&'static str>,
    /// All rows where there is none.
    pub(crate) narrowed: Option<Narrowing<'q>>,
}

/// A column, and what it has to be.
#[derive(Clone, Copy)]
pub(crate) struct Narrowing<'q> {
    pub(crate) column: &'static str,
    pub(crate) value: &'q str,
}

impl Selection<'_> {
    /// The slice, by id.
    pub(crate) async fn list<T: Send>(
        &self,
        rows: &mut Rows<'_>,
        slice: Slice,
        read: fn(&Row<'_>) -> Result<T, Error>,
    ) -> Result<Listed<T>, Error> {
        let from = self.from();
        let value = self.narrowed.as_ref().map(|it| &it.value as &dyn Bind);
        let mut values: Vec<&dyn Bind> = value.into_iter().collect();
        let count = format!("SELECT count(*) FROM {from}");
        let total = rows.one(&count, &values, |row| row.get::<u64>(0)).await?;
        let (limit, offset) = (values.len() + 1, values.len() + 2);
        let select = format!("SELECT * FROM {from} ORDER BY id LIMIT ?{limit} OFFSET ?{offset}");
        let at = slice.offset();
        values.extend([&slice.size as &dyn Bind, &at]);
        let items = rows.all(&select, &values, read).await?;
        Ok(Listed { items, total })
    }

    /// The table with its conditions. A value that is there for nothing has no type that every engine knows.
    fn from(&self) -> String {
        let standing = self.standing.map(str::to_owned);
        let narrowed = self.narrowed.map(|it| format!("{} = ?1", it.column));
        let conditions: Vec<String> = standing.into_iter().chain(narrowed).collect();
        match conditions.is_empty() {
            true => self.table.to_owned(),
            false => format!("{} WHERE {}", self.table, conditions.join(" AND ")),
        }
    }
}
