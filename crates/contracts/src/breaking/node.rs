//! A schema as it is compared: its words by name, with what only refers to another taken for that.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::pointer::target;

/// Words that bind nobody.
const SILENT: [&str; 15] = [
    "$schema",
    "$id",
    "$comment",
    "$defs",
    "definitions",
    "title",
    "description",
    "default",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
    "contentEncoding",
    "contentMediaType",
    "contentSchema",
];

/// Takes anything.
pub(super) static ANYTHING: Value = Value::Bool(true);

/// A schema, and the document that its references are of.
#[derive(Clone, Copy)]
pub(super) struct Ends<'d> {
    pub(super) root: &'d Value,
    pub(super) schema: &'d Value,
}

/// The words of one schema that bind.
pub(super) struct Node<'d> {
    pub(super) root: &'d Value,
    pub(super) words: BTreeMap<&'d str, &'d Value>,
    /// What it has to be beside: of `allOf`, and of a reference.
    pub(super) all: Vec<Ends<'d>>,
    is_never: bool,
}

impl<'d> Node<'d> {
    pub(super) fn of(ends: Ends<'d>) -> Node<'d> {
        let Ends { root, schema } = ends;
        let mut node =
            Node { root, words: BTreeMap::new(), all: Vec::new(), is_never: *schema == false };
        for (name, value) in schema.as_object().into_iter().flatten() {
            match name.as_str() {
                "$ref" => node.all.push(Ends { root, schema: target(root, value) }),
                "allOf" => {
                    let each = value.as_array().into_iter().flatten();
                    node.all.extend(each.map(|schema| Ends { root, schema }));
                }
                name if SILENT.contains(&name) || name.starts_with("x-") => {}
                name => drop(node.words.insert(name, value)),
            }
        }
        // One that says nothing but what it refers to is that.
        match node.all.as_slice() {
            [only] if node.words.is_empty() => Node::of(*only),
            _ => node,
        }
    }

    /// Whether nothing is one.
    pub(super) fn is_never(&self) -> bool {
        self.is_never
    }

    /// Whether a word is there.
    pub(super) fn has(&self, word: &str) -> bool {
        self.words.contains_key(word)
    }

    /// What a word says that is a schema; without it anything.
    pub(super) fn schema(&self, word: &str) -> Ends<'d> {
        self.ends(self.words.get(word).copied().unwrap_or(&ANYTHING))
    }

    /// What a word says that is a list of schemas.
    pub(super) fn list(&self, word: &str) -> Vec<Ends<'d>> {
        let list = self.words.get(word).and_then(|it| it.as_array());
        list.into_iter().flatten().map(|it| self.ends(it)).collect()
    }

    pub(super) fn ends(&self, schema: &'d Value) -> Ends<'d> {
        Ends { root: self.root, schema }
    }
}
