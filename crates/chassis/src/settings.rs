//! Settings: one YAML file, every mistake with its file and line, nothing started before all holds.
//!
//! A [`Tree`] keeps the origin of every node, so that a mistake can be named by `file:line` even
//! after one file was laid over another and a value was replaced from the environment. Members
//! declare plain serde types with `deny_unknown_fields` and validate them into working types; where
//! a validation fails they return a [`Mistake`](mistakes::Mistake) that knows the *path* of the setting,
//! and [`Tree::locate`] finds the line. That keeps line numbers out of every settings type.
//!
//! It does not know what the settings mean.

pub mod text;

mod node;
mod read;
mod tree;

use std::ffi::OsString;

pub use tree::Tree;

/// The variables that may replace settings: `YEOUL_` and a path (see [`Tree::override_by`]).
///
/// A name without `__` that is no top-level setting is somebody else's (`YEOUL_LOG`) and ignored by
/// the tree.
#[expect(clippy::disallowed_methods, reason = "only chassis reads the environment")]
pub fn environment() -> impl Iterator<Item = (String, String)> {
    let readable = |name: OsString, value: OsString| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    let all = std::env::vars_os().filter_map(move |(name, value)| readable(name, value));
    all.filter(|(name, _)| name.starts_with("YEOUL_"))
}

/// One variable whose name the settings have, as a key that no file is to hold; `None` where it is not set, or empty, or no
/// text.
#[expect(clippy::disallowed_methods, reason = "only chassis reads the environment")]
pub fn variable(name: &str) -> Option<String> {
    // A name with either would not be asked of the system but of nobody.
    if name.is_empty() || name.contains(['=', '\0']) {
        return None;
    }
    std::env::var(name).ok().filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests;
