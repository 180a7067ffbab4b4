//! The envelope: what every event says about itself, and its CloudEvents 1.0 form.
//!
//! The data stays the text it was born as (`RawValue`): a log, a relay or a subscription passes it
//! on without parsing it, and only the handler that reads it pays for decoding.
//!
//! It does not check data against a schema and does not decide where an event goes.
//!
//! # Changing an event
//!
//! A log keeps its events for good, and readers of today meet those of years ago. So fields are added and
//! never renamed, never given another meaning; a reader says what an absent one means:
//!
//! ```
//! use serde::Deserialize;
//! use yeoul_events::Event;
//!
//! #[derive(Deserialize)]
//! struct OrderPlaced {
//!     quantity: u32,
//!     /// Came later; orders of before went to whoever placed them.
//!     #[serde(default)]
//!     gift_to: Option<String>,
//! }
//!
//! for (data, gift) in [(r#"{"quantity":1}"#, false), (r#"{"quantity":1, "gift_to":"k"}"#, true)] {
//!     let text = format!(
//!         r#"{{"specversion":"1.0", "id":"1", "source":"order", "type":"OrderPlaced",
//!         "time":"2024-05-01T12:00:00Z", "data":{data}}}"#
//!     );
//!     let order: OrderPlaced = Event::from_json(text.as_bytes())?.decode()?;
//!     assert_eq!((order.quantity, order.gift_to.is_some()), (1, gift));
//! }
//! # Ok::<(), yeoul_events::Error>(())
//! ```
//!
//! What cannot be an added field is an event of a new type, published beside the old one until nobody reads
//! that any more.
//!
//! # What each attribute is
//!
//! | CloudEvents attribute | here | given by |
//! |---|---|---|
//! | `id` | [`Event::id`] | the outbox: a UUID of version 7; events of before there were any have their file's own name and the number |
//! | `source` | [`Event::source`] | the database's [`Publishes`](crate::store::Publishes) |
//! | `type` | [`Event::kind`] | the draft |
//! | `subject`, `partitionkey` | [`Event::subject`], [`Event::key`] | the draft; the key is the subject |
//! | `time` | [`Event::time`] | the transaction |
//! | `sequence` | [`Event::sequence`] | the draft: the aggregate's own count |
//! | `outboxsequence` | [`Event::outbox_sequence`] | the outbox, in the order of commits |
//! | `outboxsource` | [`Event::outbox_source`] | the outbox, where it took the event from somebody else |
//! | `correlationid`, `causationid`, `traceparent` | [`Event::cause`] | the draft, by [`Cause::of`] |
//! | `data` | [`Event::data`] | the draft |

pub mod attributes;
pub mod foreign;
pub(crate) mod id;
pub mod incoming;
#[cfg(test)]
mod tests;
mod wire;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::error::Error;
use crate::partition::NUMBER_MAX;
use foreign::Foreign;

/// Bytes a partition key may have. A subject may have as many, because it becomes the key. They are counted in UTF-8: a
/// name in Hangul has three for each syllable.
pub const KEY_BYTES_MAX: usize = 1024;

/// Bytes the id and the source of an event may have each: they stand in keys of stores' indexes.
pub const ID_BYTES_MAX: usize = 1024;

/// Bytes the type of an event may have that comes from outside.
pub const TYPE_BYTES_MAX: usize = 1024;

/// Bytes each part of a [`Cause`] may have.
pub const CAUSE_BYTES_MAX: usize = 1024;

/// Bytes an event may have in its JSON form, envelope and data together.
///
/// An event is read by everybody and kept for good. What is larger (a picture, a document) is stored where such things
/// are, under a name that never means something else, and the event has the name.
pub const EVENT_BYTES_MAX: usize = 1024 * 1024;

/// One thing that happened, with where it came from and its place in several orders.
///
/// Three counters, for three questions. [`sequence`](Event::sequence): what is the newest of this
/// aggregate? [`outbox_sequence`](Event::outbox_sequence): did I receive this of this publisher
/// already? The [`Offset`](crate::broker::Offset) that a broker gives: where do I read on?
///
/// ```
/// use serde::Deserialize;
/// use yeoul_events::Event;
///
/// let text = br#"{"specversion":"1.0", "id":"9-1", "source":"order", "type":"OrderPlaced",
///     "subject":"9", "time":"2024-05-01T12:00:00Z", "sequence":"1", "outboxsequence":"17",
///     "data":{"quantity":3}, "tenant":"extensions that nobody here knows are kept"}"#;
/// let event = Event::from_json(text)?;
/// assert_eq!((event.sequence, event.outbox_sequence), (1, Some(17)));
/// assert_eq!(event.key, "9", "the subject, where no partition key is given");
///
/// #[derive(Deserialize)]
/// struct Placed {
///     quantity: u32,
/// }
/// assert_eq!(event.decode::<Placed>()?.quantity, 3);
/// # Ok::<(), yeoul_events::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Event {
    /// Unique within [`source`](Event::source).
    pub id: String,
    /// Who published it: the service's name, the same for all it publishes.
    pub source: String,
    /// The CloudEvents `type`: what happened, in the past tense.
    pub kind: String,
    /// The aggregate it happened to.
    pub subject: String,
    /// When it happened, by the publisher's clock.
    pub time: Timestamp,
    /// Events of one key are handled in order; at most [`KEY_BYTES_MAX`].
    pub key: String,
    /// Counts per source and subject, by the publisher; 0 where it does not count.
    pub sequence: u64,
    /// Counts per source, stamped by its outbox, from 1; how a second copy is recognised. `None` for
    /// an event of a publisher without an outbox, which is known by its place in the topic alone.
    pub outbox_sequence: Option<u64>,
    /// The sequence that its outbox published before it in its partition, 0 before the first; stamped by the relay. A
    /// reader that did not receive that one knows what it misses, although numbers have gaps. `None` for an event of
    /// before there were such stamps, or of a publisher without an outbox.
    pub outbox_previous: Option<u64>,
    /// Whose outbox numbered it, where that is not its [`source`](Event::source): a process took it from a publisher without
    /// one. See [`publisher`](Event::publisher).
    pub outbox_source: Option<String>,
    /// What led to it.
    pub cause: Cause,
    /// The data as JSON text; `null` where there is none. Data that is no JSON is a text: its base64 where
    /// [`foreign`](Event::foreign) says so.
    pub data: Box<RawValue>,
    /// How it differs from what is published here, if somebody else wrote it: so it is given again as it came.
    pub foreign: Option<Box<Foreign>>,
}

/// The thread an event hangs on: one business transaction, the event before, one trace. Each part has
/// at most [`CAUSE_BYTES_MAX`] bytes.
///
/// ```
/// use yeoul_events::{Cause, Event};
///
/// let text = br#"{"specversion":"1.0", "id":"9-1", "source":"order", "type":"OrderPlaced",
///     "time":"2024-05-01T12:00:00Z"}"#;
/// let first = Event::from_json(text)?;
/// let cause = Cause::of(&first);
/// // The first of a thread names it; whatever follows carries the name on.
/// assert_eq!(cause.correlation_id.as_deref(), Some("order/9-1"));
/// assert_eq!(cause.causation_id.as_deref(), Some("order/9-1"));
/// # Ok::<(), yeoul_events::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cause {
    /// The same for everything that followed from one request.
    pub correlation_id: Option<String>,
    /// `source/id` of the event that was handled when this one was published; of its id `%` and `/` are percent-encoded, so
    /// that it is no other event's. Nothing where that is too long.
    pub causation_id: Option<String>,
    /// W3C trace context, passed on as it came.
    pub traceparent: Option<String>,
}

/// An event that is about to be published: everything the outbox cannot know by itself.
///
/// Give it to [`Tx::publish`](crate::store::Tx::publish) in the transaction that makes it true.
/// Its limits are checked there: subject [`KEY_BYTES_MAX`], data
/// [`DATA_BYTES_MAX`](crate::store::DATA_BYTES_MAX), each part of the cause [`CAUSE_BYTES_MAX`].
///
/// ```
/// use serde::Serialize;
/// use yeoul_events::{Cause, Draft};
///
/// #[derive(Serialize)]
/// #[serde(rename_all = "camelCase")]
/// struct OrderPlaced {
///     product_id: i64,
///     quantity: u32,
/// }
/// // What happened, to which aggregate, the first of its events, with what data, and why.
/// let placed = OrderPlaced { product_id: 3, quantity: 2 };
/// let draft = Draft::new("OrderPlaced", 9, 1, &placed, &Cause::default());
/// assert_eq!(draft.subject, "9");
/// assert_eq!(draft.data.get(), r#"{"productId":3,"quantity":2}"#);
/// ```
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
    /// Whether its deadline ([`EXPIRY`](foreign::EXPIRY)) has come: nobody is to handle it any more.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.foreign.as_ref().and_then(|foreign| foreign.expiry()).is_some_and(|until| until <= now)
    }

    /// Whether its data are JSON, and not bytes nor none.
    pub fn is_json(&self) -> bool {
        self.foreign.as_ref().is_none_or(|foreign| foreign.payload == foreign::Payload::Json)
    }

    /// Reads the data as `T`: a struct of the fields that this reader needs, so that others may be
    /// added by the publisher.
    ///
    /// # Errors
    /// [`Error::Decode`]: the data has another shape; giving it again will not help. In a handler `?`
    /// makes it a failure of the event.
    pub fn decode<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Error> {
        serde_json::from_str(self.data.get()).map_err(Error::decode)
    }

    /// What an event is called elsewhere, and no other is: source and id, which begins behind the last `/`. So an id has its own
    /// percent-encoded, and `%` with it.
    pub fn name(&self) -> String {
        format!("{}/{}", self.source, self.id.replace('%', "%25").replace('/', "%2F"))
    }

    /// The correlation that whatever follows from it names: its own, or its [`name`](Self::name) if it is the first. Nothing
    /// where that is too long.
    ///
    /// ```
    /// use yeoul_events::Event;
    ///
    /// let text = br#"{"specversion":"1.0", "id":"9/1", "source":"order", "type":"OrderPlaced",
    ///     "time":"2024-05-01T12:00:00Z"}"#;
    /// assert_eq!(Event::from_json(text)?.correlation().as_deref(), Some("order/9%2F1"));
    /// # Ok::<(), yeoul_events::Error>(())
    /// ```
    pub fn correlation(&self) -> Option<String> {
        Cause::of(self).correlation_id
    }

    /// Whose count its [`outbox_sequence`](Event::outbox_sequence) is: by that name second copies are known, and positions are
    /// waited for.
    pub fn publisher(&self) -> &str {
        self.outbox_source.as_deref().unwrap_or(&self.source)
    }

    /// The CloudEvents 1.0 structured form, in one line. Counters are strings of digits, because a
    /// reader in another language would lose digits to a float.
    ///
    /// | member | from | there |
    /// |---|---|---|
    /// | `specversion`, `id`, `source`, `type`, `subject`, `time`, `datacontenttype`, `data` | CloudEvents itself | always |
    /// | `partitionkey` | its partitioning extension | always |
    /// | `sequence` | its sequence extension | always |
    /// | `outboxsequence`, `outboxprevious` | this crate | where an outbox published it |
    /// | `outboxsource` | this crate | where that outbox is not its source's own |
    /// | `correlationid`, `causationid` | this crate | where something caused it |
    /// | `traceparent` | W3C Trace Context | where it belongs to a trace |
    ///
    /// One that [another program](Foreign) wrote has what it came with: no time, subject or key that it did not name, its own
    /// content type, its extensions, and `data_base64` where that is what it had.
    ///
    /// ```
    /// use yeoul_events::Event;
    ///
    /// let text = br#"{"specversion":"1.0","id":"9-1","source":"order","type":"OrderPlaced","subject":"9",
    ///     "time":"2024-05-01T12:00:00Z","sequence":"1","data":{"quantity":3}}"#;
    /// let event = Event::from_json(text)?;
    /// let again: serde_json::Value = serde_json::from_slice(&event.to_json()).expect("JSON");
    /// assert_eq!(again["sequence"], "1", "digits, and no number");
    /// assert!(again.get("partitionkey").is_none(), "it named none: its key is its subject");
    /// assert!(again.get("correlationid").is_none(), "nothing caused it");
    /// # Ok::<(), yeoul_events::Error>(())
    /// ```
    pub fn to_json(&self) -> Vec<u8> {
        wire::encode(self)
    }

    /// Refuses what some store could not keep: a text with a NUL, a key, an id or a source that is too long for an
    /// index, a number past [`NUMBER_MAX`]. A broker asks before it stores, and whatever decodes an event before
    /// it shows it: past there a reader could only try for ever.
    ///
    /// # Errors
    /// [`Error::Limit`] or [`Error::Decode`]: it never was an event that can be kept; give it up.
    pub fn check(&self) -> Result<(), Error> {
        Error::check("partitionkey", self.key.len(), KEY_BYTES_MAX)?;
        Error::check("id", self.id.len(), ID_BYTES_MAX)?;
        Error::check("source", self.source.len(), ID_BYTES_MAX)?;
        for number in [self.outbox_sequence, self.outbox_previous].into_iter().flatten() {
            if number > NUMBER_MAX {
                return Err(Error::Limit {
                    field: "outboxsequence",
                    value: number,
                    limit: NUMBER_MAX,
                });
            }
        }
        let publisher = self.outbox_source.as_ref();
        Error::check("outboxsource", publisher.map_or(0, String::len), ID_BYTES_MAX)?;
        let texts = [&self.id, &self.source, &self.kind, &self.subject, &self.key];
        check_texts(texts.into_iter().chain(publisher).chain(self.cause.texts()))
    }

    /// Reads the CloudEvents 1.0 structured form, as it is stored and as other programs write it; what it says beside
    /// what is known here is kept ([`Foreign`]). What comes from outside is looked at more closely by
    /// [`incoming`](incoming::incoming).
    ///
    /// # Errors
    /// [`Error::Decode`] names what is missing or malformed; and as for [`check`](Event::check).
    pub fn from_json(text: &[u8]) -> Result<Event, Error> {
        wire::decode(text)
    }
}

impl Cause {
    /// What an event published while handling `event` says: same correlation and trace, and
    /// `event` itself as its cause. A first event without a correlation becomes the correlation.
    pub fn of(event: &Event) -> Cause {
        // What handles an event must be able to publish: one whose name has no room here is not named.
        let itself = Some(event.name()).filter(|name| name.len() <= CAUSE_BYTES_MAX);
        Cause {
            correlation_id: event.cause.correlation_id.clone().or_else(|| itself.clone()),
            causation_id: itself,
            traceparent: event.cause.traceparent.clone(),
        }
    }

    /// What of it is there.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &String> {
        [&self.correlation_id, &self.causation_id, &self.traceparent].into_iter().flatten()
    }
}

/// CloudEvents know no text with a NUL in it, and not every store has one.
pub(crate) fn check_texts<'t>(mut texts: impl Iterator<Item = &'t String>) -> Result<(), Error> {
    if texts.any(|text| text.contains('\0')) {
        return Err(Error::decode("a text of an event with a NUL in it"));
    }
    Ok(())
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
