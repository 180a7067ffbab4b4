//! The feed: what changed for an owner since a position.
//!
//! The newest [`FEED_KEPT`] changes of all owners are kept with the rows, so that a reader who
//! reconnects misses nothing; who comes back later is told to read the page again.

use events::FeedPosition;

/// Changes kept, all owners together.
pub const FEED_KEPT: u64 = 10_000;

/// Changes one read returns at most.
pub const CHANGES_MAX: usize = 1000;

/// One row of one owner, as it is shown after the change.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Its place; reading goes on after it.
    pub position: FeedPosition,
    /// The page's name for it: `order`, `customer`.
    pub kind: String,
    /// The row as the page shows it; a row taken away is its key and `"deleted": true`.
    pub row: serde_json::Value,
}

/// An owner's changes after a position.
#[derive(Clone, Debug, PartialEq)]
pub enum Changes {
    /// Some were forgotten, or the position is of another feed: read the page.
    TooOld,
    /// All of them, oldest first, or as many as were asked for.
    Some(Vec<Change>),
}
