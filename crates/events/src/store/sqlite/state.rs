//! A service's own file: one writer that groups commits, readers beside it, the outbox in it.
//!
//! All writes go through one thread. What arrives while a sync runs is carried by the next
//! transaction, each piece of work in its own savepoint, so that sixty-four callers share one sync
//! and a refusal rolls back alone; no timer is involved. Reads run on the caller's thread: an
//! indexed read is shorter than a hop to another thread.
//!
//! | | [`Database::write`] | [`Database::read`] |
//! |---|---|---|
//! | runs on | the file's one writing thread | the caller's thread |
//! | sees | all that is committed, and what its own transaction wrote before it | one moment |
//! | resolves | after the sync of its group | at once |
//! | at most | [`WRITE_QUEUE_MAX`] wait, [`GROUP_MAX`] share a transaction | [`READERS_MAX`](crate::store::READERS_MAX) at a time |
//! | past it | [`Error::Environment`]: nothing was done | waits its turn |
//!
//! It does not decide what an event means: [`Relay`](crate::relay::Relay) and
//! [`Subscription`](crate::subscription::Subscription) do.

pub(super) mod gaps;
pub(super) mod outbox;
mod rows;
pub(crate) mod stepped;
mod tables;
mod tx;
mod work;
mod writer;

#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeMap;
use std::future::Future;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use jiff::Timestamp;
use rusqlite::Connection;
use tokio::sync::{oneshot, watch};

use crate::Clock;
use crate::broker::Topic;
use crate::error::Error;
use crate::event::Event;
use crate::marks::Publisher;
use crate::partition::numbers::Numbers;
use crate::partition::{Numbered, Partition, Partitions};
use crate::position::WritePosition;
use crate::relay_status::Status;
use crate::store::inbox;

pub(crate) use outbox::Reconciled;
pub use outbox::{DATA_BYTES_MAX, OUTBOX_KEPT, OUTBOX_WAITING_MAX, WAITING_BYTES_MAX};
pub use rows::{At, Row, Rows};
pub use tx::{SAVEPOINTS_DEEP_MAX, Savepoint, Tx};
pub use work::Working;
pub use writer::{GROUP_MAX, WRITE_QUEUE_MAX};

/// What a database is opened with.
///
/// Tables of the crate's own (outbox, inbox, parked events, notes) are made beside those of `schema`; a
/// service leaves them alone, and names none of its own `outbox`, `inbox`, `parked` or `skipped`.
pub struct Options {
    /// The file; its folder must exist.
    pub path: PathBuf,
    /// Migrations in order, each applied once, in a transaction of its own. Only ever append: what was
    /// applied is known by its number, not by its text.
    pub schema: &'static [&'static str],
    /// Whose outbox this database has, if it publishes.
    pub publishes: Option<Publishes>,
    /// What time it is: of events, of notes, of what is due.
    pub clock: Clock,
}

/// Whose outbox a database has, and where it goes. Both are for life: readers know events by their
/// source, and a place in one topic means nothing in another.
#[derive(Clone, Debug)]
pub struct Publishes {
    /// The CloudEvents `source` of its events; at most [`KEY_BYTES_MAX`](crate::event::KEY_BYTES_MAX)
    /// bytes.
    pub source: String,
    /// The topic they are relayed to.
    pub topic: Topic,
    /// How many partitions that has: what an event is numbered in is where it is published.
    pub partitions: Partitions,
}

/// Numbers of a partition of an outbox that were never given to anything that is here.
///
/// A restore leaves them out, because writes that are gone may have been acknowledged with them. A client
/// may still have one of them in a position: waiting for it would never end, and what was there before the
/// first of them is what there is of that write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// The partition.
    pub partition: Partition,
    /// The numbers.
    pub numbers: RangeInclusive<u64>,
}

/// A handle on the file; clones share it. The last one to go finishes what is queued.
///
/// ```
/// # use std::sync::Arc;
/// use yeoul_events::store::{Database, Options, Rows};
/// use yeoul_events::{Clock, Error};
///
/// const SCHEMA: &[&str] = &[
///     "CREATE TABLE product (id INTEGER PRIMARY KEY, stock INTEGER NOT NULL) STRICT",
///     // Came later; the first stays as it was, for files that have it already.
///     "ALTER TABLE product ADD COLUMN name TEXT NOT NULL DEFAULT ''",
/// ];
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Error> {
/// # let folder = tempfile::tempdir().expect("a folder");
/// # let path = folder.path().join("product.db");
/// # let clock: Clock = Arc::new(|| jiff::Timestamp::UNIX_EPOCH);
/// let product = Database::open(Options { path, schema: SCHEMA, publishes: None, clock })?;
///
/// async fn insert(rows: &mut Rows<'_>, name: &str, stock: u32) -> Result<u64, Error> {
///     let insert = "INSERT INTO product (name, stock) VALUES (?1, ?2) RETURNING id";
///     rows.one(insert, &[&name, &stock], |row| row.get(0)).await
/// }
///
/// async fn stock(rows: &mut Rows<'_>, id: u64) -> Result<Option<u32>, Error> {
///     rows.find("SELECT stock FROM product WHERE id = ?1", &[&id], |row| row.get(0)).await
/// }
///
/// // Resolves once it is on disk.
/// let id = product.write("tv", |name, tx| Box::pin(insert(tx, name, 10))).await?;
/// assert_eq!(product.read(&id, |&id, rows| Box::pin(stock(rows, id))).await?, Some(10));
///
/// product.close().await;
/// let late = product.write("radio", |name, tx| Box::pin(insert(tx, name, 10)));
/// assert!(matches!(late.await, Err(Error::Closed)));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Database {
    file: Arc<writer::File>,
}

impl Database {
    /// Opens the file, creates or migrates it, and starts its writer. Blocks for the disk.
    ///
    /// # Errors
    /// [`Error::Environment`]: cure the disk and open again. [`Error::Damaged`]: the file is hurt or
    /// not a database. [`Error::Statement`]: a migration is wrong, or the file is of a newer
    /// program.
    #[expect(clippy::needless_pass_by_value, reason = "options are spent on one database")]
    pub fn open(options: Options) -> Result<Database, Error> {
        writer::open(&options, true).map(|file| Database { file })
    }

    /// Opens a file to mend it, whatever its own tables are: no migration is looked at.
    ///
    /// # Errors
    /// As for [`Database::open`], but for migrations.
    #[expect(clippy::needless_pass_by_value, reason = "options are spent on one database")]
    pub fn open_as_it_is(options: Options) -> Result<Database, Error> {
        writer::open(&options, false).map(|file| Database { file })
    }

    /// Runs `work` with what it is `given` in the writer's transaction, inside its own savepoint; resolves
    /// after the sync. An `Err` rolls back this work alone.
    ///
    /// The work is queued by the call itself, in call order; dropping the future does not take it
    /// back. Other work of the same group may stand or be rolled back beside it; if the group's transaction
    /// fails, nobody's stands, and nothing was done. It takes what it is given by reference, because an
    /// engine may have to run it again where another transaction was in its way, and it waits for nothing
    /// but its database.
    ///
    /// A refusal of one's own is an error type of one's own:
    ///
    /// ```
    /// # use std::sync::Arc;
    /// use yeoul_events::store::{Database, Options, Tx};
    /// # use yeoul_events::{Clock, Error};
    /// #[derive(Debug, PartialEq)]
    /// enum Refusal {
    ///     OutOfStock,
    ///     Engine(String),
    /// }
    /// impl From<Error> for Refusal {
    ///     fn from(error: Error) -> Refusal {
    ///         Refusal::Engine(error.to_string())
    ///     }
    /// }
    ///
    /// async fn take(tx: &mut Tx<'_>, pieces: u32) -> Result<(), Refusal> {
    ///     let take = "UPDATE product SET stock = stock - ?1 WHERE stock >= ?1";
    ///     let taken = tx.execute(take, &[&pieces]).await?;
    ///     if taken == 1 { Ok(()) } else { Err(Refusal::OutOfStock) }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let folder = tempfile::tempdir().expect("a folder");
    /// # let path = folder.path().join("product.db");
    /// # let clock: Clock = Arc::new(|| jiff::Timestamp::UNIX_EPOCH);
    /// # let schema = &["CREATE TABLE product (stock INTEGER NOT NULL); INSERT INTO product VALUES (1)"];
    /// # let product = Database::open(Options { path, schema, publishes: None, clock })?;
    /// let taken = |pieces: u32| product.write(pieces, |&pieces, tx| Box::pin(take(tx, pieces)));
    /// assert_eq!(taken(2).await, Err(Refusal::OutOfStock));
    /// assert_eq!(taken(1).await, Ok(()));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The work's own; or [`Error::Environment`] (also when [`WRITE_QUEUE_MAX`] is reached): nothing
    /// was done, try later; [`Error::Panicked`]; [`Error::Closed`].
    pub fn write<C, T, E>(
        &self,
        given: C,
        work: impl for<'a> Fn(&'a C, &'a mut Tx<'_>) -> Working<'a, T, E> + Send + 'static,
    ) -> impl Future<Output = Result<T, E>> + Send + 'static
    where
        C: Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let queued = self.file.queue(work::boxed(given, work, reply));
        async move {
            queued.map_err(E::from)?;
            answer.await.unwrap_or_else(|_| Err(E::from(Error::Closed)))
        }
    }

    /// A bounded read of one snapshot, which waits for nothing but its database.
    ///
    /// It runs on the caller's thread, through a small pool of read-only connections, and blocks for as
    /// long as it takes, so it reads by an index and has a limit: in an asynchronous program that is shorter
    /// than a hop to another thread and back.
    ///
    /// # Errors
    /// The work's own; or [`Error::Environment`]: read again later; [`Error::Panicked`], also where it
    /// waited for something else.
    pub async fn read<C, T, E>(
        &self,
        given: &C,
        work: impl for<'a> FnOnce(&'a C, &'a mut Rows<'_>) -> Working<'a, T, E> + Send,
    ) -> Result<T, E>
    where
        C: Sync + ?Sized,
        T: Send,
        E: From<Error> + Send,
    {
        self.file.readers.read(|connection| {
            let mut rows = Rows::new(connection);
            work::ready(|| work(given, &mut rows))
        })
    }

    /// A read in this engine's own words, for a `store` that has some.
    ///
    /// # Errors
    /// As of [`read`](Self::read).
    pub fn read_sqlite<T, E: From<Error>>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        self.file.readers.read(|connection| work(connection))
    }

    /// Follows the highest outbox sequences on disk; wakes after each sync that raised one.
    pub fn committed(&self) -> watch::Receiver<Numbers> {
        self.file.committed.clone()
    }

    /// The position of the newest committed outbox rows; sequence 0 before the first, `None` for a
    /// database that publishes nothing.
    pub fn position(&self) -> Option<WritePosition> {
        let source = self.file.publishes.as_ref()?.source.clone();
        Some(WritePosition::new(source, self.file.committed.borrow().clone()))
    }

    /// The outbox's newest numbers that a restore left out, if it did: whoever has one of them was
    /// acknowledged a write that is gone.
    pub fn left_out(&self) -> Vec<LeftOut> {
        let publishes = self.file.publishes.as_ref();
        let partitions = publishes.into_iter().flat_map(|it| it.partitions.each());
        let jumps = partitions.zip(&self.file.jumps).filter(|(_, jump)| jump.width() > 0);
        jumps
            .map(|(partition, jump)| LeftOut { partition, numbers: jump.base + 1..=jump.floor })
            .collect()
    }

    /// Finishes what is queued, folds the write-ahead file in and stops the writer. Later writes
    /// are [`Error::Closed`]; reads go on. Not needed for anything that was acknowledged: it spares the
    /// next start a look at the write-ahead file.
    pub fn close(&self) -> impl Future<Output = ()> + use<> {
        let file = Arc::clone(&self.file);
        async move { file.close().await }
    }

    /// Up to `limit` events of a partition of the outbox after `after`, and no more than [`WAITING_BYTES_MAX`] of
    /// data unless it is one; committed ones only, and none that the relay steps over.
    ///
    /// # Errors
    /// [`Error::Damaged`] when the very next row is hurt (sound ones before it are returned first);
    /// [`Error::Environment`]: read again later.
    pub(crate) fn waiting(&self, after: Numbered, limit: usize) -> Result<Vec<Event>, Error> {
        let Some(origin) = self.origin() else { return Ok(Vec::new()) };
        self.read_sqlite(|sql| outbox::waiting(sql, origin, after, limit))
    }

    /// As [`waiting`](Self::waiting), up to the first number that is lost; the damage, if that is the
    /// very next.
    pub(crate) fn waiting_whole(&self, after: Numbered, limit: usize) -> Result<Vec<Event>, Error> {
        let events = self.waiting(after, limit)?;
        let Some(origin) = self.origin() else { return Ok(events) };
        self.read_sqlite(|sql| gaps::whole(sql, origin, after, events))
    }

    /// Compares a partition of the outbox with the highest sequence the broker holds of it.
    pub(crate) fn reconcile(
        &self,
        published: Numbered,
    ) -> impl Future<Output = Result<Reconciled, Error>> + Send + 'static {
        let compared = self.write(published, |&published, tx| {
            Box::pin(std::future::ready(tx.reconcile(published)))
        });
        let database = self.clone();
        async move {
            let found = compared.await?;
            // Only now: a comparison that was not committed has to find the same again.
            database.relayed(published);
            Ok(found)
        }
    }

    /// Whose rows the outbox's are, and what their ids begin with.
    pub(crate) fn origin(&self) -> Option<outbox::row::Origin<'_>> {
        let publishes = self.file.publishes.as_ref()?;
        Some(outbox::row::Origin { source: &publishes.source, epoch: &self.file.epoch })
    }

    /// Events of a partition of the outbox after `relayed`, by its numbers.
    pub(crate) fn lag(&self, relayed: Numbered) -> u64 {
        let newest = self.file.committed.borrow().of(relayed.partition);
        self.file.jumps[usize::from(relayed.partition.index())].between(relayed.number, newest)
    }

    /// How a partition of the outbox stands, for a comparison with a log that holds it up to `published`.
    pub(crate) fn publisher(&self, published: Numbered) -> Result<Option<Publisher>, Error> {
        let Some(origin) = self.origin() else { return Ok(None) };
        let Numbered { partition, number: published } = published;
        let relayed = self.relayed_up_to(partition);
        let newest = self.file.committed.borrow().of(partition);
        self.read_sqlite(|sql| {
            Ok(Some(Publisher {
                source: origin.source.to_owned(),
                partition,
                newest,
                oldest: outbox::oldest(sql, partition)?,
                relayed: stepped::newest_published(sql, Numbered { partition, number: relayed })?,
                published,
            }))
        })
    }

    /// Where the relay of this partition of the outbox records how it is doing.
    pub(crate) fn relay_status(&self, partition: Partition) -> &watch::Sender<Status> {
        &self.file.relay_status[usize::from(partition.index())]
    }

    /// What time it is, by the clock it was opened with.
    pub(crate) fn now(&self) -> Timestamp {
        (self.file.clock)()
    }

    /// Notes how far the relay got; saved with one of the next transactions.
    pub(crate) fn relayed(&self, up_to: Numbered) {
        let Numbered { partition, number } = up_to;
        self.file.relayed[usize::from(partition.index())].store(number, Ordering::Release);
    }

    /// How far the relay got, as it was noted last; at the start, as it was saved.
    pub(crate) fn relayed_up_to(&self, partition: Partition) -> u64 {
        self.file.relayed[usize::from(partition.index())].load(Ordering::Acquire)
    }

    /// Saves how far the relay got, now.
    pub(crate) fn save_relayed(&self) -> impl Future<Output = Result<(), Error>> + Send + 'static {
        self.write((), |(), tx| Box::pin(std::future::ready(tx.save_relayed())))
    }

    /// Per source, up to which outbox sequences `subscription` received events into this file.
    ///
    /// # Errors
    /// [`Error::Environment`]: read again later.
    pub async fn received(&self, subscription: &str) -> Result<BTreeMap<String, Numbers>, Error> {
        self.read(subscription, |name, rows| Box::pin(inbox::marks(rows, name))).await
    }

    /// Whose outbox this is.
    pub fn publishes(&self) -> Option<&Publishes> {
        self.file.publishes.as_ref()
    }
}
