//! `events.schedules`: whether events are published at a time to come, how far ahead and how many.

use std::time::Duration;

use chassis::settings::text::Period;
use events::schedules::Limits;
use mistakes::Mistake;
use serde::Deserialize;

/// How far ahead where nobody says: a year and a day.
const MAX_AHEAD: Period = Period(Duration::from_secs(367 * 24 * 60 * 60));
/// How many wait at most where nobody says.
const MAX_PENDING: u64 = 1_000_000;
/// The most that one may say.
const PENDING_MAX: u64 = 10_000_000;

/// As it is written; what is left out is as usual.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SchedulesEntry {
    /// How far ahead one may ask.
    #[serde(default = "max_ahead")]
    max_ahead: Period,
    /// How many may wait.
    #[serde(default = "max_pending")]
    max_pending: u64,
}

fn max_ahead() -> Period {
    MAX_AHEAD
}

fn max_pending() -> u64 {
    MAX_PENDING
}

/// What else there is that schedules depend on.
pub(super) struct Around {
    /// Whether some topic takes events from outside.
    pub(super) is_taken: bool,
    /// Whether the composition is the layer alone.
    pub(super) is_layer: bool,
}

impl SchedulesEntry {
    /// What may be asked.
    ///
    /// # Errors
    /// The mistake.
    pub(super) fn compile(&self, around: &Around) -> Result<Limits, Vec<Mistake>> {
        let wrong = |field: Option<&str>, says: String| {
            let path: Vec<&str> = ["events", "schedules"].into_iter().chain(field).collect();
            Err(vec![Mistake::new(&path, says)])
        };
        let SchedulesEntry { max_ahead: Period(max_ahead), max_pending } = *self;
        if !around.is_layer {
            return wrong(None, "are kept by `yeoul serve` alone".to_owned());
        }
        if !around.is_taken {
            let says = "publish to topics that take events from outside, and none does: set \
                        `events.topics.NAME.publish`";
            return wrong(None, says.to_owned());
        }
        if !(1..=PENDING_MAX).contains(&max_pending) {
            let says = format!("must be 1 to {PENDING_MAX}. value=`{max_pending}`");
            return wrong(Some("max_pending"), says);
        }
        Ok(Limits { max_ahead, max_pending })
    }
}
