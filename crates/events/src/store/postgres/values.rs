//! Values on their way in and out: each by the type that the server has for its place.
//!
//! A statement is prepared without types first, and the server says what it takes each value for; so a value is
//! written as that, and nothing at all needs no type of its own.

use sqlx::postgres::{PgArguments, PgRow, PgTypeInfo, PgValueFormat};
use sqlx::{Arguments, Row as _, TypeInfo, ValueRef};

use super::trouble;
use crate::error::Error;
use crate::store::value::{Bind, Value};

/// One row of an answer.
pub(in crate::store) struct Row<'r>(pub(super) &'r PgRow);

impl Row<'_> {
    /// The number of the column of this name.
    pub(in crate::store) fn number(&self, name: &str) -> Result<usize, Error> {
        self.0.try_column(name).map(sqlx::Column::ordinal).map_err(trouble::from)
    }

    /// The name of the column of this number.
    pub(in crate::store) fn name(&self, number: usize) -> &str {
        self.0.try_column(number).map(sqlx::Column::name).unwrap_or_default()
    }

    /// A column as it is stored.
    pub(in crate::store) fn value(&self, number: usize) -> Result<Value<'_>, Error> {
        let raw = self.0.try_get_raw(number).map_err(trouble::from)?;
        if raw.is_null() {
            return Ok(Value::Null);
        }
        let is_binary = raw.format() == PgValueFormat::Binary;
        let kind = raw.type_info().into_owned();
        let bytes = raw.as_bytes().map_err(Error::decode)?;
        let value = if is_binary { read(kind.name(), bytes) } else { None };
        value.ok_or_else(|| Error::Statement {
            what: format!(
                "a {} that nothing is read from in column {}",
                kind.name(),
                self.name(number)
            ),
        })
    }

    /// A column's bytes, whether they are text or not; none of a number.
    pub(in crate::store) fn bytes(&self, number: usize) -> Result<&[u8], Error> {
        Ok(match self.value(number)? {
            Value::Text(text) => text.as_bytes(),
            Value::Blob(bytes) => bytes,
            _ => &[],
        })
    }
}

/// What the engine's bytes of a type say; `None` of a type that the common words do not have.
fn read<'v>(kind: &str, bytes: &'v [u8]) -> Option<Value<'v>> {
    Some(match kind {
        "INT8" => Value::Integer(i64::from_be_bytes(bytes.try_into().ok()?)),
        "INT4" => Value::Integer(i32::from_be_bytes(bytes.try_into().ok()?).into()),
        "INT2" => Value::Integer(i16::from_be_bytes(bytes.try_into().ok()?).into()),
        "BOOL" => Value::Integer((bytes != [0]).into()),
        "FLOAT8" => Value::Real(f64::from_be_bytes(bytes.try_into().ok()?)),
        "FLOAT4" => Value::Real(f32::from_be_bytes(bytes.try_into().ok()?).into()),
        "TEXT" | "VARCHAR" | "BPCHAR" | "NAME" => Value::Text(std::str::from_utf8(bytes).ok()?),
        "BYTEA" => Value::Blob(bytes),
        _ => return None,
    })
}

/// The values as the server takes each of them.
pub(super) fn arguments(kinds: &[PgTypeInfo], values: &[&dyn Bind]) -> Result<PgArguments, Error> {
    if kinds.len() != values.len() {
        let what = format!("{} values were given, {} are asked for", values.len(), kinds.len());
        return Err(Error::Statement { what });
    }
    let mut arguments = PgArguments::default();
    for (at, (kind, value)) in kinds.iter().zip(values).enumerate() {
        add(&mut arguments, kind.name(), value.bind()?)
            .map_err(|what| Error::Statement { what: format!("value {}: {what}", at + 1) })?;
    }
    Ok(arguments)
}

/// Adds a value as one of this type; what is wrong with it, in words.
fn add(arguments: &mut PgArguments, kind: &str, value: Value<'_>) -> Result<(), String> {
    let small = |integer: i64| {
        i32::try_from(integer).map_err(|_| format!("{integer} is out of the column's range"))
    };
    let added = match (kind, value) {
        (_, Value::Null) => arguments.add(None::<i64>),
        ("INT8", Value::Integer(integer)) => arguments.add(integer),
        ("INT4", Value::Integer(integer)) => arguments.add(small(integer)?),
        ("INT2", Value::Integer(integer)) => arguments.add(
            i16::try_from(integer)
                .map_err(|_| format!("{integer} is out of the column's range"))?,
        ),
        ("BOOL", Value::Integer(integer)) => arguments.add(integer != 0),
        ("FLOAT8", Value::Real(real)) => arguments.add(real),
        ("FLOAT8", Value::Integer(integer)) => arguments.add(integer as f64),
        ("TEXT" | "VARCHAR" | "BPCHAR" | "NAME", Value::Text(text)) => arguments.add(text),
        ("BYTEA", Value::Blob(bytes)) => arguments.add(bytes),
        _ => return Err(format!("it cannot be a {kind}")),
    };
    added.map_err(|error| error.to_string())
}
