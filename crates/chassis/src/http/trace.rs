//! W3C trace context: taken from the request, continued into everything it causes.
//!
//! Only `traceparent` is read (version 00 and its later forms' common part); a malformed one starts
//! a new trace, as the recommendation asks.

use http::HeaderMap;

use crate::chance;

/// The header.
pub const TRACEPARENT: &str = "traceparent";

/// The trace a request belongs to, and our own span in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    text: String,
}

const ID: std::ops::Range<usize> = 3..35;
const PARENT: std::ops::Range<usize> = 36..52;
const FLAGS: std::ops::Range<usize> = 53..55;

impl Trace {
    /// Continues the caller's trace with a span of our own, or starts one.
    pub fn take(headers: &HeaderMap) -> Trace {
        let given = headers.get(TRACEPARENT).and_then(|value| value.to_str().ok());
        match given.filter(|text| is_valid(text)) {
            Some(text) => Trace::of(&text[ID], &text[FLAGS]),
            None => Trace::start(),
        }
    }

    /// A trace that begins here.
    pub fn start() -> Trace {
        // The recommendation forbids an all-zero id; `spread` never yields zero.
        Trace::of(&format!("{:016x}{:016x}", chance::spread(), chance::spread()), "01")
    }

    /// The trace id: 32 hexadecimal digits.
    pub fn id(&self) -> &str {
        &self.text[ID]
    }

    /// The header to send on.
    pub fn traceparent(&self) -> &str {
        &self.text
    }

    fn of(id: &str, flags: &str) -> Trace {
        Trace { text: format!("00-{id}-{:016x}-{flags}", chance::spread()) }
    }
}

fn is_valid(text: &str) -> bool {
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
        assert!(is_valid(trace.traceparent()));
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
            assert!(is_valid(trace.traceparent()), "{text}");
        }
    }
}
