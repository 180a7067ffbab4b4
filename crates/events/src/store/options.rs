//! What a database is opened with, whichever engine it is on.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use crate::Clock;
use crate::broker::Topic;
use crate::partition::{Partition, Partitions};

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

/// What a database on a server is opened with: a schema of its own, which instances of one service share.
///
/// Tables of the crate's own are made beside those of `schema`, as in a file.
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
