//! Since when a loop has not moved although there is something to do.
//!
//! Nobody watches a loop all the time: whoever looks at its status compares with what was seen at
//! the look before. So no progress is noticed between two looks [`STUCK_AFTER`] apart, and a loop
//! that died without a word is found by the same means as one that waits for a disk.
//!
//! Pure: where the loop stands and what time it is are arguments.

use std::time::Duration;

use jiff::Timestamp;

/// Time without progress, while there is something to do, after which a subscription or a relay
/// counts as stuck.
pub const STUCK_AFTER: Duration = Duration::from_secs(30);

/// What was found by those who looked.
#[derive(Debug, Default)]
pub(crate) struct Stillness(Option<Still>);

/// Where a look found the loop behind, and when it was first found there.
#[derive(Debug)]
struct Still {
    at: u64,
    since: Timestamp,
}

impl Stillness {
    /// A look at a loop that stands `at` a place with something to do: since when it has stood
    /// there, if that is long enough to call it stuck.
    pub(crate) fn behind(&mut self, at: u64, now: Timestamp) -> Option<Timestamp> {
        let since = match &self.0 {
            Some(still) if still.at == at => still.since,
            // It moved since the last look, or this is the first.
            _ => self.0.insert(Still { at, since: now }).since,
        };
        // Unsigned: a clock that was set back must not make a stuck loop look well for ever.
        (now.duration_since(since).unsigned_abs() >= STUCK_AFTER).then_some(since)
    }

    /// A look at a loop that has nothing to do, or rests on purpose.
    pub(crate) fn idle(&mut self) {
        self.0 = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_is_stuck_once_two_looks_that_far_apart_find_it_at_the_same_place() {
        let start = Timestamp::UNIX_EPOCH;
        let after = |span: Duration| start.checked_add(span).unwrap();
        let tick = Duration::from_micros(1);
        let mut stillness = Stillness::default();
        for (at, now, stuck) in [
            (7, start, None),
            (7, after(STUCK_AFTER - tick), None),
            (7, after(STUCK_AFTER), Some(start)),
            (8, after(STUCK_AFTER), None),
            (8, after(STUCK_AFTER * 2 - tick), None),
            (8, after(STUCK_AFTER * 2), Some(after(STUCK_AFTER))),
            // The clock was set back.
            (8, start, Some(after(STUCK_AFTER))),
        ] {
            assert_eq!(stillness.behind(at, now), stuck, "{at} at {now}");
        }
        stillness.idle();
        assert_eq!(stillness.behind(8, start), None);
    }
}
