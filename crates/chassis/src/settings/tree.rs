//! The settings as a tree that remembers where every node came from.
//!
//! Parsed by saphyr with its marks; its size is bounded by [`FILE_BYTES_MAX`], its nesting by
//! [`DEPTH_MAX`](super::node::DEPTH_MAX). What a node is, and where one is found, is the node's; how
//! serde reads one, the reader's.

use std::rc::Rc;

use mistakes::{Line, Mistake};
use saphyr::{LoadableYamlNode, MarkedYaml};
use serde::de::DeserializeOwned;

use super::node::{Node, Provenance, Value};
use super::read::Reader;

/// The largest settings file that is read.
pub(super) const FILE_BYTES_MAX: usize = 1 << 20;
/// How many mistakes one reading names.
pub(super) const MISTAKES_MAX: usize = 100;

/// A settings tree; see the module.
#[derive(Clone, Debug)]
pub struct Tree {
    root: Node,
}

impl Tree {
    /// Parses one YAML document. `file` is how mistakes name it.
    ///
    /// # Errors
    /// Every mistake that the syntax holds: fix the file.
    pub fn parse(file: &str, text: &str) -> Result<Tree, Vec<Mistake>> {
        let file: Rc<str> = file.into();
        let refuse = |line: usize, says: String| {
            vec![Mistake::new(&[""; 0], says).at(Line { file: file.to_string(), number: line })]
        };
        if text.len() > FILE_BYTES_MAX {
            let says = format!("file too large. bytes=`{}`, limit=`{FILE_BYTES_MAX}`", text.len());
            return Err(refuse(0, says));
        }
        let documents = MarkedYaml::load_from_str(text)
            .map_err(|error| refuse(error.marker().line(), error.info().to_owned()))?;
        let root = match documents.as_slice() {
            [] => Node::empty(&file),
            [one] => Node::from_yaml(&file, one, 0)
                .map_err(|misplaced| refuse(misplaced.line, misplaced.says.to_owned()))?,
            [_, second, ..] => {
                return Err(refuse(second.span.start.line(), "more than one document".to_owned()));
            }
        };
        match root.value {
            Value::Map(_) => Ok(Tree { root }),
            Value::Null => Ok(Tree { root: Node::empty(&file) }),
            _ => Err(refuse(root.origin.line, "settings must be a map of names".to_owned())),
        }
    }

    /// Lays `over` on top: maps merge, lists and scalars replace.
    #[must_use]
    pub fn overlay(self, over: Tree) -> Tree {
        Tree { root: self.root.overlay(over.root) }
    }

    /// Replaces values by variables: `YEOUL_ROUTES__ORDER__GUARD__TIMEOUT=1s` sets
    /// `routes.order.guard.timeout`. Two underscores separate names, one stands for `_` or `-`, and
    /// letters match without regard to case; a path
    /// that names no present setting is a mistake.
    ///
    /// # Errors
    /// One mistake for each variable that names nothing.
    pub fn override_by(
        mut self,
        variables: impl Iterator<Item = (String, String)>,
    ) -> Result<Tree, Vec<Mistake>> {
        let mut mistakes = Vec::new();
        for (name, value) in variables {
            let Some(path) = name.strip_prefix("YEOUL_") else { continue };
            let origin = Provenance { file: format!("${name}").into(), line: 0 };
            match self.root.find_spelled(&path.split("__").collect::<Vec<_>>()) {
                Ok(node) => *node = Node::scalar(origin, &value),
                // One name alone may be any variable of ours that is no setting (`YEOUL_STORE_KEY`); a path is
                // meant for one.
                Err(_) if !path.contains("__") => {}
                Err(unknown) => {
                    let says = format!("names no setting: {unknown}");
                    mistakes.push(Mistake::new(&[""; 0], says).at(origin.into()));
                }
            }
        }
        if mistakes.is_empty() { Ok(self) } else { Err(mistakes) }
    }

    /// Reads the tree as `T`.
    ///
    /// Serde stops at the first refusal, so what was refused is taken out and the rest is read
    /// again, until nothing more is found; at most [`MISTAKES_MAX`].
    ///
    /// # Errors
    /// Every mistake that `T`'s type refuses, each with its line: fix the file.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Vec<Mistake>> {
        let mut rest = self.root.clone();
        let mut found: Vec<Mistake> = Vec::new();
        loop {
            let refused = match T::deserialize(Reader::new(&rest)) {
                Ok(value) if found.is_empty() => return Ok(value),
                Ok(_) => return Err(found),
                Err(refused) => refused,
            };
            let mistake = self.locate(refused.into_mistake());
            let mut path = mistake.path.clone();
            // What was taken out is missing now: that is no mistake of the file, and whatever needs
            // it has to go as well.
            let known = found.iter().any(|known| known.path == mistake.path);
            if !known {
                found.push(mistake);
            }
            while !path.is_empty() && !rest.remove(&path) {
                path.pop();
            }
            if path.is_empty() || found.len() == MISTAKES_MAX {
                return Err(found);
            }
        }
    }

    /// A mistake at `path`, with the line of the deepest part of it that the settings hold.
    pub fn mistake(&self, path: &[impl AsRef<str>], says: impl Into<String>) -> Mistake {
        self.locate(Mistake::new(path, says))
    }

    /// The same mistake with the line of the deepest part of its path that the settings hold.
    pub fn locate(&self, mistake: Mistake) -> Mistake {
        let names: Vec<&str> = mistake.path.iter().map(String::as_str).collect();
        let line = self.root.origin_of(&names).into();
        mistake.at(line)
    }

    /// The settings as JSON, for printing.
    pub fn json(&self) -> serde_json::Value {
        self.root.json()
    }

    /// Whether there is something under a top-level name.
    pub fn has(&self, name: &str) -> bool {
        let Value::Map(entries) = &self.root.value else { return false };
        entries.iter().any(|entry| entry.name == name)
    }

    /// Takes the subtree under a top-level name out.
    #[must_use]
    pub fn take(&mut self, name: &str) -> Option<Tree> {
        let Value::Map(entries) = &mut self.root.value else { return None };
        let at = entries.iter().position(|entry| entry.name == name)?;
        Some(Tree { root: entries.remove(at).node })
    }
}
