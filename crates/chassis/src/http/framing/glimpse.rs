//! What a refused head still says of how its refusal is to be shown: the method, and what the client
//! accepts.
//!
//! A head is refused as soon as it is known that it will be, mostly before its `Accept` has come. So it
//! is read on for that one field, line by line and without keeping anything else; a limit that the head
//! broke is not given up by this. Whatever does not ask for a page (no GET, no HEAD) is not read on.

use memchr::memchr;

/// How much of a head is looked through for its `Accept`.
pub const GLIMPSE_BYTES_MAX: usize = 256 * 1024;
/// The longest line that is read as one, and the most that is kept of several.
const ACCEPT_BYTES_MAX: usize = 2 * 1024;

const ACCEPT: &[u8] = b"accept:";

/// The beginning of a head, as far as it has been looked through.
#[derive(Debug, Default)]
pub(in crate::http) struct Glimpse {
    method: Method,
    /// The line that has not ended, as far as it matters.
    line: Vec<u8>,
    /// What the client accepts: a list.
    accept: Vec<u8>,
    looked_at: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Method {
    #[default]
    Unread,
    Get,
    Head,
    Other,
}

impl Glimpse {
    /// Looks through the next bytes; whether there is nothing more to look for.
    pub(in crate::http) fn read(&mut self, mut bytes: &[u8]) -> bool {
        self.looked_at += bytes.len();
        while let Some(length) = memchr(b'\n', bytes) {
            self.keep(&bytes[..length]);
            bytes = &bytes[length + 1..];
            let line = std::mem::take(&mut self.line);
            if self.method == Method::Unread {
                // Blank lines before a request say nothing.
                self.method = Method::of(&line);
            } else if self.line_ends_head(&line) {
                return true;
            }
            if self.method == Method::Other {
                return true;
            }
        }
        self.keep(bytes);
        // A target that is too long is refused before its line has ended.
        let method =
            if self.method == Method::Unread { Method::of(&self.line) } else { self.method };
        method == Method::Other || self.looked_at >= GLIMPSE_BYTES_MAX
    }

    /// Whether it has seen what the client accepts.
    pub(in crate::http) fn has_accept(&self) -> bool {
        !self.accept.is_empty()
    }

    /// A whole head that asks for nothing and says the same of how an answer is to be shown.
    pub(in crate::http) fn stand_in(&self) -> Vec<u8> {
        let method =
            if self.method == Method::Unread { Method::of(&self.line) } else { self.method };
        let mut head = match method {
            Method::Get => b"GET".to_vec(),
            Method::Head => b"HEAD".to_vec(),
            // One that no page is shown to.
            Method::Unread | Method::Other => b"OPTIONS".to_vec(),
        };
        head.extend_from_slice(b" / HTTP/1.1\r\nhost: refused\r\n");
        if self.has_accept() {
            head.extend_from_slice(b"accept: ");
            head.extend_from_slice(&self.accept);
            head.extend_from_slice(b"\r\n");
        }
        head.extend_from_slice(b"\r\n");
        head
    }

    /// Reads a line behind the first; whether it is the empty one.
    fn line_ends_head(&mut self, line: &[u8]) -> bool {
        let line = line.trim_ascii_end();
        let name = line.get(..ACCEPT.len()).unwrap_or_default();
        let is_accept = name.eq_ignore_ascii_case(ACCEPT);
        let is_plain = |byte: &u8| *byte == b' ' || byte.is_ascii_graphic();
        if is_accept && line.len() < ACCEPT_BYTES_MAX && line.iter().all(is_plain) {
            let value = line[ACCEPT.len()..].trim_ascii();
            if self.accept.len() + value.len() <= ACCEPT_BYTES_MAX && !value.is_empty() {
                if self.has_accept() {
                    self.accept.extend_from_slice(b", ");
                }
                self.accept.extend_from_slice(value);
            }
        }
        line.is_empty()
    }

    /// Keeps the beginning of a line.
    fn keep(&mut self, bytes: &[u8]) {
        let room = ACCEPT_BYTES_MAX - self.line.len();
        self.line.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

impl Method {
    /// What a request line begins with, as far as it has come.
    fn of(line: &[u8]) -> Method {
        let line = line.trim_ascii_start();
        if line.starts_with(b"GET ") {
            Method::Get
        } else if line.starts_with(b"HEAD ") {
            Method::Head
        } else if b"GET ".starts_with(line) || b"HEAD ".starts_with(line) {
            Method::Unread
        } else {
            Method::Other
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether it was done, and the head that stands for this one, cut into pieces.
    fn seen(text: &str, piece: usize) -> (bool, String) {
        let mut glimpse = Glimpse::default();
        let mut done = false;
        for piece in text.as_bytes().chunks(piece) {
            done = done || glimpse.read(piece);
        }
        let head = String::from_utf8(glimpse.stand_in()).expect("text");
        let (first, fields) = head.split_once(" / HTTP/1.1\r\nhost: refused\r\n").expect("a head");
        (done, format!("{first} {}", fields.trim_end()).trim_end().to_owned())
    }

    #[test]
    fn a_refused_head_is_looked_through_for_what_its_client_accepts() {
        let long = "p".repeat(20_000);
        let cases = [
            (
                "GET /{long} HTTP/1.1\r\nhost: a\r\nAccept: text/html\r\n\r\n",
                true,
                "GET accept: text/html",
            ),
            (
                "GET / HTTP/1.1\r\nx: {long}\r\naccept:text/html \r\n",
                false,
                "GET accept: text/html",
            ),
            (
                "HEAD /caf\u{e9} HTTP/1.1\r\nACCEPT: a/b\r\naccept: c/d;q=0.1\r\n\r\n",
                true,
                "HEAD accept: a/b, c/d;q=0.1",
            ),
            ("\r\nGET / HTTP/1.1\naccept: text/html\n\n", true, "GET accept: text/html"),
            ("GET / HTTP/1.1\r\n\r\naccept: text/html\r\n", true, "GET"),
            ("GET / HTTP/1.1\r\naccept: text/html", false, "GET"),
            ("GET / HTTP/1.1\r\naccept: te\u{1}xt/html\r\n\r\n", true, "GET"),
            ("GET / HTTP/1.1\r\naccept: {long}\r\n\r\n", true, "GET"),
            ("GET / HTTP/1.1\r\nx-accept: text/html\r\n\r\n", true, "GET"),
            ("GET /{long}", false, "GET"),
            ("POST / HTTP/1.1\r\naccept: text/html\r\n\r\n", true, "OPTIONS"),
            ("get / HTTP/1.1\r\naccept: text/html\r\n\r\n", true, "OPTIONS"),
            ("GE", false, "OPTIONS"),
            ("GETTER", true, "OPTIONS"),
            ("\u{16}\u{3}\u{1}", true, "OPTIONS"),
            ("", false, "OPTIONS"),
        ];
        for (text, done, expected) in cases {
            let text = text.replace("{long}", &long);
            for piece in [usize::MAX, 1, 7] {
                let start = &text[..text.len().min(60)];
                assert_eq!(seen(&text, piece), (done, expected.to_owned()), "{start:?} by {piece}");
            }
        }
    }

    #[test]
    fn no_more_is_looked_through_or_kept_than_the_limit() {
        let mut glimpse = Glimpse::default();
        assert!(!glimpse.read(b"GET / HTTP/1.1\r\n"));
        let line = format!("accept: {}\r\n", "a".repeat(100));
        let mut lines = 0;
        while !glimpse.read(line.as_bytes()) {
            lines += 1;
        }
        let looked_at = 16 + (lines + 1) * line.len();
        assert!((GLIMPSE_BYTES_MAX..GLIMPSE_BYTES_MAX + line.len()).contains(&looked_at));
        assert!(glimpse.stand_in().len() < 2 * ACCEPT_BYTES_MAX);
    }
}
