//! What a piece of work can do: rows, events, and parts that are taken back alone.
//!
//! Transactions are the engine's; here none begins and none ends.

use std::collections::HashSet;
use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;

use jiff::Timestamp;

use crate::error::Error;
use crate::event::Draft;
use crate::event::id::EventId;
use crate::offer::Drafted;
use crate::partition::{Numbered, Partition};
use crate::skipped::Skipped;
use crate::store::bounds::{self, Reconciled};
use crate::store::notes;
use crate::store::origin::Origin;
use crate::store::outbox;
use crate::store::published::Published;
use crate::store::rows::{Engine, Rows};
use crate::store::{EmbeddedRows, EmbeddedSavepoint, PARTS_MAX, ServedRows, ServedSavepoint};

/// A piece of work under way, in a shape that every engine can hold: `Box::pin` of it.
///
/// It waits for its own statements and for nothing else: it stands in a transaction that others wait for. One that
/// waits for more is refused ([`Error::Panicked`]), at once where the engine is a file, and else when its time is over.
pub type Working<'a, T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'a>>;

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
    now: Timestamp,
    base: u64,
}

/// Where a transaction can go back to, until it is [settled](Tx::settle).
///
/// Dropped without that, nothing is taken back: what was done since is part of what is around it, and ends as that
/// does.
#[must_use = "what follows it is taken back only where it is settled"]
#[derive(Debug)]
pub struct Savepoint(EngineSavepoint);

#[derive(Debug)]
enum EngineSavepoint {
    Embedded(EmbeddedSavepoint),
    Served(ServedSavepoint),
}

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
    /// Of a piece of work in the embedded engine's transaction; counts that are new begin after `base`.
    pub(super) fn embedded(rows: EmbeddedRows<'t>, now: Timestamp, base: u64) -> Tx<'t> {
        Tx { rows: Rows::embedded(rows), now, base }
    }

    /// The rows again, when the work is over.
    pub(super) fn into_embedded(self) -> EmbeddedRows<'t> {
        match self.rows.0 {
            Engine::Embedded(rows) => rows,
            Engine::Served(_) => unreachable!("work of one engine"),
        }
    }

    /// Of a piece of work in a server's transaction; what a count begins with there is nobody's to have left out.
    pub(super) fn served(rows: ServedRows<'t>, now: Timestamp) -> Tx<'t> {
        Tx { rows: Rows::served(rows), now, base: 0 }
    }

    /// The rows again, when the work is over.
    pub(super) fn into_served(self) -> ServedRows<'t> {
        match self.rows.0 {
            Engine::Served(rows) => rows,
            Engine::Embedded(_) => unreachable!("work of one engine"),
        }
    }
}

impl<'t> Tx<'t> {
    /// The rows of an engine on a server.
    pub(super) fn as_served(&mut self) -> Option<&mut ServedRows<'t>> {
        match &mut self.rows.0 {
            Engine::Embedded(_) => None,
            Engine::Served(rows) => Some(rows),
        }
    }
}

impl Tx<'_> {
    /// Puts an event into the outbox; it is published if and only if this work commits. Once it
    /// has, what is returned knows its number, which counts its partition's commits in their order: with it a
    /// [`WritePosition`](crate::position::WritePosition) is known before anything was relayed.
    ///
    /// # Errors
    /// [`Error::Limit`]: the event is too large. [`Error::Environment`]: the store refused, or
    /// [`OUTBOX_WAITING_MAX`](crate::store::OUTBOX_WAITING_MAX) events wait for the broker.
    ///
    /// # Panics
    /// If the database was opened without [`Options::publishes`](crate::store::Options::publishes): a mistake of the
    /// program.
    pub async fn publish(&mut self, draft: Draft) -> Result<Published, Error> {
        // Before a number is taken: one that is too large must leave no gap.
        bounds::check(&draft)?;
        match &mut self.rows.0 {
            Engine::Embedded(rows) => rows.publish(&draft, self.now),
            Engine::Served(rows) => Box::pin(rows.publish(draft, self.now)).await,
        }
    }

    /// Sets a savepoint: the beginning of a part of the work that can be taken back alone. Parts may have
    /// parts, up to [`SAVEPOINTS_DEEP_MAX`](crate::store::SAVEPOINTS_DEEP_MAX). On a server 60 of a transaction may
    /// stand, those that events are handled in included; where a handler needs more than are left, its batch ends
    /// before it.
    ///
    /// # Errors
    /// [`Error::Environment`]: the store refused; give the whole work up with it. [`Error::Limit`]: too
    /// deep, or too many.
    pub async fn savepoint(&mut self) -> Result<Savepoint, Error> {
        match &mut self.rows.0 {
            Engine::Embedded(rows) => {
                Ok(Savepoint(EngineSavepoint::Embedded(rows.set_savepoint()?)))
            }
            Engine::Served(rows) => {
                Ok(Savepoint(EngineSavepoint::Served(Box::pin(rows.set_savepoint()).await?)))
            }
        }
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
        match (&mut self.rows.0, at.0) {
            (Engine::Embedded(rows), EngineSavepoint::Embedded(at)) => {
                rows.end_savepoint(at, stands)
            }
            (Engine::Served(rows), EngineSavepoint::Served(at)) => {
                Box::pin(rows.end_savepoint(at, stands)).await
            }
            _ => unreachable!("a savepoint of this transaction"),
        }
    }

    /// Whether every statement is done when its call returns: then whoever is not ready waits for something
    /// else, and would wait for ever.
    pub(crate) fn is_at_once(&self) -> bool {
        matches!(self.rows.0, Engine::Embedded(_))
    }

    /// A statement that failed and that nothing has taken back, where one ends all that is around it.
    pub(crate) fn failure(&self) -> Option<&Error> {
        match &self.rows.0 {
            Engine::Embedded(_) => None,
            Engine::Served(rows) => rows.failure(),
        }
    }

    /// Savepoints whose parts stand or are under way.
    pub(crate) fn parts(&self) -> usize {
        match &self.rows.0 {
            Engine::Embedded(_) => 0,
            Engine::Served(rows) => rows.kept,
        }
    }

    /// Whether a savepoint was refused since this was asked last, because so many stand.
    pub(crate) fn was_out_of_parts(&mut self) -> bool {
        match &mut self.rows.0 {
            Engine::Embedded(_) => false,
            Engine::Served(rows) => std::mem::take(&mut rows.out_of_parts),
        }
    }

    /// Savepoints that this transaction takes side by side at most.
    pub(crate) fn parts_max(&self) -> usize {
        match self.rows.0 {
            Engine::Embedded(_) => usize::MAX,
            Engine::Served(_) => PARTS_MAX,
        }
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

    /// Publishes what [`remember`](Self::remember) takes back where somebody remembered it before, and else finds room for.
    pub(crate) async fn publish_to_remember(&mut self, draft: Draft) -> Result<Published, Error> {
        bounds::check(&draft)?;
        match &mut self.rows.0 {
            Engine::Embedded(_) => unreachable!("one writer looks before"),
            Engine::Served(rows) => Box::pin(rows.publish_to_remember(draft, self.now)).await,
        }
    }

    /// Remembers events that this work has drafted, and takes the others' drafts back; the ids of those that nobody remembered
    /// before. Where many write at once: who has one writer looks before he publishes.
    pub(crate) async fn remember(
        &mut self,
        drafted: &[Drafted<'_>],
    ) -> Result<HashSet<EventId>, Error> {
        match &mut self.rows.0 {
            Engine::Embedded(_) => unreachable!("one writer looks before"),
            Engine::Served(rows) => Box::pin(rows.remember(drafted, self.now)).await,
        }
    }

    /// Waits until nobody else is about to number events of this partition, and has others wait until this work is over:
    /// what its statements see from here on of what was published there is all there is. Whoever has one writer has that.
    pub(crate) async fn lock_partition(&mut self, partition: Partition) -> Result<(), Error> {
        match &mut self.rows.0 {
            Engine::Embedded(_) => Ok(()),
            Engine::Served(rows) => Box::pin(rows.lock_partition(partition)).await,
        }
    }

    /// Puts an event into the outbox again under a new number, from the row of an old one.
    pub(crate) async fn publish_again(&mut self, old: Numbered) -> Result<(), Error> {
        if let Engine::Embedded(rows) = &mut self.rows.0 {
            return rows.publish_again(old, self.now);
        }
        let takes_whole = matches!(&self.rows.0, Engine::Served(rows) if rows.takes_whole());
        let origin = Origin { source: "", file_id: "", takes_whole };
        let event = outbox::find(&mut self.rows, origin, old).await?;
        match &mut self.rows.0 {
            Engine::Served(rows) if let Some(event) = event => {
                Box::pin(rows.publish_again(event, self.now)).await
            }
            _ => Ok(()),
        }
    }

    /// Writes down what an operator stepped over.
    pub(crate) async fn note(&mut self, skipped: &Skipped) -> Result<(), Error> {
        notes::note(self, skipped).await
    }

    /// Compares a partition of the outbox, if there is one, with what the broker holds of it.
    pub(super) async fn reconcile(&mut self, published: Numbered) -> Result<Reconciled, Error> {
        let once = match &mut self.rows.0 {
            Engine::Embedded(rows) => rows.once_relayed(published.partition),
            Engine::Served(rows) => rows.once_relayed(published.partition),
        };
        let Some(once) = once else { return Ok(Reconciled::default()) };
        let relayed = outbox::newest_published(self, once).await?;
        if let Engine::Embedded(rows) = &mut self.rows.0 {
            return rows.reconcile(published, relayed);
        }
        let oldest = outbox::oldest(self, published.partition).await?;
        match &mut self.rows.0 {
            Engine::Embedded(_) => Ok(Reconciled::default()),
            Engine::Served(rows) => Box::pin(rows.reconcile(published, relayed, oldest)).await,
        }
    }

    /// Gives the rows of the outbox after a number other ones, above what the broker has up to `published`.
    pub(super) async fn move_up(&mut self, after: Numbered, published: u64) -> Result<(), Error> {
        self.lock_partition(after.partition).await?;
        match &mut self.rows.0 {
            Engine::Embedded(rows) => rows.move_up(after, published),
            Engine::Served(rows) => Box::pin(rows.move_up(after, published)).await,
        }
    }

    /// Saves how far the relay got, where the writer of a file does that.
    pub(super) async fn save_relayed(&mut self) -> Result<(), Error> {
        match &mut self.rows.0 {
            Engine::Embedded(rows) => rows.save_relayed(),
            Engine::Served(_) => Ok(()),
        }
    }
}
