//! A service's own SQLite file: one writer that groups commits, readers beside it, the outbox in it.
//!
//! All writes go through one thread. What arrives while a sync runs is carried by the next
//! transaction, each piece of work in its own savepoint, so that sixty-four callers share one sync
//! and a refusal rolls back alone; no timer is involved. Reads run on the caller's thread: an
//! indexed read is shorter than a hop to another thread.
//!
//! This module and its children are the only place of this crate that names the engine. It does not
//! decide what an event means: [`Relay`](crate::relay::Relay) and
//! [`Subscription`](crate::subscription::Subscription) do.

mod connection;
pub mod cut;
mod gaps;
mod group;
pub(crate) mod inbox;
pub(crate) mod log;
mod outbox;
pub(crate) mod parked;
mod readers;
pub mod skipped;
pub(crate) mod stepped;
mod thread;
pub mod upkeep;
mod work;
mod writer;

#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeMap;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use jiff::Timestamp;
use rusqlite::Connection;
use tokio::sync::{oneshot, watch};

use crate::Clock;
use crate::broker::Topic;
use crate::error::Error;
use crate::event::{Draft, Event};
use crate::marks::Publisher;
use crate::position::WritePosition;
use crate::relay::status::Status;

pub(crate) use outbox::Reconciled;
pub use outbox::{DATA_BYTES_MAX, OUTBOX_KEPT, OUTBOX_WAITING_MAX, WAITING_BYTES_MAX};
pub use readers::READERS_MAX;
pub(crate) use work::panic_message;
pub use writer::{GROUP_MAX, WRITE_QUEUE_MAX};

/// What a database is opened with.
pub struct Options {
    /// The file; its folder must exist.
    pub path: PathBuf,
    /// Migrations in order, each applied once, in a transaction of its own. Only ever append.
    pub schema: &'static [&'static str],
    /// Whose outbox this database has, if it publishes.
    pub publishes: Option<Publishes>,
    /// What time it is.
    pub clock: Clock,
}

/// Whose outbox a database has, and where it goes.
#[derive(Clone, Debug)]
pub struct Publishes {
    /// The CloudEvents `source` of its events.
    pub source: String,
    /// The topic they are relayed to.
    pub topic: Topic,
}

/// A handle on the file; clones share it. The last one to go finishes what is queued.
#[derive(Clone)]
pub struct Database {
    shared: Arc<writer::Shared>,
}

/// What a piece of work has in hand: the writer's transaction.
pub struct Write<'t> {
    connection: &'t Connection,
    outbox: Option<&'t mut outbox::Outbox>,
    now: Timestamp,
    /// Savepoints that are open: each depth has a name of its own, so that taking one back takes
    /// back what was begun inside it, too.
    depth: usize,
}

/// Parts within parts of one piece of work, the work itself included.
pub const PARTS_DEEP_MAX: usize = 8;

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

impl Database {
    /// Opens the file, creates or migrates it, and starts its writer. Blocks for the disk.
    ///
    /// # Errors
    /// [`Error::Environment`]: cure the disk and open again. [`Error::Damaged`]: the file is hurt or
    /// not a database. [`Error::Statement`]: a migration is wrong, or the file is of a newer
    /// program.
    #[expect(clippy::needless_pass_by_value, reason = "options are spent on one database")]
    pub fn open(options: Options) -> Result<Database, Error> {
        writer::open(&options, true).map(|shared| Database { shared })
    }

    /// Opens a file to mend it, whatever its own tables are: no migration is looked at.
    ///
    /// # Errors
    /// As for [`Database::open`], but for migrations.
    #[expect(clippy::needless_pass_by_value, reason = "options are spent on one database")]
    pub fn open_as_it_is(options: Options) -> Result<Database, Error> {
        writer::open(&options, false).map(|shared| Database { shared })
    }

    /// Runs `work` in the writer's transaction, inside its own savepoint; resolves after the sync.
    /// An `Err` rolls back this work alone.
    ///
    /// The work is queued by the call itself, in call order; dropping the future does not take it
    /// back.
    ///
    /// # Errors
    /// The work's own; or [`Error::Environment`] (also when [`WRITE_QUEUE_MAX`] is reached): nothing
    /// was done, try later; [`Error::Panicked`]; [`Error::Closed`].
    pub fn write<T, E>(
        &self,
        work: impl FnOnce(&mut Write<'_>) -> Result<T, E> + Send + 'static,
    ) -> impl Future<Output = Result<T, E>> + Send + 'static
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let queued = self.shared.queue(work::boxed(work, reply));
        async move {
            queued.map_err(E::from)?;
            answer.await.unwrap_or_else(|_| Err(E::from(Error::Closed)))
        }
    }

    /// A bounded read on the caller's thread, of one snapshot, through a small pool of read-only
    /// connections.
    ///
    /// # Errors
    /// The work's own; or [`Error::Environment`]: read again later.
    pub fn read<T, E: From<Error>>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        self.shared.readers.read(work)
    }

    /// Follows the highest outbox sequence on disk.
    pub fn committed(&self) -> watch::Receiver<u64> {
        self.shared.committed.clone()
    }

    /// The position of the newest committed outbox row; sequence 0 before the first, `None` for a
    /// database that publishes nothing.
    pub fn position(&self) -> Option<WritePosition> {
        let source = self.shared.publishes.as_ref()?.source.clone();
        Some(WritePosition::new(source, *self.shared.committed.borrow()))
    }

    /// Finishes what is queued, folds the write-ahead file in and stops the writer. Later writes
    /// are [`Error::Closed`].
    pub fn close(&self) -> impl Future<Output = ()> + use<> {
        let shared = Arc::clone(&self.shared);
        async move { shared.close().await }
    }

    /// Up to `limit` events of the outbox after `after`, and no more than [`WAITING_BYTES_MAX`] of
    /// data unless it is one; committed ones only, and none that the relay steps over.
    ///
    /// # Errors
    /// [`Error::Damaged`] when the very next row is hurt (sound ones before it are returned first);
    /// [`Error::Environment`]: read again later.
    pub(crate) fn waiting(&self, after: u64, limit: usize) -> Result<Vec<Event>, Error> {
        let Some(origin) = self.origin() else { return Ok(Vec::new()) };
        self.read(|sql| outbox::waiting(sql, origin, after, limit))
    }

    /// As [`waiting`](Self::waiting), up to the first number that is lost; the damage, if that is the
    /// very next.
    pub(crate) fn waiting_whole(&self, after: u64, limit: usize) -> Result<Vec<Event>, Error> {
        let events = self.waiting(after, limit)?;
        let Some(origin) = self.origin() else { return Ok(events) };
        self.read(|sql| gaps::whole(sql, origin, after, events))
    }

    /// Compares the outbox with the highest sequence the broker holds of it.
    pub(crate) fn reconcile(
        &self,
        published: u64,
    ) -> impl Future<Output = Result<Reconciled, Error>> + Send + 'static {
        let compared = self.write(move |write| match write.outbox.as_deref_mut() {
            Some(outbox) => outbox.reconcile(write.connection, published),
            None => Ok(Reconciled::default()),
        });
        let shared = Arc::clone(&self.shared);
        async move {
            let found = compared.await?;
            // Only now: a comparison that was not committed has to find the same again.
            shared.relayed.store(published, Ordering::Release);
            Ok(found)
        }
    }

    /// Whose rows the outbox's are, and what their ids begin with.
    pub(crate) fn origin(&self) -> Option<outbox::row::Origin<'_>> {
        let publishes = self.shared.publishes.as_ref()?;
        Some(outbox::row::Origin { source: &publishes.source, epoch: &self.shared.epoch })
    }

    /// Events of the outbox after `relayed`, as its numbers tell.
    pub(crate) fn lag(&self, relayed: u64) -> u64 {
        self.shared.jump.between(relayed, *self.shared.committed.borrow())
    }

    /// How the outbox stands, for a comparison with a log that holds up to `published` of it.
    pub(crate) fn publisher(&self, published: u64) -> Result<Option<Publisher>, Error> {
        let Some(origin) = self.origin() else { return Ok(None) };
        let relayed = self.shared.relayed.load(Ordering::Acquire);
        let newest = *self.shared.committed.borrow();
        self.read(|sql| {
            Ok(Some(Publisher {
                source: origin.source.to_owned(),
                newest,
                oldest: outbox::oldest(sql)?,
                relayed: stepped::newest_published(sql, relayed)?,
                published,
            }))
        })
    }

    /// What the relay of this outbox tells of itself.
    pub(crate) fn relay_status(&self) -> &watch::Sender<Status> {
        &self.shared.relay_status
    }

    /// What time it is, by the clock it was opened with.
    pub(crate) fn now(&self) -> Timestamp {
        (self.shared.clock)()
    }

    /// Notes how far the relay got; saved with one of the next transactions.
    pub(crate) fn relayed(&self, sequence: u64) {
        self.shared.relayed.store(sequence, Ordering::Release);
    }

    /// Saves how far the relay got, now.
    pub(crate) fn save_relayed(&self) -> impl Future<Output = Result<(), Error>> + Send + 'static {
        self.write(|write| match write.outbox.as_deref_mut() {
            Some(outbox) => outbox.save(write.connection),
            None => Ok(()),
        })
    }

    /// Per source, up to which outbox sequence `subscription` received events into this file.
    ///
    /// # Errors
    /// [`Error::Environment`]: read again later.
    pub fn received(&self, subscription: &str) -> Result<BTreeMap<String, u64>, Error> {
        self.read(|sql| inbox::marks(sql, subscription))
    }

    /// Whose outbox this is.
    pub fn publishes(&self) -> Option<&Publishes> {
        self.shared.publishes.as_ref()
    }
}

impl Write<'_> {
    /// The transaction's connection. Leave transactions and savepoints to the writer.
    pub fn sql(&self) -> &Connection {
        self.connection
    }

    /// Puts an event into the outbox; it is published if and only if this work commits.
    ///
    /// # Errors
    /// [`Error::Limit`]: the event is too large. [`Error::Environment`]: the store refused, or
    /// [`OUTBOX_WAITING_MAX`] events wait for the broker.
    ///
    /// # Panics
    /// If the database was opened without [`Options::publishes`]: a mistake of the program.
    #[expect(clippy::needless_pass_by_value, reason = "a draft is spent on one event")]
    pub fn publish(&mut self, draft: Draft) -> Result<u64, Error> {
        let outbox = self.outbox.as_deref_mut().expect("a database that publishes has an outbox");
        outbox.insert(self.connection, &draft, self.now)
    }

    /// Runs a part of the work in a savepoint of its own: an `Err` or a panic of it takes back its
    /// rows and its events, and nothing else. Parts may have parts, up to [`PARTS_DEEP_MAX`].
    ///
    /// # Errors
    /// The outer one, [`Error::Environment`]: the store refused; give the whole work up with it.
    /// [`Error::Limit`]: parts within parts too deep; the part did not run.
    ///
    /// # Panics
    /// With the part's own panic, once its rows are taken back.
    pub fn attempt<T, E>(
        &mut self,
        part: impl FnOnce(&mut Write<'_>) -> Result<T, E>,
    ) -> Result<Result<T, E>, Error> {
        Error::check("parts within parts", self.depth + 1, PARTS_DEEP_MAX)?;
        let savepoint = &SAVEPOINTS[self.depth];
        let before = self.outbox.as_ref().map(|outbox| outbox.mark());
        self.run(savepoint.set)?;
        self.depth += 1;
        let outcome = catch_unwind(AssertUnwindSafe(|| part(self)));
        self.depth -= 1;
        if self.connection.is_autocommit() {
            return Err(Error::environment("the engine ended the transaction"));
        }
        if !matches!(outcome, Ok(Ok(_))) {
            self.run(savepoint.undo)?;
            if let (Some(outbox), Some(before)) = (&mut self.outbox, before) {
                outbox.reset(before);
            }
        }
        self.run(savepoint.release)?;
        outcome.map_or_else(|panic| resume_unwind(panic), Ok)
    }

    fn run(&self, statement: &str) -> Result<(), Error> {
        self.connection.prepare_cached(statement)?.execute([])?;
        Ok(())
    }

    /// The time of this transaction.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Puts an event into the outbox again under a new number, from the row of an old one.
    pub(crate) fn publish_again(&mut self, sequence: u64) -> Result<u64, Error> {
        let outbox = self.outbox.as_deref_mut().expect("a database that publishes has an outbox");
        outbox.insert_again(self.connection, sequence)
    }

    /// The newest outbox sequence, this work's own included; 0 if there is none.
    pub fn last_sequence(&self) -> u64 {
        self.outbox.as_ref().map_or(0, |outbox| outbox.last())
    }
}
