//! Settings: one YAML file, every mistake with its file and line, nothing started before all holds.
//!
//! A [`Tree`] keeps the origin of every node, so that a mistake can be named by `file:line` even
//! after one file was laid over another and a value was replaced from the environment. Members
//! declare plain serde types with `deny_unknown_fields` and validate them into working types; where
//! a validation fails they return the *path* of the setting and [`Tree::mistake`] finds the line.
//! That keeps line numbers out of every settings type.
//!
//! It does not know what the settings mean.

pub mod text;

mod node;
mod read;
mod tree;

use std::ffi::OsString;
use std::fmt;

pub use tree::Tree;

/// One mistake in the settings: what is wrong, where. The input was wrong: exit code 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The file as it was named on the command line, `embedded` or the environment variable.
    pub file: String,
    /// Line in the file, from 1; 0 where there is no line (environment).
    pub line: usize,
    /// The setting's path, dotted: `routes.order.guard.timeout`.
    pub path: String,
    /// What is wrong, and where it helps, what would be right.
    pub says: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.file, self.line)?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.says)
    }
}

/// The variables that may replace settings: `YEOUL_` and a path (see [`Tree::override_by`]).
///
/// A name without `__` that is no top-level setting is somebody else's (`YEOUL_LOG`) and ignored by
/// the tree.
#[expect(clippy::disallowed_methods, reason = "only chassis reads the environment")]
pub fn environment() -> impl Iterator<Item = (String, String)> {
    let readable = |(name, value): (OsString, OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    std::env::vars_os().filter_map(readable).filter(|(name, _)| name.starts_with("YEOUL_"))
}

#[cfg(test)]
mod tests;
