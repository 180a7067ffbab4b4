//! What somebody publishes without an outbox of his own: a batch that is stored whole or not at all, each event once.
//!
//! A service publishes what it committed, and its outbox numbers it: a second copy is known by its number. Who publishes
//! over HTTP has no such number; he has `source` and `id`, which CloudEvents make unique. The store that takes the
//! offer keeps them for as long as it keeps the event, so that a publisher may ask again after any time, by another
//! connection, after a crash of either side, and is told where the first copy stands.
//!
//! An offer may depend on what is there ([`Unless`]): that is decided where it is stored, by the one that stores, so
//! that of two who ask at once one is refused. So a service has uniqueness without a table of its own.
//!
//! It does not store: that is [`Log::offer`](crate::Log::offer), and over another broker
//! [`outside::Outbox::offer`](crate::outside::Outbox::offer).

use crate::broker::PUBLISH_MAX;
use crate::error::Error;
use crate::event::id::EventId;
use crate::event::{EVENT_BYTES_MAX, Event};
use crate::partition::Numbered;
use crate::partition::numbers::Numbers;

/// Bytes the events of one batch may have together, in their JSON form.
pub const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Types that a condition names at most.
pub const TYPES_MAX: usize = 16;

/// Events of one key behind the position of a condition that are looked at; where there are more, it is refused.
pub const LOOKED_AT_MAX: usize = 1000;

/// Bytes those events may have together; where they have more, it is refused. The log's one writer reads them.
pub const LOOKED_AT_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Events that a false condition is answered with at most: the oldest of those that came.
pub const CAME_MAX: usize = 100;

/// Bytes those events have together at most; one always has room.
pub const CAME_BYTES_MAX: usize = EVENT_BYTES_MAX;

/// Events that are to be stored together, each as it will be.
#[derive(Debug)]
pub struct Offer {
    pub(crate) events: Vec<Offered>,
    pub(crate) unless: Option<Unless>,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Offered {
    pub(crate) source: String,
    pub(crate) id: String,
    pub(crate) key: String,
    pub(crate) kind: String,
    pub(crate) bytes: Vec<u8>,
}

/// One of them as it is drafted in an outbox, under this id of its row.
pub(crate) struct Drafted<'o> {
    pub(crate) offered: &'o Offered,
    pub(crate) id: EventId,
}

/// Nothing is stored if one of these types came for this key after these places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unless {
    /// The types, at most [`TYPES_MAX`].
    pub kinds: Vec<String>,
    /// The key.
    pub key: String,
    /// Behind which place of each partition; without one, since its beginning.
    pub after: Numbers,
}

/// What became of an offer.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Each of its events is stored, now or since it came first, at these places in its order.
    Stored(Vec<Numbered>),
    /// Nothing was stored: these came, oldest first, and at most [`CAME_MAX`] or [`CAME_BYTES_MAX`] of them.
    Came(Vec<Came>),
    /// Nothing was stored: somebody else publishes to the topic, whose events its condition would be decided without.
    Others,
}

/// An event that makes a condition false.
#[derive(Clone, Debug)]
pub struct Came {
    /// Where it is.
    pub at: Numbered,
    /// What it is.
    pub event: Event,
}

/// Which event of an offer cannot be stored, and why.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{error}. event=`{at}`")]
pub struct Refused {
    /// Counted from 0; of what is wrong with all of them together, the one that made it so.
    pub at: usize,
    /// [`Error::Limit`] or [`Error::Decode`].
    pub error: Error,
}

impl Offer {
    /// These events, written as they will be stored, and every limit checked: what is refused later is the
    /// environment's.
    ///
    /// # Errors
    /// The first event that cannot be stored. Nothing was.
    pub fn new(events: &[Event]) -> Result<Offer, Refused> {
        let mut offered = Vec::with_capacity(events.len());
        let mut total = 0;
        for (at, event) in events.iter().enumerate() {
            let one = Offered::of(event).and_then(|one| {
                total += one.bytes.len();
                Error::check("batch", total, BATCH_BYTES_MAX)?;
                Error::check("events", at + 1, PUBLISH_MAX)?;
                Ok(one)
            });
            offered.push(one.map_err(|error| Refused { at, error })?);
        }
        Ok(Offer { events: offered, unless: None })
    }

    /// Only if this did not come.
    ///
    /// # Errors
    /// [`Error::Limit`]: too many types.
    pub fn unless(self, unless: Unless) -> Result<Offer, Error> {
        Error::check("types", unless.kinds.len(), TYPES_MAX)?;
        Ok(Offer { unless: Some(unless), ..self })
    }
}

impl Offered {
    fn of(event: &Event) -> Result<Offered, Error> {
        event.check()?;
        let bytes = event.to_json();
        Error::check("event", bytes.len(), EVENT_BYTES_MAX)?;
        let Event { source, id, key, kind, .. } = event;
        let (source, id) = (source.clone(), id.clone());
        Ok(Offered { source, id, key: key.clone(), kind: kind.clone(), bytes })
    }
}

impl Unless {
    /// Whether this event is one of those that make it false.
    pub(crate) fn names(&self, event: &Event) -> bool {
        event.key == self.key && self.kinds.contains(&event.kind)
    }
}
