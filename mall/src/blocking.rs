//! Waits on a thread for a future, where a service is opened and no request waits yet.
//!
//! A service is opened before anything is served, by code that may or may not run on a runtime; the
//! futures waited for are a writer thread's answers and need none.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Parks this thread until `future` has its answer.
pub(crate) fn wait<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(answer) => return answer,
            Poll::Pending => thread::park(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_from_another_thread_is_waited_for() {
        let (reply, answer) = tokio::sync::oneshot::channel();
        let other = thread::spawn(move || reply.send(7));
        assert_eq!(wait(answer), Ok(7));
        assert_eq!(other.join().expect("no panic"), Ok(()));
    }
}
