//! A transaction's rows on this engine: statements with values, rows with columns.
//!
//! A statement that fails ends its transaction for the server, but for what a savepoint takes back. So it is
//! noted, and work that goes on as if nothing had been is not committed.

use std::pin::pin;
use std::task::Poll;

use futures_util::Stream;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Executor, PgConnection, SqlSafeStr, Statement};

use super::open::OpenSchema;
use super::outbox::Drafts;
use crate::error::Error;
use crate::store::postgres::timeouts::{self, silent, within};
use crate::store::postgres::trouble;
use crate::store::postgres::values::{self, Row};
use crate::store::value::Bind;

/// The rows of the transaction that is open on a connection.
pub(in crate::store) struct Rows<'t> {
    pub(super) connection: &'t mut PgConnection,
    pub(super) open: &'t OpenSchema,
    /// What a piece of work has beyond a read.
    pub(super) drafts: Drafts,
    /// Savepoints that are open, and those whose parts stand in this transaction.
    pub(super) depth: usize,
    pub(in crate::store) kept: usize,
    /// Another one was refused, because so many stand.
    pub(in crate::store) out_of_parts: bool,
    /// A statement changed rows, as far as it says so.
    pub(super) has_changed: bool,
    /// A statement failed that no savepoint has taken back.
    pub(super) failed: bool,
    /// What the last one that failed said.
    pub(super) failure: Option<Error>,
    /// Another transaction was in the way of this one: it runs again, whatever its work makes of that.
    pub(super) in_the_way: bool,
    /// The server was silent for too long: what comes on this connection answers something else.
    pub(super) is_lost: bool,
}

impl<'t> Rows<'t> {
    /// Of a transaction in which nothing was done yet.
    pub(super) fn new(connection: &'t mut PgConnection, open: &'t OpenSchema) -> Rows<'t> {
        Rows {
            connection,
            open,
            drafts: Drafts::default(),
            depth: 0,
            kept: 0,
            out_of_parts: false,
            has_changed: false,
            failed: false,
            failure: None,
            in_the_way: false,
            is_lost: false,
        }
    }

    /// Runs a statement; how many rows it changed.
    pub(in crate::store) async fn execute(
        &mut self,
        statement: &str,
        values: &[&dyn Bind],
    ) -> Result<u64, Error> {
        let query = self.query(statement, values).await?;
        let done = within(timeouts::STATEMENT, query.run(&mut *self.connection)).await;
        let changed = done.map_err(|error| self.note(error))?;
        self.has_changed |= changed > 0;
        Ok(changed)
    }

    /// The first row of an answer, if there is any.
    pub(in crate::store) async fn find<T, E: From<Error>>(
        &mut self,
        select: &str,
        values: &[&dyn Bind],
        read: impl FnOnce(Row<'_>) -> Result<T, E> + Send,
    ) -> Result<Option<T>, E> {
        let query = self.query(select, values).await?;
        let found = within(timeouts::STATEMENT, query.first(&mut *self.connection)).await;
        let found = found.map_err(|error| self.note(error))?;
        found.map(|row| read(Row(&row))).transpose()
    }

    /// Shows every row of an answer, one at a time, until `show` refuses one.
    pub(in crate::store) async fn each<E: From<Error>>(
        &mut self,
        select: &str,
        values: &[&dyn Bind],
        mut show: impl FnMut(Row<'_>) -> Result<(), E> + Send,
    ) -> Result<(), E> {
        let query = self.query(select, values).await?;
        let rows = query.each(&mut *self.connection, |row| show(Row(row)));
        let outcome = tokio::time::timeout(timeouts::STATEMENT, rows).await;
        let outcome = outcome.unwrap_or_else(|_| Err(ReadEnd::Failed(silent(timeouts::STATEMENT))));
        outcome.map_err(|ended| match ended {
            ReadEnd::Refused(error) => error,
            ReadEnd::Failed(error) => E::from(self.note(error)),
        })
    }

    /// Runs a statement of the engine's own, which takes no values.
    pub(super) async fn run(&mut self, statement: &'static str) -> Result<(), Error> {
        self.check_heard()?;
        let asked = sqlx::raw_sql(statement).execute(&mut *self.connection);
        let done = within(timeouts::STATEMENT, asked).await;
        done.map(drop).map_err(|error| self.note(error))
    }

    /// The statement with its values, each as the server takes it.
    async fn query(&mut self, statement: &str, values: &[&dyn Bind]) -> Result<Query, Error> {
        self.check_heard()?;
        let own = AssertSqlSafe(self.open.statements.of(statement)).into_sql_str();
        let prepared = within(timeouts::STATEMENT, self.connection.prepare(own)).await;
        let prepared = prepared.map_err(|error| self.note(error))?;
        let kinds = prepared.parameters().and_then(sqlx::Either::left).unwrap_or_default();
        let arguments = values::arguments(kinds, values)?;
        Ok(Query { prepared, arguments })
    }

    /// Refuses to ask a server that was silent: each question would wait as long as the one before.
    fn check_heard(&self) -> Result<(), Error> {
        let lost = self.failure.as_ref().filter(|_| self.is_lost);
        lost.map_or(Ok(()), |silence| Err(silence.clone()))
    }

    /// What went wrong, in the crate's words; the transaction knows it from here on.
    pub(super) fn note(&mut self, error: sqlx::Error) -> Error {
        self.failed = true;
        if trouble::is_in_the_way(&error) {
            self.in_the_way = true;
        }
        self.is_lost |= trouble::is_silence(&error);
        let error = trouble::from(error);
        self.failure = Some(error.clone());
        error
    }

    /// What failed that no savepoint has taken back.
    pub(in crate::store) fn failure(&self) -> Option<&Error> {
        self.failure.as_ref().filter(|_| self.failed)
    }
}

/// A statement and its values.
struct Query {
    prepared: sqlx::postgres::PgStatement,
    arguments: sqlx::postgres::PgArguments,
}

/// Why an answer was not read to its end.
enum ReadEnd<E> {
    Refused(E),
    Failed(sqlx::Error),
}

impl Query {
    async fn run(self, connection: &mut PgConnection) -> Result<u64, sqlx::Error> {
        let done = self.prepared.query_with(self.arguments).execute(connection).await;
        done.map(|done| done.rows_affected())
    }

    async fn first(self, connection: &mut PgConnection) -> Result<Option<PgRow>, sqlx::Error> {
        self.prepared.query_with(self.arguments).fetch_optional(connection).await
    }

    async fn each<E>(
        self,
        connection: &mut PgConnection,
        mut show: impl FnMut(&PgRow) -> Result<(), E> + Send,
    ) -> Result<(), ReadEnd<E>> {
        let mut rows = pin!(self.prepared.query_with(self.arguments).fetch(connection));
        // What was refused is looked at when the answer is at its end: the rest of it is on its way.
        std::future::poll_fn(|context| {
            loop {
                match rows.as_mut().poll_next(context) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(None) => return Poll::Ready(Ok(())),
                    Poll::Ready(Some(Err(error))) => {
                        return Poll::Ready(Err(ReadEnd::Failed(error)));
                    }
                    Poll::Ready(Some(Ok(row))) => {
                        if let Err(refused) = show(&row) {
                            return Poll::Ready(Err(ReadEnd::Refused(refused)));
                        }
                    }
                }
            }
        })
        .await
    }
}
