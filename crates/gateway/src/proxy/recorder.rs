//! How a call went, recorded once with those who count: its route's circuit, and the address it went to.
//!
//! A failure of one address does not move the circuit while another one is good: the address is left
//! out soon, and the service is not down. A probe, of a circuit or of an address, is decided by its
//! head: how long the client takes to read the rest says nothing of the service.

use std::time::Instant;

use guard::breaker::Outcome;
use guard::outlier::Ticket;

use super::attempt::Visit;
use crate::guards::CallPermit;

/// A call whose outcome is still to be recorded; dropped, it counts nothing.
pub(super) struct Recorder {
    permit: Option<CallPermit>,
    visit: Option<Visit>,
}

impl Recorder {
    /// Of a call with this permit at this address.
    pub(super) fn new(permit: Option<CallPermit>, visit: Option<Visit>) -> Recorder {
        Recorder { permit, visit }
    }

    /// Whether something waits for it.
    pub(super) fn is_probe(&self) -> bool {
        self.permit.as_ref().is_some_and(CallPermit::is_probe)
            || self.visit.as_ref().is_some_and(|visit| visit.ticket == Ticket::Probe)
    }

    /// Records it, with whoever counts.
    pub(super) fn record(self, outcome: Outcome, now: Instant) {
        let mut elsewhere = false;
        if let Some(visit) = &self.visit {
            // With the address first: whether another one is good depends on what it has counted.
            visit.record(outcome, now);
            elsewhere = outcome == Outcome::Failure && visit.address.is_another_good();
        }
        match self.permit {
            // Given back, it counts nothing.
            Some(permit) if elsewhere => drop(permit),
            Some(permit) => permit.record(outcome, now),
            None => {}
        }
    }
}
