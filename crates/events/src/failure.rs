//! Why a handler did not do its work: the word between whoever handles events and whoever delivers them.
//!
//! The difference between the two kinds is who has to change something before another attempt makes
//! sense: the program or the data (then attempts are counted, and in the end an operator decides), or
//! the machine (then it is tried for as long as it takes, and nobody's event is a dead letter because
//! a disk was full for a minute).

use crate::error::Error;

/// Why a handler did not do its work.
///
/// An [`Error`] becomes the right kind by `?`:
///
/// ```
/// use yeoul_events::{Error, Failure};
///
/// let full = Failure::from(Error::environment("disk full"));
/// assert!(matches!(full, Failure::Environment(_)), "tried for as long as it lasts");
///
/// let wrong = Failure::from("w7".parse::<yeoul_events::WritePosition>().unwrap_err());
/// assert!(matches!(wrong, Failure::Handler(_)), "an attempt, and in the end a dead letter");
///
/// // A refusal of one's own, in words for whoever reads the dead letter.
/// let _too_early = Failure::Handler("not placed here yet. order=`9`".to_owned());
/// ```
#[derive(Clone, Debug)]
pub enum Failure {
    /// Its own reason, in words for the dead letter, of which
    /// [`REASON_CHARS_MAX`](crate::parking::REASON_CHARS_MAX) characters are kept. Counts as an attempt.
    Handler(String),
    /// Trouble that is nobody's fault here: disk full, database locked or away. Counts as nothing.
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
