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

use rusqlite::{Connection, OptionalExtension, params};

use crate::broker::{Offset, Stored};
use crate::error::Error;
use crate::event::Event;
use crate::partition::Numbers;
use crate::partition::{Numbered, Partition};
use crate::store::sqlite::plumbing::versions::Tables;

pub(super) const TABLES: Tables = Tables {
    name: "inbox",
    steps: &[
        "CREATE TABLE IF NOT EXISTS inbox (
            subscription TEXT PRIMARY KEY, position INTEGER NOT NULL, source TEXT NOT NULL,
            event TEXT NOT NULL) STRICT, WITHOUT ROWID;
         CREATE TABLE IF NOT EXISTS inbox_mark (
            subscription TEXT NOT NULL, source TEXT NOT NULL, sequence INTEGER NOT NULL,
            PRIMARY KEY (subscription, source)) STRICT, WITHOUT ROWID;",
        // All that was received came by the one partition there was.
        "ALTER TABLE inbox RENAME TO inbox_of_one_partition;
         CREATE TABLE inbox (
            subscription TEXT NOT NULL, partition INTEGER NOT NULL, position INTEGER NOT NULL,
            source TEXT NOT NULL, event TEXT NOT NULL,
            PRIMARY KEY (subscription, partition)) STRICT, WITHOUT ROWID;
         INSERT INTO inbox SELECT subscription, 0, position, source, event
            FROM inbox_of_one_partition;
         DROP TABLE inbox_of_one_partition;
         ALTER TABLE inbox_mark RENAME TO inbox_mark_of_one_partition;
         CREATE TABLE inbox_mark (
            subscription TEXT NOT NULL, partition INTEGER NOT NULL, source TEXT NOT NULL,
            sequence INTEGER NOT NULL,
            PRIMARY KEY (subscription, partition, source)) STRICT, WITHOUT ROWID;
         INSERT INTO inbox_mark SELECT subscription, 0, source, sequence
            FROM inbox_mark_of_one_partition;
         DROP TABLE inbox_mark_of_one_partition;",
    ],
};

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
    /// The publisher.
    pub source: String,
    /// Its highest outbox sequence.
    pub up_to: Numbered,
}

/// The marks a batch touches, each loaded once and written once.
pub(crate) struct Marks<'n> {
    of: Assigned<'n>,
    marks: HashMap<String, Mark>,
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
    pub(crate) fn load(sql: &Connection, of: Assigned<'_>) -> Result<Place, Error> {
        let select = "SELECT position, source, event FROM inbox
            WHERE subscription = ?1 AND partition = ?2";
        let mut select = sql.prepare_cached(select)?;
        let whose = params![of.subscription, of.partition.index()];
        let place = select.query_row(whose, |row| {
            let position = Offset(row.get(0)?);
            Ok(Place { position, source: row.get(1)?, event: row.get(2)? })
        });
        Ok(place.optional()?.unwrap_or_default())
    }

    /// Stores it as the subscription's one place in its partition.
    pub(crate) fn save(&self, sql: &Connection, of: Assigned<'_>) -> Result<(), Error> {
        let upsert = "INSERT OR REPLACE INTO inbox VALUES (?1, ?2, ?3, ?4, ?5)";
        sql.prepare_cached(upsert)?.execute(params![
            of.subscription,
            of.partition.index(),
            self.position.0,
            self.source,
            self.event
        ])?;
        Ok(())
    }
}

impl<'n> Marks<'n> {
    /// None touched yet; each is read when its first event comes.
    pub(crate) fn new(of: Assigned<'n>) -> Marks<'n> {
        Marks { of, marks: HashMap::new() }
    }

    /// Whether this event was not received before; it counts as received from now on.
    pub(crate) fn receive(&mut self, sql: &Connection, stored: &Stored) -> Result<bool, Error> {
        let (source, sequence) = match stored.event.outbox_sequence {
            Some(sequence) => (stored.event.source.as_str(), sequence),
            None => (UNSTAMPED, stored.offset.0),
        };
        let highest = match self.marks.get(source) {
            Some(mark) => mark.highest,
            None => highest(sql, self.of, source)?,
        };
        let fresh = sequence > highest;
        // Also where it is no news: the next event of this source finds the mark in memory.
        let mark = self.marks.entry(source.to_owned()).or_insert(Mark { highest, raised: false });
        if fresh {
            *mark = Mark { highest: sequence, raised: true };
        }
        Ok(fresh)
    }

    /// Writes what was raised; what that is of publishers that number their events. A batch of second
    /// copies writes nothing.
    pub(crate) fn save(self, sql: &Connection) -> Result<Vec<Received>, Error> {
        let mut received = Vec::new();
        for (source, mark) in self.marks.into_iter().filter(|(_, mark)| mark.raised) {
            save_mark(sql, self.of, &source, mark.highest)?;
            let up_to = Numbered { partition: self.of.partition, number: mark.highest };
            received.extend((source != UNSTAMPED).then_some(Received { source, up_to }));
        }
        Ok(received)
    }
}

/// Every mark of a subscription, by source.
pub(crate) fn marks(
    sql: &Connection,
    subscription: &str,
) -> Result<BTreeMap<String, Numbers>, Error> {
    let select = "SELECT source, partition, sequence FROM inbox_mark
        WHERE subscription = ?1 AND source <> ''";
    let mut select = sql.prepare_cached(select)?;
    let mut rows = select.query([subscription])?;
    let mut marks: BTreeMap<String, Numbers> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let partition = Partition::new(row.get(1)?).unwrap_or_default();
        let received = Numbered { partition, number: row.get(2)? };
        marks.entry(row.get(0)?).or_default().raise(received);
    }
    Ok(marks)
}

/// The highest offset received of events that have no outbox sequence.
pub(crate) fn unstamped(sql: &Connection, of: Assigned<'_>) -> Result<u64, Error> {
    highest(sql, of, UNSTAMPED)
}

/// Back to the beginning: the marks keep every effect from happening again.
pub(crate) fn rewind(sql: &Connection, of: Assigned<'_>) -> Result<(), Error> {
    Place::default().save(sql, of)
}

/// Back to the beginning of a log that ends at `end` now, before where it once ended: what has no
/// outbox sequence is known by its offset alone, and those after `end` are free to be new events.
pub(crate) fn rewind_shortened(
    sql: &Connection,
    of: Assigned<'_>,
    end: Offset,
) -> Result<(), Error> {
    let known = highest(sql, of, UNSTAMPED)?.min(end.0);
    save_mark(sql, of, UNSTAMPED, known)?;
    rewind(sql, of)
}

/// The stored mark of a source; 0 for one of which nothing was received.
fn highest(sql: &Connection, of: Assigned<'_>, source: &str) -> Result<u64, Error> {
    let select = "SELECT sequence FROM inbox_mark
        WHERE subscription = ?1 AND partition = ?2 AND source = ?3";
    let mut select = sql.prepare_cached(select)?;
    let whose = params![of.subscription, of.partition.index(), source];
    let highest = select.query_row(whose, |row| row.get(0));
    Ok(highest.optional()?.unwrap_or(0))
}

/// Stores a mark, whether it is higher than before or not: that is the caller's to know.
fn save_mark(sql: &Connection, of: Assigned<'_>, source: &str, to: u64) -> Result<(), Error> {
    let upsert = "INSERT OR REPLACE INTO inbox_mark VALUES (?1, ?2, ?3, ?4)";
    let row = params![of.subscription, of.partition.index(), source, to];
    sql.prepare_cached(upsert)?.execute(row)?;
    Ok(())
}
