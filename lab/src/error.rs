//! Why a bench gave no verdict.

use std::fmt;
use std::io;

/// Why a bench gave no verdict.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The bench was asked for in a way that does not exist; ask again.
    Usage(String),
    /// This machine lacks something, or something did not behave; the text says what to do.
    Environment(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Usage(says) | Error::Environment(says) => f.write_str(says),
        }
    }
}

impl std::error::Error for Error {}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Error {
        Error::Environment(error.to_string())
    }
}

/// An environment that did not behave.
pub(crate) fn environment(says: impl Into<String>) -> Error {
    Error::Environment(says.into())
}
