//! No circles: inside a member, no two modules need each other, however many stand between them.
//!
//! A module is a file. An arrow goes to the file that defines what is named, through whatever hands it
//! on, so that a re-export at the root hides nothing. A file may use what its own folders define above
//! it (`super`): a part and its whole are read together, and that arrow is not drawn. A glob over modules of the
//! member is refused, because nobody sees from where what it brings in comes. The rooms of two engines know
//! nothing of each other, by whatever way.
//!
//! Tests at the end of a file, and files that are tests, may know everything.

use std::collections::{BTreeMap, BTreeSet};

use super::Finding;
use super::imports::{self, Import};
use super::tree::{File, Tree};

/// A module of a member: its names from the crate's root on.
pub(super) type Module = Vec<String>;

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    members(tree).values().flat_map(of_member).collect()
}

/// Which modules use which, by member.
pub(super) fn arrows(tree: &Tree) -> BTreeMap<String, Arrows> {
    let members = members(tree).into_iter();
    members.map(|(member, house)| (member.to_owned(), house.arrows())).collect()
}

fn members(tree: &Tree) -> BTreeMap<&str, House<'_>> {
    let mut members: BTreeMap<&str, House<'_>> = BTreeMap::new();
    for (file, _) in tree.rust().filter(|(file, _)| !file.is_apart()) {
        if let Some((member, _)) = file.path.split_once("src/") {
            let house = members.entry(member).or_default();
            house.modules.insert(module(&file.path), Source::read(file));
        }
    }
    members
}

fn of_member(house: &House<'_>) -> Vec<Finding> {
    let arrows = house.arrows();
    let mut findings = house.handed_around();
    findings.extend(house.globs());
    findings.extend(house.between_rooms(&arrows));
    for circle in circles(&arrows) {
        let first = &house.modules[&circle[0]];
        let names = circle.iter().map(|it| it.join("::")).collect::<Vec<_>>().join(", ");
        let line = arrows[&circle[0]]
            .iter()
            // Any arrow within the circle will do to begin with; which one to cut is for whoever reads it.
            .find_map(|(to, line)| circle.contains(to).then_some(*line))
            .unwrap_or(1);
        let says = format!("modules that need each other. modules=`{names}`");
        findings.push(Finding::new(&first.file.path, line, says));
    }
    findings
}

/// A file and what it names.
struct Source<'t> {
    file: &'t File,
    imports: Vec<Import>,
}

impl<'t> Source<'t> {
    fn read(file: &'t File) -> Source<'t> {
        let masked = file.rust.as_ref().expect("the tree's Rust files are masked");
        Source { file, imports: imports::imports(&masked.code_without_tests()) }
    }
}

/// The innermost module that a whole path goes through, and what it names there.
struct Found<'p> {
    module: &'p [String],
    rest: &'p [String],
}

/// What is named where it is not defined.
struct Hop {
    name: String,
    definer: Module,
}

/// The rooms of storage engines, whose names their `store` alone knows.
const ENGINES: [&str; 2] = ["sqlite", "postgres"];

/// Whether a module of this name is an engine's room.
pub(super) fn is_room(name: &str) -> bool {
    ENGINES.contains(&name)
}

/// The engine in whose room a module is.
fn engine(module: &[String]) -> Option<&str> {
    module.iter().map(String::as_str).find(|name| is_room(name))
}

/// The modules of a member.
#[derive(Default)]
struct House<'t> {
    modules: BTreeMap<Module, Source<'t>>,
}

/// To which modules each goes, and from which line.
pub(super) type Arrows = BTreeMap<Module, BTreeMap<Module, usize>>;

impl House<'_> {
    fn arrows(&self) -> Arrows {
        let mut arrows = Arrows::new();
        for (from, source) in &self.modules {
            let targets = arrows.entry(from.clone()).or_default();
            for import in &source.imports {
                let Some(to) =
                    self.whole(from, &import.path).and_then(|path| self.definer(from, &path))
                else {
                    continue;
                };
                // A whole may be used by its parts.
                if !from.starts_with(&to) {
                    // The first line that needs it is the one to show.
                    targets.entry(to).or_insert(import.line);
                }
            }
        }
        arrows
    }

    /// What is taken from a module that only hands it on, although another one of the member defines it.
    /// The root may take its public names from wherever they are; what an engine's room keeps, its `store`
    /// hands on, and nobody outside the rooms names the room.
    fn handed_around(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (from, source) in self.modules.iter().filter(|(from, _)| !from.is_empty()) {
            for import in &source.imports {
                let Some(path) = self.whole(from, &import.path) else { continue };
                let Some(hop) = self.hop(from, &path) else { continue };
                if engine(from).is_none() && engine(&hop.definer).is_some() {
                    continue;
                }
                let says = format!(
                    "taken from a module that hands it on, and not from where it is defined. name=`{}`, \
                     module=`{}`",
                    hop.name,
                    hop.definer.join("::")
                );
                findings.push(Finding::new(&source.file.path, import.line, says));
            }
        }
        findings
    }

    /// Globs over what is in this member.
    fn globs(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (from, source) in &self.modules {
            let globs = source.imports.iter().filter(|import| import.is_glob);
            for import in globs.filter(|import| self.whole(from, &import.path).is_some()) {
                let says = "a glob over what is defined here: name what is taken";
                findings.push(Finding::new(&source.file.path, import.line, says));
            }
        }
        findings
    }

    /// Where one engine's room uses another's.
    fn between_rooms(&self, arrows: &Arrows) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (from, targets) in arrows {
            let Some(own) = engine(from) else { continue };
            for (to, line) in
                targets.iter().filter(|(to, _)| engine(to).is_some_and(|it| it != own))
            {
                let to = to.join("::");
                let says = format!("one engine's room uses another's. module=`{to}`");
                findings.push(Finding::new(&self.modules[from].file.path, *line, says));
            }
        }
        findings
    }

    /// The name that a path takes from a module which only hands it on.
    fn hop(&self, from: &Module, path: &[String]) -> Option<Hop> {
        let Found { module, rest } = self.module_of(path)?;
        let name = rest.first()?;
        let definer = self.brought(from, module, name)?;
        Some(Hop { name: name.clone(), definer }).filter(|hop| hop.definer != module)
    }

    /// A path from the crate's root on, if it is one of this crate.
    fn whole(&self, from: &Module, path: &[String]) -> Option<Vec<String>> {
        let mut base = from.clone();
        let mut rest = path;
        match rest.first()?.as_str() {
            "crate" => {
                base.clear();
                rest = &rest[1..];
            }
            "self" => rest = &rest[1..],
            "super" => {
                while rest.first().is_some_and(|name| name == "super") {
                    base.pop()?;
                    rest = &rest[1..];
                }
            }
            first => {
                base.push(first.to_owned());
                // A part of one's own, a module that was imported, or another crate.
                if !self.modules.contains_key(&base) {
                    base = self.imported(from, first)?;
                    rest = &rest[1..];
                } else {
                    base.pop();
                }
            }
        }
        base.extend(rest.iter().cloned());
        Some(base)
    }

    /// The module of this member that a file knows under this name because it imported it.
    fn imported(&self, from: &Module, name: &str) -> Option<Module> {
        let imports = &self.modules.get(from)?.imports;
        let import = imports.iter().find(|it| it.name.as_deref() == Some(name))?;
        if !["crate", "self", "super"].contains(&import.path.first()?.as_str()) {
            return None;
        }
        self.whole(from, &import.path).filter(|module| self.modules.contains_key(module))
    }

    fn module_of<'p>(&self, path: &'p [String]) -> Option<Found<'p>> {
        // Modules and what they define stand in one path: the longest beginning that is a file is the module, the
        // rest is defined there.
        let depth = (0..=path.len()).rev().find(|at| self.modules.contains_key(&path[..*at]))?;
        let (module, rest) = path.split_at(depth);
        Some(Found { module, rest })
    }

    /// The module that defines what a whole path names, through those that hand it on.
    fn definer(&self, from: &[String], path: &[String]) -> Option<Module> {
        let Found { module, rest } = self.module_of(path)?;
        let brought = rest.first().and_then(|name| self.brought(from, module, name));
        Some(brought.unwrap_or_else(|| module.to_vec()))
    }

    /// The definer of a name that a module has by a declaration alone: handed on to all, or lent to its
    /// parts, which see what it imports for itself.
    fn brought(&self, from: &[String], module: &[String], name: &str) -> Option<Module> {
        let imports = &self.modules.get(module)?.imports;
        let is_part = from.starts_with(module);
        // A private `use` is in scope for the module's own children and for nobody else.
        let is_seen = |it: &&Import| it.is_handed_on || is_part;
        let import = imports.iter().filter(is_seen).find(|it| it.name.as_deref() == Some(name))?;
        let path = self.whole(&module.to_vec(), &import.path)?;
        // A name that is handed on under itself would be looked for without an end.
        if path.starts_with(module) && path[module.len()..] == [name] {
            return None;
        }
        self.definer(module, &path)
    }
}

/// The modules' names from the path of a file.
fn module(path: &str) -> Module {
    let inside = path.split_once("src/").map_or(path, |(_, inside)| inside);
    let names = inside.trim_end_matches(".rs").split('/').map(str::to_owned);
    let names: Module = names.collect();
    if matches!(names[..].last().map(String::as_str), Some("lib" | "main")) && names.len() == 1 {
        return Module::new();
    }
    names
}

/// Groups of modules each of which reaches all others, of two and more.
fn circles(arrows: &Arrows) -> Vec<Vec<Module>> {
    let reached: BTreeMap<&Module, BTreeSet<&Module>> =
        arrows.keys().map(|from| (from, reach(from, arrows))).collect();
    let mut seen = BTreeSet::new();
    let mut circles = Vec::new();
    for (from, there) in &reached {
        // Whoever is reached and reaches back is in the same circle. All of its members find the same one, which
        // `seen` keeps once.
        let mutual = |to: &&&Module| reached.get(**to).is_some_and(|back| back.contains(from));
        let circle: Vec<Module> = there.iter().filter(mutual).map(|it| (*it).clone()).collect();
        if circle.len() > 1 && seen.insert(circle.clone()) {
            circles.push(circle);
        }
    }
    circles
}

fn reach<'a>(from: &'a Module, arrows: &'a Arrows) -> BTreeSet<&'a Module> {
    let mut reached = BTreeSet::new();
    let mut open = vec![from];
    while let Some(at) = open.pop() {
        for to in arrows.get(at).into_iter().flat_map(BTreeMap::keys) {
            if reached.insert(to) {
                open.push(to);
            }
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::super::found;
    use super::*;

    #[test]
    fn two_that_need_each_other_are_found_directly_or_by_others() {
        let direct = [
            ("crates/x/src/lib.rs", "mod a;\nmod b;\n"),
            ("crates/x/src/a.rs", "//! A.\nuse crate::b::B;\n"),
            ("crates/x/src/b.rs", "use super::a;\n"),
        ];
        assert_eq!(found(check, &direct), ["crates/x/src/a.rs:2"]);
        let around = [
            ("crates/x/src/a.rs", "use crate::b::B;\n"),
            ("crates/x/src/b.rs", "fn f() { crate::c::g() }\n"),
            ("crates/x/src/c.rs", "use crate::{a::A};\n"),
        ];
        assert_eq!(found(check, &around), ["crates/x/src/a.rs:1"]);
    }

    #[test]
    fn a_part_may_use_its_whole_and_the_whole_its_parts() {
        let files = [
            ("crates/x/src/lib.rs", "mod a;\n"),
            ("crates/x/src/a.rs", "mod b;\nuse b::B;\npub struct A;\n"),
            ("crates/x/src/a/b.rs", "use super::A;\npub struct B;\n"),
        ];
        assert_eq!(found(check, &files), [""; 0]);
    }

    #[test]
    fn what_hands_a_name_on_hides_no_circle() {
        let files = [
            ("crates/x/src/lib.rs", "mod a;\nmod b;\npub use b::B;\n"),
            ("crates/x/src/a.rs", "use crate::B;\n"),
            ("crates/x/src/b.rs", "use crate::a::A;\n"),
        ];
        let expected = ["crates/x/src/a.rs:1", "crates/x/src/a.rs:1"];
        assert_eq!(found(check, &files), expected, "the import from the root, and the circle");
    }

    #[test]
    fn a_name_is_taken_from_where_it_is_defined() {
        const A: &str = "mod b;\nuse crate::c::C;\npub use b::B;\npub fn d() {}\nuse crate::d;\n";
        let tidy = |user: (&str, &str), refused: bool| {
            let files = [
                ("crates/x/src/lib.rs", "mod a;\nmod c;\nmod d;\nmod e;\npub use a::B;\n"),
                ("crates/x/src/a.rs", A),
                ("crates/x/src/a/b.rs", "pub struct B;\n"),
                ("crates/x/src/c.rs", "pub struct C;\n"),
                ("crates/x/src/d.rs", ""),
                user,
            ];
            assert_eq!(!found(check, &files).is_empty(), refused, "{user:?}");
        };
        for (text, refused) in [
            ("use crate::a::b::B;\n", false),
            ("use crate::a::B;\n", true),
            ("use crate::B;\n", true),
            ("use super::a::{self, d};\n", false),
            ("use crate::a;\nfn f(b: a::B) {}\n", true),
            ("use crate::a;\nfn f(b: a::b::B) { a::d() }\n", false),
        ] {
            tidy(("crates/x/src/e.rs", text), refused);
        }
        // A part sees what its whole imports, and takes it from there no more than others do.
        tidy(("crates/x/src/a/e.rs", "use super::C;\n"), true);
        tidy(("crates/x/src/a/e.rs", "use crate::c::C;\n"), false);
    }

    #[test]
    fn what_an_engines_room_keeps_is_taken_from_its_store() {
        let files = [
            ("crates/x/src/store.rs", "mod sqlite;\npub use sqlite::rows;\npub use sqlite::Row;\n"),
            ("crates/x/src/store/sqlite.rs", "pub mod rows;\npub struct Row;\n"),
            ("crates/x/src/store/sqlite/rows.rs", ""),
            ("crates/x/src/a.rs", "use crate::store::{Row, rows};\n"),
        ];
        assert_eq!(found(check, &files), [""; 0]);
    }

    #[test]
    fn no_engines_room_takes_anything_from_anothers() {
        const STORE: (&str, &str) = (
            "crates/x/src/store.rs",
            "mod bounds;\nmod postgres;\nmod sqlite;\npub use bounds::MAX;\npub use sqlite::Row;\npub use postgres::own::Own;\n",
        );
        for (text, refused) in [
            ("use crate::store::bounds::MAX;\n", false),
            ("use crate::store::MAX;\n", true),
            ("use crate::store::Row;\n", true),
            ("use super::Row;\n", true),
            ("use crate::store::sqlite::Row;\n", true),
            ("use crate::store::sqlite;\nfn f(row: sqlite::Row) {}\n", true),
            ("use crate::store::postgres::own::Own;\n", false),
            ("use crate::store::Own;\n", true),
            // Of the same engine is what another part keeps.
            ("use crate::b::store::postgres::Table;\n", false),
            ("use crate::b::store::sqlite::Table;\n", true),
        ] {
            let files = [
                STORE,
                ("crates/x/src/store/bounds.rs", "pub const MAX: usize = 1;\n"),
                ("crates/x/src/store/sqlite.rs", "pub struct Row;\n"),
                ("crates/x/src/store/postgres.rs", text),
                ("crates/x/src/store/postgres/own.rs", "pub struct Own;\n"),
                ("crates/x/src/b/store/postgres.rs", "pub struct Table;\n"),
                ("crates/x/src/b/store/sqlite.rs", "pub struct Table;\n"),
            ];
            assert_eq!(!found(check, &files).is_empty(), refused, "{text}");
            // One who is in no room takes it from the store.
            let outside =
                [STORE, files[1], files[2], ("crates/x/src/a.rs", "use crate::store::Row;\n")];
            assert_eq!(found(check, &outside), [""; 0]);
        }
    }

    #[test]
    fn a_glob_over_what_is_defined_here_is_refused() {
        for (text, refused) in [
            ("use super::*;\n", true),
            ("pub use crate::b::*;\n", true),
            ("use crate::{b::{B, *}};\n", true),
            ("use crate::b;\nfn f() { use b::*; }\n", true),
            ("use other::prelude::*;\n", false),
            ("#[cfg(test)]\nmod tests {\n    use super::*;\n}\n", false),
        ] {
            let files = [
                ("crates/x/src/lib.rs", "mod a;\nmod b;\n"),
                ("crates/x/src/a.rs", text),
                ("crates/x/src/b.rs", ""),
            ];
            assert_eq!(!found(check, &files).is_empty(), refused, "{text}");
        }
    }

    #[test]
    fn tests_and_other_members_are_not_looked_at() {
        let files = [
            ("crates/x/src/a.rs", "use crate::b::B;\n\n#[cfg(test)]\nmod tests {\n}\n"),
            ("crates/x/src/b.rs", "#[cfg(test)]\nmod tests {\n    use crate::a::A;\n}\n"),
            ("crates/x/src/b/tests.rs", "use crate::a::A;\n"),
            ("crates/y/src/b.rs", "use x::a;\n"),
        ];
        assert_eq!(found(check, &files), [""; 0]);
    }
}
