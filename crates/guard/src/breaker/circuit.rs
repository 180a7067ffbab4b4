//! The state machine of a breaker: what each state makes of each input.
//!
//! | in | input | becomes |
//! |---|---|---|
//! | closed | an outcome that fills the window or is recorded into a full one, and the failures reach the rate | open |
//! | open | the open time is over | half-open, no probe yet |
//! | half-open | a failed probe, or a deadline that is over | open |
//! | half-open | the last of the successes that it takes | closed, the window empty |
//!
//! Three things hold throughout:
//!
//! 1. Transitions are counted: one for every row of that table and for nothing else. An outcome is heard only
//!    in the stay that it was admitted in; so none can move a state that it does not belong to.
//! 2. Changes that time brings happen when somebody looks, but as of the instant they were due, so
//!    that what comes out does not depend on how often somebody looked.
//! 3. Of a half-open stay there are never more probes in flight and succeeded together than it takes
//!    to close: whoever is recovering is sent no call more.
//!
//! Locking and the fast path are the parent's.

use std::time::Instant;

use super::settings::{PROBES_MAX, Settings};
use super::window::Window;
use super::{Open, Outcome, Snapshot, State};

/// What an admission was for; it decides what the outcome may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ticket {
    /// Admitted by a closed circuit: the outcome goes into the window.
    Call,
    /// Admitted by a half-open circuit: the outcome decides, the slot goes back.
    Probe { slot: usize },
    /// Admitted only because the breaker observes, or already recorded: counts nothing.
    Unheard,
}

#[derive(Debug)]
pub(super) struct Circuit {
    window: Window,
    /// How many there have been: equal numbers mean the very same stay in one state.
    transitions: u64,
    failures_to_open: u32,
    phase: Phase,
    settings: Settings,
    /// Of the present half-open stay; nobody reads it in another.
    probes: Probes,
    refusals: u64,
    opened: u64,
}

#[derive(Debug)]
enum Phase {
    Closed,
    Open { until: Instant },
    HalfOpen,
}

/// The probes of one half-open stay. One failure ends the stay, so only successes are counted.
#[derive(Debug)]
struct Probes {
    /// When each probe in flight has failed; `None` is a free slot.
    deadlines: [Option<Instant>; PROBES_MAX as usize],
    succeeded: u32,
}

impl Circuit {
    /// A closed circuit with an empty window; `settings` have been checked.
    pub(super) fn new(settings: Settings) -> Circuit {
        Circuit {
            settings,
            failures_to_open: settings.failures_to_open(),
            phase: Phase::Closed,
            probes: Probes::none_yet(),
            transitions: 0,
            window: Window::new(settings.window_calls),
            refusals: 0,
            opened: 0,
        }
    }

    pub(super) fn admit(&mut self, now: Instant) -> Result<Ticket, Open> {
        self.catch_up(now);
        let retry_at = match self.phase {
            Phase::Closed => return Ok(Ticket::Call),
            Phase::Open { until } => until,
            Phase::HalfOpen => match self.probes.take(&self.settings, now) {
                Some(slot) => return Ok(Ticket::Probe { slot }),
                None => self.probes.worth_asking_again(&self.settings, now),
            },
        };
        // Refused, or admitted only to observe: then its outcome is not heard, so that the circuit
        // goes through the same states as if it had been refused.
        self.refusals += 1;
        if self.settings.enforce { Err(Open { retry_at }) } else { Ok(Ticket::Unheard) }
    }

    /// Counts an outcome, unless the stay it was admitted in has ended meanwhile.
    pub(super) fn record(
        &mut self,
        transitions: u64,
        ticket: Ticket,
        outcome: Outcome,
        now: Instant,
    ) {
        self.catch_up(now);
        // After catching up: a probe that is back past its deadline is late by that very change.
        if transitions != self.transitions {
            return;
        }
        match (&self.phase, ticket) {
            (Phase::Closed, Ticket::Call) => self.count(outcome, now),
            (Phase::HalfOpen, Ticket::Probe { slot }) => self.judge(slot, outcome, now),
            // No ticket is ever given in an open stay, and each other stay gives one kind.
            (Phase::Open { .. } | Phase::Closed | Phase::HalfOpen, _) => {}
        }
    }

    /// A probe was cancelled: its slot is free again. A cancelled call has nothing to give back.
    pub(super) fn cancel(&mut self, transitions: u64, ticket: Ticket) {
        if let (Phase::HalfOpen, Ticket::Probe { slot }) = (&self.phase, ticket)
            && transitions == self.transitions
        {
            self.probes.deadlines[slot] = None;
        }
    }

    /// Makes the transitions that were due by `now`, as of when each was due.
    ///
    /// In this order, because the first can bring the second: a probe may have been lost so long ago
    /// that the open time which followed is over as well. There is never a third: the new half-open
    /// stay has no probe whose deadline could be over.
    pub(super) fn catch_up(&mut self, now: Instant) {
        // half-open -> open: a probe did not come back in time.
        if let Phase::HalfOpen = self.phase
            && let Some(deadline) = self.probes.first_deadline()
            && now > deadline
        {
            self.open(deadline);
        }
        // open -> half-open: the open time is over.
        if let Phase::Open { until } = self.phase
            && now >= until
        {
            self.transitions += 1;
            self.phase = Phase::HalfOpen;
            self.probes = Probes::none_yet();
        }
    }

    pub(super) fn state(&self) -> State {
        match self.phase {
            Phase::Closed => State::Closed,
            Phase::Open { .. } => State::Open,
            Phase::HalfOpen => State::HalfOpen,
        }
    }

    pub(super) fn transitions(&self) -> u64 {
        self.transitions
    }

    /// Closed, and recording one more success would change nothing.
    pub(super) fn is_spotless(&self) -> bool {
        matches!(self.phase, Phase::Closed) && self.window.is_spotless()
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let (refused, would_refuse) =
            if self.settings.enforce { (self.refusals, 0) } else { (0, self.refusals) };
        Snapshot {
            state: self.state(),
            transitions: self.transitions,
            calls: self.window.calls(),
            failures: self.window.failures(),
            probes_in_flight: match self.phase {
                Phase::HalfOpen => self.probes.in_flight(),
                Phase::Closed | Phase::Open { .. } => 0,
            },
            retry_at: match self.phase {
                Phase::Open { until } => Some(until),
                Phase::Closed | Phase::HalfOpen => None,
            },
            refused,
            would_refuse,
            opened: self.opened,
        }
    }

    fn count(&mut self, outcome: Outcome, now: Instant) {
        self.window.push(outcome == Outcome::Failure);
        // closed -> open: the failure rate is reached. A success may reach it too, by filling
        // the window.
        if self.window.is_full() && self.window.failures() >= self.failures_to_open {
            self.open(now);
        }
    }

    fn judge(&mut self, slot: usize, outcome: Outcome, now: Instant) {
        match outcome {
            // half-open -> open: one failed probe is enough.
            Outcome::Failure => self.open(now),
            Outcome::Success => {
                self.probes.deadlines[slot] = None;
                self.probes.succeeded += 1;
                // half-open -> half-open, until as many came back well as were asked for.
                if self.probes.succeeded == self.settings.probes {
                    self.close();
                }
            }
        }
    }

    /// The window is left as it is: it shows why the circuit opened.
    fn open(&mut self, at: Instant) {
        self.transitions += 1;
        self.opened += 1;
        self.phase = Phase::Open { until: at + self.settings.open_for };
    }

    /// half-open -> closed: enough probes succeeded; what failed before is forgotten.
    fn close(&mut self) {
        self.transitions += 1;
        self.phase = Phase::Closed;
        self.window.clear();
    }
}

impl Probes {
    fn none_yet() -> Probes {
        Probes { deadlines: [None; PROBES_MAX as usize], succeeded: 0 }
    }

    /// A slot for one more probe, as long as those in flight and those that succeeded are fewer
    /// than it takes to close: a recovering upstream is sent no call more than needed.
    fn take(&mut self, settings: &Settings, now: Instant) -> Option<usize> {
        if self.in_flight() + self.succeeded >= settings.probes {
            return None;
        }
        let slot = self.deadlines.iter().position(Option::is_none)?;
        self.deadlines[slot] = Some(now + settings.probe_deadline);
        Some(slot)
    }

    /// Nobody knows when a probe comes back; at its deadline at the latest something changes.
    fn worth_asking_again(&self, settings: &Settings, now: Instant) -> Instant {
        let patience = now + settings.open_for;
        self.first_deadline().map_or(patience, |deadline| deadline.min(patience))
    }

    fn first_deadline(&self) -> Option<Instant> {
        self.deadlines.iter().flatten().min().copied()
    }

    fn in_flight(&self) -> u32 {
        self.deadlines.iter().flatten().map(|_| 1).sum()
    }
}
