//! Savepoints' statements, in words that every engine speaks: a name for each depth, so that taking one back takes
//! back what was begun inside it, too.

use crate::store::bounds::SAVEPOINTS_DEEP_MAX;

/// The statements of one depth.
pub(crate) struct Statements {
    pub(crate) set: &'static str,
    pub(crate) undo: &'static str,
    pub(crate) release: &'static str,
    /// The last two in one, for who sends them over a wire.
    pub(crate) undo_and_release: &'static str,
}

macro_rules! of {
    ($name:literal) => {
        Statements {
            set: concat!("SAVEPOINT ", $name),
            undo: concat!("ROLLBACK TO ", $name),
            release: concat!("RELEASE ", $name),
            undo_and_release: concat!("ROLLBACK TO ", $name, "; RELEASE ", $name),
        }
    };
}

/// From the outermost one in.
pub(crate) const STATEMENTS: [Statements; SAVEPOINTS_DEEP_MAX] =
    [of!("a"), of!("b"), of!("c"), of!("d"), of!("e"), of!("f"), of!("g"), of!("h")];
