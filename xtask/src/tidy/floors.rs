//! The floors of each member: which of its modules stand on which.
//!
//! A module's floor is one above the highest that it uses; a folder counts as one module with its
//! whole. Modules that need each other as wholes, though no two of their files do, share a floor. It is
//! what ARCHITECTURE.md says in a line a member, printed, so that the line can be held against it.

use std::collections::{BTreeMap, BTreeSet};

use super::circles::{self, Arrows};
use super::tree::Tree;

/// The floors of each member, from the ground up, each with its modules by name.
pub(super) fn floors(tree: &Tree) -> BTreeMap<String, Vec<BTreeSet<String>>> {
    let members = circles::arrows(tree).into_iter();
    members.map(|(member, arrows)| (member, of_member(&arrows))).collect()
}

fn of_member(arrows: &Arrows) -> Vec<BTreeSet<String>> {
    let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (from, targets) in arrows.iter().filter(|(from, _)| !from.is_empty()) {
        let own = uses.entry(from[0].clone()).or_default();
        own.extend(
            targets.keys().filter_map(|to| to.first()).filter(|to| **to != from[0]).cloned(),
        );
    }
    let mut floors: Vec<BTreeSet<String>> = Vec::new();
    let mut settled = BTreeSet::new();
    while settled.len() < uses.len() {
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
fn reached(name: &str, uses: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<String> {
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

fn lowest_group(
    uses: &BTreeMap<String, BTreeSet<String>>,
    settled: &BTreeSet<String>,
) -> BTreeSet<String> {
    let left = uses.keys().filter(|name| !settled.contains(*name));
    let groups = left.map(|name| &reached(name, uses) - settled);
    groups.min_by_key(BTreeSet::len).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn wholes_that_need_each_other_share_a_floor() {
        let tree = Tree::of(&[
            ("crates/x/src/a.rs", "use crate::b::g::G;\n"),
            ("crates/x/src/b.rs", "use crate::a::f::F;\n"),
            ("crates/x/src/a/f.rs", "//! F.\n"),
            ("crates/x/src/b/g.rs", "//! G.\n"),
            ("crates/x/src/c.rs", "use crate::a;\n"),
        ]);
        let floors = &floors(&tree)["crates/x/"];
        assert_eq!(floors.len(), 2, "{floors:?}");
        assert_eq!(floors[0], BTreeSet::from(["a".to_owned(), "b".to_owned()]));
    }
}
