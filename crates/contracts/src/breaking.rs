//! Whether a schema may take another's place: who would be broken by the change, and where.
//!
//! Two sides relied on the old one, and each has a direction. **Readers** were written by it and go on reading what is published
//! by the new one: an event that the new one takes must be nothing that the old one ruled out. **Publishers** go on sending what
//! the old one took, and what is stored was taken by it: the new one must take that. So a change breaks nobody only where
//! neither side sees one, but for this: a member that is new and may be missing. Readers pass over what they do not know, and
//! fields are added that way.
//!
//! | word | narrower (publishers) | wider (readers) |
//! |---|---|---|
//! | `type`, `enum`, `const` | a value less | a value more |
//! | bounds of numbers, lengths, counts | closer | further |
//! | `pattern`, `format`, `multipleOf`, `uniqueItems` | there, or another | gone, or another |
//! | `required` | a name more | a name less |
//! | `properties` | one less where others are refused | one less |
//! | `additionalProperties`, `items`, `prefixItems` | the schema's own | the schema's own |
//! | `anyOf`, `oneOf` | a choice less | a choice more |
//! | `allOf` and `$ref` beside other words | a condition more | a condition less |
//! | all others | any change | any change |
//!
//! It errs on one side: what it cannot tell apart it names. What is written another way to the same end (`const` for an `enum` of
//! one aside) may be named, and a change that breaks somebody by these words never passes. Numbers are compared as they are written, and
//! not as the nearest `f64`.

mod members;
mod node;
mod number;
mod values;

use serde_json::Value;

use crate::keywords::{self, Below};
use crate::pointer::{step, target};
use crate::schema::Schema;
use node::{Ends, Node};

/// Who is broken by a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// Who reads what comes by the old schema.
    Readers,
    /// Who sends what the old schema took; what is stored was sent so.
    Publishers,
}

/// A change that breaks somebody.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Break {
    /// Where, as a JSON Pointer into the schema with its references followed.
    pub pointer: String,
    /// Whom.
    pub side: Side,
    /// What is different.
    pub says: String,
}

/// What breaks where `new` takes the place of `old`, in the order of places.
///
/// ```
/// use yeoul_contracts::{Schema, Side, breaking};
///
/// let schema = |text: &str| Schema::parse(text).expect("a schema");
/// let old = schema(r#"{"required": ["won"], "properties": {"won": {"type": "integer"}}}"#);
/// let more = schema(r#"{"required": ["won"], "properties": {"won": {"type": "integer"}, "tip": {"type": "integer"}}}"#);
/// assert_eq!(breaking(&old, &more), []);
///
/// let renamed = schema(r#"{"required": ["sum"], "properties": {"sum": {"type": "integer"}}}"#);
/// let broken: Vec<Side> = breaking(&old, &renamed).into_iter().map(|it| it.side).collect();
/// assert_eq!(broken, [Side::Publishers, Side::Readers]);
/// ```
pub fn breaking(old: &Schema, new: &Schema) -> Vec<Break> {
    let (old, new) = (&old.document, &new.document);
    let mut found = of_pair(Ends { root: old, schema: old }, Ends { root: new, schema: new });
    found.breaks.sort_unstable();
    found.breaks.dedup();
    found.breaks
}

/// The same place in two schemas.
#[derive(Clone, Copy)]
struct Pair<'d> {
    old: Ends<'d>,
    new: Ends<'d>,
}

#[derive(Default)]
struct Found {
    breaks: Vec<Break>,
}

impl Found {
    fn note(&mut self, pointer: &str, side: Side, says: impl Into<String>) {
        self.breaks.push(Break { pointer: pointer.to_owned(), side, says: says.into() });
    }

    fn both(&mut self, pointer: &str, says: &str) {
        self.note(pointer, Side::Readers, says);
        self.note(pointer, Side::Publishers, says);
    }

    fn has(&self, side: Side) -> bool {
        self.breaks.iter().any(|it| it.side == side)
    }
}

/// Words that bind by what they say, and are compared as they are written.
const WRITTEN: [&str; 10] = [
    "not",
    "if",
    "then",
    "else",
    "dependentRequired",
    "dependentSchemas",
    "contains",
    "propertyNames",
    "patternProperties",
    "unevaluatedItems",
];

fn compare(pair: &Pair<'_>, at: &str, found: &mut Found) {
    let (old, new) = (Node::of(pair.old), Node::of(pair.new));
    match (old.is_never(), new.is_never()) {
        (true, true) => return,
        (true, false) => {
            return found.note(at, Side::Readers, "was nothing, and may be something now");
        }
        (false, true) => return found.note(at, Side::Publishers, "takes nothing any more"),
        (false, false) => {}
    }
    values::compare(&old, &new, at, found);
    members::compare(&old, &new, at, found);
    choices("anyOf", &old, &new, at, found);
    choices("oneOf", &old, &new, at, found);
    conditions(&old, &new, at, found);
    for word in WRITTEN {
        if !is_same(word, &old, &new) {
            found.both(&step(at, word), "is different, and what that changes cannot be told");
        }
    }
}

/// How each of the old compares with each of the new.
struct Matrix {
    /// By old, then by new.
    rows: Vec<Vec<Found>>,
}

impl Matrix {
    fn of(old: &[Ends<'_>], new: &[Ends<'_>]) -> Matrix {
        let row = |&old: &Ends<'_>| new.iter().map(|&new| of_pair(old, new)).collect();
        Matrix { rows: old.iter().map(row).collect() }
    }

    /// Whether each of the old has one of the new beside which this side sees no change.
    fn each_old(&self, side: Side) -> bool {
        self.rows.iter().all(|row| row.iter().any(|it| !it.has(side)))
    }

    /// The same of each of the new.
    fn each_new(&self, count: usize, side: Side) -> bool {
        (0..count).all(|at| self.rows.iter().any(|row| !row[at].has(side)))
    }
}

fn of_pair(old: Ends<'_>, new: Ends<'_>) -> Found {
    let mut found = Found::default();
    compare(&Pair { old, new }, "", &mut found);
    found
}

/// Of a value that is one of several.
fn choices(word: &str, old: &Node<'_>, new: &Node<'_>, at: &str, found: &mut Found) {
    let (of_old, of_new) = (old.list(word), new.list(word));
    let at = &step(at, word);
    match (of_old.is_empty(), of_new.is_empty()) {
        (true, true) => {}
        (true, false) => found.note(at, Side::Publishers, "has to be one of these now"),
        (false, true) => found.note(at, Side::Readers, "need be none of these any more"),
        (false, false) => {
            let matrix = Matrix::of(&of_old, &of_new);
            if !matrix.each_old(Side::Publishers) {
                found.note(at, Side::Publishers, "a choice is narrower, or gone");
            }
            if !matrix.each_new(of_new.len(), Side::Readers) {
                found.note(at, Side::Readers, "a choice is wider, or new");
            }
        }
    }
}

/// Of a value that is all of several.
fn conditions(old: &Node<'_>, new: &Node<'_>, at: &str, found: &mut Found) {
    let matrix = Matrix::of(&old.all, &new.all);
    let at = &step(at, "allOf");
    if !matrix.each_new(new.all.len(), Side::Publishers) {
        found.note(at, Side::Publishers, "a condition is narrower, or new");
    }
    if !matrix.each_old(Side::Readers) {
        found.note(at, Side::Readers, "a condition is wider, or gone");
    }
}

/// Whether a word is written alike, and so is whatever it refers to: below a word that turns a schema around, or has it decide about
/// another, what would break nobody elsewhere may break somebody.
fn is_same(word: &str, old: &Node<'_>, new: &Node<'_>) -> bool {
    let (Some(of_old), Some(of_new)) = (old.words.get(word), new.words.get(word)) else {
        return !old.has(word) && !new.has(word);
    };
    let below = keywords::behind_word("", word, of_old);
    *of_old == *of_new && are_written_alike(below, old.root, new.root)
}

/// Whether all that these schemas of both documents refer to, however far, is written alike in both.
fn are_written_alike<'d>(mut left: Vec<Below<'d>>, old: &'d Value, new: &Value) -> bool {
    while let Some(Below { schema, .. }) = left.pop() {
        if let Some(reference) = schema.get("$ref") {
            let (was, is) = (target(old, reference), target(new, reference));
            if was != is {
                return false;
            }
            left.push(Below { pointer: String::new(), schema: was });
        }
        left.extend(keywords::below("", schema));
    }
    true
}
