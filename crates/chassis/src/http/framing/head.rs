//! A request's head, line by line: its limits, what it says of the body's length, and that the parser
//! behind will take it.
//!
//! Whatever the parser would refuse is refused here already: its own refusals have no body and say
//! nothing to anybody (`no_refusal_is_left_to_the_parser` feeds it whatever passes).

use http::Uri;
use memchr::memchr;

use super::{BodyLength, Refusal};

/// The largest head of a client: its lines with their ends, the empty one and blank lines before it
/// included.
pub const HEAD_BYTES_MAX: usize = 64 * 1024;
/// The longest method.
pub const METHOD_BYTES_MAX: usize = 64;
/// The longest request target.
pub const TARGET_BYTES_MAX: usize = 8 * 1024;
/// The most fields of a client's head.
pub const FIELDS_MAX: usize = 100;
/// The longest name of a field.
pub const NAME_BYTES_MAX: usize = 1024;
/// The longest body that can be declared: no store has as much, and every reader can count so far.
pub(super) const LENGTH_MAX: u64 = i64::MAX as u64;
/// How much larger a head becomes at most on its way through a gateway: `Via`, `X-Forwarded-*`,
/// `traceparent`, a cookie's token as `Authorization`, a length, and a blank after each colon.
pub const ADDED_BYTES_MAX: usize = 2 * 1024;
/// How many fields these are at most.
pub const ADDED_FIELDS_MAX: usize = 8;

/// How large a head a listener takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLimits {
    /// All of its bytes.
    pub bytes: usize,
    /// Its fields.
    pub fields: usize,
}

impl HeadLimits {
    /// Where clients come in.
    pub const EDGE: HeadLimits = HeadLimits { bytes: HEAD_BYTES_MAX, fields: FIELDS_MAX };
    /// Behind a gateway, which adds to what it took at its edge: what it takes is not refused here.
    pub const BEHIND: HeadLimits = HeadLimits {
        bytes: HEAD_BYTES_MAX + ADDED_BYTES_MAX,
        fields: FIELDS_MAX + ADDED_FIELDS_MAX,
    };
}

/// Fields of which a head has one at most, since they are no lists (RFC 9110, section 5.3): of two, one
/// reader takes the first and another one the last.
const ONCE: [&str; 2] = ["authorization", "content-type"];

/// A head that is read as it comes.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// Where the line begins that is not whole yet.
    at: usize,
    /// How far it has been looked through for its end.
    looked: usize,
    /// Whether the request line has been read.
    begun: bool,
    fields: usize,
    /// HTTP/1.0, which knows no transfer coding.
    old: bool,
    length: Option<u64>,
    chunked: bool,
    /// Which of [`ONCE`] have been there.
    seen: [bool; ONCE.len()],
}

/// A whole head.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) bytes: usize,
    pub(super) body: BodyLength,
}

impl Scan {
    /// Goes on with a head of which `bytes` are all that has come, from its first one on.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn read(
        &mut self,
        bytes: &mut [u8],
        limits: HeadLimits,
    ) -> Result<Option<Head>, Refusal> {
        // What comes past the limit is not looked at, however it arrives.
        while let Some(to) = self.line(&bytes[..bytes.len().min(limits.bytes)])? {
            let from = std::mem::replace(&mut self.at, to + 2);
            match (self.begun, from == to) {
                (true, true) => return self.end().map(Some),
                (true, false) => self.field(&bytes[from..to], limits)?,
                // Blank lines before a request are left over from the one before it.
                (false, true) => {}
                (false, false) => {
                    self.old = request_line(&mut bytes[from..to])?;
                    self.begun = true;
                }
            }
        }
        // What is wrong with a line is known before it is whole, and then not waited for.
        let line = &bytes[self.at..];
        if !self.begun && !line.starts_with(b"\r") {
            begins_well(line)?;
        }
        if bytes.len() >= limits.bytes { Err(Refusal::HeadTooLarge) } else { Ok(None) }
    }

    /// Where the present line ends, if it does: at a CR, which an LF follows. No other control character
    /// stands in a line but a tab.
    fn line(&mut self, bytes: &[u8]) -> Result<Option<usize>, Refusal> {
        // Nothing is looked at twice, however small the pieces are in which a head comes.
        self.looked = self.looked.max(self.at);
        loop {
            let Some(found) = control(&bytes[self.looked..]) else {
                self.looked = bytes.len();
                return Ok(None);
            };
            let at = self.looked + found;
            match (bytes[at], bytes.get(at + 1)) {
                (b'\t', _) => self.looked = at + 1,
                (b'\r', Some(b'\n')) => return Ok(Some(at)),
                // What follows it has not come: looked at again then.
                (b'\r', None) => {
                    self.looked = at;
                    return Ok(None);
                }
                (b'\n', _) => return Err(Refusal::BareLineFeed),
                _ if self.begun => return Err(Refusal::Field),
                _ if bytes[self.at..at].contains(&b' ') => return Err(Refusal::Target),
                _ => return Err(Refusal::RequestLine),
            }
        }
    }

    fn end(&self) -> Result<Head, Refusal> {
        let body = match (self.chunked, self.length) {
            (true, None) => BodyLength::Chunked,
            (false, length) => BodyLength::Bytes(length.unwrap_or(0)),
            (true, Some(_)) => return Err(Refusal::Ambiguous),
        };
        Ok(Head { bytes: self.at, body })
    }

    fn field(&mut self, line: &[u8], limits: HeadLimits) -> Result<(), Refusal> {
        self.fields += 1;
        if self.fields > limits.fields {
            return Err(Refusal::TooManyFields);
        }
        // A blank before the colon is no token either, so `Name : value`, which readers disagree about, is
        // refused here.
        let colon = line.iter().position(|byte| !is_token(*byte)).ok_or(Refusal::Field)?;
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        if name.is_empty() || line[colon] != b':' {
            return Err(Refusal::Field);
        }
        if name.len() > NAME_BYTES_MAX {
            return Err(Refusal::NameTooLong);
        }
        // By its length first: most fields are told apart by that.
        match name.len() {
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                self.content_length(value.trim_ascii())
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                self.transfer_encoding(value.trim_ascii())
            }
            12 | 13 => self.once(name),
            _ => Ok(()),
        }
    }

    fn once(&mut self, name: &[u8]) -> Result<(), Refusal> {
        for (once, seen) in ONCE.iter().zip(&mut self.seen) {
            if name.eq_ignore_ascii_case(once.as_bytes()) && std::mem::replace(seen, true) {
                return Err(Refusal::Twice(once));
            }
        }
        Ok(())
    }

    fn content_length(&mut self, value: &[u8]) -> Result<(), Refusal> {
        let digits = value.iter().all(u8::is_ascii_digit).then_some(value);
        let text = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        let length = text.and_then(|text| text.parse().ok());
        let length = length.filter(|length| *length <= LENGTH_MAX).ok_or(Refusal::Length)?;
        // Also of two that agree: a list of lengths is what the other reader may take as one number.
        match self.length.replace(length) {
            None => Ok(()),
            Some(_) => Err(Refusal::Length),
        }
    }

    fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), Refusal> {
        if self.old {
            return Err(Refusal::Ambiguous);
        }
        if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
            return Err(Refusal::Coding);
        }
        self.chunked = true;
        Ok(())
    }
}

/// The first control character, looked for by sixteen bytes at once: every byte of every head is looked at
/// here, and at hardly any other place.
fn control(bytes: &[u8]) -> Option<usize> {
    let (blocks, rest) = bytes.as_chunks::<16>();
    for (at, block) in blocks.iter().enumerate() {
        // Without a way out, and as whole bytes: so the compiler makes a few vector instructions of it.
        let is_control = |byte: &u8| if *byte < b' ' || *byte == 0x7f { 0xff } else { 0 };
        if block.iter().fold(0u8, |found, byte| found | is_control(byte)) != 0 {
            // Of those found the lowest is exact; a borrow may have marked others above it.
            let found = controls(u128::from_le_bytes(*block));
            return Some(16 * at + found.trailing_zeros() as usize / 8);
        }
    }
    let found = rest.iter().position(u8::is_ascii_control);
    found.map(|found| 16 * blocks.len() + found)
}

/// A bit for each byte that is a control character (below 0x20, or 0x7f), and none below the first.
fn controls(word: u128) -> u128 {
    const ONES: u128 = u128::MAX / 255;
    let low = word.wrapping_sub(ONES * 0x20) & !word;
    let delete = word ^ (ONES * 0x7f);
    let delete = delete.wrapping_sub(ONES) & !delete;
    (low | delete) & (ONES * 0x80)
}

/// Checks the first line of a request, and whether it is HTTP/1.0.
fn request_line(line: &mut [u8]) -> Result<bool, Refusal> {
    begins_well(line)?;
    let space = memchr(b' ', line).ok_or(Refusal::RequestLine)?;
    let target = &line[space + 1..];
    let target = &target[..memchr(b' ', target).ok_or(Refusal::RequestLine)?];
    if target.is_empty() {
        return Err(Refusal::RequestLine);
    }
    if !is_target(target) {
        return Err(Refusal::Target);
    }
    // Rewritten where it stands: the parser behind knows no other minor version (RFC 9112, section 2.3).
    let version = space + 1 + target.len() + 1;
    match &mut line[version..] {
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor] if minor.is_ascii_digit() => {
            let old = *minor == b'0';
            if !old {
                *minor = b'1';
            }
            Ok(old)
        }
        _ => Err(Refusal::RequestLine),
    }
}

/// Checks as much of a request line as has come.
fn begins_well(line: &[u8]) -> Result<(), Refusal> {
    let Some(space) = memchr(b' ', &line[..line.len().min(METHOD_BYTES_MAX + 1)]) else {
        let method = &line[..line.len().min(METHOD_BYTES_MAX + 1)];
        return match method.iter().all(|byte| is_token(*byte)) {
            true if method.len() > METHOD_BYTES_MAX => Err(Refusal::MethodTooLong),
            true => Ok(()),
            // A line that is cut between CR and LF is not finished.
            false if line.ends_with(b"\r") && line.len() == method.len() => Ok(()),
            false => Err(Refusal::RequestLine),
        };
    };
    if space == 0 || !line[..space].iter().all(|byte| is_token(*byte)) {
        return Err(Refusal::RequestLine);
    }
    let target = &line[space + 1..];
    let seen = &target[..target.len().min(TARGET_BYTES_MAX + 1)];
    if seen.len() > TARGET_BYTES_MAX && memchr(b' ', seen).is_none() {
        return Err(Refusal::TargetTooLong);
    }
    Ok(())
}

/// Whether it can be a target. Of a fragment a server never hears; what is not ASCII is escaped.
fn is_target(target: &[u8]) -> bool {
    // An absolute form, `*`, or an authority: seldom, and left to the parser of addresses.
    let [b'/', rest @ ..] = target else {
        return target.is_ascii() && !target.contains(&b'#') && Uri::try_from(target).is_ok();
    };
    let (path, query) = rest.split_at(memchr(b'?', rest).unwrap_or(rest.len()));
    path.iter().all(|byte| TARGETS[usize::from(*byte)] & IN_PATH != 0)
        && query.iter().all(|byte| TARGETS[usize::from(*byte)] & IN_QUERY != 0)
}

const IN_PATH: u8 = 1;
const IN_QUERY: u8 = 2;

/// Where in a target a byte may be.
const TARGETS: [u8; 256] = {
    let mut table = [0; 256];
    let mut at = 0;
    while at < table.len() {
        let byte = at as u8;
        let plain = byte.is_ascii_graphic() && !matches!(byte, b'#' | b'<' | b'>');
        table[at] = match byte {
            _ if !plain => 0,
            b'`' => IN_QUERY,
            b'"' => IN_PATH,
            _ => IN_PATH | IN_QUERY,
        };
        at += 1;
    }
    table
};

/// Whether a byte may be part of a name or a method (RFC 9110, section 5.6.2).
fn is_token(byte: u8) -> bool {
    TOKENS[usize::from(byte)]
}

/// Looked up, since each byte of each name is.
const TOKENS: [bool; 256] = {
    let mut table = [false; 256];
    let symbols = b"!#$%&'*+-.^_`|~";
    let mut at = 0;
    while at < table.len() {
        table[at] = (at as u8).is_ascii_alphanumeric();
        at += 1;
    }
    let mut at = 0;
    while at < symbols.len() {
        table[symbols[at] as usize] = true;
        at += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_control_character_is_found_wherever_it_stands_and_nothing_else_is_one() {
        for byte in 0..=255u8 {
            for length in [1, 15, 16, 17, 31, 48] {
                for at in 0..length {
                    let mut bytes = vec![if byte.is_multiple_of(2) { b' ' } else { 0xff }; length];
                    bytes[at] = byte;
                    let expected = byte.is_ascii_control().then_some(at);
                    assert_eq!(control(&bytes), expected, "{byte:#x} at {at} of {length}");
                }
            }
        }
        assert_eq!(control(b"aaaaaaaa\x1f\x00\x7f \x20aaaaaaaaaaaa"), Some(8));
        assert_eq!(control(b""), None);
    }
}
