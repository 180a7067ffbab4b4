//! Checking rows one after the other, as a fold that knows nothing of tables.
//!
//! A hurt row is noted and the scan goes on from what the row says of itself: the rest stays
//! readable and is checked too. Neighbouring rows hurt in the same way become one stretch.

use super::chain::Chain;
use super::jumps::Jumps;
use crate::error::Error;

/// Rows per read transaction of a long check.
pub(super) const PAGE: usize = 1000;

/// Stretches noted; past it a log is hurt all over and more lines help nobody.
const STRETCHES_MAX: usize = 100;

pub(super) const CHECKSUM: &str = "a checksum does not fit";
pub(super) const MISSING: &str = "rows are missing";
pub(super) const NEVER_GIVEN: &str = "a row is where no offset was given";
const JUMP: &str = "the mark of a jump does not fit";

pub(super) struct Scan<'t> {
    jumps: &'t Jumps,
    chain: Chain,
    at: u64,
    sound: u64,
    hurt: Vec<(u64, u64, String)>,
}

impl<'t> Scan<'t> {
    /// Goes on after the row `at`, whose chain is `chain`.
    pub(super) fn new(jumps: &'t Jumps, chain: Chain, at: u64) -> Scan<'t> {
        let mut scan = Scan { jumps, chain, at, sound: 0, hurt: Vec::new() };
        scan.leap();
        scan
    }

    /// The last offset looked at.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    pub(super) fn row(&mut self, offset: u64, crc: u32, record: &[u8]) {
        let expected = self.jumps.after(self.at);
        if offset > expected {
            self.note(expected, self.jumps.given(offset - 1), MISSING);
        } else if offset < expected {
            self.note(offset, offset, NEVER_GIVEN);
        } else if self.chain.link(offset, record) != crc {
            self.note(offset, offset, CHECKSUM);
        } else {
            self.sound += 1;
        }
        self.chain.resume(crc);
        self.at = offset;
        self.leap();
    }

    fn leap(&mut self) {
        if !self.jumps.leap(self.at, &mut self.chain) {
            self.note(self.at + 1, self.jumps.after(self.at) - 1, JUMP);
        }
    }

    /// There are no rows after this one.
    pub(super) fn exhausted(&mut self) {
        self.at = u64::MAX;
    }

    /// The rest up to `end` cannot be read at all.
    pub(super) fn unreadable(&mut self, end: u64, error: &Error) {
        let what = error.to_string();
        self.note(self.at + 1, end, &what);
        self.exhausted();
    }

    /// How many rows are sound, and every hurt stretch up to `end` as `describe` puts it.
    pub(super) fn finish(
        self,
        end: u64,
        describe: impl Fn(u64, u64, String) -> Error,
    ) -> (u64, Vec<Error>) {
        let hurt = self.hurt.into_iter().filter(|(from, ..)| *from <= end);
        (self.sound, hurt.map(|(from, to, what)| describe(from, to, what)).collect())
    }

    fn note(&mut self, from: u64, to: u64, what: &str) {
        if let Some((_, last, same)) = self.hurt.last_mut()
            && *last + 1 == from
            && same == what
        {
            *last = to;
        } else if self.hurt.len() < STRETCHES_MAX {
            self.hurt.push((from, to, what.to_owned()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::Topic;

    fn hurt_after(
        change: impl Fn(&mut Vec<(u64, u32, Vec<u8>)>),
    ) -> (u64, Vec<(u64, u64, String)>) {
        let first = Chain::of(&Topic::parse("order").expect("a topic"));
        let mut chain = first;
        let mut rows: Vec<(u64, u32, Vec<u8>)> =
            (1..=9).map(|offset| (offset, chain.link(offset, &[7]), vec![7])).collect();
        change(&mut rows);
        let none = Jumps::default();
        let mut scan = Scan::new(&none, first, 0);
        for (offset, crc, record) in &rows {
            scan.row(*offset, *crc, record);
        }
        (scan.sound, scan.hurt)
    }

    #[test]
    fn a_hurt_row_is_named_and_the_rest_stays_sound() {
        assert_eq!(hurt_after(|_| ()), (9, vec![]));
        let record = hurt_after(|rows| rows[4].2[0] = 8);
        assert_eq!(record, (8, vec![(5, 5, CHECKSUM.to_owned())]));
        let crc = hurt_after(|rows| rows[4].1 ^= 1);
        assert_eq!(crc, (7, vec![(5, 6, CHECKSUM.to_owned())]));
        let gap = hurt_after(|rows| drop(rows.drain(2..4)));
        assert_eq!(gap, (6, vec![(3, 4, MISSING.to_owned())]));
    }
}
