//! Gives up on a reader who reads nothing.
//!
//! What is sent waits in the operating system's buffers and then in ours; a client that never reads
//! would hold its answer, and the service that gives it, for ever. Each time that a write has to wait,
//! a limit runs until it moves; reading has limits of its own.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::Sleep;

/// How long a client may read nothing of what is sent to it, where nobody says otherwise.
pub const WRITE_IDLE: Duration = Duration::from_secs(60);

/// The writes of one connection.
pub(super) struct Stall {
    limit: Duration,
    /// Runs while a write waits; none is made for a client that reads.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl Stall {
    /// Writes that wait at most `limit`.
    pub(super) fn new(limit: Duration) -> Stall {
        Stall { limit, waiting: None }
    }

    /// What a write came to, or that it has waited too long.
    pub(super) fn judge<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.waiting = None;
            return written;
        }
        let limit = self.limit;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        ready!(waiting.as_mut().poll(context));
        let says = "the client reads nothing of its answer";
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, says)))
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::runtime::Builder;

    use super::*;

    #[test]
    fn a_write_that_does_not_move_ends_and_one_that_does_goes_on() {
        let limit = Duration::from_millis(200);
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let mut stall = Stall::new(limit);
            // A reader who takes a little now and then, all together for longer than the limit.
            for _ in 0..6 {
                poll_fn(|context| {
                    assert!(stall.judge::<()>(context, Poll::Pending).is_pending());
                    Poll::Ready(())
                })
                .await;
                tokio::time::sleep(limit / 4).await;
                let moved = poll_fn(|context| stall.judge(context, Poll::Ready(Ok(1)))).await;
                assert_eq!(moved.expect("it moved"), 1);
            }
            let waiting = poll_fn(|context| stall.judge::<()>(context, Poll::Pending));
            let refused = waiting.await.expect_err("nobody reads");
            assert_eq!(refused.kind(), io::ErrorKind::TimedOut);
        });
    }
}
