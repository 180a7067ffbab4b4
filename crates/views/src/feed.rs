//! The feed: what changed on an owner's page since a position.
//!
//! Each page of each owner keeps its own newest changes, so that a reader who reconnects misses
//! nothing whatever happens to everybody else meanwhile; past that, saying the page again is shorter
//! than saying its changes. All of them together are bounded too, by what they take of the disk: the
//! oldest go first. Whoever comes back later has to read the page again.

use events::FeedPosition;

/// Changes that one owner's page keeps at least, the newest; at most twice as many.
pub const OWNER_CHANGES_KEPT: u64 = 1_000;

/// What the changes of one owner's page take that are kept at least, unless there are more than
/// [`OWNER_CHANGES_KEPT`]; at most twice as much.
pub const OWNER_BYTES_KEPT: u64 = 512 * 1024;

/// What all changes kept take together; the oldest are forgotten first.
pub const FEED_BYTES_MAX: u64 = 128 * 1024 * 1024;

/// What a change takes beside its text: its place, its index and the engine's own.
pub(crate) const CHANGE_BYTES: usize = 48;

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
