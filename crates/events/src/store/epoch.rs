//! Epochs of an outbox's numbers: a number's upper half, so that whatever compares numbers compares both.
//!
//! An outbox that may have given numbers which it does not know any more goes on in a new epoch: above all that the
//! one before could have given, however many that were. What was numbered before there were epochs is of the first.
//! Within one, numbers count; from one to the next they say which is later, and nothing of how many are between.

use crate::error::Error;

/// Bits of the count within an epoch.
const COUNT_BITS: u32 = 32;

/// Epochs that an outbox has at most, in what a row's key has left for numbers.
pub(crate) const EPOCHS_MAX: u64 = 1 << 16;

/// What is below every number of the epoch after that of `number`, and above all of that.
///
/// # Errors
/// [`Error::Limit`]: there is no epoch left.
pub(crate) fn after(number: u64) -> Result<u64, Error> {
    let next = (number >> COUNT_BITS) + 1;
    let limit = usize::try_from(EPOCHS_MAX - 1).unwrap_or(usize::MAX);
    Error::check("epoch", usize::try_from(next).unwrap_or(usize::MAX), limit)?;
    Ok(next << COUNT_BITS)
}

/// How many epochs have to begin after the one of `given` before numbers are above `newest`; none where they are.
pub(crate) fn behind(given: u64, newest: u64) -> u64 {
    if newest <= given { 0 } else { (newest >> COUNT_BITS) - (given >> COUNT_BITS) + 1 }
}

/// The count of a number within its epoch.
pub(crate) fn count(number: u64) -> u64 {
    number & ((1 << COUNT_BITS) - 1)
}

/// How many numbers there are after `before` up to `last`, at least: of the last one's epoch.
pub(crate) fn between(before: u64, last: u64) -> u64 {
    let is_same = before >> COUNT_BITS == last >> COUNT_BITS;
    if is_same || before > last { last.saturating_sub(before) } else { count(last) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::partition::NUMBER_MAX;

    const SECOND: u64 = 1 << COUNT_BITS;

    #[test]
    fn a_new_epoch_is_above_everything_and_there_is_a_last_one() {
        for (number, above) in
            [(0, SECOND), (17, SECOND), (SECOND - 1, SECOND), (SECOND, 2 * SECOND)]
        {
            assert_eq!(after(number).unwrap(), above, "{number}");
        }
        let last = (EPOCHS_MAX - 1) << COUNT_BITS;
        assert_eq!(after(last - 1).unwrap(), last);
        assert!(matches!(after(last), Err(Error::Limit { .. })));
        assert_eq!(last + SECOND - 1, NUMBER_MAX, "a row's key has room for all of them");
    }

    #[test]
    fn as_many_epochs_begin_as_were_given_elsewhere_and_one() {
        for (given, newest, begin) in [
            (3, 3, 0),
            (7, 3, 0),
            (3, 4, 1),
            (0, SECOND, 2),
            (SECOND, SECOND + 1, 1),
            (SECOND + 9, 3 * SECOND + 1, 3),
            (SECOND, 9, 0),
        ] {
            assert_eq!(behind(given, newest), begin, "{given} {newest}");
            let above = (0..begin).try_fold(given, |number, _| after(number)).unwrap();
            assert!(above >= newest, "{above}");
        }
    }

    #[test]
    fn numbers_are_counted_within_an_epoch() {
        for (before, last, counted) in
            [(3, 7, 4), (7, 3, 0), (7, SECOND + 2, 2), (SECOND, SECOND + 2, 2), (SECOND + 1, 9, 0)]
        {
            assert_eq!(between(before, last), counted, "{before} {last}");
        }
        assert_eq!((count(SECOND + 5), count(5)), (5, 5));
    }
}
