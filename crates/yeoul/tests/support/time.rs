//! Waiting for what comes, with a deadline; the suite's only reader of the clock.

use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long the suite waits for what the contract says comes "within 10 s" or merely soon.
pub(crate) const SOON: Duration = Duration::from_secs(10);

const STEP: Duration = Duration::from_millis(10);

/// The present moment.
#[allow(clippy::disallowed_methods, reason = "the suite knows nothing of chassis")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Waits a little: between two looks at something awaited, or as a step of a load; never for luck.
#[allow(clippy::disallowed_methods, reason = "a test thread has nothing else to do")]
pub(crate) fn pause(span: Duration) {
    std::thread::sleep(span);
}

/// Raises its flag when it is dropped, so that what runs until then ends also where a test fails.
pub(crate) struct Done<'f>(pub(crate) &'f AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// What `look` finds, as soon as it finds it; a failure named `what` after `limit`.
#[track_caller]
pub(crate) fn within<T>(limit: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = now() + limit;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(now() < end, "not within {limit:?}: {what}");
        pause(STEP);
    }
}

/// [`within`] the usual deadline.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    within(SOON, what, look)
}

/// Waits until `read` gives `expected`; tells the last value seen when it does not.
#[track_caller]
pub(crate) fn eventually_is<T: PartialEq + Debug>(
    what: &str,
    expected: &T,
    read: impl FnMut() -> T,
) {
    within_is(SOON, what, expected, read);
}

/// [`eventually_is`] with a deadline of one's own.
#[track_caller]
pub(crate) fn within_is<T: PartialEq + Debug>(
    limit: Duration,
    what: &str,
    expected: &T,
    mut read: impl FnMut() -> T,
) {
    let end = now() + limit;
    loop {
        let seen = read();
        if seen == *expected {
            return;
        }
        assert!(now() < end, "not within {limit:?}: {what}: expected {expected:?}, seen {seen:?}");
        pause(STEP);
    }
}

/// Looks at `read` again and again for `span`: it never gives anything but `expected`.
#[track_caller]
pub(crate) fn stays<T: PartialEq + Debug>(
    what: &str,
    span: Duration,
    expected: &T,
    mut read: impl FnMut() -> T,
) {
    let end = now() + span;
    while now() < end {
        assert_eq!(&read(), expected, "{what}");
        pause(STEP);
    }
}

/// What `work` gives, and how long it took.
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let start = now();
    let result = work();
    (start.elapsed(), result)
}
