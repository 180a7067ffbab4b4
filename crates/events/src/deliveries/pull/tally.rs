//! What was counted of one subscription at this instance: for whoever shows it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Kept by the loop.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) given: Count,
    pub(super) again: Count,
    pub(super) acknowledged: Count,
    pub(super) rejected: Count,
    pub(super) ended: Count,
    /// Not a sum: how many leases have something out.
    open: AtomicU64,
    stopped: Mutex<Stopped>,
}

/// What an operator has to mend before new events are lent.
#[derive(Clone, Default)]
pub(super) struct Stopped {
    /// Whether there is nothing else to wait for.
    pub(super) is_all: bool,
    /// Of the first partition that it stops, why.
    pub(super) why: Option<String>,
}

/// A number that goes up.
#[derive(Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn add(&self, more: usize) {
        self.0.fetch_add(more as u64, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What was counted since the start, and how it stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Events that were given out, those given again included.
    pub given: u64,
    /// Of them those that had an attempt behind them.
    pub again: u64,
    /// Events that were acknowledged.
    pub acknowledged: u64,
    /// Events that were rejected.
    pub rejected: u64,
    /// Leases that ended before all of their events were answered for.
    pub ended: u64,
    /// Leases that have something out, as this instance knows.
    pub open: u64,
    /// Requests that wait for events.
    pub waiting: u64,
}

impl Tally {
    pub(super) fn set_open(&self, open: usize) {
        self.open.store(open as u64, Ordering::Relaxed);
    }

    pub(super) fn set_stopped(&self, is_all: bool, why: Option<String>) {
        let stopped = Stopped { is_all, why };
        *self.stopped.lock().unwrap_or_else(PoisonError::into_inner) = stopped;
    }

    pub(super) fn stopped(&self) -> Stopped {
        self.stopped.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn counts(&self, waiting: usize) -> Counts {
        Counts {
            given: self.given.get(),
            again: self.again.get(),
            acknowledged: self.acknowledged.get(),
            rejected: self.rejected.get(),
            ended: self.ended.get(),
            open: self.open.load(Ordering::Relaxed),
            waiting: waiting as u64,
        }
    }
}
