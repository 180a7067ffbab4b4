//! The settings of a circuit breaker, and their limits.

use std::time::Duration;

use crate::share::Share;

/// Most calls a window can hold; it costs a byte each.
pub const WINDOW_CALLS_MAX: u32 = 10_000;
/// Most probes of a half-open circuit.
pub const PROBES_MAX: u32 = 32;
/// Longest time a circuit can stay open before it probes.
pub const OPEN_FOR_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// Longest time a probe can be waited for.
pub const PROBE_DEADLINE_MAX: Duration = Duration::from_secs(60 * 60);

/// How a [`Breaker`](super::Breaker) decides; checked once, by [`Breaker::new`](super::Breaker::new).
///
/// There is no default: what an outage looks like depends on how often the upstream is called. A
/// window of as many calls as come in one to a few seconds opens within that time; fewer than about
/// ten let two unlucky calls open it. An open time of a few seconds is long enough for a restart and
/// short enough for nobody to notice that it ended by itself.
///
/// ```
/// use std::time::Duration;
/// use yeoul_guard::breaker::{Breaker, Settings, SettingsError};
/// use yeoul_guard::share::Share;
///
/// let settings = Settings {
///     failure_rate: Share::of_percent(50).expect("within 1 and 100"),
///     window_calls: 20,
///     open_for: Duration::from_secs(5),
///     probes: 1,
///     // A little above the timeout of the call itself, which should end it first.
///     probe_deadline: Duration::from_millis(1_200),
///     enforce: true,
/// };
/// assert!(Breaker::new(settings).is_ok());
///
/// let refused = Breaker::new(Settings { window_calls: 0, ..settings });
/// assert!(matches!(refused, Err(SettingsError::WindowCalls { calls: 0, .. })));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Share of failed calls in the window that opens the circuit. Reaching it is enough.
    pub failure_rate: Share,
    /// How many of the last calls are judged, `1..=`[`WINDOW_CALLS_MAX`]. Nothing is judged
    /// before so many were recorded.
    pub window_calls: u32,
    /// How long an open circuit refuses before it probes, above zero, at most [`OPEN_FOR_MAX`].
    pub open_for: Duration,
    /// How many probes a half-open circuit sends, and how many must succeed to close it,
    /// `1..=`[`PROBES_MAX`].
    pub probes: u32,
    /// A probe without an outcome after this long has failed, above zero, at most
    /// [`PROBE_DEADLINE_MAX`]. Best a little above the call's own timeout.
    pub probe_deadline: Duration,
    /// `false` only observes: every call is admitted, and those that would have been refused are
    /// counted ([`Snapshot::would_refuse`](super::Snapshot::would_refuse)). The way to try settings on
    /// real traffic before they can hurt anybody.
    pub enforce: bool,
}

/// A setting outside its range. Fix the setting; the same settings will be refused again. The first
/// one in the order of the fields is named, with what was given and the limit.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// [`Settings::window_calls`] is 0 or above the limit.
    #[error("window calls not within 1 and the limit. window_calls=`{calls}`, limit=`{limit}`")]
    WindowCalls {
        /// What was given.
        calls: u32,
        /// [`WINDOW_CALLS_MAX`].
        limit: u32,
    },
    /// [`Settings::open_for`] is zero or above the limit.
    #[error("open time not above 0 and within the limit. open_for=`{given:?}`, limit=`{limit:?}`")]
    OpenFor {
        /// What was given.
        given: Duration,
        /// [`OPEN_FOR_MAX`].
        limit: Duration,
    },
    /// [`Settings::probes`] is 0 or above the limit.
    #[error("probes not within 1 and the limit. probes=`{probes}`, limit=`{limit}`")]
    Probes {
        /// What was given.
        probes: u32,
        /// [`PROBES_MAX`].
        limit: u32,
    },
    /// [`Settings::probe_deadline`] is zero or above the limit.
    #[error(
        "probe deadline not above 0 and within the limit. probe_deadline=`{given:?}`, limit=`{limit:?}`"
    )]
    ProbeDeadline {
        /// What was given.
        given: Duration,
        /// [`PROBE_DEADLINE_MAX`].
        limit: Duration,
    },
}

impl Settings {
    /// The first setting outside its range, in the order of the fields.
    pub(super) fn check(&self) -> Result<(), SettingsError> {
        if !(1..=WINDOW_CALLS_MAX).contains(&self.window_calls) {
            let (calls, limit) = (self.window_calls, WINDOW_CALLS_MAX);
            return Err(SettingsError::WindowCalls { calls, limit });
        }
        if self.open_for.is_zero() || self.open_for > OPEN_FOR_MAX {
            let (given, limit) = (self.open_for, OPEN_FOR_MAX);
            return Err(SettingsError::OpenFor { given, limit });
        }
        if !(1..=PROBES_MAX).contains(&self.probes) {
            let (probes, limit) = (self.probes, PROBES_MAX);
            return Err(SettingsError::Probes { probes, limit });
        }
        if self.probe_deadline.is_zero() || self.probe_deadline > PROBE_DEADLINE_MAX {
            let (given, limit) = (self.probe_deadline, PROBE_DEADLINE_MAX);
            return Err(SettingsError::ProbeDeadline { given, limit });
        }
        Ok(())
    }

    /// The least number of failures in a full window that reaches the failure rate.
    pub(super) fn failures_to_open(&self) -> u32 {
        self.failure_rate.least_of(self.window_calls)
    }
}
