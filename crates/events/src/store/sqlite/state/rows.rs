//! A transaction's rows on this engine: those of a read, and those of a piece of work.
//!
//! All of it is done when the call returns: a future over it is ready at its first poll, so that a piece of work is
//! one call of the writing thread.

use rusqlite::Connection;

use super::outbox::Outbox;
use crate::error::Error;
use crate::store::sqlite::plumbing::statements::{self, Row};
use crate::store::value::Bind;

/// The rows of the transaction that is open on a connection.
pub(crate) struct Rows<'t> {
    pub(super) connection: &'t mut Connection,
    /// What a piece of work has beyond a read.
    pub(super) writing: Option<WriteState<'t>>,
}

/// What a piece of work has beyond the rows.
pub(crate) struct WriteState<'t> {
    pub(super) outbox: Option<&'t mut Outbox>,
    /// Savepoints that are open: each depth has a name of its own, so that taking one back takes
    /// back what was begun inside it, too.
    pub(super) depth: usize,
}

impl<'t> Rows<'t> {
    /// What a read sees.
    pub(crate) fn of_read(connection: &'t mut Connection) -> Rows<'t> {
        Rows { connection, writing: None }
    }

    /// The connection itself.
    #[cfg(test)]
    pub(crate) fn connection(&self) -> &Connection {
        self.connection
    }

    /// As [`statements::execute`].
    pub(crate) fn execute(&mut self, statement: &str, values: &[&dyn Bind]) -> Result<u64, Error> {
        statements::execute(self.connection, statement, values)
    }

    /// Inserts one row; the id that it was given.
    pub(crate) fn insert(&mut self, statement: &str, values: &[&dyn Bind]) -> Result<u64, Error> {
        if self.execute(statement, values)? != 1 {
            return Err(Error::Statement { what: format!("not one row: {statement}") });
        }
        u64::try_from(self.connection.last_insert_rowid()).map_err(Error::decode)
    }

    /// As [`statements::find`].
    pub(crate) fn find<T, E: From<Error>>(
        &mut self,
        select: &str,
        values: &[&dyn Bind],
        read: impl FnOnce(Row<'_>) -> Result<T, E>,
    ) -> Result<Option<T>, E> {
        statements::find(self.connection, select, values, read)
    }

    /// As [`statements::each`].
    pub(crate) fn each<E: From<Error>>(
        &mut self,
        select: &str,
        values: &[&dyn Bind],
        show: impl FnMut(Row<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        statements::each(self.connection, select, values, show)
    }
}
