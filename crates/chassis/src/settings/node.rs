//! A node of the settings: what it holds and where it came from.
//!
//! Anchors and aliases work; tags are ignored; duplicate keys are refused by the parser. Nesting is
//! bounded by [`DEPTH_MAX`].

use std::rc::Rc;

use mistakes::{Line, unknown};
use saphyr::{MarkedYaml, Scalar, YamlData};

/// The deepest nesting that is read.
pub(super) const DEPTH_MAX: usize = 64;

#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) origin: Provenance,
    pub(super) value: Value,
}

#[derive(Clone, Debug)]
pub(super) struct Provenance {
    pub(super) file: Rc<str>,
    pub(super) line: usize,
}

impl From<Provenance> for Line {
    fn from(origin: Provenance) -> Line {
        Line { file: origin.file.to_string(), number: origin.line }
    }
}

#[derive(Clone, Debug)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    /// In the order of the file.
    Map(Vec<NamedNode>),
}

/// A named node of a map.
#[derive(Clone, Debug)]
pub(super) struct NamedNode {
    pub(super) name: String,
    /// Where the name stands.
    pub(super) origin: Provenance,
    pub(super) node: Node,
}

/// What of a file is no setting, and in which line.
pub(super) struct Misplaced {
    pub(super) line: usize,
    pub(super) says: &'static str,
}

impl Node {
    pub(super) fn empty(file: &Rc<str>) -> Node {
        let origin = Provenance { file: file.clone(), line: 1 };
        Node { origin, value: Value::Map(Vec::new()) }
    }

    pub(super) fn scalar(origin: Provenance, text: &str) -> Node {
        Node { origin, value: Value::from_scalar(&Scalar::parse_from_cow(text.into())) }
    }

    pub(super) fn from_yaml(
        file: &Rc<str>,
        yaml: &MarkedYaml<'_>,
        depth: usize,
    ) -> Result<Node, Misplaced> {
        let line = yaml.span.start.line();
        // By recursion, so the stack is the limit: a file of brackets alone must not end the process.
        if depth > DEPTH_MAX {
            let says = "nested too deeply. limit=`64`";
            return Err(Misplaced { line, says });
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
            _ => return Err(Misplaced { line, says: "not a value" }),
        };
        Ok(Node { origin: Provenance { file: file.clone(), line }, value })
    }

    fn entry(
        file: &Rc<str>,
        key: &MarkedYaml<'_>,
        value: &MarkedYaml<'_>,
        depth: usize,
    ) -> Result<NamedNode, Misplaced> {
        let line = key.span.start.line();
        let name = match &key.data {
            YamlData::Value(Scalar::String(name)) => name.to_string(),
            YamlData::Value(Scalar::Integer(number)) => number.to_string(),
            _ => return Err(Misplaced { line, says: "a name must be text" }),
        };
        let origin = Provenance { file: file.clone(), line };
        Ok(NamedNode { name, origin, node: Node::from_yaml(file, value, depth)? })
    }

    pub(super) fn overlay(self, over: Node) -> Node {
        match (self.value, over.value) {
            (Value::Map(mut base), Value::Map(entries)) => {
                for laid in entries {
                    match base.iter_mut().find(|entry| entry.name == laid.name) {
                        Some(entry) => {
                            // Something has to stand there while the two are joined.
                            let empty = Node::empty(&laid.origin.file);
                            let below = std::mem::replace(&mut entry.node, empty);
                            entry.node = below.overlay(laid.node);
                            entry.origin = laid.origin;
                        }
                        None => base.push(laid),
                    }
                }
                Node { origin: over.origin, value: Value::Map(base) }
            }
            (_, value) => Node { origin: over.origin, value },
        }
    }

    /// The node that a variable's words lead to, or in words the first of them that leads nowhere.
    pub(super) fn find_spelled(&mut self, path: &[&str]) -> Result<&mut Node, String> {
        let Some((name, rest)) = path.split_first() else { return Ok(self) };
        let Value::Map(entries) = &mut self.value else { return Err(unknown("name", name, [])) };
        match entries.iter().position(|entry| same_spelling(&entry.name, name)) {
            Some(at) => entries[at].node.find_spelled(rest),
            None => {
                let known = entries.iter().map(|entry| entry.name.as_str());
                Err(unknown("name", &name.to_lowercase(), known))
            }
        }
    }

    pub(super) fn origin_of(&self, path: &[&str]) -> Provenance {
        let Some((name, rest)) = path.split_first() else { return self.origin.clone() };
        match &self.value {
            Value::Map(entries) => match entries.iter().find(|entry| entry.name == *name) {
                // The last name is best shown where its key stands, not where its value begins.
                Some(entry) if rest.is_empty() => entry.origin.clone(),
                Some(NamedNode { origin, node, .. }) => match &node.value {
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
    fn origin_of_or(&self, path: &[&str], key: &Provenance) -> Provenance {
        match (&self.value, path.first()) {
            (Value::Map(entries), Some(name)) if !entries.iter().any(|it| it.name == *name) => {
                key.clone()
            }
            _ => self.origin_of(path),
        }
    }

    /// Takes the entry at `path` out of its map; a list goes as a whole, since the places of its
    /// items are their names. Whether there was one.
    pub(super) fn remove(&mut self, path: &[String]) -> bool {
        let Some((name, rest)) = path.split_first() else { return false };
        let Value::Map(entries) = &mut self.value else { return false };
        let Some(at) = entries.iter().position(|entry| entry.name == *name) else { return false };
        if rest.is_empty() {
            entries.remove(at);
            return true;
        }
        entries[at].node.remove(rest)
    }

    pub(super) fn json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(value) => (*value).into(),
            Value::Int(value) => (*value).into(),
            Value::Float(value) => (*value).into(),
            Value::Text(value) => value.clone().into(),
            Value::List(items) => items.iter().map(Node::json).collect(),
            Value::Map(entries) => {
                entries.iter().map(|entry| (entry.name.clone(), entry.node.json())).collect()
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
