//! The members of the workspace and what they use of one another, as cargo itself understands the
//! manifests.

use std::path::Path;

use serde_json::Value;

use crate::failure::Failure;
use crate::{shell, workspace};

/// A member of the workspace.
pub(super) struct Member {
    /// From the root, with slashes.
    pub(super) folder: String,
    /// What it uses of other members.
    pub(super) arrows: Vec<Arrow>,
    /// Everything that it depends on, as its manifest calls it.
    pub(super) takes: Vec<String>,
}

/// A member uses another.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Arrow {
    /// The last name of the other's folder.
    pub(super) to: String,
    /// What the manifest calls it.
    pub(super) name: String,
    /// Whether tests, examples and benches alone use it.
    pub(super) in_tests: bool,
}

impl Member {
    /// The last name of its folder.
    pub(super) fn name(&self) -> &str {
        self.folder.rsplit('/').next().unwrap_or_default()
    }
}

/// Asks cargo.
pub(super) fn read() -> Result<Vec<Member>, Failure> {
    let line = ["cargo", "metadata", "--no-deps", "--offline", "--format-version", "1"];
    let text = shell::output(shell::command(&line));
    let text =
        text.ok_or_else(|| Failure::found("cargo metadata says nothing: see `cargo check`"))?;
    let metadata = serde_json::from_str(&text)
        .map_err(|error| Failure::found(format!("cargo metadata cannot be read: {error}")))?;
    Ok(members(&metadata, &workspace::root()))
}

fn members(metadata: &Value, root: &Path) -> Vec<Member> {
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let member = |package: &Value| {
        let manifest = Path::new(package["manifest_path"].as_str()?);
        let folder = manifest.parent()?.strip_prefix(root).ok()?.to_str()?.to_owned();
        let dependencies = package["dependencies"].as_array().into_iter().flatten();
        let arrows = dependencies.clone().filter_map(arrow).collect();
        Some(Member { folder, arrows, takes: dependencies.filter_map(name).collect() })
    };
    packages.filter_map(member).collect()
}

/// A dependency on a folder is one on a member: there is nothing else beside them.
fn arrow(dependency: &Value) -> Option<Arrow> {
    let to = Path::new(dependency["path"].as_str()?).file_name()?.to_str()?.to_owned();
    Some(Arrow { to, name: name(dependency)?, in_tests: dependency["kind"] == "dev" })
}

fn name(dependency: &Value) -> Option<String> {
    dependency["rename"].as_str().or(dependency["name"].as_str()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cargo_says_becomes_arrows() {
        let metadata = serde_json::json!({ "packages": [{
            "manifest_path": "/r/crates/gateway/Cargo.toml",
            "dependencies": [
                { "name": "bytes", "kind": null },
                { "name": "yeoul-guard", "rename": "guard", "kind": null, "path": "/r/crates/guard" },
                { "name": "yeoul-mall", "kind": "dev", "path": "/r/mall" },
                { "name": "yeoul-lab", "kind": "build", "path": "/r/lab" },
            ],
        }] });
        let members = members(&metadata, Path::new("/r"));
        assert_eq!((members.len(), members[0].folder.as_str()), (1, "crates/gateway"));
        assert_eq!(members[0].name(), "gateway");
        let seen = members[0].arrows.iter().map(|it| (&*it.to, &*it.name, it.in_tests));
        let expected =
            [("guard", "guard", false), ("mall", "yeoul-mall", true), ("lab", "yeoul-lab", false)];
        assert_eq!(seen.collect::<Vec<_>>(), expected);
        assert_eq!(members[0].takes, ["bytes", "guard", "yeoul-mall", "yeoul-lab"]);
    }

    #[test]
    fn this_workspace_has_members() {
        let members = read().unwrap();
        assert!(members.iter().any(|member| member.folder == "crates/guard"));
    }
}
