//! What a database is opened with, whichever engine it is on.

use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use crate::Clock;
use crate::partition::{Partition, Partitions};
use crate::store::Address;
use crate::topic::Topic;

/// What a database is opened with.
///
/// Tables of the crate's own (outbox, inbox, parked events, notes) are made beside those of `schema`; a
/// service leaves them alone, and names none of its own `outbox`, `inbox`, `parked` or `skipped`.
///
/// ```
/// # use std::sync::Arc;
/// use yeoul_events::store::{Database, Options, Publishes};
/// use yeoul_events::{Clock, Error, Partitions, Topic};
///
/// /// What was released stays as it is; what comes next is a step of its own.
/// const SCHEMA: &[&str] = &[
///     "CREATE TABLE orders (id INTEGER PRIMARY KEY, product TEXT NOT NULL) STRICT",
///     "ALTER TABLE orders ADD COLUMN pieces INTEGER NOT NULL DEFAULT 1",
/// ];
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Error> {
/// # let folder = tempfile::tempdir().expect("a folder");
/// # let clock: Clock = Arc::new(|| jiff::Timestamp::UNIX_EPOCH);
/// let publishes = Publishes {
///     source: "order".to_owned(),
///     topic: Topic::parse("order")?,
///     partitions: Partitions::ONE,
/// };
/// let options = |schema| Options {
///     path: folder.path().join("order.db"),
///     schema,
///     publishes: Some(publishes.clone()),
///     clock: clock.clone(),
/// };
/// Database::open(options(SCHEMA))?.close().await;
/// // Opened again nothing is done twice. A program that knows fewer steps is an older one: it refuses the file.
/// Database::open(options(SCHEMA))?.close().await;
/// assert!(matches!(Database::open(options(&SCHEMA[..1])), Err(Error::Newer { .. })));
/// # Ok(())
/// # }
/// ```
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

/// What a database on a server is opened with: a schema of its own, which instances of one service share.
///
/// Tables of the crate's own are made beside those of `schema`, as in a file. Instances that open it at once take turns:
/// one makes what is missing, the others find it.
///
/// ```no_run
/// use yeoul_events::store::{Database, Served};
/// use yeoul_events::{Clock, Error};
///
/// async fn open(address: String, clock: Clock) -> Result<Database, Error> {
///     let served = Served {
///         address,
///         name: "product".to_owned(),
///         schema: &["CREATE TABLE product (name TEXT PRIMARY KEY, stock BIGINT NOT NULL)"],
///         publishes: None,
///         // Ten pieces of work side by side; the eleventh waits for one of them.
///         connections: 10,
///         clock,
///     };
///     Database::connect(served).await
/// }
/// ```
#[derive(Clone)]
pub struct Served {
    /// Where the server is, whose scheme names its engine: user, host, port and database, and a password if it
    /// asks for one.
    pub address: String,
    /// What the service's schema is called there.
    pub name: String,
    /// Migrations in order, each applied once, all that are lacking in one transaction. Only ever append.
    pub schema: &'static [&'static str],
    /// Whose outbox this database has, if it publishes.
    pub publishes: Option<Publishes>,
    /// Connections that are open at a time; work beyond them waits five seconds for one.
    pub connections: u32,
    /// What time it is: of events, of notes, of what is due.
    pub clock: Clock,
}

/// A server on which each service has a schema of its own.
///
/// The address is shown to whoever looks after a process, the password to nobody: it is in no `Debug`, in no failure's
/// words, and comes from the environment rather than from settings.
#[derive(Clone)]
pub struct Host {
    /// Where it is.
    pub address: Address,
    /// What it asks of whoever speaks to it, if it does.
    pub password: Option<String>,
    /// Connections of one service's database that are open at a time.
    pub connections: u32,
}

/// The secret is nobody's to read.
impl fmt::Debug for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Host").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Host {
    /// The address as [`Served::address`] takes it, with the password in it.
    pub fn whole_address(&self) -> String {
        self.address.with_password(self.password.as_deref())
    }
}

/// A table that writers in any language insert into, for a process that only relays it: made by the statements of
/// [`outbox_schema`](crate::store::outbox_schema), in a schema that is somebody else's.
///
/// What is noted of relaying a topic stands in a schema of its own beside it, so that one table has any number of
/// topics.
pub struct Inserted {
    /// The server; the connections are those of one topic.
    pub host: Host,
    /// The schema that has the table.
    pub name: String,
    /// The one of its topics that is relayed, and under which source.
    pub publishes: Publishes,
    /// What time it is: of notes.
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

/// What a read needs of its connection to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// A transaction of its own, so that several statements see one moment.
    Snapshot,
    /// None: a single statement sees one moment by itself, and the server is asked once for it and not three times.
    Statement,
    /// As [`Statement`](Self::Statement), by a connection that is kept for relays: however many others read, they
    /// go on.
    ToRelay,
}

/// What asking for the lease of a partition's relay came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LeaseOutcome {
    /// This process's, as before.
    Had,
    /// This process's from here on: what it knows of before may be old.
    New,
    Anothers,
}
