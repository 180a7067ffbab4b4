//! A client that sends exactly the bytes it is given and reads exactly one answer.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use chassis::clock;
use serde_json::Value;

use super::SOON;

/// One answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
    pub(crate) took: Duration,
}

impl Answer {
    /// The first value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Every value of a header.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let found = self.headers.iter().filter(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).collect()
    }

    /// The body as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// A connection that is kept.
pub(crate) struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Client {
        let stream = TcpStream::connect(address).expect("connected");
        stream.set_read_timeout(Some(SOON)).expect("a timeout");
        stream.set_nodelay(true).expect("no delay");
        Client { stream: BufReader::new(stream) }
    }

    pub(crate) fn wait_at_most(&self, limit: Duration) {
        self.stream.get_ref().set_read_timeout(Some(limit)).expect("a timeout");
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        // A server that has refused already may have closed.
        let _ = self.stream.get_mut().write_all(bytes);
    }

    /// One answer; `None` if the server closed instead.
    pub(crate) fn read(&mut self, has_body: bool) -> Option<Answer> {
        let start = clock::now();
        let mut line = String::new();
        if self.stream.read_line(&mut line).unwrap_or(0) == 0 {
            return None;
        }
        let status = line.split(' ').nth(1).expect("a status").parse().expect("a number");
        let headers = self.headers();
        let mut answer = Answer { status, headers, body: String::new(), took: Duration::ZERO };
        if has_body && !matches!(status, 204 | 304) {
            let body = self.body(&answer);
            answer.body = String::from_utf8_lossy(&body).into_owned();
        }
        answer.took = clock::now() - start;
        Some(answer)
    }

    fn headers(&mut self) -> Vec<(String, String)> {
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line).expect("a header");
            let Some((name, value)) = line.trim_end().split_once(':') else { return headers };
            headers.push((name.to_lowercase(), value.trim().to_owned()));
        }
    }

    fn body(&mut self, answer: &Answer) -> Vec<u8> {
        let mut body = Vec::new();
        if answer.header("transfer-encoding").is_some() {
            while let Some(piece) = self.chunk() {
                body.extend(piece);
            }
        } else if let Some(length) = answer.header("content-length") {
            body.resize(length.parse().expect("a length"), 0);
            self.stream.read_exact(&mut body).expect("the whole body");
        } else {
            self.stream.read_to_end(&mut body).expect("the rest");
        }
        body
    }

    /// One chunk; `None` at the end, or where the connection broke. Where nothing comes in time it is
    /// neither, and the test fails: silence would pass for an end.
    #[track_caller]
    pub(crate) fn chunk(&mut self) -> Option<Vec<u8>> {
        let mut line = String::new();
        came(self.stream.read_line(&mut line))?;
        let size = usize::from_str_radix(line.trim(), 16).ok()?;
        let mut piece = vec![0; size + 2];
        came(self.stream.read_exact(&mut piece))?;
        piece.truncate(size);
        (size > 0).then_some(piece)
    }
}

/// What was read; `None` where the connection broke.
#[track_caller]
fn came<T>(read: io::Result<T>) -> Option<T> {
    let silent = |error: &io::Error| {
        matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
    };
    assert!(!read.as_ref().is_err_and(silent), "nothing comes, and nothing ends");
    read.ok()
}

/// A request with a body of its own, as text.
pub(crate) fn request(method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> String {
    let mut text = format!("{method} {target} HTTP/1.1\r\nhost: shop.localhost\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() {
        text.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    text + "\r\n" + body
}

/// Sends a request on a connection of its own.
#[track_caller]
pub(crate) fn send(
    address: SocketAddr,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let loopback = [("host", "localhost")];
    let text = request(method, target, headers, body);
    let text = if headers.contains(&loopback[0]) {
        text.replacen("host: shop.localhost\r\n", "", 1)
    } else {
        text
    };
    let mut client = Client::connect(address);
    client.write(text.as_bytes());
    client.read(method != "HEAD").expect("an answer")
}

/// Gets something.
#[track_caller]
pub(crate) fn get(address: SocketAddr, target: &str, headers: &[(&str, &str)]) -> Answer {
    send(address, "GET", target, headers, "")
}

/// Sends these bytes; `None` where the server closed without an answer.
pub(crate) fn raw(address: SocketAddr, bytes: &[u8]) -> Option<Answer> {
    let mut client = Client::connect(address);
    client.write(bytes);
    client.read(true)
}

/// Server-sent events.
pub(crate) struct Stream {
    client: Client,
    text: String,
    pub(crate) head: Answer,
}

/// One event.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Message {
    pub(crate) event: String,
    pub(crate) id: String,
    pub(crate) data: Value,
}

impl Stream {
    pub(crate) fn open(address: SocketAddr, target: &str, headers: &[(&str, &str)]) -> Stream {
        let mut client = Client::connect(address);
        client.write(request("GET", target, headers, "").as_bytes());
        let head = client.read(false).expect("a head");
        Stream { client, text: String::new(), head }
    }

    /// The first piece as it came.
    pub(crate) fn piece(&mut self) -> String {
        self.client.wait_at_most(4 * SOON);
        String::from_utf8(self.client.chunk().expect("a piece")).expect("text")
    }

    /// The next event; `None` once the stream has ended.
    #[track_caller]
    pub(crate) fn next(&mut self) -> Option<Message> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let message = parse(event);
                self.text = rest.to_owned();
                if let Some(message) = message {
                    return Some(message);
                }
                continue;
            }
            let piece = self.client.chunk()?;
            self.text.push_str(std::str::from_utf8(&piece).expect("text"));
        }
    }
}

fn parse(text: &str) -> Option<Message> {
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
    Some(Message {
        event: field("event: ")?.to_owned(),
        id: field("id: ")?.to_owned(),
        data: serde_json::from_str(field("data: ")?).expect("JSON"),
    })
}
