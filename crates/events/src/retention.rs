//! How long a topic keeps its events: decided from what is known of it, with time as an argument.
//!
//! A log that keeps everything grows for as long as the shop lives. A topic may be told to keep its events for so
//! long, up to so many bytes, or of each key the latest alone. What is removed is always the oldest (or, of a key, what a newer
//! event took the place of), and the newest event of a partition stays whatever its age: it is what tells, when the
//! file is opened again, whether the end of it was lost.
//!
//! *When an event came* is not what the event says of itself: a device whose clock is wrong would have its events removed at once or
//! never. It is when the log had it: now and then the end of a partition is noted with the time ([`Seen`]), so that
//! all events up to there are known to have been there then. An event is kept for its time at the least, and for a
//! [`STEPS`]th of it longer at the most.
//!
//! It removes nothing: that is the store's.

use std::fmt;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// Ends that are noted over the time a topic keeps its events, at most.
pub(crate) const STEPS: u32 = 64;

/// What is kept of a topic; by default everything, for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Events that came longer ago are removed.
    pub keep_for: Option<Duration>,
    /// Bytes that the topic's events may have together, as they are stored and not as the file has them; each partition has its
    /// share. Past it the oldest are removed.
    pub bytes: Option<u64>,
    /// Of each key only the newest event is kept.
    pub latest_per_key: bool,
}

/// The end of a partition at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Its newest place.
    pub(crate) end: u64,
    /// When it was.
    pub(crate) at: Timestamp,
}

impl Retention {
    /// Whether nothing is ever removed.
    pub fn keeps_all(&self) -> bool {
        *self == Retention::default()
    }

    /// Whether rows have to be looked at one by one: for their bytes, or their keys.
    pub(crate) fn counts(&self) -> bool {
        self.bytes.is_some() || self.latest_per_key
    }

    /// Whether the end of a partition is noted now, whose last one noted is `last`.
    pub(crate) fn is_noted(&self, last: Option<Seen>, now: Seen) -> bool {
        let Some(keep_for) = self.keep_for else { return false };
        last.is_none_or(|last| {
            let passed = now.at.duration_since(last.at);
            // A clock that was set back begins anew: what is noted of a time to come would hold events until then.
            now.end > last.end && (passed >= signed(keep_for / STEPS) || passed.is_negative())
        })
    }

    /// Events that were there at this time have been kept for long enough.
    pub(crate) fn kept_since(&self, now: Timestamp) -> Option<Timestamp> {
        now.checked_sub(signed(self.keep_for?)).ok()
    }

    /// Bytes that one of so many partitions may have.
    pub(crate) fn share(&self, partitions: u16) -> Option<u64> {
        self.bytes.map(|bytes| bytes / u64::from(partitions.max(1)))
    }
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

impl fmt::Display for Retention {
    /// When an event is removed, as it goes on after "is removed".
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let age = self.keep_for.map(|it| format!("{} s after it came", it.as_secs_f64()));
        let bytes =
            self.bytes.map(|it| format!("as the oldest when its topic has over {it} bytes"));
        let newer = self.latest_per_key.then(|| "when its key has a newer one".to_owned());
        let when: Vec<String> = [age, bytes, newer].into_iter().flatten().collect();
        formatter.write_str(&if when.is_empty() { "never".to_owned() } else { when.join(" or ") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(end: u64, second: i64) -> Seen {
        Seen { end, at: Timestamp::from_second(second).unwrap() }
    }

    #[test]
    fn an_end_is_noted_once_a_step_and_after_a_clock_was_set_back() {
        let keeps = Retention { keep_for: Some(Duration::from_secs(640)), ..Retention::default() };
        for (last, now, is_noted) in [
            (None, seen(1, 0), true),
            (Some(seen(1, 0)), seen(2, 9), false),
            (Some(seen(1, 0)), seen(2, 10), true),
            // Nothing came since: the time noted before says more.
            (Some(seen(2, 0)), seen(2, 1_000), false),
            (Some(seen(1, 5_000)), seen(2, 9), true),
        ] {
            assert_eq!(keeps.is_noted(last, now), is_noted, "{last:?} {now:?}");
        }
        assert!(!Retention::default().is_noted(None, seen(1, 0)));
    }

    #[test]
    fn a_time_before_all_times_removes_nothing() {
        let keeps = Retention { keep_for: Some(Duration::MAX), ..Retention::default() };
        assert_eq!(keeps.kept_since(Timestamp::UNIX_EPOCH), None);
        let minute = Retention { keep_for: Some(Duration::from_secs(60)), ..Retention::default() };
        assert_eq!(minute.kept_since(seen(1, 100).at), Some(seen(1, 40).at));
    }

    #[test]
    fn partitions_share_their_topics_bytes() {
        let keeps = Retention { bytes: Some(100), ..Retention::default() };
        assert_eq!((keeps.share(1), keeps.share(4)), (Some(100), Some(25)));
        assert_eq!(Retention::default().share(4), None);
    }

    #[test]
    fn what_is_removed_is_said_in_words() {
        let all = Retention {
            keep_for: Some(Duration::from_secs(90)),
            bytes: Some(1024),
            latest_per_key: true,
        };
        let words = "90 s after it came or as the oldest when its topic has over 1024 bytes or when its key \
                     has a newer one";
        assert_eq!(all.to_string(), words);
        assert_eq!(Retention::default().to_string(), "never");
        assert!(Retention::default().keeps_all() && !all.keeps_all());
    }
}
