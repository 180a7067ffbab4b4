//! What a Rust file names of its own crate: the paths of its `use` declarations and of its bodies.
//!
//! Read from masked code, without a parser: a path is a run of names with `::` between, a tree of
//! braces is multiplied out. It knows no macros, and of a glob its prefix: the names that it brings in cannot be
//! followed, and whoever follows refuses it.

/// A path as it was written, its names in order: `crate::a::B` is `[crate, a, B]`.
pub(super) type Path = Vec<String>;

/// Whatever is there.
const GLOB: &str = "*";

/// One import of a file, or a path in its code.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Import {
    /// From 1.
    pub(super) line: usize,
    pub(super) path: Path,
    /// The name that a declaration gives it in the file.
    pub(super) name: Option<String>,
    /// Whether others may take it from there (`pub use`).
    pub(super) is_handed_on: bool,
    /// Whether it brings in whatever is there (`use a::*`).
    pub(super) is_glob: bool,
}

impl Import {
    /// A path in a body, which gives no name.
    fn in_body(line: usize, path: Path) -> Import {
        Import { line, path, name: None, is_handed_on: false, is_glob: false }
    }
}

/// All paths that `code` names, tests at its end left out by the caller.
pub(super) fn imports(code: &str) -> Vec<Import> {
    let mut found = Vec::new();
    let mut bodies = String::with_capacity(code.len());
    let mut rest = code;
    let mut line = 1;
    // Declarations are cut out with their lines kept, so that what is left is read for plain paths.
    while let Some(at) = declaration(rest) {
        let (before, from) = rest.split_at(at);
        let end = from.find(';').unwrap_or(from.len());
        let (text, after) = from.split_at(end);
        line += before.matches('\n').count();
        // `pub use`, `pub(crate) use`, `pub(in …) use`: whatever widens it ends in one of these.
        let public = before.trim_end().ends_with("pub") || before.trim_end().ends_with(')');
        for Multiplied { mut path, name } in multiplied_out(text.trim_start_matches("use")) {
            let is_glob = path.pop_if(|last| last == GLOB).is_some();
            let name = (!is_glob).then_some(name);
            found.push(Import { line, path, name, is_handed_on: public, is_glob });
        }
        bodies.push_str(before);
        bodies.extend(text.chars().filter(|c| *c == '\n'));
        line += text.matches('\n').count();
        rest = after;
    }
    bodies.push_str(rest);
    for (line, text) in (1..).zip(bodies.lines()) {
        found.extend(paths(&without_visibility(text)).map(|path| Import::in_body(line, path)));
    }
    found
}

/// Where the next `use` stands as a word of its own.
fn declaration(code: &str) -> Option<usize> {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices("use ").map(|(at, _)| at).find(|at| !code[..*at].ends_with(word))
}

/// One path of a declaration, and the name it has here.
struct Multiplied {
    path: Path,
    name: String,
}

/// `a::{b, c::{d as e}}` as `[a, b]`, `[a, c, d]`.
fn multiplied_out(tree: &str) -> Vec<Multiplied> {
    let tree = tree.trim();
    let Some((prefix, inside)) = tree.split_once('{') else {
        let (path, name) = tree.split_once(" as ").unwrap_or((tree, ""));
        let path = names(path);
        let last = path.last().cloned().unwrap_or_default();
        let name = if name.is_empty() { last } else { name.trim().to_owned() };
        return vec![Multiplied { path, name }];
    };
    let prefix = names(prefix);
    let inside = inside.rsplit_once('}').map_or(inside, |(inside, _)| inside);
    let whole = |Multiplied { path, name }: Multiplied| {
        // `{self}` is the prefix itself.
        let own = path.first().is_some_and(|first| first == "self");
        let rest = if own { Vec::new() } else { path };
        let name = if own { prefix.last().cloned().unwrap_or_default() } else { name };
        Multiplied { path: [prefix.clone(), rest].concat(), name }
    };
    branches(inside).into_iter().flat_map(multiplied_out).map(whole).collect()
}

/// The parts between the commas that stand in no inner braces.
fn branches(inside: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut depth = 0_usize;
    let mut begin = 0;
    for (at, c) in inside.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&inside[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&inside[begin..]);
    parts.retain(|part| !part.trim().is_empty());
    parts
}

fn names(path: &str) -> Path {
    let names = path.split("::").map(str::trim).filter(|name| !name.is_empty());
    names.map(str::to_owned).collect()
}

/// The paths of two names or more in a line.
fn paths(text: &str) -> impl Iterator<Item = Path> {
    let outside = |c: char| !c.is_alphanumeric() && c != '_' && c != ':';
    text.split(outside).filter(|run| run.contains("::")).map(names).filter(|path| path.len() > 1)
}

/// `pub(in crate::a)` names who may see, not what is used.
fn without_visibility(text: &str) -> String {
    match text.split_once("pub(in ") {
        Some((before, after)) => {
            before.to_owned() + after.split_once(')').map_or("", |(_, after)| after)
        }
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(code: &str, expected: &[&str]) {
        let shown = imports(code).into_iter().map(|import| {
            let path = import.path.join("::");
            let handed_on = import.name.filter(|_| import.is_handed_on);
            let handed_on = handed_on.map(|name| format!(" -> {name}")).unwrap_or_default();
            let glob = if import.is_glob { "::*" } else { "" };
            format!("{}: {path}{glob}{handed_on}", import.line)
        });
        assert_eq!(shown.collect::<Vec<_>>(), expected, "{code}");
    }

    #[test]
    fn declarations_are_multiplied_out() {
        check("use crate::a::B;", &["1: crate::a::B"]);
        check(
            "use super::{a::{B, C as D}, e};",
            &["1: super::a::B", "1: super::a::C", "1: super::e"],
        );
        check("use crate::a::{self, B};", &["1: crate::a", "1: crate::a::B"]);
        check("use super::*;", &["1: super::*"]);
        check("pub use a::{b, c::*};", &["1: a::b -> b", "1: a::c::*"]);
        check(
            "x\nuse crate::{\n    a,\n    b,\n};\nuse c::D;",
            &["2: crate::a", "2: crate::b", "6: c::D"],
        );
    }

    #[test]
    fn what_is_handed_on_has_its_name() {
        check("pub use a::{B, C as D};", &["1: a::B -> B", "1: a::C -> D"]);
        check("pub(crate) use a::B;", &["1: a::B -> B"]);
    }

    #[test]
    fn paths_in_bodies_are_found() {
        check("fn a() { crate::b::c(1)?; d }", &["1: crate::b::c"]);
        check("let a: super::B = Vec::<C>::new();", &["1: super::B"]);
        check("pub(in crate::a) fn b() {}", &[]);
        check("let because = reuse (a);", &[]);
    }
}
