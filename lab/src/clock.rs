//! The lab's clock: a measurement is about time, so here it is read.
//!
//! Waiting is polling with a deadline, never a sleep for luck.

use std::time::{Duration, Instant};

/// Between two looks at something that is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// The instant.
#[expect(clippy::disallowed_methods, reason = "a measurement is about the clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Does nothing for a while.
#[expect(clippy::disallowed_methods, reason = "the one pause of the lab, between two looks")]
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// Looks until there is something to see, at most this long.
pub(crate) fn wait_for<T>(at_most: Duration, look: impl FnMut() -> Option<T>) -> Option<T> {
    wait_looking(LOOK_EVERY, at_most, look)
}

/// [`wait_for`] with so much time between two looks, where a look costs what is measured.
pub(crate) fn wait_looking<T>(
    every: Duration,
    at_most: Duration,
    mut look: impl FnMut() -> Option<T>,
) -> Option<T> {
    let until = now() + at_most;
    loop {
        match look() {
            Some(seen) => return Some(seen),
            None if now() >= until => return None,
            None => pause(every),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_ends_when_it_is_there_and_when_the_time_is_up() {
        let mut looks = 0;
        let third = wait_for(Duration::from_secs(60), || {
            looks += 1;
            (looks == 3).then_some(looks)
        });
        assert_eq!(third, Some(3));
        assert_eq!(wait_for(Duration::ZERO, || None::<()>), None);
    }
}
