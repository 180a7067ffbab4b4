//! Where the loop says how it goes, and those who ask read it.
//!
//! Two kinds of trouble are told apart, because they are other people's. Where nothing can be stored (no disk, no server, no room), all that
//! is due waits, and the process does not do its work. Where one event is refused for what it is (its topic is taken no more, its
//! row is hurt), that one waits for an operator and no other does: it is named, and counts as late to nobody else.
//!
//! What is told is forgotten when it was not told again for [`TOLD_FOR`]: a schedule that was cancelled elsewhere is told no more.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use super::{AGAIN_AFTER, ASIDE_SHOWN};

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
    trouble: Option<Told>,
    aside: BTreeMap<String, Told>,
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
    /// When the oldest was due that was refused since.
    pub(super) refused: Option<i64>,
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
            trouble: notes.trouble.as_ref().map(|told| told.why.clone()),
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
        let is_over =
            due.refused.is_none() || notes.trouble.as_ref().is_some_and(|it| it.is_past(now));
        if is_over {
            notes.trouble = None;
        }
        // While something can be stored, what is refused is put aside, and makes nobody late.
        let refused = due.refused.filter(|_| notes.trouble.is_some());
        let oldest = due.first.into_iter().chain(refused).min().unwrap_or(i64::MAX);
        self.pending.store(due.pending, Ordering::Relaxed);
        self.next.store(oldest, Ordering::Relaxed);
    }

    /// Nothing that is due is published.
    pub(super) fn set_trouble(&self, why: String, now: Timestamp) {
        self.notes().trouble = Some(Told { why, at: now });
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
