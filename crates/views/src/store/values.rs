//! Values and keys as statements are given them, and rows give them back.
//!
//! A column holds whatever was written: null, a truth value, a number or text, each come back as what it was. Where
//! an engine's columns take any value, it is written as it is, and a truth value as a blob of one byte, the one
//! shape that nothing else here needs. Where each column is of one type, values are packed into bytes that sort as
//! the values do on the other kind of engine: nothing, numbers by what they are worth, text by its bytes, truth
//! values.
//!
//! | packed | first byte | then |
//! |---|---|---|
//! | null | 2 | |
//! | a number | 3 | its nearest float, in eight bytes that sort; 0 and the whole number, or 1 and the float |
//! | text | 4 | UTF-8 |
//! | a truth value | 5 | 0 or 1 |

use events::store::{Bind, Column, Rows, Value as Plain};

use crate::owner::Owner;
use crate::value::{Key, Value};

const FALSE: &[u8] = &[0];
const TRUE: &[u8] = &[1];

const NULL: u8 = 2;
const NUMBER: u8 = 3;
const TEXT: u8 = 4;
const TRUTH: u8 = 5;
const WHOLE: u8 = 0;
const FLOAT: u8 = 1;

const SIGN: u64 = 1 << 63;

/// A value as the statement of an engine is given it.
pub(super) enum Parameter<'v> {
    Plain(Plain<'v>),
    Packed(Vec<u8>),
}

impl<'v> Parameter<'v> {
    /// For a statement that is run on these rows.
    pub(super) fn of(rows: &Rows<'_>, value: impl Into<Plain<'v>>) -> Parameter<'v> {
        let plain = value.into();
        if rows.columns_are_typed() {
            Parameter::Packed(pack(plain))
        } else {
            Parameter::Plain(plain)
        }
    }
}

impl Bind for Parameter<'_> {
    fn bind(&self) -> Result<Plain<'_>, events::Error> {
        Ok(match self {
            Parameter::Plain(plain) => *plain,
            Parameter::Packed(bytes) => Plain::Blob(bytes),
        })
    }
}

impl<'v> From<&'v Value> for Plain<'v> {
    fn from(value: &'v Value) -> Plain<'v> {
        match value {
            Value::Null => Plain::Null,
            Value::Bool(false) => Plain::Blob(FALSE),
            Value::Bool(true) => Plain::Blob(TRUE),
            Value::Int(number) => Plain::Integer(*number),
            Value::Float(number) => Plain::Real(*number),
            Value::Text(text) => Plain::Text(text),
        }
    }
}

impl<'v> From<&'v Key> for Plain<'v> {
    fn from(key: &'v Key) -> Plain<'v> {
        key.as_owner().into()
    }
}

impl<'v> From<Owner<'v>> for Plain<'v> {
    fn from(owner: Owner<'v>) -> Plain<'v> {
        match owner {
            Owner::Number(number) => Plain::Integer(number),
            Owner::Text(text) => Plain::Text(text),
        }
    }
}

impl Column for Value {
    fn read(value: Plain<'_>) -> Result<Value, &'static str> {
        match value {
            Plain::Null => Ok(Value::Null),
            Plain::Integer(number) => Ok(Value::Int(number)),
            Plain::Real(number) => Ok(Value::Float(number)),
            Plain::Text(text) => Ok(Value::Text(text.into())),
            Plain::Blob(FALSE) => Ok(Value::Bool(false)),
            Plain::Blob(TRUE) => Ok(Value::Bool(true)),
            Plain::Blob(bytes) => unpack(bytes).ok_or("bytes that are no value"),
        }
    }
}

fn pack(plain: Plain<'_>) -> Vec<u8> {
    match plain {
        Plain::Null => vec![NULL],
        Plain::Integer(number) => {
            // Whole numbers that meet in one float are told apart by themselves, in their order.
            let exact = number.cast_unsigned() ^ SIGN;
            packed_number(number as f64, WHOLE, exact)
        }
        Plain::Real(number) => packed_number(number, FLOAT, sorted(number)),
        Plain::Text(text) => [&[TEXT], text.as_bytes()].concat(),
        Plain::Blob(truth) => [&[TRUTH], truth].concat(),
    }
}

fn packed_number(worth: f64, kind: u8, exact: u64) -> Vec<u8> {
    let (worth, exact) = (sorted(worth).to_be_bytes(), exact.to_be_bytes());
    [&[NUMBER], &worth[..], &[kind], &exact[..]].concat()
}

/// A float's bits, so that they sort as floats do.
fn sorted(number: f64) -> u64 {
    let bits = number.to_bits();
    if bits & SIGN == 0 { bits | SIGN } else { !bits }
}

fn unsorted(bits: u64) -> f64 {
    f64::from_bits(if bits & SIGN == 0 { !bits } else { bits & !SIGN })
}

fn unpack(bytes: &[u8]) -> Option<Value> {
    match bytes.split_first()? {
        (&NULL, []) => Some(Value::Null),
        (&NUMBER, rest) => {
            let (_worth, rest) = rest.split_first_chunk::<8>()?;
            let (kind, exact) = rest.split_first()?;
            let exact = u64::from_be_bytes(exact.try_into().ok()?);
            match *kind {
                WHOLE => Some(Value::Int((exact ^ SIGN).cast_signed())),
                FLOAT => Some(Value::Float(unsorted(exact))),
                _ => None,
            }
        }
        (&TEXT, text) => Some(Value::Text(std::str::from_utf8(text).ok()?.into())),
        (&TRUTH, [0]) => Some(Value::Bool(false)),
        (&TRUTH, [1]) => Some(Value::Bool(true)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In the order in which rows are listed.
    fn values() -> Vec<Value> {
        let numbers = [
            Value::Float(-1.797_693_134_862_315_7e308),
            Value::Int(i64::MIN),
            Value::Int(i64::MIN + 1),
            Value::Float(-2.5),
            Value::Int(-1),
            Value::Float(-5e-324),
            Value::Int(0),
            Value::Float(5e-324),
            Value::Int(1),
            Value::Float(1.5),
            Value::Int(2),
            Value::Int((1 << 53) + 1),
            Value::Int((1 << 53) + 2),
            Value::Int(i64::MAX - 1),
            Value::Int(i64::MAX),
            Value::Float(1.797_693_134_862_315_7e308),
        ];
        let texts = ["", "0", "A", "a", "aa", "b", "여울"].map(|text| Value::Text(text.into()));
        let truths = [Value::Bool(false), Value::Bool(true)];
        [vec![Value::Null], numbers.to_vec(), texts.to_vec(), truths.to_vec()].concat()
    }

    #[test]
    fn packed_values_come_back_and_sort_as_they_are_listed() {
        let packed: Vec<_> = values().iter().map(|value| pack(value.into())).collect();
        assert!(packed.is_sorted_by(|one, next| one < next), "{packed:?}");
        for (value, bytes) in values().into_iter().zip(&packed) {
            assert_eq!(Value::read(Plain::Blob(bytes)), Ok(value));
        }
    }

    #[test]
    fn a_whole_number_and_the_float_that_is_worth_as_much_are_two_values() {
        assert_ne!(pack((&Value::Int(1)).into()), pack((&Value::Float(1.0)).into()));
    }

    #[test]
    fn values_are_read_as_they_are_where_columns_take_any() {
        for value in values() {
            assert_eq!(Value::read((&value).into()), Ok(value.clone()));
        }
    }

    #[test]
    fn bytes_that_are_no_value_are_refused() {
        let hurt: [&[u8]; 8] =
            [&[], &[2, 0], &[3], &[3, 0, 0, 0, 0, 0, 0, 0, 0, 2], &[4, 255], &[5], &[5, 2], &[9]];
        for bytes in hurt {
            assert!(Value::read(Plain::Blob(bytes)).is_err(), "{bytes:?}");
        }
    }
}
