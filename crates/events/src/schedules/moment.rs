//! When a schedule is due: pure, the time is an argument.
//!
//! | asked for | is due first | and then |
//! |---|---|---|
//! | a moment, be it past | then | never |
//! | after a while | that much after it was asked for | never |
//! | again and again | at the first of its moments after it was asked for | at the first after it was due and after now: what was missed comes once |
//!
//! A clock that steps back by no more than [`STEP_MAX`] repeats nothing: the next moment is behind the one that was. One that
//! had been further ahead than that was wrong, and moments that it skipped are to come: they are counted anew
//! ([`Moment::anew`]).

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::cron::Cron;

/// How far a clock may step back before what was published by it counts for nothing.
pub const STEP_MAX: Duration = Duration::from_secs(60 * 60);

/// When.
#[derive(Clone, Debug, PartialEq)]
pub enum Moment {
    /// Then.
    At(Timestamp),
    /// So much later.
    In(Duration),
    /// Again and again, by the clock of a zone.
    Every {
        /// Which moments.
        cron: Cron,
        /// Whose clock.
        zone: Box<Zone>,
    },
}

/// A time zone by its name in the database of time zones.
#[derive(Clone, Debug, PartialEq)]
pub struct Zone {
    name: String,
    zone: TimeZone,
}

impl Zone {
    /// The one of this name; its name is spelled as the database does.
    pub fn named(name: &str) -> Option<Zone> {
        let zone = TimeZone::get(name).ok()?;
        let name = zone.iana_name().unwrap_or("UTC").to_owned();
        Some(Zone { name, zone })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Moment {
    /// When it is due, asked for now; `None` where it never is.
    pub fn first(&self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Moment::At(at) => Some(*at),
            Moment::In(after) => now.checked_add(*after).ok(),
            Moment::Every { cron, zone } => cron.next_after(now, &zone.zone),
        }
    }

    /// When it is due again, once it was published for `due`.
    pub fn next(&self, due: Timestamp, now: Timestamp) -> Option<Timestamp> {
        let Moment::Every { cron, zone } = self else { return None };
        cron.next_after(due.max(now), &zone.zone)
    }

    /// When it is due, where the clock by which it was published last was wrong; `None` where that holds.
    pub fn anew(&self, published: Timestamp, now: Timestamp) -> Option<Timestamp> {
        let Moment::Every { cron, zone } = self else { return None };
        let was_wrong = published > limit_of_steps(now);
        was_wrong.then(|| cron.next_after(now, &zone.zone)).flatten()
    }

    /// Whether it is counted from when it is asked for: the same words another time mean another moment.
    pub fn is_after_a_while(&self) -> bool {
        matches!(self, Moment::In(_))
    }
}

/// Past which moment nothing can have been published by a clock that was right.
pub(super) fn limit_of_steps(now: Timestamp) -> Timestamp {
    let step = SignedDuration::try_from(STEP_MAX).unwrap_or(SignedDuration::ZERO);
    now.saturating_add(step).unwrap_or(Timestamp::MAX)
}

/// As it is kept.
impl fmt::Display for Moment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Moment::At(at) => write!(formatter, "at {at}"),
            Moment::In(after) => write!(formatter, "in {}", after.as_millis()),
            Moment::Every { cron, zone } => {
                write!(formatter, "every {} {}", zone.name, cron.text())
            }
        }
    }
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Moment, String> {
        let wrong = || format!("no moment: {text}");
        let (kind, rest) = text.split_once(' ').ok_or_else(wrong)?;
        match kind {
            "at" => rest.parse().map(Moment::At).map_err(|_| wrong()),
            "in" => {
                let millis = rest.parse().map_err(|_| wrong())?;
                Ok(Moment::In(Duration::from_millis(millis)))
            }
            "every" => {
                let (name, cron) = rest.split_once(' ').ok_or_else(wrong)?;
                let zone = Zone::named(name).ok_or_else(|| format!("no time zone: {name}"))?;
                let cron = Cron::parse(cron).map_err(|_| wrong())?;
                Ok(Moment::Every { cron, zone: Box::new(zone) })
            }
            _ => Err(wrong()),
        }
    }
}
