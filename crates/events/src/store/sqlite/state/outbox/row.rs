//! A row of the outbox as the event that it becomes.

use jiff::Timestamp;
use rusqlite::{Connection, Row};
use serde_json::value::RawValue;

use crate::error::Error;
use crate::event::{Cause, Event};

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
    sequence: u64,
) -> Result<Option<Event>, Error> {
    let select = format!("SELECT {COLUMNS} FROM outbox WHERE sequence = ?1");
    let mut select = connection.prepare_cached(&select)?;
    let mut rows = select.query([sequence])?;
    rows.next()?.map(|row| event(row, origin)).transpose()
}

/// A row that no longer is an event is damage, reported with its number.
pub(super) fn event(row: &Row<'_>, origin: Origin<'_>) -> Result<Event, Error> {
    let sequence: u64 = row.get(0)?;
    decoded(row, origin, sequence).map_err(|error| Error::Damaged {
        topic: origin.source.to_owned(),
        from: sequence,
        to: sequence,
        what: format!("an outbox row is no event any more: {error}"),
    })
}

/// Every column by the type that it was written as; anything else is damage.
fn decoded(row: &Row<'_>, origin: Origin<'_>, sequence: u64) -> Result<Event, Error> {
    let subject: String = row.get(2)?;
    Ok(Event {
        id: origin.id(sequence),
        source: origin.source.to_owned(),
        kind: row.get(1)?,
        key: subject.clone(),
        subject,
        time: Timestamp::from_microsecond(row.get(4)?).map_err(Error::decode)?,
        sequence: row.get(3)?,
        outbox_sequence: Some(sequence),
        cause: Cause {
            correlation_id: row.get(5)?,
            causation_id: row.get(6)?,
            traceparent: row.get(7)?,
        },
        data: RawValue::from_string(row.get(8)?).map_err(Error::decode)?,
    })
}

impl Origin<'_> {
    /// The id of the event of this number: unique within the source, also where the file was made anew.
    pub(crate) fn id(self, sequence: u64) -> String {
        format!("{}-{sequence}", self.epoch)
    }
}
