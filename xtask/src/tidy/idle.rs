//! Dependencies that nobody uses: they are built, audited and kept up to date for nothing.
//!
//! Two ways to be idle: an entry of the workspace that no member takes, and one that a member takes
//! and whose name stands nowhere in its code. What cargo understands is cargo's word; whether a name
//! is used is looked up in the code itself, comments and texts apart.

use std::collections::BTreeSet;

use super::Finding;
use super::arrows::line_of;
use super::members::Member;
use super::tree::{File, Tree};

const MANIFEST: &str = "Cargo.toml";
/// The part of the manifest that names what members may take.
const SECTION: &str = "[workspace.dependencies]";

pub(super) fn check(tree: &Tree, members: &[Member]) -> Vec<Finding> {
    let mut findings = of_workspace(tree, members);
    for member in members {
        let folder = format!("{}/", member.folder);
        let code = || tree.files().iter().filter(|file| file.path.starts_with(&folder));
        for name in member.takes.iter().filter(|name| !code().any(|file| says(file, name))) {
            let path = format!("{folder}{MANIFEST}");
            let line = tree.find(&path).map_or(1, |file| line_of(&file.text, name));
            let says = format!("a dependency that nothing here uses. name=`{name}`");
            findings.push(Finding::new(&path, line, says));
        }
    }
    findings
}

fn of_workspace(tree: &Tree, members: &[Member]) -> Vec<Finding> {
    let Some(manifest) = tree.find(MANIFEST) else { return Vec::new() };
    let taken: BTreeSet<&str> =
        members.iter().flat_map(|member| &member.takes).map(String::as_str).collect();
    let entries = (1..)
        .zip(manifest.text.lines())
        .skip_while(|(_, line)| *line != SECTION)
        .skip(1)
        .take_while(|(_, line)| !line.starts_with('['))
        .filter_map(|(line, text)| Some((line, text.split_once('=')?.0.trim())))
        .filter(|(_, name)| !name.starts_with('#'));
    let idle = entries.filter(|(_, name)| !taken.contains(name));
    idle.map(|(line, name)| {
        Finding::new(MANIFEST, line, format!("a dependency that no member takes. name=`{name}`"))
    })
    .collect()
}

/// Whether a crate's name stands in a file's code, as a word of its own.
fn says(file: &File, name: &str) -> bool {
    let Some(masked) = &file.rust else { return false };
    let name = name.replace('-', "_");
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    masked.code.match_indices(&name).any(|(at, _)| {
        !masked.code[..at].ends_with(is_word)
            && !masked.code[at + name.len()..].starts_with(is_word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = "[workspace]\nmembers = []\n\n[workspace.dependencies]\nserde = \"1\"\n# Tests.\n\
        some-crate = { version = \"1\" }\n\n[profile.dev]\nidle = 1\n";

    fn found(takes: &[&str], code: &str) -> Vec<String> {
        let takes = takes.iter().map(|name| (*name).to_owned()).collect();
        let members = [Member { folder: "crates/a".to_owned(), arrows: Vec::new(), takes }];
        let manifest = "[dependencies]\nserde.workspace = true\nsome-crate.workspace = true\n";
        let files =
            [(MANIFEST, ROOT), ("crates/a/Cargo.toml", manifest), ("crates/a/src/lib.rs", code)];
        let findings = check(&Tree::of(&files), &members);
        findings.iter().map(|finding| format!("{}:{}", finding.path, finding.line)).collect()
    }

    #[test]
    fn what_is_taken_and_named_is_no_finding() {
        let code = "use serde::Serialize;\nfn a() { some_crate::b() }\n";
        assert_eq!(found(&["serde", "some-crate"], code), [""; 0]);
    }

    #[test]
    fn what_no_member_takes_and_what_no_code_names_is_found() {
        let code = "use serde::Serialize;\n";
        assert_eq!(found(&["serde"], code), ["Cargo.toml:7"]);
        for code in
            [code, "use serde::A; // some_crate\n", "use serde::A;\nfn not_some_crate() {}\n"]
        {
            assert_eq!(found(&["serde", "some-crate"], code), ["crates/a/Cargo.toml:3"], "{code}");
        }
    }
}
