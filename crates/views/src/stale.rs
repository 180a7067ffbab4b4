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
    /// No instance folds.
    unfolded: Option<Timestamp>,
}

/// Why everybody's pages, or some of them, have not followed the events since then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Staleness {
    /// What was folded is as of then, or later.
    pub since: Timestamp,
    /// Why, in words.
    pub why: String,
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

    /// Notes since when no instance folds, or that one does; whether that is news.
    pub(crate) fn set_unfolded(&self, since: Option<Timestamp>, pages: &[Page]) -> bool {
        let known = self.reported.lock().unwrap_or_else(PoisonError::into_inner).unfolded;
        let is_news = since.is_some() != known.is_some();
        if is_news {
            self.change(pages, |it| it.unfolded = since);
        }
        is_news
    }

    /// All that keeps pages from following the events, but for events of single owners.
    pub(crate) fn reasons(&self) -> Vec<Staleness> {
        let reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        let Reported { rests, behind, unreachable, unfolded } = &*reported;
        let whole = [
            (rests, "the fold rests"),
            (unreachable, "what other instances fold cannot be seen"),
            (unfolded, "nobody folds the views"),
        ];
        let reason = |since: &Timestamp, why: String| Staleness { since: *since, why };
        let whole = whole.into_iter().filter_map(|(since, why)| Some((since.as_ref()?, why)));
        let whole = whole.map(|(since, why)| reason(since, why.to_owned()));
        let topics = behind.iter();
        let topics = topics.map(|(topic, since)| reason(since, format!("{topic} is not folded")));
        whole.chain(topics).collect()
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
            let whole = [reported.rests, reported.unreachable, reported.unfolded];
            let since = behind.map(|(_, since)| *since).chain(whole.into_iter().flatten());
            let since = since.min().map_or(FRESH, Timestamp::as_microsecond);
            stands.store(since, Ordering::Release);
        }
    }
}
