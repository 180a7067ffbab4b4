//! The stop of listeners: pressed once, waited for by all that they do.
//!
//! It says that it is time to end, and knows when all have; how long each takes is its own affair
//! ([`listener`](super::listener)).

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Poll, Waker};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TrackedFuture;

/// Stops listeners and waits for their connections; clones are handles of the same stop.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    token: CancellationToken,
    tracker: TaskTracker,
    /// What the token says, to be read without its lock.
    pressed: Arc<AtomicBool>,
}

impl Stop {
    /// A stop that nobody has pressed.
    pub fn new() -> Stop {
        Stop::default()
    }

    /// Resolves once stopped.
    pub async fn stopped(&self) {
        self.token.cancelled().await;
    }

    /// Whether it has been stopped.
    pub fn is_stopped(&self) -> bool {
        self.pressed.load(Ordering::Acquire)
    }

    /// No further connection is accepted; each open one ends after the request it is in.
    pub fn stop(&self) {
        self.pressed.store(true, Ordering::Release);
        self.token.cancel();
    }

    /// Work that [`Stop::drain`] waits for.
    pub(super) fn track<F: Future>(&self, work: F) -> TrackedFuture<F> {
        self.tracker.track_future(work)
    }

    /// Polls `work` until it is done, or until stopped: then `None`.
    ///
    /// A connection is polled several times per request, so the token is asked only when a new
    /// task waits; the waker it was left stays good.
    pub(super) async fn or<F: Future>(&self, mut work: Pin<&mut F>) -> Option<F::Output> {
        let mut stopped = pin!(self.stopped());
        let mut left: Option<Waker> = None;
        poll_fn(|context| {
            if let Poll::Ready(done) = work.as_mut().poll(context) {
                return Poll::Ready(Some(done));
            }
            let known = left.as_ref().is_some_and(|waker| waker.will_wake(context.waker()));
            if known && !self.is_stopped() {
                return Poll::Pending;
            }
            left = Some(context.waker().clone());
            stopped.as_mut().poll(context).map(|()| None)
        })
        .await
    }

    /// Waits until every connection has ended, at most `at_most`; whether they had.
    pub async fn drain(&self, at_most: Duration) -> bool {
        Stop::drain_all(std::slice::from_ref(self), at_most).await
    }

    /// The same for several, which have this time together and not one after the other.
    pub async fn drain_all(stops: &[Stop], at_most: Duration) -> bool {
        let all = async {
            for stop in stops {
                stop.tracker.close();
                stop.tracker.wait().await;
            }
        };
        tokio::time::timeout(at_most, all).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn several_that_do_not_end_are_waited_for_as_long_as_one() {
        let stops = [Stop::new(), Stop::new(), Stop::new()];
        let works: Vec<_> = stops.iter().map(|stop| stop.track(pending::<()>())).collect();
        let within = tokio::time::timeout(LIMIT + LIMIT / 2, Stop::drain_all(&stops, LIMIT)).await;
        assert_eq!(within.ok(), Some(false));
        drop(works);
        assert!(Stop::drain_all(&stops, LIMIT).await);
    }
}
