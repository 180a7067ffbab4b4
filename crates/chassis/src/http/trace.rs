//! W3C trace context: taken from the request, continued into everything it causes.
//!
//! Only `traceparent` is read (version 00 and its later forms' common part); a malformed one starts
//! a new trace, as the recommendation asks.

use std::str;

use http::{HeaderMap, HeaderValue};

use crate::chance;

/// The header.
pub const TRACEPARENT: &str = "traceparent";

/// The trace a request belongs to, and our own span in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    // Written by hand: every request has one, and a formatter costs ten times as much.
    text: [u8; LENGTH],
}

const LENGTH: usize = 55;
const ID: std::ops::Range<usize> = 3..35;
const PARENT: std::ops::Range<usize> = 36..52;
const FLAGS: std::ops::Range<usize> = 53..55;
const BLANK: [u8; LENGTH] = *b"00-00000000000000000000000000000000-0000000000000000-01";

/// The caller's trace as it stands in his request, if it is one.
pub fn given(headers: &HeaderMap) -> Option<&str> {
    headers.get(TRACEPARENT)?.to_str().ok().filter(|text| is_traceparent(text))
}

/// Whether a text names a trace and a span in it (W3C Trace Context, section 3.2).
pub fn is_traceparent(text: &str) -> bool {
    let hex = |part: &str| part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let zero = |part: &str| part.bytes().all(|b| b == b'0');
    text.is_ascii()
        && text.len() >= 55
        && (text.len() == 55 || (!text.starts_with("00") && text.as_bytes()[55] == b'-'))
        && [2, 35, 52].iter().all(|at| text.as_bytes()[*at] == b'-')
        && hex(&text[..2])
        && !text.starts_with("ff")
        && [ID, PARENT, FLAGS].into_iter().all(|part| hex(&text[part]))
        && !zero(&text[ID])
        && !zero(&text[PARENT])
}

impl Trace {
    /// Continues the caller's trace with a span of our own, or starts one.
    pub fn take(headers: &HeaderMap) -> Trace {
        match given(headers) {
            Some(given) => {
                let mut text = BLANK;
                text[ID].copy_from_slice(&given.as_bytes()[ID]);
                text[FLAGS].copy_from_slice(&given.as_bytes()[FLAGS]);
                Trace::with_span(text)
            }
            None => Trace::start(),
        }
    }

    /// A trace that begins here.
    pub fn start() -> Trace {
        // The recommendation forbids an all-zero id; `spread` never yields zero.
        let mut text = BLANK;
        let (high, low) = text[ID].split_at_mut(16);
        write_hex(chance::spread(), high);
        write_hex(chance::spread(), low);
        Trace::with_span(text)
    }

    /// The trace id: 32 hexadecimal digits.
    pub fn id(&self) -> &str {
        &self.traceparent()[ID]
    }

    /// The header's text, to send on.
    pub fn traceparent(&self) -> &str {
        str::from_utf8(&self.text).expect("hexadecimal digits")
    }

    /// The header to send on.
    pub fn header(&self) -> HeaderValue {
        HeaderValue::from_bytes(&self.text).expect("hexadecimal digits")
    }

    fn with_span(mut text: [u8; LENGTH]) -> Trace {
        write_hex(chance::spread(), &mut text[PARENT]);
        Trace { text }
    }
}

/// Writes 64 bits as 16 digits.
fn write_hex(bits: u64, digits: &mut [u8]) {
    for (at, digit) in digits.iter_mut().enumerate() {
        *digit = b"0123456789abcdef"[(bits >> (60 - 4 * at) & 15) as usize];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(text: &str) -> Trace {
        let mut headers = HeaderMap::new();
        headers.insert(TRACEPARENT, text.parse().expect("a header value"));
        Trace::take(&headers)
    }

    #[test]
    fn a_good_trace_is_continued_with_a_span_of_our_own() {
        let given = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let trace = take(given);
        assert_eq!(trace.id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_ne!(trace.traceparent(), given);
        assert!(is_traceparent(trace.traceparent()));
    }

    #[test]
    fn bits_are_written_in_order() {
        let mut digits = [0; 16];
        write_hex(0x0123_4567_89ab_cdef, &mut digits);
        assert_eq!(&digits, b"0123456789abcdef");
    }

    #[test]
    fn a_bad_one_starts_anew() {
        let bad = [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
        ];
        for text in bad {
            let trace = take(text);
            assert_ne!(trace.id(), "4bf92f3577b34da6a3ce929d0e0e4736", "{text}");
            assert!(is_traceparent(trace.traceparent()), "{text}");
        }
    }
}
