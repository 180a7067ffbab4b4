//! What is in somebody's hands of a partition, and how often an event was tried again: counted where it happens, for whoever
//! measures.
//!
//! In memory, since the start, and of this instance: what has to outlive the process, such as how many attempts an event has
//! had, is in the tables. Nobody decides by it. What is in hand is counted by who holds it ([`InHand`]), so that work that is
//! dropped half-way counts no longer than it lives; what is lent out of the process is set as the leases are known
//! ([`Workload::set_lent`]).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// See the module.
#[derive(Default)]
pub(crate) struct Workload {
    /// Here, and being tried.
    in_hand: AtomicU64,
    /// Elsewhere, under leases.
    lent: AtomicU64,
    retries: AtomicU64,
}

/// So many events that are being tried: until it is dropped.
pub(crate) struct InHand {
    of: Arc<Workload>,
    count: u64,
}

impl Workload {
    /// Counts events that are tried from now on.
    pub(crate) fn take(self: &Arc<Self>, count: usize) -> InHand {
        let (of, count) = (Arc::clone(self), count as u64);
        of.in_hand.fetch_add(count, Ordering::Relaxed);
        InHand { of, count }
    }

    /// Notes how many are lent.
    pub(crate) fn set_lent(&self, count: usize) {
        self.lent.store(count as u64, Ordering::Relaxed);
    }

    /// Counts attempts after an event's first.
    pub(crate) fn add_retries(&self, more: usize) {
        self.retries.fetch_add(more as u64, Ordering::Relaxed);
    }

    /// Events whose attempt has begun and has no answer.
    pub(crate) fn in_flight(&self) -> u64 {
        self.in_hand.load(Ordering::Relaxed) + self.lent.load(Ordering::Relaxed)
    }

    /// Attempts after an event's first, since the start.
    pub(crate) fn retries(&self) -> u64 {
        self.retries.load(Ordering::Relaxed)
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        self.of.in_hand.fetch_sub(self.count, Ordering::Relaxed);
    }
}
