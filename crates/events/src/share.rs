//! Whose turn an event counts as: what the events of a subscription are told apart by, so that each has its turn.
//!
//! One whose events come in thousands would otherwise have everybody behind him wait until the last of them is handled.
//! What tells one from another is said once, by the subscription: an attribute of the event, or a member of its data. The
//! events that have the same value there are one *share*; those that have none are one together.
//!
//! Pure. It does not say whose turn it is, and knows nothing of keys: which event of a key is next is the topic's order,
//! whatever shares there are.

pub(crate) mod member;
pub mod report;

use std::borrow::Cow;
use std::str::FromStr;
use std::sync::Arc;

use serde_json::value::RawValue;

use crate::event::Event;
use crate::event::attributes::DATA_DEPTH_MAX;
use crate::event::incoming::{EXTENSION_NAME_CHARS_MAX, OURS};
use member::member_of;

/// Bytes of a value by which shares are told apart; of a longer one the first so many count.
pub const SHARE_BYTES_MAX: usize = 256;

/// Bytes of what a subscription says of them.
pub const SHARE_BY_BYTES_MAX: usize = 1024;

/// Attributes that tell events apart, or say nothing of whose they are.
const OF_EACH: [&str; 10] = [
    "id",
    "time",
    "specversion",
    "data",
    "datacontenttype",
    "sequence",
    "correlationid",
    "causationid",
    "traceparent",
    "expirytime",
];

/// What shares are told apart by.
///
/// ```
/// use yeoul_events::Event;
/// use yeoul_events::share::{ShareBy, ShareName};
///
/// let text = br#"{"specversion":"1.0", "id":"9-1", "source":"order", "type":"OrderPlaced", "subject":"9",
///     "time":"2024-05-01T12:00:00Z", "tenant":"acme", "data":{"customer":{"id":7}}}"#;
/// let event = Event::from_json(text)?;
/// let of = |by: &str| by.parse::<ShareBy>().map(|by| by.of(&event));
/// assert_eq!(of("tenant"), Ok(ShareName::of("acme")));
/// assert_eq!(of("event.customer.id"), Ok(ShareName::of("7")));
/// // Those without a value are one share.
/// assert_eq!(of("event.customer.name"), Ok(ShareName::none()));
/// # Ok::<(), yeoul_events::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareBy(Place);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Source,
    Kind,
    Subject,
    Key,
    Extension(String),
    /// The names that lead to it in the data.
    Member(Vec<String>),
}

/// Why something is not what shares are told apart by.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Nothing is named.
    #[error("is empty: name {HOW}")]
    Empty,
    /// Neither an attribute's name nor a path.
    #[error("must be {HOW}. share=`{0}`")]
    NoName(String),
    /// Each event has its own.
    #[error("`{0}` does not say whose an event is: name {HOW}")]
    OfEach(String),
    /// Too long, or too deep.
    #[error("must have at most {SHARE_BY_BYTES_MAX} bytes and {DATA_DEPTH_MAX} names")]
    TooLong,
}

/// How it is written.
const HOW: &str = "an attribute of the event, such as `tenant`, or a member of its data, such as `event.customer.id`";

/// Which share: the value that its events have. Cheap to copy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ShareName(Option<Arc<str>>);

impl ShareName {
    /// Of the events that have no value, or an empty one.
    pub fn none() -> ShareName {
        ShareName(None)
    }

    /// Of the events that have this one. Control characters of it are one like another: not every engine keeps a text with a NUL,
    /// and a parked row has the name beside it.
    pub fn of(value: &str) -> ShareName {
        let end = value.floor_char_boundary(SHARE_BYTES_MAX);
        let shown = value[..end].replace(char::is_control, "?");
        ShareName((!shown.is_empty()).then(|| shown.into()))
    }

    /// The value, where there is one.
    pub fn value(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

impl FromStr for ShareBy {
    type Err = Unfit;

    fn from_str(text: &str) -> Result<ShareBy, Unfit> {
        if text.trim().is_empty() {
            return Err(Unfit::Empty);
        }
        if text.len() > SHARE_BY_BYTES_MAX {
            return Err(Unfit::TooLong);
        }
        match text.strip_prefix("event.") {
            Some(path) => member(path, text),
            None => attribute(text),
        }
        .map(ShareBy)
    }
}

/// A path as the rules of views have it.
fn member(path: &str, text: &str) -> Result<Place, Unfit> {
    let names: Vec<String> = path.split('.').map(str::to_owned).collect();
    if names.len() > DATA_DEPTH_MAX {
        return Err(Unfit::TooLong);
    }
    let is_path = names.iter().all(|name| is_member_name(name));
    is_path.then_some(Place::Member(names)).ok_or_else(|| Unfit::NoName(text.to_owned()))
}

fn is_member_name(name: &str) -> bool {
    let starts = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    starts && name.bytes().all(|letter| letter.is_ascii_alphanumeric() || letter == b'_')
}

fn attribute(name: &str) -> Result<Place, Unfit> {
    let is_name = name.bytes().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit());
    if !is_name || name.len() > EXTENSION_NAME_CHARS_MAX {
        return Err(Unfit::NoName(name.to_owned()));
    }
    if OF_EACH.contains(&name) || OURS.contains(&name) {
        return Err(Unfit::OfEach(name.to_owned()));
    }
    Ok(match name {
        "source" => Place::Source,
        "type" => Place::Kind,
        "subject" => Place::Subject,
        "partitionkey" => Place::Key,
        _ => Place::Extension(name.to_owned()),
    })
}

impl ShareBy {
    /// The names that lead to it in the data, if that is where it is.
    pub fn member(&self) -> Option<&[String]> {
        match &self.0 {
            Place::Member(names) => Some(names),
            _ => None,
        }
    }

    /// Which share an event is in: by a text, a number or a truth value; whatever else there is counts as none.
    pub fn of(&self, event: &Event) -> ShareName {
        match &self.0 {
            Place::Source => ShareName::of(&event.source),
            Place::Kind => ShareName::of(&event.kind),
            Place::Subject => ShareName::of(&event.subject),
            Place::Key => ShareName::of(&event.key),
            Place::Extension(name) => {
                let extension = event.foreign.as_ref().and_then(|it| it.extension(name));
                by_value(extension)
            }
            Place::Member(names) => {
                let data: Option<&RawValue> = Some(&event.data);
                by_value(names.iter().fold(data, |within, name| member_of(within?, name)))
            }
        }
    }
}

fn by_value(value: Option<&RawValue>) -> ShareName {
    let Some(json) = value.map(RawValue::get) else { return ShareName::none() };
    match json.as_bytes().first() {
        Some(b'"') => serde_json::from_str::<Cow<'_, str>>(json)
            .map_or_else(|_| ShareName::none(), |text| ShareName::of(&text)),
        None | Some(b'{' | b'[' | b'n') => ShareName::none(),
        Some(_) => ShareName::of(json),
    }
}

#[cfg(test)]
mod tests;
