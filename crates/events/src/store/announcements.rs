//! Hearing that work of other processes was committed, where a database has other processes.
//!
//! An announcement says that something is new, not what: who hears of it reads. It may be lost with its connection,
//! so that whoever follows looks now and then in any case.

use crate::error::Error;
use crate::store::ServedAnnouncements;
use crate::store::database::{Database, Engine};
use crate::store::tx::Tx;

/// What is announced in one database; see [`Database::announcements`].
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
