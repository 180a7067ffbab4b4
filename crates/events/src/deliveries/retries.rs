//! Which parked events are tried next: the earliest few as the table has them, without those that are out.
//!
//! The table is the truth; this is a look at it that is taken anew when it may have changed. Nothing of it is said there of
//! one whose receiver could not be asked: that it lets the others go first is remembered here, and forgotten with the run.
//! Pure.

use std::collections::{HashMap, HashSet, VecDeque};
use std::mem;

use jiff::Timestamp;

use crate::store::parked::Upcoming;

/// Parked events looked at ahead; those behind them are looked at when these are tried.
pub(super) const UPCOMING_MAX: usize = 128;

/// Parked events of which is remembered that they let the others go first. With more, all of them begin anew.
pub(super) const PUT_OFF_MAX: usize = 1_000;

/// What is to be tried again, and what is being tried.
#[derive(Default)]
pub(super) struct Retries {
    upcoming: VecDeque<Upcoming>,
    /// Of these rows those that were put off, in the order of that.
    late: VecDeque<Upcoming>,
    /// Which were put off, and as the how many-eth.
    put_off: HashMap<i64, u64>,
    puts: u64,
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
    pub(super) fn changed(&mut self) {
        self.is_known = false;
    }

    /// How many rows to look at, so that some are neither out nor put off.
    pub(super) fn wanted(&self) -> usize {
        UPCOMING_MAX + self.out.len() + self.put_off.len()
    }

    /// The earliest in the table.
    pub(super) fn know(&mut self, rows: Vec<Upcoming>) {
        let rows = rows.into_iter().filter(|row| !self.out.contains(&row.turn));
        let is_late = |row: &Upcoming| self.put_off.contains_key(&row.turn);
        let (mut late, upcoming): (Vec<_>, Vec<_>) = rows.partition(is_late);
        late.sort_by_key(|row| self.put_off[&row.turn]);
        (self.late, self.upcoming) = (late.into(), upcoming.into());
        self.is_known = true;
    }

    /// When the next is due.
    pub(super) fn next_at(&self) -> Option<Timestamp> {
        let firsts = self.upcoming.front().into_iter().chain(self.late.front());
        firsts.map(|row| row.next_at).min()
    }

    /// Gives out the first that is due by `now`, of those that were put off only where there is no other.
    pub(super) fn give_out(&mut self, now: Timestamp) -> Option<i64> {
        let is_due = |row: &mut Upcoming| row.next_at <= now;
        let Some(row) = self.upcoming.pop_front_if(is_due) else {
            let late = self.late.pop_front_if(is_due)?;
            self.out.insert(late.turn);
            return Some(late.turn);
        };
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
            self.put_off.remove(&turn);
        }
        self.changed();
    }

    /// It is not out any more, and the table says what of it.
    pub(super) fn back(&mut self, turn: i64) {
        self.out.remove(&turn);
        self.changed();
    }

    /// Its receiver could not be asked: it is as it was, behind the others that are due.
    pub(super) fn put_off(&mut self, turn: i64) {
        if self.put_off.len() >= PUT_OFF_MAX {
            self.put_off.clear();
        }
        self.puts += 1;
        self.put_off.insert(turn, self.puts);
        self.back(turn);
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

    #[test]
    fn what_was_put_off_comes_behind_the_others_that_are_due() {
        let mut retries = Retries::default();
        let now = Timestamp::from_second(5).expect("in range");
        let rows = || vec![row(7, 1), row(8, 2), row(9, 3), row(10, 9)];
        for given in [7, 8, 9, 7] {
            retries.know(rows());
            assert_eq!(retries.give_out(now), Some(given));
            retries.put_off(given);
        }
        retries.know(rows());
        assert_eq!(retries.next_at(), rows().get(1).map(|row| row.next_at), "they are due");
        // What is answered for is put off no more.
        assert_eq!(retries.give_out(now), Some(8));
        retries.writing([8].into_iter());
        retries.stand();
        retries.know(rows());
        let given: Vec<_> = std::iter::from_fn(|| retries.give_out(now)).collect();
        assert_eq!(given, [8, 9, 7]);
    }

    #[test]
    fn no_more_are_remembered_than_the_limit() {
        let mut retries = Retries::default();
        for turn in 0..=PUT_OFF_MAX {
            retries.put_off(i64::try_from(turn).expect("few"));
        }
        assert_eq!(retries.wanted(), UPCOMING_MAX + 1);
    }
}
