//! How the program ends: 0 done, 1 the input was wrong, 2 usage, 3 the environment.
//!
//! The last line on stderr says what to do; whatever explains it stands above.

use std::fmt::Display;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// Why a command ended without being done.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    says: Vec<String>,
    todo: String,
}

impl Failure {
    /// The input was wrong (settings, an argument's value).
    pub(crate) fn input(says: impl Display, todo: impl Into<String>) -> Failure {
        Failure { code: 1, says: vec![says.to_string()], todo: todo.into() }
    }

    /// The environment was wrong (port taken, data in use, disk, engine gone).
    pub(crate) fn environment(says: impl Display, todo: impl Into<String>) -> Failure {
        Failure { code: 3, says: vec![says.to_string()], todo: todo.into() }
    }

    /// The reason.
    pub(crate) fn says(&self) -> String {
        self.says.join(": ")
    }

    /// Prints the reason and what to do.
    pub(crate) fn report(&self) -> ExitCode {
        for line in self.says.iter().chain([&self.todo]).filter(|line| !line.is_empty()) {
            eprintln!("{line}");
        }
        ExitCode::from(self.code)
    }
}

/// What clap found wrong: help and version go to stdout and are no failure; a value that is no value
/// of its kind is wrong input, all else wrong usage.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    let _ = error.print();
    match error.kind() {
        ErrorKind::ValueValidation => ExitCode::from(1),
        ErrorKind::InvalidValue if has_value(error) => ExitCode::from(1),
        _ if error.use_stderr() => ExitCode::from(2),
        _ => ExitCode::SUCCESS,
    }
}

/// An argument without its value is of the same kind, and wrong usage.
fn has_value(error: &clap::Error) -> bool {
    let value = error.get(ContextKind::InvalidValue);
    matches!(value, Some(ContextValue::String(text)) if !text.is_empty())
}
