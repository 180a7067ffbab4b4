//! What goes into a statement and comes out of a row, in types that every engine has.
//!
//! A statement is given [`Bind`]s in the order of its `?1`, `?2` …; a [`Row`](super::Row) gives [`Column`]s back. Both
//! go through a [`Value`], which borrows: binding a text or reading a number allocates nothing.
//!
//! | in Rust | in a file | on a server |
//! |---|---|---|
//! | `u8` to `u64`, `i32`, `i64`, `usize` | `INTEGER` | `SMALLINT`, `INTEGER`, `BIGINT` |
//! | `bool` | `INTEGER`, 0 or 1 | `BOOLEAN`, or a whole number |
//! | `f64` | `REAL` | `DOUBLE PRECISION` |
//! | `str`, `String` | `TEXT` | `TEXT`, `VARCHAR` |
//! | `[u8]`, `Vec<u8>`, `[u8; N]` | `BLOB` | `BYTEA` |
//! | `Option` of these | `NULL` too | `NULL` too |
//!
//! A column of another type (the `NUMERIC` of a `sum`, say) is refused by its name: cast it in the statement, and it is
//! one of these on both engines.
//!
//! Integers are signed and of 64 bits, as engines have them. A `u64` past that is refused before the statement
//! runs, and a negative one that is read as unsigned is refused as a mistake of whoever wrote it.

use crate::error::Error;

/// One value on its way into a statement or out of a row.
///
/// Times, identifiers and amounts have no kind of their own: they are stored as whole numbers or as text, by whoever
/// knows what they mean, so that every engine keeps and compares them alike.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'v> {
    /// Nothing is known.
    Null,
    /// A whole number; a truth value is 0 or 1.
    Integer(i64),
    /// A number of floating point.
    Real(f64),
    /// Text.
    Text(&'v str),
    /// Bytes.
    Blob(&'v [u8]),
}

/// A type that a statement can be given: numbers, truth values, text, bytes, and each of them or nothing.
///
/// ```
/// use yeoul_events::store::{Bind, Value};
///
/// assert_eq!("tv".bind()?, Value::Text("tv"));
/// assert_eq!(None::<u32>.bind()?, Value::Null);
/// assert!(u64::MAX.bind().is_err(), "no engine has so large an integer");
/// # Ok::<(), yeoul_events::Error>(())
/// ```
///
/// A type of one's own says how it is kept, and is then bound and read like any other:
///
/// ```
/// use yeoul_events::Error;
/// use yeoul_events::store::{Bind, Column, Value};
///
/// #[derive(Debug, PartialEq)]
/// enum State {
///     Placed,
///     Delivered,
/// }
///
/// impl Bind for State {
///     fn bind(&self) -> Result<Value<'_>, Error> {
///         Ok(Value::Text(if *self == State::Placed { "PLACED" } else { "DELIVERED" }))
///     }
/// }
///
/// impl Column for State {
///     fn read(value: Value<'_>) -> Result<State, &'static str> {
///         match value {
///             Value::Text("PLACED") => Ok(State::Placed),
///             Value::Text("DELIVERED") => Ok(State::Delivered),
///             _ => Err("no state of an order"),
///         }
///     }
/// }
///
/// assert_eq!(State::read(State::Delivered.bind()?), Ok(State::Delivered));
/// // What an older program wrote and this one does not know is a mistake, and never another state.
/// assert!(State::read(Value::Text("LOST")).is_err());
/// # Ok::<(), Error>(())
/// ```
pub trait Bind: Sync {
    /// It as a value.
    ///
    /// # Errors
    /// [`Error::Statement`]: a number that no engine can hold.
    fn bind(&self) -> Result<Value<'_>, Error>;
}

/// A type that a column of a row can be read as: those that can be [bound](Bind), and each of them or nothing.
///
/// ```
/// use yeoul_events::store::{Column, Value};
///
/// assert_eq!(u32::read(Value::Integer(7)), Ok(7));
/// assert_eq!(Option::<u32>::read(Value::Null), Ok(None));
/// // Never another number than the one that is there.
/// assert_eq!(u8::read(Value::Integer(256)), Err("an integer out of range"));
/// assert_eq!(u32::read(Value::Text("7")), Err("no integer"));
/// ```
pub trait Column: Sized {
    /// It, if the value is one.
    ///
    /// # Errors
    /// What was expected and is not there, in words.
    fn read(value: Value<'_>) -> Result<Self, &'static str>;
}

macro_rules! integers {
    ($($integer:ty),*) => {$(
        impl Bind for $integer {
            fn bind(&self) -> Result<Value<'_>, Error> {
                let integer = i64::try_from(*self).map_err(|_| Error::Statement {
                    what: format!("{self} is past the largest integer"),
                })?;
                Ok(Value::Integer(integer))
            }
        }

        impl Column for $integer {
            fn read(value: Value<'_>) -> Result<$integer, &'static str> {
                let Value::Integer(integer) = value else { return Err("no integer") };
                <$integer>::try_from(integer).map_err(|_| "an integer out of range")
            }
        }
    )*};
}

integers!(i32, i64, u8, u16, u32, u64, usize);

impl Bind for bool {
    fn bind(&self) -> Result<Value<'_>, Error> {
        Ok(Value::Integer(i64::from(*self)))
    }
}

impl Column for bool {
    fn read(value: Value<'_>) -> Result<bool, &'static str> {
        match value {
            Value::Integer(integer) => Ok(integer != 0),
            _ => Err("no truth value"),
        }
    }
}

impl Bind for f64 {
    fn bind(&self) -> Result<Value<'_>, Error> {
        Ok(Value::Real(*self))
    }
}

impl Column for f64 {
    fn read(value: Value<'_>) -> Result<f64, &'static str> {
        match value {
            Value::Real(real) => Ok(real),
            _ => Err("no number"),
        }
    }
}

impl Bind for str {
    fn bind(&self) -> Result<Value<'_>, Error> {
        Ok(Value::Text(self))
    }
}

impl Bind for String {
    fn bind(&self) -> Result<Value<'_>, Error> {
        self.as_str().bind()
    }
}

impl Column for String {
    fn read(value: Value<'_>) -> Result<String, &'static str> {
        match value {
            Value::Text(text) => Ok(text.to_owned()),
            _ => Err("no text"),
        }
    }
}

impl Bind for [u8] {
    fn bind(&self) -> Result<Value<'_>, Error> {
        Ok(Value::Blob(self))
    }
}

impl<const N: usize> Bind for [u8; N] {
    fn bind(&self) -> Result<Value<'_>, Error> {
        self.as_slice().bind()
    }
}

impl<const N: usize> Column for [u8; N] {
    fn read(value: Value<'_>) -> Result<[u8; N], &'static str> {
        match value {
            Value::Blob(bytes) => bytes.try_into().map_err(|_| "bytes of another length"),
            _ => Err("no bytes"),
        }
    }
}

impl Bind for Vec<u8> {
    fn bind(&self) -> Result<Value<'_>, Error> {
        self.as_slice().bind()
    }
}

impl Column for Vec<u8> {
    fn read(value: Value<'_>) -> Result<Vec<u8>, &'static str> {
        match value {
            Value::Blob(bytes) => Ok(bytes.to_vec()),
            _ => Err("no bytes"),
        }
    }
}

impl<T: Bind> Bind for Option<T> {
    fn bind(&self) -> Result<Value<'_>, Error> {
        self.as_ref().map_or(Ok(Value::Null), T::bind)
    }
}

impl<T: Column> Column for Option<T> {
    fn read(value: Value<'_>) -> Result<Option<T>, &'static str> {
        match value {
            Value::Null => Ok(None),
            value => T::read(value).map(Some),
        }
    }
}

impl<T: Bind + ?Sized> Bind for &T {
    fn bind(&self) -> Result<Value<'_>, Error> {
        T::bind(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_bound_is_read_and_nothing_else() {
        assert_eq!(u64::read(7_u64.bind().unwrap()), Ok(7));
        assert_eq!(String::read("여울".bind().unwrap()), Ok("여울".to_owned()));
        assert_eq!(<[u8; 2]>::read([1, 2].bind().unwrap()), Ok([1, 2]));
        assert_eq!(Vec::<u8>::read(vec![1, 2].bind().unwrap()), Ok(vec![1, 2]));
        assert_eq!(bool::read(true.bind().unwrap()), Ok(true));
        assert_eq!(Option::<u32>::read(None::<u32>.bind().unwrap()), Ok(None));
        assert_eq!(Option::<u32>::read(Some(3_u32).bind().unwrap()), Ok(Some(3)));
        assert!(u64::read(Value::Integer(-1)).is_err());
        assert!(u16::read(Value::Integer(70_000)).is_err());
        assert!(u64::read(Value::Null).is_err());
        assert!(String::read(Value::Integer(1)).is_err());
        assert!(<[u8; 3]>::read(Value::Blob(&[1])).is_err());
    }
}
