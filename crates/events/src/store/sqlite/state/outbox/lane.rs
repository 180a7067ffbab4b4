//! One partition of an outbox: where its next row goes, and what was made of those before.
//!
//! Rows of all partitions share a table; here a number is always one within this partition, and only the
//! statements know the keys.
//!
//! Reconciling, once a start and after every trouble of the relay:
//!
//! 1. *The broker has more than this file ever held*: the file lost its tail. Numbering goes on above what
//!    the broker has, and what was written since the start moves up there. Only the first time after the file
//!    was opened can this be so.
//! 2. *The broker has less than was relayed*: the log lost its tail. What is kept is published again by the
//!    relay, which goes on from what the broker has; what is not kept is reported.
//! 3. *What the broker has* is saved as relayed: it is the one that knows.
//!
//! Of a broker that does not count numbers the relay tells by what is there ([`standing`](crate::standing)) which rows
//! have to move up.

use std::ops::RangeInclusive;

use rusqlite::{Connection, OptionalExtension, params};

use crate::error::Error;
use crate::partition::{Numbered, Partition};
use crate::store::bounds::{OUTBOX_KEPT, Reconciled};
use crate::store::sqlite::plumbing::connection::has_table;
use crate::store::sqlite::plumbing::jump::Jump;
use crate::store::sqlite::state::stepped;
use crate::store::{epoch, packed};

/// Rows removed in one transaction at most, so that a long outage is not paid for by one caller.
const PRUNED_MAX: u64 = 1000;

/// How far the relay may be ahead of what is saved about it while others write anyway.
const SAVED_EVERY: u64 = 256;

/// One partition, on the writer's side.
pub(super) struct Lane {
    partition: Partition,
    pub(super) state: State,
    /// The newest row when the file was opened.
    opened_at: u64,
}

/// What a rolled back transaction takes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State {
    pub(super) last: u64,
    pub(super) saved: u64,
    jump: Jump,
    reconciled: bool,
}

impl Lane {
    /// As its committed rows have it.
    pub(super) fn load(connection: &Connection, partition: Partition) -> Result<Lane, Error> {
        let last = newest(connection, partition)?.unwrap_or(0);
        let saved = relayed(connection, partition)?;
        Ok(Lane {
            partition,
            state: State {
                last,
                saved,
                jump: super::newest_jump(connection, partition)?,
                reconciled: false,
            },
            opened_at: last,
        })
    }

    pub(super) fn jump(&self) -> Jump {
        self.state.jump
    }

    /// Events that wait for the broker, which has `relayed`.
    pub(super) fn waiting(&self, relayed: u64) -> u64 {
        self.state.jump.between(relayed, self.state.last)
    }

    /// The next number, taken.
    pub(super) fn take(&mut self) -> Numbered {
        // Never below the floor of the last jump: the numbers under it were given out before a restore.
        self.state.last = self.state.last.max(self.state.jump.floor) + 1;
        self.number(self.state.last)
    }

    /// A number of this partition.
    pub(super) fn number(&self, number: u64) -> Numbered {
        Numbered { partition: self.partition, number }
    }

    /// Whether how far the relay got is worth a statement.
    pub(super) fn is_due(&self, relayed: u64) -> bool {
        relayed >= self.state.saved + SAVED_EVERY
    }

    /// Saves how far the relay got and removes rows that nobody will ask for again.
    pub(super) fn save(&mut self, connection: &Connection, relayed: u64) -> Result<(), Error> {
        let upsert = "INSERT OR REPLACE INTO outbox_relayed VALUES (?1, ?2)";
        connection.prepare_cached(upsert)?.execute(params![self.partition.index(), relayed])?;
        self.state.saved = relayed;
        let prune = "DELETE FROM outbox WHERE sequence IN
            (SELECT sequence FROM outbox WHERE sequence BETWEEN ?1 AND ?2 AND sequence NOT IN
                (SELECT sequence FROM outbox_stepped WHERE dead = 1)
            ORDER BY sequence LIMIT ?3)";
        // Counted within the epoch: what lies between two of them was never a row.
        let until = self.state.jump.back(relayed.min(self.state.last), OUTBOX_KEPT);
        let (first, last) = (packed::base(self.partition), packed::pack(self.number(until)));
        connection.prepare_cached(prune)?.execute([first, last, PRUNED_MAX])?;
        stepped::prune(connection, first, last)
    }

    /// Compares with what the broker holds and makes both fit again; `relayed` is what was relayed once, without
    /// what was stepped over, which the broker never had.
    ///
    /// Sequences that the broker already knows would be taken for second copies: if this file lost
    /// its tail, numbering goes on in an epoch above them, and rows written since the start move up.
    pub(super) fn reconcile(
        &mut self,
        connection: &Connection,
        relayed: u64,
        published: u64,
    ) -> Result<Reconciled, Error> {
        let mut found = Reconciled::default();
        if !self.state.reconciled && self.opened_at < published {
            // Only the first time: later the broker cannot have more than this file ever held.
            found.outbox_lost = Some(self.opened_at + 1..=published);
            self.move_up(connection, self.opened_at, published)?;
        }
        if published < relayed {
            found.log_lost = Some(published + 1..=relayed);
            found.unmendable = self.unmendable(connection, published, relayed)?;
        }
        self.state.reconciled = true;
        // What the broker has is the truth from here on, whether that is less or more than was noted.
        self.save(connection, published)?;
        Ok(found)
    }

    /// Gives the rows after a number, none of which was relayed, numbers of an epoch above `published`; what is remembered
    /// of them knows them by those.
    pub(super) fn move_up(
        &mut self,
        connection: &Connection,
        after: u64,
        published: u64,
    ) -> Result<(), Error> {
        let above = epoch::after(published.max(self.state.last))?;
        let shift = above - after;
        let span = [shift, packed::pack(self.number(after)), packed::end(self.partition)];
        shift_rows(connection, "outbox", "sequence", span)?;
        if has_table(connection, "remembered")? {
            shift_rows(connection, "remembered", "place", span)?;
        }
        self.state.jump = Jump { base: published, floor: above };
        super::note_jump(connection, self.partition, self.state.jump)?;
        let has_moved = self.state.last > after;
        self.state.last = if has_moved { self.state.last + shift } else { published };
        self.state.reconciled = true;
        self.save(connection, published)
    }

    /// The sequences after `published` up to `relayed` whose rows are not kept any more.
    fn unmendable(
        &self,
        connection: &Connection,
        published: u64,
        relayed: u64,
    ) -> Result<Option<RangeInclusive<u64>>, Error> {
        let oldest = oldest(connection, self.partition)?.unwrap_or(relayed + 1);
        let gone = published + 1..=relayed.min(oldest - 1);
        Ok((!gone.is_empty()).then_some(gone))
    }
}

/// Moves rows up by so much, whose keys are after one and up to another.
fn shift_rows(
    connection: &Connection,
    table: &str,
    column: &str,
    span: [u64; 3],
) -> Result<(), Error> {
    // Twice, over the negative numbers: a row must not land on one that has yet to move.
    let away = format!(
        "UPDATE {table} SET {column} = -({column} + ?1) WHERE {column} > ?2 AND {column} <= ?3"
    );
    connection.execute(&away, span)?;
    let back = format!("UPDATE {table} SET {column} = -{column} WHERE {column} < 0");
    connection.execute(&back, [])?;
    Ok(())
}

/// The oldest row of a partition that is kept.
fn oldest(connection: &Connection, partition: Partition) -> Result<Option<u64>, Error> {
    row_at(connection, partition, "ASC")
}

/// The newest row of a partition.
pub(super) fn newest(connection: &Connection, partition: Partition) -> Result<Option<u64>, Error> {
    row_at(connection, partition, "DESC")
}

/// The first or the last number of the partition's rows.
fn row_at(
    connection: &Connection,
    partition: Partition,
    order: &str,
) -> Result<Option<u64>, Error> {
    let select = format!(
        "SELECT sequence FROM outbox WHERE sequence BETWEEN ?1 AND ?2
        ORDER BY sequence {order} LIMIT 1"
    );
    let mut select = connection.prepare_cached(&select)?;
    let span = [packed::base(partition), packed::end(partition)];
    let key: Option<u64> = select.query_row(span, |row| row.get(0)).optional()?;
    Ok(key.map(|key| packed::unpack(key).number))
}

/// How far the relay got in a partition, as it was saved last.
pub(in crate::store::sqlite::state) fn relayed(
    connection: &Connection,
    partition: Partition,
) -> Result<u64, Error> {
    let select = "SELECT relayed FROM outbox_relayed WHERE partition = ?1";
    let saved = connection.query_row(select, [partition.index()], |row| row.get(0));
    Ok(saved.optional()?.unwrap_or(0))
}
