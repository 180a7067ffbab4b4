//! How far the fold got, and readers who wait for it.
//!
//! A position names a publisher, its outbox sequence and the key it wrote under. The fold passes a
//! publisher's events in order, so the highest sequence it saw says that everything before was
//! folded, or parked; who waits can tell which, and only of the key in question.
//!
//! The highest sequences live in memory. They are the subscriptions' inbox marks: read at the start, and
//! brought by the subscriptions after every commit, of this process or seen in the store after another's
//! ([`follow`](crate::follow)).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use events::store::LeftOut;
use events::subscription::Received;
use events::{Clock, Control, Database, Numbered, Numbers, Topic, WritePosition};
use jiff::Timestamp;
use tokio::sync::watch;

use crate::stamps::Stamps;

/// Readers that may wait for a position at the same time.
pub const WAITERS_MAX: usize = 4096;

/// How long the store may take to say whether an event up to a position is parked, where the reader waits no longer.
const LOOK_MAX: Duration = Duration::from_secs(1);

/// Publishers whose progress is kept.
const SOURCES_MAX: usize = 4096;

/// Why a position was not waited for to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Waited {
    /// The time was up first. Answer 504; nothing older is served.
    #[error("the position was not reached in time")]
    TooLate,
    /// An event up to the position waits for an operator. Answer 504 at once.
    #[error("an event up to the position is parked")]
    Parked,
    /// How far the page is, or whether an event up to the position is parked, cannot be read. Answer 504 at once.
    #[error("how far the page is cannot be read")]
    Unreachable,
    /// [`WAITERS_MAX`] readers wait already. Answer 503.
    #[error("too many readers wait. limit=`{WAITERS_MAX}`")]
    Crowded,
}

pub(crate) struct Progress {
    topics: BTreeSet<String>,
    reached: Mutex<HashMap<String, Numbers>>,
    publishers: RwLock<HashMap<String, Topic>>,
    left_out: RwLock<HashMap<String, Vec<LeftOut>>>,
    controls: RwLock<Vec<Control>>,
    moved: watch::Sender<()>,
    waiting: AtomicUsize,
    /// What other instances have received is not seen.
    unreachable: AtomicBool,
    clock: Clock,
    stamps: Arc<Stamps>,
}

/// One of those who wait, until it is dropped.
struct Waiter<'p>(&'p AtomicUsize);

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Progress {
    pub(crate) fn new(topics: BTreeSet<String>, clock: Clock, stamps: Arc<Stamps>) -> Progress {
        Progress {
            topics,
            reached: Mutex::default(),
            publishers: RwLock::default(),
            left_out: RwLock::default(),
            controls: RwLock::default(),
            moved: watch::Sender::new(()),
            waiting: AtomicUsize::new(0),
            unreachable: AtomicBool::new(false),
            clock,
            stamps,
        }
    }

    /// Records where a source publishes to.
    pub(crate) fn publisher(&self, source: &str, topic: &Topic) {
        let mut publishers = self.publishers.write().unwrap_or_else(PoisonError::into_inner);
        publishers.insert(source.to_owned(), topic.clone());
    }

    /// Says which numbers of a source were never given.
    pub(crate) fn left_out(&self, source: &str, numbers: Vec<LeftOut>) {
        let mut left_out = self.left_out.write().unwrap_or_else(PoisonError::into_inner);
        left_out.insert(source.to_owned(), numbers);
    }

    /// What is left of a position: one of a number that was never given here is of a write that a
    /// restore took back, and waiting for it would never end.
    fn existing(&self, position: &WritePosition) -> WritePosition {
        let left_out = self.left_out.read().unwrap_or_else(PoisonError::into_inner);
        let Some(left_out) = left_out.get(&position.source) else { return position.clone() };
        let given = |at: Numbered| {
            let its =
                |it: &&LeftOut| it.partition == at.partition && it.numbers.contains(&at.number);
            let before = left_out.iter().find(its).map(|it| it.numbers.start() - 1);
            Numbered { number: before.unwrap_or(at.number), ..at }
        };
        let sequences = position.sequences.iter().map(given).collect();
        WritePosition { sequences, ..position.clone() }
    }

    /// Asks this subscription too, and takes over what it has received.
    pub(crate) async fn attach(&self, control: Control, database: &Database) {
        self.learn(&control, database).await;
        self.controls.write().unwrap_or_else(PoisonError::into_inner).push(control);
    }

    /// Notes whether it is seen how far other instances have got; where it is not, nobody waits for it.
    pub(crate) fn set_unreachable(&self, unreachable: bool) {
        if self.unreachable.swap(unreachable, Ordering::AcqRel) != unreachable {
            self.moved.send_replace(());
        }
    }

    /// Whether that is not seen.
    pub(crate) fn is_unreachable(&self) -> bool {
        self.unreachable.load(Ordering::Acquire)
    }

    /// The subscriptions that are known.
    pub(crate) fn controls(&self) -> Vec<Control> {
        self.controls.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// After the sync: this much is folded, or parked.
    pub(crate) fn advance<'r>(&self, received: impl IntoIterator<Item = &'r Received>) {
        let mut moved = false;
        let mut reached = self.reached();
        for Received { source, up_to } in received {
            if !reached.contains_key(source) && reached.len() < SOURCES_MAX {
                reached.insert(source.clone(), Numbers::default());
            }
            moved |= reached.get_mut(source).is_some_and(|numbers| numbers.raise(*up_to));
        }
        // Let go before anybody is woken: they look into it at once.
        drop(reached);
        if moved {
            self.moved.send_replace(());
        }
    }

    /// `topics` are those that the reader shows; all that are folded without them.
    pub(crate) async fn wait(
        &self,
        topics: Option<&BTreeSet<String>>,
        position: &WritePosition,
        at_most: Duration,
    ) -> Result<(), Waited> {
        // Before the first look, so that what comes between the look and the wait wakes it.
        let mut moved = self.moved.subscribe();
        if !self.is_read(topics.unwrap_or(&self.topics), &position.source) {
            return Ok(());
        }
        // Whoever asks for no wait at all is answered, too: a store that stands still is another matter.
        let first = tokio::time::timeout(at_most.max(LOOK_MAX), self.outcome(position));
        if let Some(outcome) = first.await.unwrap_or(Some(Err(Waited::Unreachable))) {
            return outcome;
        }
        let position = &self.existing(position);
        // Counted only where it has to wait: a position that is met costs nobody a place.
        let _waiter = self.join()?;
        let wait = async {
            loop {
                if let Some(outcome) = self.outcome(position).await {
                    return outcome;
                }
                // It lives as long as this: there is always somebody who may tell.
                let _ = moved.changed().await;
            }
        };
        tokio::time::timeout(at_most, wait).await.unwrap_or(Err(Waited::TooLate))
    }

    fn reached(&self) -> MutexGuard<'_, HashMap<String, Numbers>> {
        self.reached.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether events of this source come by one of these topics: by what its owner declared, or by its
    /// name; some that were folded and of which neither is known may have come by any.
    fn is_read(&self, topics: &BTreeSet<String>, source: &str) -> bool {
        let publishers = self.publishers.read().unwrap_or_else(PoisonError::into_inner);
        match publishers.get(source) {
            Some(topic) => topics.contains(topic.as_str()),
            None if self.topics.contains(source) => topics.contains(source),
            None => self.reached().contains_key(source),
        }
    }

    /// `None` while the position is ahead.
    async fn outcome(&self, position: &WritePosition) -> Option<Result<(), Waited>> {
        if !self.covers(position) {
            return self.is_unreachable().then_some(Err(Waited::Unreachable));
        }
        Some(match self.is_parked(position).await {
            Ok(false) => Ok(()),
            Ok(true) => Err(Waited::Parked),
            // It may be parked: nothing older is served.
            Err(error) => {
                tracing::debug!(%error, "whether an event is parked cannot be read");
                Err(Waited::Unreachable)
            }
        })
    }

    fn covers(&self, position: &WritePosition) -> bool {
        let nothing = Numbers::default();
        self.reached().get(&position.source).unwrap_or(&nothing).cover(&position.sequences)
    }

    /// Whether an event up to there waits for an operator.
    async fn is_parked(&self, position: &WritePosition) -> Result<bool, events::Error> {
        for control in self.folding(&position.source) {
            if control.parked_through(position).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The subscriptions by which events of a source may come: all, where its topic is not known.
    fn folding(&self, source: &str) -> Vec<Control> {
        let publishers = self.publishers.read().unwrap_or_else(PoisonError::into_inner);
        let topic = publishers.get(source);
        let controls = self.controls.read().unwrap_or_else(PoisonError::into_inner);
        let may = |control: &&Control| topic.is_none_or(|topic| control.topic() == topic);
        controls.iter().filter(may).cloned().collect()
    }

    fn join(&self) -> Result<Waiter<'_>, Waited> {
        let waiter = Waiter(&self.waiting);
        if self.waiting.fetch_add(1, Ordering::Relaxed) < WAITERS_MAX {
            Ok(waiter)
        } else {
            Err(Waited::Crowded)
        }
    }

    /// Takes over what a subscription has received before anybody listened to it.
    async fn learn(&self, control: &Control, database: &Database) {
        match database.received(control.name(), control.topic()).await {
            Ok(received) => {
                // Pages may have been rendered meanwhile: none from before may still be good.
                self.stamps.bump_all();
                self.advance(&each(received));
            }
            Err(error) => tracing::warn!(%error, "how far the views got could not be read"),
        }
    }
}

/// Each of them for itself.
pub(crate) fn each(received: BTreeMap<String, Numbers>) -> Vec<Received> {
    let numbers = received.into_iter().flat_map(|(source, numbers)| {
        let numbers: Vec<_> = numbers.iter().collect();
        numbers.into_iter().map(move |up_to| Received { source: source.clone(), up_to })
    });
    numbers.collect()
}
