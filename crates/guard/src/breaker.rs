//! Circuit breaker: stops calling an upstream that mostly fails, and finds out by a few probes
//! when it is back.
//!
//! The semantics are resilience4j's count window: the failure rate of the last calls is judged
//! after every recorded call, an open circuit refuses for a while, then a few probes decide.
//! Six things are different. Four because their absence is a known fault:
//!
//! * Every admission carries the number of the circuit's transitions. An outcome that arrives after the circuit
//!   has changed counts nothing, neither as a probe nor in the next window: a call sent before
//!   the outage must not close the circuit, and one that timed out late must not open it again.
//! * A probe has a deadline. One that never returns has failed then, so a lost probe cannot hold
//!   the circuit half-open for ever.
//! * A [`Permit`] that is given up without an outcome is a cancelled call: it counts nothing and
//!   gives its probe slot back. Clients that hang up do not open a circuit. A probe given up after
//!   its deadline has failed, whether or not anybody looked in between ([`Permit::cancel`]).
//! * It can only observe: the same states, but every call is admitted, and the outcomes of calls
//!   that would have been refused count nothing, so that what is counted is what would happen.
//!
//! And two because a recovering upstream is to be sent no call more than it takes to decide:
//!
//! * The first failed probe opens the circuit again; resilience4j waits for all probes and judges
//!   their failure rate.
//! * As many probes are sent as must succeed, and the circuit closes after all of them, also where
//!   they are more than the window holds; resilience4j judges the last `window_calls` of them, and
//!   earlier.
//!
//! *Closed* lets calls pass, *open* refuses them, *half-open* probes. An open circuit is
//! half-open as soon as its time is over, whether or not a call comes.
//!
//! A closed circuit admits by one atomic load. A success recorded into a full window without a
//! failure would leave it as it is, so that takes one load too; every other outcome takes a lock
//! for a few instructions. Slow calls, time windows and forced states are not judged here, and
//! what a failure is, the caller says.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::{Duration, Instant};
//! use yeoul_guard::breaker::{Breaker, Outcome, Settings, State};
//! use yeoul_guard::share::Share;
//!
//! let breaker = Arc::new(Breaker::new(Settings {
//!     failure_rate: Share::of_percent(50).expect("within 1 and 100"),
//!     window_calls: 2,
//!     open_for: Duration::from_secs(5),
//!     probes: 1,
//!     probe_deadline: Duration::from_secs(1),
//!     enforce: true,
//! })?);
//!
//! let now = Instant::now();
//! breaker.admit(now).expect("closed").record(Outcome::Success, now);
//! breaker.admit(now).expect("closed").record(Outcome::Failure, now);
//!
//! let open = breaker.admit(now).expect_err("one of two calls failed");
//! assert_eq!(open.retry_at, now + Duration::from_secs(5));
//!
//! let probe = breaker.admit(open.retry_at).expect("time to probe");
//! probe.record(Outcome::Success, open.retry_at);
//! assert_eq!(breaker.state(open.retry_at), State::Closed);
//! # Ok::<(), yeoul_guard::breaker::SettingsError>(())
//! ```
//!
//! # What counts as what
//!
//! | how the call went | record |
//! |---|---|
//! | an answer, whatever it is, that the upstream is not to blame for (`200`, `404`, `409`) | [`Outcome::Success`] |
//! | no connection, no answer in time, a `5xx`, a broken answer | [`Outcome::Failure`] |
//! | a refusal that the upstream passes on from a guard further away | [`Outcome::Success`]: it works, what it needs does not |
//! | the caller went away before it was known | [`Permit::cancel`], or drop the permit |
//!
//! Record as soon as it is known. Of a probe that is at the head of an answer: a slow reader of a long body
//! says nothing about the upstream, and would hold the probe's slot until its deadline. Of other calls it may be the body's
//! end, where a body that breaks off is the upstream's fault.
//!
//! # One circuit for how much
//!
//! For what fails together. One per upstream fits most; a circuit over two upstreams refuses calls
//! to the healthy one, and one per path opens late because each sees few calls. Several addresses of
//! one upstream are [`outlier`](crate::outlier)'s, inside of the circuit.

mod circuit;
mod settings;
mod window;

use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use circuit::{Circuit, Ticket};
pub use settings::{
    OPEN_FOR_MAX, PROBE_DEADLINE_MAX, PROBES_MAX, Settings, SettingsError, WINDOW_CALLS_MAX,
};

/// One circuit, shared by all who call the same upstream: an `Arc`, because every permit keeps it
/// alive until it is recorded. Less than a kilobyte, and one byte for each call of the window.
///
/// ```
/// use std::sync::Arc;
/// use std::time::{Duration, Instant};
/// use yeoul_guard::breaker::{Breaker, Outcome, Settings, State};
/// use yeoul_guard::share::Share;
///
/// // To try settings out, only observe: nobody is refused, and what would be is counted.
/// let breaker = Arc::new(Breaker::new(Settings {
///     failure_rate: Share::of_percent(50).expect("within 1 and 100"),
///     window_calls: 2,
///     open_for: Duration::from_secs(5),
///     probes: 1,
///     probe_deadline: Duration::from_secs(1),
///     enforce: false,
/// })?);
/// let now = Instant::now();
/// for _ in 0..5 {
///     breaker.admit(now).expect("never refused").record(Outcome::Failure, now);
/// }
/// let seen = breaker.snapshot(now);
/// assert_eq!(seen.state, State::Open);
/// assert_eq!((seen.calls, seen.failures), (2, 2), "what opened it");
/// assert_eq!((seen.refused, seen.would_refuse), (0, 3));
/// # Ok::<(), yeoul_guard::breaker::SettingsError>(())
/// ```
#[derive(Debug)]
pub struct Breaker {
    /// What the fast path needs of `circuit`; written only under its lock, when it changed.
    glance: AtomicU64,
    circuit: OwnLine<Mutex<Circuit>>,
}

/// Leave to make one call. Record how it went, or [cancel](Permit::cancel) it.
///
/// A drop brings no instant with it, so a permit that is only dropped is a call cancelled in time:
/// whoever knows the time says it by `cancel`.
///
/// It may be recorded on another thread than the one that was admitted, and at any time later: an
/// outcome that comes after the circuit has changed counts nothing.
///
/// ```
/// # use std::sync::Arc;
/// # use std::time::{Duration, Instant};
/// # use yeoul_guard::breaker::{Breaker, Outcome, Settings, State};
/// # use yeoul_guard::share::Share;
/// # let breaker = Arc::new(Breaker::new(Settings {
/// #     failure_rate: Share::of_percent(50).expect("within 1 and 100"),
/// #     window_calls: 1,
/// #     open_for: Duration::from_secs(5),
/// #     probes: 1,
/// #     probe_deadline: Duration::from_secs(1),
/// #     enforce: true,
/// # })?);
/// # let now = Instant::now();
/// let slow = breaker.admit(now).expect("closed");
/// let failing = breaker.admit(now).expect("closed");
/// failing.record(Outcome::Failure, now);
/// assert_eq!(breaker.state(now), State::Open);
///
/// // Its window is gone: what this call says is about another time.
/// slow.record(Outcome::Success, now);
/// assert_eq!(breaker.state(now), State::Open);
///
/// // Who probes and gives up lets the next one probe.
/// let later = now + Duration::from_secs(5);
/// let probe = breaker.admit(later).expect("time to probe");
/// assert!(probe.is_probe() && breaker.admit(later).is_err());
/// probe.cancel(later);
/// assert!(breaker.admit(later).is_ok());
/// # Ok::<(), yeoul_guard::breaker::SettingsError>(())
/// ```
#[derive(Debug)]
#[must_use = "a permit dropped without an outcome counts as a cancelled call"]
pub struct Permit {
    breaker: Arc<Breaker>,
    transitions: u64,
    ticket: Ticket,
}

/// How a call went, as far as the upstream is to blame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The upstream did its work, also if the answer was that the client was wrong.
    Success,
    /// The upstream did not.
    Failure,
}

/// Refused: the circuit is open, or half-open with all its probes under way. Over HTTP: 503, with
/// `Retry-After` by [`refusal`](crate::refusal).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("circuit open")]
pub struct Open {
    /// When it makes sense to come back. Of an open circuit: when it probes. Of a half-open one:
    /// the deadline of its probes or one open time from now, whichever is earlier.
    pub retry_at: Instant,
}

/// What the circuit does with calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Calls pass and are judged.
    Closed,
    /// Calls are refused until the open time is over.
    Open,
    /// A few calls pass as probes, the rest are refused.
    HalfOpen,
}

/// The circuit at one instant, for people and metrics. All of it is of one moment.
///
/// The three counters since the start only grow; everything else may go up and down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Snapshot {
    /// What it does with calls.
    pub state: State,
    /// Number of transitions so far.
    pub transitions: u64,
    /// Calls in the window, at most `window_calls`; while not closed, those that opened it.
    pub calls: u32,
    /// How many of [`calls`](Self::calls) failed.
    pub failures: u32,
    /// Probes without an outcome yet.
    pub probes_in_flight: u32,
    /// While open: when it probes.
    pub retry_at: Option<Instant>,
    /// Calls refused since the start.
    pub refused: u64,
    /// Calls that would have been refused since the start, were it not only observing.
    pub would_refuse: u64,
    /// How often the circuit opened since the start, a failed probe included.
    pub opened: u64,
}

impl Breaker {
    /// A closed circuit with an empty window.
    ///
    /// # Errors
    ///
    /// A setting is outside its range: fix the setting.
    pub fn new(settings: Settings) -> Result<Breaker, SettingsError> {
        settings.check()?;
        let circuit = Circuit::new(settings);
        let glance = AtomicU64::new(Glance::of(&circuit).0);
        Ok(Breaker { glance, circuit: OwnLine(Mutex::new(circuit)) })
    }

    /// Leave to make one call now.
    ///
    /// # Errors
    ///
    /// The circuit refuses: answer without calling, and tell the caller to come back at
    /// [`Open::retry_at`]. Never when only observing.
    pub fn admit(self: &Arc<Self>, now: Instant) -> Result<Permit, Open> {
        let glance = self.glance();
        if glance.is_closed() {
            return Ok(self.permit(glance.transitions(), Ticket::Call));
        }
        let (admitted, transitions) =
            self.update(|circuit| (circuit.admit(now), circuit.transitions()));
        admitted.map(|ticket| self.permit(transitions, ticket))
    }

    /// What the circuit does with calls at `now`.
    #[must_use]
    pub fn state(&self, now: Instant) -> State {
        if self.glance().is_closed() {
            return State::Closed;
        }
        self.snapshot(now).state
    }

    /// The circuit at `now`.
    #[must_use]
    pub fn snapshot(&self, now: Instant) -> Snapshot {
        self.update(|circuit| {
            circuit.catch_up(now);
            circuit.snapshot()
        })
    }

    fn permit(self: &Arc<Self>, transitions: u64, ticket: Ticket) -> Permit {
        Permit { breaker: Arc::clone(self), transitions, ticket }
    }

    fn glance(&self) -> Glance {
        Glance(self.glance.load(Ordering::Acquire))
    }

    fn update<T>(&self, change: impl FnOnce(&mut Circuit) -> T) -> T {
        let mut circuit = self.lock();
        let answer = change(&mut circuit);
        let glance = Glance::of(&circuit);
        // Still under the lock, so glances are written in the order of the changes they show.
        // Most calls change nothing here, and a write would take the line from every reader.
        if glance.0 != self.glance.load(Ordering::Relaxed) {
            self.glance.store(glance.0, Ordering::Release);
        }
        answer
    }

    /// Nothing panics while it holds the lock, and a guard must not become an outage of its own.
    fn lock(&self) -> MutexGuard<'_, Circuit> {
        self.circuit.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit {
    /// Whether the call is a probe, by which a half-open circuit decides.
    #[must_use]
    pub fn is_probe(&self) -> bool {
        matches!(self.ticket, Ticket::Probe { .. })
    }

    /// Says how the call went. Counts nothing if the circuit has changed since the admission.
    pub fn record(mut self, outcome: Outcome, now: Instant) {
        let ticket = mem::replace(&mut self.ticket, Ticket::Unheard);
        let glance = self.breaker.glance();
        // Epochs only grow: what is late by a glance stays late.
        let late = glance.transitions() != self.transitions || ticket == Ticket::Unheard;
        let idle = outcome == Outcome::Success && glance.is_spotless();
        if !late && !idle {
            let transitions = self.transitions;
            self.breaker.update(|circuit| circuit.record(transitions, ticket, outcome, now));
        }
    }

    /// Gives the call up at `now` without an outcome, as when the client hung up: it counts
    /// nothing, and a probe's slot is free again. A probe whose deadline is over has failed.
    pub fn cancel(mut self, now: Instant) {
        let ticket = mem::replace(&mut self.ticket, Ticket::Unheard);
        if let Ticket::Probe { .. } = ticket {
            let transitions = self.transitions;
            self.breaker.update(|circuit| {
                circuit.catch_up(now);
                circuit.cancel(transitions, ticket);
            });
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Ticket::Probe { .. } = self.ticket {
            self.breaker.update(|circuit| circuit.cancel(self.transitions, self.ticket));
        }
    }
}

/// Keeps what it holds off the cache lines of its neighbours: who waits for the lock does not
/// slow down who only glances.
#[derive(Debug)]
#[repr(align(64))]
struct OwnLine<T>(T);

/// The circuit in one word: the number of its transitions, whether it is closed, and whether its window is spotless.
#[derive(Debug, Clone, Copy)]
struct Glance(u64);

impl Glance {
    const CLOSED: u64 = 0b01;
    const SPOTLESS: u64 = 0b10;
    const FLAG_BITS: u32 = 2;

    fn of(circuit: &Circuit) -> Glance {
        let closed = circuit.state() == State::Closed;
        Glance(
            circuit.transitions() << Self::FLAG_BITS
                | if closed { Self::CLOSED } else { 0 }
                | if circuit.is_spotless() { Self::SPOTLESS } else { 0 },
        )
    }

    fn transitions(self) -> u64 {
        self.0 >> Self::FLAG_BITS
    }

    fn is_closed(self) -> bool {
        self.0 & Self::CLOSED != 0
    }

    fn is_spotless(self) -> bool {
        self.0 & Self::SPOTLESS != 0
    }
}

#[cfg(test)]
mod tests;
