//! A round's parked events: which are next, what an attempt at one is made at, and what came of it.
//!
//! The table is the truth ([`Retries`](crate::deliveries::retries::Retries) is a look at it), so an event is read there when
//! its turn comes and its outcome goes back there with the next write. Whether it is its turn, or one of the window's, the
//! round decides.

use jiff::Timestamp;

use super::Round;
use crate::broker::Offset;
use crate::deliveries::attempts::{DueEvent, Job};
use crate::deliveries::retries::DueShares;
use crate::deliveries::settlement::{Retried, RetryOutcome};
use crate::deliveries::{Answer, Receiver};
use crate::error::Error;
use crate::share::ShareName;
use crate::store::expired::Passed;
use crate::store::options::Reading;
use crate::store::parked::{self, Parked};

impl<R: Receiver> Round<R> {
    /// Looks which parked events are next, where that is not known.
    pub(in crate::deliveries) async fn look_at_retries(&mut self) -> Result<(), Error> {
        if self.retries.is_known() {
            return Ok(());
        }
        let given = (&self.lane, self.retries.wanted());
        let database = &self.lane.context.database;
        let read = database.read_by(Reading::Statement, &given, |(lane, limit), rows| {
            Box::pin(parked::upcoming(rows, lane.assigned(), *limit, lane.context.due_order()))
        });
        let rows = read.await?;
        self.retries.know(rows);
        Ok(())
    }

    /// What is due by now has its turns.
    pub(super) fn look_what_is_due(&mut self, now: Timestamp) {
        let DueShares { due, over } = self.retries.come_due(now);
        let turns = self.window.turns();
        over.iter().for_each(|share| turns.set_due(share, false));
        due.iter().for_each(|share| turns.set_due(share, true));
    }

    /// What of this share is tried again, if there still is something.
    pub(super) async fn retry_of(&mut self, share: ShareName) -> Result<Option<Job>, Error> {
        let Some(turn) = self.retries.give_out(&share) else {
            self.window.turns().set_due(&share, false);
            return Ok(None);
        };
        self.window.turns().take_due(&share, self.retries.has_due(&share));
        let job = self.retry(turn, &share).await;
        if !matches!(job, Ok(Some(_))) {
            // Nobody is asked.
            self.window.turns().over(&share);
        }
        job
    }

    /// The parked event of this turn, if it is one.
    async fn retry(&mut self, turn: i64, share: &ShareName) -> Result<Option<Job>, Error> {
        let database = &self.lane.context.database;
        let read = database.read_by(Reading::Statement, &turn, |turn, rows| {
            Box::pin(parked::of_turn(rows, *turn))
        });
        let Some(Parked { turn, at, key, attempts, event }) = read.await? else {
            self.retries.back(turn);
            return Ok(None);
        };
        match event {
            Ok(event) if event.is_expired((self.lane.context.clock)()) => {
                self.window.unparked(&key);
                self.note_retry(turn, RetryOutcome::Handled { key });
                self.outcomes.expired.push(Passed { at: Offset(at.number), id: event.id });
                Ok(None)
            }
            Ok(event) => {
                let attempts = attempts.saturating_add(1);
                let (at, share) = (Offset(at.number), share.clone());
                let due = DueEvent { turn, at, key, share, attempts, event };
                Ok(Some(Job::Retry(Box::new(due))))
            }
            Err(error) => {
                let hurt = RetryOutcome::hurt(attempts, &error, &self.lane.context.name);
                self.note_retry(turn, hurt);
                Ok(None)
            }
        }
    }

    /// What came of an attempt at a parked event.
    pub(super) fn take_retried(&mut self, due: DueEvent, answer: Answer) {
        let DueEvent { turn, key, share, attempts, event, .. } = due;
        self.window.turns().over(&share);
        // Nobody was asked: no attempt.
        self.lane.workload().add_retries(usize::from(answer != Answer::NotNow));
        match answer {
            Answer::NotNow => self.retries.put_off(turn),
            Answer::Acknowledged => {
                self.window.unparked(&key);
                self.note_retry(turn, RetryOutcome::Handled { key });
            }
            Answer::Failed(reason) => {
                let wait = self.after_failure(&event, attempts, &reason);
                self.note_retry(turn, RetryOutcome::Failed { attempts, wait, reason });
            }
        }
    }

    fn note_retry(&mut self, turn: i64, outcome: RetryOutcome) {
        self.outcomes.retried.push(Retried { turn, outcome });
    }
}
