//! What a relay says of itself.

use jiff::Timestamp;

/// How a relay is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// The highest outbox sequence that the broker has, or that was stepped over.
    pub relayed: u64,
    /// Everything committed up to this sequence has been dealt with; moves when nothing waits.
    pub settled: u64,
    /// Trouble, in words; `None` while all is well.
    pub stuck: Option<String>,
    /// Since when there has been trouble.
    pub since: Option<Timestamp>,
    /// What was found lost and cannot be brought back, in words. Stays until the next start.
    pub lost: Option<String>,
}
