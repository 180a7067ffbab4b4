//! A row of the outbox as the event that it becomes.
//!
//! The event is made when it is relayed and not when it is written: a row has what is its own, and what all
//! events of the file have in common (source, the beginning of their ids) is added here. So a row costs what
//! its data costs and little more.

use jiff::Timestamp;
use rusqlite::{Connection, Row};
use serde_json::value::RawValue;

use crate::error::Error;
use crate::event::{Cause, Event};
use crate::partition::Numbered;
use crate::store::sqlite::plumbing::packed;

/// Whose rows they are, and what their ids begin with.
#[derive(Clone, Copy)]
pub(crate) struct Origin<'o> {
    pub(crate) source: &'o str,
    pub(crate) epoch: &'o str,
}

/// What makes a row an event.
pub(super) const COLUMNS: &str =
    "sequence, kind, subject, number, time, correlation, causation, traceparent,
    data";

/// The row of this number as the event it becomes; `None` if it is kept no more.
pub(in crate::store::sqlite::state) fn find(
    connection: &Connection,
    origin: Origin<'_>,
    at: Numbered,
) -> Result<Option<Event>, Error> {
    let select = format!("SELECT {COLUMNS} FROM outbox WHERE sequence = ?1");
    let mut select = connection.prepare_cached(&select)?;
    let mut rows = select.query([packed::pack(at)])?;
    rows.next()?.map(|row| event(row, origin)).transpose()
}

/// A row that no longer is an event is damage, reported with its number.
pub(super) fn event(row: &Row<'_>, origin: Origin<'_>) -> Result<Event, Error> {
    let at = packed::unpack(row.get(0)?);
    decoded(row, origin, at).map_err(|error| {
        let what = format!("an outbox row is no event any more: {error}");
        origin.damaged(at, at.number, what)
    })
}

/// Every column by the type that it was written as; anything else is damage.
fn decoded(row: &Row<'_>, origin: Origin<'_>, at: Numbered) -> Result<Event, Error> {
    let subject: String = row.get(2)?;
    Ok(Event {
        id: origin.id(at),
        source: origin.source.to_owned(),
        kind: row.get(1)?,
        key: subject.clone(),
        subject,
        time: Timestamp::from_microsecond(row.get(4)?).map_err(Error::decode)?,
        sequence: row.get(3)?,
        outbox_sequence: Some(at.number),
        cause: Cause {
            correlation_id: row.get(5)?,
            causation_id: row.get(6)?,
            traceparent: row.get(7)?,
        },
        data: RawValue::from_string(row.get(8)?).map_err(Error::decode)?,
    })
}

impl Origin<'_> {
    /// The id of the event of this number, unique within the source, also where the file was made anew:
    /// `EPOCH-17`, `EPOCH-3-17` in a partition after the first.
    pub(crate) fn id(self, at: Numbered) -> String {
        format!("{}-{at}", self.epoch)
    }

    /// Damage of the numbers from `from` up to `to`, in its partition.
    pub(crate) fn damaged(self, from: Numbered, to: u64, what: String) -> Error {
        let topic = from.partition.of(self.source);
        Error::Damaged { topic, from: from.number, to, what }
    }
}
