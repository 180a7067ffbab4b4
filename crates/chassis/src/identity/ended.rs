//! Sign-ins that were ended before their tokens were: what a verifier refuses.
//!
//! A token is good until it expires, whoever holds it; a sign-in that ends takes all of its tokens
//! with it, by the id that they share. An entry stays until the last of them would have expired
//! anyway, and is then removed. Nothing is forgotten before: where the memory is full, who asks
//! [`Ended::is_full`] takes no new sign-ins, and those that live can still be ended; so it holds at
//! most its limit and as many again as lived when it was reached.
//!
//! It is this process' memory. Whoever has to remember longer keeps a durable copy and fills this
//! one at start.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};

use jiff::Timestamp;

/// Ended sign-ins that are remembered before new ones are refused: more than this program can make
/// in the hour that a token lives.
pub const ENDED_MAX: usize = 250_000;

type OnEnd = Box<dyn Fn(&str) + Send + Sync>;
type OnLost = Box<dyn Fn() + Send + Sync>;

/// Sign-ins that have ended; clones share the memory.
#[derive(Clone)]
pub struct Ended {
    shared: Arc<Register>,
}

struct Register {
    limit: usize,
    /// Nearly always 0: then nobody has to look.
    count: AtomicUsize,
    entries: RwLock<Entries>,
    /// Stores of others that cannot be read.
    lost: AtomicUsize,
    listeners: RwLock<Vec<OnEnd>>,
    lost_listeners: RwLock<Vec<OnLost>>,
}

/// Both hold the same entries.
#[derive(Default)]
struct Entries {
    until: HashMap<Arc<str>, Timestamp>,
    soonest: BTreeSet<Expiry>,
}

/// When an entry is needed no more; ordered by time first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Expiry {
    until: Timestamp,
    session: Arc<str>,
}

impl Ended {
    /// An empty memory that is full at `limit` entries.
    pub fn new(limit: usize) -> Ended {
        Ended {
            shared: Arc::new(Register {
                limit,
                count: AtomicUsize::default(),
                entries: RwLock::default(),
                lost: AtomicUsize::default(),
                listeners: RwLock::default(),
                lost_listeners: RwLock::default(),
            }),
        }
    }

    /// Ends a sign-in whose last token expires at `until`; the later of two ends counts. Everybody
    /// who asked for it by [`Ended::on_end`] is notified before this returns.
    pub fn end(&self, session: &str, until: Timestamp, now: Timestamp) {
        {
            let mut entries = self.entries();
            entries.sweep(now);
            entries.insert(session, until, now);
            self.shared.count.store(entries.until.len(), Ordering::Release);
        }
        // Behind the entry and outside of its lock: whoever is notified finds the sign-in ended, and may ask.
        let listeners = self.shared.listeners.read().unwrap_or_else(PoisonError::into_inner);
        listeners.iter().for_each(|notify| notify(session));
    }

    /// Whether a sign-in has ended.
    pub fn contains(&self, session: &str) -> bool {
        if self.shared.count.load(Ordering::Acquire) == 0 {
            return false;
        }
        let entries = self.shared.entries.read().unwrap_or_else(PoisonError::into_inner);
        entries.until.contains_key(session)
    }

    /// Whether what others have ended cannot be seen: then nobody knows whether a token is still good.
    pub fn is_unknown(&self) -> bool {
        self.shared.lost.load(Ordering::Acquire) > 0
    }

    /// Notes that one of the places where others end sign-ins cannot be read any more. Everybody who asked for it by
    /// [`Ended::on_lost`] is notified before this returns.
    pub fn lose_a_source(&self) {
        self.shared.lost.fetch_add(1, Ordering::AcqRel);
        let listeners = self.shared.lost_listeners.read().unwrap_or_else(PoisonError::into_inner);
        listeners.iter().for_each(|notify| notify());
    }

    /// Notes that one that was lost can be read again.
    pub fn regain_a_source(&self) {
        self.shared.lost.fetch_sub(1, Ordering::AcqRel);
    }

    /// Whether no new sign-in should be taken: one more could not be ended within the limit.
    pub fn is_full(&self, now: Timestamp) -> bool {
        // The count may be too high, never too low: only where it says full is it worth sweeping.
        if self.len() < self.shared.limit {
            return false;
        }
        let mut entries = self.entries();
        entries.sweep(now);
        self.shared.count.store(entries.until.len(), Ordering::Release);
        entries.until.len() >= self.shared.limit
    }

    /// How many are remembered.
    pub fn len(&self) -> usize {
        self.shared.count.load(Ordering::Acquire)
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Has `notify` called with every sign-in that ends from now on.
    pub fn on_end(&self, notify: impl Fn(&str) + Send + Sync + 'static) {
        let mut listeners = self.shared.listeners.write().unwrap_or_else(PoisonError::into_inner);
        listeners.push(Box::new(notify));
    }

    /// Has `notify` called whenever it is not known any more what has ended.
    pub fn on_lost(&self, notify: impl Fn() + Send + Sync + 'static) {
        let listeners = &self.shared.lost_listeners;
        listeners.write().unwrap_or_else(PoisonError::into_inner).push(Box::new(notify));
    }

    fn entries(&self) -> RwLockWriteGuard<'_, Entries> {
        self.shared.entries.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    fn insert(&mut self, session: &str, until: Timestamp, now: Timestamp) {
        if until <= now {
            return;
        }
        let session: Arc<str> = session.into();
        let before = self.until.get(&session).copied();
        if before.is_some_and(|before| before >= until) {
            return;
        }
        if let Some(before) = before {
            self.soonest.remove(&Expiry { until: before, session: session.clone() });
        }
        self.until.insert(session.clone(), until);
        self.soonest.insert(Expiry { until, session });
    }

    /// Removes what has expired.
    fn sweep(&mut self, now: Timestamp) {
        while let Some(first) = self.soonest.pop_first() {
            if first.until > now {
                self.soonest.insert(first);
                return;
            }
            self.until.remove(&first.session);
        }
    }
}

impl std::fmt::Debug for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ended").field("count", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a second")
    }

    #[test]
    fn a_sign_in_stays_ended_until_its_last_token_expires_and_is_then_removed() {
        let ended = Ended::new(10);
        assert!(!ended.contains("a") && ended.is_empty());
        ended.end("a", at(10), at(0));
        ended.end("a", at(5), at(0));
        ended.end("past", at(3), at(3));
        assert!(ended.contains("a") && !ended.contains("b") && !ended.contains("past"));
        ended.end("a", at(20), at(1));
        ended.end("b", at(30), at(11));
        assert!(ended.contains("a"), "the later end counts");
        ended.end("c", at(30), at(20));
        assert!(!ended.contains("a") && ended.contains("b"));
        assert_eq!(ended.len(), 2);
    }

    #[test]
    fn a_full_memory_says_so_and_forgets_nothing() {
        let ended = Ended::new(2);
        ended.end("a", at(10), at(0));
        assert!(!ended.is_full(at(0)));
        ended.end("b", at(20), at(0));
        assert!(ended.is_full(at(9)));
        ended.end("c", at(30), at(9));
        assert!(["a", "b", "c"].iter().all(|session| ended.contains(session)));
        assert!(ended.is_full(at(19)), "one has gone, two are left");
        assert!(!ended.is_full(at(20)));
        assert_eq!(ended.len(), 1);
    }

    #[test]
    fn who_wants_to_hear_that_nobody_knows_does_once_it_is_so() {
        let ended = Ended::new(2);
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (tell, seen) = (heard.clone(), ended.clone());
        ended.on_lost(move || tell.lock().expect("not poisoned").push(seen.is_unknown()));
        ended.lose_a_source();
        ended.lose_a_source();
        ended.regain_a_source();
        ended.regain_a_source();
        assert_eq!(
            (heard.lock().expect("not poisoned").as_slice(), ended.is_unknown()),
            (&[true; 2][..], false)
        );
    }

    #[test]
    fn who_wants_to_hear_of_it_does_once_it_is_so() {
        let ended = Ended::new(2);
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (tell, seen) = (heard.clone(), ended.clone());
        ended.on_end(move |session| {
            let entry = (session.to_owned(), seen.contains(session));
            tell.lock().expect("not poisoned").push(entry);
        });
        ended.end("a", at(10), at(0));
        assert_eq!(*heard.lock().expect("not poisoned"), [("a".to_owned(), true)]);
    }
}
