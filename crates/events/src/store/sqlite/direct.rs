//! This engine's own connection, for a `store` that has words of its own on it.

use rusqlite::Connection;

use crate::error::Error;
use crate::store::database::{Database, Engine};
use crate::store::rows::{self, Rows};

impl Database {
    /// A read in this engine's own words, for a `store` that has some.
    ///
    /// # Errors
    /// As of [`read`](Self::read).
    pub fn read_sqlite<T, E: From<Error>>(
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
    pub fn sqlite(&self) -> &Connection {
        match &self.0 {
            rows::Engine::Embedded(rows) => rows.connection(),
            rows::Engine::Served(_) => panic!("words of another engine than the one that is open"),
        }
    }
}
