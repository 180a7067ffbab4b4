//! Hearing that work of other processes was committed, where a database has other processes.
//!
//! An announcement says that something is new, not what: who hears of it reads. It may be lost with its connection,
//! so that whoever follows looks now and then in any case.

use crate::error::Error;
use crate::store::ServedAnnouncements;
use crate::store::database::{Database, Engine};
use crate::store::tx::Tx;

/// What is announced in one database; see [`Database::announcements`].
///
/// ```no_run
/// use yeoul_events::Error;
/// use yeoul_events::store::{Database, Rows};
/// # async fn read(rows: &mut Rows<'_>) -> Result<(), Error> { Ok(()) }
///
/// /// Keeps what it has in memory as new as the database.
/// async fn follow(database: &Database) -> Result<(), Error> {
///     // Before the first read: what is committed between the two is announced after this.
///     let mut announcements = database.announcements();
///     loop {
///         database.read(&(), |(), rows| Box::pin(read(rows))).await?;
///         announcements.next().await;
///     }
/// }
/// ```
pub struct Announcements(Option<ServedAnnouncements>);

impl Announcements {
    /// Resolves when work that [announced](Tx::announce) itself was committed since the last time, by any process, or
    /// when that may have been missed. Never, where no other process can write. Dropping the future loses nothing.
    pub async fn next(&mut self) {
        match &mut self.0 {
            Some(served) => served.next().await,
            None => std::future::pending().await,
        }
    }
}

impl Database {
    /// Begins to listen, until what is returned is dropped. A connection of its own is kept for that, and made anew
    /// where it is lost.
    pub fn announcements(&self) -> Announcements {
        Announcements(match &self.engine {
            Engine::Embedded(_) => None,
            Engine::Served(server) => Some(server.announcements()),
        })
    }
}

impl Tx<'_> {
    /// Has every process that [listens](Database::announcements) hear of this work once it is committed.
    ///
    /// # Errors
    /// [`Error::Environment`]: give the whole work up with it.
    pub async fn announce(&mut self) -> Result<(), Error> {
        match self.as_served() {
            Some(rows) => Box::pin(rows.announce()).await,
            None => Ok(()),
        }
    }
}
