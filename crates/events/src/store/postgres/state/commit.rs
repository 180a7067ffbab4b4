//! The last message of a piece of work: its events are numbered, and it is committed.
//!
//! What must stay true: nobody is told that nothing was done where something may stand, nor the other way round; and
//! nobody is told that something stands which is not on disk. So the transaction's id is known before COMMIT is sent,
//! and its answer is that of what waits for the disk behind it, [alone or together](DiskWait). Where the answer is lost,
//! [`look_up`](super::look_up) finds out what became of that id, and where that cannot be had, this is what is said.

use super::flushes::Turn;
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

/// How a piece of work that is committed waits for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DiskWait {
    /// By its COMMIT, as it is: it published nothing.
    AsEver,
    /// By a record of its own, in the same message.
    Alone,
    /// By a record behind many.
    Together(Turn),
}

impl DiskWait {
    /// How work waits that publishes, or whose answer may be what others have committed a moment ago, with so many under
    /// way, its own included. A record of its own costs no message more, so who commits alone sends one.
    pub(super) fn beside(open: &OpenSchema, works: usize) -> DiskWait {
        let turn = if works > 1 { open.flushes.turn(works) } else { None };
        turn.map_or(DiskWait::Alone, DiskWait::Together)
    }
}

/// Numbers what was drafted, in the last statement before the commit, and commits; resolves once it is on disk.
pub(super) async fn commit(
    open: &OpenSchema,
    mut transaction: Transaction,
    mut drafts: Drafts,
    wait: DiskWait,
) -> Committed {
    let last = drafts.publish_and_commit(wait == DiskWait::Alone);
    match transaction.end_with(last).await {
        Ok(rows) => {
            let sent = transaction.sent().clone();
            // While many wait for the disk others may have the connection.
            drop(transaction);
            if let DiskWait::Together(turn) = wait
                && let Err(error) = open.flushes.flushed(turn).await
            {
                return lost(open, &drafts, &sent, error).await;
            }
            match outbox::numbers(&rows, drafts.len()) {
                Ok(numbers) => stands(open, &drafts.numbered(&numbers)),
                // It stands, whatever became of the words: the numbers are asked for by the events' ids.
                Err(error) => lost(open, &drafts, &sent, error).await,
            }
        }
        // It was refused, unless that was what waits for the disk behind its end: then it is looked up.
        Err(error) if trouble::is_answer(&error) => {
            let sent = transaction.sent().clone();
            transaction.roll_back().await;
            if wait != DiskWait::Alone || drafts.is_empty() || trouble::is_in_the_way(&error) {
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
