//! This engine's own connection, for tests that look at or break what only this engine has.

use rusqlite::Connection;

use crate::error::Error;
use crate::store::database::{Database, Engine};
use crate::store::rows::{self, Rows};

impl Database {
    /// A read in this engine's own words.
    ///
    /// # Errors
    /// As of [`read`](Self::read).
    pub(crate) fn read_sqlite<T, E: From<Error>>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        match &self.engine {
            Engine::Embedded(file) => file.read_directly(work),
            Engine::Served(_) => {
                let what = "statements of another engine".to_owned();
                Err(E::from(Error::Statement { what }))
            }
        }
    }
}

impl Rows<'_> {
    /// The engine's own connection, for a `store` that says what only this engine understands. Leave
    /// transactions and savepoints to the transaction.
    ///
    /// # Panics
    /// If the database is on another engine: a mistake of the program.
    pub(crate) fn sqlite(&self) -> &Connection {
        match &self.0 {
            rows::Engine::Embedded(rows) => rows.connection(),
            rows::Engine::Served(_) => panic!("words of another engine than the one that is open"),
        }
    }
}
