//! The outbox table: events that are committed with the state that caused them.
//!
//! Rows are numbered by the writer, which is alone, so that the order of sequences is the order of
//! commits; a relay reads them in that order and nothing is updated per event. Rows stay for
//! [`OUTBOX_KEPT`] more events after they were relayed: a log that lost its tail is mended from them.
//!
//! What must stay true:
//!
//! 1. A number is given once. It goes up by one from commit to commit, but for a jump; a transaction
//!    that is rolled back gives its numbers back, because nobody has seen them.
//! 2. No number is below one that the broker has of this source: that one would be taken for a second
//!    copy, and an event would be lost in silence. Where the broker has more than this file (it lost its
//!    tail), numbering goes on above, and rows that were not published yet move up.
//! 3. Nothing is deleted that the relay has not passed, nor a row whose letter is still open.
//!
//! How far the relay got is a number in memory, saved with some later transaction. If that is lost, the
//! relay asks the broker, as it does at every start.

pub(super) mod row;

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::{Publishes, stepped};
use crate::error::Error;
use crate::event::{CAUSE_BYTES_MAX, Draft, EVENT_BYTES_MAX, Event, KEY_BYTES_MAX};
use crate::store::sqlite::plumbing::jump::Jump;
use row::{COLUMNS, Origin, event};

/// Relayed rows kept for mending a log: how much of its tail a log may lose and get back.
pub const OUTBOX_KEPT: u64 = 10_000;

/// Committed events that may wait for the broker; past it the service refuses to publish, and with that
/// the write that wanted to.
pub const OUTBOX_WAITING_MAX: u64 = 1_000_000;

/// Rows removed in one transaction at most, so that a long outage is not paid for by one caller.
const PRUNED_MAX: u64 = 1000;

/// How far the relay may be ahead of what is saved about it while others write anyway.
const SAVED_EVERY: u64 = 256;

/// Bytes of data that one read of waiting rows gathers, unless the first row alone has more.
///
/// Half of what the local broker takes in a batch: ample room for every envelope, and a memory
/// that does not grow with what waits.
pub const WAITING_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Bytes of data an outbox takes: what an event may have, less ample room for its envelope.
pub const DATA_BYTES_MAX: usize = EVENT_BYTES_MAX - 64 * 1024;

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS outbox (
        sequence INTEGER PRIMARY KEY, kind TEXT NOT NULL, subject TEXT NOT NULL,
        number INTEGER NOT NULL, time INTEGER NOT NULL, correlation TEXT, causation TEXT,
        traceparent TEXT, data TEXT NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS outbox_state (
        one INTEGER PRIMARY KEY CHECK (one = 1), epoch TEXT NOT NULL,
        relayed INTEGER NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS outbox_jump (
        one INTEGER PRIMARY KEY CHECK (one = 1), base INTEGER NOT NULL,
        floor INTEGER NOT NULL) STRICT;
    INSERT OR IGNORE INTO outbox_state VALUES (1, lower(hex(randomblob(8))), 0);";

/// The writer's side: where the next row goes.
pub(super) struct Outbox {
    counted: Counted,
    /// The newest row when the file was opened.
    opened_at: u64,
    relayed: Arc<AtomicU64>,
    jump: Jump,
}

/// How far was counted: what a transaction or a part of it that is rolled back takes back.
#[derive(Clone, Copy)]
pub(super) struct Counted {
    last: u64,
    saved: u64,
    reconciled: bool,
}

/// What comparing the outbox with the broker found, each as the sequences that are lost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reconciled {
    /// In the log and not here any more: the service's file lost its tail.
    pub(crate) outbox_lost: Option<RangeInclusive<u64>>,
    /// Relayed once and not in the log any more: the log lost its tail.
    pub(crate) log_lost: Option<RangeInclusive<u64>>,
    /// The part of `log_lost` whose rows are not kept any more.
    pub(crate) unmendable: Option<RangeInclusive<u64>>,
}

impl Outbox {
    /// Makes the tables where they are not, and goes on from what is committed there.
    pub(super) fn open(
        connection: &Connection,
        publishes: &Publishes,
        relayed: Arc<AtomicU64>,
    ) -> Result<Outbox, Error> {
        Error::check("source", publishes.source.len(), KEY_BYTES_MAX)?;
        connection.execute_batch(TABLES)?;
        connection.execute_batch(stepped::TABLES)?;
        let jump = newest_jump(connection)?;
        let saved = connection.query_row("SELECT relayed FROM outbox_state", [], |r| r.get(0))?;
        let newest = "SELECT coalesce(max(sequence), 0) FROM outbox";
        let last = connection.query_row(newest, [], |row| row.get(0))?;
        relayed.store(saved, Ordering::Release);
        let counted = Counted { last, saved, reconciled: false };
        Ok(Outbox { counted, opened_at: last, relayed, jump })
    }

    /// The numbers that a restore has left out.
    pub(super) fn jump(&self) -> Jump {
        self.jump
    }

    /// The newest number, that of a row which is not yet committed included.
    pub(super) fn last(&self) -> u64 {
        self.counted.last
    }

    /// For [`reset`](Self::reset), before anything that may be rolled back.
    pub(super) fn counted(&self) -> Counted {
        self.counted
    }

    /// As it was when `counted` was taken; the rows are taken back by whoever rolls back.
    pub(super) fn reset(&mut self, counted: Counted) {
        self.counted = counted;
    }

    /// Stores an event under the next number, which it returns.
    pub(super) fn insert(
        &mut self,
        connection: &Connection,
        draft: &Draft,
        now: Timestamp,
    ) -> Result<u64, Error> {
        check(draft)?;
        let sequence = self.next()?;
        let insert = "INSERT INTO outbox VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
        connection.prepare_cached(insert)?.execute(params![
            sequence,
            draft.kind,
            draft.subject,
            draft.sequence,
            now.as_microsecond(),
            draft.cause.correlation_id,
            draft.cause.causation_id,
            draft.cause.traceparent,
            draft.data.get(),
        ])?;
        self.counted.last = sequence;
        Ok(sequence)
    }

    /// Stores what an old row says once more, as the newest.
    pub(super) fn insert_again(&mut self, connection: &Connection, old: u64) -> Result<u64, Error> {
        let sequence = self.next()?;
        let insert = "INSERT INTO outbox SELECT ?1, kind, subject, number, time, correlation,
            causation, traceparent, data FROM outbox WHERE sequence = ?2";
        connection.prepare_cached(insert)?.execute([sequence, old])?;
        self.counted.last = sequence;
        Ok(sequence)
    }

    /// The number of the next row.
    fn next(&self) -> Result<u64, Error> {
        let waiting = self.jump.between(self.relayed.load(Ordering::Acquire), self.counted.last);
        if waiting >= OUTBOX_WAITING_MAX {
            return Err(Error::environment(format!("{waiting} events wait for the broker")));
        }
        Ok(self.counted.last.max(self.jump.floor) + 1)
    }

    /// Saves how far the relay got, once that is worth a statement.
    pub(super) fn save_if_due(&mut self, connection: &Connection) -> Result<(), Error> {
        let due = self.relayed.load(Ordering::Acquire) >= self.counted.saved + SAVED_EVERY;
        if due { self.save(connection) } else { Ok(()) }
    }

    /// Saves how far the relay got and removes rows that nobody will ask for again.
    pub(super) fn save(&mut self, connection: &Connection) -> Result<(), Error> {
        self.save_as(connection, self.relayed.load(Ordering::Acquire))
    }

    /// Saves that the relay got to `relayed`, and prunes a bounded number of rows.
    fn save_as(&mut self, connection: &Connection, relayed: u64) -> Result<(), Error> {
        connection.prepare_cached("UPDATE outbox_state SET relayed = ?1")?.execute([relayed])?;
        self.counted.saved = relayed;
        let prune = "DELETE FROM outbox WHERE sequence IN
            (SELECT sequence FROM outbox WHERE sequence <= ?1 AND sequence NOT IN
                (SELECT sequence FROM outbox_stepped WHERE dead = 1)
            ORDER BY sequence LIMIT ?2)";
        let until = self.jump.back(relayed.min(self.counted.last), OUTBOX_KEPT);
        connection.prepare_cached(prune)?.execute([until, PRUNED_MAX])?;
        stepped::prune(connection, until)
    }

    /// Compares with what the broker holds and makes both fit again.
    ///
    /// Sequences that the broker already knows would be taken for second copies: if this file lost
    /// its tail, numbering goes on above them, and rows written since the start move up.
    pub(super) fn reconcile(
        &mut self,
        connection: &Connection,
        published: u64,
    ) -> Result<Reconciled, Error> {
        let mut found = Reconciled::default();
        if !self.counted.reconciled && self.opened_at < published {
            // Only the first time: later the broker cannot have more than this file ever held.
            found.outbox_lost = Some(self.opened_at + 1..=published);
            self.move_up(connection, published)?;
        }
        // What was relayed once, without what was stepped over: the broker never had that.
        let relayed = self.relayed.load(Ordering::Acquire).max(self.counted.saved);
        let relayed = stepped::newest_published(connection, relayed)?;
        if published < relayed {
            found.log_lost = Some(published + 1..=relayed);
            found.unmendable = unmendable(connection, published, relayed)?;
        }
        self.counted.reconciled = true;
        self.save_as(connection, published)?;
        Ok(found)
    }

    /// Gives the rows that were written since the file was opened numbers above `published`. Nobody has
    /// seen their old ones: the relay has not run yet.
    fn move_up(&mut self, connection: &Connection, published: u64) -> Result<(), Error> {
        let shift = published - self.opened_at;
        // Twice, over the negative numbers: a row must not land on one that has yet to move.
        let away = "UPDATE outbox SET sequence = -(sequence + ?1) WHERE sequence > ?2";
        connection.execute(away, [shift, self.opened_at])?;
        connection.execute("UPDATE outbox SET sequence = -sequence WHERE sequence < 0", [])?;
        self.counted.last += shift;
        Ok(())
    }
}

/// Leaves out the next `by` numbers.
pub(in crate::store::sqlite) fn jump(connection: &Connection, by: u64) -> Result<(), Error> {
    connection.execute_batch(TABLES)?;
    let newest = "SELECT max((SELECT coalesce(max(sequence), 0) FROM outbox), relayed)
        FROM outbox_state";
    let newest: u64 = connection.query_row(newest, [], |row| row.get(0))?;
    let before = newest_jump(connection)?;
    let jump = if before.floor > newest {
        Jump { floor: before.floor + by, ..before }
    } else {
        Jump { base: newest, floor: newest + by }
    };
    let replace = "INSERT OR REPLACE INTO outbox_jump VALUES (1, ?1, ?2)";
    connection.execute(replace, [jump.base, jump.floor])?;
    Ok(())
}

/// The outbox's own name for this file: event ids of a recreated file are different ones.
pub(super) fn epoch(connection: &Connection) -> Result<String, Error> {
    Ok(connection.query_row("SELECT epoch FROM outbox_state", [], |row| row.get(0))?)
}

/// The oldest row that is kept.
pub(super) fn oldest(connection: &Connection) -> Result<Option<u64>, Error> {
    Ok(connection.query_row("SELECT min(sequence) FROM outbox", [], |row| row.get(0))?)
}

/// The sequences after `published` up to `relayed` whose rows are not kept any more.
fn unmendable(
    connection: &Connection,
    published: u64,
    relayed: u64,
) -> Result<Option<RangeInclusive<u64>>, Error> {
    let oldest = oldest(connection)?.unwrap_or(relayed + 1);
    let gone = published + 1..=relayed.min(oldest - 1);
    Ok((!gone.is_empty()).then_some(gone))
}

/// The newest jump over numbers of this outbox; without one it is over none.
pub(super) fn newest_jump(connection: &Connection) -> Result<Jump, Error> {
    let select = "SELECT base, floor FROM outbox_jump";
    let jump =
        connection.query_row(select, [], |row| Ok(Jump { base: row.get(0)?, floor: row.get(1)? }));
    Ok(jump.optional()?.unwrap_or_default())
}

/// Up to `limit` committed rows after `after`, as the events they become.
pub(super) fn waiting(
    connection: &Connection,
    origin: Origin<'_>,
    after: u64,
    limit: usize,
) -> Result<Vec<Event>, Error> {
    let select = format!(
        "SELECT {COLUMNS} FROM outbox WHERE sequence > ?1 AND sequence NOT IN
        (SELECT sequence FROM outbox_stepped) ORDER BY sequence LIMIT ?2"
    );
    let mut select = connection.prepare_cached(&select)?;
    let mut rows = select.query(params![after, limit])?;
    let (mut events, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let event = match event(row, origin) {
            Ok(event) => event,
            // Sound ones go first; then the hurt one is the very next, and stops the relay.
            Err(error) if events.is_empty() => return Err(error),
            Err(_) => break,
        };
        bytes += event.data.get().len();
        if bytes > WAITING_BYTES_MAX && !events.is_empty() {
            break;
        }
        events.push(event);
    }
    Ok(events)
}

/// Refuses here what the broker would refuse later, when nobody is left to answer to.
fn check(draft: &Draft) -> Result<(), Error> {
    Error::check("subject", draft.subject.len(), KEY_BYTES_MAX)?;
    let cause = &draft.cause;
    for id in [&cause.correlation_id, &cause.causation_id, &cause.traceparent] {
        Error::check("cause", id.as_ref().map_or(0, String::len), CAUSE_BYTES_MAX)?;
    }
    Error::check("data", draft.data.get().len(), DATA_BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Cause;

    #[test]
    fn so_many_events_may_wait_for_the_broker_and_no_more() {
        let connection = Connection::open_in_memory().unwrap();
        let topic = crate::fixture::topic("order");
        let publishes = Publishes { source: "order".to_owned(), topic };
        let mut outbox = Outbox::open(&connection, &publishes, Arc::default()).unwrap();
        outbox.counted.last = OUTBOX_WAITING_MAX - 1;
        let draft = Draft::new("Placed", 1, 1, &(), &Cause::default());
        let insert =
            |outbox: &mut Outbox| outbox.insert(&connection, &draft, Timestamp::UNIX_EPOCH);
        assert_eq!(insert(&mut outbox).unwrap(), OUTBOX_WAITING_MAX);
        assert!(insert(&mut outbox).unwrap_err().is_environment());
        outbox.relayed.store(1, Ordering::Release);
        assert_eq!(insert(&mut outbox).unwrap(), OUTBOX_WAITING_MAX + 1);
    }
}
