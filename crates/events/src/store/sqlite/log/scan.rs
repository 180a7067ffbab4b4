//! Checking rows one after the other, as a fold that knows nothing of tables.
//!
//! A hurt row is noted and the scan goes on from what the row says of itself: the rest stays
//! readable and is checked too. Neighbouring rows hurt in the same way become one stretch.

use super::chain::Chain;
use super::jumps::Jumps;
use super::walk::{Begun, Damage, StoredRow, Walk};
use crate::error::Error;

/// Rows per read transaction of a long check.
pub(super) const PAGE: usize = 1000;

/// Stretches noted; past it a log is hurt all over and more lines help nobody.
const STRETCHES_MAX: usize = 100;

/// A check on its way: where it is, and what it found so far.
pub(super) struct Scan<'t> {
    walk: Walk<'t>,
    exhausted: bool,
    sound: u64,
    hurt: Vec<Stretch>,
}

/// What a check found in one partition.
pub(crate) struct Condition {
    /// How many rows are sound.
    pub(crate) sound: u64,
    /// What is hurt, at most [`STRETCHES_MAX`] stretches.
    pub(crate) damage: Vec<Error>,
}

/// Rows that are hurt in the same way.
#[derive(Debug, PartialEq, Eq)]
struct Stretch {
    from: u64,
    to: u64,
    what: String,
}

impl<'t> Scan<'t> {
    /// Goes on after the row `at`, whose chain is `chain`.
    pub(super) fn new(jumps: &'t Jumps, seed: Chain, at: u64, chain: Chain) -> Scan<'t> {
        let Begun { walk, jump } = Walk::from(jumps, seed, at, Some(chain));
        let mut scan = Scan { walk, exhausted: false, sound: 0, hurt: Vec::new() };
        jump.into_iter().for_each(|hurt| scan.note(hurt));
        scan
    }

    /// The last offset looked at; past all of them once there are no more rows.
    pub(super) fn at(&self) -> u64 {
        if self.exhausted { u64::MAX } else { self.walk.at() }
    }

    /// Looks at the row that comes next.
    pub(super) fn row(&mut self, row: &StoredRow<'_>) {
        let step = self.walk.step(row);
        self.sound += u64::from(step.row.is_none() && row.removed_from().is_none());
        [step.gap, step.row, step.jump].into_iter().flatten().for_each(|hurt| self.note(hurt));
    }

    /// There are no rows after this one.
    pub(super) fn exhausted(&mut self) {
        self.exhausted = true;
    }

    /// The rest up to `end` cannot be read at all.
    pub(super) fn unreadable(&mut self, end: u64, error: &Error) {
        self.add(Stretch { from: self.walk.at() + 1, to: end, what: error.to_string() });
        self.exhausted();
    }

    /// What was found up to `end`, each hurt stretch as `describe` puts it.
    pub(super) fn finish(
        self,
        end: u64,
        describe: impl Fn(u64, u64, String) -> Error,
    ) -> Condition {
        let hurt = self.hurt.into_iter().filter(|stretch| stretch.from <= end);
        let damage = hurt.map(|it| describe(it.from, it.to, it.what)).collect();
        Condition { sound: self.sound, damage }
    }

    fn note(&mut self, Damage { from, to, what }: Damage) {
        self.add(Stretch { from, to, what: what.to_owned() });
    }

    /// Joins a neighbour that is hurt in the same way; past the limit it is only not listed.
    fn add(&mut self, next: Stretch) {
        if let Some(last) = self.hurt.last_mut()
            && last.to + 1 == next.from
            && last.what == next.what
        {
            last.to = next.to;
        } else if self.hurt.len() < STRETCHES_MAX {
            self.hurt.push(next);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::log::walk::own;

    /// A row that a test may hurt.
    #[derive(Clone)]
    struct Stored {
        offset: u64,
        crc: u32,
        own: Option<u32>,
        record: Vec<u8>,
    }

    /// How many of nine rows are sound after a change, and what is hurt.
    fn check(change: impl Fn(&mut Vec<Stored>), sound: u64, hurt: &[(u64, u64, &str)]) {
        let seed = Chain::of(&crate::fixture::topic("order").first());
        let mut chain = seed;
        let row = |offset| Stored {
            offset,
            crc: chain.link(offset, &[7]),
            own: Some(own(seed, offset, &[7])),
            record: vec![7],
        };
        let mut rows: Vec<Stored> = (1..=9).map(row).collect();
        change(&mut rows);
        let none = Jumps::default();
        let mut scan = Scan::new(&none, seed, 0, seed);
        for Stored { offset, crc, own, record } in &rows {
            scan.row(&StoredRow { offset: *offset, crc: *crc, own: *own, record });
        }
        let found: Vec<_> = scan.hurt.iter().map(|it| (it.from, it.to, &*it.what)).collect();
        assert_eq!((scan.sound, &*found), (sound, hurt));
    }

    #[test]
    fn a_damage_is_one_stretch_and_the_rest_stays_sound() {
        const CHECKSUM: &str = "a checksum does not fit";
        const MISSING: &str = "rows are missing";
        check(|_| (), 9, &[]);
        check(|rows| rows[4].record[0] = 8, 8, &[(5, 5, CHECKSUM)]);
        check(|rows| rows[4].crc ^= 1, 8, &[(5, 5, CHECKSUM)]);
        check(|rows| rows[4].own = Some(0), 9, &[]);
        check(|rows| drop(rows.drain(2..4)), 7, &[(3, 4, MISSING)]);
        let both = |rows: &mut Vec<Stored>| {
            rows[4].record[0] = 8;
            rows.drain(2..4);
        };
        check(both, 6, &[(3, 4, MISSING), (5, 5, CHECKSUM)]);
        // Rows of another story fit themselves, and nothing before them is hurt.
        let other = |rows: &mut Vec<Stored>| {
            let seed = Chain::of(&crate::fixture::topic("order").first());
            rows[4].record = vec![9];
            rows[4].own = Some(own(seed, 5, &[9]));
        };
        check(other, 8, &[(5, 5, CHECKSUM)]);
    }

    #[test]
    fn what_an_older_program_wrote_is_unproven_behind_a_damage() {
        const CHECKSUM: &str = "a checksum does not fit";
        let alone = |rows: &mut Vec<Stored>| rows.iter_mut().for_each(|row| row.own = None);
        check(alone, 9, &[]);
        let crc = |rows: &mut Vec<Stored>| {
            alone(rows);
            rows[4].crc ^= 1;
        };
        check(crc, 7, &[(5, 6, CHECKSUM)]);
        let gap = |rows: &mut Vec<Stored>| {
            alone(rows);
            rows.drain(2..4);
        };
        check(gap, 6, &[(3, 4, "rows are missing"), (5, 5, CHECKSUM)]);
    }
}
