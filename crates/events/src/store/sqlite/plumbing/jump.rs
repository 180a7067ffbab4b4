//! Numbers that are never given, because a restore left them out: they may have been acknowledged after
//! the moment that was restored.
//!
//! Pure: numbers in, numbers out. Who marks a jump, and what vouches for the mark, is each room's own.

/// The numbers after `base` up to `floor`: not one of them is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Jump {
    pub(crate) base: u64,
    pub(crate) floor: u64,
}

impl Jump {
    /// How many numbers it leaves out.
    pub(crate) fn width(self) -> u64 {
        self.floor - self.base
    }

    /// The number that is given after `number`.
    pub(crate) fn after(self, number: u64) -> u64 {
        let over = number >= self.base && number < self.floor;
        if over { self.floor + 1 } else { number + 1 }
    }

    /// The newest number up to `number` that can have been given.
    pub(crate) fn given(self, number: u64) -> u64 {
        if number > self.base && number <= self.floor { self.base } else { number }
    }

    /// How many numbers were given after `before` up to `last`.
    pub(crate) fn between(self, before: u64, last: u64) -> u64 {
        let (before, last) = (self.given(before), self.given(last));
        let over = last > self.floor && before <= self.base;
        last.saturating_sub(before).saturating_sub(if over { self.width() } else { 0 })
    }

    /// The number that was given `count` numbers before `number`; 0 where there were not so many.
    pub(crate) fn back(self, number: u64, count: u64) -> u64 {
        let until = number.saturating_sub(count);
        let over = number > self.floor && until <= self.floor;
        if over { until.saturating_sub(self.width()) } else { until }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JUMP: Jump = Jump { base: 4, floor: 14 };
    /// What is given with that jump, in order.
    const GIVEN: [u64; 9] = [1, 2, 3, 4, 15, 16, 17, 18, 19];

    #[test]
    fn numbers_are_counted_as_they_were_given() {
        for (at, &number) in GIVEN.iter().enumerate() {
            assert_eq!(JUMP.given(number), number);
            if let Some(next) = GIVEN.get(at + 1) {
                assert_eq!(JUMP.after(number), *next, "{number}");
            }
            for (to, &last) in GIVEN.iter().enumerate().skip(at) {
                assert_eq!(JUMP.between(number, last), (to - at) as u64, "{number} {last}");
                assert_eq!(JUMP.back(last, (to - at) as u64), number, "{number} {last}");
            }
        }
        assert_eq!(JUMP.back(15, 5), 0);
    }

    #[test]
    fn a_number_that_was_left_out_stands_for_the_one_before() {
        for number in 5..=14 {
            assert_eq!((JUMP.given(number), JUMP.after(number)), (4, 15), "{number}");
            assert_eq!(JUMP.between(number, 17), 3, "{number}");
        }
    }

    #[test]
    fn without_a_jump_numbers_have_no_gap() {
        for number in [0, 1, 7] {
            assert_eq!(Jump::default().after(number), number + 1);
            assert_eq!(Jump::default().between(number, 9), 9 - number);
            assert_eq!(Jump::default().back(9, 9 - number), number);
        }
    }
}
