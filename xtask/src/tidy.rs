//! `cargo xtask tidy`: the house rules that neither rustfmt nor clippy know.
//!
//! Every rule is a pure function from the tree's texts (and, of arrows and dependencies, cargo's word) to findings, each
//! with its file and line. The tree is what a contributor wrote: nothing that was built, installed or
//! fetched. A rule that hurts is changed here and in STYLE.md together; there is no way to switch one
//! off for a line.

mod arrows;
mod circles;
mod floors;
mod idle;
mod imports;
mod layer;
mod links;
mod masking;
mod members;
mod modules;
mod places;
mod shapes;
mod tree;
mod twice;
mod words;

use std::fmt;

use crate::failure::Failure;
use crate::{shell, workspace};
use tree::Tree;

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    path: String,
    /// From 1; 0 is the file as a whole.
    line: usize,
    says: String,
}

impl Finding {
    fn new(path: &str, line: usize, says: impl Into<String>) -> Finding {
        Finding { path: path.to_owned(), line, says: says.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line.max(1), self.says)
    }
}

const RULES: [fn(&Tree) -> Vec<Finding>; 9] = [
    circles::check,
    floors::check,
    layer::check,
    links::check,
    modules::check,
    places::check,
    shapes::check,
    twice::check,
    words::check,
];

pub(crate) fn run() -> Result<(), Failure> {
    let tree = Tree::read(&workspace::root())?;
    let mut findings: Vec<Finding> = RULES.iter().flat_map(|rule| rule(&tree)).collect();
    let members = members::read()?;
    findings.extend(arrows::check(&tree, &members));
    findings.extend(idle::check(&tree, &members));
    findings.sort();
    findings.dedup();
    for finding in &findings {
        shell::say(&finding.to_string())?;
    }
    match findings.len() {
        0 => shell::say(&format!("tidy. files=`{}`", tree.files().len())),
        count => Err(Failure::found(format!("not tidy. findings=`{count}`"))),
    }
}

/// Prints the floors of each member, from the ground up.
pub(crate) fn floors() -> Result<(), Failure> {
    for (member, floors) in floors::floors(&Tree::read(&workspace::root())?) {
        let floors: Vec<String> = floors
            .into_iter()
            .map(|floor| floor.into_iter().collect::<Vec<_>>().join(", "))
            .collect();
        shell::say(&format!("{}: {}", member.trim_end_matches('/'), floors.join(" → ")))?;
    }
    Ok(())
}

/// Runs one rule over a made-up tree; `path:line` of each finding.
#[cfg(test)]
fn found(rule: fn(&Tree) -> Vec<Finding>, files: &[(&str, &str)]) -> Vec<String> {
    let mut findings = rule(&Tree::of(files));
    findings.sort();
    findings.iter().map(|finding| format!("{}:{}", finding.path, finding.line)).collect()
}
