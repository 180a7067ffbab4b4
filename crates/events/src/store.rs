//! Where a service keeps its state beside its inbox and outbox, and where the local log keeps events.
//!
//! A service speaks of a [`Database`], of a [`Write`] of it and of rows; the crate speaks of inbox,
//! outbox, parked events and the log. Which engine does it is named below this module alone, so that
//! another can stand behind the same words: each name here becomes what all engines have in common.

mod sqlite;

pub use sqlite::cut;
pub use sqlite::keep_private;
pub use sqlite::state::skipped;
pub use sqlite::state::{
    DATA_BYTES_MAX, Database, GROUP_MAX, OUTBOX_KEPT, OUTBOX_WAITING_MAX, Options, PARTS_DEEP_MAX,
    Part, Publishes, WAITING_BYTES_MAX, WRITE_QUEUE_MAX, Write,
};
pub use sqlite::upkeep;
pub use sqlite::{COUNTED, READERS_MAX, count_base};

pub(crate) use sqlite::log;
pub(crate) use sqlite::panic_message;
pub(crate) use sqlite::state::{inbox, parked, stepped};

#[cfg(test)]
pub(crate) use sqlite::state::tests;
