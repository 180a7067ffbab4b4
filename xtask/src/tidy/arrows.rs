//! The arrows between the members: who may use whom.
//!
//! The table of ARCHITECTURE.md is the rule itself, not a description of it: it is read here, and
//! each manifest is compared with its row. So a new arrow is a change of the document, with a reason.

use std::collections::{BTreeMap, BTreeSet};

use super::Finding;
use super::tree::{File, Tree};

const TABLE: &str = "ARCHITECTURE.md";
/// The row that begins the table.
const HEAD: &str = "| member |";
/// Arrows of tests alone: the mall's settings are tried with what reads them.
const IN_TESTS: [(&str, &str); 2] = [("mall", "gateway"), ("mall", "views")];

/// What each member may use.
type Allowed = BTreeMap<String, BTreeSet<String>>;

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let Some(document) = tree.find(TABLE) else {
        return vec![Finding::new(TABLE, 0, "missing: its table says who may use whom")];
    };
    let (allowed, mut findings) = allowed(document);
    for file in tree.files().iter().filter(|file| file.name() == "Cargo.toml") {
        let member = file.folder().rsplit('/').next().unwrap_or_default();
        match allowed.get(member) {
            Some(may) => findings.extend(forbidden(file, member, may, &allowed)),
            // The root's manifest is of the workspace, not of a member.
            None if member.is_empty() => {}
            None => findings.push(Finding::new(
                &file.path,
                1,
                format!("no row in {TABLE} for this member"),
            )),
        }
    }
    findings
}

fn forbidden(file: &File, member: &str, may: &BTreeSet<String>, all: &Allowed) -> Vec<Finding> {
    let ours = |dependency: &&Dependency<'_>| all.contains_key(dependency.name);
    let fine = |dependency: &&Dependency<'_>| {
        may.contains(dependency.name)
            || dependency.in_tests && IN_TESTS.contains(&(member, dependency.name))
    };
    let says = |one: &Dependency<'_>| {
        let says =
            format!("an arrow that {TABLE} does not have. from=`{member}`, to=`{}`", one.name);
        Finding::new(&file.path, one.line, says)
    };
    dependencies(&file.text).iter().filter(ours).filter(|one| !fine(one)).map(says).collect()
}

/// Reads the table; a word in it that is no member is a mistake.
fn allowed(document: &File) -> (Allowed, Vec<Finding>) {
    let lines = (1..).zip(document.text.lines());
    let rows: Vec<(usize, Vec<&str>)> = lines
        .skip_while(|(_, line)| !line.starts_with(HEAD))
        .skip(2)
        .take_while(|(_, line)| line.starts_with('|'))
        .map(|(line, row)| (line, row.trim_matches('|').split('|').map(str::trim).collect()))
        .collect();
    let member =
        |row: &[&str]| row[0].trim_matches('`').rsplit('/').next().unwrap_or_default().to_owned();
    let members: BTreeSet<String> = rows.iter().map(|(_, row)| member(row)).collect();
    let (mut allowed, mut findings) = (Allowed::new(), Vec::new());
    if rows.is_empty() {
        findings.push(Finding::new(
            &document.path,
            1,
            format!("no table that begins with `{HEAD}`"),
        ));
    }
    for (line, row) in rows {
        let may = uses(row.get(2).copied().unwrap_or_default(), &members);
        for unknown in may.difference(&members) {
            findings.push(Finding::new(
                &document.path,
                line,
                format!("no such member. name=`{unknown}`"),
            ));
        }
        allowed.insert(member(&row), may);
    }
    (allowed, findings)
}

/// A cell: `–`, names with commas between, or `all but` names.
fn uses(cell: &str, members: &BTreeSet<String>) -> BTreeSet<String> {
    let names =
        |text: &str| text.split(',').map(|name| name.trim().trim_matches('`').to_owned()).collect();
    if cell == "–" || cell == "-" {
        return BTreeSet::new();
    }
    match cell.strip_prefix("all but ") {
        Some(but) => {
            let but: BTreeSet<String> = names(but);
            members.difference(&but).cloned().collect()
        }
        None => names(cell),
    }
}

/// A line of a manifest that names another crate.
#[derive(Debug, PartialEq, Eq)]
struct Dependency<'a> {
    name: &'a str,
    line: usize,
    in_tests: bool,
}

/// The dependencies of a manifest, of every kind and for every target.
fn dependencies(manifest: &str) -> Vec<Dependency<'_>> {
    let mut dependencies = Vec::new();
    let mut kind = None;
    for (line, text) in (1..).zip(manifest.lines()) {
        let text = text.trim();
        if let Some(section) = text.strip_prefix('[') {
            let section = section.trim_end_matches(']');
            kind = kind_of(section);
            // `[dependencies.name]` names its crate itself.
            if let Some((place, name)) = section.rsplit_once('.')
                && let Some(in_tests) = kind_of(place)
            {
                dependencies.push(Dependency { name, line, in_tests });
                kind = None;
            }
        } else if let (Some(in_tests), Some((key, _))) = (kind, text.split_once('=')) {
            let name = key.split('.').next().unwrap_or_default().trim().trim_matches('"');
            if !name.starts_with('#') {
                dependencies.push(Dependency { name, line, in_tests });
            }
        }
    }
    dependencies
}

/// Whether a section's dependencies are those of tests; nothing for other sections.
fn kind_of(section: &str) -> Option<bool> {
    match section.rsplit('.').next() {
        Some("dependencies" | "build-dependencies") => Some(false),
        Some("dev-dependencies") => Some(true),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::found;
    use super::*;

    const DOCUMENT: &str = "# A\n\n| member | says | may use of ours | must never know |\n|---|---|---|---|\n\
        | `crates/guard` | decides | – | HTTP |\n\
        | `crates/events` | publishes | – | views |\n\
        | `crates/gateway` | serves | guard, events | the mall |\n\
        | `mall` | sells | events | gateway |\n\
        | `crates/yeoul` | all | all but lab | – |\n\
        | `lab` | measures | – | – |\n\nafter\n";

    fn findings(path: &str, manifest: &str) -> Vec<String> {
        found(check, &[(TABLE, DOCUMENT), (path, manifest)])
    }

    #[test]
    fn arrows_of_the_table_are_fine() {
        for (path, manifest) in [
            ("crates/guard/Cargo.toml", "[dependencies]\nserde.workspace = true\n"),
            (
                "crates/gateway/Cargo.toml",
                "[dependencies]\nguard.workspace = true\nevents = { workspace = true }\n",
            ),
            (
                "crates/yeoul/Cargo.toml",
                "[dependencies]\nmall.workspace = true\nguard.workspace = true\n",
            ),
            (
                "mall/Cargo.toml",
                "[dependencies]\nevents.workspace = true\n[dev-dependencies]\ngateway.workspace = true\n",
            ),
            ("Cargo.toml", "[workspace.dependencies]\nguard = { path = \"crates/guard\" }\n"),
        ] {
            assert_eq!(findings(path, manifest), [""; 0], "{path}");
        }
    }

    #[test]
    fn any_other_arrow_is_refused_with_its_line() {
        for (path, manifest, expected) in [
            (
                "crates/guard/Cargo.toml",
                "[dependencies]\nevents.workspace = true\n",
                "crates/guard/Cargo.toml:2",
            ),
            (
                "crates/guard/Cargo.toml",
                "[dependencies.events]\nworkspace = true\n",
                "crates/guard/Cargo.toml:1",
            ),
            (
                "crates/guard/Cargo.toml",
                "[target.'cfg(unix)'.dependencies]\nevents = \"1\"\n",
                "crates/guard/Cargo.toml:2",
            ),
            (
                "crates/guard/Cargo.toml",
                "[build-dependencies]\nevents.workspace = true\n",
                "crates/guard/Cargo.toml:2",
            ),
            (
                "crates/events/Cargo.toml",
                "[dev-dependencies]\nguard.workspace = true\n",
                "crates/events/Cargo.toml:2",
            ),
            ("mall/Cargo.toml", "[dependencies]\ngateway.workspace = true\n", "mall/Cargo.toml:2"),
            (
                "crates/yeoul/Cargo.toml",
                "[package]\nname = \"x\"\n\n[dependencies]\nlab.workspace = true\n",
                "crates/yeoul/Cargo.toml:5",
            ),
            ("crates/new/Cargo.toml", "[package]\n", "crates/new/Cargo.toml:1"),
        ] {
            assert_eq!(findings(path, manifest), [expected], "{manifest}");
        }
    }

    #[test]
    fn a_table_that_is_missing_or_names_nobody_is_found() {
        assert_eq!(found(check, &[]), ["ARCHITECTURE.md:0"]);
        assert_eq!(found(check, &[(TABLE, "# A\n")]), ["ARCHITECTURE.md:1"]);
        let wrong = DOCUMENT.replace("guard, events", "guard, the events");
        assert_eq!(found(check, &[(TABLE, &wrong)]), ["ARCHITECTURE.md:7"]);
    }
}
