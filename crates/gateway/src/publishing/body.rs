//! A body as events: which mode it is in, how large it may be, and what is wrong with which event of it.
//!
//! Every mistake of every event is named before anything is stored, by the event's place in a batch and its attribute:
//! `[3].subject`.

use chassis::clock;
use chassis::http::Problem;
use events::Error;
use events::broker::PUBLISH_MAX;
use events::event::incoming::{Wrong, incoming};
use events::event::{EVENT_BYTES_MAX, Event};
use events::offer::{BATCH_BYTES_MAX, Refused};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use jiff::Timestamp;
use serde_json::value::RawValue;

use super::binary;
use crate::topics::BATCH_TYPE;

/// How one event as a document is said to be written.
pub(crate) const STRUCTURED: &str = "application/cloudevents+json";

/// How all other documents of events begin to be called: those are spoken here in no other format.
const ANY_FORMAT: &str = "application/cloudevents";

const EXPECTED: &str = "application/cloudevents+json, application/cloudevents-batch+json, or what an event in binary mode \
     has, beside `ce-` headers,";

/// How a body says that it is events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// One, as a document.
    Structured,
    /// Several, as a document.
    Batch,
    /// One, its attributes in headers, its data as the body.
    Binary,
}

impl Mode {
    /// The mode that the headers say.
    ///
    /// # Errors
    /// 415: none of them, or in a format or a character set that is not spoken here.
    pub(super) fn of(headers: &HeaderMap) -> Result<Mode, Problem> {
        let refused = || Problem::unsupported_media_type(EXPECTED);
        let mut values = headers.get_all(CONTENT_TYPE).iter();
        let value = values.next().map(|it| it.to_str().unwrap_or("?")).unwrap_or_default();
        if values.next().is_some() {
            return Err(refused());
        }
        let mut parts = value.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
        if !kind.starts_with(ANY_FORMAT) {
            let is_binary = headers.keys().any(|name| binary::attribute(name).is_some());
            return if is_binary { Ok(Mode::Binary) } else { Err(refused()) };
        }
        let charset = parts
            .filter_map(|it| it.split_once('='))
            .find(|it| it.0.eq_ignore_ascii_case("charset"));
        if charset.is_some_and(|(_, it)| !it.trim_matches('"').eq_ignore_ascii_case("utf-8")) {
            return Err(refused());
        }
        match &*kind {
            STRUCTURED => Ok(Mode::Structured),
            BATCH_TYPE => Ok(Mode::Batch),
            _ => Err(refused()),
        }
    }

    /// Bytes that the body may have.
    pub(super) fn limit(self) -> usize {
        if self == Mode::Batch { BATCH_BYTES_MAX } else { EVENT_BYTES_MAX }
    }

    /// What the event at this place of the body is called; nothing where it is the whole.
    pub(super) fn place(self, at: usize) -> String {
        if self == Mode::Batch { place(at) } else { String::new() }
    }

    /// The events of a body.
    ///
    /// # Errors
    /// 400 with every field that is wrong; 413 for an event that is too large, and for too many.
    pub(super) fn events(self, headers: &HeaderMap, bytes: &[u8]) -> Result<Vec<Event>, Problem> {
        let now = clock::wall();
        let one = |text: &[u8]| incoming(text, now).map(|event| vec![event]);
        match self {
            Mode::Structured => one(bytes).map_err(|wrong| problem(wrong, "")),
            Mode::Binary => {
                one(&binary::as_json(headers, bytes)?).map_err(|wrong| problem(wrong, ""))
            }
            Mode::Batch => batch(bytes, now),
        }
    }
}

fn batch(bytes: &[u8], now: Timestamp) -> Result<Vec<Event>, Problem> {
    let texts: Vec<&RawValue> = serde_json::from_slice(bytes).map_err(|error| {
        Problem::bad_field("body", format!("must be a JSON array of events: {error}"))
    })?;
    if texts.len() > PUBLISH_MAX {
        return Err(too_large("body", "events", PUBLISH_MAX));
    }
    let (mut events, mut refused) = (Vec::with_capacity(texts.len()), None);
    for (at, text) in texts.iter().enumerate() {
        let place = place(at);
        if text.get().len() > EVENT_BYTES_MAX {
            return Err(too_large(&place, "bytes", EVENT_BYTES_MAX));
        }
        match incoming(text.get().as_bytes(), now) {
            Ok(event) => events.push(event),
            Err(wrong) => refused = Some(add(refused, wrong, &place)),
        }
    }
    refused.map_or(Ok(events), Err)
}

/// What an event of a batch is called.
fn place(at: usize) -> String {
    format!("[{at}]")
}

fn problem(wrong: Vec<Wrong>, place: &str) -> Problem {
    add(None, wrong, place)
}

/// The refusal with what is wrong with the event of this place, too.
fn add(refused: Option<Problem>, wrong: Vec<Wrong>, place: &str) -> Problem {
    let says = "nothing was stored: see `errors` for what is wrong";
    let refused = refused.unwrap_or_else(|| Problem::bad_request(says));
    wrong.into_iter().fold(refused, |refused, Wrong { field, reason, limit }| {
        let field = match (place, &*field) {
            ("", "") => "body".to_owned(),
            (place, "") => place.to_owned(),
            ("", field) => field.to_owned(),
            (place, field) => format!("{place}.{field}"),
        };
        refused.field(field, reason, limit.map(Into::into))
    })
}

/// An event that is sound and cannot be stored all the same.
pub(super) fn refused(mode: &Mode, Refused { at, error }: &Refused) -> Problem {
    let place = if *mode == Mode::Batch { place(*at) } else { "body".to_owned() };
    match error {
        Error::Limit { field: "batch", .. } => {
            too_large("body", "bytes as it is stored", BATCH_BYTES_MAX)
        }
        Error::Limit { limit, .. } => {
            let limit = usize::try_from(*limit).unwrap_or(EVENT_BYTES_MAX);
            too_large(&place, "bytes as it is stored", limit)
        }
        other => Problem::bad_field(&place, other.to_string()),
    }
}

fn too_large(field: &str, of: &str, limit: usize) -> Problem {
    let reason = format!("has more than {limit} {of}");
    let large = Problem::too_large(limit).detail(format!("{field} {reason}; nothing was stored"));
    large.only(field, reason, limit)
}
