//! A caller's work as something a queue can hold, and the ways it can end.
//!
//! Work is written as a future, because on an engine across a wire every statement is waited for. Here
//! every statement is done when its call returns, so a future is polled once and is ready; one that is not
//! waits for something else than its database, which is a mistake of the program: it is dropped, and
//! its rows are taken back.
//!
//! The answer is kept until the commit is through: an acknowledgement, and a refusal that may rest
//! on what the same group wrote, are both sent only after the sync.
//!
//! | the work | its rows | its caller hears, after the commit |
//! |---|---|---|
//! | answers | stand | the answer |
//! | refuses | are taken back alone | its refusal |
//! | panics, or waits for something else | are taken back alone | [`Error::Panicked`] |
//! | is in a group whose transaction fails | nobody's stand | environment trouble: nothing was done |

use tokio::sync::oneshot;

use crate::error::Error;
use crate::store::sqlite::plumbing::ready::ready;
use crate::store::tx::{Tx, Working};

/// One queued piece of work.
pub(crate) trait Work: Send {
    /// Runs it once; `Err` asks for its savepoint to be rolled back.
    fn run(&mut self, tx: &mut Tx<'_>) -> Result<(), Refused>;
    /// Answers after the commit, or with what kept it from happening.
    fn finish(self: Box<Self>, committed: Result<(), Error>);
}

/// The work's own answer is an error.
pub(crate) struct Refused;

/// A closure, what it is given and where its answer goes, as one thing that a queue can hold.
pub(crate) fn boxed<C, T, E, F>(
    given: C,
    work: F,
    reply: oneshot::Sender<Result<T, E>>,
) -> Box<dyn Work>
where
    C: Send + 'static,
    T: Send + 'static,
    E: From<Error> + Send + 'static,
    F: for<'a> Fn(&'a C, &'a mut Tx<'_>) -> Working<'a, T, E> + Send + 'static,
{
    Box::new(Queued { given, work, answer: None, reply })
}

/// A piece of work on its way: queued, then run, then answered.
struct Queued<C, T, E, F> {
    given: C,
    work: F,
    /// From the run on, until the commit is through.
    answer: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<T, E>>,
}

impl<C, T, E, F> Work for Queued<C, T, E, F>
where
    C: Send,
    T: Send,
    E: From<Error> + Send,
    F: for<'a> Fn(&'a C, &'a mut Tx<'_>) -> Working<'a, T, E> + Send,
{
    fn run(&mut self, tx: &mut Tx<'_>) -> Result<(), Refused> {
        let answer = ready(|| (self.work)(&self.given, tx));
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
