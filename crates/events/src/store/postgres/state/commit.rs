//! The last statements of a piece of work: its events are numbered, and it is committed.
//!
//! What must stay true: nobody is told that nothing was done where something may stand, nor the other way round. So
//! the transaction's id is known before COMMIT is sent. A server that answers has decided; where the answer is
//! lost, the server is asked what became of that id until it is no longer under way, however long that takes.

use std::time::Duration;

use sqlx::{PgPool, Postgres, Transaction};

use super::open::Open;
use super::outbox::Drafts;
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
    open: &Open,
    mut transaction: Transaction<'static, Postgres>,
    drafts: Drafts,
) -> Committed {
    let topic = open.kept.publishes.as_ref().map_or("", |it| it.topic.as_str());
    let known = "SELECT pg_current_xact_id_if_assigned()::TEXT";
    let id: Result<Option<String>, _> = if drafts.len() == 0 {
        sqlx::query_scalar(known).fetch_one(&mut *transaction).await
    } else {
        // Before the locks: between them and the commit there is no other wait.
        let assigned = "SELECT pg_current_xact_id()::TEXT";
        sqlx::query_scalar(assigned).fetch_one(&mut *transaction).await
    };
    let id = match id {
        Ok(id) => id,
        Err(error) => return Committed::refused(error),
    };
    let numbers = match drafts.insert(&mut transaction, topic).await {
        Ok(numbers) => numbers,
        Err(error) => return Committed::refused(error),
    };
    // Without an id it has changed nothing, and there is nothing that could stand or not.
    let Some(id) = id else {
        return transaction.commit().await.map_or_else(Committed::refused, |()| Committed::Stands);
    };
    match transaction.commit().await {
        Ok(()) => stands(open, &numbers),
        Err(error) if trouble::is_answer(&error) => Committed::refused(error),
        Err(error) => {
            tracing::warn!(%error, id, "the answer to a commit is lost: its transaction is looked up");
            if was_committed(&open.pool, &id).await {
                return stands(open, &numbers);
            }
            Committed::Failed(trouble::from(error))
        }
    }
}

fn stands(open: &Open, numbers: &[Numbered]) -> Committed {
    open.raise(numbers);
    Committed::Stands
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
