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
        let Engine::Embedded(file) = &self.engine;
        file.read_directly(work)
    }
}

impl Rows<'_> {
    /// The engine's own connection, for a `store` that says what only this engine understands. Leave
    /// transactions and savepoints to the transaction.
    pub fn sqlite(&self) -> &Connection {
        let rows::Engine::Embedded(rows) = &self.0;
        rows.connection()
    }
}
