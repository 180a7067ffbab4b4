//! A thread that says so when it dies and is waited for when its owner goes.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::{self, JoinHandle};

use crate::error::Error;
use crate::store::panicked;

/// Waits for the thread when dropped: declare it after what tells the thread to end.
pub(crate) struct Thread(Option<JoinHandle<()>>);

impl Thread {
    /// Starts it under a name that is in the log and in a debugger. A panic of `body` ends it and is
    /// logged once; whoever sends to it then finds its channel closed.
    pub(crate) fn start(
        name: &'static str,
        body: impl FnOnce() + Send + 'static,
    ) -> Result<Thread, Error> {
        let run = move || {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(body)) {
                let what = panicked::message(panic.as_ref());
                tracing::error!(what, name, "a writer died; every later write is refused");
            }
        };
        let started = thread::Builder::new().name(name.to_owned()).spawn(run);
        started
            .map(|thread| Thread(Some(thread)))
            .map_err(|error| Error::environment(format!("no thread: {error}")))
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        // Work may hold the last handle itself: a thread cannot wait for its own end.
        let other = |it: &JoinHandle<()>| it.thread().id() != thread::current().id();
        if let Some(thread) = self.0.take().filter(other) {
            // A panic was reported by the thread itself.
            let _ = thread.join();
        }
    }
}
