//! How a chore fails: the exit codes are the program's own.

use std::fmt;
use std::io;
use std::process::ExitCode;

/// Why a chore did not do what it was asked; its last line says what to do.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Something that was checked does not hold.
    Found(String),
    /// There is no such chore or argument.
    Usage(String),
    /// This machine lacks something.
    Environment(String),
}

impl Failure {
    pub(crate) fn found(says: impl Into<String>) -> Failure {
        Failure::Found(says.into())
    }

    pub(crate) fn usage(says: impl Into<String>) -> Failure {
        Failure::Usage(says.into())
    }

    pub(crate) fn environment(says: impl Into<String>) -> Failure {
        Failure::Environment(says.into())
    }

    pub(crate) fn code(&self) -> ExitCode {
        ExitCode::from(match self {
            Failure::Found(_) => 1,
            Failure::Usage(_) => 2,
            Failure::Environment(_) => 3,
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Found(says) | Failure::Usage(says) | Failure::Environment(says) => {
                f.write_str(says)
            }
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::environment(error.to_string())
    }
}

impl From<lab::Error> for Failure {
    fn from(error: lab::Error) -> Failure {
        match error {
            lab::Error::Usage(says) => Failure::usage(says),
            other => Failure::environment(other.to_string()),
        }
    }
}
