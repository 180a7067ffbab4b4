//! A service's own state, inbox and outbox, whichever engine they are on.
//!
//! | | [`Database::write`] | [`Database::read`] |
//! |---|---|---|
//! | sees | all that is committed, and what its own transaction wrote before it | one moment |
//! | resolves | when it is on disk | at once |
//! | past what may wait | [`Error::Environment`]: nothing was done | waits its turn |
//!
//! How work runs is the engine's, and what it may count on differs:
//!
//! | | in a file | on a server |
//! |---|---|---|
//! | two pieces of work | one after the other, in call order, on the file's one writing thread | at once, each on a connection of its own, in whatever order |
//! | a transaction | what arrives while a sync runs shares the next one, [`GROUP_MAX`](crate::store::GROUP_MAX) pieces at most, each in a savepoint of its own | one for each piece |
//! | where another one is in the way | cannot be | the whole work runs again, five times at most |
//! | a row that is read to be changed | stands still anyway | is taken first: `SELECT … FOR UPDATE`, keys ascending, or one statement changes it |
//! | a read | on the caller's thread | on a connection of the pool, waited for |
//!
//! The words `FOR UPDATE` are left out for a file, so work that is written for a server is right on both, and work that
//! was only ever tried on a file may lose an update on a server.
//!
//! It does not decide what an event means: [`Relay`](crate::relay::Relay) and
//! [`Subscription`](crate::subscription::Subscription) do.

use std::collections::BTreeMap;
use std::future::{Future, ready};

use tokio::sync::watch;

use crate::error::Error;
use crate::event::id::EventId;
use crate::partition::numbers::Numbers;
use crate::partition::{Numbered, Partition};
use crate::position::WritePosition;
use crate::store::kept::Kept;
use crate::store::options::{Inserted, LeftOut, Options, Publishes, Reading, Served};
use crate::store::rows::Rows;
use crate::store::tx::{Tx, Working};
use crate::store::{Embedded, Server, inbox, outbox};
use crate::topic::Topic;

/// A handle on the file, or on the schema; clones share it. In a file the last one to go finishes what is queued.
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
///     rows.insert("INSERT INTO product (name, stock) VALUES (?1, ?2)", &[&name, &stock]).await
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
    pub(super) engine: Engine,
}

#[derive(Clone)]
pub(super) enum Engine {
    Embedded(Embedded),
    Served(Server),
}

impl Database {
    /// Opens the file, creates or migrates it, and starts its writer. Blocks for the disk.
    ///
    /// # Errors
    /// [`Error::Environment`]: cure the disk and open again. [`Error::Damaged`]: the file is hurt or
    /// not a database. [`Error::Statement`]: a migration is wrong. [`Error::Newer`]: the file is of
    /// a newer program.
    #[expect(clippy::needless_pass_by_value, reason = "options are spent on one database")]
    pub fn open(options: Options) -> Result<Database, Error> {
        Embedded::open(&options, true).map(Database::embedded)
    }

    /// Opens a file to mend it, whatever its own tables are: no migration is looked at.
    ///
    /// # Errors
    /// As for [`Database::open`], but for migrations.
    #[expect(clippy::needless_pass_by_value, reason = "options are spent on one database")]
    pub fn open_as_it_is(options: Options) -> Result<Database, Error> {
        Embedded::open(&options, false).map(Database::embedded)
    }

    /// Opens a service's schema on a server, makes it and brings it up to date. Handles in any number of processes
    /// may be open on one at a time.
    ///
    /// # Errors
    /// [`Error::Environment`]: the server refuses, is away, or acknowledges what is not on disk; cure it and open
    /// again. [`Error::Decode`]: the address is none. [`Error::Statement`]: a migration is wrong. [`Error::Newer`]: the
    /// schema is of a newer program.
    /// [`Error::Partitions`]: it was numbered for another count.
    pub async fn connect(options: Served) -> Result<Database, Error> {
        let server = Box::pin(Server::open(options)).await?;
        Ok(Database { engine: Engine::Served(server) })
    }

    /// Opens the table that writers in any language insert into, to relay one of its topics: nothing is written there
    /// but how far that got, and rows that are kept no more go.
    ///
    /// # Errors
    /// As for [`Database::connect`], which makes what this only looks for: [`Error::Statement`] where there is no such
    /// table, [`Error::UnknownTopic`] where it does not know the topic.
    pub async fn relaying(options: Inserted) -> Result<Database, Error> {
        let server = Box::pin(Server::relaying(options)).await?;
        Ok(Database { engine: Engine::Served(server) })
    }

    /// Runs `work` with what it is `given` in a transaction; resolves after the sync. An `Err` rolls back this
    /// work alone.
    ///
    /// The work is begun by the call itself; dropping the future does not take it back. It takes what it is given by
    /// reference, because on a server it runs again where another transaction was in its way: what it does outside of
    /// `tx` is done twice then. It waits for nothing but its database.
    ///
    /// In a file it waits its turn, in call order, and has a savepoint of its own within its group's transaction: other
    /// work of the group may stand or be rolled back beside it, and if the transaction fails, nobody's stands. On a
    /// server it has a transaction of its own beside others, so what it reads in order to change it ends in
    /// `FOR UPDATE`:
    ///
    /// ```
    /// # use yeoul_events::store::Tx;
    /// # use yeoul_events::Error;
    /// /// Moves pieces from one shelf to another; both rows are taken first, the lower one before the higher, so that
    /// /// two who move in opposite directions wait for one another and never for each other's row.
    /// async fn move_pieces(tx: &mut Tx<'_>, from: i64, to: i64, pieces: i64) -> Result<bool, Error> {
    ///     let take = "SELECT pieces FROM shelf WHERE id = ?1 FOR UPDATE";
    ///     let mut there = 0;
    ///     for id in [from.min(to), from.max(to)] {
    ///         let stock: i64 = tx.one(take, &[&id], |row| row.get(0)).await?;
    ///         if id == from {
    ///             there = stock;
    ///         }
    ///     }
    ///     if there < pieces {
    ///         return Ok(false);
    ///     }
    ///     let add = "UPDATE shelf SET pieces = pieces + ?2 WHERE id = ?1";
    ///     tx.execute(add, &[&from, &-pieces]).await?;
    ///     tx.execute(add, &[&to, &pieces]).await?;
    ///     Ok(true)
    /// }
    /// # use std::sync::Arc;
    /// # use yeoul_events::store::{Database, Options};
    /// # use yeoul_events::Clock;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let folder = tempfile::tempdir().expect("a folder");
    /// # let path = folder.path().join("shelf.db");
    /// # let clock: Clock = Arc::new(|| jiff::Timestamp::UNIX_EPOCH);
    /// # let schema = &["CREATE TABLE shelf (id INTEGER PRIMARY KEY, pieces INTEGER NOT NULL);
    /// #     INSERT INTO shelf VALUES (1, 3), (2, 0)"];
    /// # let shelves = Database::open(Options { path, schema, publishes: None, clock })?;
    /// let moved = |pieces| shelves.write(pieces, |&pieces, tx| Box::pin(move_pieces(tx, 1, 2, pieces)));
    /// assert!(moved(2).await?);
    /// assert!(!moved(2).await?, "one is left");
    /// # Ok(())
    /// # }
    /// ```
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
    /// The work's own; or [`Error::Environment`] (also when [`WRITE_QUEUE_MAX`] pieces of work wait or are under way):
    /// nothing was done, try later; [`Error::Panicked`]: nothing was done, and trying again would do the same;
    /// [`Error::Closed`]: the process ends.
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
        match &self.engine {
            Engine::Embedded(file) => EngineFuture::Embedded(file.write(given, work)),
            Engine::Served(server) => EngineFuture::Served(server.write(given, work)),
        }
        .answer()
    }

    /// A bounded read of one snapshot, which waits for nothing but its database.
    ///
    /// In a file it runs on the caller's thread, through a small pool of read-only connections, and blocks for as
    /// long as it takes, so it reads by an index and has a limit: in an asynchronous program that is shorter
    /// than a hop to another thread and back. On a server it is a transaction that reads only, on a connection of the
    /// pool, and is waited for like any answer.
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
        self.read_by(Reading::Snapshot, given, work).await
    }

    /// The same by a connection of the kind that it asks for; to a file there is one kind.
    pub(crate) async fn read_by<C, T, E>(
        &self,
        reading: Reading,
        given: &C,
        work: impl for<'a> FnOnce(&'a C, &'a mut Rows<'_>) -> Working<'a, T, E> + Send,
    ) -> Result<T, E>
    where
        C: Sync + ?Sized,
        T: Send,
        E: From<Error> + Send,
    {
        match &self.engine {
            Engine::Embedded(file) => file.read(given, work),
            Engine::Served(server) => Box::pin(server.read(reading, given, work)).await,
        }
    }

    /// Follows the highest outbox sequences on disk; wakes after each commit of this process that raised one. What
    /// other instances committed on the same server is seen when somebody asks ([`Database::newest`]), or within 250 ms
    /// where a relay runs.
    pub fn committed(&self) -> watch::Receiver<Numbers> {
        self.kept().committed.clone()
    }

    /// The position of the newest committed outbox rows; sequence 0 before the first, `None` for a
    /// database that publishes nothing.
    pub fn position(&self) -> Option<WritePosition> {
        let source = self.publishes()?.source.clone();
        Some(WritePosition::new(source, self.kept().committed.borrow().clone()))
    }

    /// The newest number that is committed in the partition of this key; 0 before the first.
    ///
    /// # Errors
    /// [`Error::Environment`]: ask again later.
    ///
    /// # Panics
    /// If the database publishes nothing: a mistake of the program.
    pub async fn newest(&self, key: &str) -> Result<Numbered, Error> {
        let partition = self.partition_of(key);
        self.follow().await?;
        Ok(Numbered { partition, number: self.kept().newest(partition) })
    }

    /// The newest numbers that are committed by now, by whichever instance; whatever was committed before the call is
    /// among them.
    ///
    /// # Errors
    /// [`Error::Environment`]: ask again later.
    pub async fn committed_by_now(&self) -> Result<Numbers, Error> {
        match &self.engine {
            // Writes are carried out in turn: behind one that does nothing, nothing earlier is under way.
            Engine::Embedded(file) => {
                file.write((), |(), _| Box::pin(ready(Ok::<_, Error>(())))).await?;
            }
            Engine::Served(_) => self.follow().await?,
        }
        Ok(self.kept().committed.borrow().clone())
    }

    /// The number of a committed event, by its id and its key; `None` where its row is kept no more, and then
    /// what it says has long been relayed.
    ///
    /// # Errors
    /// [`Error::Environment`]: ask again later.
    ///
    /// # Panics
    /// If the database publishes nothing: a mistake of the program.
    pub async fn number_of(&self, id: EventId, key: &str) -> Result<Option<Numbered>, Error> {
        let given = (id, self.partition_of(key));
        let read = self.read_by(Reading::Statement, &given, |(id, partition), rows| {
            Box::pin(outbox::number_of(rows, *id, *partition))
        });
        let found = read.await?;
        if found.is_some_and(|it| it.number > self.kept().newest(it.partition)) {
            // Another instance's, and no answer before it is on disk.
            self.follow().await?;
        }
        Ok(found)
    }

    fn partition_of(&self, key: &str) -> Partition {
        self.publishes().expect("a database that publishes").partitions.of(key)
    }

    /// The outbox's newest numbers that a restore left out, if it did: whoever has one of them was
    /// acknowledged a write that is gone.
    pub fn left_out(&self) -> Vec<LeftOut> {
        match &self.engine {
            Engine::Embedded(file) => file.left_out(),
            Engine::Served(_) => Vec::new(),
        }
    }

    /// Finishes what is under way. Later writes are [`Error::Closed`]. In a file the write-ahead file is folded in, the
    /// writer stops; on a server another instance may relay from now on what this one did. Reads go on. Not needed for
    /// anything that was acknowledged: it spares the next start a look at the write-ahead file, and the other instance a
    /// wait.
    pub fn close(&self) -> impl Future<Output = ()> + use<> {
        let engine = self.engine.clone();
        async move {
            match engine {
                Engine::Embedded(file) => file.close().await,
                Engine::Served(server) => server.close().await,
            }
        }
    }

    /// Per source, up to which outbox sequences `subscription` to `topic` received events into this file.
    ///
    /// # Errors
    /// [`Error::Environment`]: read again later.
    pub async fn received(
        &self,
        subscription: &str,
        topic: &Topic,
    ) -> Result<BTreeMap<String, Numbers>, Error> {
        let given = (subscription, topic);
        self.read(&given, |(name, topic), rows| Box::pin(inbox::marks(rows, name, topic))).await
    }

    /// Whose outbox this is.
    pub fn publishes(&self) -> Option<&Publishes> {
        self.kept().publishes.as_ref()
    }

    fn embedded(file: Embedded) -> Database {
        Database { engine: Engine::Embedded(file) }
    }

    pub(super) fn kept(&self) -> &Kept {
        match &self.engine {
            Engine::Embedded(file) => file.kept(),
            Engine::Served(server) => server.kept(),
        }
    }
}

/// The answer of an engine on its way.
enum EngineFuture<A, B> {
    Embedded(A),
    Served(B),
}

impl<T, A: Future<Output = T>, B: Future<Output = T>> EngineFuture<A, B> {
    async fn answer(self) -> T {
        match self {
            EngineFuture::Embedded(answer) => answer.await,
            EngineFuture::Served(answer) => answer.await,
        }
    }
}
