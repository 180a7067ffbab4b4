//! What was sent as bytes, and its answer in bytes, as the description's check wants them.
//!
//! A request counts as far as it names itself: a method, a path and a version. What does not is nobody's
//! operation. Of an answer the first is looked at, and of its body what has come whole.

use ureq::http::{HeaderMap, HeaderName, HeaderValue};

use super::Answer;
use super::described::{self, Sent};

/// Holds the answer to the first request in `sent` against the description of the mall at `base`; how
/// much of `sent` that request is.
#[track_caller]
pub(super) fn check(base: &str, sent: &[u8], answer: &[u8]) -> usize {
    compare(base, sent, answer).unwrap_or_else(|reason| panic!("{reason}"))
}

/// As [`check`], saying what is wrong.
pub(crate) fn compare(base: &str, sent: &[u8], answer: &[u8]) -> Result<usize, String> {
    let Some(request) = Message::read(sent) else { return Ok(sent.len()) };
    let length = request.length().unwrap_or(sent.len()).min(sent.len());
    let mut words = request.first.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let url = if target.starts_with('/') { format!("{base}{target}") } else { target.to_owned() };
    let accepts = request.headers.get_all("accept").iter();
    let wants_html = accepts.filter_map(|it| it.to_str().ok()).any(|it| it.contains("text/html"));
    if request.first.contains(" HTTP/1.")
        && let Some(answer) = Message::read(answer).and_then(|message| message.into_answer(method))
    {
        described::seen(&Sent { method, url: &url, wants_html, body: None }, &answer)?;
    }
    Ok(length)
}

/// A request or an answer: its first line, its fields, and what follows.
struct Message<'b> {
    first: String,
    headers: HeaderMap,
    head_bytes: usize,
    rest: &'b [u8],
}

impl<'b> Message<'b> {
    /// As far as its head is whole.
    fn read(bytes: &'b [u8]) -> Option<Message<'b>> {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
        let text = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut lines = text.split("\r\n");
        let first = lines.next().unwrap_or_default().to_owned();
        let field = |line: &str| {
            let (name, value) = line.split_once(':')?;
            let name: HeaderName = name.parse().ok()?;
            Some((name, HeaderValue::from_str(value.trim()).ok()?))
        };
        let headers = lines.filter_map(field).collect();
        Some(Message { first, headers, head_bytes: end + 4, rest: &bytes[end + 4..] })
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// All of its bytes where its head says how many; of what comes in chunks nobody knows.
    fn length(&self) -> Option<usize> {
        let body = match self.header("content-length") {
            Some(length) => length.parse().ok()?,
            None if self.header("transfer-encoding").is_some() => return None,
            None => 0,
        };
        Some(self.head_bytes + body)
    }

    /// As an answer to this method; none where it is an interim one, or its body has not come whole.
    fn into_answer(self, method: &str) -> Option<Answer> {
        let status: u16 = self.first.split(' ').nth(1)?.parse().ok()?;
        let body = match self.header("content-length") {
            _ if method == "HEAD" => Vec::new(),
            Some(length) => self.rest.get(..length.parse().ok()?)?.to_vec(),
            None if self.header("transfer-encoding").is_some() => joined(self.rest)?,
            None => self.rest.to_vec(),
        };
        (status >= 200).then(|| Answer::read(status, self.headers, body))
    }
}

/// The chunks of a body without their sizes, if the last one has come.
fn joined(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = bytes.windows(2).position(|two| two == b"\r\n")?;
        let size = std::str::from_utf8(&bytes[..end]).ok()?.split(';').next()?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        let chunk = bytes.get(end + 2..end + 2 + size)?;
        body.extend_from_slice(chunk);
        bytes = bytes.get(end + 4 + size..)?;
    }
}
