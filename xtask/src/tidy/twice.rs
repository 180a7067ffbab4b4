//! The same lines in two places of what is delivered.
//!
//! Twelve lines that stand twice are one piece of code that was written again: mended in one place, it
//! stays wrong in the other. Blank lines, comments, imports and lone punctuation are passed over, since
//! they repeat without being copied; what a program says counts. Tests, examples and benches are apart.
//!
//! It does not see lines of one shape with other names in them.

use std::collections::HashMap;

use super::Finding;
use super::masking::Masked;
use super::tree::{File, Tree};

/// How many lines two places may not share.
const SHARED_LINES: usize = 12;
/// The folders whose sources are compared.
const FOLDERS: [&str; 2] = ["crates/", "mall/src/"];

/// A line that counts.
struct Line<'t> {
    path: &'t str,
    number: usize,
    text: String,
}

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let delivered = tree.rust().filter(|(file, _)| {
        !file.is_apart() && FOLDERS.iter().any(|folder| file.path.starts_with(folder))
    });
    let files: Vec<Vec<Line<'_>>> = delivered.map(|(file, masked)| lines(file, masked)).collect();
    let mut known: HashMap<Vec<&str>, &Line<'_>> = HashMap::new();
    let mut findings: Vec<Finding> = Vec::new();
    for file in &files {
        // One finding for a run, however much longer than the limit it is.
        let mut reported_until = 0;
        for (at, window) in file.windows(SHARED_LINES).enumerate() {
            let first = &window[0];
            let texts = window.iter().map(|line| line.text.as_str()).collect();
            let Some(other) = known.get(&texts) else {
                // The first place stays the one that others are compared with, also for a third copy.
                known.insert(texts, first);
                continue;
            };
            if at >= reported_until {
                let other = format!("{}:{}", other.path, other.number);
                let says = format!("{SHARED_LINES} lines or more stand twice. other=`{other}`");
                findings.push(Finding::new(first.path, first.number, says));
            }
            reported_until = at + SHARED_LINES;
        }
    }
    findings
}

fn lines<'t>(file: &'t File, masked: &Masked) -> Vec<Line<'t>> {
    let counts = |code: &str| {
        code.contains(char::is_alphanumeric)
            && !["use ", "pub use ", "pub(crate) use "].iter().any(|it| code.starts_with(it))
    };
    let delivered = masked.lines_without_tests();
    let texts = file.text.lines().zip(masked.comments.lines()).map(|(text, comment)| {
        text.chars().zip(comment.chars()).filter(|(_, c)| *c == ' ').map(|(c, _)| c).collect()
    });
    (1..)
        .zip(texts.zip(masked.code.lines()))
        .take(delivered)
        .filter(|(_, (_, code))| counts(code.trim()))
        .map(|(number, (text, _))| (number, text))
        .map(|(number, text): (usize, String)| Line {
            path: &file.path,
            number,
            text: text.trim().to_owned(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::found;
    use super::*;

    fn body(lines: usize) -> String {
        let lines: Vec<String> = (0..lines).map(|at| format!("    step({at}, \"x\");\n")).collect();
        lines.concat()
    }

    #[test]
    fn eleven_lines_may_stand_twice_and_twelve_may_not() {
        let file =
            |name: &str, lines: usize| format!("//! A.\nfn {name}() {{\n{}}}\n", body(lines));
        for (lines, expected) in
            [(11, vec![]), (12, vec!["mall/src/b.rs:3"]), (40, vec!["mall/src/b.rs:3"])]
        {
            let (one, other) = (file("one", lines), file("other", lines));
            let files = [("crates/a/src/a.rs", one.as_str()), ("mall/src/b.rs", other.as_str())];
            assert_eq!(found(check, &files), expected, "{lines}");
        }
        let within = format!("fn a() {{\n{}}}\nfn b() {{\n{}}}\n", body(12), body(12));
        assert_eq!(found(check, &[("crates/a/src/a.rs", &within)]), ["crates/a/src/a.rs:16"]);
    }

    #[test]
    fn comments_blank_lines_and_imports_make_no_difference() {
        let plain = format!("fn a() {{\n{}}}\n", body(12));
        let spread = plain.replace(");\n", "); // a\n\n    use b;\n");
        let files = [("crates/a/src/a.rs", plain.as_str()), ("crates/a/src/b.rs", spread.as_str())];
        assert_eq!(found(check, &files), ["crates/a/src/b.rs:1"]);
        let spread = plain.replace(");\n", ");\n// a\n\n    use b;\n}\n");
        let files = [("crates/a/src/a.rs", plain.as_str()), ("crates/a/src/b.rs", spread.as_str())];
        assert_eq!(found(check, &files), ["crates/a/src/b.rs:1"]);
    }

    #[test]
    fn tests_and_other_folders_are_apart() {
        let text = format!("fn a() {{\n{}}}\n", body(20));
        let tests = format!("fn x() {{}}\n#[cfg(test)]\nmod tests {{\n{text}}}\n");
        for other in ["crates/a/tests/b.rs", "lab/src/b.rs", "crates/a/src/b/tests.rs"] {
            assert_eq!(
                found(check, &[("crates/a/src/a.rs", &text), (other, &text)]),
                [""; 0],
                "{other}"
            );
        }
        assert_eq!(
            found(check, &[("crates/a/src/a.rs", &text), ("crates/a/src/b.rs", &tests)]),
            [""; 0]
        );
    }
}
