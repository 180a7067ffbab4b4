//! The outcomes of the last calls: a ring, and the number of failures in it.
//!
//! It does not judge: what share of failures is too large is the circuit's to say.

/// A count window of fixed size.
#[derive(Debug)]
pub(super) struct Window {
    failed: Box<[bool]>,
    next: usize,
    calls: u32,
    failures: u32,
}

impl Window {
    pub(super) fn new(size: u32) -> Window {
        let failed = vec![false; size as usize].into_boxed_slice();
        Window { failed, next: 0, calls: 0, failures: 0 }
    }

    /// Takes one outcome in; the oldest leaves a full window.
    pub(super) fn push(&mut self, failed: bool) {
        // A place not used yet says "not failed", so what leaves is right without a branch.
        let left = std::mem::replace(&mut self.failed[self.next], failed);
        self.failures = self.failures + u32::from(failed) - u32::from(left);
        self.next = (self.next + 1) % self.failed.len();
        self.calls += u32::from(!self.is_full());
    }

    pub(super) fn clear(&mut self) {
        self.failed.fill(false);
        (self.next, self.calls, self.failures) = (0, 0, 0);
    }

    pub(super) fn is_full(&self) -> bool {
        self.calls as usize == self.failed.len()
    }

    /// Full, and not one failure: one more success changes nothing.
    pub(super) fn is_spotless(&self) -> bool {
        self.failures == 0 && self.is_full()
    }

    pub(super) fn calls(&self) -> u32 {
        self.calls
    }

    pub(super) fn failures(&self) -> u32 {
        self.failures
    }
}
