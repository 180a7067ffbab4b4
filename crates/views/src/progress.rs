//! How far the fold got, and readers who wait for it.
//!
//! A position names a publisher, its outbox sequence and the key it wrote under. The fold passes a
//! publisher's events in order, so the highest sequence it saw says that everything before was
//! folded, or parked; who waits can tell which, and only of the key in question.
//!
//! The highest sequences live in memory and come from the subscriptions' inbox marks, at start and
//! where a failing event moved on without a batch being written.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use events::{Clock, Control, Database, Topic, WritePosition};
use jiff::Timestamp;
use tokio::sync::watch;

use crate::stamps::Stamps;

/// Readers that may wait for a position at the same time.
pub const WAITERS_MAX: usize = 4096;

/// Publishers whose progress is kept.
const SOURCES_MAX: usize = 4096;

/// How often waiting readers look at the inbox marks, all of them together.
const LOOK_EVERY: Duration = Duration::from_millis(50);

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
    /// [`WAITERS_MAX`] readers wait already. Answer 503.
    #[error("too many readers wait. limit=`{WAITERS_MAX}`")]
    Crowded,
}

pub(crate) struct Progress {
    topics: BTreeSet<String>,
    reached: Mutex<HashMap<String, u64>>,
    publishers: RwLock<HashMap<String, Topic>>,
    left_out: RwLock<HashMap<String, RangeInclusive<u64>>>,
    controls: RwLock<Vec<Control>>,
    moved: watch::Sender<()>,
    waiting: AtomicUsize,
    looked: AtomicI64,
    clock: Clock,
    stamps: Arc<Stamps>,
}

/// A place among those who wait, given back when it is dropped.
struct Seat<'p>(&'p AtomicUsize);

impl Drop for Seat<'_> {
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
            looked: AtomicI64::new(i64::MIN),
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
    pub(crate) fn left_out(&self, source: &str, numbers: RangeInclusive<u64>) {
        let mut left_out = self.left_out.write().unwrap_or_else(PoisonError::into_inner);
        left_out.insert(source.to_owned(), numbers);
    }

    /// What is left of a position: one of a number that was never given here is of a write that a
    /// restore took back, and waiting for it would never end.
    fn existing(&self, position: &WritePosition) -> WritePosition {
        let left_out = self.left_out.read().unwrap_or_else(PoisonError::into_inner);
        let numbers = left_out.get(&position.source);
        match numbers.filter(|numbers| numbers.contains(&position.sequence)) {
            Some(numbers) => WritePosition { sequence: numbers.start() - 1, ..position.clone() },
            None => position.clone(),
        }
    }

    /// Asks this subscription too, and takes over what it has received.
    pub(crate) fn attach(&self, control: Control, database: &Database) {
        self.learn(&control, database);
        self.controls.write().unwrap_or_else(PoisonError::into_inner).push(control);
    }

    /// The subscriptions that are known.
    pub(crate) fn controls(&self) -> Vec<Control> {
        self.controls.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// After the sync: this much is folded.
    pub(crate) fn advance(&self, sequences: impl IntoIterator<Item = (String, u64)>) {
        let mut moved = false;
        let mut reached = self.reached();
        for (source, sequence) in sequences {
            let room = reached.len() < SOURCES_MAX;
            match reached.get_mut(&source) {
                Some(highest) if *highest < sequence => *highest = sequence,
                None if room => drop(reached.insert(source, sequence)),
                _ => continue,
            }
            moved = true;
        }
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
        database: &Database,
    ) -> Result<(), Waited> {
        let mut moved = self.moved.subscribe();
        if !self.is_read(topics.unwrap_or(&self.topics), &position.source) {
            return Ok(());
        }
        if let Some(outcome) = self.outcome(position) {
            return outcome;
        }
        let position = &self.existing(position);
        let _seat = self.sit()?;
        let wait = async {
            loop {
                self.look(database);
                if let Some(outcome) = self.outcome(position) {
                    return outcome;
                }
                // Either way there is something to look at.
                let _ = tokio::time::timeout(LOOK_EVERY, moved.changed()).await;
            }
        };
        tokio::time::timeout(at_most, wait).await.unwrap_or(Err(Waited::TooLate))
    }

    fn reached(&self) -> MutexGuard<'_, HashMap<String, u64>> {
        self.reached.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether events of this source come by one of these topics: by what its owner announced, or by its
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
    fn outcome(&self, position: &WritePosition) -> Option<Result<(), Waited>> {
        let reached = self.reached().get(&position.source).copied().unwrap_or(0);
        if reached < position.sequence {
            return None;
        }
        Some(if self.is_parked(position) { Err(Waited::Parked) } else { Ok(()) })
    }

    /// A store that cannot say counts as parked: nothing older is served.
    fn is_parked(&self, position: &WritePosition) -> bool {
        let controls = self.controls.read().unwrap_or_else(PoisonError::into_inner);
        let publishers = self.publishers.read().unwrap_or_else(PoisonError::into_inner);
        let topic = publishers.get(&position.source);
        let asked = controls.iter().filter(|it| topic.is_none_or(|topic| it.topic() == topic));
        let mut parked = asked.map(|control| control.parked_through(position));
        parked.any(|parked| parked.unwrap_or(true))
    }

    fn sit(&self) -> Result<Seat<'_>, Waited> {
        let seat = Seat(&self.waiting);
        if self.waiting.fetch_add(1, Ordering::Relaxed) < WAITERS_MAX {
            Ok(seat)
        } else {
            Err(Waited::Crowded)
        }
    }

    /// Reads the inbox marks, unless somebody has just done so.
    fn look(&self, database: &Database) {
        let now = (self.clock)().as_millisecond();
        let looked = self.looked.load(Ordering::Relaxed);
        let every = LOOK_EVERY.as_millis() as i64;
        // A clock set back must not keep anybody from looking.
        if (looked..looked.saturating_add(every)).contains(&now) {
            return;
        }
        let won = self.looked.compare_exchange(looked, now, Ordering::Relaxed, Ordering::Relaxed);
        if won.is_ok() {
            let controls = self.controls.read().unwrap_or_else(PoisonError::into_inner);
            controls.iter().for_each(|control| self.learn(control, database));
        }
    }

    fn is_ahead(&self, received: &BTreeMap<String, u64>) -> bool {
        let reached = self.reached();
        let known = |source: &String| reached.get(source).copied().unwrap_or(0);
        received.iter().any(|(source, sequence)| *sequence > known(source))
    }

    fn learn(&self, control: &Control, database: &Database) {
        match database.received(control.name()) {
            Ok(received) => {
                // The store shows a commit a moment before its fold moves the stamps, and whoever
                // waits is let go by what stands here: no page from before may still be good then.
                if self.is_ahead(&received) {
                    self.stamps.bump_all();
                }
                self.advance(received);
            }
            Err(error) => tracing::warn!(%error, "how far the views got could not be read"),
        }
    }
}
