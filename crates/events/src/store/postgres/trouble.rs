//! What the engine's errors mean here: what a caller can do about each.
//!
//! A code that is new to this list counts as the statement's: better a refusal than an endless retry.

use std::sync::Arc;

use sqlx::error::DatabaseError;
use sqlx::postgres::{PgDatabaseError, PgSeverity};

use crate::error::Error;

/// Another transaction was in the way: the work runs again from its beginning.
const IN_THE_WAY: [&str; 2] = ["40001", "40P01"];

/// Classes of trouble that may pass without anybody changing the program or its input: connections, who may
/// connect, resources, an operator, the system, transactions that were rolled back for others.
const ENVIRONMENT: [&str; 6] = ["08", "28", "53", "57", "58", "40"];

/// Codes of that kind in other classes: a lock that was not had in time, a transaction that stood still too long, and
/// a server that only reads for now (its settings may be on their way).
const ENVIRONMENT_CODES: [&str; 4] = ["55P03", "25P03", "25P04", "25006"];

/// Classes of what is hurt on disk.
const DAMAGED: &str = "XX";

/// Whether another transaction was in the way.
pub(super) fn is_in_the_way(error: &sqlx::Error) -> bool {
    code(error).is_some_and(|code| IN_THE_WAY.contains(&code.as_str()))
}

/// Whether the server itself said that it did not do it. A lost connection, or a server that goes away, says
/// nothing about that.
pub(super) fn is_answer(error: &sqlx::Error) -> bool {
    severity(error) == Some(PgSeverity::Error)
}

/// Whether a connection was found to be gone by using it.
pub(super) fn is_lost(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Io(_))
        || matches!(severity(error), Some(PgSeverity::Fatal | PgSeverity::Panic))
}

fn severity(error: &sqlx::Error) -> Option<PgSeverity> {
    let sqlx::Error::Database(answer) = error else { return None };
    answer.try_downcast_ref::<PgDatabaseError>().map(PgDatabaseError::severity)
}

/// Whether the server has no such value of what it was asked about.
pub(super) fn is_no_such_value(error: &sqlx::Error) -> bool {
    code(error).is_some_and(|code| code == "22023")
}

/// Whether the server said nothing for as long as it may.
pub(super) fn is_silence(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Io(cause) if cause.kind() == std::io::ErrorKind::TimedOut)
}

/// The error of a server in words of the crate's own.
pub(super) fn from(error: sqlx::Error) -> Error {
    let what = error.to_string();
    match kind(&error) {
        Kind::Closed => Error::Closed,
        Kind::Environment => Error::Environment { what, source: Some(Arc::new(error)) },
        Kind::Damaged => Error::Damaged { topic: String::new(), from: 0, to: 0, what },
        Kind::Statement => Error::Statement { what },
    }
}

enum Kind {
    Closed,
    Environment,
    Damaged,
    Statement,
}

fn kind(error: &sqlx::Error) -> Kind {
    match error {
        sqlx::Error::PoolClosed => Kind::Closed,
        sqlx::Error::Database(answer) => of_answer(&**answer),
        // What the server's settings promise is cured there; an address that is none is met sooner.
        sqlx::Error::Configuration(_)
        | sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::BeginFailed
        | sqlx::Error::WorkerCrashed => Kind::Environment,
        _ => Kind::Statement,
    }
}

fn of_answer(answer: &dyn DatabaseError) -> Kind {
    let code = answer.code().unwrap_or_default();
    let class = code.get(..2).unwrap_or_default();
    match class {
        DAMAGED => Kind::Damaged,
        _ if ENVIRONMENT.contains(&class) || ENVIRONMENT_CODES.contains(&&*code) => {
            Kind::Environment
        }
        _ => Kind::Statement,
    }
}

fn code(error: &sqlx::Error) -> Option<String> {
    let sqlx::Error::Database(answer) = error else { return None };
    answer.code().map(std::borrow::Cow::into_owned)
}
