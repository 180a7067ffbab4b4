//! Which parked events are tried next: the earliest few as the table has them, without those that are out.
//!
//! The table is the truth; this is a look at it that is taken anew when it may have changed. Nothing of it is said there of
//! one whose receiver could not be asked: that it lets the others go first is remembered here, and forgotten with the run.
//! What is due is kept by its share, since it has its turn with that; where nothing tells events apart, all are one. Pure.

use std::collections::{HashMap, HashSet, VecDeque};
use std::mem;

use jiff::Timestamp;

use crate::share::ShareName;
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
    /// Of them, by share, those that are due.
    due: HashMap<ShareName, DueRows>,
    /// Shares that had something due when the table was looked at last.
    had_due: Vec<ShareName>,
    /// There may be more than were looked at.
    is_cut: bool,
    /// Which were put off, and as the how many-eth.
    put_off: HashMap<i64, u64>,
    puts: u64,
    /// Given out, or answered for and not written yet.
    out: HashSet<i64>,
    /// Of these, what came of it is being written.
    written: Vec<i64>,
    is_known: bool,
}

/// What of a share is due.
#[derive(Default)]
struct DueRows {
    rows: VecDeque<Upcoming>,
    /// Those that were put off.
    late: VecDeque<Upcoming>,
}

impl DueRows {
    fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.late.is_empty()
    }
}

/// Which shares have something due that had nothing, and which have nothing any more.
pub(super) struct DueShares {
    pub(super) due: Vec<ShareName>,
    pub(super) over: Vec<ShareName>,
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

    /// What the table has, [as many as were wanted](Self::wanted).
    pub(super) fn know(&mut self, rows: Vec<Upcoming>) {
        self.is_cut = rows.len() >= self.wanted();
        self.had_due.extend(mem::take(&mut self.due).into_keys());
        let rows = rows.into_iter().filter(|row| !self.out.contains(&row.turn));
        let is_late = |row: &Upcoming| self.put_off.contains_key(&row.turn);
        let (mut late, mut upcoming): (Vec<_>, Vec<_>) = rows.partition(is_late);
        late.sort_by_key(|row| self.put_off[&row.turn]);
        upcoming.sort_by_key(|row| (row.next_at, row.turn));
        (self.late, self.upcoming) = (late.into(), upcoming.into());
        self.is_known = true;
    }

    /// When the next is due.
    pub(super) fn next_at(&self) -> Option<Timestamp> {
        let due = self.due.values().flat_map(|due| due.rows.front().into_iter().chain(&due.late));
        let to_come = self.upcoming.front().into_iter().chain(&self.late);
        due.chain(to_come).map(|row| row.next_at).min()
    }

    /// What is due by `now` is.
    pub(super) fn come_due(&mut self, now: Timestamp) -> DueShares {
        let is_due = |row: &mut Upcoming| row.next_at <= now;
        let mut due = Vec::new();
        let had_due = mem::take(&mut self.had_due);
        while let Some(row) = self.upcoming.pop_front_if(is_due) {
            due.push(row.share.clone());
            self.due.entry(row.share.clone()).or_default().rows.push_back(row);
        }
        let (late, to_come) =
            mem::take(&mut self.late).into_iter().partition(|it| it.next_at <= now);
        self.late = to_come;
        for row in Vec::from(late) {
            due.push(row.share.clone());
            self.due.entry(row.share.clone()).or_default().late.push_back(row);
        }
        let is_over = |share: &ShareName| !self.due.contains_key(share);
        DueShares { due, over: had_due.into_iter().filter(is_over).collect() }
    }

    /// Gives out the first of a share that is due, of those that were put off only where there is no other.
    pub(super) fn give_out(&mut self, share: &ShareName) -> Option<i64> {
        let due = self.due.get_mut(share)?;
        let row = due.rows.pop_front();
        // There may be more than were looked at.
        self.is_known &= row.is_none() || !due.rows.is_empty() || !self.is_cut;
        let given = row.or_else(|| due.late.pop_front());
        if due.is_empty() {
            self.due.remove(share);
        }
        self.out.extend(given.as_ref().map(|row| row.turn));
        given.map(|row| row.turn)
    }

    /// Whether something of it is due.
    pub(super) fn has_due(&self, share: &ShareName) -> bool {
        self.due.contains_key(share)
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
        row_of("", turn, second)
    }

    fn row_of(share: &str, turn: i64, second: i64) -> Upcoming {
        let next_at = Timestamp::from_second(second).expect("in range");
        Upcoming { turn, next_at, share: ShareName::of(share) }
    }

    fn give_out(retries: &mut Retries, now: Timestamp) -> Option<i64> {
        retries.come_due(now);
        retries.give_out(&ShareName::none())
    }

    #[test]
    fn what_is_due_is_given_out_once_until_it_is_back() {
        let mut retries = Retries::default();
        let now = |second| Timestamp::from_second(second).expect("in range");
        let rows = || vec![row(7, 1), row(8, 2), row(9, 5)];
        retries.know(rows());
        let mut next = |second| give_out(&mut retries, now(second));
        assert_eq!([next(2), next(2), next(2)], [Some(7), Some(8), None]);
        assert_eq!(retries.next_at(), Some(now(5)));
        // The rows are there as they were, until what came of them is written.
        retries.know(rows());
        assert_eq!(give_out(&mut retries, now(2)), None);
        retries.back(8);
        assert!(!retries.is_known());
        retries.know(rows());
        let mut next = |second| give_out(&mut retries, now(second));
        assert_eq!([next(2), next(2)], [Some(8), None]);
        assert_eq!(retries.wanted(), UPCOMING_MAX + 2);
    }

    #[test]
    fn what_was_put_off_comes_behind_the_others_that_are_due() {
        let mut retries = Retries::default();
        let now = Timestamp::from_second(5).expect("in range");
        let rows = || vec![row(7, 1), row(8, 2), row(9, 3), row(10, 9)];
        for given in [7, 8, 9, 7] {
            retries.know(rows());
            assert_eq!(give_out(&mut retries, now), Some(given));
            retries.put_off(given);
        }
        retries.know(rows());
        assert_eq!(retries.next_at(), rows().first().map(|row| row.next_at), "they are due");
        // What is answered for is put off no more.
        assert_eq!(give_out(&mut retries, now), Some(8));
        retries.writing([8].into_iter());
        retries.stand();
        retries.know(rows());
        let given: Vec<_> = std::iter::from_fn(|| give_out(&mut retries, now)).collect();
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

    #[test]
    fn what_is_due_is_so_by_its_share_until_the_table_says_otherwise() {
        let mut retries = Retries::default();
        let now = Timestamp::from_second(5).expect("in range");
        let [a, b] = ["a", "b"].map(ShareName::of);
        retries.know(vec![
            row_of("a", 1, 1),
            row_of("b", 2, 2),
            row_of("a", 3, 3),
            row_of("b", 4, 9),
        ]);
        let DueShares { due, over } = retries.come_due(now);
        assert_eq!((due, over), (vec![a.clone(), b.clone(), a.clone()], Vec::new()));
        assert_eq!([retries.give_out(&a), retries.give_out(&a)], [Some(1), Some(3)]);
        assert_eq!([retries.has_due(&a), retries.has_due(&b)], [false, true]);
        assert!(retries.is_known(), "all that there are were looked at");
        retries.know(vec![row_of("a", 5, 3)]);
        let DueShares { due, over } = retries.come_due(now);
        assert_eq!((due, over), (vec![a.clone()], vec![b]));
    }

    #[test]
    fn where_there_may_be_more_of_a_share_the_table_is_looked_at_again() {
        let mut retries = Retries::default();
        let others =
            (2..=i64::try_from(UPCOMING_MAX).expect("few")).map(|turn| row_of("b", turn, 1));
        retries.know(std::iter::once(row_of("a", 1, 1)).chain(others).collect());
        retries.come_due(Timestamp::from_second(5).expect("in range"));
        assert_eq!(retries.give_out(&ShareName::of("b")), Some(2));
        assert!(retries.is_known(), "there are more of it");
        assert_eq!(retries.give_out(&ShareName::of("a")), Some(1));
        assert!(!retries.is_known());
    }
}
