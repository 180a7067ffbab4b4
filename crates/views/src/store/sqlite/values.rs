//! Values and keys as the engine knows them.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};

use crate::owner::Owner;
use crate::value::{Key, Value};

const FALSE: &[u8] = &[0];
const TRUE: &[u8] = &[1];

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Null => ValueRef::Null,
            Value::Bool(false) => ValueRef::Blob(FALSE),
            Value::Bool(true) => ValueRef::Blob(TRUE),
            Value::Int(number) => ValueRef::Integer(*number),
            Value::Float(number) => ValueRef::Real(*number),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
        }))
    }
}

impl FromSql for Value {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Value> {
        match value {
            ValueRef::Null => Ok(Value::Null),
            ValueRef::Integer(number) => Ok(Value::Int(number)),
            ValueRef::Real(number) => Ok(Value::Float(number)),
            ValueRef::Text(_) => Ok(Value::Text(value.as_str()?.into())),
            ValueRef::Blob(FALSE) => Ok(Value::Bool(false)),
            ValueRef::Blob(TRUE) => Ok(Value::Bool(true)),
            ValueRef::Blob(_) => Err(FromSqlError::InvalidType),
        }
    }
}

impl ToSql for Key {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Key::Int(number) => ValueRef::Integer(*number),
            Key::Text(text) => ValueRef::Text(text.as_bytes()),
        }))
    }
}

impl ToSql for Owner<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Owner::Number(number) => ValueRef::Integer(*number),
            Owner::Text(text) => ValueRef::Text(text.as_bytes()),
        }))
    }
}
