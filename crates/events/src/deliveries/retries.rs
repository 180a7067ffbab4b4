//! Which parked events are tried next: the earliest few as the table has them, without those that are out.
//!
//! The table is the truth; this is a look at it that is taken anew when it may have changed. Pure.

use std::collections::{HashSet, VecDeque};
use std::mem;

use jiff::Timestamp;

use crate::store::parked::Upcoming;

/// Parked events looked at ahead; those behind them are looked at when these are tried.
pub(super) const UPCOMING_MAX: usize = 128;

/// What is to be tried again, and what is being tried.
#[derive(Default)]
pub(super) struct Retries {
    upcoming: VecDeque<Upcoming>,
    /// Given out, or answered for and not written yet.
    out: HashSet<i64>,
    /// Of these, what came of it is being written.
    written: Vec<i64>,
    is_known: bool,
}

impl Retries {
    /// Whether the table has to be looked at.
    pub(super) fn is_known(&self) -> bool {
        self.is_known
    }

    /// The table may have changed.
    fn changed(&mut self) {
        self.is_known = false;
    }

    /// How many rows to look at, so that some are not out.
    pub(super) fn wanted(&self) -> usize {
        UPCOMING_MAX + self.out.len()
    }

    /// The earliest in the table.
    pub(super) fn know(&mut self, rows: Vec<Upcoming>) {
        self.upcoming = rows.into_iter().filter(|row| !self.out.contains(&row.turn)).collect();
        self.is_known = true;
    }

    /// When the next is due.
    pub(super) fn next_at(&self) -> Option<Timestamp> {
        self.upcoming.front().map(|row| row.next_at)
    }

    /// Gives out the first that is due by `now`.
    pub(super) fn give_out(&mut self, now: Timestamp) -> Option<i64> {
        let row = self.upcoming.pop_front_if(|row| row.next_at <= now)?;
        self.out.insert(row.turn);
        // There may be more than were looked at.
        self.is_known = !self.upcoming.is_empty();
        Some(row.turn)
    }

    /// What came of these is being written.
    pub(super) fn writing(&mut self, turns: impl Iterator<Item = i64>) {
        self.written.extend(turns);
    }

    /// What was written stands.
    pub(super) fn stand(&mut self) {
        for turn in mem::take(&mut self.written) {
            self.out.remove(&turn);
        }
        self.changed();
    }

    /// It is not out any more, and the table says what of it.
    pub(super) fn back(&mut self, turn: i64) {
        self.out.remove(&turn);
        self.changed();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(turn: i64, second: i64) -> Upcoming {
        Upcoming { turn, next_at: Timestamp::from_second(second).expect("in range") }
    }

    #[test]
    fn what_is_due_is_given_out_once_until_it_is_back() {
        let mut retries = Retries::default();
        let now = |second| Timestamp::from_second(second).expect("in range");
        let rows = || vec![row(7, 1), row(8, 2), row(9, 5)];
        retries.know(rows());
        assert_eq!([retries.give_out(now(2)), retries.give_out(now(2))], [Some(7), Some(8)]);
        assert_eq!((retries.give_out(now(2)), retries.next_at()), (None, Some(now(5))));
        // The rows are there as they were, until what came of them is written.
        retries.know(rows());
        assert_eq!(retries.give_out(now(2)), None);
        retries.back(8);
        assert!(!retries.is_known());
        retries.know(rows());
        assert_eq!([retries.give_out(now(2)), retries.give_out(now(2))], [Some(8), None]);
        assert_eq!(retries.wanted(), UPCOMING_MAX + 2);
    }
}
