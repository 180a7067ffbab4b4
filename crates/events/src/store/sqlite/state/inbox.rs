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

pub(super) const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS inbox (
        subscription TEXT PRIMARY KEY, position INTEGER NOT NULL, source TEXT NOT NULL,
        event TEXT NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS inbox_mark (
        subscription TEXT NOT NULL, source TEXT NOT NULL, sequence INTEGER NOT NULL,
        PRIMARY KEY (subscription, source)) STRICT, WITHOUT ROWID;";

/// Whose mark counts offsets: events that came without an outbox sequence.
const UNSTAMPED: &str = "";

/// Where a subscription got to, and which event it saw there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) position: Offset,
    pub(crate) source: String,
    pub(crate) event: String,
}

/// The marks a batch touches, each loaded once and written once.
pub(crate) struct Marks<'n> {
    subscription: &'n str,
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
    pub(crate) fn load(sql: &Connection, subscription: &str) -> Result<Place, Error> {
        let select = "SELECT position, source, event FROM inbox WHERE subscription = ?1";
        let mut select = sql.prepare_cached(select)?;
        let place = select.query_row([subscription], |row| {
            let position = Offset(row.get(0)?);
            Ok(Place { position, source: row.get(1)?, event: row.get(2)? })
        });
        Ok(place.optional()?.unwrap_or_default())
    }

    /// Stores it as the subscription's one place.
    pub(crate) fn save(&self, sql: &Connection, subscription: &str) -> Result<(), Error> {
        let upsert = "INSERT OR REPLACE INTO inbox VALUES (?1, ?2, ?3, ?4)";
        let mut upsert = sql.prepare_cached(upsert)?;
        upsert.execute(params![subscription, self.position.0, self.source, self.event])?;
        Ok(())
    }
}

impl<'n> Marks<'n> {
    /// None touched yet; each is read when its first event comes.
    pub(crate) fn new(subscription: &'n str) -> Marks<'n> {
        Marks { subscription, marks: HashMap::new() }
    }

    /// Whether this event was not received before; it counts as received from now on.
    pub(crate) fn receive(&mut self, sql: &Connection, stored: &Stored) -> Result<bool, Error> {
        let (source, sequence) = match stored.event.outbox_sequence {
            Some(sequence) => (stored.event.source.as_str(), sequence),
            None => (UNSTAMPED, stored.offset.0),
        };
        let highest = match self.marks.get(source) {
            Some(mark) => mark.highest,
            None => highest(sql, self.subscription, source)?,
        };
        let fresh = sequence > highest;
        // Also where it is no news: the next event of this source finds the mark in memory.
        let mark = self.marks.entry(source.to_owned()).or_insert(Mark { highest, raised: false });
        if fresh {
            *mark = Mark { highest: sequence, raised: true };
        }
        Ok(fresh)
    }

    /// Writes what was raised; a batch of second copies writes nothing.
    pub(crate) fn save(self, sql: &Connection) -> Result<(), Error> {
        for (source, mark) in self.marks.iter().filter(|(_, mark)| mark.raised) {
            save_mark(sql, self.subscription, source, mark.highest)?;
        }
        Ok(())
    }
}

/// Every mark of a subscription, by source.
pub(crate) fn marks(sql: &Connection, subscription: &str) -> Result<BTreeMap<String, u64>, Error> {
    let select = "SELECT source, sequence FROM inbox_mark WHERE subscription = ?1 AND source <> ''";
    let mut select = sql.prepare_cached(select)?;
    let rows = select.query_map([subscription], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The highest offset received of events that have no outbox sequence.
pub(crate) fn unstamped(sql: &Connection, subscription: &str) -> Result<u64, Error> {
    highest(sql, subscription, UNSTAMPED)
}

/// Back to the beginning: the marks keep every effect from happening again.
pub(crate) fn rewind(sql: &Connection, subscription: &str) -> Result<(), Error> {
    Place::default().save(sql, subscription)
}

/// Back to the beginning of a log that ends at `end` now, before where it once ended: what has no
/// outbox sequence is known by its offset alone, and those after `end` are free to be new events.
pub(crate) fn rewind_shortened(
    sql: &Connection,
    subscription: &str,
    end: Offset,
) -> Result<(), Error> {
    let known = highest(sql, subscription, UNSTAMPED)?.min(end.0);
    save_mark(sql, subscription, UNSTAMPED, known)?;
    rewind(sql, subscription)
}

/// The stored mark of a source; 0 for one of which nothing was received.
fn highest(sql: &Connection, subscription: &str, source: &str) -> Result<u64, Error> {
    let select = "SELECT sequence FROM inbox_mark WHERE subscription = ?1 AND source = ?2";
    let mut select = sql.prepare_cached(select)?;
    let highest = select.query_row([subscription, source], |row| row.get(0));
    Ok(highest.optional()?.unwrap_or(0))
}

/// Stores a mark, whether it is higher than before or not: that is the caller's to know.
fn save_mark(sql: &Connection, subscription: &str, source: &str, to: u64) -> Result<(), Error> {
    let upsert = "INSERT OR REPLACE INTO inbox_mark VALUES (?1, ?2, ?3)";
    sql.prepare_cached(upsert)?.execute(params![subscription, source, to])?;
    Ok(())
}
