//! Where a partition goes on: its last offset, its chain, and what it has of every source.
//!
//! It is read from the file when the log is opened and after every transaction that failed, and kept in
//! memory between: an offset costs no query. What must stay true: what is noted of a publisher is never
//! more than what the rows have of it, or events would be taken for second copies of rows that are gone.
//! A batch is checked before its first row; so one that is refused leaves nothing behind, and needs no
//! savepoint of its own.

use std::collections::{BTreeSet, HashMap};

use rusqlite::{CachedStatement, Connection, OptionalExtension, params};

use super::chain::{Chain, Newest};
use super::rows::PartitionRows;
use super::walk;
use super::{OutboxSequence, Record};
use crate::broker::Offset;
use crate::error::Error;
use crate::event::Event;

/// Sources with an outbox that one topic remembers.
pub(crate) const SOURCES_MAX: usize = 10_000;

/// A topic's end, while its log is open.
pub(super) struct Tail {
    pub(super) last: u64,
    /// The offset that is given next.
    next: u64,
    /// As it stands before the first row, and before the next.
    seed: Chain,
    chain: Chain,
    /// The highest outbox sequence of every source.
    highest: HashMap<String, u64>,
    /// Whose highest this transaction raised.
    raised: BTreeSet<String>,
}

/// Takes back what is noted of publishers beyond the topic's newest record: rows that vanished from
/// the end are asked for again, and nobody takes what comes for a second copy.
pub(super) fn settle(sql: &Connection, rows: &PartitionRows) -> Result<(), Error> {
    let newest = format!("SELECT record FROM t{} ORDER BY offset DESC LIMIT 1", rows.id);
    let newest = sql.query_row(&newest, [], |row| row.get::<_, Vec<u8>>(0)).optional()?;
    let taken = match newest.as_deref().map(Event::from_json) {
        None => sql.execute("DELETE FROM publisher WHERE topic = ?1", [rows.id])?,
        Some(Ok(Event { source, outbox_sequence: Some(sequence), .. })) => {
            let lower = "UPDATE publisher SET sequence = ?3
                WHERE topic = ?1 AND source = ?2 AND sequence > ?3";
            sql.execute(lower, params![rows.id, source, sequence])?
        }
        // It names no publisher.
        Some(_) => 0,
    };
    if taken > 0 {
        tracing::error!(topic = %rows.at, "the log lost its newest events");
    }
    Ok(())
}

impl Tail {
    /// As the file has it: of its newest row, of a jump behind it, and of the notes on publishers.
    pub(super) fn load(sql: &Connection, rows: &PartitionRows) -> Result<Tail, Error> {
        let Newest { offset: last, mut chain } = rows.newest(sql)?;
        let jump = rows.jumps.last_from(last);
        match jump {
            // The rows before it are lost: its mark is what is left of them.
            Some(jump) if jump.base > last => {
                chain = rows.jumps.resumed(jump.base).unwrap_or(chain);
            }
            _ => drop(rows.jumps.leap(last, &mut chain)),
        }
        let next = jump.map_or(last, |jump| jump.floor) + 1;
        let select = "SELECT source, sequence FROM publisher WHERE topic = ?1";
        let mut select = sql.prepare_cached(select)?;
        let known = select.query_map([rows.id], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let highest = known.collect::<Result<_, _>>()?;
        Ok(Tail { last, next, seed: rows.chain(), chain, highest, raised: BTreeSet::new() })
    }

    /// Stores what is new of one batch; the offset of its last event, or of the topic's newest.
    ///
    /// # Errors
    /// [`Error::Limit`] before the first row; anything else may leave rows behind.
    pub(super) fn append(
        &mut self,
        insert: &mut CachedStatement<'_>,
        records: Vec<Record>,
    ) -> Result<Offset, Error> {
        self.check_sources(&records)?;
        for Record { bytes, outbox } in records {
            if outbox.is_some_and(|outbox| self.knows(outbox)) {
                continue;
            }
            self.add(insert, &bytes)?;
        }
        Ok(Offset(self.last))
    }

    /// The offset that is given next.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Stores a record under the next offset.
    pub(super) fn add(
        &mut self,
        insert: &mut CachedStatement<'_>,
        bytes: &[u8],
    ) -> Result<(), Error> {
        let offset = self.next;
        let own = walk::own(self.seed, offset, bytes);
        insert.execute(params![offset, self.chain.link(offset, bytes), bytes, own])?;
        (self.last, self.next) = (offset, offset + 1);
        Ok(())
    }

    /// Saves the highest sequences that were raised since the last time.
    pub(super) fn save_highest(
        &mut self,
        sql: &Connection,
        rows: &PartitionRows,
    ) -> Result<(), Error> {
        let upsert = "INSERT OR REPLACE INTO publisher VALUES (?1, ?2, ?3)";
        for source in std::mem::take(&mut self.raised) {
            let highest = self.highest[&source];
            sql.prepare_cached(upsert)?.execute(params![rows.id, source, highest])?;
        }
        Ok(())
    }

    /// Refuses a batch that would bring the topic more sources than it remembers.
    fn check_sources(&self, records: &[Record]) -> Result<(), Error> {
        let sequences = records.iter().filter_map(|record| record.outbox.as_ref());
        let sources = sequences.map(|outbox| &outbox.source);
        let unknown: BTreeSet<_> =
            sources.filter(|source| !self.highest.contains_key(*source)).collect();
        Error::check("sources", self.highest.len() + unknown.len(), SOURCES_MAX)
    }

    /// Whether this event was stored before; if not, it counts as stored from now on.
    fn knows(&mut self, OutboxSequence { source, sequence }: OutboxSequence) -> bool {
        let highest = self.highest.entry(source.clone()).or_default();
        if sequence <= *highest {
            return true;
        }
        *highest = sequence;
        self.raised.insert(source);
        false
    }
}
