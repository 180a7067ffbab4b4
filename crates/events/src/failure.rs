//! Why a handler did not do its work: the word between whoever handles events and whoever delivers them.

use crate::error::Error;

/// Why a handler did not do its work.
#[derive(Clone, Debug)]
pub enum Failure {
    /// Its own reason, in words for the dead letter.
    Handler(String),
    /// Trouble that is nobody's fault here: disk full, database locked or away.
    Environment(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        if error.is_environment() {
            Failure::Environment(error)
        } else {
            Failure::Handler(error.to_string())
        }
    }
}
