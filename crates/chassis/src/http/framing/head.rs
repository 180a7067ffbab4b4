//! A request's head, line by line: its limits, and what it says of the body's length.

use memchr::memchr;

use super::{Extent, Refusal};

/// The largest head: its lines with their ends, the empty one and blank lines before it included.
pub const HEAD_BYTES_MAX: usize = 64 * 1024;
/// The longest method.
pub const METHOD_BYTES_MAX: usize = 64;
/// The longest request target.
pub const TARGET_BYTES_MAX: usize = 8 * 1024;
/// The most fields of a head; the parser behind stops there too.
pub const FIELDS_MAX: usize = 100;

/// A head that is read as it comes.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// Where the line begins that is not whole yet.
    at: usize,
    /// Whether the request line has been read.
    begun: bool,
    fields: usize,
    /// HTTP/1.0, which knows no transfer coding.
    old: bool,
    length: Option<u64>,
    chunked: bool,
}

/// A whole head.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) bytes: usize,
    pub(super) body: Extent,
}

impl Scan {
    /// Goes on with a head of which `bytes` are all that has come, from its first one on.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn read(&mut self, bytes: &mut [u8]) -> Result<Option<Head>, Refusal> {
        while let Some(length) = memchr(b'\n', &bytes[self.at..]) {
            let end = self.at + length;
            if end >= HEAD_BYTES_MAX {
                break;
            }
            let Some(line) = bytes[self.at..end].strip_suffix(b"\r") else {
                return Err(Refusal::BareLineFeed);
            };
            let (from, to) = (self.at, self.at + line.len());
            self.at = end + 1;
            match (self.begun, from == to) {
                (true, true) => return self.end().map(Some),
                (true, false) => self.field(&bytes[from..to])?,
                // Blank lines before a request are left over from the one before it.
                (false, true) => {}
                (false, false) => {
                    self.old = request_line(&mut bytes[from..to])?;
                    self.begun = true;
                }
            }
        }
        let line = &bytes[self.at..];
        if !self.begun && !line.starts_with(b"\r") {
            begins_well(line)?;
        }
        if bytes.len() >= HEAD_BYTES_MAX { Err(Refusal::HeadTooLarge) } else { Ok(None) }
    }

    fn end(&self) -> Result<Head, Refusal> {
        let body = match (self.chunked, self.length) {
            (true, None) => Extent::Chunked,
            (false, length) => Extent::Bytes(length.unwrap_or(0)),
            (true, Some(_)) => return Err(Refusal::Ambiguous),
        };
        Ok(Head { bytes: self.at, body })
    }

    fn field(&mut self, line: &[u8]) -> Result<(), Refusal> {
        self.fields += 1;
        if self.fields > FIELDS_MAX {
            return Err(Refusal::TooManyFields);
        }
        // Hardly any other field begins so: most lines cost one comparison.
        match line[0] | 0x20 {
            b'c' => match value(line, b"content-length") {
                Some(value) => self.content_length(value),
                None => Ok(()),
            },
            b't' => match value(line, b"transfer-encoding") {
                Some(value) => self.transfer_encoding(value),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn content_length(&mut self, value: &[u8]) -> Result<(), Refusal> {
        let digits = value.iter().all(u8::is_ascii_digit).then_some(value);
        let text = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        let length = text.and_then(|text| text.parse().ok()).ok_or(Refusal::Length)?;
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

/// The value of a field of this name.
fn value<'l>(line: &'l [u8], name: &[u8]) -> Option<&'l [u8]> {
    let (given, rest) = line.split_at_checked(name.len())?;
    let value = given.eq_ignore_ascii_case(name).then_some(rest)?.strip_prefix(b":")?;
    Some(value.trim_ascii())
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
    // Of a fragment a server never hears; what is not ASCII is escaped.
    if !target.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'#') {
        return Err(Refusal::Target);
    }
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

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
