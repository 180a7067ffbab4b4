//! Statements of this engine with values, and the rows of their answers.
//!
//! Every statement is prepared once a connection. It knows no table: whoever calls says what is read and written.

use std::cell::Cell;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, Params, ToSql, params_from_iter};

use crate::error::Error;
use crate::store::value::{Bind, Value};

/// One row of an answer.
pub(crate) struct Row<'r> {
    columns: &'r rusqlite::Row<'r>,
    /// The one behind the column that was asked for last by its name: columns are read in their order, and looking
    /// through all names for each was a twelfth of what taking an order computed.
    next: Cell<usize>,
}

impl<'r> Row<'r> {
    fn of(columns: &'r rusqlite::Row<'r>) -> Row<'r> {
        Row { columns, next: Cell::new(0) }
    }
}

impl Row<'_> {
    /// The number of the column of this name.
    pub(crate) fn number(&self, name: &str) -> Result<usize, Error> {
        let (statement, next) = (self.columns.as_ref(), self.next.get());
        let is_next = statement.column_name(next).is_ok_and(|it| it.eq_ignore_ascii_case(name));
        let number = if is_next { next } else { statement.column_index(name)? };
        self.next.set(number + 1);
        Ok(number)
    }

    /// The name of the column of this number.
    pub(crate) fn name(&self, number: usize) -> &str {
        self.columns.as_ref().column_name(number).unwrap_or_default()
    }

    /// A column as it is stored.
    pub(crate) fn value(&self, number: usize) -> Result<Value<'_>, Error> {
        Ok(match self.columns.get_ref(number)? {
            ValueRef::Null => Value::Null,
            ValueRef::Integer(integer) => Value::Integer(integer),
            ValueRef::Real(real) => Value::Real(real),
            ValueRef::Text(text) => Value::Text(std::str::from_utf8(text).map_err(Error::decode)?),
            ValueRef::Blob(bytes) => Value::Blob(bytes),
        })
    }

    /// A column's bytes, whether they are text or not; none of a number.
    pub(crate) fn bytes(&self, number: usize) -> Result<&[u8], Error> {
        Ok(match self.columns.get_ref(number)? {
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes,
            _ => &[],
        })
    }
}

/// Runs a statement; how many rows it changed.
pub(crate) fn execute(
    connection: &Connection,
    statement: &str,
    values: &[&dyn Bind],
) -> Result<u64, Error> {
    let mut prepared = connection.prepare_cached(plain(statement))?;
    Ok(prepared.execute(given(values))? as u64)
}

/// The first row of an answer, if there is any.
pub(crate) fn find<T, E: From<Error>>(
    connection: &Connection,
    select: &str,
    values: &[&dyn Bind],
    read: impl FnOnce(Row<'_>) -> Result<T, E>,
) -> Result<Option<T>, E> {
    let mut prepared = connection.prepare_cached(plain(select)).map_err(Error::from)?;
    let mut rows = prepared.query(given(values)).map_err(Error::from)?;
    let Some(row) = rows.next().map_err(Error::from)? else { return Ok(None) };
    read(Row::of(row)).map(Some)
}

/// Shows every row of an answer, one at a time, until `show` refuses one.
pub(crate) fn each<E: From<Error>>(
    connection: &Connection,
    select: &str,
    values: &[&dyn Bind],
    mut show: impl FnMut(Row<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let mut prepared = connection.prepare_cached(plain(select)).map_err(Error::from)?;
    let mut rows = prepared.query(given(values)).map_err(Error::from)?;
    while let Some(row) = rows.next().map_err(Error::from)? {
        show(Row::of(row))?;
    }
    Ok(())
}

/// The statement without what it says to other writers: here there are none.
fn plain(statement: &str) -> &str {
    statement.strip_suffix("FOR UPDATE").unwrap_or(statement)
}

/// A value as the engine takes it.
struct Bound<'v>(&'v dyn Bind);

fn given<'v>(values: &'v [&dyn Bind]) -> impl Params + 'v {
    params_from_iter(values.iter().map(|value| Bound(*value)))
}

impl ToSql for Bound<'_> {
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
