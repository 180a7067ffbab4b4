//! The envelope: what every event says about itself, and its CloudEvents 1.0 form.
//!
//! The data stays the text it was born as (`RawValue`): a log, a relay or a subscription passes it
//! on without parsing it, and only the handler that reads it pays for decoding.
//!
//! It does not check data against a schema and does not decide where an event goes.

#[cfg(test)]
mod tests;
mod wire;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::error::Error;

/// Bytes a partition key may have.
pub const KEY_BYTES_MAX: usize = 1024;

/// Bytes each part of a [`Cause`] may have.
pub const CAUSE_BYTES_MAX: usize = 1024;

/// Bytes an event may have in its JSON form.
pub const EVENT_BYTES_MAX: usize = 1024 * 1024;

/// One thing that happened, with where it came from and its place in several orders.
#[derive(Clone, Debug)]
pub struct Event {
    /// Unique within [`source`](Event::source).
    pub id: String,
    /// Who published it.
    pub source: String,
    /// The CloudEvents `type`: what happened, in the past tense.
    pub kind: String,
    /// The aggregate it happened to.
    pub subject: String,
    /// When it happened, by the publisher's clock.
    pub time: Timestamp,
    /// Events of one key are handled in order; at most [`KEY_BYTES_MAX`].
    pub key: String,
    /// Counts per source and subject.
    pub sequence: u64,
    /// Counts per source, stamped by its outbox; how a second copy is recognised.
    pub outbox_sequence: Option<u64>,
    /// What led to it.
    pub cause: Cause,
    /// The data as JSON text.
    pub data: Box<RawValue>,
}

/// The thread an event hangs on: one business transaction, the event before, one trace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cause {
    /// The same for everything that followed from one request.
    pub correlation_id: Option<String>,
    /// `source/id` of the event that was handled when this one was published.
    pub causation_id: Option<String>,
    /// W3C trace context.
    pub traceparent: Option<String>,
}

/// An event that is about to be published: everything the outbox cannot know by itself.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The CloudEvents `type`.
    pub kind: &'static str,
    /// The aggregate, which is also the key.
    pub subject: String,
    /// The aggregate's own count of its events.
    pub sequence: u64,
    /// The data as JSON text.
    pub data: Box<RawValue>,
    /// What led to it.
    pub cause: Cause,
}

impl Event {
    /// Reads the data as `T`.
    ///
    /// # Errors
    /// [`Error::Decode`]: the data has another shape; giving it again will not help.
    pub fn decode<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Error> {
        serde_json::from_str(self.data.get()).map_err(Error::decode)
    }

    /// The CloudEvents 1.0 structured form.
    pub fn to_json(&self) -> Vec<u8> {
        wire::encode(self)
    }

    /// Reads the CloudEvents 1.0 structured form; extensions it does not know are dropped.
    ///
    /// # Errors
    /// [`Error::Decode`] names what is missing or malformed.
    pub fn from_json(text: &[u8]) -> Result<Event, Error> {
        wire::decode(text)
    }
}

impl Cause {
    /// What an event published while handling `event` says: same correlation and trace, and
    /// `event` itself as its cause. A first event without a correlation becomes the correlation.
    pub fn of(event: &Event) -> Cause {
        let itself = format!("{}/{}", event.source, event.id);
        Cause {
            correlation_id: event.cause.correlation_id.clone().or_else(|| Some(itself.clone())),
            causation_id: Some(itself),
            traceparent: event.cause.traceparent.clone(),
        }
    }
}

impl Draft {
    /// A draft whose key is its subject.
    ///
    /// # Panics
    /// If `data` cannot be JSON at all (a map whose keys are no strings): a mistake of the program.
    #[expect(clippy::needless_pass_by_value, reason = "so that numbers and text both go in")]
    pub fn new(
        kind: &'static str,
        subject: impl ToString,
        sequence: u64,
        data: &impl Serialize,
        cause: &Cause,
    ) -> Draft {
        let data = serde_json::value::to_raw_value(data).expect("event data is JSON");
        Draft { kind, subject: subject.to_string(), sequence, data, cause: cause.clone() }
    }
}
