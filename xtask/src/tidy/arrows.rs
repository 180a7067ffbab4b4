//! The arrows between the members: who may use whom.
//!
//! The table of ARCHITECTURE.md is the rule itself, not a description of it: it is read here, and what
//! cargo says of each member is compared with its row. So a new arrow is a change of the document, with
//! a reason.

use std::collections::{BTreeMap, BTreeSet};

use super::Finding;
use super::members::{Arrow, Member};
use super::tree::{File, Tree};

const TABLE: &str = "ARCHITECTURE.md";
/// The row that begins the table.
const HEAD: &str = "| member |";
/// Arrows of tests alone: the mall's settings are tried with what reads them.
const IN_TESTS: [(&str, &str); 2] = [("mall", "gateway"), ("mall", "views")];

/// A row of the table.
struct Row<'t> {
    line: usize,
    cells: Vec<&'t str>,
}

/// The table as it was read.
#[derive(Default)]
struct Allowed {
    /// What each member may use.
    by_member: BTreeMap<String, BTreeSet<String>>,
    /// What is wrong with the table itself.
    findings: Vec<Finding>,
}

pub(super) fn check(tree: &Tree, members: &[Member]) -> Vec<Finding> {
    let Some(document) = tree.find(TABLE) else {
        return vec![Finding::new(TABLE, 0, "missing: its table says who may use whom")];
    };
    let Allowed { by_member, mut findings } = allowed(document);
    for member in members {
        let manifest = format!("{}/Cargo.toml", member.folder);
        match by_member.get(member.name()) {
            Some(may) => findings.extend(forbidden(tree, &manifest, member, may)),
            None => {
                let says = format!("no row in {TABLE} for this member");
                findings.push(Finding::new(&manifest, 1, says));
            }
        }
    }
    findings
}

fn forbidden(tree: &Tree, manifest: &str, member: &Member, may: &BTreeSet<String>) -> Vec<Finding> {
    let from = member.name();
    let fine = |arrow: &&Arrow| {
        may.contains(&arrow.to) || arrow.in_tests && IN_TESTS.contains(&(from, arrow.to.as_str()))
    };
    let says = |arrow: &Arrow| {
        let text = tree.find(manifest).map_or("", |file| file.text.as_str());
        let says = format!("an arrow that {TABLE} does not have. from=`{from}`, to=`{}`", arrow.to);
        Finding::new(manifest, line_of(text, &arrow.name), says)
    };
    member.arrows.iter().filter(|arrow| !fine(arrow)).map(says).collect()
}

/// Reads the table; a word in it that is no member is a mistake.
fn allowed(document: &File) -> Allowed {
    let lines = (1..).zip(document.text.lines());
    let rows: Vec<Row<'_>> = lines
        .skip_while(|(_, line)| !line.starts_with(HEAD))
        // The head and the line under it.
        .skip(2)
        .take_while(|(_, line)| line.starts_with('|'))
        .map(|(line, row)| Row {
            line,
            cells: row.trim_matches('|').split('|').map(str::trim).collect(),
        })
        .collect();
    let member =
        |row: &[&str]| row[0].trim_matches('`').rsplit('/').next().unwrap_or_default().to_owned();
    let members: BTreeSet<String> = rows.iter().map(|row| member(&row.cells)).collect();
    let mut allowed = Allowed::default();
    if rows.is_empty() {
        allowed.findings.push(Finding::new(
            &document.path,
            1,
            format!("no table that begins with `{HEAD}`"),
        ));
    }
    for Row { line, cells } in rows {
        let may = uses(cells.get(2).copied().unwrap_or_default(), &members);
        // A name with a slip in it would allow nothing and forbid nothing, in silence.
        for unknown in may.difference(&members) {
            allowed.findings.push(Finding::new(
                &document.path,
                line,
                format!("no such member. name=`{unknown}`"),
            ));
        }
        allowed.by_member.insert(member(&cells), may);
    }
    allowed
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

/// Where the name of a dependency stands in its manifest; the first line where cargo found it elsewhere.
pub(super) fn line_of(manifest: &str, name: &str) -> usize {
    let is_key = |text: &str| {
        let text = text.trim_start();
        let key = text.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '.', '=']));
        key || text.trim_end_matches(']').ends_with(&format!("dependencies.{name}"))
    };
    (1..).zip(manifest.lines()).find_map(|(line, text)| is_key(text).then_some(line)).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "# A\n\n| member | says | may use of ours | must never know |\n|---|---|---|---|\n\
        | `crates/guard` | decides | – | HTTP |\n\
        | `crates/events` | publishes | – | views |\n\
        | `crates/gateway` | serves | guard, events | the mall |\n\
        | `mall` | sells | events | gateway |\n\
        | `crates/yeoul` | all | all but lab | – |\n\
        | `lab` | measures | – | – |\n\nafter\n";

    fn findings(folder: &str, arrows: &[(&str, bool)], manifest: &str) -> Vec<String> {
        let path = format!("{folder}/Cargo.toml");
        let arrow = |(to, in_tests): &(&str, bool)| Arrow {
            to: (*to).to_owned(),
            name: (*to).to_owned(),
            in_tests: *in_tests,
        };
        let arrows = arrows.iter().map(arrow).collect();
        let members = [Member { folder: folder.to_owned(), arrows, takes: Vec::new() }];
        shown(&check(&Tree::of(&[(TABLE, DOCUMENT), (&path, manifest)]), &members))
    }

    fn shown(findings: &[Finding]) -> Vec<String> {
        findings.iter().map(|finding| format!("{}:{}", finding.path, finding.line)).collect()
    }

    #[test]
    fn arrows_of_the_table_are_fine() {
        let cases: [(&str, &[(&str, bool)]); 4] = [
            ("crates/guard", &[]),
            ("crates/gateway", &[("guard", false), ("events", false)]),
            ("crates/yeoul", &[("mall", false), ("guard", false)]),
            ("mall", &[("events", false), ("gateway", true)]),
        ];
        for (folder, arrows) in cases {
            assert_eq!(findings(folder, arrows, ""), [""; 0], "{folder}");
        }
    }

    #[test]
    fn any_other_arrow_is_refused_with_its_line() {
        let gateway = "[dependencies]\ngateway.workspace = true\n";
        for (folder, arrow, manifest, line) in [
            ("crates/guard", ("events", false), "[dependencies]\nevents = \"1\"\n", 2),
            ("crates/guard", ("events", false), "[dependencies.events]\nworkspace = true\n", 1),
            ("crates/events", ("guard", true), "\n[dev-dependencies]\nguard.workspace = true", 3),
            ("mall", ("gateway", false), gateway, 2),
            ("crates/yeoul", ("lab", false), "[dependencies]\nlaboratory = \"1\"\nlab = \"1\"", 3),
        ] {
            let expected = format!("{folder}/Cargo.toml:{line}");
            assert_eq!(findings(folder, &[arrow], manifest), [expected], "{manifest}");
        }
        assert_eq!(findings("crates/new", &[], "[package]\n"), ["crates/new/Cargo.toml:1"]);
    }

    #[test]
    fn a_table_that_is_missing_or_names_nobody_is_found() {
        let found = |files: &[(&str, &str)]| shown(&check(&Tree::of(files), &[]));
        assert_eq!(found(&[]), ["ARCHITECTURE.md:0"]);
        assert_eq!(found(&[(TABLE, "# A\n")]), ["ARCHITECTURE.md:1"]);
        let wrong = DOCUMENT.replace("guard, events", "guard, the events");
        assert_eq!(found(&[(TABLE, &wrong)]), ["ARCHITECTURE.md:7"]);
    }
}
