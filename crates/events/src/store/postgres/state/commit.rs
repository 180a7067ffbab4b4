//! The last message of a piece of work: its events are numbered, and it is committed.
//!
//! What must stay true: nobody is told that nothing was done where something may stand, nor the other way round; and
//! nobody is told that something stands which is not on disk. So the transaction's id is known before COMMIT is sent,
//! and its answer is that of what waits for the disk behind it. Where the answer is lost, [`look_up`](super::look_up)
//! finds out what became of that id, and where that cannot be had, this is what is said.

use super::look_up::{Fate, LookedUp, SentCommit, look_up};
use super::open::OpenSchema;
use super::outbox::{self, Drafts};
use super::transaction::Transaction;
use crate::error::Error;
use crate::partition::Numbered;
use crate::store::postgres::trouble;

/// What became of a piece of work.
pub(super) enum Committed {
    Stands,
    /// Nothing stands, because another transaction was in the way.
    InTheWay(Error),
    /// Nothing stands.
    Failed(Error),
    /// It stands or not, and nobody can say which.
    Unknown(Error),
}

impl Committed {
    fn refused(error: sqlx::Error) -> Committed {
        if trouble::is_in_the_way(&error) {
            return Committed::InTheWay(trouble::from(error));
        }
        Committed::Failed(trouble::from(error).of_the_transaction())
    }
}

/// Numbers what was drafted, in the last statement before the commit, and commits; waits for the disk also where nothing
/// of its own is to be there, but what others have committed `is_answer_alone`.
pub(super) async fn commit(
    open: &OpenSchema,
    mut transaction: Transaction,
    mut drafts: Drafts,
    is_answer_alone: bool,
) -> Committed {
    match transaction.end_with(drafts.publish_and_commit(is_answer_alone)).await {
        Ok(rows) => match outbox::numbers(&rows) {
            Ok(numbers) => stands(open, &drafts.numbered(&numbers)),
            // It stands, whatever became of the words: the numbers are asked for by the events' ids.
            Err(error) => lost(open, &drafts, transaction.sent(), error).await,
        },
        // It was refused, unless that was what waits for the disk behind its end: then it is looked up.
        Err(error) if trouble::is_answer(&error) => {
            let (sent, is_over) = (transaction.sent().clone(), drafts.is_empty());
            transaction.roll_back().await;
            if is_over || trouble::is_in_the_way(&error) {
                return Committed::refused(error);
            }
            lost(open, &drafts, &sent, error).await
        }
        Err(error) => {
            let sent = transaction.sent().clone();
            // Its connection is closed by that; what asks below is another one.
            drop(transaction);
            lost(open, &drafts, &sent, error).await
        }
    }
}

/// Finds out what the answer would have said.
async fn lost(
    open: &OpenSchema,
    drafts: &Drafts,
    sent: &SentCommit,
    error: sqlx::Error,
) -> Committed {
    let id = &sent.id;
    tracing::warn!(%error, id, "a commit is not answered with its numbers: its transaction is looked up");
    let LookedUp { fate, numbers } = look_up(open, drafts, sent).await;
    match fate {
        Fate::Stands => stands(open, &drafts.numbered(&numbers)),
        Fate::TakenBack => Committed::refused(error),
        Fate::Unknown => {
            let what = format!("the answer to the commit of transaction {id} is lost: {error}");
            tracing::error!(what, "it is not known whether a piece of work stands");
            Committed::Unknown(Error::Unknown { what })
        }
    }
}

fn stands(open: &OpenSchema, numbers: &[Numbered]) -> Committed {
    // Before the work is answered: whoever reads its position finds the newest numbers to be at least these.
    open.raise(numbers);
    Committed::Stands
}
