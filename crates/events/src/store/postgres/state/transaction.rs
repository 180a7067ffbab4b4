//! A transaction on a connection of the pool, whose last statement and COMMIT go in one message.
//!
//! The library's own sends COMMIT by itself, so that what its last statement locked is held for a client's round trip
//! more. What must stay true here, too: a connection on which a transaction may be open never goes back to the pool.

use std::ops::{Deref, DerefMut};

use sqlx::pool::PoolConnection;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, PgPool, Postgres};

/// Dropped before its end, its connection is closed, and with that it is taken back.
pub(super) struct Transaction {
    connection: PoolConnection<Postgres>,
    is_over: bool,
}

impl Transaction {
    /// Begins one, on a connection that answers.
    pub(super) async fn begin(pool: &PgPool) -> Result<Transaction, sqlx::Error> {
        let connection = pool.acquire().await?;
        let mut begun = Transaction { connection, is_over: false };
        begun.run("BEGIN").await?;
        Ok(begun)
    }

    /// Sends its end, with what is to be done right before it; what that gives. Statements of one message are done in
    /// turn, and none after one that fails.
    pub(super) async fn end_with(&mut self, last: &'static str) -> Result<Vec<PgRow>, sqlx::Error> {
        let rows = self.run(last).await?;
        self.is_over = true;
        Ok(rows)
    }

    /// Takes it back. Where that is not heard of, it ends with its connection.
    pub(super) async fn roll_back(mut self) {
        self.is_over = self.run("ROLLBACK").await.is_ok();
    }

    async fn run(&mut self, statements: &'static str) -> Result<Vec<PgRow>, sqlx::Error> {
        sqlx::raw_sql(statements).fetch_all(&mut *self.connection).await
    }
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
