//! The two ways a loop of this crate waits: for trouble to pass, and for a switch to be turned.

use std::time::Duration;

use tokio::sync::watch;

/// The first pause after trouble: short, because most trouble is over by then.
pub(crate) const BACKOFF_MIN: Duration = Duration::from_millis(50);

/// The longest pause while trouble lasts: how late at most it is noticed that it is over.
pub(crate) const BACKOFF_MAX: Duration = Duration::from_secs(2);

/// Pauses that double from [`BACKOFF_MIN`] to [`BACKOFF_MAX`].
pub(crate) struct Backoff(Duration);

impl Backoff {
    /// As if there had been no trouble yet.
    pub(crate) fn new() -> Backoff {
        Backoff(BACKOFF_MIN)
    }

    /// The pause to make now; the one after it is twice as long.
    pub(crate) fn next(&mut self) -> Duration {
        let pause = self.0;
        self.0 = BACKOFF_MAX.min(pause * 2);
        pause
    }

    /// The trouble is over: the next one begins with the shortest pause again.
    pub(crate) fn reset(&mut self) {
        self.0 = BACKOFF_MIN;
    }
}

/// Resolves while the switch is off. One whose sender is gone stays as it was left: a service that
/// was paused does not start because whoever paused it went away.
pub(crate) async fn resumed(paused: &mut watch::Receiver<bool>) {
    if paused.wait_for(|paused| !paused).await.is_err() && *paused.borrow() {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_start_again() {
        let mut backoff = Backoff::new();
        let pauses: Vec<u128> = (0..8).map(|_| backoff.next().as_millis()).collect();
        assert_eq!(pauses, [50, 100, 200, 400, 800, 1600, 2000, 2000]);
        backoff.reset();
        assert_eq!(backoff.next(), BACKOFF_MIN);
    }
}
