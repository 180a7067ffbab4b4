//! Where the loop says how it goes, and those who ask read it.
//!
//! Two kinds of trouble are told apart, because they are other people's. Where nothing can be stored (no disk, no server, no room), all that
//! is due waits, and the process does not do its work. Where one event is refused for what it is (its topic is taken no more, its
//! row is hurt), that one waits for an operator and no other does: it is named, and counts as late to nobody else.
//!
//! Trouble ends with the first answer that says so, and not by waiting: that of the store with the next turn that comes through, that of a
//! topic with the next event that it stores or refuses for what it is. One that is put aside keeps neither from ending.
//!
//! What is told is forgotten when it was not told again for [`TOLD_FOR`]: a schedule that was cancelled elsewhere is told no more.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use super::{AGAIN_AFTER, ASIDE_SHOWN};
use crate::topic::Topic;

/// For how long something is told that is not told again: longer than until it is tried again.
const TOLD_FOR: Duration = Duration::from_secs(3 * AGAIN_AFTER.as_secs());

/// How it goes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// How many wait, by the last look.
    pub pending: u64,
    /// How late the one is that is due and was not published, those put aside not counted; nothing where this instance does not look
    /// after them.
    pub late: Duration,
    /// Whether this instance looks after them.
    pub is_holder: bool,
    /// Why nothing that is due is published.
    pub trouble: Option<String>,
    /// Those that are due and refused for what they are, by key, at most [`ASIDE_SHOWN`].
    pub aside: Vec<Aside>,
}

/// One that is due and is not published while others are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aside {
    /// Its key.
    pub key: String,
    /// What refused it.
    pub why: String,
}

/// See the module.
#[derive(Default)]
pub(super) struct Board {
    pending: AtomicU64,
    /// Of what is to be looked at next, when it was due; the largest where nothing is.
    next: AtomicI64,
    is_holder: AtomicBool,
    notes: Mutex<Notes>,
}

#[derive(Default)]
struct Notes {
    /// Why rows are not read or not written.
    store: Option<String>,
    /// Topics that nothing can be stored to, at most as many as the settings name: another one is refused.
    topics: BTreeMap<Topic, Held>,
    aside: BTreeMap<String, Told>,
}

/// What waits until a topic takes events again.
struct Held {
    told: Told,
    /// When the oldest was due of what it did not take.
    oldest: i64,
}

/// What was said, and until when that counts.
struct Told {
    why: String,
    at: Timestamp,
}

/// What a look saw of what is due.
pub(super) struct Due {
    pub(super) pending: u64,
    /// When the first was due that was not refused yet; or else when one is to be looked at next.
    pub(super) first: Option<i64>,
    /// Whether any is due and was refused since.
    pub(super) has_refused: bool,
}

impl Notes {
    /// The store's before a topic's: nothing goes on without it. Of topics that whose event waits longest.
    fn trouble(&self) -> Option<&str> {
        let longest = self.topics.values().min_by_key(|held| held.oldest);
        self.store.as_deref().or(longest.map(|held| &*held.told.why))
    }
}

impl Told {
    fn is_past(&self, now: Timestamp) -> bool {
        now.duration_since(self.at).unsigned_abs() > TOLD_FOR
    }
}

impl Board {
    pub(super) fn read(&self, now: Timestamp) -> Report {
        let next = self.next.load(Ordering::Relaxed);
        let is_holder = self.is_holder.load(Ordering::Relaxed);
        let late = now.as_microsecond().saturating_sub(next);
        let late = u64::try_from(late).ok().filter(|_| is_holder && next != 0).unwrap_or(0);
        let notes = self.notes();
        let aside = notes.aside.iter().filter(|it| !it.1.is_past(now));
        let aside = aside.map(|(key, told)| Aside { key: key.clone(), why: told.why.clone() });
        Report {
            pending: self.pending.load(Ordering::Relaxed),
            late: Duration::from_micros(late),
            is_holder,
            trouble: notes.trouble().map(str::to_owned),
            aside: aside.collect(),
        }
    }

    /// Notes whether this instance looks after them: only whoever does has anything to tell.
    pub(super) fn set_holder(&self, is_holder: bool) {
        self.is_holder.store(is_holder, Ordering::Relaxed);
        if !is_holder {
            *self.notes() = Notes::default();
        }
    }

    pub(super) fn note(&self, due: &Due, now: Timestamp) {
        let mut notes = self.notes();
        notes.aside.retain(|_, told| !told.is_past(now));
        notes.topics.retain(|_, held| due.has_refused && !held.told.is_past(now));
        // What is refused makes nobody late, unless its topic takes nothing.
        let held = notes.topics.values().map(|held| held.oldest);
        let oldest = due.first.into_iter().chain(held).min().unwrap_or(i64::MAX);
        self.pending.store(due.pending, Ordering::Relaxed);
        self.next.store(oldest, Ordering::Relaxed);
    }

    /// How the last turn went with the store: why rows could not be read or written.
    pub(super) fn set_store(&self, trouble: Option<String>) {
        self.notes().store = trouble;
    }

    /// Nothing can be stored to this topic for now; what was due then waits.
    pub(super) fn hold(&self, topic: &Topic, due: Timestamp, why: String, now: Timestamp) {
        let mut notes = self.notes();
        let due = due.as_microsecond();
        let oldest = notes.topics.get(topic).map_or(due, |held| held.oldest.min(due));
        notes.topics.insert(topic.clone(), Held { told: Told { why, at: now }, oldest });
    }

    /// It stored an event, or said what is wrong with one.
    pub(super) fn answered(&self, topic: &Topic) {
        self.notes().topics.remove(topic);
    }

    /// This one is not, and others are.
    pub(super) fn put_aside(&self, key: &str, why: String, now: Timestamp) {
        let mut notes = self.notes();
        if notes.aside.contains_key(key) || notes.aside.len() < ASIDE_SHOWN {
            notes.aside.insert(key.to_owned(), Told { why, at: now });
        }
    }

    /// It is published, or nobody wants it any more.
    pub(super) fn forget(&self, key: &str) {
        self.notes().aside.remove(key);
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
