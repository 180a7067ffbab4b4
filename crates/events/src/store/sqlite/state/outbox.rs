//! The outbox table: events that are committed with the state that caused them.
//!
//! Rows are numbered by the writer, which is alone, each partition by itself, so that the order of a
//! partition's sequences is the order of its commits; a relay reads them in that order and nothing is
//! updated per event. Rows stay for [`OUTBOX_KEPT`](crate::store::OUTBOX_KEPT) more events of their partition after
//! they were relayed: a log that lost its tail is mended from them.
//!
//! What must stay true, in each partition:
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
//!
//! A row's key is its partition and its number in one ([`packed`]): rows from before there were partitions
//! are those of the first.

mod ids;
pub(super) mod lane;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use crate::error::Error;
use crate::event::{Draft, KEY_BYTES_MAX};
use crate::partition::{Numbered, Partition, Partitions};
use crate::store::bounds::{Reconciled, check_room};
use crate::store::options::Publishes;
use crate::store::published::Published;
use crate::store::sqlite::plumbing::jump::Jump;
use crate::store::versions::TableSet;
use crate::store::{epoch, packed};
use crate::topic::Topic;
use ids::Ids;
use lane::{Lane, State};

pub(in crate::store::sqlite) const TABLES: TableSet = TableSet {
    name: "outbox",
    steps: &[
        "CREATE TABLE IF NOT EXISTS outbox (
            sequence INTEGER PRIMARY KEY, kind TEXT NOT NULL, subject TEXT NOT NULL,
            number INTEGER NOT NULL, time INTEGER NOT NULL, correlation TEXT, causation TEXT,
            traceparent TEXT, data TEXT NOT NULL) STRICT;
        CREATE TABLE IF NOT EXISTS outbox_state (
            one INTEGER PRIMARY KEY CHECK (one = 1), epoch TEXT NOT NULL,
            relayed INTEGER NOT NULL) STRICT;
        CREATE TABLE IF NOT EXISTS outbox_jump (
            one INTEGER PRIMARY KEY CHECK (one = 1), base INTEGER NOT NULL,
            floor INTEGER NOT NULL) STRICT;
        INSERT OR IGNORE INTO outbox_state VALUES (1, lower(hex(randomblob(8))), 0);",
        // How many partitions there are is the topic's to say, when the file is opened.
        "CREATE TABLE outbox_relayed (
            partition INTEGER PRIMARY KEY, relayed INTEGER NOT NULL) STRICT;
        INSERT INTO outbox_relayed SELECT 0, relayed FROM outbox_state;
        ALTER TABLE outbox_state DROP COLUMN relayed;
        ALTER TABLE outbox_state ADD COLUMN partitions INTEGER NOT NULL DEFAULT 1;
        ALTER TABLE outbox_jump RENAME TO outbox_jump_of_one_partition;
        CREATE TABLE outbox_jump (
            partition INTEGER PRIMARY KEY, base INTEGER NOT NULL, floor INTEGER NOT NULL) STRICT;
        INSERT INTO outbox_jump SELECT 0, base, floor FROM outbox_jump_of_one_partition;
        DROP TABLE outbox_jump_of_one_partition;",
        // Rows of before have the id that their number makes.
        "ALTER TABLE outbox ADD COLUMN id BLOB;",
    ],
};

/// The writer's side: where the next row of each partition goes.
pub(super) struct Outbox {
    partitions: Partitions,
    lanes: Vec<Lane>,
    /// What this transaction changed, newest last.
    changes: Vec<Undo>,
    relayed: Arc<[AtomicU64]>,
    ids: Ids,
}

/// What a partition was before one change.
struct Undo {
    partition: Partition,
    before: State,
}

/// A moment of a transaction, for going back to it: how many changes there were.
#[derive(Clone, Copy, Debug)]
pub(super) struct UndoDepth(usize);

impl Outbox {
    /// Reads where each partition goes on; `relayed` has a place for each.
    ///
    /// # Errors
    /// [`Error::Partitions`]: the file was numbered for another count.
    pub(super) fn open(
        connection: &Connection,
        publishes: &Publishes,
        relayed: Arc<[AtomicU64]>,
    ) -> Result<Outbox, Error> {
        Error::check("source", publishes.source.len(), KEY_BYTES_MAX)?;
        let partitions = publishes.partitions;
        agree(connection, publishes)?;
        let lanes = partitions.each().map(|partition| Lane::load(connection, partition));
        let lanes = lanes.collect::<Result<Vec<_>, _>>()?;
        for (lane, relayed) in lanes.iter().zip(&*relayed) {
            relayed.store(lane.state.saved, Ordering::Release);
        }
        Ok(Outbox { partitions, lanes, changes: Vec::new(), relayed, ids: Ids::default() })
    }

    /// The jump of each partition.
    pub(super) fn jumps(&self) -> Vec<Jump> {
        self.lanes.iter().map(Lane::jump).collect()
    }

    /// The newest number of each partition.
    pub(super) fn last(&self) -> impl Iterator<Item = Numbered> {
        self.lanes.iter().map(|lane| lane.number(lane.state.last))
    }

    /// For [`reset`](Self::reset), before anything that may be rolled back.
    pub(super) fn counted(&self) -> UndoDepth {
        UndoDepth(self.changes.len())
    }

    /// As it was when `counted` was taken; the rows are taken back by whoever rolls back.
    pub(super) fn reset(&mut self, UndoDepth(to): UndoDepth) {
        // Newest first: a partition that changed twice ends with what it was before the first change.
        for Undo { partition, before } in self.changes.drain(to..).rev() {
            self.lanes[usize::from(partition.index())].state = before;
        }
    }

    /// The transaction stands: nothing of it can be taken back any more. Whether it numbered anything.
    pub(super) fn settle(&mut self) -> bool {
        let changed = !self.changes.is_empty();
        self.changes.clear();
        changed
    }

    /// Stores an event under the next number.
    pub(super) fn insert(
        &mut self,
        connection: &Connection,
        draft: &Draft,
        now: Timestamp,
    ) -> Result<Published, Error> {
        // The number first: where there is no room for one more, nothing has been written yet.
        let at = self.next(self.partitions.of(&draft.subject))?;
        let id = self.ids.next(connection, now)?;
        let insert = "INSERT INTO outbox VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
        connection.prepare_cached(insert)?.execute(params![
            packed::pack(at),
            draft.kind,
            draft.subject,
            draft.sequence,
            now.as_microsecond(),
            draft.cause.correlation_id,
            draft.cause.causation_id,
            draft.cause.traceparent,
            draft.data.get(),
            id.as_bytes(),
        ])?;
        Ok(Published::numbered(id, at))
    }

    /// Stores what an old row says once more, as the newest of its partition.
    pub(super) fn insert_again(
        &mut self,
        connection: &Connection,
        old: Numbered,
        now: Timestamp,
    ) -> Result<(), Error> {
        let at = self.next(old.partition)?;
        let id = self.ids.next(connection, now)?;
        let insert = "INSERT INTO outbox SELECT ?1, kind, subject, number, time, correlation,
            causation, traceparent, data, ?3 FROM outbox WHERE sequence = ?2";
        let row = params![packed::pack(at), packed::pack(old), id.as_bytes()];
        connection.prepare_cached(insert)?.execute(row)?;
        Ok(())
    }

    /// The number of the next row. A statement that fails afterwards takes its work back, and this.
    fn next(&mut self, partition: Partition) -> Result<Numbered, Error> {
        // How far the relay got is known from memory; the file is written now and then and may be behind.
        let waiting = self.lane(partition).waiting(self.relayed(partition));
        check_room(waiting)?;
        Ok(self.change(partition).take())
    }

    /// Saves how far the relay got, once that is worth a statement.
    pub(super) fn save_if_due(&mut self, connection: &Connection) -> Result<(), Error> {
        for partition in self.partitions.each() {
            let relayed = self.relayed(partition);
            if self.lane(partition).is_due(relayed) {
                self.change(partition).save(connection, relayed)?;
            }
        }
        Ok(())
    }

    /// Saves how far the relay got and removes rows that nobody will ask for again.
    pub(super) fn save(&mut self, connection: &Connection) -> Result<(), Error> {
        for partition in self.partitions.each() {
            let relayed = self.relayed(partition);
            if relayed != self.lane(partition).state.saved {
                self.change(partition).save(connection, relayed)?;
            }
        }
        Ok(())
    }

    /// Compares a partition with what the broker holds of it, which was given `relayed`, and makes both fit
    /// again.
    pub(super) fn reconcile(
        &mut self,
        connection: &Connection,
        published: Numbered,
        relayed: u64,
    ) -> Result<Reconciled, Error> {
        self.change(published.partition).reconcile(connection, relayed, published.number)
    }

    /// Gives the rows after a number other ones, above what the broker has up to `published`.
    pub(super) fn move_up(
        &mut self,
        connection: &Connection,
        after: Numbered,
        published: u64,
    ) -> Result<(), Error> {
        self.change(after.partition).move_up(connection, after.number, published)
    }

    /// How far the relay once got in a partition.
    pub(super) fn once_relayed(&self, partition: Partition) -> Numbered {
        let lane = self.lane(partition);
        lane.number(self.relayed(partition).max(lane.state.saved))
    }

    fn relayed(&self, partition: Partition) -> u64 {
        self.relayed[usize::from(partition.index())].load(Ordering::Acquire)
    }

    fn lane(&self, partition: Partition) -> &Lane {
        &self.lanes[usize::from(partition.index())]
    }

    /// The partition, to be changed; what it is now is kept until the transaction stands.
    fn change(&mut self, partition: Partition) -> &mut Lane {
        let lane = &mut self.lanes[usize::from(partition.index())];
        self.changes.push(Undo { partition, before: lane.state });
        lane
    }
}

/// Sees to it that the file numbers for as many partitions as its topic has: the first time it takes their
/// count, later it has to be the same.
fn agree(connection: &Connection, publishes: &Publishes) -> Result<(), Error> {
    let known: u16 =
        connection.query_row("SELECT partitions FROM outbox_state", [], |row| row.get(0))?;
    let count = publishes.partitions.count();
    if known == count {
        return Ok(());
    }
    // Another count would send keys to other partitions, and numbers that were given would mean other places. Only
    // where none was given yet is the count still free.
    let numbered = connection.prepare("SELECT 1 FROM outbox LIMIT 1")?.exists([])?
        || connection.prepare("SELECT 1 FROM outbox_relayed WHERE relayed > 0")?.exists([])?;
    if numbered {
        let topic = publishes.topic.to_string();
        return Err(Error::Partitions { topic, has: known, asked: count });
    }
    connection.execute("UPDATE outbox_state SET partitions = ?1", [count])?;
    Ok(())
}

/// Numbers for so many partitions from here on; those there are go on where they are.
pub(in crate::store::sqlite) fn grow(
    connection: &Connection,
    topic: &Topic,
    to: Partitions,
) -> Result<(), Error> {
    let has: u16 =
        connection.query_row("SELECT partitions FROM outbox_state", [], |row| row.get(0))?;
    let asked = to.count();
    if has > asked {
        return Err(Error::Partitions { topic: topic.to_string(), has, asked });
    }
    connection.execute("UPDATE outbox_state SET partitions = ?1", [asked])?;
    Ok(())
}

/// Up to where each partition's numbers were given, or left out.
pub(in crate::store::sqlite) fn numbered_up_to(
    connection: &Connection,
) -> Result<Vec<Numbered>, Error> {
    let up_to = |partition| {
        let left_out = newest_jump(connection, partition)?.floor;
        Ok(Numbered { partition, number: newest(connection, partition)?.max(left_out) })
    };
    counted(connection)?.each().map(up_to).collect()
}

/// The newest number of a partition: rows that were relayed are deleted in time, so that it may be the relay's alone.
fn newest(connection: &Connection, partition: Partition) -> Result<u64, Error> {
    let stored = lane::newest(connection, partition)?.unwrap_or(0);
    Ok(stored.max(lane::relayed(connection, partition)?))
}

/// For how many partitions the file numbers.
fn counted(connection: &Connection) -> Result<Partitions, Error> {
    Partitions::new(
        connection.query_row("SELECT partitions FROM outbox_state", [], |row| row.get(0))?,
    )
}

/// Leaves out what is left of the epoch of every partition's numbers.
pub(in crate::store::sqlite) fn begin_epoch(connection: &Connection) -> Result<(), Error> {
    for partition in counted(connection)?.each() {
        let newest = newest(connection, partition)?;
        let before = newest_jump(connection, partition)?;
        // Nothing was numbered since the last jump: that one grows. There is one row for each partition, so another
        // would forget what the last one left out.
        let jump = if before.floor > newest {
            Jump { floor: epoch::after(before.floor)?, ..before }
        } else {
            Jump { base: newest, floor: epoch::after(newest)? }
        };
        note_jump(connection, partition, jump)?;
    }
    Ok(())
}

/// Has a partition's numbers go on behind a jump.
fn note_jump(connection: &Connection, partition: Partition, jump: Jump) -> Result<(), Error> {
    let replace = "INSERT OR REPLACE INTO outbox_jump VALUES (?1, ?2, ?3)";
    connection.execute(replace, params![partition.index(), jump.base, jump.floor])?;
    Ok(())
}

/// The outbox's own name for this file, drawn when it was made: event ids of a recreated file are different ones. Its
/// column is older than the epochs of numbers ([`epoch`](crate::store::epoch)), with which it has nothing to do.
pub(super) fn file_id(connection: &Connection) -> Result<String, Error> {
    Ok(connection.query_row("SELECT epoch FROM outbox_state", [], |row| row.get(0))?)
}

/// The newest jump over numbers of a partition; without one it is over none.
pub(super) fn newest_jump(connection: &Connection, partition: Partition) -> Result<Jump, Error> {
    let select = "SELECT base, floor FROM outbox_jump WHERE partition = ?1";
    let jump = connection.query_row(select, [partition.index()], |row| {
        Ok(Jump { base: row.get(0)?, floor: row.get(1)? })
    });
    Ok(jump.optional()?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Cause;
    use crate::store::OUTBOX_WAITING_MAX;
    use crate::store::sqlite::plumbing::versions;
    use crate::store::sqlite::state::stepped;

    #[test]
    fn so_many_events_may_wait_for_the_broker_and_no_more() {
        let connection = Connection::open_in_memory().unwrap();
        versions::upgrade(&connection, &[&TABLES, &stepped::TABLES]).unwrap();
        let publishes = Publishes {
            source: "order".to_owned(),
            topic: crate::fixture::topic("order"),
            partitions: Partitions::ONE,
        };
        let relayed = [AtomicU64::new(0)].into();
        let mut outbox = Outbox::open(&connection, &publishes, relayed).unwrap();
        outbox.lanes[0].state.last = OUTBOX_WAITING_MAX - 1;
        let draft = Draft::new("Placed", 1, 1, &(), &Cause::default());
        let insert =
            |outbox: &mut Outbox| outbox.insert(&connection, &draft, Timestamp::UNIX_EPOCH);
        assert_eq!(insert(&mut outbox).unwrap().number().number, OUTBOX_WAITING_MAX);
        assert!(insert(&mut outbox).unwrap_err().is_environment());
        outbox.relayed[0].store(1, Ordering::Release);
        assert_eq!(insert(&mut outbox).unwrap().number().number, OUTBOX_WAITING_MAX + 1);
    }
}
