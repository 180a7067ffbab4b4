//! What deliveries came to, written in one transaction: parked events, marks, the place, and what is settled beyond it.
//!
//! It is fenced by the place and by the run's number: who finds another place there than he knows writes nothing, because an
//! operator moved it, and who finds another run has lost the partition to it, be it that the place has not moved since. What
//! stands, stands together: an event that the place passed is handled, parked or a second copy.

use std::sync::Arc;

use super::Answer;
use crate::broker::{Offset, Stored};
use crate::error::Error;
use crate::parking::{Standing, Wait, how_to_skip};
use crate::store::expired::{self, Passed};
use crate::store::inbox::{Assigned, Marks, Place};
use crate::store::trials::{self, Trial};
use crate::store::tx::Tx;
use crate::store::{ahead, delivery_runs, parked};
use crate::subscription::BATCH_MAX;
use crate::subscription::context::Lane;
use crate::subscription::gaps;

/// What one transaction is to write.
pub(super) struct Settlement {
    pub(super) lane: Lane,
    /// Which run writes it.
    pub(super) run: u64,
    /// The place as whoever writes knows it.
    pub(super) after: Offset,
    /// Settled from there on, without a gap.
    pub(super) first: Vec<Arc<Stored>>,
    /// Settled beyond.
    pub(super) ahead: Vec<Arc<Stored>>,
    pub(super) outcomes: Outcomes,
}

/// What is to be said of events that failed once.
#[derive(Default)]
pub(super) struct Outcomes {
    /// To be parked, those of a key in order.
    pub(super) parks: Vec<Park>,
    /// Parked ones that were tried.
    pub(super) retried: Vec<Retried>,
    /// Passed, because their deadline had come.
    pub(super) expired: Vec<Passed>,
    /// Of those that were tried by themselves.
    pub(super) trials: Vec<TrialOutcome>,
}

/// What came of an attempt that was noted.
pub(super) enum TrialOutcome {
    Answered(Trial),
    /// Nobody was asked.
    NotTried(Trial),
}

impl TrialOutcome {
    pub(super) fn of(answer: &Answer, trial: Trial) -> TrialOutcome {
        match answer {
            Answer::NotNow => TrialOutcome::NotTried(trial),
            Answer::Acknowledged | Answer::Failed(_) => TrialOutcome::Answered(trial),
        }
    }
}

/// An event that is to be parked.
pub(super) struct Park {
    pub(super) stored: Arc<Stored>,
    pub(super) attempts: u32,
    pub(super) wait: Wait,
    pub(super) reason: String,
}

/// A parked event that was tried.
pub(super) struct Retried {
    pub(super) turn: i64,
    pub(super) outcome: RetryOutcome,
}

pub(super) enum RetryOutcome {
    Handled { key: String },
    Failed { attempts: u32, wait: Wait, reason: String },
}

/// What became of a settlement.
#[derive(Debug)]
pub(super) enum Written {
    /// The place is another one: nothing was written.
    Elsewhere,
    /// Another run has begun in this partition: nothing was written.
    Superseded,
    /// It stands.
    At {
        position: Offset,
        /// Events of the subscription that are parked.
        parked: u64,
    },
}

impl Park {
    /// Behind others of its key.
    pub(super) fn behind(stored: Arc<Stored>) -> Park {
        Park { stored, attempts: 0, wait: Wait::Turn, reason: String::new() }
    }
}

impl RetryOutcome {
    /// The parked row is no event any more: nobody can try it.
    pub(super) fn hurt(attempts: u32, error: &Error, subscription: &str) -> RetryOutcome {
        let skip = how_to_skip(subscription);
        let reason = format!("the parked row is no event any more: {error}; {skip}");
        RetryOutcome::Failed { attempts, wait: Wait::Operator, reason }
    }
}

impl Outcomes {
    /// How many more events may be passed before these are written: one transaction writes a row for each.
    pub(super) fn room_to_pass(&self) -> usize {
        BATCH_MAX.saturating_sub(self.expired.len())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.parks.is_empty()
            && self.retried.is_empty()
            && self.trials.is_empty()
            && self.expired.is_empty()
    }
}

impl Settlement {
    /// Whether there is nothing to write.
    pub(super) fn is_empty(&self) -> bool {
        self.first.is_empty() && self.ahead.is_empty() && self.outcomes.is_empty()
    }

    /// Whether it changes what is parked.
    pub(super) fn touches_parked(&self) -> bool {
        !self.outcomes.parks.is_empty() || !self.outcomes.retried.is_empty()
    }

    /// Writes it, unless the place is another one, or the partition another run's.
    ///
    /// # Errors
    /// Nothing of it stands.
    pub(super) async fn write(&self, tx: &mut Tx<'_>) -> Result<Written, Error> {
        let of = self.lane.assigned();
        if Place::lock(tx, of).await?.position != self.after {
            return Ok(Written::Elsewhere);
        }
        if delivery_runs::latest(tx, of).await? != self.run {
            return Ok(Written::Superseded);
        }
        // In this order: what is parked behind a retried event has to be there when its turn comes.
        self.park(tx, of).await?;
        self.note_retries(tx, of).await?;
        self.end_trials(tx, of).await?;
        let position = self.move_place(tx, of).await?;
        ahead::save(tx, of, &self.ahead).await?;
        expired::mark(tx, of, &self.outcomes.expired).await?;
        let parked = parked::count(tx, of.subscription).await?;
        Ok(Written::At { position, parked })
    }

    async fn park(&self, tx: &mut Tx<'_>, of: Assigned<'_>) -> Result<(), Error> {
        let now = tx.now();
        for Park { stored, attempts, wait, reason } in &self.outcomes.parks {
            let standing = Standing { attempts: *attempts, wait: *wait, reason };
            let share = self.lane.context.share_of(&stored.event);
            parked::park(tx, of, stored, standing, &share, now).await?;
        }
        Ok(())
    }

    async fn note_retries(&self, tx: &mut Tx<'_>, of: Assigned<'_>) -> Result<(), Error> {
        let now = tx.now();
        for Retried { turn, outcome } in &self.outcomes.retried {
            match outcome {
                RetryOutcome::Handled { key } => {
                    parked::handled(tx, of.subscription, *turn, key, now).await?;
                }
                RetryOutcome::Failed { attempts, wait, reason } => {
                    let standing = Standing { attempts: *attempts, wait: *wait, reason };
                    parked::failed(tx, *turn, standing).await?;
                }
            }
        }
        Ok(())
    }

    async fn end_trials(&self, tx: &mut Tx<'_>, of: Assigned<'_>) -> Result<(), Error> {
        for outcome in &self.outcomes.trials {
            match outcome {
                TrialOutcome::Answered(trial) => trials::answered(tx, of, *trial).await?,
                TrialOutcome::NotTried(trial) => trials::withdraw(tx, of, *trial).await?,
            }
        }
        Ok(())
    }

    /// Marks and place, over what is settled without a gap.
    async fn move_place(&self, tx: &mut Tx<'_>, of: Assigned<'_>) -> Result<Offset, Error> {
        let Some(last) = self.first.last() else { return Ok(self.after) };
        let mut marks = Marks::new(of);
        for stored in &self.first {
            marks.receive(tx, stored).await?;
        }
        for gap in marks.gaps() {
            gaps::note(tx, of, gap).await?;
        }
        marks.save(tx).await?;
        Place::of(last).save(tx, of).await?;
        ahead::forget(tx, of, last.offset).await?;
        Ok(last.offset)
    }
}
