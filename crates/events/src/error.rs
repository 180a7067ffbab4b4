//! The crate's one error: a variant per thing a caller would do differently.
//!
//! Engines turn their own errors into these at their edge, so that nobody above has to know which
//! engine it was. What a caller does next is the one question a variant answers:
//!
//! | variant | try again unchanged? | over HTTP | in a handler |
//! |---|---|---|---|
//! | [`Error::Environment`] | yes, later | 503 | takes the batch back, no attempt |
//! | [`Error::Limit`], [`Error::Decode`], [`Error::Token`], [`Error::UnknownTopic`] | no, fix the input | 400, 413, 422 | an attempt of this event |
//! | [`Error::Newer`] | no, run that program | 503 | an attempt of this event |
//! | [`Error::Statement`], [`Error::Panicked`] | no, fix the program | 500 | an attempt of this event |
//! | [`Error::Damaged`], [`Error::Gone`] | no, call an operator | 503 | an attempt of this event |
//! | [`Error::Unknown`] | once it is known, or where twice is once | 503 | never comes there |
//! | [`Error::Closed`] | no, the process is stopping | 503 | an attempt of this event |
//!
//! ```
//! use yeoul_events::Error;
//!
//! fn status(error: &Error) -> u16 {
//!     match error {
//!         Error::Environment { .. } | Error::Damaged { .. } | Error::Closed => 503,
//!         Error::Limit { .. } => 413,
//!         Error::Decode { .. } | Error::Token { .. } | Error::UnknownTopic => 400,
//!         // Variants may be added where a caller would act differently.
//!         _ => 500,
//!     }
//! }
//! assert_eq!(status(&Error::environment("disk full")), 503);
//! ```
//!
//! A refusal by a handler is no error of this crate: see
//! [`Failure`](crate::failure::Failure).

use std::sync::Arc;

/// Where an [`Error::Environment`] came from, kept for the log.
pub type Source = Arc<dyn std::error::Error + Send + Sync>;

/// What went wrong, sorted by what the caller does next. Its words are for the log and the operator;
/// they name field, value and limit, and carry nothing of an event's data.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Disk full, file locked, input or output failed, queue full: nothing was done. Try again
    /// later; over HTTP this is 503.
    #[error("environment trouble. what=`{what}`")]
    Environment {
        /// What was tried and how it failed.
        what: String,
        /// The engine's own error, where there is one.
        #[source]
        source: Option<Source>,
    },
    /// What is stored is not what was written, or less of it. Never served; tell the operator.
    #[error("damaged: {what}. topic=`{topic}`, from=`{from}`, to=`{to}`")]
    Damaged {
        /// The topic, or the source, or the file that is hurt.
        topic: String,
        /// First position hurt; 0 where the engine cannot say.
        from: u64,
        /// Last position hurt.
        to: u64,
        /// What was seen.
        what: String,
    },
    /// A place that the topic has no more: it was removed there, or the topic is another one. Whoever read
    /// up to there may have missed events, and goes on elsewhere only on an operator's word.
    #[error("the topic has this place no more: {what}. topic=`{topic}`, place=`{place}`")]
    Gone {
        /// The topic, with its partition.
        topic: String,
        /// The place that was read after.
        place: u64,
        /// What the topic has instead.
        what: String,
    },
    /// More than a named limit allows. Send less.
    #[error("over the limit. field=`{field}`, value=`{value}`, limit=`{limit}`")]
    Limit {
        /// What is too large.
        field: &'static str,
        /// How large it is.
        value: u64,
        /// How large it may be.
        limit: u64,
    },
    /// The broker has no such topic. Fix the name.
    #[error("unknown topic")]
    UnknownTopic,
    /// A topic has another number of partitions than it is used with. Nothing is numbered; use it as it is,
    /// or repartition it.
    #[error("another number of partitions. topic=`{topic}`, has=`{has}`, asked=`{asked}`")]
    Partitions {
        /// The topic.
        topic: String,
        /// How many it has.
        has: u16,
        /// How many were asked for.
        asked: u16,
    },
    /// What is stored is of a program that came after this one. Run that one, or a later one.
    #[error("it is of a newer program. version=`{version}`, known=`{known}`")]
    Newer {
        /// Of which tables, and their version.
        version: String,
        /// The newest that this program knows.
        known: usize,
    },
    /// Whether it was done is not known: the answer to a commit was lost, and so was whoever could tell. Look what is
    /// there before doing it again, unless twice is as good as once.
    #[error("it is not known whether it was done. what=`{what}`")]
    Unknown {
        /// What was waited for, and how that failed.
        what: String,
    },
    /// Text that is not what it should be. Fix the input.
    #[error("cannot be decoded. what=`{what}`")]
    Decode {
        /// What is wrong with it.
        what: String,
    },
    /// A position token that is malformed or of another kind. Fix the input.
    #[error("not a position of this kind. what=`{what}`")]
    Token {
        /// What is wrong with it.
        what: String,
    },
    /// A statement the store refused: a broken constraint or a mistake in the statement. Trying
    /// again gives the same answer.
    #[error("statement refused. what=`{what}`")]
    Statement {
        /// The engine's words.
        what: String,
    },
    /// The work panicked and was rolled back alone. A bug; the panic is in the log.
    #[error("work panicked. what=`{what}`")]
    Panicked {
        /// The panic's message.
        what: String,
    },
    /// The database or the log was closed. Reopen it, or stop.
    #[error("closed")]
    Closed,
}

impl Error {
    /// Environment trouble without an engine's error behind it, as a handler or another broker reports
    /// it. `what` is for the log and the operator: what was tried and how it failed, and nothing of an event's data.
    pub fn environment(what: impl Into<String>) -> Error {
        Error::Environment { what: what.into(), source: None }
    }

    /// Whether trying again later, unchanged, may succeed.
    ///
    /// A handler need not ask: what it gives back of this kind is nobody's attempt, and the event comes again by itself
    /// (see [`Failure`](crate::failure::Failure)).
    pub fn is_environment(&self) -> bool {
        matches!(self, Error::Environment { .. })
    }

    /// Whether a broker that refuses one event with this refuses it for ever: it is too large, or no
    /// event. That a topic has no room for another source is no fault of the event's.
    pub(crate) fn is_of_the_event(&self) -> bool {
        match self {
            Error::Limit { field, .. } => *field != "sources",
            Error::Decode { .. } => true,
            _ => false,
        }
    }

    /// What fails a transaction as a whole is the mistake of no work in it: to each it is the environment's, and
    /// nothing was done.
    pub(crate) fn of_the_transaction(self) -> Error {
        match self {
            same @ (Error::Environment { .. } | Error::Damaged { .. } | Error::Closed) => same,
            other => {
                let what = format!("the transaction failed: {other}");
                Error::Environment { what, source: Some(Arc::new(other)) }
            }
        }
    }

    /// Text that cannot be decoded.
    pub(crate) fn decode(what: impl std::fmt::Display) -> Error {
        Error::Decode { what: what.to_string() }
    }

    /// `Ok` at the limit, [`Error::Limit`] one past it.
    pub(crate) fn check(field: &'static str, value: usize, limit: usize) -> Result<(), Error> {
        if value <= limit {
            return Ok(());
        }
        Err(Error::Limit { field, value: value as u64, limit: limit as u64 })
    }
}
