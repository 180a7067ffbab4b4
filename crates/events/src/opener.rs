//! What tells a reader what is sealed in an event.
//!
//! Events are stored, parked and handed on as they were sealed; only who handles one is given what it says. So this is
//! asked at the last moment, and what it told is kept nowhere here.

use std::future::Future;
use std::pin::Pin;

use crate::error::Error;
use crate::event::Event;

/// An answer on its way.
pub type Opening<'a> = Pin<Box<dyn Future<Output = Result<Option<Event>, Error>> + Send + 'a>>;

/// Tells what is sealed in the events of one topic.
pub trait Opener: Send + Sync {
    /// The event as it may be read; `None` where nothing in it is sealed. What cannot be told any more stands there as
    /// forgotten, and is no error.
    ///
    /// It is asked within a transaction that others wait for: where databases are files it is ready at once.
    ///
    /// # Errors
    /// [`Error::Environment`]: whether it can be told is not known now; the event comes again.
    fn open<'a>(&'a self, event: &'a Event) -> Opening<'a>;
}
