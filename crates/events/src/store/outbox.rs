//! The outbox as it is read: rows as the events that they become, in words that every engine speaks.
//!
//! The event is made when it is relayed and not when it is written: a row has what is its own, and what all
//! events of an outbox have in common (source, the beginning of their ids) is added here. So a row costs what
//! its data costs and little more.
//!
//! How rows are written and numbered is the engine's: one has a single writer, another a lock for each
//! partition.

#[cfg(test)]
mod tests;

use jiff::Timestamp;
use serde_json::value::RawValue;

use crate::error::Error;
use crate::event::id::EventId;
use crate::event::{Cause, Event};
use crate::partition::{Numbered, Partition};
use crate::store::bounds::{OUTBOX_KEPT, WAITING_BYTES_MAX};
use crate::store::origin::Origin;
use crate::store::packed;
use crate::store::rows::{Row, Rows};
use crate::store::value::{Bind, Column, Value};
use crate::store::whole::WHOLE;

/// How many rows no relay has passed, as far as that is saved: those that are letters, or skipped, are.
pub(crate) const UNRELAYED: &str = "SELECT count(*) FROM outbox
    WHERE sequence > ((sequence >> 48) << 48) + coalesce(
        (SELECT relayed FROM outbox_relayed WHERE partition = outbox.sequence >> 48), 0)
    AND sequence NOT IN (SELECT sequence FROM outbox_stepped)";

/// Up to `limit` committed rows of a partition after `after` and up to `until`, as the events they become; none that the
/// relay steps over. The damage, if the very next row is hurt.
pub(crate) async fn waiting(
    rows: &mut Rows<'_>,
    origin: Origin<'_>,
    after: Numbered,
    until: u64,
    limit: usize,
) -> Result<Vec<Event>, Error> {
    let which = "sequence > ?1 AND sequence <= ?2 AND sequence NOT IN
        (SELECT sequence FROM outbox_stepped) ORDER BY sequence LIMIT ?3";
    let select = select(rows, which);
    let span: [&dyn Bind; 3] = [&packed::pack(after), &until, &limit];
    let mut gathered = Gathered::default();
    let taken = rows.each(&select, &span, |row| gathered.take(event(row, origin)?)).await;
    match taken {
        // Sound ones before it are relayed first.
        Ok(()) | Err(Stopped::Enough) => Ok(gathered.events),
        // The hurt row is met again by the next read, and is its first then.
        Err(Stopped::Failed(_)) if !gathered.events.is_empty() => Ok(gathered.events),
        Err(Stopped::Failed(error)) => Err(error),
    }
}

/// The columns of the rows of these numbers, as [`event`] reads them.
fn select(rows: &Rows<'_>, which: &str) -> String {
    let key = rows.outbox_key();
    format!(
        "SELECT sequence, kind, subject, number, time, correlation, causation, traceparent, data,
        id, {key} FROM outbox WHERE {which}"
    )
}

/// What one read of waiting rows has so far.
#[derive(Default)]
struct Gathered {
    events: Vec<Event>,
    bytes: usize,
}

/// Why a read of waiting rows ended before its last.
enum Stopped {
    Enough,
    Failed(Error),
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Stopped {
        Stopped::Failed(error)
    }
}

impl Gathered {
    fn take(&mut self, event: Event) -> Result<(), Stopped> {
        self.bytes += event.data.get().len();
        // The first one is taken however large it is: otherwise it would stop the relay for good.
        if self.bytes > WAITING_BYTES_MAX && !self.events.is_empty() {
            return Err(Stopped::Enough);
        }
        self.events.push(event);
        Ok(())
    }
}

/// The row of this number as the event it becomes; `None` if it is kept no more.
pub(crate) async fn find(
    rows: &mut Rows<'_>,
    origin: Origin<'_>,
    at: Numbered,
) -> Result<Option<Event>, Error> {
    let select = select(rows, "sequence = ?1");
    rows.find(&select, &[&packed::pack(at)], |row| event(row, origin)).await
}

/// The number of the event of this id, among the newest rows of the partition.
pub(crate) async fn number_of(
    rows: &mut Rows<'_>,
    id: EventId,
    partition: Partition,
) -> Result<Option<Numbered>, Error> {
    let select = "SELECT sequence FROM (SELECT sequence, id FROM outbox
            WHERE sequence BETWEEN ?1 AND ?2 ORDER BY sequence DESC LIMIT ?3) AS newest
        WHERE id = ?4";
    let (first, last) = (packed::base(partition), packed::end(partition));
    let span: [&dyn Bind; 4] = [&first, &last, &OUTBOX_KEPT, id.as_bytes()];
    rows.find(select, &span, |row| Ok(packed::unpack(row.get(0)?))).await
}

/// The id that the event of this number has or would have, whether its row is sound or not.
pub(crate) async fn id_of(
    rows: &mut Rows<'_>,
    origin: Origin<'_>,
    at: Numbered,
) -> Result<String, Error> {
    // What another program wrote has the id that it gave.
    if let Ok(Some(event)) = find(rows, origin, at).await {
        return Ok(event.id);
    }
    let select = "SELECT id FROM outbox WHERE sequence = ?1";
    let stored = rows
        .find(select, &[&packed::pack(at)], |row| {
            Ok::<_, Error>(id(row.value(0)?, origin, at).ok())
        })
        .await?;
    Ok(stored.flatten().unwrap_or_else(|| origin.id(at)))
}

/// The number of the oldest row of a partition that is kept.
pub(crate) async fn oldest(
    rows: &mut Rows<'_>,
    partition: Partition,
) -> Result<Option<u64>, Error> {
    let select = "SELECT sequence FROM outbox WHERE sequence BETWEEN ?1 AND ?2
        ORDER BY sequence LIMIT 1";
    let span: [&dyn Bind; 2] = [&packed::base(partition), &packed::end(partition)];
    let key: Option<u64> = rows.find(select, &span, |row| row.get::<u64>(0)).await?;
    Ok(key.map(|key| packed::unpack(key).number))
}

/// The newest row of a partition up to `relayed` that a broker was given.
pub(crate) async fn newest_published(rows: &mut Rows<'_>, relayed: Numbered) -> Result<u64, Error> {
    let span: [&dyn Bind; 2] = [&packed::base(relayed.partition), &packed::pack(relayed)];
    let select = "SELECT max(sequence) FROM outbox WHERE sequence BETWEEN ?1 AND ?2
        AND sequence NOT IN (SELECT sequence FROM outbox_stepped)";
    let newest: Option<u64> = rows.one(select, &span, |row| row.get::<Option<u64>>(0)).await?;
    if let Some(newest) = newest {
        return Ok(packed::unpack(newest).number);
    }
    // No row left that was published: either all of them were stepped over, or they are kept no more, and then
    // the broker has had them.
    let passed = "SELECT 1 FROM outbox_stepped WHERE sequence BETWEEN ?1 AND ?2 LIMIT 1";
    let passed = rows.find(passed, &span, |_| Ok::<_, Error>(())).await?;
    Ok(if passed.is_some() { 0 } else { relayed.number })
}

/// A row that no longer is an event is damage, reported with its number.
fn event(row: &Row<'_>, origin: Origin<'_>) -> Result<Event, Error> {
    let at = packed::unpack(row.get(0)?);
    decoded(row, origin, at).map_err(|error| {
        let what = format!("an outbox row is no event any more: {error}");
        origin.damaged(at, at.number, what)
    })
}

/// The id of a row: its own, or of one of before there were any, its number's.
fn id(stored: Value<'_>, origin: Origin<'_>, at: Numbered) -> Result<String, Error> {
    match stored {
        Value::Null => Ok(origin.id(at)),
        stored => {
            let bytes = <[u8; 16]>::read(stored).map_err(Error::decode)?;
            Ok(EventId::from_bytes(bytes).to_string())
        }
    }
}

/// Every column by the type that it was written as; anything else is damage.
fn decoded(row: &Row<'_>, origin: Origin<'_>, at: Numbered) -> Result<Event, Error> {
    let kind: String = row.get(1)?;
    if kind == WHOLE && origin.takes_whole {
        let event = Event::from_json(row.get::<String>(8)?.as_bytes())?;
        let outbox_source = Some(origin.source.to_owned());
        return Ok(Event { outbox_sequence: Some(at.number), outbox_source, ..event });
    }
    Ok(Event {
        id: id(row.value(9)?, origin, at)?,
        source: origin.source.to_owned(),
        kind,
        key: row.get(10)?,
        subject: row.get(2)?,
        time: Timestamp::from_microsecond(row.get(4)?).map_err(Error::decode)?,
        sequence: row.get(3)?,
        outbox_sequence: Some(at.number),
        outbox_previous: None,
        outbox_source: None,
        foreign: None,
        cause: Cause {
            correlation_id: row.get(5)?,
            causation_id: row.get(6)?,
            traceparent: row.get(7)?,
        },
        data: RawValue::from_string(row.get(8)?).map_err(Error::decode)?,
    })
}
