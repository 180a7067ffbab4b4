//! A share of a whole, exactly.
//!
//! A rate such as 7.2 % decides which failure opens a circuit, and no binary fraction is 7.2 %: as a
//! float it made 125 calls wait for the tenth failure where nine are the share. So it is kept as
//! whole billionths, which hold every percentage of up to seven decimals, and compared in integers.
//!
//! It does not parse text: how a share is written is the business of whoever reads settings.
//!
//! ```
//! use yeoul_guard::share::Share;
//!
//! let half = Share::of_percent(50).expect("within 1 and 100");
//! assert_eq!(half.least_of(10), 5);
//! assert_eq!(half.least_of(9), 5, "four of nine are less than half");
//!
//! let exactly = Share::of_billionths(72_000_000).expect("7.2 %");
//! assert_eq!(exactly.least_of(125), 9);
//! assert!(Share::of_percent(0).is_none(), "a share of nothing would always be reached");
//! ```

/// More than nothing and at most the whole, in billionths.
///
/// Ordered by size; equal where they are the same part, however they were made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Share(u32);

/// The whole, in billionths.
const WHOLE: u32 = 1_000_000_000;

impl Share {
    /// So many billionths of the whole, `1..=1_000_000_000`; nothing outside that range.
    #[must_use]
    pub const fn of_billionths(billionths: u32) -> Option<Share> {
        if billionths >= 1 && billionths <= WHOLE { Some(Share(billionths)) } else { None }
    }

    /// So many percent, `1..=100`; nothing outside that range.
    #[must_use]
    pub const fn of_percent(percent: u32) -> Option<Share> {
        match percent.checked_mul(WHOLE / 100) {
            Some(billionths) => Share::of_billionths(billionths),
            None => None,
        }
    }

    /// The least part of `count` that is at least this share of it: rounded up, never to nothing
    /// (of a `count` above 0) and never to more than `count`. 0 of 0.
    #[must_use]
    pub fn least_of(self, count: u32) -> u32 {
        let least = (u64::from(count) * u64::from(self.0)).div_ceil(u64::from(WHOLE));
        u32::try_from(least).expect("a share is at most the whole")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_share_is_above_nothing_and_at_most_the_whole() {
        for (percent, fits) in [(0, false), (1, true), (100, true), (101, false)] {
            assert_eq!(Share::of_percent(percent).is_some(), fits, "{percent} %");
        }
        for (billionths, fits) in [(0, false), (1, true), (WHOLE, true), (WHOLE + 1, false)] {
            assert_eq!(Share::of_billionths(billionths).is_some(), fits, "{billionths}");
        }
        assert_eq!(Share::of_percent(u32::MAX), None);
        assert_eq!(Share::of_percent(50), Share::of_billionths(WHOLE / 2));
    }

    #[test]
    fn it_is_reached_by_the_least_count_and_not_by_a_rounded_one() {
        // Each as billionths, of so many, and the least count.
        let cases = [
            (72_000_000, 125, 9),
            (500_000_000, 10, 5),
            (500_000_000, 9, 5),
            (70_000_000, 100, 7),
            (290_000_000, 100, 29),
            (501_000_000, 10, 6),
            (WHOLE, 10, 10),
            (1, 10, 1),
            (333_333_333, 3, 1),
            (333_333_334, 3, 2),
            (WHOLE, u32::MAX, u32::MAX),
        ];
        for (billionths, of, least) in cases {
            let share = Share::of_billionths(billionths).expect("a share");
            assert_eq!(share.least_of(of), least, "{billionths} billionths of {of}");
        }
    }

    proptest! {
        #[test]
        fn the_least_count_reaches_it_and_one_fewer_does_not(share in 1..=WHOLE, count: u32) {
            let least = Share(share).least_of(count);
            let reaches =
                |part: u32| u64::from(part) * u64::from(WHOLE) >= u64::from(share) * u64::from(count);
            prop_assert!(reaches(least));
            prop_assert!(least == 0 || !reaches(least - 1));
        }
    }
}
