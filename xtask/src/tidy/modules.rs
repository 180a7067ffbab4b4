//! The module tree: every Rust file is reached from a target of its crate, and lies beside its
//! folder.
//!
//! `mod name;` is followed as rustc does, `#[path]` included; a declaration inside an inline module
//! is looked for in that module's folder.

use std::collections::BTreeSet;

use super::Finding;
use super::masking::Masked;
use super::tree::{File, Tree};

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut reached = BTreeSet::new();
    let targets = tree.rust().map(|(file, _)| &file.path).filter(|path| is_target(path));
    // As cargo and rustc do it: from each target's first file along its declarations. What is reached by none of
    // them is built by nobody.
    let mut open: Vec<Child> =
        targets.map(|path| Child { path: path.clone(), owns_folder: true }).collect();
    while let Some(child) = open.pop() {
        if let Some(file) = tree.find(&child.path)
            && let Some(masked) = &file.rust
            && reached.insert(child.path)
        {
            let stem = file.name().trim_end_matches(".rs");
            let own = file.folder().to_owned();
            let folder = if child.owns_folder { own } else { join(&own, stem) };
            open.extend(children(file, masked, &folder));
        }
    }
    let rust = tree.rust().map(|(file, _)| file);
    rust.filter_map(|file| {
        if file.name() == "mod.rs" {
            Some(Finding::new(&file.path, 1, "a module's file stands beside its folder: `name.rs`"))
        } else if reached.contains(&file.path) {
            None
        } else {
            Some(Finding::new(&file.path, 1, "no module names this file"))
        }
    })
    .collect()
}

/// A file that a declaration may mean.
struct Child {
    path: String,
    /// Its submodules lie beside it: a crate's beginning, and a file that `#[path]` names.
    owns_folder: bool,
}

/// Where a crate begins, by cargo's own rules.
fn is_target(path: &str) -> bool {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let place = folder.rsplit('/').next().unwrap_or_default();
    match place {
        "src" => name == "lib.rs" || name == "main.rs",
        "bin" => folder.ends_with("src/bin"),
        "tests" | "examples" | "benches" => !folder.contains("src/"),
        _ => {
            let above = folder.rsplit('/').nth(1).unwrap_or_default();
            name == "build.rs"
                || name == "main.rs" && ["tests", "examples", "benches"].contains(&above)
        }
    }
}

/// The files that may be meant by a file's declarations, whose submodules are in `folder`; those that
/// do not exist are cargo's to refuse.
fn children(file: &File, masked: &Masked, folder: &str) -> Vec<Child> {
    let mut children = Vec::new();
    // Inline modules whose braces are open, with the depth inside.
    let mut inside: Vec<(&str, usize)> = Vec::new();
    let mut depth = 0;
    let mut given = None;
    for (code, text) in masked.code.lines().zip(file.text.lines()) {
        if code.contains("#[path") {
            // From the text: in the code that is looked at, what stands in quotes is blanked.
            given = text.split('"').nth(1).map(|path| join(file.folder(), path));
        }
        let declared = declared(code);
        if let Some(Declared { name, is_elsewhere: true }) = declared {
            let folder =
                inside.iter().fold(folder.to_owned(), |folder, (name, _)| join(&folder, name));
            let child = |path, owns_folder| Child { path, owns_folder };
            match given.take() {
                Some(path) => children.push(child(path, true)),
                None => children.push(child(join(&folder, &format!("{name}.rs")), false)),
            }
        }
        // Only inline modules are of interest, but every brace counts: one that closes a function does not close
        // the module around it.
        let opened = code.matches('{').count();
        let closed = code.matches('}').count();
        if let Some(Declared { name, is_elsewhere: false }) = declared.filter(|_| opened > closed) {
            inside.push((name, depth + 1));
        }
        depth = (depth + opened).saturating_sub(closed);
        inside.retain(|(_, within)| depth >= *within);
    }
    children
}

/// A module that a line declares.
#[derive(Clone, Copy)]
struct Declared<'t> {
    name: &'t str,
    /// Whether its text is in another file.
    is_elsewhere: bool,
}

fn declared(code: &str) -> Option<Declared<'_>> {
    let words = code.trim_start();
    let at = if words.starts_with("mod ") { 0 } else { words.find(" mod ")? + 1 };
    let name = &words[at + 4..];
    let end = name.find(|c: char| !c.is_alphanumeric() && c != '_')?;
    let is_elsewhere = match name[end..].trim_start().chars().next()? {
        ';' => true,
        '{' => false,
        _ => return None,
    };
    Some(Declared { name: &name[..end], is_elsewhere })
}

fn join(folder: &str, path: &str) -> String {
    if folder.is_empty() { path.to_owned() } else { format!("{folder}/{path}") }
}

#[cfg(test)]
mod tests {
    use super::super::found;
    use super::*;

    const LIB: &str = "//! A.\nmod a;\npub(crate) mod b;\nmod inline {\n    fn x() {}\n    mod deep;\n}\n#[cfg(test)]\nmod tests;\n";

    #[test]
    fn files_that_are_named_are_reached() {
        let files = [
            ("crates/x/src/lib.rs", LIB),
            ("crates/x/src/a.rs", "mod c;\n"),
            ("crates/x/src/a/c.rs", ""),
            ("crates/x/src/b.rs", ""),
            ("crates/x/src/inline/deep.rs", ""),
            ("crates/x/src/tests.rs", ""),
            ("crates/x/build.rs", ""),
            ("crates/x/tests/black_box.rs", "#[path = \"support/lib.rs\"]\nmod support;\n"),
            ("crates/x/tests/support/lib.rs", "mod client;\n"),
            ("crates/x/tests/support/client.rs", ""),
            ("crates/x/tests/one/main.rs", "mod two;"),
            ("crates/x/tests/one/two.rs", ""),
            ("crates/x/examples/show.rs", ""),
        ];
        assert_eq!(found(check, &files), [""; 0]);
    }

    #[test]
    fn a_file_that_nobody_names_is_found() {
        let files = [
            ("crates/x/src/lib.rs", "//! A.\n// mod a;\nmod b;\nmod inline {}\nmod deep;\n"),
            ("crates/x/src/a.rs", ""),
            ("crates/x/src/b.rs", ""),
            ("crates/x/src/deep/b.rs", ""),
            ("crates/x/src/inline/deep.rs", ""),
            ("crates/x/tests/support/lib.rs", ""),
        ];
        let expected = [
            "crates/x/src/a.rs:1",
            "crates/x/src/deep/b.rs:1",
            "crates/x/src/inline/deep.rs:1",
            "crates/x/tests/support/lib.rs:1",
        ];
        assert_eq!(found(check, &files), expected);
    }

    #[test]
    fn a_mod_rs_is_found_even_if_it_is_named() {
        let files = [("crates/x/src/lib.rs", "mod a;\n"), ("crates/x/src/a/mod.rs", "")];
        assert_eq!(found(check, &files), ["crates/x/src/a/mod.rs:1"]);
    }
}
