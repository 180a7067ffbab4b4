//! Words that may not stand anywhere: unfinished work, switched-off tests, names that say nothing.

use super::Finding;
use super::tree::{File, Tree};

/// Marks of unfinished work, in any file.
const MARKS: [&str; 3] = ["TODO", "FIXME", "XXX"];
/// What may not stand in Rust's code.
const CODE: [(&str, &str); 3] = [
    ("todo!", "unfinished"),
    ("unimplemented!", "unfinished"),
    ("#[ignore", "a test that is switched off"),
];
/// What may not stand in the web app's.
const WEB: [(&str, &str); 6] = [
    ("test.skip(", "a test that is switched off"),
    ("it.skip(", "a test that is switched off"),
    ("describe.skip(", "a test that is switched off"),
    ("test.only(", "all other tests are switched off"),
    ("it.only(", "all other tests are switched off"),
    ("describe.only(", "all other tests are switched off"),
];
/// Names of modules and crates that say nothing of what is inside.
const EMPTY_NAMES: [&str; 6] = ["common", "core", "types", "utils", "helpers", "manager"];
/// Endings of the files that are read for marks.
const TEXTS: [&str; 15] = [
    ".rs", ".ts", ".mjs", ".js", ".svelte", ".css", ".html", ".md", ".toml", ".yaml", ".yml",
    ".sh", ".conf", ".cfg", ".vcl",
];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let read = |file: &&File| TEXTS.iter().any(|ending| file.path.ends_with(ending));
    tree.files().iter().filter(read).flat_map(of_file).collect()
}

fn of_file(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut note = |line: usize, says: String| findings.push(Finding::new(&file.path, line, says));
    if let Some(masked) = &file.rust {
        for (line, code) in (1..).zip(masked.code.lines()) {
            for (word, says) in CODE.iter().filter(|(word, _)| code.contains(word)) {
                note(line, format!("{says}. word=`{word}`"));
            }
        }
        marks(&masked.code)
            .chain(marks(&masked.comments))
            .for_each(|(line, says)| note(line, says));
    } else {
        for (line, code) in (1..).zip(file.text.lines()) {
            for (word, says) in WEB.iter().filter(|(word, _)| code.contains(word)) {
                note(line, format!("{says}. word=`{word}`"));
            }
        }
        marks(&file.text).for_each(|(line, says)| note(line, says));
    }
    if let Some(name) = empty_name(&file.path) {
        note(1, format!("a name that says nothing. name=`{name}`"));
    }
    findings
}

fn marks(text: &str) -> impl Iterator<Item = (usize, String)> {
    (1..).zip(text.lines()).flat_map(|(line, text)| {
        let mark = move |mark: &&&str| is_word_in(text, mark);
        MARKS.iter().filter(mark).map(move |mark| (line, format!("unfinished. word=`{mark}`")))
    })
}

/// Whether the word stands in the text with no letter or digit beside it.
pub(super) fn is_word_in(text: &str, word: &str) -> bool {
    let letter = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(at, _)| {
        !text[..at].ends_with(letter) && !text[at + word.len()..].starts_with(letter)
    })
}

/// A module's file or folder, or a crate's.
fn empty_name(path: &str) -> Option<&'static str> {
    if !path.ends_with(".rs") && !path.ends_with("Cargo.toml") {
        return None;
    }
    let names: Vec<&str> = path.split('/').map(|part| part.trim_end_matches(".rs")).collect();
    EMPTY_NAMES.into_iter().find(|empty| names.contains(empty))
}

#[cfg(test)]
mod tests {
    use super::super::found;
    use super::*;

    #[test]
    fn marks_are_found_in_code_comments_and_other_texts_but_not_in_strings() {
        for mark in MARKS {
            let comment = format!("//! A.\n\n// {mark}: more\n");
            assert_eq!(found(check, &[("a.rs", &comment)]), ["a.rs:3"]);
            assert_eq!(found(check, &[("a.md", &format!("{mark} later\n"))]), ["a.md:1"]);
            let text = format!("//! A.\nconst A: &str = \"{mark}\";\n");
            assert!(found(check, &[("a.rs", &text)]).is_empty());
        }
        let part = format!("{}{}S", "TO", "DO");
        assert!(found(check, &[("a.md", &part)]).is_empty());
    }

    #[test]
    fn what_switches_off_is_found() {
        for (word, _) in CODE {
            let code = format!("//! A.\n{word}\n");
            assert_eq!(found(check, &[("a.rs", &code)]), ["a.rs:2"], "{word}");
            assert!(found(check, &[("a.rs", &format!("//! A.\n// {word}\n"))]).is_empty());
        }
        for (word, _) in WEB {
            assert_eq!(found(check, &[("a.test.ts", word)]), ["a.test.ts:1"], "{word}");
        }
    }

    #[test]
    fn modules_and_crates_have_names_that_say_something() {
        for (path, finds) in [
            ("crates/x/src/utils.rs", true),
            ("crates/x/src/common/a.rs", true),
            ("crates/helpers/Cargo.toml", true),
            ("crates/x/src/cores.rs", false),
            ("web/src/types/a.ts", false),
        ] {
            assert_eq!(!found(check, &[(path, "//! A.\n")]).is_empty(), finds, "{path}");
        }
    }
}
