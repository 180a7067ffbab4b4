//! The texts of the tree: every file that a contributor writes.

use std::fs;
use std::io;
use std::path::Path;

use super::masking::{Masked, mask};

/// Folders that are built, installed, recorded or somebody's data, at any depth. In a worktree
/// `.git` is a file, and says where the repository is.
const PASSED_OVER: [&str; 6] =
    ["target", "node_modules", "dist", ".git", ".svelte-kit", "test-artefacts"];
/// The mall's data, where `up` puts it.
const DATA: &str = "data";

/// One file.
pub(super) struct File {
    /// From the root, with slashes.
    pub(super) path: String,
    pub(super) text: String,
    /// For Rust: its code and its comments apart.
    pub(super) rust: Option<Masked>,
}

impl File {
    fn new(path: &str, text: String) -> File {
        let rust = path.ends_with(".rs").then(|| mask(&text));
        File { path: path.to_owned(), text, rust }
    }

    /// Its name without the folders.
    pub(super) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// The folder it is in; empty for the root.
    pub(super) fn folder(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(folder, _)| folder)
    }

    /// Whether it is a test, an example or a bench, and not part of what is delivered.
    pub(super) fn is_apart(&self) -> bool {
        let folders = ["tests", "examples", "benches", "e2e"];
        self.folder().split('/').any(|folder| folders.contains(&folder))
            || self.name() == "tests.rs"
    }
}

/// All files of the tree.
pub(super) struct Tree {
    files: Vec<File>,
}

impl Tree {
    /// Reads the tree below a root. Files that are no text are passed over.
    pub(super) fn read(root: &Path) -> io::Result<Tree> {
        let mut files = Vec::new();
        read(root, "", &mut files)?;
        files.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(Tree { files })
    }

    #[cfg(test)]
    pub(super) fn of(files: &[(&str, &str)]) -> Tree {
        Tree {
            files: files.iter().map(|(path, text)| File::new(path, (*text).to_owned())).collect(),
        }
    }

    pub(super) fn files(&self) -> &[File] {
        &self.files
    }

    /// The Rust files, with code and comments apart.
    pub(super) fn rust(&self) -> impl Iterator<Item = (&File, &Masked)> {
        self.files.iter().filter_map(|file| Some((file, file.rust.as_ref()?)))
    }

    pub(super) fn find(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    /// Whether there is such a file, or a folder with files in it.
    pub(super) fn has(&self, path: &str) -> bool {
        let below = format!("{path}/");
        path.is_empty()
            || self.files.iter().any(|file| file.path == path || file.path.starts_with(&below))
    }
}

fn read(folder: &Path, prefix: &str, files: &mut Vec<File>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let path = format!("{prefix}{name}");
        if PASSED_OVER.contains(&name.as_str()) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            // At the root alone: a module may well be called so.
            if path != DATA {
                read(&entry.path(), &format!("{path}/"), files)?;
            }
        } else if let Ok(text) = fs::read_to_string(entry.path()) {
            files.push(File::new(&path, text));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_or_installed_is_passed_over() {
        let root = tempfile::tempdir().unwrap();
        for path in [
            "a/b.rs",
            "target/c.rs",
            "web/node_modules/d.rs",
            "web/dist/e.js",
            "data/f.md",
            "mall/data/g.md",
        ] {
            let file = root.path().join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "x").unwrap();
        }
        fs::write(root.path().join("picture.png"), [0xff, 0xfe]).unwrap();
        let tree = Tree::read(root.path()).unwrap();
        let paths: Vec<&str> = tree.files().iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, ["a/b.rs", "mall/data/g.md"]);
        assert!(tree.has("mall/data") && !tree.has("mall/dat"));
    }

    #[test]
    fn tests_examples_and_benches_are_apart() {
        for (path, apart) in [
            ("crates/x/src/a.rs", false),
            ("crates/x/src/a/tests.rs", true),
            ("crates/x/src/a/tests/table.rs", true),
            ("crates/x/tests/black_box.rs", true),
            ("crates/x/examples/a.rs", true),
            ("crates/x/src/contests.rs", false),
        ] {
            assert_eq!(File::new(path, String::new()).is_apart(), apart, "{path}");
        }
    }
}
