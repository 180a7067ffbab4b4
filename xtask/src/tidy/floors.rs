//! The floors of each member: which of its modules stand on which.
//!
//! A module's floor is one above the highest that it uses; a folder counts as one module with its
//! whole. Wholes that need each other, though no two of their files do, are refused, in a member and in every
//! folder of it: none of them could be read first. One thing is excepted: a `store` says in words of its own what
//! engines have in common, so that what it has beside their rooms calls the engine that is open, and the engines use
//! what it says. It is what ARCHITECTURE.md says in a line a member, and those lines are held against it:
//! what is named there has to be a module, and none may use one of a higher floor. Not every module has
//! to be named.

use std::collections::{BTreeMap, BTreeSet};

use super::Finding;
use super::circles::{self, Arrows};
use super::tree::{File, Tree};

const DOCUMENT: &str = "ARCHITECTURE.md";
/// What stands above the lines.
const HEAD: &str = "### Floors";
const UP: &str = "→";
/// A folder with rooms of engines in it.
const STORE: &str = "store";

/// Which modules of a member use which, as wholes.
type Uses = BTreeMap<String, BTreeSet<String>>;

/// Looks for wholes that need each other, and holds the document's lines against the code.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let members = circles::arrows(tree);
    let mut findings: Vec<Finding> =
        members.iter().flat_map(|(member, arrows)| in_folders(member, arrows)).collect();
    if let Some(document) = tree.find(DOCUMENT) {
        let named = members.iter();
        let named = named.map(|(member, arrows)| (name_of(member).to_owned(), uses(arrows, &[])));
        let members = named.collect();
        findings.extend(lines(document).iter().flat_map(|line| wrong(line, &members)));
    }
    findings
}

/// What needs each other in a member and in its folders.
fn in_folders(member: &str, arrows: &Arrows) -> Vec<Finding> {
    let folders: BTreeSet<&[String]> =
        arrows.keys().flat_map(|module| (0..module.len()).map(|depth| &module[..depth])).collect();
    folders.into_iter().filter_map(|folder| circle(member, folder, &uses(arrows, folder))).collect()
}

/// The modules of a folder that need each other as wholes.
fn circle(member: &str, folder: &[String], uses: &Uses) -> Option<Finding> {
    let around = |name: &&String| reached(name, uses).contains(*name);
    let names: Vec<&str> = uses.keys().filter(around).map(String::as_str).collect();
    let says = || format!("folders that need each other. modules=`{}`", names.join(", "));
    let place = [&[format!("{member}src")], folder].concat().join("/");
    (!names.is_empty()).then(|| Finding::new(&place, 1, says()))
}

fn name_of(member: &str) -> &str {
    member.trim_end_matches('/').rsplit('/').next().unwrap_or_default()
}

/// A member's floors as the document has them.
struct Line<'d> {
    number: usize,
    member: &'d str,
    floors: Vec<Vec<String>>,
}

/// The same before it is taken apart.
struct Raw<'d> {
    number: usize,
    member: &'d str,
    text: String,
}

/// `- member: a, b → c`, over several lines where they are indented; what stands in parentheses or
/// behind a semicolon is a remark.
fn lines(document: &File) -> Vec<Line<'_>> {
    let mut lines: Vec<Raw<'_>> = Vec::new();
    let texts = (1..).zip(document.text.lines()).skip_while(|(_, text)| *text != HEAD).skip(1);
    for (number, text) in texts.take_while(|(_, text)| !text.starts_with('#')) {
        if let Some((member, floors)) = text.strip_prefix("- ").and_then(|it| it.split_once(':')) {
            lines.push(Raw { number, member, text: floors.to_owned() });
        } else if let Some(line) = lines.last_mut().filter(|_| text.starts_with("  ")) {
            line.text.push_str(text);
        }
    }
    lines
        .into_iter()
        .filter(|line| line.text.contains(UP))
        .map(|Raw { number, member, text }| Line { number, member, floors: floors_of(&text) })
        .collect()
}

fn floors_of(text: &str) -> Vec<Vec<String>> {
    let text = text.split(';').next().unwrap_or_default();
    let bare = |name: &str| name.split('(').next().unwrap_or_default().trim().to_owned();
    text.split(UP).map(|floor| floor.split(',').map(bare).collect()).collect()
}

fn wrong(line: &Line<'_>, members: &BTreeMap<String, Uses>) -> Vec<Finding> {
    let finding = |says: String| Finding::new(DOCUMENT, line.number, says);
    let Some(uses) = members.get(line.member) else {
        return vec![finding(format!("no such member. name=`{}`", line.member))];
    };
    let mut findings = Vec::new();
    for (at, name) in line
        .floors
        .iter()
        .enumerate()
        .flat_map(|(at, floor)| floor.iter().map(move |name| (at, name)))
    {
        if !uses.contains_key(name) {
            findings.push(finding(format!("no such module. name=`{name}`")));
        }
        // Also what it uses through modules that the line does not name: leaving one out hides nothing.
        let above: BTreeSet<String> = line.floors[at + 1..].iter().flatten().cloned().collect();
        for higher in reached(name, uses).intersection(&above) {
            findings.push(finding(format!(
                "a module uses one above it. name=`{name}`, uses=`{higher}`"
            )));
        }
    }
    findings
}

/// The floors of each member, from the ground up, each with its modules by name.
pub(super) fn floors(tree: &Tree) -> BTreeMap<String, Vec<BTreeSet<String>>> {
    let members = circles::arrows(tree).into_iter();
    members.map(|(member, arrows)| (member, of_member(&arrows))).collect()
}

/// Which modules that stand directly in a folder use which other of it, as wholes.
fn uses(arrows: &Arrows, folder: &[String]) -> Uses {
    let inside = |module: &'_ [String]| module.strip_prefix(folder)?.first().cloned();
    let mut uses = Uses::new();
    for (from, targets) in arrows {
        let Some(own) = inside(from) else { continue };
        let used = targets.keys().filter_map(|to| inside(to));
        let used =
            used.filter(|to| *to != own && !is_dispatch(folder, &own, to)).collect::<Vec<_>>();
        uses.entry(own).or_default().extend(used);
    }
    uses
}

/// Whether a `store` calls the engine that is open.
fn is_dispatch(folder: &[String], from: &str, to: &str) -> bool {
    folder.last().is_some_and(|name| name == STORE)
        && circles::is_room(to)
        && !circles::is_room(from)
}

fn of_member(arrows: &Arrows) -> Vec<BTreeSet<String>> {
    let uses = uses(arrows, &[]);
    let mut floors: Vec<BTreeSet<String>> = Vec::new();
    let mut settled = BTreeSet::new();
    while settled.len() < uses.len() {
        // All that it reaches, not only what it names, has to stand already: a floor is complete before the next
        // begins.
        let stands = |(name, _): &(&String, &BTreeSet<String>)| {
            !settled.contains(*name) && reached(name, &uses).iter().all(|it| settled.contains(it))
        };
        let mut floor: BTreeSet<String> =
            uses.iter().filter(stands).map(|(name, _)| name.clone()).collect();
        if floor.is_empty() {
            // All that is left stands on a group whose members need each other.
            floor = lowest_group(&uses, &settled);
        }
        settled.extend(floor.iter().cloned());
        floors.push(floor);
    }
    floors
}

/// What a module uses, directly or by others.
fn reached(name: &str, uses: &Uses) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut open = vec![name.to_owned()];
    while let Some(at) = open.pop() {
        for to in uses.get(&at).into_iter().flatten() {
            if reached.insert(to.clone()) {
                open.push(to.clone());
            }
        }
    }
    reached
}

fn lowest_group(uses: &Uses, settled: &BTreeSet<String>) -> BTreeSet<String> {
    let left = uses.keys().filter(|name| !settled.contains(*name));
    let groups = left.map(|name| &reached(name, uses) - settled);
    groups.min_by_key(BTreeSet::len).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::found;
    use super::*;

    #[test]
    fn a_line_of_the_document_is_held_against_the_code() {
        let with = |line: &str| {
            let document =
                format!("# A\n\n### Floors\n\nWords.\n\n{line}\n\n## More\n- x: c → a\n");
            let files = [
                (DOCUMENT, document.as_str()),
                ("crates/x/src/a.rs", "//! A.\n"),
                ("crates/x/src/b.rs", "use crate::a::A;\n"),
                ("crates/x/src/c.rs", "use crate::b::B;\n"),
            ];
            found(check, &files)
        };
        for fine in
            ["- x: a → b → c", "- x: a →\n  b → c (the handle)", "- x: a → c", "- x: one file"]
        {
            assert_eq!(with(fine), [""; 0], "{fine}");
        }
        for wrong in ["- x: b → a", "- x: c → b", "- x: a →\n  d", "- y: a → b"] {
            assert_eq!(with(wrong), ["ARCHITECTURE.md:7"], "{wrong}");
        }
        assert_eq!(with("- x: a → c; c → a"), [""; 0], "a remark");
    }

    #[test]
    fn a_module_stands_one_above_the_highest_that_it_uses() {
        let tree = Tree::of(&[
            ("crates/x/src/lib.rs", "mod a;\nmod b;\nmod c;\nmod d;\n"),
            ("crates/x/src/a.rs", "//! A.\n"),
            ("crates/x/src/b.rs", "use crate::a::A;\n"),
            ("crates/x/src/c.rs", "use crate::d::e::E;\nuse crate::b;\n"),
            ("crates/x/src/d.rs", "mod e;\n"),
            ("crates/x/src/d/e.rs", "use crate::a::A;\n"),
        ]);
        let floors = floors(&tree);
        let shown: Vec<String> = floors["crates/x/"]
            .iter()
            .map(|floor| floor.iter().cloned().collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(shown, ["a", "b d", "c"]);
    }

    #[test]
    fn wholes_that_need_each_other_are_refused_and_share_a_floor() {
        let files = [
            ("crates/x/src/a.rs", "use crate::b::g::G;\n"),
            ("crates/x/src/b.rs", "use crate::a::f::F;\n"),
            ("crates/x/src/a/f.rs", "//! F.\n"),
            ("crates/x/src/b/g.rs", "//! G.\n"),
            ("crates/x/src/c.rs", "use crate::a;\n"),
        ];
        assert_eq!(found(check, &files), ["crates/x/src:1"]);
        assert_eq!(found(check, &files[1..]), [""; 0], "one way");
        let floors = &floors(&Tree::of(&files))["crates/x/"];
        assert_eq!(floors.len(), 2, "{floors:?}");
        assert_eq!(floors[0], BTreeSet::from(["a".to_owned(), "b".to_owned()]));
    }

    #[test]
    fn wholes_that_need_each_other_are_refused_at_every_depth() {
        for folder in ["", "d/", "d/e/"] {
            let path = |module: &str| format!("crates/x/src/{folder}{module}.rs");
            let using =
                |module: &str| format!("use crate::{}{module};\n", folder.replace('/', "::"));
            let files = [
                (path("a"), using("b::g::G")),
                (path("b/h"), using("a::f::F")),
                (path("a/f"), String::new()),
                (path("b/g"), String::new()),
            ];
            let texts = files.each_ref().map(|(path, text)| (path.as_str(), text.as_str()));
            let place = format!("crates/x/src/{folder}").trim_end_matches('/').to_owned();
            assert_eq!(found(check, &texts), [format!("{place}:1")]);
            assert_eq!(found(check, &texts[1..]), [""; 0], "one way");
        }
    }

    #[test]
    fn what_a_store_has_in_common_calls_the_engines_that_use_it() {
        let of = |common: &str, one: &str, other: &str| {
            let files = [
                ("crates/x/src/store/rows.rs", common),
                ("crates/x/src/store/sqlite/state.rs", one),
                ("crates/x/src/store/postgres/state.rs", other),
                ("crates/x/src/store/value.rs", "use crate::store::rows::At;\n"),
            ];
            found(check, &files)
        };
        let dispatch =
            "use crate::store::sqlite::state::A;\nuse crate::store::postgres::state::B;\n";
        let up = "use crate::store::value::V;\n";
        assert_eq!(of(dispatch, up, up), [""; 0]);
        assert_eq!(of(up, up, up), ["crates/x/src/store:1"], "what is in common has floors");
    }
}
