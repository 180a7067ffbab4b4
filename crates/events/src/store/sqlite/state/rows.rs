//! A transaction's rows on this engine: statements with values, rows with columns.
//!
//! Every statement is prepared once a connection. All of it is done when the call returns: a future here is
//! ready at its first poll, so that a piece of work is one call of the writing thread.

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, Params, ToSql, params_from_iter};

use crate::error::Error;
use crate::skipped::Skipped;
use crate::store::sqlite::skipped;
use crate::store::value::{Bind, Column, Value};

/// The rows of a database as one transaction sees them: what a read and a write have in common.
///
/// Statements are SQL that every engine speaks (`ON CONFLICT`, `RETURNING`), with `?1`, `?2` … for values.
///
/// ```
/// use yeoul_events::Error;
/// use yeoul_events::store::Rows;
///
/// /// What is left of a product; `None` if there is none of that name.
/// async fn stock(rows: &mut Rows<'_>, name: &str) -> Result<Option<u32>, Error> {
///     rows.find("SELECT stock FROM product WHERE name = ?1", &[&name], |row| row.get(0)).await
/// }
/// ```
pub struct Rows<'t> {
    connection: &'t mut Connection,
}

/// One row of an answer.
pub struct Row<'r>(&'r rusqlite::Row<'r>);

/// Which column of a row: its number from 0, or its name.
pub trait At: Copy {
    /// The column's number in this row.
    #[doc(hidden)]
    fn number(self, row: &Row<'_>) -> Result<usize, Error>;
}

impl At for usize {
    fn number(self, _: &Row<'_>) -> Result<usize, Error> {
        Ok(self)
    }
}

impl At for &str {
    fn number(self, row: &Row<'_>) -> Result<usize, Error> {
        Ok(row.0.as_ref().column_index(self)?)
    }
}

impl Row<'_> {
    /// A column of it.
    ///
    /// # Errors
    /// [`Error::Statement`]: there is no such column, or what it holds is no `T`. [`Error::Decode`]: it is
    /// text and not UTF-8.
    pub fn get<T: Column>(&self, at: impl At) -> Result<T, Error> {
        let number = at.number(self)?;
        T::read(self.value(number)?).map_err(|what| {
            let name = self.0.as_ref().column_name(number).unwrap_or_default();
            Error::Statement { what: format!("{what} in column {name}") }
        })
    }

    /// A column of text as what it stands for: one of a few words, a document.
    ///
    /// # Errors
    /// [`Error::Statement`]: there is no such column, or its text stands for nothing. [`Error::Decode`]: it
    /// is not UTF-8.
    pub fn parse<T>(&self, at: impl At, parse: impl FnOnce(&str) -> Option<T>) -> Result<T, Error> {
        let number = at.number(self)?;
        let parsed = match self.value(number)? {
            Value::Text(text) => parse(text),
            _ => None,
        };
        parsed.ok_or_else(|| {
            let name = self.0.as_ref().column_name(number).unwrap_or_default();
            Error::Statement { what: format!("an unknown word in column {name}") }
        })
    }

    /// A column as it is stored: for whoever reads what may be hurt.
    ///
    /// # Errors
    /// [`Error::Statement`]: there is no such column. [`Error::Decode`]: it is text and not UTF-8.
    pub fn value(&self, number: usize) -> Result<Value<'_>, Error> {
        Ok(match self.0.get_ref(number)? {
            ValueRef::Null => Value::Null,
            ValueRef::Integer(integer) => Value::Integer(integer),
            ValueRef::Real(real) => Value::Real(real),
            ValueRef::Text(text) => Value::Text(std::str::from_utf8(text).map_err(Error::decode)?),
            ValueRef::Blob(bytes) => Value::Blob(bytes),
        })
    }

    /// A column's bytes, whether they are text or not; none of a number.
    pub(crate) fn bytes(&self, number: usize) -> Result<&[u8], Error> {
        Ok(match self.0.get_ref(number)? {
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes,
            _ => &[],
        })
    }
}

impl<'t> Rows<'t> {
    pub(in crate::store::sqlite) fn new(connection: &'t mut Connection) -> Rows<'t> {
        Rows { connection }
    }

    /// The engine's own connection, for a `store` that says what only this engine understands. Leave
    /// transactions and savepoints to the transaction.
    pub fn sqlite(&self) -> &Connection {
        self.connection
    }

    /// Runs a statement; how many rows it changed.
    ///
    /// # Errors
    /// [`Error::Statement`]: a broken constraint, or a mistake in it. [`Error::Environment`].
    pub async fn execute(&mut self, statement: &str, values: &[&dyn Bind]) -> Result<u64, Error> {
        let mut prepared = self.connection.prepare_cached(statement)?;
        Ok(prepared.execute(given(values))? as u64)
    }

    /// The first row of an answer, if there is any.
    ///
    /// # Errors
    /// As of [`execute`](Self::execute), and what `read` refuses.
    pub async fn find<T, E: From<Error>>(
        &mut self,
        select: &str,
        values: &[&dyn Bind],
        read: impl FnOnce(&Row<'_>) -> Result<T, E> + Send,
    ) -> Result<Option<T>, E> {
        let mut prepared = self.connection.prepare_cached(select).map_err(Error::from)?;
        let mut rows = prepared.query(given(values)).map_err(Error::from)?;
        let Some(row) = rows.next().map_err(Error::from)? else { return Ok(None) };
        read(&Row(row)).map(Some)
    }

    /// The one row of an answer that always has one: a count, an insert that returns its id.
    ///
    /// # Errors
    /// As of [`find`](Self::find); [`Error::Statement`] where there is none.
    pub async fn one<T, E: From<Error>>(
        &mut self,
        select: &str,
        values: &[&dyn Bind],
        read: impl FnOnce(&Row<'_>) -> Result<T, E> + Send,
    ) -> Result<T, E> {
        let found = self.find(select, values, read).await?;
        let none = || Error::Statement { what: format!("no row: {select}") };
        found.ok_or_else(|| E::from(none()))
    }

    /// Every row of an answer, in its order: give the statement a `LIMIT`.
    ///
    /// # Errors
    /// As of [`find`](Self::find).
    pub async fn all<T: Send, E: From<Error>>(
        &mut self,
        select: &str,
        values: &[&dyn Bind],
        mut read: impl FnMut(&Row<'_>) -> Result<T, E> + Send,
    ) -> Result<Vec<T>, E> {
        let mut all = Vec::new();
        let push = |row: &Row<'_>| {
            all.push(read(row)?);
            Ok::<_, E>(())
        };
        self.each(select, values, push).await?;
        Ok(all)
    }

    /// Shows every row of an answer, one at a time, until `show` refuses one.
    ///
    /// # Errors
    /// As of [`find`](Self::find).
    pub async fn each<E: From<Error>>(
        &mut self,
        select: &str,
        values: &[&dyn Bind],
        mut show: impl FnMut(&Row<'_>) -> Result<(), E> + Send,
    ) -> Result<(), E> {
        let mut prepared = self.connection.prepare_cached(select).map_err(Error::from)?;
        let mut rows = prepared.query(given(values)).map_err(Error::from)?;
        while let Some(row) = rows.next().map_err(Error::from)? {
            show(&Row(row))?;
        }
        Ok(())
    }
}

impl Rows<'_> {
    /// Every note on what was stepped over under this name, oldest first.
    pub(crate) async fn notes(&mut self, name: &str) -> Result<Vec<Skipped>, Error> {
        skipped::all(self.connection, name)
    }
}

/// A value as the engine takes it.
struct Given<'v>(&'v dyn Bind);

fn given<'v>(values: &'v [&dyn Bind]) -> impl Params + 'v {
    params_from_iter(values.iter().map(|value| Given(*value)))
}

impl ToSql for Given<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let refused = |error: Error| rusqlite::Error::ToSqlConversionFailure(error.into());
        Ok(ToSqlOutput::Borrowed(match self.0.bind().map_err(refused)? {
            Value::Null => ValueRef::Null,
            Value::Integer(integer) => ValueRef::Integer(integer),
            Value::Real(real) => ValueRef::Real(real),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}
