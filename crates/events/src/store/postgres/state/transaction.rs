//! A transaction on a connection of the pool: whose id is known from its beginning, and whose last statements and COMMIT
//! go in one message.
//!
//! The library's own sends COMMIT by itself, so that what its last statement locked is held for a client's round trip
//! more. What must stay true here, too: a connection on which a transaction may be open never goes back to the pool.

use std::ops::{Deref, DerefMut};

use sqlx::pool::PoolConnection;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection, PgPool, Postgres, Row as _};

use super::look_up::SentCommit;
use crate::store::postgres::timeouts::{self, within};
use crate::store::postgres::trouble;

/// The id is given here already, to what will write anyway: asked for later it would be a message of its own.
const BEGIN: &str = "BEGIN; SELECT pg_current_xact_id()::TEXT, current_setting('yeoul.life')";
const BEGIN_READ: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY";

/// Dropped before its end, its connection is closed, and with that it is taken back.
pub(super) struct Transaction {
    connection: PoolConnection<Postgres>,
    sent: SentCommit,
    is_over: bool,
}

impl Transaction {
    /// Begins one, on a connection that answers: one that was lost while nobody used it is closed, and the next one
    /// taken.
    pub(super) async fn begin(pool: &PgPool) -> Result<Transaction, sqlx::Error> {
        let mut left = pool.options().get_max_connections();
        loop {
            let connection = pool.acquire().await?;
            let mut begun = Transaction { connection, sent: SentCommit::default(), is_over: false };
            match within(timeouts::ANSWER, begun.run(BEGIN)).await {
                Ok(rows) => {
                    let row = rows.first().ok_or(sqlx::Error::RowNotFound)?;
                    begun.sent = SentCommit { id: row.try_get(0)?, life: row.try_get(1)? };
                    return Ok(begun);
                }
                Err(error) if left > 0 && is_gone(&error) => left -= 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// By what it can be looked up where the answer to its end is lost.
    pub(super) fn sent(&self) -> &SentCommit {
        &self.sent
    }

    /// Sends its end, with what is to be done right before it; what that gives. Statements of one message are done in
    /// turn, and none after one that fails.
    pub(super) async fn end_with(&mut self, last: String) -> Result<Vec<PgRow>, sqlx::Error> {
        let rows = within(timeouts::COMMIT, self.run(AssertSqlSafe(last))).await?;
        self.is_over = true;
        Ok(rows)
    }

    /// Takes it back. Where that is not heard of, it ends with its connection.
    pub(super) async fn roll_back(mut self) {
        self.is_over = within(timeouts::ANSWER, self.run("ROLLBACK")).await.is_ok();
    }

    async fn run(&mut self, statements: impl sqlx::SqlSafeStr) -> Result<Vec<PgRow>, sqlx::Error> {
        sqlx::raw_sql(statements).fetch_all(&mut *self.connection).await
    }
}

/// Begins a read of one moment, as [`Transaction::begin`] does. Dropped, the library takes it back.
pub(super) async fn begin_read(
    pool: &PgPool,
) -> Result<sqlx::Transaction<'static, Postgres>, sqlx::Error> {
    let mut left = pool.options().get_max_connections();
    loop {
        match pool.begin_with(BEGIN_READ).await {
            Err(error) if left > 0 && trouble::is_lost(&error) => left -= 1,
            begun => return begun,
        }
    }
}

/// Whether a connection was lost before anybody asked; a silent one is no reason to ask the next as long.
fn is_gone(error: &sqlx::Error) -> bool {
    trouble::is_lost(error) && !trouble::is_silence(error)
}

impl Deref for Transaction {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.connection
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.connection
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if !self.is_over {
            self.connection.close_on_drop();
        }
    }
}
