//! A future over statements of this engine, run in one call: all that it waits for is ready at once.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use crate::error::Error;
use crate::store::panicked;

/// The answer of work that needs nothing but this engine.
pub(in crate::store::sqlite) fn ready<T, E, F>(work: impl FnOnce() -> F) -> Result<T, E>
where
    E: From<Error>,
    F: Future<Output = Result<T, E>> + Unpin,
{
    let polled = catch_unwind(AssertUnwindSafe(|| {
        Pin::new(&mut work()).poll(&mut Context::from_waker(Waker::noop()))
    }));
    let what = match polled {
        Ok(Poll::Ready(answer)) => return answer,
        Ok(Poll::Pending) => "it waited for something else than its database".to_owned(),
        Err(panic) => panicked::message(panic.as_ref()),
    };
    tracing::error!(what, "a piece of work panicked and was rolled back");
    Err(E::from(Error::Panicked { what }))
}
