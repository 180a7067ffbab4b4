//! A connection's bytes on their way to the parser and back.
//!
//! What comes in is read into one buffer per core, looked at by the [`framing`](super::framing) and
//! copied on; a connection has memory of its own only while a head is not whole. So an idle one costs
//! no more than before, the parser sees whole heads alone, and a half-sent one does not keep a
//! stopping process.
//!
//! A head that is refused never reaches the parser: a plain request takes its place, which the
//! listener answers with the refusal when its turn has come. That keeps the order of pipelined
//! answers without a second way of writing them.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::connection::Connection;
use super::framing::{Framing, Passed, Then};
use super::stall::Stall;

/// How much is read at once.
const PIECE_BYTES_MAX: usize = 64 * 1024;
/// What the parser sees in the place of a refused head.
const IN_PLACE: &[u8] = b"GET / HTTP/1.1\r\nhost: refused\r\n\r\n";

thread_local! {
    static PIECE: RefCell<Box<[u8]>> = RefCell::new(vec![0; PIECE_BYTES_MAX].into());
}

/// One connection's socket behind its framing.
pub(super) struct Wire {
    stream: Rc<RefCell<TcpStream>>,
    connection: Rc<Connection>,
    framing: Framing,
    /// The beginning of a head that is not whole yet.
    held: Vec<u8>,
    /// What may pass and has not yet, and from where on.
    ready: Vec<u8>,
    passed: usize,
    end: Option<End>,
    stall: Stall,
}

/// What follows after what may pass.
#[derive(Clone, Copy)]
enum End {
    /// Nothing: the refusal ends the connection.
    Refused,
    /// An error, for whoever reads the body.
    Broken,
}

impl Wire {
    /// `write_idle` is how long a client may read nothing of what it is sent.
    pub(super) fn new(
        stream: Rc<RefCell<TcpStream>>,
        connection: Rc<Connection>,
        write_idle: Duration,
    ) -> Wire {
        Wire {
            stream,
            connection,
            framing: Framing::default(),
            held: Vec::new(),
            ready: Vec::new(),
            passed: 0,
            end: None,
            stall: Stall::new(write_idle),
        }
    }

    /// Hands over what is ready; whether there was anything.
    fn hand_over(&mut self, into: &mut ReadBufCursor<'_>) -> bool {
        let left = &self.ready[self.passed..];
        if left.is_empty() {
            return false;
        }
        let count = left.len().min(into.remaining());
        into.put_slice(&left[..count]);
        self.passed += count;
        if self.passed == self.ready.len() {
            // Given back: the next head comes whole, most likely.
            self.ready = Vec::new();
            self.passed = 0;
        }
        true
    }

    /// Looks at a piece, hands over what may pass and keeps the rest.
    fn take(&mut self, piece: &mut [u8], into: &mut ReadBufCursor<'_>) {
        if self.held.is_empty() {
            let passed = self.framing.advance(piece);
            into.put_slice(&piece[..passed.bytes]);
            self.keep(&piece[passed.bytes..], passed);
        } else {
            let mut whole = std::mem::take(&mut self.held);
            whole.extend_from_slice(piece);
            let passed = self.framing.advance(&mut whole);
            let rest = whole.split_off(passed.bytes);
            self.ready = whole;
            self.keep(&rest, passed);
            self.hand_over(into);
        }
    }

    fn keep(&mut self, rest: &[u8], passed: Passed) {
        match passed.then {
            Then::Wait => self.held.extend_from_slice(rest),
            Then::Refuse(refusal) => {
                self.connection.refuse(self.framing.heads() + 1, refusal);
                self.ready.extend_from_slice(IN_PLACE);
                self.end = Some(End::Refused);
            }
            Then::Break => self.end = Some(End::Broken),
        }
    }

    fn poll_piece(
        &mut self,
        context: &mut Context<'_>,
        into: &mut ReadBufCursor<'_>,
    ) -> Poll<io::Result<usize>> {
        PIECE.with_borrow_mut(|piece| {
            let room = into.remaining().min(PIECE_BYTES_MAX);
            let mut buffer = ReadBuf::new(&mut piece[..room]);
            let mut stream = self.stream.borrow_mut();
            ready!(Pin::new(&mut *stream).poll_read(context, &mut buffer))?;
            drop(stream);
            let count = buffer.filled().len();
            self.take(&mut piece[..count], into);
            Poll::Ready(Ok(count))
        })
    }
}

impl Read for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut into: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let room = into.remaining();
        loop {
            if self.hand_over(&mut into) {
                return Poll::Ready(Ok(()));
            }
            match self.end {
                // The answer ends the connection: nobody has to be woken for this.
                Some(End::Refused) => return Poll::Pending,
                Some(End::Broken) => return Poll::Ready(Err(io::ErrorKind::InvalidData.into())),
                None => {}
            }
            let count = ready!(self.poll_piece(context, &mut into))?;
            if count == 0 || into.remaining() < room {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl Write for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut *self.stream.borrow_mut()).poll_write(context, bytes);
        self.stall.judge(context, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut *self.stream.borrow_mut()).poll_flush(context);
        self.stall.judge(context, flushed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream.borrow_mut()).poll_shutdown(context)
    }
}
