//! Offers from outside, in the writer's transaction: which of their events are here already, and what stands against
//! their condition.
//!
//! Two indexes in the log's own file, written with the record that they lead to, so that neither can be there without
//! the other:
//!
//! 1. *Source and id* of every event that was offered, in its topic whatever its partition: where the first copy is.
//!    A publisher whose ids grow (UUIDs of version 7, counters) writes at its end, and pages of it are shared by many
//!    events; random ones cost a page each.
//! 2. *The key*, for conditions: where its events are, oldest first. What they are their records say.
//!
//! An entry whose record is no longer there (a log that lost its tail), or that leads to another event's (one that grew
//! again), counts as none, and is written anew. Records are read in one go and of each only what is asked for, because whoever
//! publishes waits for this thread: how many, and how many bytes, has a limit.

use std::borrow::Cow;

use rusqlite::{Connection, OptionalExtension, params};
use serde::Deserialize;

use super::rows::PartitionRows;
use super::tail::Tail;
use crate::error::Error;
use crate::event::Event;
use crate::offer::{
    CAME_BYTES_MAX, CAME_MAX, Came, LOOKED_AT_BYTES_MAX, LOOKED_AT_MAX, Offer, Offered, Outcome,
    Unless,
};
use crate::partition::{Numbered, Partition, Partitions};
use crate::store::packed;
use crate::topic::TopicPartition;

pub(super) const TABLES: &str = "CREATE TABLE offered (
        topic INTEGER NOT NULL, source TEXT NOT NULL, id TEXT NOT NULL, place INTEGER NOT NULL,
        PRIMARY KEY (topic, source, id)) STRICT, WITHOUT ROWID;
    CREATE TABLE offered_key (
        topic INTEGER NOT NULL, key TEXT NOT NULL, place INTEGER NOT NULL,
        PRIMARY KEY (topic, key, place)) STRICT, WITHOUT ROWID;";

/// One topic, while an offer to it is looked at and stored.
pub(super) struct Offering<'w> {
    pub(super) sql: &'w Connection,
    pub(super) count: Partitions,
    /// Its partitions, all of them, in order; where each goes on.
    pub(super) rows: &'w [PartitionRows],
    pub(super) tails: &'w mut [Tail],
}

impl Offering<'_> {
    /// What an offer is answered that needs no storing: it is stored already, or its condition is false. Nothing is
    /// written.
    pub(super) fn settled(&self, offer: &Offer) -> Result<Option<Outcome>, Error> {
        let Some(unless) = &offer.unless else { return Ok(None) };
        // Who asks again whether he was heard is told so: what he himself stored stands against nothing.
        let known = offer.events.iter().map(|event| self.first(event));
        if let Some(places) = known.collect::<Result<Option<Vec<_>>, _>>()? {
            return Ok(Some(Outcome::Stored(places)));
        }
        let came = self.came(unless)?;
        if came.is_empty() {
            self.check_is_known(unless)?;
        }
        Ok((!came.is_empty()).then_some(Outcome::Came(came)))
    }

    /// Whether everything is still there that could make a condition false: what was removed may have.
    fn check_is_known(&self, unless: &Unless) -> Result<(), Error> {
        let gone = |rows: &PartitionRows, place, what| {
            let topic = rows.at.to_string();
            Err(Error::Gone { topic, place, what })
        };
        // A place names the partition of its key; the beginning names all, and so what a topic kept of the key before it
        // was given more of them.
        let from_beginning = unless.after.iter().next().is_none();
        let of_key = self.count.of(&unless.key);
        for (partition, rows) in self.count.each().zip(self.rows) {
            let (after, floor) = (unless.after.of(partition), rows.removed(self.sql).floor()?);
            if after < floor && (from_beginning || partition == of_key) {
                return gone(rows, after, format!("it has what is after {floor}"));
            }
            let keeps_latest = rows.retained.is_some_and(|it| it.latest_per_key);
            if keeps_latest && !self.places(unless, partition)?.is_empty() {
                let what = "it keeps the newest of each key alone, and one came since";
                return gone(rows, after, what.to_owned());
            }
        }
        Ok(())
    }

    /// Stores what is new of it; where each of its events is, in its order.
    ///
    /// # Errors
    /// The environment's; rows may have been written.
    pub(super) fn store(&mut self, offer: &Offer) -> Result<Outcome, Error> {
        let places = offer.events.iter().map(|event| self.store_one(event));
        Ok(Outcome::Stored(places.collect::<Result<_, _>>()?))
    }

    fn store_one(&mut self, event: &Offered) -> Result<Numbered, Error> {
        let partition = self.count.of(&event.key);
        let at = usize::from(partition.index());
        let place = Numbered { partition, number: self.tails[at].next() };
        // First into the index, which says by the way whether it is new.
        if !self.note(event, place)? {
            if let Some(first) = self.first(event)? {
                return Ok(first);
            }
            self.note_again(event, place)?;
        }
        let insert = self.rows[at].insert();
        self.tails[at].add(&mut self.sql.prepare_cached(&insert)?, &event.bytes)?;
        let by_key = "INSERT OR IGNORE INTO offered_key VALUES (?1, ?2, ?3)";
        let row = params![self.topic(), event.key, packed::pack(place)];
        self.sql.prepare_cached(by_key)?.execute(row)?;
        Ok(place)
    }

    /// Whether it is noted now, and was not before.
    fn note(&self, event: &Offered, place: Numbered) -> Result<bool, Error> {
        let insert = "INSERT INTO offered VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING";
        let row = params![self.topic(), event.source, event.id, packed::pack(place)];
        Ok(self.sql.prepare_cached(insert)?.execute(row)? > 0)
    }

    /// Leads an entry whose record is gone to another one.
    fn note_again(&self, event: &Offered, place: Numbered) -> Result<(), Error> {
        let update = "UPDATE offered SET place = ?4 WHERE topic = ?1 AND source = ?2 AND id = ?3";
        let row = params![self.topic(), event.source, event.id, packed::pack(place)];
        self.sql.prepare_cached(update)?.execute(row)?;
        Ok(())
    }

    /// Where the first copy of an event is.
    fn first(&self, event: &Offered) -> Result<Option<Numbered>, Error> {
        let select = "SELECT place FROM offered WHERE topic = ?1 AND source = ?2 AND id = ?3";
        let mut select = self.sql.prepare_cached(select)?;
        let row = params![self.topic(), event.source, event.id];
        let place = select.query_row(row, |row| row.get(0)).optional()?.map(packed::unpack);
        let Some(place) = place else { return Ok(None) };
        let is_there = self.record(place)?.is_some_and(|record| {
            let names: Result<Names<'_>, _> = serde_json::from_slice(&record);
            names.is_ok_and(|it| it.source == event.source && it.id == event.id)
        });
        Ok(is_there.then_some(place))
    }

    /// What makes a condition false, oldest first in each partition: a key has one, unless the topic has been given more.
    fn came(&self, unless: &Unless) -> Result<Vec<Came>, Error> {
        let mut places = Vec::new();
        for partition in self.count.each() {
            places.extend(self.places(unless, partition)?);
            Error::check("events", places.len(), LOOKED_AT_MAX)?;
        }
        let (mut came, mut looked_at, mut room) = (Vec::new(), 0, CAME_BYTES_MAX);
        for at in places.into_iter().map(packed::unpack) {
            let Some(record) = self.record(at)? else { continue };
            looked_at += record.len();
            Error::check("bytes", looked_at, LOOKED_AT_BYTES_MAX)?;
            let Some(event) = named(unless, &record)? else { continue };
            match room.checked_sub(record.len()) {
                Some(left) if came.len() < CAME_MAX => room = left,
                _ => break,
            }
            came.push(Came { at, event });
        }
        Ok(came)
    }

    /// Where events of the condition's key are behind its place, and one more than are looked at.
    fn places(&self, unless: &Unless, partition: Partition) -> Result<Vec<u64>, Error> {
        let select = "SELECT place FROM offered_key
            WHERE topic = ?1 AND key = ?2 AND place > ?3 AND place <= ?4 ORDER BY place LIMIT ?5";
        let after = packed::pack(Numbered { partition, number: unless.after.of(partition) });
        let until = packed::end(partition);
        let limit = LOOKED_AT_MAX + 1;
        let mut select = self.sql.prepare_cached(select)?;
        let rows = params![self.topic(), unless.key, after, until, limit];
        let places = select.query_map(rows, |row| row.get(0))?;
        Ok(places.collect::<Result<_, _>>()?)
    }

    /// The record at a place, if it is there.
    fn record(&self, at: Numbered) -> Result<Option<Vec<u8>>, Error> {
        let Some(rows) = self.rows.get(usize::from(at.partition.index())) else { return Ok(None) };
        rows.record(self.sql, at.number)
    }

    /// What its entries are filed under: a row that stays as long as the topic does.
    fn topic(&self) -> i64 {
        self.rows[0].id
    }
}

/// Whether anything of a topic was offered from outside.
pub(super) fn any(sql: &Connection, rows: &PartitionRows) -> Result<bool, Error> {
    let any = "SELECT EXISTS (SELECT 1 FROM offered
        WHERE topic = (SELECT id FROM topic WHERE name = ?1 AND partition = 0))";
    Ok(sql.prepare_cached(any)?.query_row([rows.at.topic.as_str()], |row| row.get(0))?)
}

/// Takes an event that is removed out of both indexes, where it is in them.
pub(super) fn forget(
    sql: &Connection,
    rows: &PartitionRows,
    offset: u64,
    record: &[u8],
) -> Result<(), Error> {
    // What is hurt says neither; its entries lead to no record, and count as none.
    let Ok(Event { source, id, key, .. }) = Event::from_json(record) else { return Ok(()) };
    let TopicPartition { topic, partition } = &rows.at;
    let place = packed::pack(Numbered { partition: *partition, number: offset });
    let of_topic =
        "topic = (SELECT id FROM topic WHERE name = ?1 AND partition = 0) AND place = ?2";
    let first = format!("DELETE FROM offered WHERE {of_topic} AND source = ?3 AND id = ?4");
    sql.prepare_cached(&first)?.execute(params![topic.as_str(), place, source, id])?;
    let by_key = format!("DELETE FROM offered_key WHERE {of_topic} AND key = ?3");
    sql.prepare_cached(&by_key)?.execute(params![topic.as_str(), place, key])?;
    Ok(())
}

/// What a record is asked for before all of it is.
#[derive(Deserialize)]
struct Names<'r> {
    #[serde(borrow)]
    id: Cow<'r, str>,
    #[serde(borrow)]
    source: Cow<'r, str>,
    #[serde(borrow, rename = "type")]
    kind: Cow<'r, str>,
}

/// The event of a record, if the condition names it.
fn named(unless: &Unless, record: &[u8]) -> Result<Option<Event>, Error> {
    let names: Names<'_> = serde_json::from_slice(record).map_err(Error::decode)?;
    if !unless.kinds.iter().any(|kind| *kind == names.kind) {
        return Ok(None);
    }
    Ok(Some(Event::from_json(record)?).filter(|event| unless.names(event)))
}
