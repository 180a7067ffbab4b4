//! A plain HTTP/1.1 client on one kept connection: what sets a measurement up and checks its result.
//!
//! It speaks as much as the servers here answer (a length, chunks, or no body at all) and refuses
//! the rest as broken. It is blocking on purpose: one thread, one connection, no runtime between the
//! clock and the wire.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// How long a call may go without a byte.
const SILENCE_MAX: Duration = Duration::from_secs(35);
/// Bytes that one answer may have.
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bytes that one line of an answer's head may have.
const LINE_BYTES_MAX: u64 = 64 * 1024;

/// A request, ready to be repeated.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// `host:port`.
    pub(crate) address: String,
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
}

impl Request {
    pub(crate) fn new(method: &'static str, address: &str, path: &str) -> Request {
        Request {
            address: address.to_owned(),
            method,
            path: path.to_owned(),
            headers: Vec::new(),
            body: String::new(),
        }
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Request {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn bearer(self, token: &str) -> Request {
        self.header("Authorization", format!("Bearer {token}"))
    }

    pub(crate) fn json(mut self, body: &serde_json::Value) -> Request {
        self.body = body.to_string();
        self.header("Content-Type", "application/json")
    }

    pub(crate) fn form(mut self, body: &str) -> Request {
        body.clone_into(&mut self.body);
        self.header("Content-Type", "application/x-www-form-urlencoded")
    }

    /// The request as it stands on the wire.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut text =
            format!("{} {} HTTP/1.1\r\nHost: {}\r\n", self.method, self.path, self.address);
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if !self.body.is_empty() {
            text.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        text.push_str("\r\n");
        text.push_str(&self.body);
        text.into_bytes()
    }

    /// Sends it on a connection of its own.
    pub(crate) fn send(&self) -> io::Result<Answer> {
        Connection::open(&self.address)?.call(self.method, &self.bytes())
    }
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let same = |(given, _): &&(String, String)| given.eq_ignore_ascii_case(name);
        self.headers.iter().find(same).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// One connection, kept from call to call.
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    pub(crate) fn open(address: &str) -> io::Result<Connection> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE_MAX))?;
        Ok(Connection { stream: BufReader::new(stream) })
    }

    /// Sends these bytes and reads the answer to its end.
    pub(crate) fn call(&mut self, method: &str, request: &[u8]) -> io::Result<Answer> {
        self.stream.get_mut().write_all(request)?;
        read_answer(&mut self.stream, method)
    }
}

fn read_answer(stream: &mut impl BufRead, method: &str) -> io::Result<Answer> {
    let status_line = line(stream)?;
    let status = status_line.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.ok_or_else(|| broken("no status"))?;
    let mut headers = Vec::new();
    loop {
        let line = line(stream)?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').ok_or_else(|| broken("no header"))?;
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let mut answer = Answer { status, headers, body: Vec::new() };
    // These end with their head whatever it says of a length (RFC 9112, 6.3).
    if method != "HEAD" && status != 204 && status != 304 {
        answer.body = read_body(stream, &answer)?;
    }
    Ok(answer)
}

fn read_body(stream: &mut impl BufRead, head: &Answer) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    if head.header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"))
    {
        while let size @ 1.. = chunk_size(&line(stream)?)? {
            take(stream, size, &mut body)?;
            line(stream)?;
        }
        // The trailers behind the last chunk: left in the stream they would be read as the next answer.
        while !line(stream)?.is_empty() {}
    } else if let Some(length) = head.header("content-length") {
        take(stream, length.parse().map_err(|_| broken("no length"))?, &mut body)?;
    } else {
        // Its end would be that of the connection, which is kept: whoever answers so cannot be measured here.
        return Err(broken("neither a length nor chunks"));
    }
    Ok(body)
}

fn chunk_size(line: &str) -> io::Result<usize> {
    let size = line.split(';').next().unwrap_or_default().trim();
    usize::from_str_radix(size, 16).map_err(|_| broken("no chunk size"))
}

fn take(stream: &mut impl BufRead, bytes: usize, body: &mut Vec<u8>) -> io::Result<()> {
    // Before there is room for it: the size is what the other side says.
    if body.len().saturating_add(bytes) > BODY_BYTES_MAX {
        return Err(broken("a body past the limit"));
    }
    let begin = body.len();
    body.resize(begin + bytes, 0);
    stream.read_exact(&mut body[begin..])
}

fn line(stream: &mut impl BufRead) -> io::Result<String> {
    let mut bytes = Vec::new();
    let read = stream.take(LINE_BYTES_MAX).read_until(b'\n', &mut bytes)?;
    if read == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if !bytes.ends_with(b"\n") {
        return Err(broken("a line past the limit, or cut off"));
    }
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

fn broken(says: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the answer is broken: {says}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(method: &str, mut wire: &[u8]) -> io::Result<(u16, String)> {
        let answer = read_answer(&mut wire, method)?;
        Ok((answer.status, String::from_utf8(answer.body).unwrap()))
    }

    #[test]
    fn an_answer_ends_where_its_head_says() {
        for (method, wire, status, body) in [
            ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef", 200, "abc"),
            ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", 200, ""),
            ("GET", "HTTP/1.1 304 Not Modified\r\netag: x\r\n\r\n", 304, ""),
            ("POST", "HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n", 201, ""),
            (
                "GET",
                "HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n",
                200,
                "abc0123456789",
            ),
        ] {
            assert_eq!(read(method, wire.as_bytes()).unwrap(), (status, body.to_owned()));
        }
    }

    #[test]
    fn an_answer_without_an_end_is_refused() {
        for wire in [
            "",
            "HTTP/1.1\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\nabc",
            "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc",
            "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nx\r\n",
        ] {
            assert!(read("GET", wire.as_bytes()).is_err(), "{wire:?}");
        }
    }

    #[test]
    fn a_request_carries_its_headers_and_its_length() {
        let request = Request::new("POST", "127.0.0.1:1", "/orders")
            .bearer("t")
            .json(&serde_json::json!({"productId": 1}));
        let text = String::from_utf8(request.bytes()).unwrap();
        assert_eq!(
            text,
            "POST /orders HTTP/1.1\r\nHost: 127.0.0.1:1\r\nAuthorization: Bearer t\r\n\
             Content-Type: application/json\r\nContent-Length: 15\r\n\r\n{\"productId\":1}"
        );
    }
}
