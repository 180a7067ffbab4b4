//! Links between the documents: what they name exists, and a number names one record.

use std::collections::BTreeMap;

use super::Finding;
use super::tree::{File, Tree};

/// Where the decision records are.
const RECORDS: &str = "docs/decisions/";

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let documents = tree.files().iter().filter(|file| file.path.ends_with(".md"));
    documents.flat_map(|file| broken(tree, file)).chain(numbered_twice(tree)).collect()
}

/// Records are spoken of by their numbers: one that two have names neither.
fn numbered_twice(tree: &Tree) -> Vec<Finding> {
    let records = tree.files().iter().filter(|file| file.path.starts_with(RECORDS));
    let number = |file: &File| file.name().split('-').next().unwrap_or_default().to_owned();
    let mut before: BTreeMap<String, &str> = BTreeMap::new();
    let mut findings = Vec::new();
    for file in records.filter(|file| file.name().starts_with(|c: char| c.is_ascii_digit())) {
        if let Some(other) = before.insert(number(file), &file.path) {
            let says = format!("another record has its number. record=`{other}`");
            findings.push(Finding::new(&file.path, 1, says));
        }
    }
    findings
}

fn broken(tree: &Tree, file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut fenced = false;
    for (line, text) in (1..).zip(file.text.lines()) {
        fenced ^= text.trim_start().starts_with("```");
        if fenced {
            continue;
        }
        for target in targets(text).filter(|target| is_local(target)) {
            let path = target.split('#').next().unwrap_or_default();
            if !resolve(file.folder(), path).is_some_and(|path| tree.has(&path)) {
                findings.push(Finding::new(
                    &file.path,
                    line,
                    format!("leads nowhere. link=`{target}`"),
                ));
            }
        }
    }
    findings
}

/// What stands in the brackets of `[…](…)`.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next())
}

fn is_local(target: &str) -> bool {
    !target.is_empty()
        && !target.starts_with('#')
        && !target.starts_with("mailto:")
        && !target.contains("://")
}

/// The path from the root; nothing where it leads out of the tree.
fn resolve(folder: &str, path: &str) -> Option<String> {
    if path.starts_with('/') {
        return None;
    }
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::super::found;
    use super::*;

    #[test]
    fn two_records_have_two_numbers() {
        let records = |names: [&'static str; 2]| found(check, &names.map(|name| (name, "# A")));
        let twice = records(["docs/decisions/0001-a.md", "docs/decisions/0001-b.md"]);
        assert_eq!(twice, ["docs/decisions/0001-b.md:1"]);
        assert!(records(["docs/decisions/0001-a.md", "docs/decisions/0002-a.md"]).is_empty());
    }

    const PLACES: [(&str, &str); 2] = [("docs/decisions/0001.md", ""), ("LICENSE", "")];

    fn findings(text: &str) -> Vec<String> {
        let [one, two] = PLACES;
        found(check, &[one, two, ("docs/README.md", text)])
    }

    #[test]
    fn links_that_lead_somewhere_are_fine() {
        for text in [
            "[a](decisions/0001.md)",
            "[a](decisions) and [b](./decisions/)",
            "[a](../LICENSE) [b](README.md#top) [c](#top)",
            "[a](https://example.org/x) [b](mailto:a@example.org)",
            "```\n[a](nothing)\n```\n",
        ] {
            assert_eq!(findings(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn links_that_lead_nowhere_are_found_with_their_lines() {
        for (text, expected) in [
            ("x\n[a](decisions/0002.md)", &["docs/README.md:2"][..]),
            ("[a](../../LICENSE)", &["docs/README.md:1"]),
            ("[a](/LICENSE)", &["docs/README.md:1"]),
            ("[a](LICENSE)\n[b](../LICENS)", &["docs/README.md:1", "docs/README.md:2"]),
        ] {
            assert_eq!(findings(text), expected, "{text}");
        }
    }
}
