//! What the documents show is what the program takes: their settings and their commands.
//!
//! Rust in them is compiled where it stands (the guide's as doctests of the events crate). What the program
//! answers to a command is not compared: it has times, ids and figures of the machine it ran on.

#[path = "support/lib.rs"]
mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use support::{Folder, overlay, run};

const DOCUMENTS: [&str; 3] = ["README.md", "docs/guide.md", "examples/README.md"];

fn read(document: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(document);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The fenced blocks of this language; those without one for the empty name.
fn blocks<'d>(document: &'d str, language: &str) -> Vec<&'d str> {
    let fences = document.split("```").skip(1).step_by(2);
    let parts = fences.filter_map(|fence| fence.split_once('\n'));
    parts.filter(|(head, _)| *head == language).map(|(_, block)| block).collect()
}

/// Every command of the program: lines of the blocks, and spans of code in the text.
fn commands(document: &str) -> BTreeSet<String> {
    let lines = ["", "sh"].iter().flat_map(|language| blocks(document, language));
    let lines = lines.flat_map(str::lines).map(|line| line.split('#').next().unwrap_or_default());
    let text = document.split("```").step_by(2);
    let spans = text.flat_map(|text| text.split('`').skip(1).step_by(2));
    let all = lines.chain(spans).map(str::trim).filter(|line| line.starts_with("yeoul "));
    all.map(str::to_owned).collect()
}

/// The schema that the guide shows, where its settings name it.
fn schemas(folder: &Path) {
    let guide = read("docs/guide.md");
    let shown = blocks(&guide, "json").into_iter().find(|it| it.contains("$schema"));
    let place = folder.join("schemas/paid");
    fs::create_dir_all(&place).expect("a folder");
    fs::write(place.join("Paid.json"), shown.expect("the guide shows a schema")).expect("written");
}

#[test]
fn the_settings_in_the_documents_are_sound() {
    let folder = Folder::new();
    let mut checked = 0;
    schemas(folder.path());
    for document in DOCUMENTS {
        for block in blocks(&read(document), "yaml") {
            checked += 1;
            let file = overlay(folder.path(), &format!("{checked}.yaml"), block);
            let check = ["check", "-c", file.to_str().expect("the path is UTF-8"), "--mall"];
            // One that is laid over the mall's says so.
            let alone = usize::from(!block.contains("over the mall's own settings"));
            let outcome = run(&check[..check.len() - alone]);
            assert_eq!(outcome.code, 0, "{document}:\n{block}\n{outcome:?}");
            assert!(!outcome.stdout.contains("warning"), "{document}:\n{block}\n{outcome:?}");
        }
    }
    assert!(checked >= 2, "both documents show settings: {checked}");
}

#[test]
fn the_commands_in_the_documents_are_there_with_their_arguments() {
    let mut wrong = Vec::new();
    let all: BTreeSet<String> =
        DOCUMENTS.iter().flat_map(|document| commands(&read(document))).collect();
    assert!(all.len() >= 10, "the documents name commands: {all:?}");
    for command in &all {
        let words: Vec<&str> = command.split_whitespace().skip(1).collect();
        let named = |word: &&&str| word.bytes().all(|byte| byte.is_ascii_lowercase());
        let mut asked: Vec<&str> = words.iter().take_while(named).take(2).copied().collect();
        asked.push("--help");
        let help = run(&asked);
        let letter = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let known: BTreeSet<&str> = help.stdout.split(|c| !letter(c)).collect();
        let missing: Vec<&&str> =
            words.iter().filter(|word| word.starts_with('-') && !known.contains(**word)).collect();
        if help.code != 0 || !missing.is_empty() {
            wrong.push(format!("`{command}`: {missing:?} {help:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
