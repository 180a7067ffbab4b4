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
//!
//! 1. The framing refuses a head: what of it is here is looked through for what the client accepts
//!    ([`Glimpse`]).
//! 2. If that has not come yet, what follows is looked through as it comes, for at most
//!    [`GLIMPSED_FOR`]; a head that is whole ends it at once.
//! 3. The head that stands for it is handed over; nothing is read behind it.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

use super::connection::Connection;
use super::framing::glimpse::Glimpse;
use super::framing::head::HeadLimits;
use super::framing::{Framing, Passed, Refusal, Then};
use super::stall::Stall;

/// How much is read at once.
const PIECE_BYTES_MAX: usize = 64 * 1024;
/// How long a refused head may take to say what its client accepts; it is on the way already.
const GLIMPSED_FOR: Duration = Duration::from_millis(100);

thread_local! {
    static PIECE: RefCell<Box<[u8]>> = RefCell::new(vec![0; PIECE_BYTES_MAX].into());
}

/// One connection's socket behind its framing.
pub(super) struct Wire {
    stream: Rc<RefCell<TcpStream>>,
    connection: Rc<Connection>,
    framing: Framing,
    /// The beginning of a head that is not whole yet.
    buffered: Vec<u8>,
    /// What may pass and has not yet, and from where on.
    ready: Vec<u8>,
    passed: usize,
    end: Option<End>,
    stall: Stall,
}

/// What follows after what may pass.
enum End {
    /// A head that is refused, and looked through.
    Glimpsed(Box<PendingRefusal>),
    /// Nothing: the refusal ends the connection.
    AfterRefusal,
    /// An error, for whoever reads the body.
    Broken,
}

/// A head that is refused, until it is known how its refusal is to be shown.
struct PendingRefusal {
    refusal: Refusal,
    glimpse: Glimpse,
    until: Pin<Box<Sleep>>,
}

impl Wire {
    /// `write_idle` is how long a client may read nothing of what it is sent.
    pub(super) fn new(
        stream: Rc<RefCell<TcpStream>>,
        connection: Rc<Connection>,
        limits: HeadLimits,
        write_idle: Duration,
    ) -> Wire {
        Wire {
            stream,
            connection,
            framing: Framing::new(limits),
            buffered: Vec::new(),
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
        // Nearly always a head comes whole, and is copied once: from the core's buffer to the parser's.
        if self.buffered.is_empty() {
            let passed = self.framing.advance(piece);
            into.put_slice(&piece[..passed.bytes]);
            self.keep(&piece[passed.bytes..], passed);
        } else {
            let mut whole = std::mem::take(&mut self.buffered);
            whole.extend_from_slice(piece);
            // From the beginning of the head: the framing knows how far it has looked.
            let passed = self.framing.advance(&mut whole);
            let rest = whole.split_off(passed.bytes);
            self.ready = whole;
            self.keep(&rest, passed);
            self.hand_over(into);
        }
    }

    fn keep(&mut self, rest: &[u8], passed: Passed) {
        match passed.then {
            Then::Wait => self.buffered.extend_from_slice(rest),
            Then::Refuse(refusal) => {
                // Only whether it accepts HTML is looked for: a refusal is shown as a page to whoever reads
                // pages.
                let mut glimpse = Glimpse::default();
                if glimpse.read(rest) {
                    return self.refuse(refusal, &glimpse);
                }
                let until = Box::pin(tokio::time::sleep(GLIMPSED_FOR));
                self.end =
                    Some(End::Glimpsed(Box::new(PendingRefusal { refusal, glimpse, until })));
            }
            Then::Break => self.end = Some(End::Broken),
        }
    }

    /// Puts a head in the place of one that is refused.
    fn refuse(&mut self, refusal: Refusal, glimpse: &Glimpse) {
        self.connection.refuse(self.framing.heads() + 1, refusal);
        self.ready.extend_from_slice(&glimpse.stand_in());
        self.end = Some(End::AfterRefusal);
    }

    /// Looks through what follows a refused head's beginning; ready once a head stands in its place.
    fn poll_glimpse(
        &mut self,
        mut refused: Box<PendingRefusal>,
        context: &mut Context<'_>,
    ) -> Poll<()> {
        loop {
            let PendingRefusal { refusal, glimpse, until } = &mut *refused;
            let more = self.poll_socket(context, PIECE_BYTES_MAX, |_, piece| {
                piece.is_empty() || glimpse.read(piece)
            });
            match more {
                // There was more, and not yet what is looked for: the socket is asked until it has to be waited
                // for, so that a waker is always left.
                Poll::Ready(Ok(false)) => continue,
                Poll::Pending
                    if !glimpse.has_accept() && until.as_mut().poll(context).is_pending() =>
                {
                    self.end = Some(End::Glimpsed(refused));
                    return Poll::Pending;
                }
                // All has been seen, or what should be here by now.
                Poll::Ready(_) | Poll::Pending => {
                    self.refuse(*refusal, glimpse);
                    return Poll::Ready(());
                }
            }
        }
    }

    /// Reads once from the socket and shows it to `look`; nothing is its end.
    fn poll_socket<T>(
        &mut self,
        context: &mut Context<'_>,
        room: usize,
        look: impl FnOnce(&mut Wire, &mut [u8]) -> T,
    ) -> Poll<io::Result<T>> {
        PIECE.with_borrow_mut(|piece| {
            let mut buffer = ReadBuf::new(&mut piece[..room.min(PIECE_BYTES_MAX)]);
            // Into the core's one buffer: an idle connection has none of its own.
            let polled = Pin::new(&mut *self.stream.borrow_mut()).poll_read(context, &mut buffer);
            self.connection.has_read(polled.is_ready());
            ready!(polled)?;
            let count = buffer.filled().len();
            Poll::Ready(Ok(look(self, &mut piece[..count])))
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
            // In their order: what has passed, then the end that was found behind it, then the socket.
            if self.hand_over(&mut into) {
                return Poll::Ready(Ok(()));
            }
            match self.end.take() {
                Some(End::Glimpsed(refused)) => {
                    ready!(self.poll_glimpse(refused, context));
                    continue;
                }
                Some(End::AfterRefusal) => {
                    self.end = Some(End::AfterRefusal);
                    // The answer ends the connection: nobody has to be woken for this.
                    return Poll::Pending;
                }
                Some(End::Broken) => {
                    self.end = Some(End::Broken);
                    return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
                }
                None => {}
            }
            let ended = ready!(self.poll_socket(context, room, |wire, piece| {
                wire.take(piece, &mut into);
                piece.is_empty()
            }))?;
            if ended || into.remaining() < room {
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
        self.connection.has_written(written.is_ready());
        // Where nothing can be written a clock begins, which ends with the first byte that goes.
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
