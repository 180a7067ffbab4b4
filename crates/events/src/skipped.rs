//! A note of something that was stepped over: what, why, when and on whose word.
//!
//! Where it is kept is the store's.

use jiff::Timestamp;

use crate::partition::{Numbered, Partition};

/// Notes one database keeps; past it nothing more is skipped: a store that is hurt so often needs a
/// backup and not another note.
pub const SKIPPED_MAX: u64 = 10_000;

/// Characters of the name of whoever asked that are kept.
pub const BY_CHARS_MAX: usize = 200;

/// One note: what was stepped over, why, when and on whose word.
///
/// ```
/// use yeoul_events::skipped::Skipped;
///
/// /// A line for whoever audits.
/// fn line(note: &Skipped) -> String {
///     let Skipped { name, kind, first, last, reason, at, by, .. } = note;
///     let which = if first == last { first.to_string() } else { format!("{first} to {last}") };
///     format!("{at}  {name}: {kind} {which} was stepped over by {by}: {reason}")
/// }
/// let note = Skipped {
///     name: "product.order".into(),
///     kind: "record".into(),
///     partition: Default::default(),
///     first: 7,
///     last: 7,
///     event: None,
///     key: None,
///     reason: "its checksum does not fit".into(),
///     at: jiff::Timestamp::UNIX_EPOCH,
///     by: "operator".into(),
/// };
/// assert!(line(&note).ends_with("record 7 was stepped over by operator: its checksum does not fit"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Who would have handled, relayed or given it: `product.order`, `outbox.order`, `log.order`.
    pub name: String,
    /// What it was: a `record` of the log, a `parked` event, an `outbox` row, a `letter` (dropped); a `gap`: numbers of
    /// a publisher that are not in the topic; what was `lost`: numbers that are in the topic and not in the outbox; a
    /// `place`: what a subscription was told to read on behind; a letter that was `edited`: redriven with other data.
    pub kind: String,
    /// The partition of its topic.
    pub partition: Partition,
    /// Its offset or number, or the first of a stretch.
    pub first: u64,
    /// The last of the stretch.
    pub last: u64,
    /// Its id, if that is known; of a record it is what the record claims to be.
    pub event: Option<String>,
    /// Its key, if that is known.
    pub key: Option<String>,
    /// What was wrong with it.
    pub reason: String,
    /// When.
    pub at: Timestamp,
    /// On whose word; of a gap the publisher's.
    pub by: String,
}

impl Skipped {
    /// A note of one thing, with nothing else in it yet.
    pub(crate) fn blank(name: &str, kind: &str, at: Numbered, now: Timestamp) -> Skipped {
        Skipped {
            name: name.to_owned(),
            kind: kind.to_owned(),
            partition: at.partition,
            first: at.number,
            last: at.number,
            event: None,
            key: None,
            reason: String::new(),
            at: moment(now),
            by: String::new(),
        }
    }
}

/// The moment as a note keeps it: to the microsecond.
pub(crate) fn moment(now: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
}
