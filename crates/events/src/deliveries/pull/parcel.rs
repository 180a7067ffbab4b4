//! What one who asked is to be given: events that are put together until there are as many as he wants, and their lease.
//!
//! What goes alone, and what together:
//!
//! | an event | goes |
//! |---|---|
//! | at its first attempts | with others, and with what is behind it of its key |
//! | at its last attempt, or at any after its second | alone |
//! | with the id of one that is in already | with another lease: an id names one event of a lease |
//!
//! So nothing becomes a dead letter for what was fetched with it: an event that its handler cannot bear takes those beside it
//! along twice at most. Pure.

use std::collections::HashSet;
use std::sync::Arc;

use super::lease::{Entry, What};
use super::{ANSWER_BYTES_MAX, Given};
use crate::broker::Stored;
use crate::event::Event;
use crate::partition::Partition;

/// Attempts that an event may have behind it and still go with others.
const ATTEMPTS_TOGETHER: u32 = 1;

/// See the module.
pub(super) struct Parcel {
    limit: usize,
    /// Attempts in all.
    attempts: u32,
    bytes: usize,
    pub(super) entries: Vec<Entry>,
    pub(super) given: Vec<Given>,
    ids: HashSet<String>,
    /// What goes alone is in it.
    is_closed: bool,
}

/// An event that may go in, with what is known of it.
pub(super) struct Candidate<'c> {
    pub(super) event: &'c Event,
    pub(super) bytes: usize,
    /// Attempts behind it.
    pub(super) attempts: u32,
}

impl Parcel {
    /// An empty one, of at most `limit` events; each is given up after so many attempts.
    pub(super) fn new(limit: usize, attempts: u32) -> Parcel {
        Parcel {
            limit,
            attempts,
            bytes: 0,
            entries: Vec::new(),
            given: Vec::new(),
            ids: HashSet::new(),
            is_closed: false,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many more may go in.
    pub(super) fn room(&self) -> usize {
        if self.is_closed { 0 } else { self.limit.saturating_sub(self.entries.len()) }
    }

    /// Whether this one may go in.
    pub(super) fn takes(&self, candidate: &Candidate<'_>) -> bool {
        if self.is_empty() {
            return true;
        }
        self.room() > 0
            && !goes_alone(candidate.attempts, self.attempts)
            && self.bytes + candidate.bytes <= ANSWER_BYTES_MAX
            && !self.ids.contains(&candidate.event.id)
    }

    /// Puts in an event of a window.
    pub(super) fn add_fresh(&mut self, partition: Partition, stored: &Arc<Stored>, bytes: usize) {
        let candidate = Candidate { event: &stored.event, bytes, attempts: 0 };
        self.add(partition, What::Fresh(stored.offset.0), &candidate);
        self.given.push(Given::fresh(Arc::clone(stored)));
    }

    /// Puts in a parked event.
    pub(super) fn add_parked(
        &mut self,
        partition: Partition,
        turn: i64,
        event: Event,
        attempts: u32,
    ) {
        let candidate = Candidate { event: &event, bytes: size_of(&event), attempts };
        self.add(partition, What::Parked(turn), &candidate);
        self.given.push(Given::again(event, attempts.saturating_add(1)));
    }

    fn add(&mut self, partition: Partition, what: What, candidate: &Candidate<'_>) {
        let Event { id, source, key, .. } = candidate.event;
        self.ids.insert(id.clone());
        self.bytes += candidate.bytes;
        self.is_closed |= goes_alone(candidate.attempts, self.attempts);
        self.entries.push(Entry {
            partition: partition.index(),
            what,
            key: key.clone(),
            source: source.clone(),
            id: id.clone(),
            attempt: candidate.attempts.saturating_add(1),
            rejected: None,
        });
    }
}

/// Whether an event with so many attempts behind it goes alone, of so many in all.
pub(super) fn goes_alone(attempts: u32, of: u32) -> bool {
    attempts > ATTEMPTS_TOGETHER || attempts.saturating_add(1) >= of
}

/// What an event counts as, of the bytes of an answer.
pub(super) fn size_of(event: &Event) -> usize {
    event.to_json().len()
}
