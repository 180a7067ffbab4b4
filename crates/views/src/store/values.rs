//! Values and keys as statements are given them, and rows give them back.
//!
//! A column holds whatever was written, and its type says what: a truth value is a blob of one byte, the one
//! shape that nothing else here needs.

use events::store::{Bind, Column, Value as Stored};

use crate::owner::Owner;
use crate::value::{Key, Value};

const FALSE: &[u8] = &[0];
const TRUE: &[u8] = &[1];

impl Bind for Value {
    fn bind(&self) -> Result<Stored<'_>, events::Error> {
        Ok(match self {
            Value::Null => Stored::Null,
            Value::Bool(false) => Stored::Blob(FALSE),
            Value::Bool(true) => Stored::Blob(TRUE),
            Value::Int(number) => Stored::Integer(*number),
            Value::Float(number) => Stored::Real(*number),
            Value::Text(text) => Stored::Text(text),
        })
    }
}

impl Column for Value {
    fn read(value: Stored<'_>) -> Result<Value, &'static str> {
        match value {
            Stored::Null => Ok(Value::Null),
            Stored::Integer(number) => Ok(Value::Int(number)),
            Stored::Real(number) => Ok(Value::Float(number)),
            Stored::Text(text) => Ok(Value::Text(text.into())),
            Stored::Blob(FALSE) => Ok(Value::Bool(false)),
            Stored::Blob(TRUE) => Ok(Value::Bool(true)),
            Stored::Blob(_) => Err("bytes that are no truth value"),
        }
    }
}

impl Bind for Key {
    fn bind(&self) -> Result<Stored<'_>, events::Error> {
        Ok(match self {
            Key::Int(number) => Stored::Integer(*number),
            Key::Text(text) => Stored::Text(text),
        })
    }
}

impl Bind for Owner<'_> {
    fn bind(&self) -> Result<Stored<'_>, events::Error> {
        Ok(match self {
            Owner::Number(number) => Stored::Integer(*number),
            Owner::Text(text) => Stored::Text(text),
        })
    }
}
