//! Whose rows: a whole number or a text, `7` and `"7"` being two owners.
//!
//! A path is text, so it cannot say which of the two it means; the page does. A private page means
//! text, because that is what a token's subject is; a page whose setting says `owners: number` means
//! numbers. A public page that does not say means whichever of the two it knows, text first: then
//! nothing is told of one that only the other's reader may see, because anybody may see both.

use serde::{Deserialize, Serialize};

use crate::value::{Key, Value};

/// What a page's owners are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Owners {
    /// Text alone; what a private page has if it does not say.
    Text,
    /// Whole numbers alone.
    Number,
    /// Either, text first; what a public page has if it does not say.
    Either,
}

/// One owner, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Owner<'a> {
    Number(i64),
    Text(&'a str),
}

/// Whom a text in a path can mean on one page: nobody, one, or one of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Meant<'a> {
    pub(crate) text: Option<Owner<'a>>,
    pub(crate) number: Option<Owner<'a>>,
}

/// One owner's page, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct OwnersPageRef<'a> {
    pub(crate) page: usize,
    pub(crate) owner: Owner<'a>,
}

/// One owner's page.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct OwnersPage {
    pub(crate) page: usize,
    pub(crate) owner: Key,
}

impl OwnersPage {
    pub(crate) fn as_borrowed(&self) -> OwnersPageRef<'_> {
        OwnersPageRef { page: self.page, owner: self.owner.as_owner() }
    }
}

impl Owners {
    /// What a page has that does not say.
    pub(crate) fn usual(private: bool) -> Owners {
        if private { Owners::Text } else { Owners::Either }
    }

    /// Whom `text` means.
    pub(crate) fn meant(self, text: &str) -> Meant<'_> {
        let written = (self != Owners::Number && !text.is_empty()).then_some(Owner::Text(text));
        let counted = if self == Owners::Text { None } else { whole(text).map(Owner::Number) };
        Meant { text: written, number: counted }
    }
}

impl<'a> Meant<'a> {
    /// Those it can mean, the likelier first.
    pub(crate) fn all(self) -> impl Iterator<Item = Owner<'a>> {
        self.text.into_iter().chain(self.number)
    }
}

impl Owner<'_> {
    /// How much of the feed its name takes, in bytes.
    pub(crate) fn weight(self) -> usize {
        match self {
            Owner::Number(_) => size_of::<i64>(),
            Owner::Text(text) => text.len(),
        }
    }
}

impl Key {
    /// Whose row a column's value makes it: nobody's for null and empty text.
    ///
    /// # Errors
    /// In words, for what is neither a whole number nor text: `7.0` must not pass for `7`.
    pub(crate) fn owner(value: &Value) -> Result<Option<Key>, String> {
        match value {
            Value::Null => Ok(None),
            Value::Text(text) if text.is_empty() => Ok(None),
            Value::Int(_) | Value::Text(_) => Key::from_value(value).map(Some),
            other => {
                Err(format!("an owner is a whole number or text. value=`{}`", other.to_json()))
            }
        }
    }

    /// The key of an owner's one row.
    pub(crate) fn from_owner(owner: Owner<'_>) -> Key {
        match owner {
            Owner::Number(number) => Key::Int(number),
            Owner::Text(text) => Key::Text(text.into()),
        }
    }

    /// The owner of this key.
    pub(crate) fn as_owner(&self) -> Owner<'_> {
        match self {
            Key::Int(number) => Owner::Number(*number),
            Key::Text(text) => Owner::Text(text),
        }
    }
}

/// The whole number that is written exactly so.
fn whole(text: &str) -> Option<i64> {
    text.parse::<i64>().ok().filter(|number| number.to_string() == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_means_whom_its_page_has() {
        let text = |name| Some(Owner::Text(name));
        let number = |number| Some(Owner::Number(number));
        let cases = [
            (Owners::Text, "7", text("7"), None),
            (Owners::Text, "a@b", text("a@b"), None),
            (Owners::Number, "7", None, number(7)),
            (Owners::Number, "-7", None, number(-7)),
            (Owners::Number, "07", None, None),
            (Owners::Number, "+7", None, None),
            (Owners::Number, "7.0", None, None),
            (Owners::Number, "a@b", None, None),
            (Owners::Either, "7", text("7"), number(7)),
            (Owners::Either, "07", text("07"), None),
            (Owners::Either, "9223372036854775808", text("9223372036854775808"), None),
            (Owners::Either, "", None, None),
        ];
        for (owners, name, text, number) in cases {
            assert_eq!(owners.meant(name), Meant { text, number }, "{owners:?} {name}");
        }
    }

    #[test]
    fn an_owner_is_a_whole_number_or_text_and_nothing_that_looks_like_one() {
        assert_eq!(Key::owner(&Value::Int(7)), Ok(Some(Key::Int(7))));
        assert_eq!(Key::owner(&Value::Text("7".into())), Ok(Some(Key::Text("7".into()))));
        assert_eq!(Key::owner(&Value::Null), Ok(None));
        assert_eq!(Key::owner(&Value::Text("".into())), Ok(None));
        for refused in [Value::Float(7.0), Value::Bool(true)] {
            assert!(Key::owner(&refused).is_err(), "{refused:?}");
        }
    }
}
