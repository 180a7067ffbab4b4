//! A service's socket, in whose answers a later minor version is read as 1.1.
//!
//! The parser behind takes `HTTP/1.0` and `HTTP/1.1` and nothing else, though an answer of another minor
//! version is to be read as one of the highest that is known (RFC 9112, section 2.3). So the first bytes
//! of each answer are looked at as they come in. It does not follow where an answer ends: whoever sends a
//! request says that the next bytes begin one. Behind an informational answer nothing is looked at.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// What an answer begins with; its minor version follows.
const MAJOR: &[u8] = b"HTTP/1.";

/// The socket.
pub(super) struct Socket {
    stream: TcpStream,
    seen: Seen,
}

/// How much has been seen of an answer's version.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen(Rc<Cell<usize>>);

impl Seen {
    /// What is read next begins an answer.
    pub(super) fn begin(&self) {
        self.0.set(0);
    }

    /// Looks at bytes as they come in.
    fn read(&self, bytes: &mut [u8]) {
        let mut seen = self.0.get();
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
        self.0.set(seen);
    }
}

impl Socket {
    /// A socket, and the handle by which answers begin.
    pub(super) fn new(stream: TcpStream) -> (Socket, Seen) {
        let seen = Seen::default();
        (Socket { stream, seen: seen.clone() }, seen)
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
        self.seen.read(&mut into.filled_mut()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
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
        let seen = Seen::default();
        seen.begin();
        let mut bytes = text.as_bytes().to_vec();
        bytes.chunks_mut(piece).for_each(|piece| seen.read(piece));
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
}
