//! Since when what is read has not followed the events: of everybody's pages, by topic, and of single
//! owners, whose event waits for an operator.
//!
//! A page is as old as the topic of its views that lags most. Whoever knows the topics' subscriptions
//! says how they are doing ([`behind`](crate::behind)); reading a page costs two loads.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};

use jiff::Timestamp;

use crate::owner::{Meant, OwnersPage};
use crate::page::Page;
use crate::value::Key;

/// The moment that stands for "it follows".
const FRESH: i64 = i64::MIN;

/// Pages of single owners, and since when.
pub(crate) type Owned = HashMap<OwnersPage, Timestamp>;

pub(crate) struct Stale {
    reported: Mutex<Reported>,
    /// Of each page, in microseconds since the epoch, or [`FRESH`].
    pages: Box<[AtomicI64]>,
    owned: RwLock<Owned>,
    /// Whether there is any in `owned`, to be read without its lock.
    any_owned: AtomicBool,
}

#[derive(Default)]
struct Reported {
    /// The whole fold rests.
    rests: Option<Timestamp>,
    behind: BTreeMap<String, Timestamp>,
    /// What other instances fold is not seen.
    unreachable: Option<Timestamp>,
}

impl Stale {
    pub(crate) fn new(pages: usize) -> Stale {
        let pages = (0..pages).map(|_| AtomicI64::new(FRESH)).collect();
        let (reported, owned) = (Mutex::default(), RwLock::default());
        Stale { reported, pages, owned, any_owned: AtomicBool::new(false) }
    }

    /// Of everybody's page.
    pub(crate) fn page(&self, page: usize) -> Option<Timestamp> {
        let since = self.pages[page].load(Ordering::Acquire);
        if since == FRESH { None } else { Timestamp::from_microsecond(since).ok() }
    }

    /// Of the pages that a path can mean.
    pub(crate) fn owned(&self, page: usize, meant: Meant<'_>) -> Option<Timestamp> {
        if !self.any_owned.load(Ordering::Acquire) {
            return None;
        }
        let owned = self.owned.read().unwrap_or_else(PoisonError::into_inner);
        let keys = meant.all().map(|owner| OwnersPage { page, owner: Key::from_owner(owner) });
        keys.filter_map(|key| owned.get(&key).copied()).min()
    }

    /// Notes that the fold rests since then, or goes on.
    pub(crate) fn set_rests(&self, since: Option<Timestamp>, pages: &[Page]) {
        self.change(pages, |it| it.rests = since);
    }

    pub(crate) fn rests(&self) -> bool {
        self.reported.lock().unwrap_or_else(PoisonError::into_inner).rests.is_some()
    }

    /// Notes which topics' events since when are missing; of all others, none are.
    pub(crate) fn set_behind(&self, behind: BTreeMap<String, Timestamp>, pages: &[Page]) {
        self.change(pages, |it| it.behind = behind);
    }

    /// Notes since when it is not seen what other instances fold, or that it is.
    pub(crate) fn set_unreachable(&self, since: Option<Timestamp>, pages: &[Page]) {
        let known = self.reported.lock().unwrap_or_else(PoisonError::into_inner).unreachable;
        if since.is_some() != known.is_some() {
            self.change(pages, |it| it.unreachable = since);
        }
    }

    /// Notes whose pages miss an event since when; all others miss none.
    pub(crate) fn set_owned(&self, now: Owned) {
        self.any_owned.store(!now.is_empty(), Ordering::Release);
        *self.owned.write().unwrap_or_else(PoisonError::into_inner) = now;
    }

    fn change(&self, pages: &[Page], change: impl FnOnce(&mut Reported)) {
        let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut reported);
        for (page, stands) in pages.iter().zip(&self.pages) {
            let behind = reported.behind.iter().filter(|(topic, _)| page.topics.contains(*topic));
            let since =
                behind.map(|(_, since)| *since).chain(reported.rests).chain(reported.unreachable);
            let since = since.min().map_or(FRESH, Timestamp::as_microsecond);
            stands.store(since, Ordering::Release);
        }
    }
}
