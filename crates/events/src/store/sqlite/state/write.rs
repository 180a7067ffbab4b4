//! What a piece of work can do: rows, events, and parts that are taken back alone.
//!
//! A savepoint per depth, each of a name of its own: taking one back takes back what was begun inside
//! it, too. Transactions are the writer's; here none begins and none ends.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use jiff::Timestamp;
use rusqlite::Connection;

use super::outbox::{Outbox, Reconciled};
use crate::error::Error;
use crate::event::Draft;
use crate::partition::Numbered;
use crate::partition::Numbers;

/// A piece of work's share of the writer's transaction: what it writes and publishes by this stands or
/// falls together.
///
/// ```
/// use yeoul_events::store::{Part, Write};
/// use yeoul_events::{Cause, Draft, Error};
///
/// /// Takes what it can of a basket, and publishes what was taken.
/// fn take(write: &mut Write<'_>, basket: &[(&str, u32)]) -> Result<u32, Error> {
///     let mut taken = 0;
///     for (product, pieces) in basket {
///         let part = write.attempt(|write| {
///             // The event is in the outbox before the stock is looked at; no harm is done by that.
///             write.publish(Draft::new("Taken", product, 1, pieces, &Cause::default()))?;
///             let take = "UPDATE product SET stock = stock - ?2 WHERE name = ?1 AND stock >= ?2";
///             let rows = write.sql().execute(take, (product, pieces))?;
///             if rows == 1 { Ok(()) } else { Err(Error::environment("not enough")) }
///         })?;
///         match part {
///             Part::Stands(()) => taken += pieces,
///             // Its event went with it, and what other parts did is untouched.
///             Part::TakenBack(_) => {}
///         }
///     }
///     Ok(taken)
/// }
/// ```
pub struct Write<'t> {
    connection: &'t Connection,
    outbox: Option<&'t mut Outbox>,
    now: Timestamp,
    base: u64,
    /// Savepoints that are open: each depth has a name of its own, so that taking one back takes
    /// back what was begun inside it, too.
    depth: usize,
}

/// Parts within parts of one piece of work, the work itself included.
pub const PARTS_DEEP_MAX: usize = 8;

/// What became of a part of the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a part that was taken back is no error of the whole by itself"]
pub enum Part<T, E> {
    /// Its rows and events stand, as far as the whole work does.
    Stands(T),
    /// It refused: its rows and events are taken back.
    TakenBack(E),
}

/// The statements of one depth.
struct Savepoint {
    set: &'static str,
    undo: &'static str,
    release: &'static str,
}

const SAVEPOINTS: [Savepoint; PARTS_DEEP_MAX] = [
    Savepoint { set: "SAVEPOINT a", undo: "ROLLBACK TO a", release: "RELEASE a" },
    Savepoint { set: "SAVEPOINT b", undo: "ROLLBACK TO b", release: "RELEASE b" },
    Savepoint { set: "SAVEPOINT c", undo: "ROLLBACK TO c", release: "RELEASE c" },
    Savepoint { set: "SAVEPOINT d", undo: "ROLLBACK TO d", release: "RELEASE d" },
    Savepoint { set: "SAVEPOINT e", undo: "ROLLBACK TO e", release: "RELEASE e" },
    Savepoint { set: "SAVEPOINT f", undo: "ROLLBACK TO f", release: "RELEASE f" },
    Savepoint { set: "SAVEPOINT g", undo: "ROLLBACK TO g", release: "RELEASE g" },
    Savepoint { set: "SAVEPOINT h", undo: "ROLLBACK TO h", release: "RELEASE h" },
];

impl<T, E> Part<T, E> {
    /// For work that stands or falls with its part: `write.attempt(part)?.into_result()?`.
    ///
    /// # Errors
    /// The part's refusal.
    pub fn into_result(self) -> Result<T, E> {
        match self {
            Part::Stands(answer) => Ok(answer),
            Part::TakenBack(refusal) => Err(refusal),
        }
    }
}

impl<'t> Write<'t> {
    /// Of the transaction that is open on `connection`; counts that are new begin after `base`.
    pub(super) fn new(
        connection: &'t Connection,
        outbox: Option<&'t mut Outbox>,
        now: Timestamp,
        base: u64,
    ) -> Write<'t> {
        Write { connection, outbox, now, base, depth: 0 }
    }
}

impl Write<'_> {
    /// The transaction's connection: statements, prepared ones best. Leave transactions and savepoints to
    /// the writer; work that ends the transaction fails its whole group.
    pub fn sql(&self) -> &Connection {
        self.connection
    }

    /// Puts an event into the outbox; it is published if and only if this work commits. Returns its
    /// number, which counts its partition's commits from 1 in their order: with it a
    /// [`WritePosition`](crate::position::WritePosition) is known before anything was relayed.
    ///
    /// # Errors
    /// [`Error::Limit`]: the event is too large. [`Error::Environment`]: the store refused, or
    /// [`OUTBOX_WAITING_MAX`](crate::store::OUTBOX_WAITING_MAX) events wait for the broker.
    ///
    /// # Panics
    /// If the database was opened without [`Options::publishes`](crate::store::Options::publishes): a mistake of the program.
    #[expect(clippy::needless_pass_by_value, reason = "a draft is spent on one event")]
    pub fn publish(&mut self, draft: Draft) -> Result<Numbered, Error> {
        let outbox = self.outbox.as_deref_mut().expect("a database that publishes has an outbox");
        outbox.insert(self.connection, &draft, self.now)
    }

    /// Runs a part of the work in a savepoint of its own: an `Err` or a panic of it takes back its
    /// rows and its events, and nothing else. Parts may have parts, up to [`PARTS_DEEP_MAX`].
    ///
    /// In memory nothing is taken back: what the part changed there is the caller's to mend.
    ///
    /// # Errors
    /// [`Error::Environment`]: the store refused, and nobody knows what stands; give the whole work up
    /// with it. [`Error::Limit`]: parts within parts too deep; the part did not run. A refusal of the
    /// part itself is no error but [`Part::TakenBack`].
    ///
    /// # Panics
    /// With the part's own panic, once its rows are taken back.
    pub fn attempt<T, E>(
        &mut self,
        part: impl FnOnce(&mut Write<'_>) -> Result<T, E>,
    ) -> Result<Part<T, E>, Error> {
        Error::check("parts within parts", self.depth + 1, PARTS_DEEP_MAX)?;
        let savepoint = &SAVEPOINTS[self.depth];
        let before = self.outbox.as_ref().map(|outbox| outbox.counted());
        self.run(savepoint.set)?;
        self.depth += 1;
        let outcome = catch_unwind(AssertUnwindSafe(|| part(self)));
        self.depth -= 1;
        // A statement that failed badly enough ends the whole transaction: there is no savepoint left to
        // go back to, and the outer work must not go on as if there were.
        if self.connection.is_autocommit() {
            return Err(Error::environment("the engine ended the transaction"));
        }
        if !matches!(outcome, Ok(Ok(_))) {
            self.run(savepoint.undo)?;
            // The next event is to get the number that this part gave away.
            if let (Some(outbox), Some(before)) = (&mut self.outbox, before) {
                outbox.reset(before);
            }
        }
        self.run(savepoint.release)?;
        match outcome {
            Ok(Ok(answer)) => Ok(Part::Stands(answer)),
            Ok(Err(refusal)) => Ok(Part::TakenBack(refusal)),
            Err(panic) => resume_unwind(panic),
        }
    }

    fn run(&self, statement: &str) -> Result<(), Error> {
        self.connection.prepare_cached(statement)?.execute([])?;
        Ok(())
    }

    /// The time of this transaction: the same for all work of a group, and what its events say.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// What a count begins with that is new in this file: an aggregate's events, a row's versions. It is
    /// 1, or past what restores have left out; those that go on are named in the schema
    /// ([`COUNTED`](crate::store::COUNTED)).
    pub fn first_count(&self) -> u64 {
        self.base + 1
    }

    /// Puts an event into the outbox again under a new number, from the row of an old one.
    pub(crate) fn publish_again(&mut self, old: Numbered) -> Result<Numbered, Error> {
        let outbox = self.outbox.as_deref_mut().expect("a database that publishes has an outbox");
        outbox.insert_again(self.connection, old)
    }

    /// Compares a partition of the outbox, if there is one, with what the broker holds of it.
    pub(super) fn reconcile(&mut self, published: Numbered) -> Result<Reconciled, Error> {
        match self.outbox.as_deref_mut() {
            Some(outbox) => outbox.reconcile(self.connection, published),
            None => Ok(Reconciled::default()),
        }
    }

    /// The newest outbox sequence in the partition of this key, this work's own included; 0 if there is
    /// none.
    pub fn last_sequence(&self, key: &str) -> Numbered {
        self.outbox.as_ref().map_or_else(Numbered::default, |outbox| outbox.last_for(key))
    }

    /// The newest outbox sequence of every partition, this work's own included.
    pub fn last_sequences(&self) -> Numbers {
        self.outbox.iter().flat_map(|outbox| outbox.last()).collect()
    }
}

/// Saves how far the relay got.
pub(super) fn save_relayed(write: &mut Write<'_>) -> Result<(), Error> {
    match write.outbox.as_deref_mut() {
        Some(outbox) => outbox.save(write.connection),
        None => Ok(()),
    }
}
