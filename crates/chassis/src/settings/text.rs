//! Quantities as people write them in settings: `610ms`, `50%`, `5000/s`, `64MiB`.
//!
//! The unit is part of the text, so that nobody has to look up whether a number meant seconds. Each
//! is a newtype that serde reads and that says what it expects when it refuses.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

/// A duration: `610ms`, `5s`, `2m`, `1h`; whole numbers, at most a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

/// A time that is counted in days rather than moments: `90s`, `12h`, `30d`; whole numbers, at least a second, at most
/// [`Period::DAYS_MAX`] days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(pub Duration);

/// A share of a whole: `50%`, `0.5%`; more than 0, at most 100, with at most [`Percentage::DECIMALS_MAX`]
/// decimals. Kept exactly, in billionths: no float is 7.2 %.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percentage(u32);

/// A rate per second: `5000/s`; at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate(pub u32);

/// A size in bytes: `64MiB`, `4KiB`, `512B`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

const SPAN_MAX: Duration = Duration::from_secs(DAY);
const DAY: u64 = 24 * 60 * 60;

impl Span {
    fn parse(text: &str) -> Option<Span> {
        let (number, unit) = split_unit(text)?;
        let number: u64 = number.parse().ok()?;
        let millis = match unit {
            "ms" => number,
            "s" => number.checked_mul(1_000)?,
            "m" => number.checked_mul(60_000)?,
            "h" => number.checked_mul(3_600_000)?,
            _ => return None,
        };
        let span = Duration::from_millis(millis);
        (span <= SPAN_MAX).then_some(Span(span))
    }
}

impl Period {
    /// A century.
    pub const DAYS_MAX: u64 = 36_500;

    /// What a text says.
    pub fn parse(text: &str) -> Option<Period> {
        let (number, unit) = split_unit(text)?;
        let number: u64 = number.parse().ok()?;
        let seconds = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 60 * 60,
            "d" => DAY,
            _ => return None,
        };
        let seconds = number.checked_mul(seconds)?;
        let is_in = (1..=Period::DAYS_MAX * DAY).contains(&seconds);
        is_in.then(|| Period(Duration::from_secs(seconds)))
    }
}

impl Percentage {
    /// Decimals that a percentage may have: as many as billionths hold.
    pub const DECIMALS_MAX: usize = 7;
    /// 50 %.
    pub const HALF: Percentage = Percentage(Self::WHOLE / 2);
    const WHOLE: u32 = 1_000_000_000;

    /// How many billionths of the whole, `1..=1_000_000_000`.
    pub fn billionths(self) -> u32 {
        self.0
    }

    fn parse(text: &str) -> Option<Percentage> {
        let percent = text.strip_suffix('%')?.trim();
        let (whole, decimals) = percent.split_once('.').unwrap_or((percent, "0"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
        if !digits(whole) || !digits(decimals) || decimals.len() > Self::DECIMALS_MAX {
            return None;
        }
        // Three digits and seven: what does not fit is past the whole anyway.
        let padded = format!("{whole}{decimals:0<width$}", width = Self::DECIMALS_MAX);
        let billionths: u32 = padded.parse().ok()?;
        (1..=Self::WHOLE).contains(&billionths).then_some(Percentage(billionths))
    }
}

impl Rate {
    fn parse(text: &str) -> Option<Rate> {
        let rate: u32 = text.strip_suffix("/s")?.trim().parse().ok()?;
        (rate >= 1).then_some(Rate(rate))
    }
}

impl Size {
    fn parse(text: &str) -> Option<Size> {
        let (number, unit) = split_unit(text)?;
        let number: u64 = number.parse().ok()?;
        let factor = match unit {
            "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return None,
        };
        number.checked_mul(factor).map(Size)
    }
}

fn split_unit(text: &str) -> Option<(&str, &str)> {
    let at = text.find(|c: char| !c.is_ascii_digit())?;
    Some((&text[..at], text[at..].trim_start()))
}

macro_rules! read_as_text {
    ($($type:ident expects $what:literal),*) => {$(
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = String::deserialize(from)?;
                $type::parse(&text).ok_or_else(|| {
                    de::Error::custom(format!(concat!("must be ", $what, ", is `{}`"), text))
                })
            }
        }
    )*};
}

read_as_text! {
    Span expects "a duration such as `610ms`, `5s` or `2m`, at most `24h`",
    Period expects "a time such as `90s`, `12h` or `30d`, at least `1s`, at most `36500d`",
    Percentage expects "a share such as `50%`, above 0% and at most 100%, at most 7 decimals",
    Rate expects "a rate such as `5000/s`, at least `1/s`",
    Size expects "a size such as `64MiB`, `4KiB` or `512B`"
}
