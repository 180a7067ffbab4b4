//! What all events of an outbox have in common, and the ids of those that have none of their own.

use crate::error::Error;
use crate::partition::Numbered;

/// Whose rows they are, and what their ids begin with.
#[derive(Clone, Copy)]
pub(crate) struct Origin<'o> {
    pub(crate) source: &'o str,
    pub(crate) file_id: &'o str,
    /// Rows may have whole events of other programs, which nobody but this process wrote.
    pub(crate) takes_whole: bool,
}

impl Origin<'_> {
    /// The id of the event of this number, unique within the source, also where the file was made anew:
    /// `FILE-17`, `FILE-3-17` in a partition after the first.
    pub(crate) fn id(self, at: Numbered) -> String {
        format!("{}-{at}", self.file_id)
    }

    /// Damage of the numbers from `from` up to `to`, in its partition.
    pub(crate) fn damaged(self, from: Numbered, to: u64, what: String) -> Error {
        let topic = from.partition.of(self.source);
        Error::Damaged { topic, from: from.number, to, what }
    }
}
