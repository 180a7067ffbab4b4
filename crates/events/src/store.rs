//! Where a service keeps its state beside its inbox and outbox, and where the local log keeps events.
//!
//! A service speaks of a [`Database`], of a [`Tx`] of it and of [`Rows`]; the crate speaks of inbox,
//! outbox, parked events and the log. Which engine does it is named below this module alone, so that
//! another can stand behind the same words: each of these is what engines have in common over the one that it
//! is on.
//!
//! # A service's file
//!
//! One file for each service: its own tables, and beside them what this crate keeps there, so that one
//! transaction can change all of it.
//!
//! | table | a row is | written by |
//! |---|---|---|
//! | the service's own | whatever its schema makes it | its commands and handlers |
//! | `outbox` | an event that is committed; [`OUTBOX_KEPT`] stay after they were relayed | [`Tx::publish`] |
//! | `outbox_state` | the file's own name, which the ids of its events begin with that have none of their own | opening |
//! | `outbox_relayed`, `outbox_jump` | how far a partition was relayed; numbers that a restore left out of it | relay, restore |
//! | `outbox_stepped` | why the relay passes a number: a dead letter, or skipped | relay, operator |
//! | `inbox` | where a subscription reads on in a partition, with the event that it saw there | subscription |
//! | `inbox_mark` | the highest number that it received of a source by that partition | subscription |
//! | `parked` | an event that failed, or waits behind one of its key | subscription |
//! | `paused` | a subscription that an operator has take nothing | operator |
//! | `schedule`, `schedule_count`, `schedule_lease` | an event at a time to come; how many wait; who publishes them | schedules |
//! | `skipped` | a note on what an operator stepped over | operator |
//! | `numbering`, `counted` | what restores have left out, and which columns count | restore, schema |
//! | `yeoul_version` | the version of one set of these tables | opening |
//!
//! On a server these are tables of the service's schema there ([`Served`]); `outbox` is the view by which the table is
//! read that writers in other languages insert into ([`outbox_schema`]).
//!
//! A number of a partition after the first is kept with its partition in the high bits, so keys of `outbox`
//! and `outbox_stepped` are to be read by the crate and not by eye.
//!
//! Any of them may be read by a service, for a page of its own about itself; only its own are its to
//! write. They are the crate's to change: a newer program brings a file up to date when it opens it, and
//! an older one refuses a file that is newer than itself.
//!
//! # Changing a schema
//!
//! [`Options::schema`] is a list of migrations, each applied once, in order, and never edited:
//!
//! ```
//! const SCHEMA: &[&str] = &[
//!     "CREATE TABLE orders (id INTEGER PRIMARY KEY AUTOINCREMENT, product TEXT NOT NULL) STRICT",
//!     "ALTER TABLE orders ADD COLUMN pieces INTEGER NOT NULL DEFAULT 1",
//!     // A table made anew, whole or not at all: a migration is one transaction.
//!     "CREATE TABLE placed (id INTEGER PRIMARY KEY AUTOINCREMENT, product TEXT NOT NULL,
//!         pieces INTEGER NOT NULL CHECK (pieces > 0)) STRICT;
//!      INSERT INTO placed SELECT id, product, pieces FROM orders;
//!      DROP TABLE orders;",
//! ];
//! # use yeoul_events::store::{Database, Options};
//! # let folder = tempfile::tempdir().expect("a folder");
//! # let path = || folder.path().join("order.db");
//! # let clock = || std::sync::Arc::new(|| jiff::Timestamp::UNIX_EPOCH) as yeoul_events::Clock;
//! // The program of last year made the file with the first migration alone.
//! let last_year = Options { path: path(), schema: &SCHEMA[..1], publishes: None, clock: clock() };
//! drop(Database::open(last_year)?);
//! // Today's applies what it lacks.
//! let today = Options { path: path(), schema: SCHEMA, publishes: None, clock: clock() };
//! drop(Database::open(today)?);
//! // And last year's refuses what it does not know.
//! let last_year = Options { path: path(), schema: &SCHEMA[..1], publishes: None, clock: clock() };
//! assert!(Database::open(last_year).is_err());
//! # Ok::<(), yeoul_events::Error>(())
//! ```
//!
//! # Copies
//!
//! Copying files one after the other while somebody writes them makes copies that are each sound and do
//! not belong together. [`cut`] copies one moment of many files, [`upkeep`] looks into files that rest and
//! leaves out the numbers that were given after a copy, and [`agreement`](crate::agreement) refuses what
//! does not fit.

pub(crate) mod ahead;
pub(crate) mod announcements;
pub(crate) mod bounds;
pub(crate) mod database;
pub(crate) mod delivery_runs;
pub(crate) mod edits;
pub(crate) mod epoch;
pub(crate) mod expired;
pub(crate) mod inbox;
pub(crate) mod kept;
pub(crate) mod leases;
pub(crate) mod location;
pub(crate) mod notes;
pub(crate) mod options;
pub(crate) mod origin;
pub(crate) mod outbox;
pub(crate) mod packed;
pub(crate) mod panicked;
pub(crate) mod parked;
pub(crate) mod paused;
mod postgres;
pub(crate) mod published;
mod relaying;
pub(crate) mod remembered;
pub(crate) mod rows;
pub(crate) mod savepoints;
pub(crate) mod schedules;
mod sqlite;
pub(crate) mod stepped;
pub(crate) mod trials;
pub(crate) mod tx;
pub(crate) mod value;
pub(crate) mod versions;
pub(crate) mod whole;

pub use announcements::Announcements;
pub use bounds::{
    DATA_BYTES_MAX, OUTBOX_KEPT, OUTBOX_WAITING_MAX, SAVEPOINTS_DEEP_MAX, WAITING_BYTES_MAX,
    WRITE_QUEUE_MAX,
};
pub use database::Database;
pub use inbox::marks;
pub use location::{Location, Tables};
pub use options::{Host, Inserted, LeftOut, Options, Publishes, Served};
pub use paused::Pause;
pub use postgres::address::Address;
pub use postgres::promise::Promise;
pub use postgres::schema::outbox_schema;
pub use published::Published;
pub use rows::{At, Row, Rows};
pub use sqlite::cut;
pub use sqlite::erase;
pub use sqlite::keep_private;
pub use sqlite::state::GROUP_MAX;
pub use sqlite::upkeep;
pub use sqlite::{COUNTED, READERS_MAX};
pub use tx::{Savepoint, Tx, Working};
pub use value::{Bind, Column, Value};

pub(crate) use postgres::state::tables::{
    DELIVERY_RUNS as SERVED_DELIVERY_RUNS, LEASES as SERVED_LEASES,
    REMEMBERED as SERVED_REMEMBERED, SCHEDULES as SERVED_SCHEDULES,
    SETTLED_AHEAD as SERVED_SETTLED_AHEAD,
};
pub(crate) use sqlite::log;
pub(crate) use sqlite::state::tables::{
    DELIVERY_RUNS, LEASES, REMEMBERED, SCHEDULES, SETTLED_AHEAD,
};

use postgres::state::announcements::Announcements as ServedAnnouncements;
use postgres::state::rows::Rows as ServedRows;
use postgres::state::server::Server;
use postgres::state::tx::{PARTS_MAX, Savepoint as ServedSavepoint};
use postgres::values::Row as ServedRow;
use sqlite::Row as EmbeddedRow;
use sqlite::state::State as Embedded;
use sqlite::state::rows::Rows as EmbeddedRows;
use sqlite::state::tx::Savepoint as EmbeddedSavepoint;

#[cfg(test)]
pub(crate) use postgres::fixture as served;
#[cfg(test)]
pub(crate) use sqlite::state::tests;
