//! The settings as a tree that remembers where every node came from.
//!
//! Built on saphyr's marked YAML. Anchors and aliases work; tags are ignored; duplicate keys are
//! refused by the parser. Nesting is bounded by [`DEPTH_MAX`], size by [`FILE_BYTES_MAX`].

use std::rc::Rc;

use saphyr::{LoadableYamlNode, MarkedYaml, Scalar, YamlData};
use serde::de::DeserializeOwned;

use super::Mistake;
use super::read::Reader;

/// The largest settings file that is read.
pub(super) const FILE_BYTES_MAX: usize = 1 << 20;
/// The deepest nesting that is read.
pub(super) const DEPTH_MAX: usize = 64;

/// How many mistakes one reading names.
pub(super) const MISTAKES_MAX: usize = 100;

/// A settings tree; see the module.
#[derive(Clone, Debug)]
pub struct Tree {
    pub(super) root: Node,
}

#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) origin: Origin,
    pub(super) value: Value,
}

#[derive(Clone, Debug)]
pub(super) struct Origin {
    pub(super) file: Rc<str>,
    pub(super) line: usize,
}

#[derive(Clone, Debug)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    /// In the order of the file; each key with its own origin.
    Map(Vec<(String, Origin, Node)>),
}

impl Tree {
    /// Parses one YAML document. `file` is how mistakes name it.
    ///
    /// # Errors
    /// Every mistake that the syntax holds: fix the file.
    pub fn parse(file: &str, text: &str) -> Result<Tree, Vec<Mistake>> {
        let file: Rc<str> = file.into();
        let refuse = |line: usize, says: String| {
            vec![Mistake { file: file.to_string(), line, path: String::new(), says }]
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
                .map_err(|(line, says)| refuse(line, says.to_owned()))?,
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
            let origin = Origin { file: format!("${name}").into(), line: 0 };
            match self.root.find_spelled(&path.split("__").collect::<Vec<_>>()) {
                Some(node) => *node = Node::scalar(origin, &value),
                None if !path.contains("__") => {}
                None => mistakes.push(Mistake {
                    file: format!("${name}"),
                    line: 0,
                    path: String::new(),
                    says: "names no setting".to_owned(),
                }),
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
            let (mut path, says) = refused.into_parts();
            let mistake = self.mistake(&path, says);
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
        let names: Vec<&str> = path.iter().map(AsRef::as_ref).collect();
        let origin = self.root.origin_of(&names);
        Mistake {
            file: origin.file.to_string(),
            line: origin.line,
            path: names.join("."),
            says: says.into(),
        }
    }

    /// The settings as JSON, for printing.
    pub fn json(&self) -> serde_json::Value {
        self.root.json()
    }

    /// Takes the subtree under a top-level name out.
    #[must_use]
    pub fn take(&mut self, name: &str) -> Option<Tree> {
        let Value::Map(entries) = &mut self.root.value else { return None };
        let at = entries.iter().position(|(key, _, _)| key == name)?;
        Some(Tree { root: entries.remove(at).2 })
    }
}

impl Node {
    fn empty(file: &Rc<str>) -> Node {
        let origin = Origin { file: file.clone(), line: 1 };
        Node { origin, value: Value::Map(Vec::new()) }
    }

    fn scalar(origin: Origin, text: &str) -> Node {
        Node { origin, value: Value::from_scalar(&Scalar::parse_from_cow(text.into())) }
    }

    fn from_yaml(
        file: &Rc<str>,
        yaml: &MarkedYaml<'_>,
        depth: usize,
    ) -> Result<Node, (usize, &'static str)> {
        let line = yaml.span.start.line();
        if depth > DEPTH_MAX {
            return Err((line, "nested too deeply. limit=`64`"));
        }
        let value = match &yaml.data {
            YamlData::Value(scalar) => Value::from_scalar(scalar),
            YamlData::Tagged(_, inner) => return Node::from_yaml(file, inner, depth + 1),
            YamlData::Sequence(items) => Value::List(
                items
                    .iter()
                    .map(|item| Node::from_yaml(file, item, depth + 1))
                    .collect::<Result<_, _>>()?,
            ),
            YamlData::Mapping(entries) => Value::Map(
                entries
                    .iter()
                    .map(|(key, value)| Node::entry(file, key, value, depth + 1))
                    .collect::<Result<_, _>>()?,
            ),
            _ => return Err((line, "not a value")),
        };
        Ok(Node { origin: Origin { file: file.clone(), line }, value })
    }

    fn entry(
        file: &Rc<str>,
        key: &MarkedYaml<'_>,
        value: &MarkedYaml<'_>,
        depth: usize,
    ) -> Result<(String, Origin, Node), (usize, &'static str)> {
        let line = key.span.start.line();
        let name = match &key.data {
            YamlData::Value(Scalar::String(name)) => name.to_string(),
            YamlData::Value(Scalar::Integer(number)) => number.to_string(),
            _ => return Err((line, "a name must be text")),
        };
        let origin = Origin { file: file.clone(), line };
        Ok((name, origin, Node::from_yaml(file, value, depth)?))
    }

    fn overlay(self, over: Node) -> Node {
        match (self.value, over.value) {
            (Value::Map(mut base), Value::Map(over_entries)) => {
                for (name, origin, node) in over_entries {
                    match base.iter_mut().find(|(key, _, _)| *key == name) {
                        Some(entry) => {
                            let below = std::mem::replace(&mut entry.2, Node::empty(&origin.file));
                            entry.2 = below.overlay(node);
                            entry.1 = origin;
                        }
                        None => base.push((name, origin, node)),
                    }
                }
                Node { origin: over.origin, value: Value::Map(base) }
            }
            (_, value) => Node { origin: over.origin, value },
        }
    }

    fn find_spelled(&mut self, path: &[&str]) -> Option<&mut Node> {
        let Some((name, rest)) = path.split_first() else { return Some(self) };
        let Value::Map(entries) = &mut self.value else { return None };
        let (_, _, node) = entries.iter_mut().find(|(key, _, _)| same_spelling(key, name))?;
        node.find_spelled(rest)
    }

    fn origin_of(&self, path: &[&str]) -> Origin {
        let Some((name, rest)) = path.split_first() else { return self.origin.clone() };
        match &self.value {
            Value::Map(entries) => match entries.iter().find(|(key, _, _)| key == name) {
                // The last name is best shown where its key stands, not where its value begins.
                Some((_, origin, _)) if rest.is_empty() => origin.clone(),
                Some((_, origin, node)) => match &node.value {
                    Value::Map(_) | Value::List(_) => node.origin_of_or(rest, origin),
                    _ => origin.clone(),
                },
                None => self.origin.clone(),
            },
            Value::List(items) => {
                let item = name.parse::<usize>().ok().and_then(|at| items.get(at));
                item.map_or_else(|| self.origin.clone(), |item| item.origin_of(rest))
            }
            _ => self.origin.clone(),
        }
    }

    /// As `origin_of`, but a name that is missing below is shown at `key`, the line of this node's
    /// own name, where the missing one would be written.
    fn origin_of_or(&self, path: &[&str], key: &Origin) -> Origin {
        match (&self.value, path.first()) {
            (Value::Map(entries), Some(name)) if !entries.iter().any(|(k, _, _)| k == name) => {
                key.clone()
            }
            _ => self.origin_of(path),
        }
    }

    /// Takes the entry at `path` out of its map; a list goes as a whole, since the places of its
    /// items are their names. Whether there was one.
    fn remove(&mut self, path: &[String]) -> bool {
        let Some((name, rest)) = path.split_first() else { return false };
        let Value::Map(entries) = &mut self.value else { return false };
        let Some(at) = entries.iter().position(|(key, _, _)| key == name) else { return false };
        if rest.is_empty() {
            entries.remove(at);
            return true;
        }
        entries[at].2.remove(rest)
    }

    fn json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(value) => (*value).into(),
            Value::Int(value) => (*value).into(),
            Value::Float(value) => (*value).into(),
            Value::Text(value) => value.clone().into(),
            Value::List(items) => items.iter().map(Node::json).collect(),
            Value::Map(entries) => {
                entries.iter().map(|(name, _, node)| (name.clone(), node.json())).collect()
            }
        }
    }
}

impl Value {
    fn from_scalar(scalar: &Scalar<'_>) -> Value {
        match scalar {
            Scalar::Null => Value::Null,
            Scalar::Boolean(value) => Value::Bool(*value),
            Scalar::Integer(value) => Value::Int(*value),
            Scalar::FloatingPoint(value) => Value::Float(value.into_inner()),
            Scalar::String(value) => Value::Text(value.to_string()),
        }
    }
}

fn same_spelling(key: &str, variable: &str) -> bool {
    key.len() == variable.len()
        && key
            .bytes()
            .zip(variable.bytes())
            .all(|(k, v)| k.eq_ignore_ascii_case(&v) || (v == b'_' && matches!(k, b'-' | b'_')))
}
