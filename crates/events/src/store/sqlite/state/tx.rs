//! A piece of work's share of the writer's transaction: its events, and parts that are taken back alone.
//!
//! Transactions are the writer's; here none begins and none ends.

use jiff::Timestamp;
use rusqlite::Connection;

use super::outbox::{Outbox, UndoDepth};
use super::rows::{Rows, WriteState};
use crate::error::Error;
use crate::event::Draft;
use crate::partition::{Numbered, Partition};
use crate::store::bounds::{Reconciled, SAVEPOINTS_DEEP_MAX};
use crate::store::published::Published;
use crate::store::savepoints::STATEMENTS;

/// Where the transaction can go back to.
#[derive(Debug)]
pub(crate) struct Savepoint {
    depth: usize,
    counted: Option<UndoDepth>,
}

impl<'t> Rows<'t> {
    /// Of the transaction that is open on `connection`.
    pub(super) fn of_work(
        connection: &'t mut Connection,
        outbox: Option<&'t mut Outbox>,
    ) -> Rows<'t> {
        Rows { connection, writing: Some(WriteState { outbox, depth: 0 }) }
    }

    fn writing(&mut self) -> (&Connection, &mut WriteState<'t>) {
        (self.connection, self.writing.as_mut().expect("a piece of work writes"))
    }

    fn outbox(&mut self) -> (&Connection, Option<&mut Outbox>) {
        let (connection, writing) = self.writing();
        (connection, writing.outbox.as_deref_mut())
    }

    fn own_outbox(&mut self) -> (&Connection, &mut Outbox) {
        let (connection, outbox) = self.outbox();
        (connection, outbox.expect("a database that publishes has an outbox"))
    }

    /// Puts an event into the outbox.
    pub(crate) fn publish(&mut self, draft: &Draft, now: Timestamp) -> Result<Published, Error> {
        let (connection, outbox) = self.own_outbox();
        outbox.insert(connection, draft, now)
    }

    /// Puts one into it again.
    pub(crate) fn publish_again(&mut self, old: Numbered, now: Timestamp) -> Result<(), Error> {
        let (connection, outbox) = self.own_outbox();
        outbox.insert_again(connection, old, now)
    }

    /// Sets a savepoint within those that are open.
    pub(crate) fn set_savepoint(&mut self) -> Result<Savepoint, Error> {
        let (connection, writing) = self.writing();
        Error::check("savepoints within savepoints", writing.depth + 1, SAVEPOINTS_DEEP_MAX)?;
        run(connection, STATEMENTS[writing.depth].set)?;
        let counted = writing.outbox.as_ref().map(|outbox| outbox.counted());
        let savepoint = Savepoint { depth: writing.depth, counted };
        writing.depth += 1;
        Ok(savepoint)
    }

    /// Ends the part that began there.
    #[expect(clippy::needless_pass_by_value, reason = "a savepoint is settled once")]
    pub(crate) fn end_savepoint(&mut self, at: Savepoint, stands: bool) -> Result<(), Error> {
        let Savepoint { depth, counted } = at;
        let (connection, writing) = self.writing();
        writing.depth = depth;
        // A statement that failed badly enough ends the whole transaction: there is no savepoint left to
        // go back to, and the outer work must not go on as if there were.
        if connection.is_autocommit() {
            return Err(Error::environment("the engine ended the transaction"));
        }
        if !stands {
            run(connection, STATEMENTS[depth].undo)?;
            // The next event is to get the number that this part gave away.
            if let (Some(outbox), Some(counted)) = (&mut writing.outbox, counted) {
                outbox.reset(counted);
            }
        }
        run(connection, STATEMENTS[depth].release)
    }

    /// How far the relay once got in a partition; `None` without an outbox.
    pub(crate) fn once_relayed(&mut self, partition: Partition) -> Option<Numbered> {
        let (_, outbox) = self.outbox();
        outbox.map(|outbox| outbox.once_relayed(partition))
    }

    /// Compares a partition with what the broker holds of it, which was given `relayed`.
    pub(crate) fn reconcile(
        &mut self,
        published: Numbered,
        relayed: u64,
    ) -> Result<Reconciled, Error> {
        let (connection, outbox) = self.own_outbox();
        outbox.reconcile(connection, published, relayed)
    }

    /// Gives the rows of the outbox after a number other ones, above what the broker has up to `published`.
    pub(crate) fn move_up(&mut self, after: Numbered, published: u64) -> Result<(), Error> {
        let (connection, outbox) = self.own_outbox();
        outbox.move_up(connection, after, published)
    }

    /// Saves how far the relay got.
    pub(crate) fn save_relayed(&mut self) -> Result<(), Error> {
        match self.outbox() {
            (connection, Some(outbox)) => outbox.save(connection),
            (_, None) => Ok(()),
        }
    }
}

fn run(connection: &Connection, statement: &str) -> Result<(), Error> {
    connection.prepare_cached(statement)?.execute([])?;
    Ok(())
}
