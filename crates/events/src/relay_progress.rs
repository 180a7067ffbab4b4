//! What a relay records of itself.
//!
//! It is the database's and not the loop's, so that a handle that was made earlier, or outlives the
//! loop, sees the same. What only a comparison over time can tell is the
//! [`Status`](crate::relay::Status)'s.

use jiff::Timestamp;

use crate::trouble::Trouble;

/// How far a relay got, as it recorded it itself; follow it by [`Relay::progress`](crate::relay::Relay::progress).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The highest outbox sequence that the broker has, or that was stepped over; 0 before the first.
    pub relayed: u64,
    /// Everything committed up to this sequence has been dealt with; moves when nothing waits. Where another instance
    /// relays, it is the newest that is committed, dealt with or not.
    pub settled: u64,
    /// Whether another instance relays it, which is asked how it goes.
    pub elsewhere: bool,
    /// Trouble, in words; `None` while all is well.
    pub stuck: Option<String>,
    /// Whether that is its broker's or its store's, which are asked again.
    pub passes: bool,
    /// Since when there has been trouble.
    pub since: Option<Timestamp>,
    /// What was found lost and cannot be brought back, in words. Stays until the next start.
    pub lost: Option<String>,
}

impl Progress {
    /// Notes why it does not go on; `since` stays that of the first trouble since all was well, however it changed its
    /// words meanwhile.
    pub(crate) fn set_stuck(&mut self, why: Trouble, now: Timestamp) {
        (self.stuck, self.passes) = (Some(why.says), why.passes);
        self.since.get_or_insert(now);
    }

    /// All is well.
    pub(crate) fn set_well(&mut self) {
        (self.stuck, self.passes, self.since) = (None, false, None);
    }
}
