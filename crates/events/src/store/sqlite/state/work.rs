//! A caller's closure as something a queue can hold, and the three ways it can end.
//!
//! The answer is kept until the commit is through: an acknowledgement, and a refusal that may rest
//! on what the same group wrote, are both sent only after the sync.
//!
//! | the work | its rows | its caller hears, after the commit |
//! |---|---|---|
//! | answers | stand | the answer |
//! | refuses | are taken back alone | its refusal |
//! | panics | are taken back alone | [`Error::Panicked`] |
//! | is in a group whose transaction fails | nobody's stand | environment trouble: nothing was done |

use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::sync::oneshot;

use super::Write;
use crate::error::Error;
use crate::store::sqlite::plumbing::thread::panic_message;

/// One queued piece of work.
pub(super) trait Work: Send {
    /// Runs it once; `Err` asks for its savepoint to be rolled back.
    fn run(&mut self, write: &mut Write<'_>) -> Result<(), Refused>;
    /// Answers after the commit, or with what kept it from happening.
    fn finish(self: Box<Self>, committed: Result<(), Error>);
}

/// The work's own answer is an error.
pub(super) struct Refused;

/// A closure and where its answer goes, as one thing that a queue can hold.
pub(super) fn boxed<T, E, F>(work: F, reply: oneshot::Sender<Result<T, E>>) -> Box<dyn Work>
where
    T: Send + 'static,
    E: From<Error> + Send + 'static,
    F: FnOnce(&mut Write<'_>) -> Result<T, E> + Send + 'static,
{
    Box::new(Queued { work: Some(work), answer: None, reply })
}

/// A piece of work on its way: queued, then run, then answered.
struct Queued<T, E, F> {
    /// Until it runs.
    work: Option<F>,
    /// From then on, until the commit is through.
    answer: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<T, E>>,
}

impl<T, E, F> Work for Queued<T, E, F>
where
    T: Send,
    E: From<Error> + Send,
    F: FnOnce(&mut Write<'_>) -> Result<T, E> + Send,
{
    fn run(&mut self, write: &mut Write<'_>) -> Result<(), Refused> {
        let work = self.work.take().expect("work runs once");
        let answer = catch_unwind(AssertUnwindSafe(|| work(write))).unwrap_or_else(|panic| {
            let what = panic_message(panic.as_ref());
            tracing::error!(what, "a piece of work panicked and was rolled back");
            Err(E::from(Error::Panicked { what }))
        });
        // Kept, not sent: see above.
        self.answer.insert(answer).as_ref().map(drop).map_err(|_| Refused)
    }

    fn finish(self: Box<Self>, committed: Result<(), Error>) {
        let answer = match committed {
            Ok(()) => self.answer.expect("committed work has run"),
            Err(error) => Err(E::from(error)),
        };
        // A caller that went away does not want its answer; the work stands all the same.
        let _ = self.reply.send(answer);
    }
}
