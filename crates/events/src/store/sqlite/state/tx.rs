//! What a piece of work can do: rows, events, and parts that are taken back alone.
//!
//! A savepoint per depth, each of a name of its own: taking one back takes back what was begun inside
//! it, too. Transactions are the writer's; here none begins and none ends.

use std::ops::{Deref, DerefMut};

use jiff::Timestamp;
use rusqlite::Connection;

use super::outbox::{Counted, Outbox, Reconciled};
use super::rows::Rows;
use crate::error::Error;
use crate::event::Draft;
use crate::partition::Numbered;
use crate::partition::numbers::Numbers;
use crate::skipped::Skipped;
use crate::store::sqlite::skipped;

/// A piece of work's share of the writer's transaction: what it writes and publishes by this stands or
/// falls together. It is [`Rows`] that can be changed, and an outbox.
///
/// ```
/// use yeoul_events::store::Tx;
/// use yeoul_events::{Cause, Draft, Error};
///
/// /// Takes what it can of a basket, and publishes what was taken.
/// async fn take_all(tx: &mut Tx<'_>, basket: &[(&str, u32)]) -> Result<u32, Error> {
///     let mut taken = 0;
///     for (product, pieces) in basket {
///         let part = tx.savepoint().await?;
///         let outcome = take(tx, product, *pieces).await;
///         // What was refused leaves no row and no event behind; what other parts did is untouched.
///         tx.settle(part, outcome.is_ok()).await?;
///         taken += outcome.map_or(0, |()| *pieces);
///     }
///     Ok(taken)
/// }
///
/// async fn take(tx: &mut Tx<'_>, product: &str, pieces: u32) -> Result<(), Error> {
///     // The event is in the outbox before the stock is looked at; no harm is done by that.
///     tx.publish(Draft::new("Taken", product, 1, &pieces, &Cause::default())).await?;
///     let take = "UPDATE product SET stock = stock - ?2 WHERE name = ?1 AND stock >= ?2";
///     let rows = tx.execute(take, &[&product, &pieces]).await?;
///     if rows == 1 { Ok(()) } else { Err(Error::environment("not enough")) }
/// }
/// ```
pub struct Tx<'t> {
    rows: Rows<'t>,
    outbox: Option<&'t mut Outbox>,
    now: Timestamp,
    base: u64,
    /// Savepoints that are open: each depth has a name of its own, so that taking one back takes
    /// back what was begun inside it, too.
    depth: usize,
}

/// Savepoints within savepoints of one piece of work, its own included.
pub const SAVEPOINTS_DEEP_MAX: usize = 8;

/// Where a transaction can go back to, until it is [settled](Tx::settle).
#[must_use = "what follows it is taken back only where it is settled"]
#[derive(Debug)]
pub struct Savepoint {
    depth: usize,
    counted: Option<Counted>,
}

/// The statements of one depth.
struct Statements {
    set: &'static str,
    undo: &'static str,
    release: &'static str,
}

const STATEMENTS: [Statements; SAVEPOINTS_DEEP_MAX] = [
    Statements { set: "SAVEPOINT a", undo: "ROLLBACK TO a", release: "RELEASE a" },
    Statements { set: "SAVEPOINT b", undo: "ROLLBACK TO b", release: "RELEASE b" },
    Statements { set: "SAVEPOINT c", undo: "ROLLBACK TO c", release: "RELEASE c" },
    Statements { set: "SAVEPOINT d", undo: "ROLLBACK TO d", release: "RELEASE d" },
    Statements { set: "SAVEPOINT e", undo: "ROLLBACK TO e", release: "RELEASE e" },
    Statements { set: "SAVEPOINT f", undo: "ROLLBACK TO f", release: "RELEASE f" },
    Statements { set: "SAVEPOINT g", undo: "ROLLBACK TO g", release: "RELEASE g" },
    Statements { set: "SAVEPOINT h", undo: "ROLLBACK TO h", release: "RELEASE h" },
];

impl<'t> Deref for Tx<'t> {
    type Target = Rows<'t>;

    fn deref(&self) -> &Rows<'t> {
        &self.rows
    }
}

impl<'t> DerefMut for Tx<'t> {
    fn deref_mut(&mut self) -> &mut Rows<'t> {
        &mut self.rows
    }
}

impl<'t> Tx<'t> {
    /// Of the transaction that is open on `connection`; counts that are new begin after `base`.
    pub(super) fn new(
        connection: &'t mut Connection,
        outbox: Option<&'t mut Outbox>,
        now: Timestamp,
        base: u64,
    ) -> Tx<'t> {
        Tx { rows: Rows::new(connection), outbox, now, base, depth: 0 }
    }
}

impl Tx<'_> {
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
    pub async fn publish(&mut self, draft: Draft) -> Result<Numbered, Error> {
        let outbox = self.outbox.as_deref_mut().expect("a database that publishes has an outbox");
        outbox.insert(self.rows.sqlite(), &draft, self.now)
    }

    /// Sets a savepoint: the beginning of a part of the work that can be taken back alone. Parts may have
    /// parts, up to [`SAVEPOINTS_DEEP_MAX`].
    ///
    /// # Errors
    /// [`Error::Environment`]: the store refused; give the whole work up with it. [`Error::Limit`]: too
    /// deep.
    pub async fn savepoint(&mut self) -> Result<Savepoint, Error> {
        self.set_savepoint()
    }

    /// Ends the part that began at a savepoint: what it wrote and published since `stands`, as far as the
    /// whole work does, or is taken back. A savepoint that was set within it and not settled (its part
    /// panicked) ends with it.
    ///
    /// In memory nothing is taken back: what the part changed there is the caller's to mend.
    ///
    /// # Errors
    /// [`Error::Environment`]: the store refused, and nobody knows what stands; give the whole work up
    /// with it.
    pub async fn settle(&mut self, at: Savepoint, stands: bool) -> Result<(), Error> {
        self.end_savepoint(at, stands)
    }

    pub(super) fn set_savepoint(&mut self) -> Result<Savepoint, Error> {
        Error::check("savepoints within savepoints", self.depth + 1, SAVEPOINTS_DEEP_MAX)?;
        self.run(STATEMENTS[self.depth].set)?;
        let counted = self.outbox.as_ref().map(|outbox| outbox.counted());
        let savepoint = Savepoint { depth: self.depth, counted };
        self.depth += 1;
        Ok(savepoint)
    }

    #[expect(clippy::needless_pass_by_value, reason = "a savepoint is settled once")]
    pub(super) fn end_savepoint(&mut self, at: Savepoint, stands: bool) -> Result<(), Error> {
        let Savepoint { depth, counted } = at;
        self.depth = depth;
        // A statement that failed badly enough ends the whole transaction: there is no savepoint left to
        // go back to, and the outer work must not go on as if there were.
        if self.rows.sqlite().is_autocommit() {
            return Err(Error::environment("the engine ended the transaction"));
        }
        if !stands {
            self.run(STATEMENTS[depth].undo)?;
            // The next event is to get the number that this part gave away.
            if let (Some(outbox), Some(counted)) = (&mut self.outbox, counted) {
                outbox.reset(counted);
            }
        }
        self.run(STATEMENTS[depth].release)
    }

    /// Whether every statement is done when its call returns: then whoever is not ready waits for something
    /// else, and would wait for ever.
    pub(crate) fn is_at_once(&self) -> bool {
        true
    }

    fn run(&self, statement: &str) -> Result<(), Error> {
        self.rows.sqlite().prepare_cached(statement)?.execute([])?;
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
    pub(crate) async fn publish_again(&mut self, old: Numbered) -> Result<Numbered, Error> {
        let outbox = self.outbox.as_deref_mut().expect("a database that publishes has an outbox");
        outbox.insert_again(self.rows.sqlite(), old)
    }

    /// Writes down what an operator stepped over.
    pub(crate) async fn note(&mut self, skipped: &Skipped) -> Result<(), Error> {
        skipped::note(self.rows.sqlite(), skipped)
    }

    /// Compares a partition of the outbox, if there is one, with what the broker holds of it.
    pub(super) fn reconcile(&mut self, published: Numbered) -> Result<Reconciled, Error> {
        match self.outbox.as_deref_mut() {
            Some(outbox) => outbox.reconcile(self.rows.sqlite(), published),
            None => Ok(Reconciled::default()),
        }
    }

    /// Saves how far the relay got.
    pub(super) fn save_relayed(&mut self) -> Result<(), Error> {
        match self.outbox.as_deref_mut() {
            Some(outbox) => outbox.save(self.rows.sqlite()),
            None => Ok(()),
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
