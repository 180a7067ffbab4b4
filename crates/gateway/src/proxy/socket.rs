//! A service's socket: what passes by here is looked at as it is read and as it is written.
//!
//! *Read.* The parser behind takes `HTTP/1.0` and `HTTP/1.1` and nothing else, though an answer of another
//! minor version is to be read as one of the highest that is known (RFC 9112, section 2.3). So the first
//! bytes of each answer are looked at. It does not follow where an answer ends: whoever sends a request
//! says that the next bytes begin one. Behind an informational answer nothing is looked at.
//!
//! *Written.* A request that may be sent once more would need a copy of its head, for each request and
//! mostly for nothing. Its bytes pass by here anyway: they are kept until the answer is there, and read back
//! ([`again`](super::again)) in the rare case.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// What an answer begins with; its minor version follows.
const MAJOR: &[u8] = b"HTTP/1.";
/// A request's first bytes that are kept: the largest head there can be.
const KEPT_BYTES_MAX: usize = chassis::http::HeadLimits::BEHIND.bytes;
/// The room for them that stays between two requests.
const ROOM_BYTES_MAX: usize = 4 * 1024;

/// The socket.
pub(super) struct Socket {
    stream: TcpStream,
    passing: Passing,
}

/// What is known of the exchange that passes by; clones are handles.
#[derive(Clone, Default)]
pub(super) struct Passing(Rc<Exchange>);

#[derive(Default)]
struct Exchange {
    /// How much has been seen of the answer's version.
    seen: Cell<usize>,
    /// Whether the next bytes that are written are to be kept.
    keeps: Cell<bool>,
    /// The request's first bytes.
    sent: RefCell<Vec<u8>>,
}

impl Passing {
    /// A request is sent; `keeps` says whether its head may be needed again.
    pub(super) fn begin(&self, keeps: bool) {
        self.0.seen.set(0);
        self.0.keeps.set(keeps);
        self.0.sent.borrow_mut().clear();
    }

    /// What was sent of the request, its whole head at least; nothing where it was not kept.
    pub(super) fn sent(&self) -> Vec<u8> {
        self.0.sent.take()
    }

    /// The answer is there: what was sent is not needed any more.
    pub(super) fn forget(&self) {
        // The room of a usual head stays, so that the next one costs no allocation.
        let mut sent = self.0.sent.borrow_mut();
        if sent.capacity() > ROOM_BYTES_MAX {
            *sent = Vec::new();
        }
    }

    /// Looks at bytes as they come in.
    fn read(&self, bytes: &mut [u8]) {
        let mut seen = self.0.seen.get();
        for byte in bytes {
            match MAJOR.get(seen) {
                Some(expected) if byte == expected => seen += 1,
                // No answer of this protocol: the parser says so.
                Some(_) => seen = MAJOR.len() + 1,
                None if seen == MAJOR.len() => {
                    if matches!(byte, b'2'..=b'9') {
                        *byte = b'1';
                    }
                    seen += 1;
                }
                None => break,
            }
        }
        self.0.seen.set(seen);
    }

    /// Looks at bytes as they go out, whether or not they get there. The parser writes a head at once,
    /// so that the first of them have all of it.
    fn write(&self, bytes: &[u8]) {
        if self.0.keeps.replace(false) {
            let head = &bytes[..bytes.len().min(KEPT_BYTES_MAX)];
            self.0.sent.borrow_mut().extend_from_slice(head);
        }
    }
}

impl Socket {
    pub(super) fn new(stream: TcpStream) -> Socket {
        Socket { stream, passing: Passing::default() }
    }

    /// The handle to what passes by.
    pub(super) fn passing(&self) -> Passing {
        self.passing.clone()
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, into))?;
        self.passing.read(&mut into.filled_mut()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.passing.write(bytes);
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is read of an answer that comes in pieces of this length.
    fn read(text: &str, piece: usize) -> String {
        let passing = Passing::default();
        passing.begin(false);
        let mut bytes = text.as_bytes().to_vec();
        bytes.chunks_mut(piece).for_each(|piece| passing.read(piece));
        String::from_utf8(bytes).expect("text")
    }

    #[test]
    fn a_later_minor_version_is_read_as_1_1_and_nothing_else_is_changed() {
        let cases = [
            ("HTTP/1.2 200 HTTP/1.3", "HTTP/1.1 200 HTTP/1.3"),
            ("HTTP/1.9 200 OK", "HTTP/1.1 200 OK"),
            ("HTTP/1.1 200 OK HTTP/1.2", "HTTP/1.1 200 OK HTTP/1.2"),
            ("HTTP/1.0 200 OK", "HTTP/1.0 200 OK"),
            ("HTTP/1.x 200 OK", "HTTP/1.x 200 OK"),
            ("HTTP/2.2 HTTP/1.2", "HTTP/2.2 HTTP/1.2"),
            ("xHTTP/1.2", "xHTTP/1.2"),
            ("HTTP/1.", "HTTP/1."),
        ];
        for (text, expected) in cases {
            for piece in [1, 3, 100] {
                assert_eq!(read(text, piece), expected, "{text} by {piece}");
            }
        }
    }

    #[test]
    fn what_is_sent_first_is_kept_where_it_may_be_needed_and_no_more_than_a_head() {
        let passing = Passing::default();
        passing.begin(true);
        passing.write(b"GET");
        passing.write(b"more");
        assert_eq!(passing.sent(), b"GET");
        passing.begin(false);
        passing.write(b"POST");
        assert_eq!(passing.sent(), b"");
        passing.begin(true);
        passing.write(&vec![b'x'; 2 * KEPT_BYTES_MAX]);
        assert_eq!(passing.0.sent.borrow().len(), KEPT_BYTES_MAX);
        passing.forget();
        assert_eq!(passing.0.sent.borrow().capacity(), 0, "no idle connection keeps that much");
    }
}
