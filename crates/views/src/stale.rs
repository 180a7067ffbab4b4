//! Since when what is read has not followed the events, and of which topics.
//!
//! A page is as old as the topic of its views that lags most. Whoever knows a topic's subscription
//! says how it is doing; reading a page costs one load.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use crate::definition::Page;

/// The moment that stands for "it follows".
const FRESH: i64 = i64::MIN;

pub(crate) struct Stale {
    said: Mutex<Said>,
    /// Of each page, in microseconds since the epoch, or [`FRESH`].
    pages: Box<[AtomicI64]>,
}

#[derive(Default)]
struct Said {
    /// The whole fold rests.
    rests: Option<Timestamp>,
    behind: BTreeMap<String, Timestamp>,
}

impl Stale {
    pub(crate) fn new(pages: usize) -> Stale {
        let pages = (0..pages).map(|_| AtomicI64::new(FRESH)).collect();
        Stale { said: Mutex::default(), pages }
    }

    pub(crate) fn page(&self, page: usize) -> Option<Timestamp> {
        let since = self.pages[page].load(Ordering::Acquire);
        if since == FRESH { None } else { Timestamp::from_microsecond(since).ok() }
    }

    /// Says that the fold rests since then, or goes on.
    pub(crate) fn set_rests(&self, since: Option<Timestamp>, pages: &[Page]) {
        self.change(pages, |said| said.rests = since);
    }

    /// Says that a topic's events since then are missing, or that none are.
    pub(crate) fn set_behind(&self, topic: &str, since: Option<Timestamp>, pages: &[Page]) {
        self.change(pages, |said| match since {
            Some(since) => drop(said.behind.insert(topic.to_owned(), since)),
            None => drop(said.behind.remove(topic)),
        });
    }

    fn change(&self, pages: &[Page], change: impl FnOnce(&mut Said)) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut said);
        for (page, stands) in pages.iter().zip(&self.pages) {
            let behind = said.behind.iter().filter(|(topic, _)| page.topics.contains(*topic));
            let since = behind.map(|(_, since)| *since).chain(said.rests).min();
            let since = since.map_or(FRESH, Timestamp::as_microsecond);
            stands.store(since, Ordering::Release);
        }
    }
}
