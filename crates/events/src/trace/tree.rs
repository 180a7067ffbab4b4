//! Events in the order in which one led to another.
//!
//! A flat list from the root on, each step with its depth: a chain may be longer than a reader in JSON follows nested
//! values. Pure.

use std::collections::{BTreeMap, HashMap};

use super::Hop;

/// A step of a tree.
#[derive(Clone, Debug)]
pub struct Branch {
    /// How many steps are before it.
    pub depth: usize,
    /// What it is.
    pub step: Step,
}

/// An event, or what is missing before some.
#[derive(Clone, Debug)]
pub enum Step {
    /// An event; how many milliseconds after its cause, which clocks of two machines may make negative.
    Event {
        /// The event.
        hop: Box<Hop>,
        /// Nothing where its cause is not known, or there is none.
        after_ms: Option<i64>,
    },
    /// What events name as their cause and was not found: removed, outside of what was read, or of another system.
    Missing(String),
}

/// Where an event stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Parent {
    Event(usize),
    Missing(String),
    Nothing,
}

/// The tree of these, each behind its cause, earlier ones first.
pub(super) fn of(hops: &[Hop]) -> Vec<Branch> {
    let causes = causes(hops);
    let mut behind: BTreeMap<&Parent, Vec<usize>> = BTreeMap::new();
    for (at, cause) in causes.iter().enumerate() {
        behind.entry(cause).or_default().push(at);
    }
    for all in behind.values_mut() {
        all.sort_by_key(|&at| (hops[at].time, hops[at].at.clone(), hops[at].offset));
    }
    let mut walk = Walk {
        hops,
        causes: &causes,
        behind: &behind,
        is_shown: vec![false; hops.len()],
        branches: Vec::new(),
    };
    walk.all_behind(&Parent::Nothing, 0);
    for parent in behind.keys() {
        if let Parent::Missing(name) = parent {
            walk.branches.push(Branch { depth: 0, step: Step::Missing(name.clone()) });
            walk.all_behind(parent, 1);
        }
    }
    // What is its own cause by way of others has no beginning: each such circle is begun somewhere.
    for at in 0..hops.len() {
        walk.from(at, 0);
    }
    walk.branches
}

fn causes(hops: &[Hop]) -> Vec<Parent> {
    let mut named: HashMap<String, usize> = HashMap::new();
    // A name that two events have names none of them.
    let mut ids: HashMap<&str, Option<usize>> = HashMap::new();
    for (at, hop) in hops.iter().enumerate() {
        named.insert(format!("{}/{}", hop.source, hop.id), at);
        ids.entry(&hop.id).and_modify(|other| *other = None).or_insert(Some(at));
    }
    // As they are called here, before what others may call them.
    named.extend(hops.iter().enumerate().map(|(at, hop)| (hop.name.clone(), at)));
    let cause = |(at, hop): (usize, &Hop)| {
        let Some(said) = &hop.causation_id else { return Parent::Nothing };
        let found = named.get(said).copied().or_else(|| ids.get(said.as_str()).copied().flatten());
        match found {
            Some(found) if found != at => Parent::Event(found),
            Some(_) => Parent::Nothing,
            None => Parent::Missing(said.clone()),
        }
    };
    hops.iter().enumerate().map(cause).collect()
}

struct Walk<'h> {
    hops: &'h [Hop],
    causes: &'h [Parent],
    behind: &'h BTreeMap<&'h Parent, Vec<usize>>,
    is_shown: Vec<bool>,
    branches: Vec<Branch>,
}

impl Walk<'_> {
    fn all_behind(&mut self, cause: &Parent, depth: usize) {
        for &at in self.behind.get(cause).map_or(&[][..], Vec::as_slice) {
            self.from(at, depth);
        }
    }

    /// Shows an event and what came of it, by a list of what is still to be shown: a chain may be long.
    fn from(&mut self, first: usize, depth: usize) {
        let mut open = vec![(first, depth)];
        while let Some((at, depth)) = open.pop() {
            if std::mem::replace(&mut self.is_shown[at], true) {
                continue;
            }
            let hop = Box::new(self.hops[at].clone());
            let after_ms = match &self.causes[at] {
                Parent::Event(cause) => {
                    Some(hop.time.as_millisecond() - self.hops[*cause].time.as_millisecond())
                }
                Parent::Missing(_) | Parent::Nothing => None,
            };
            self.branches.push(Branch { depth, step: Step::Event { hop, after_ms } });
            let next = self.behind.get(&Parent::Event(at)).map_or(&[][..], Vec::as_slice);
            open.extend(next.iter().rev().map(|&next| (next, depth + 1)));
        }
    }
}
