//! The inbox tables: how far a subscription read, and what it received of every source.
//!
//! Both change in the transaction of the effects, and they answer different questions:
//!
//! * The *place* is where to read on, with the event that was seen there, so that a log which is
//!   another one by now is recognised. Moving it costs time and is always safe.
//! * A *mark* is the highest number received of one source. Whatever is not above it is a second copy,
//!   whatever its offset, so that reading again from anywhere changes nothing. Lowering one would have
//!   effects happen twice: only [`rewind_shortened`] does, and only for events without numbers.
//!
//! A mark per source and not a list of ids: a publisher's numbers go up, so one number knows all.

use std::collections::{BTreeMap, HashMap};

use crate::broker::{Offset, Stored};
use crate::error::Error;
use crate::event::Event;
use crate::partition::numbers::Numbers;
use crate::partition::{Numbered, Partition};
use crate::position::WritePosition;
use crate::store::rows::{Row, Rows};
use crate::store::tx::Tx;
use crate::store::value::Bind;
use crate::topic::Topic;

/// Whose mark counts offsets: events that came without an outbox sequence.
const UNSTAMPED: &str = "";

/// One partition of what a subscription reads: the unit that has a place of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Assigned<'n> {
    pub(crate) subscription: &'n str,
    pub(crate) partition: Partition,
}

/// Where a subscription got to, and which event it saw there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) position: Offset,
    pub(crate) source: String,
    pub(crate) event: String,
}

/// What a subscription has received of one publisher: everything up to this number, in its partition.
///
/// Received is handled, or parked behind a failure: whether a reader can see it is asked of
/// [`Control::parked_through`](crate::Control::parked_through). Numbers that were never given, because a
/// transaction was taken back or a restore left them out, count as received with the one behind them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The publisher; of events that nobody numbers, their [topic](WritePosition::source_in).
    pub source: String,
    /// Its highest outbox sequence; of events that nobody numbers, the highest place.
    pub up_to: Numbered,
}

impl Received {
    /// Of a subscription to this topic: what is of no publisher that numbers its events is the topic's.
    pub(crate) fn of_topic(mut self, topic: &Topic) -> Received {
        if self.source == UNSTAMPED {
            self.source = WritePosition::source_in(topic);
        }
        self
    }
}

/// The marks a batch touches, each loaded once and written once.
pub(crate) struct Marks<'n> {
    of: Assigned<'n>,
    marks: HashMap<String, Mark>,
    gaps: Vec<Gap>,
}

/// What a source published and this subscription did not receive: the first event behind it says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Gap {
    pub(crate) source: String,
    /// After the last that was received.
    pub(crate) first: u64,
    /// What the event that came says was published before it.
    pub(crate) last: u64,
}

/// How far one source was received.
struct Mark {
    highest: u64,
    /// Whether this batch raised it.
    raised: bool,
}

impl Place {
    /// The place of an event just taken.
    pub(crate) fn of(stored: &Stored) -> Place {
        let Event { source, id, .. } = &stored.event;
        Place { position: stored.offset, source: source.clone(), event: id.clone() }
    }

    /// The stored place; the beginning for a subscription that never ran.
    pub(crate) async fn load(rows: &mut Rows<'_>, of: Assigned<'_>) -> Result<Place, Error> {
        let select = "SELECT position, source, event FROM inbox
            WHERE subscription = ?1 AND partition = ?2";
        let whose: [&dyn Bind; 2] = [&of.subscription, &of.partition.index()];
        Ok(rows.find(select, &whose, stored).await?.unwrap_or_default())
    }

    /// The stored place, for a transaction that goes on only from there: until it is over nobody else moves it, nor
    /// what is parked in its partition. It is made where it is missing, so that there is a row to lock.
    pub(crate) async fn lock(tx: &mut Tx<'_>, of: Assigned<'_>) -> Result<Place, Error> {
        // One writer has it to itself.
        if tx.is_at_once() {
            return Place::load(tx, of).await;
        }
        let make = "INSERT INTO inbox (subscription, partition, position, source, event)
            VALUES (?1, ?2, 0, '', '') ON CONFLICT (subscription, partition) DO NOTHING";
        let select = "SELECT position, source, event FROM inbox
            WHERE subscription = ?1 AND partition = ?2 FOR UPDATE";
        let whose: [&dyn Bind; 2] = [&of.subscription, &of.partition.index()];
        if let Some(place) = tx.find(select, &whose, stored).await? {
            return Ok(place);
        }
        tx.execute(make, &whose).await?;
        tx.one(select, &whose, stored).await
    }

    /// Stores it as the subscription's one place in its partition.
    pub(crate) async fn save(&self, rows: &mut Rows<'_>, of: Assigned<'_>) -> Result<(), Error> {
        let upsert = "INSERT INTO inbox (subscription, partition, position, source, event)
            VALUES (?1, ?2, ?3, ?4, ?5)
            ON CONFLICT (subscription, partition) DO UPDATE SET position = excluded.position,
                source = excluded.source, event = excluded.event";
        let Place { position, source, event } = self;
        let row: [&dyn Bind; 5] =
            [&of.subscription, &of.partition.index(), &position.0, source, event];
        rows.execute(upsert, &row).await?;
        Ok(())
    }
}

/// The number that an event is known by, among those of one source.
pub(crate) struct Counted<'s> {
    /// The publisher; of events that came without a sequence all publishers together.
    pub(crate) source: &'s str,
    pub(crate) number: u64,
}

impl Counted<'_> {
    /// Its outbox sequence, or else its offset.
    pub(crate) fn of(stored: &Stored) -> Counted<'_> {
        match stored.event.outbox_sequence {
            Some(number) => Counted { source: stored.event.publisher(), number },
            None => Counted { source: UNSTAMPED, number: stored.offset.0 },
        }
    }
}

fn stored(row: &Row<'_>) -> Result<Place, Error> {
    Ok(Place { position: Offset(row.get(0)?), source: row.get(1)?, event: row.get(2)? })
}

impl<'n> Marks<'n> {
    /// None touched yet; each is read when its first event comes.
    pub(crate) fn new(of: Assigned<'n>) -> Marks<'n> {
        Marks { of, marks: HashMap::new(), gaps: Vec::new() }
    }

    /// Whether this event was not received before; it counts as received from now on.
    pub(crate) async fn receive(
        &mut self,
        rows: &mut Rows<'_>,
        stored: &Stored,
    ) -> Result<bool, Error> {
        let Counted { source, number: sequence } = Counted::of(stored);
        let highest = match self.marks.get(source) {
            Some(mark) => mark.highest,
            None => highest(rows, self.of, source).await?,
        };
        let fresh = sequence > highest;
        // Of a source of which nothing was received yet, the first event is where its chain is anchored.
        let missed =
            stored.event.outbox_previous.filter(|last| fresh && highest > 0 && *last > highest);
        let source_of = |last| Gap { source: source.to_owned(), first: highest + 1, last };
        self.gaps.extend(missed.map(source_of));
        // Also where it is no news: the next event of this source finds the mark in memory.
        let mark = self.marks.entry(source.to_owned()).or_insert(Mark { highest, raised: false });
        if fresh {
            *mark = Mark { highest: sequence, raised: true };
        }
        Ok(fresh)
    }

    /// What was missed before the events of this batch.
    pub(crate) fn gaps(&self) -> &[Gap] {
        &self.gaps
    }

    /// Writes what was raised; what that is of each publisher. A batch of second
    /// copies writes nothing.
    pub(crate) async fn save(self, rows: &mut Rows<'_>) -> Result<Vec<Received>, Error> {
        let mut received = Vec::new();
        for (source, mark) in self.marks.into_iter().filter(|(_, mark)| mark.raised) {
            save_mark(rows, self.of, &source, mark.highest).await?;
            let up_to = Numbered { partition: self.of.partition, number: mark.highest };
            received.push(Received { source, up_to });
        }
        Ok(received)
    }
}

/// Per source, up to which outbox sequences a subscription to `topic` received events, in the same moment as what else
/// is read; of those that nobody numbers up to which place, as the topic's own.
///
/// # Errors
/// [`Error::Environment`]: read again later.
pub async fn marks(
    rows: &mut Rows<'_>,
    subscription: &str,
    topic: &Topic,
) -> Result<BTreeMap<String, Numbers>, Error> {
    let select = "SELECT source, partition, sequence FROM inbox_mark WHERE subscription = ?1";
    let mut marks: BTreeMap<String, Numbers> = BTreeMap::new();
    let add = |row: &Row<'_>| {
        let partition = Partition::new(row.get(1)?).unwrap_or_default();
        let up_to = Numbered { partition, number: row.get(2)? };
        let received = Received { source: row.get(0)?, up_to }.of_topic(topic);
        marks.entry(received.source).or_default().raise(up_to);
        Ok::<_, Error>(())
    };
    rows.each(select, &[&subscription], add).await?;
    Ok(marks)
}

/// Per source, the highest number received in one partition; of events without a sequence, the highest offset.
pub(crate) async fn highest_of_each(
    rows: &mut Rows<'_>,
    of: Assigned<'_>,
) -> Result<BTreeMap<String, u64>, Error> {
    let select =
        "SELECT source, sequence FROM inbox_mark WHERE subscription = ?1 AND partition = ?2";
    let mut highest = BTreeMap::new();
    let add = |row: &Row<'_>| {
        highest.insert(row.get(0)?, row.get(1)?);
        Ok::<_, Error>(())
    };
    rows.each(select, &[&of.subscription, &of.partition.index()], add).await?;
    Ok(highest)
}

/// The highest offset received of events that have no outbox sequence.
pub(crate) async fn unstamped(rows: &mut Rows<'_>, of: Assigned<'_>) -> Result<u64, Error> {
    highest(rows, of, UNSTAMPED).await
}

/// Back to the beginning: the marks keep every effect from happening again.
pub(crate) async fn rewind(rows: &mut Rows<'_>, of: Assigned<'_>) -> Result<(), Error> {
    Place::default().save(rows, of).await
}

/// Back to the beginning of a log that ends at `end` now, before where it once ended: what has no
/// outbox sequence is known by its offset alone, and those after `end` are free to be new events.
pub(crate) async fn rewind_shortened(
    rows: &mut Tx<'_>,
    of: Assigned<'_>,
    end: Offset,
) -> Result<(), Error> {
    Place::lock(rows, of).await?;
    let known = highest(rows, of, UNSTAMPED).await?.min(end.0);
    save_mark(rows, of, UNSTAMPED, known).await?;
    rewind(rows, of).await
}

/// The stored mark of a source; 0 for one of which nothing was received.
async fn highest(rows: &mut Rows<'_>, of: Assigned<'_>, source: &str) -> Result<u64, Error> {
    let select = "SELECT sequence FROM inbox_mark
        WHERE subscription = ?1 AND partition = ?2 AND source = ?3";
    let whose: [&dyn Bind; 3] = [&of.subscription, &of.partition.index(), &source];
    let highest: Result<_, Error> = rows.find(select, &whose, |row| row.get(0)).await;
    Ok(highest?.unwrap_or(0))
}

/// Stores a mark, whether it is higher than before or not: that is the caller's to know.
async fn save_mark(
    rows: &mut Rows<'_>,
    of: Assigned<'_>,
    source: &str,
    to: u64,
) -> Result<(), Error> {
    let upsert = "INSERT INTO inbox_mark (subscription, partition, source, sequence)
        VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT (subscription, partition, source) DO UPDATE SET sequence = excluded.sequence";
    let row: [&dyn Bind; 4] = [&of.subscription, &of.partition.index(), &source, &to];
    rows.execute(upsert, &row).await?;
    Ok(())
}
