//! Cron: five fields, and when they come next in a time zone.
//!
//! ```text
//!  minute 0-59   hour 0-23   day of month 1-31   month 1-12   day of week 0-7 (0 and 7 are Sunday)
//! ```
//!
//! Each is `*`, a number, a range `1-5`, either with a step (`*/15`, `8-18/2`), or a list of these; months and days of the
//! week have their English names too (`jan`, `mon`). Where both days are restricted, either will do (POSIX crontab).
//!
//! What a clock on the wall shows is not always a moment. A time that is left out when clocks go forward is taken by the
//! offset from before, so `30 2` comes at 03:30; one that is there twice when they go back is its first (RFC 5545, 3.3.5).
//! So what is to be once a day is once a day. Where the hour is `*` it is about what has passed and not about what the
//! clock shows, and both of the two come.
//!
//! It is written here and not taken: the libraries that know time zones bring five procedural macros or read the
//! machine's own zone, and none says where the mistake is. Pure: the time is an argument.

use std::ops::RangeInclusive;

use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Span, Timestamp, ToSpan};

/// Bytes a text of fields may have.
pub const CRON_BYTES_MAX: usize = 255;

/// Days that are looked through: 29 February on a given day of the week is never further away than 40 years.
const DAYS_MAX: usize = 41 * 366;

/// Hours by which a time on the wall may be another one by its offset, where that is not a whole day.
const SHIFT_HOURS: i64 = 3;

/// One field: what it is called, its values, and their names.
struct Kind {
    name: &'static str,
    range: RangeInclusive<u8>,
    names: &'static [&'static str],
}

const KINDS: [Kind; 5] = [
    Kind { name: "minute", range: 0..=59, names: &[] },
    Kind { name: "hour", range: 0..=23, names: &[] },
    Kind { name: "day of month", range: 1..=31, names: &[] },
    Kind {
        name: "month",
        range: 1..=12,
        names: &[
            "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
        ],
    },
    Kind {
        name: "day of week",
        range: 0..=7,
        names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
    },
];

/// Moments that come again and again; see the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    text: String,
    minutes: Field,
    hours: Field,
    days: Field,
    months: Field,
    weekdays: Field,
}

/// The values of a field, a bit for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Field {
    values: u64,
    /// It begins with `*`: so it restricts no day.
    is_any: bool,
}

impl Field {
    fn has(self, value: i8) -> bool {
        u32::try_from(value).is_ok_and(|value| self.values >> value & 1 == 1)
    }

    fn each(self) -> impl Iterator<Item = i8> {
        (0..64).filter(move |value| self.has(*value))
    }
}

/// What is wrong with a text of fields, and from which of its characters on, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongCron {
    /// Where.
    pub at: usize,
    /// What, as it stands behind the field's name.
    pub reason: String,
}

/// A piece of a text, and the place that it begins at, counted from 0.
#[derive(Clone, Copy)]
struct Piece<'t> {
    at: usize,
    text: &'t str,
}

impl<'t> Piece<'t> {
    fn wrong<T>(self, reason: impl Into<String>) -> Result<T, WrongCron> {
        Err(WrongCron { at: self.at + 1, reason: reason.into() })
    }

    /// What is between separators.
    fn split(self, separator: char) -> impl Iterator<Item = Piece<'t>> {
        let mut at = self.at;
        self.text.split(separator).map(move |text| {
            let piece = Piece { at, text };
            at += text.chars().count() + 1;
            piece
        })
    }
}

impl Cron {
    /// The moments that a text says.
    ///
    /// # Errors
    /// The first mistake.
    pub fn parse(text: &str) -> Result<Cron, WrongCron> {
        let whole = Piece { at: 0, text };
        if text.len() > CRON_BYTES_MAX {
            return whole.wrong(format!("has more than {CRON_BYTES_MAX} bytes"));
        }
        let pieces: Vec<Piece<'_>> = whole.split(' ').filter(|it| !it.text.is_empty()).collect();
        if pieces.len() != KINDS.len() {
            let names: Vec<&str> = KINDS.iter().map(|it| it.name).collect();
            let (names, count) = (names.join(", "), pieces.len());
            return whole.wrong(format!("must be five fields ({names}) and has {count}"));
        }
        let mut fields = [Field::default(); KINDS.len()];
        for ((field, piece), kind) in fields.iter_mut().zip(&pieces).zip(&KINDS) {
            *field = kind.parse(*piece)?;
        }
        let [minutes, hours, days, months, mut weekdays] = fields;
        // Sunday has two numbers.
        weekdays.values |= weekdays.values >> 7 & 1;
        Ok(Cron { text: text.to_owned(), minutes, hours, days, months, weekdays })
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The first moment after this one; `None` where none comes in 40 years, as of 30 February.
    pub fn next_after(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let shift: Span = SHIFT_HOURS.hours();
        let from = zone.to_datetime(after).checked_sub(shift).ok()?;
        let mut first: Option<Timestamp> = None;
        let mut day = from.date();
        for _ in 0..DAYS_MAX {
            // What the wall shows so much later is later by any offset.
            let until = first.and_then(|it| zone.to_datetime(it).checked_add(shift).ok());
            if until.is_some_and(|until| day > until.date()) {
                return first;
            }
            let times = self.times(day).filter(|at| *at >= from);
            for at in times.take_while(|at| until.is_none_or(|until| *at <= until)) {
                let moments = self.moments(at, zone).into_iter().flatten();
                let sooner = moments.filter(|it| *it > after).chain(first).min();
                let is_first = first.is_none() && sooner.is_some();
                first = sooner;
                // On other days than those of a change nothing stands before it.
                if is_first && is_plain(at, zone) {
                    return first;
                }
            }
            day = day.tomorrow().ok()?;
        }
        first
    }

    /// The times of a day, if it is one of its days.
    fn times(&self, day: Date) -> impl Iterator<Item = DateTime> {
        let hours = self.hours.each().filter(move |_| self.has_day(day));
        hours.flat_map(move |hour| self.minutes.each().map(move |it| day.at(hour, it, 0, 0)))
    }

    fn has_day(&self, day: Date) -> bool {
        let weekday = self.weekdays.has(day.weekday().to_sunday_zero_offset());
        let in_month = self.days.has(day.day());
        let either = !self.days.is_any && !self.weekdays.is_any;
        let is_its = if either { weekday || in_month } else { weekday && in_month };
        self.months.has(day.month()) && is_its
    }

    /// When the wall shows this: once, or as the module says.
    fn moments(&self, at: DateTime, zone: &TimeZone) -> [Option<Timestamp>; 2] {
        let by = |offset: jiff::tz::Offset| offset.to_timestamp(at).ok();
        match zone.to_ambiguous_timestamp(at).offset() {
            AmbiguousOffset::Unambiguous { offset } => [by(offset), None],
            AmbiguousOffset::Gap { before, .. } => [by(before), None],
            AmbiguousOffset::Fold { before, after } => {
                [by(before), by(after).filter(|_| self.is_hourly())]
            }
        }
    }

    fn is_hourly(&self) -> bool {
        self.hours.each().count() == 24
    }
}

/// Whether no change of clocks is near a time.
fn is_plain(at: DateTime, zone: &TimeZone) -> bool {
    let offset = |at: Result<DateTime, jiff::Error>| {
        at.ok().map(|at| zone.to_ambiguous_timestamp(at).offset())
    };
    let shift: Span = SHIFT_HOURS.hours();
    let own = offset(Ok(at));
    let is_own = |other| matches!(other, Some(AmbiguousOffset::Unambiguous { .. })) && other == own;
    is_own(own) && is_own(offset(at.checked_sub(shift))) && is_own(offset(at.checked_add(shift)))
}

impl Kind {
    fn parse(&self, piece: Piece<'_>) -> Result<Field, WrongCron> {
        let mut field = Field { values: 0, is_any: piece.text.starts_with('*') };
        for part in piece.split(',') {
            field.values |= self.part(part)?;
        }
        Ok(field)
    }

    /// A value, or a range, each with a step or without.
    fn part(&self, part: Piece<'_>) -> Result<u64, WrongCron> {
        let mut halves = part.split('/');
        let (span, step) = (halves.next().unwrap_or(part), halves.next());
        if let Some(more) = halves.next() {
            return more.wrong("has a second step");
        }
        let range = self.range(span)?;
        let step = match step {
            None => 1,
            Some(step) if range.start() == range.end() && span.text != "*" => {
                return step.wrong(format!("a step goes with `*` or a range in the {}", self.name));
            }
            Some(step) => self.step(step)?,
        };
        Ok(range.step_by(usize::from(step)).fold(0, |values, value| values | 1 << value))
    }

    fn range(&self, span: Piece<'_>) -> Result<RangeInclusive<u8>, WrongCron> {
        if span.text == "*" {
            return Ok(self.range.clone());
        }
        let mut ends = span.split('-');
        let first = self.value(ends.next().unwrap_or(span))?;
        let Some(last) = ends.next() else { return Ok(first..=first) };
        let end = self.value(last)?;
        if let Some(more) = ends.next() {
            return more.wrong("has a second `-`");
        }
        if end < first {
            return last.wrong(format!("the range ends before it begins, in the {}", self.name));
        }
        Ok(first..=end)
    }

    fn step(&self, step: Piece<'_>) -> Result<u8, WrongCron> {
        let last = *self.range.end();
        match number(step.text).filter(|it| (1..=last).contains(it)) {
            Some(step) => Ok(step),
            None => step.wrong(format!("a step of the {} must be 1 to {last}", self.name)),
        }
    }

    fn value(&self, piece: Piece<'_>) -> Result<u8, WrongCron> {
        let text = piece.text.to_ascii_lowercase();
        let named = self.names.iter().position(|name| *name == text);
        let named = named.and_then(|at| u8::try_from(at).ok()).map(|at| at + self.range.start());
        match named.or_else(|| number(&text)).filter(|it| self.range.contains(it)) {
            Some(value) => Ok(value),
            None => {
                let (first, last) = (self.range.start(), self.range.end());
                piece.wrong(format!("the {} must be {first} to {last}", self.name))
            }
        }
    }
}

/// One or two digits.
fn number(text: &str) -> Option<u8> {
    let is_plain = (1..=2).contains(&text.len()) && text.bytes().all(|it| it.is_ascii_digit());
    text.parse().ok().filter(|_| is_plain)
}

#[cfg(test)]
mod tests;
