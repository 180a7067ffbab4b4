//! A reader of server-sent events that keeps its deadline and can be dropped at any moment.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::described::Sent;
use super::raw::authority;
use super::{Answer, SOON, connect, described, now};

/// A live stream.
pub(crate) struct Stream {
    socket: TcpStream,
    pub(crate) status: u16,
    pub(crate) head: String,
    raw: Vec<u8>,
    text: Vec<u8>,
    chunked: bool,
    ended: bool,
    ready: VecDeque<Message>,
}

/// One event of a stream.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Message {
    pub(crate) event: String,
    pub(crate) id: String,
    pub(crate) data: Value,
}

impl Stream {
    /// Opens `base` + `path` with these headers and reads the answer's head.
    #[track_caller]
    pub(crate) fn open(base: &str, path: &str, headers: &[(&str, &str)]) -> Stream {
        let mut socket = connect(base);
        let mut request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n", authority(base));
        request.push_str("Accept: text/event-stream\r\n");
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        socket.write_all(format!("{request}\r\n").as_bytes()).expect("the request is sent");
        let mut stream = Stream {
            socket,
            status: 0,
            head: String::new(),
            raw: Vec::new(),
            text: Vec::new(),
            chunked: false,
            ended: false,
            ready: VecDeque::new(),
        };
        stream.read_head();
        if stream.status >= 400 {
            stream.read_refusal();
        }
        let refusal = String::from_utf8_lossy(&stream.text).into_owned();
        let body = if stream.status >= 400 { refusal.as_str() } else { "" };
        let answer = Answer::made(stream.status, stream.field("content-type"), body);
        let url = format!("{base}{path}");
        let sent = Sent { method: "GET", url: &url, wants_html: false, body: None };
        described::check(&sent, &answer);
        stream
    }

    /// The value of a field of the answer's head; empty without it.
    fn field(&self, name: &str) -> &str {
        let mut fields = self.head.lines().filter_map(|line| line.split_once(':'));
        fields.find(|(field, _)| *field == name).map_or("", |(_, value)| value.trim())
    }

    /// Reads what is answered in place of a stream, which has an end.
    fn read_refusal(&mut self) {
        let length = self.field("content-length").parse().unwrap_or(usize::MAX);
        let end = now() + SOON;
        while self.text.len() < length && self.fill(end) {
            self.decode();
        }
    }

    /// The next event, or `None` if the stream ended or nothing came by the deadline.
    pub(crate) fn next_within(&mut self, limit: Duration) -> Option<Message> {
        let end = now() + limit;
        loop {
            if let Some(message) = self.ready.pop_front() {
                return Some(message);
            }
            if !self.fill(end) {
                return None;
            }
            self.decode();
        }
    }

    /// The next event that `wanted` accepts; the ones passed over are given back with it.
    #[track_caller]
    pub(crate) fn until(&mut self, what: &str, wanted: impl Fn(&Message) -> bool) -> Vec<Message> {
        let mut seen = Vec::new();
        loop {
            match self.next_within(SOON) {
                Some(message) => {
                    let found = wanted(&message);
                    seen.push(message);
                    if found {
                        return seen;
                    }
                }
                None => panic!("the stream never showed: {what}; it showed {seen:?}"),
            }
        }
    }

    /// Whether the server ended the stream by then.
    pub(crate) fn ends_within(&mut self, limit: Duration) -> bool {
        let end = now() + limit;
        while self.fill(end) {
            self.decode();
        }
        self.ended
    }

    fn read_head(&mut self) {
        let end = now() + SOON;
        loop {
            if let Some(at) = find(&self.raw, b"\r\n\r\n") {
                self.head = String::from_utf8_lossy(&self.raw[..at]).to_lowercase();
                self.raw.drain(..at + 4);
                self.chunked = self.head.contains("transfer-encoding: chunked");
                self.status =
                    self.head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
                self.decode();
                return;
            }
            assert!(self.fill(end), "no answer: {:?}", String::from_utf8_lossy(&self.raw));
        }
    }

    /// Reads what is there; false at the deadline or the end.
    fn fill(&mut self, end: Instant) -> bool {
        let left = end.saturating_duration_since(now());
        if left.is_zero() || self.ended {
            return false;
        }
        self.socket.set_read_timeout(Some(left)).expect("a read deadline");
        let mut chunk = [0; 4096];
        match self.socket.read(&mut chunk) {
            Ok(0) => self.ended = true,
            Ok(count) => self.raw.extend_from_slice(&chunk[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return false;
            }
            Err(_) => self.ended = true,
        }
        !self.ended
    }

    fn decode(&mut self) {
        if self.chunked {
            while let Some(chunk) = take_chunk(&mut self.raw) {
                self.ended |= chunk.is_empty();
                self.text.extend(chunk);
            }
        } else {
            self.text.append(&mut self.raw);
        }
        while let Some(at) = find(&self.text, b"\n\n") {
            let block: Vec<u8> = self.text.drain(..at + 2).collect();
            self.ready.extend(message(&String::from_utf8_lossy(&block)));
        }
    }
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

/// The first whole chunk of a chunked body; the last one is empty.
fn take_chunk(raw: &mut Vec<u8>) -> Option<Vec<u8>> {
    let line = find(raw, b"\r\n")?;
    let size = std::str::from_utf8(&raw[..line]).ok()?.split(';').next()?.trim();
    let size = usize::from_str_radix(size, 16).ok()?;
    let end = line + 2 + size;
    if raw.len() < end + 2 {
        return None;
    }
    let chunk = raw[line + 2..end].to_vec();
    raw.drain(..end + 2);
    Some(chunk)
}

/// A block of lines as an event; comments alone (a heart-beat) are none.
fn message(block: &str) -> Option<Message> {
    let field = |name: &str| {
        let values: Vec<&str> = block
            .lines()
            .filter_map(|line| line.split_once(':').filter(|(field, _)| *field == name))
            .map(|(_, value)| value.strip_prefix(' ').unwrap_or(value))
            .collect();
        values.join("\n")
    };
    let data = field("data");
    if data.is_empty() {
        return None;
    }
    let data = serde_json::from_str(&data).unwrap_or(Value::String(data));
    Some(Message { event: field("event"), id: field("id"), data })
}
