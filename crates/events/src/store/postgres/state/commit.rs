//! The last message of a piece of work: its events are numbered, and it is committed.
//!
//! What must stay true: nobody is told that nothing was done where something may stand, nor the other way round. So
//! the transaction's id is known before COMMIT is sent. A server that answers has decided; where the answer is
//! lost, the server is asked what became of that id until it is no longer under way, however long that takes.

use std::time::Duration;

use sqlx::{AssertSqlSafe, PgPool};

use super::open::OpenSchema;
use super::outbox::{self, Drafts};
use super::transaction::Transaction;
use crate::error::Error;
use crate::partition::Numbered;
use crate::store::postgres::trouble;
use crate::wait::Backoff;

/// The pause before a transaction that is still under way is asked for again.
const ASKED_EVERY: Duration = Duration::from_millis(20);

/// What became of a piece of work.
pub(super) enum Committed {
    Stands,
    /// Nothing stands, because another transaction was in the way.
    InTheWay(Error),
    /// Nothing stands.
    Failed(Error),
}

impl Committed {
    fn refused(error: sqlx::Error) -> Committed {
        if trouble::is_in_the_way(&error) {
            return Committed::InTheWay(trouble::from(error));
        }
        Committed::Failed(for_everybody(trouble::from(error)))
    }
}

/// What fails a transaction as a whole is no work's own mistake: nothing was done.
fn for_everybody(error: Error) -> Error {
    match error {
        same @ (Error::Environment { .. } | Error::Damaged { .. } | Error::Closed) => same,
        other => {
            let what = format!("the transaction failed: {other}");
            Error::Environment { what, source: Some(std::sync::Arc::new(other)) }
        }
    }
}

/// Numbers what was drafted, in the last statement before the commit, and commits.
pub(super) async fn commit(
    open: &OpenSchema,
    mut transaction: Transaction,
    mut drafts: Drafts,
) -> Committed {
    match transaction.end_with(drafts.publish_and_commit()).await {
        Ok(rows) => match outbox::numbers(&rows) {
            Ok(numbers) => stands(open, &drafts.numbered(&numbers)),
            // It stands, whatever became of the words: the numbers are asked for by the events' ids.
            Err(_) => stands(open, &drafts.numbered(&numbers_of(open, &drafts).await)),
        },
        Err(error) if trouble::is_answer(&error) => {
            transaction.roll_back().await;
            Committed::refused(error)
        }
        Err(error) => {
            let id = transaction.id().to_owned();
            tracing::warn!(%error, id, "the answer to a commit is lost: its transaction is looked up");
            // Its connection is closed by that; what asks below is another one.
            drop(transaction);
            if !was_committed(&open.pool, &id).await {
                return Committed::Failed(trouble::from(error));
            }
            stands(open, &drafts.numbered(&numbers_of(open, &drafts).await))
        }
    }
}

fn stands(open: &OpenSchema, numbers: &[Numbered]) -> Committed {
    // Before the work is answered: whoever reads its position finds the newest numbers to be at least these.
    open.raise(numbers);
    Committed::Stands
}

/// What was numbered, asked until it is known. A row that is kept no more was relayed long ago: what is newest covers it.
async fn numbers_of(open: &OpenSchema, drafts: &Drafts) -> Vec<i64> {
    let topic = open.kept.publishes.as_ref().map_or("", |it| it.topic.as_str());
    let (mut backoff, select) = (Backoff::new(), outbox::numbers_of(&open.place));
    loop {
        let asked =
            sqlx::query_scalar(AssertSqlSafe(select.clone())).bind(topic).bind(drafts.ids());
        match asked.bind(drafts.places()).fetch_all(&open.pool).await {
            Ok(numbers) => return numbers,
            Err(error) => {
                tracing::warn!(%error, "how a transaction that stands was numbered cannot be asked yet");
                tokio::time::sleep(backoff.next()).await;
            }
        }
    }
}

/// Asks until it is known.
async fn was_committed(pool: &PgPool, id: &str) -> bool {
    let mut backoff = Backoff::new();
    loop {
        let asked = sqlx::query_scalar("SELECT pg_xact_status($1::TEXT::XID8)").bind(id);
        let status: Result<Option<String>, _> = asked.fetch_one(pool).await;
        match status {
            Ok(Some(status)) if status == "committed" => return true,
            Ok(Some(status)) if status == "in progress" => tokio::time::sleep(ASKED_EVERY).await,
            // Aborted, or of a time that this server has no record of, which a commit of now is not.
            Ok(_) => return false,
            Err(error) => {
                tracing::warn!(%error, id, "whether a transaction stands cannot be asked yet");
                tokio::time::sleep(backoff.next()).await;
            }
        }
    }
}
