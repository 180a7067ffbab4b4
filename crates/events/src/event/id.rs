//! Ids of events: UUIDs of version 7 (RFC 9562), which begin with the millisecond that they were made in.
//!
//! Pure: time and randomness are given.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;

use crate::error::Error;

/// Its length as text.
const TEXT_BYTES: usize = 36;

/// Where hyphens stand in it.
const HYPHENS: [usize; 4] = [8, 13, 18, 23];

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// An event's id as its outbox gives it.
///
/// ```
/// use yeoul_events::EventId;
///
/// let id: EventId = "01890a5d-ac96-774b-bcce-b302099a8057".parse()?;
/// assert_eq!(id.to_string(), "01890a5d-ac96-774b-bcce-b302099a8057");
/// // No other spelling of it is read.
/// assert!("01890A5D-AC96-774B-BCCE-B302099A8057".parse::<EventId>().is_err());
/// # Ok::<(), yeoul_events::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId([u8; 16]);

impl EventId {
    /// The id made at `now` of these random bytes, six bits of which have no room in it.
    pub(crate) fn new(now: Timestamp, random: [u8; 10]) -> EventId {
        let milliseconds = now.as_millisecond().max(0).to_be_bytes();
        let mut bytes = [0; 16];
        bytes[..6].copy_from_slice(&milliseconds[2..]);
        bytes[6..].copy_from_slice(&random);
        bytes[6] = 0x70 | (bytes[6] & 0x0f);
        bytes[8] = 0x80 | (bytes[8] & 0x3f);
        EventId(bytes)
    }

    /// As it is stored.
    pub(crate) fn from_bytes(bytes: [u8; 16]) -> EventId {
        EventId(bytes)
    }

    /// To be stored.
    pub(crate) fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Digit by digit: an id is written for every event that is read, and sixteen numbers with a width were a tenth
        // of what a relay computed.
        let mut text = [b'-'; TEXT_BYTES];
        let places = (0..TEXT_BYTES).filter(|at| !HYPHENS.contains(at));
        let digits = self.0.iter().flat_map(|byte| [byte >> 4, byte & 0x0f]);
        for (at, digit) in places.zip(digits) {
            text[at] = DIGITS[usize::from(digit)];
        }
        formatter.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl FromStr for EventId {
    type Err = Error;

    /// Reads its own text and no other spelling.
    fn from_str(text: &str) -> Result<EventId, Error> {
        let refused = || Error::decode("no id of an event");
        let digits = text.replace('-', "");
        let bytes = u128::from_str_radix(&digits, 16).map_err(|_| refused())?;
        let id = EventId(bytes.to_be_bytes());
        if id.to_string() == text { Ok(id) } else { Err(refused()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_its_version_its_variant_and_its_millisecond_in_front() {
        let at = |millisecond| Timestamp::from_millisecond(millisecond).unwrap();
        let id = EventId::new(at(0x0189_0a5d_ac96), [0xff; 10]);
        assert_eq!(id.to_string(), "01890a5d-ac96-7fff-bfff-ffffffffffff");
        assert_eq!(
            EventId::new(at(0), [0; 10]).to_string(),
            "00000000-0000-7000-8000-000000000000"
        );
        assert!(id < EventId::new(at(0x0189_0a5d_ac97), [0; 10]), "later ids are higher");
        assert_eq!(id.to_string().parse::<EventId>().unwrap(), id);
        for other in ["", "1", "01890a5dac967fffbfffffffffffffff", "e7-17"] {
            assert!(other.parse::<EventId>().is_err(), "{other}");
        }
    }
}
