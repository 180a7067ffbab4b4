//! Requests as bytes, for what a well-behaved client library would never send. Their answers are held
//! against the mall's description as all others ([`sent`](super::sent)).

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::sent;

/// What came back, as far as it came.
#[derive(Debug)]
pub(crate) struct RawAnswer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl RawAnswer {
    /// A header's value; names are compared without case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
    }
}

/// The `host:port` of a base URL.
pub(crate) fn authority(base: &str) -> &str {
    base.trim_start_matches("http://").trim_end_matches('/')
}

/// A connection to a base URL, with deadlines on it.
#[track_caller]
pub(crate) fn connect(base: &str) -> TcpStream {
    let socket = TcpStream::connect(authority(base)).expect("the listener accepts");
    socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a read deadline");
    socket.set_write_timeout(Some(Duration::from_secs(20))).expect("a write deadline");
    socket
}

/// Sends these bytes on a connection of their own and reads until the other side closes; `HOST` in
/// the bytes stands for the listener's own authority. A broken write is no failure: the answer may
/// have come before the end of the request.
#[track_caller]
pub(crate) fn raw(base: &str, request: &[u8]) -> RawAnswer {
    let mut socket = connect(base);
    let request = filled(base, request);
    let written = socket.write_all(&request);
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        match socket.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => bytes.extend_from_slice(&chunk[..count]),
            Err(error) if bytes.is_empty() => panic!("no answer: {error}; write: {written:?}"),
            Err(_) => break,
        }
    }
    sent::check(base, &request, &bytes);
    parse(&bytes)
}

/// A connection that stays, and what has come on it and was not read.
pub(crate) struct Talk {
    base: String,
    socket: TcpStream,
    /// What was sent and is not answered yet.
    sent: Vec<u8>,
    come: Vec<u8>,
}

impl Talk {
    /// One on which these bytes are sent; `HOST` as in [`raw`].
    #[track_caller]
    pub(crate) fn begin(base: &str, request: &[u8]) -> Talk {
        let (sent, come) = (Vec::new(), Vec::new());
        let mut talk = Talk { base: base.to_owned(), socket: connect(base), sent, come };
        talk.send(&filled(base, request));
        talk
    }

    #[track_caller]
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.sent.extend_from_slice(bytes);
        self.socket.write_all(bytes).expect("it is sent");
    }

    /// The next answer by its `Content-Length`, or the word before one (1xx).
    #[track_caller]
    pub(crate) fn answer(&mut self) -> RawAnswer {
        let mut piece = [0; 4096];
        loop {
            if let Some(at) = self.come.windows(4).position(|it| it == b"\r\n\r\n") {
                let head = parse(&self.come[..at]);
                let length = head.header("content-length");
                let length: usize = length.map_or(0, |it| it.parse().expect("a length"));
                if self.come.len() >= at + 4 + length {
                    let whole: Vec<u8> = self.come.drain(..at + 4 + length).collect();
                    // The word before an answer leaves its request open.
                    if head.status >= 200 {
                        let answered = sent::check(&self.base, &self.sent, &whole);
                        self.sent.drain(..answered);
                    }
                    return parse(&whole);
                }
            }
            let count = self.socket.read(&mut piece).expect("in time");
            assert!(count > 0, "it ended: {}", String::from_utf8_lossy(&self.come));
            self.come.extend_from_slice(&piece[..count]);
        }
    }
}

fn filled(base: &str, request: &[u8]) -> Vec<u8> {
    replace(request, b"HOST", authority(base).as_bytes())
}

fn parse(bytes: &[u8]) -> RawAnswer {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    RawAnswer { status, head: head.to_owned(), body: body.to_owned() }
}

fn replace(text: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let Some(at) = text.windows(from.len()).position(|window| window == from) else {
        return text.to_vec();
    };
    [&text[..at], to, &text[at + from.len()..]].concat()
}
