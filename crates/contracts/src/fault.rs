//! What is wrong with a schema or with data, by its place: what every part of this member answers with.

/// Something that is wrong, and where: in a schema's text, or in data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The place, as a JSON Pointer; empty for the whole.
    pub pointer: String,
    /// What is wrong there, and what would be right.
    pub says: String,
}

impl Fault {
    pub(crate) fn new(pointer: impl Into<String>, says: impl Into<String>) -> Fault {
        Fault { pointer: pointer.into(), says: says.into() }
    }
}
