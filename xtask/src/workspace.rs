//! Where things are: the project's root and its target folder.

use std::env;
use std::path::{Path, PathBuf};

/// The project's root: the folder above this crate.
#[expect(clippy::disallowed_methods, reason = "cargo says where the crate is")]
pub(crate) fn root() -> PathBuf {
    let here = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    here.parent().map_or_else(|| here.clone(), Path::to_path_buf)
}

/// Where cargo builds.
#[expect(clippy::disallowed_methods, reason = "cargo reads the same variable")]
pub(crate) fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| root().join("target"), |given| root().join(given))
}

/// A variable that decides how chores run.
#[expect(clippy::disallowed_methods, reason = "a chore is started by people and by CI")]
pub(crate) fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_holds_the_workspace() {
        assert!(root().join("Cargo.lock").is_file());
    }
}
