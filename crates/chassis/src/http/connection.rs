//! What the parts of one connection know of one another: the socket, the request's body, the answer.
//!
//! An answer that is given before its request has come whole ends the connection, and says so
//! (`Connection: close`): a client that keeps connections would else send its next request into a
//! closing one. Whatever of the body is there already is taken first, so that hardly any answer has
//! to; what comes later is dropped by the [`listener`](super::listener) after the answer has left.
//!
//! A client that waits to be told to send (`Expect: 100-continue`) is told by whoever needs its body, and
//! only then (RFC 9110, section 10.1.1): [`Inbound::poll_come`] takes what has come and asks for nothing,
//! reading it as a body ([`Body::poll_frame`]) asks. Whatever reads a body does it by one of the two.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONNECTION, EXPECT};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Version};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::Response;
use super::framing::Refusal;
use super::framing::head::HeadLimits;
use super::problem::Problem;
use super::slots::{BusySlot, Slot};

/// How much of an unread body is taken before the answer, if it is there already.
pub const TAKEN_BYTES_MAX: usize = 64 * 1024;

/// One connection's facts, on its core.
#[derive(Debug)]
pub(super) struct Connection {
    /// Its slot among those of its listener.
    slot: Rc<Slot>,
    /// How large a head may be here.
    limits: HeadLimits,
    /// Requests handed to whoever answers.
    requests: Cell<u64>,
    /// The head that is refused instead of being passed on.
    refused: Cell<Option<NumberedRefusal>>,
    /// Whether the request's body has not come whole.
    owed: Cell<bool>,
    /// Whether the client waits to be told to send it, and nobody has.
    waits: Cell<bool>,
    /// Whether its last request ends it without a word, as HTTP/1.0 does.
    once: Cell<bool>,
    /// Whether its last answer is one without an end.
    live: Cell<bool>,
    /// A body that was let go unread.
    left: RefCell<Option<Incoming>>,
    /// Counts up whenever bytes came or went.
    moves: Cell<u64>,
    /// Whether there was nothing to read when it was last looked.
    unread: Cell<bool>,
    /// Whether nothing could be written when it was last tried.
    unwritten: Cell<bool>,
}

/// A head that a plain one stands for.
#[derive(Clone, Copy, Debug)]
struct NumberedRefusal {
    /// Which it is, counted from 1.
    number: u64,
    refusal: Refusal,
}

impl Connection {
    /// One in this slot, of which nothing has come yet.
    pub(super) fn new(slot: Slot, limits: HeadLimits) -> Connection {
        Connection {
            slot: Rc::new(slot),
            limits,
            requests: Cell::default(),
            refused: Cell::default(),
            owed: Cell::default(),
            waits: Cell::default(),
            once: Cell::default(),
            live: Cell::default(),
            left: RefCell::default(),
            moves: Cell::default(),
            unread: Cell::default(),
            unwritten: Cell::default(),
        }
    }

    /// Notes whether there was something to read, its end included.
    pub(super) fn has_read(&self, some: bool) {
        self.unread.set(!some);
        self.moves.set(self.moves.get() + u64::from(some));
    }

    /// Notes whether something could be written.
    pub(super) fn has_written(&self, some: bool) {
        self.unwritten.set(!some);
        self.moves.set(self.moves.get() + u64::from(some));
    }

    /// How often bytes came or went: alike at two moments, nothing moved between them.
    pub(super) fn moves(&self) -> u64 {
        self.moves.get()
    }

    /// Whether it waits for its client: to send what it has been told to, or to read of an answer.
    pub(super) fn waits_for_client(&self) -> bool {
        self.unwritten.get() || (self.unread.get() && self.owed.get() && !self.waits.get())
    }

    /// Gives up what is under way: nothing more is read of it.
    pub(super) fn give_up(&self) {
        self.owed.set(false);
        self.refused.set(None);
    }

    /// Notes that the head with this number, counted from 1, is one that stands for a refused one.
    pub(super) fn refuse(&self, number: u64, refusal: Refusal) {
        self.refused.set(Some(NumberedRefusal { number, refusal }));
    }

    /// Counts a request, and says whether it stands for a refused one.
    pub(super) fn next_request(&self) -> Result<(), Problem> {
        self.slot.set_busy();
        let number = self.requests.get() + 1;
        self.requests.set(number);
        match self.refused.get() {
            Some(refused) if refused.number == number => Err(refused.refusal.problem(self.limits)),
            _ => Ok(()),
        }
    }

    /// The body of a request whose head is this.
    pub(super) fn body(self: &Rc<Self>, head: &Parts, body: Incoming) -> Inbound {
        let headers = &head.headers;
        self.once.set(head.version == Version::HTTP_10 && !asks_to_keep(headers));
        // Of a body that has come whole with its head nothing is owed, and most have none: then the connection
        // need not be told of it.
        let owed = !body.is_end_stream();
        self.owed.set(owed);
        if !owed {
            return Inbound { body: Some(body), connection: None };
        }
        self.waits.set(head.version > Version::HTTP_10 && expects_continue(headers));
        Inbound { body: Some(body), connection: Some(self.clone()) }
    }

    /// Whether it ended before the client had sent what it had begun.
    pub(super) fn is_cut_short(&self) -> bool {
        self.owed.get() || self.refused.get().is_some()
    }

    /// Whether its answer is one without an end.
    pub(super) fn is_live(&self) -> bool {
        self.live.get()
    }

    /// Makes an answer say that the connection ends, if it does, and keeps its slot busy until it is out.
    pub(super) async fn settle(self: &Rc<Self>, response: &mut Response) {
        self.live.set(response.body().is_live());
        // Until its body is done, not until it is handed over: a client that reads slowly is at work.
        response.body_mut().keep(BusySlot::new(self.slot.clone()));
        let refused = self.refused.get().is_some_and(|it| it.number == self.requests.get());
        if refused || self.once.get() {
            response.headers_mut().insert(CONNECTION, CLOSE);
        }
        // What follows is for a body that its reader let go. Taken to its end the connection goes on; otherwise
        // it has to end, since what is left of it would be read as the next request.
        if !self.owed.get() {
            return;
        }
        if let Some(left) = self.left.take() {
            let mut left = Inbound { body: Some(left), connection: Some(self.clone()) };
            // On the heap: hardly any request needs it.
            Box::pin(take(&mut left)).await;
            // Let go for good: the parser would wait for whoever may still read it.
            left.connection = None;
        }
        if self.owed.get() {
            response.headers_mut().insert(CONNECTION, CLOSE);
        }
    }
}

const CLOSE: HeaderValue = HeaderValue::from_static("close");

/// Whether an HTTP/1.0 client asks for its connection to be kept.
fn asks_to_keep(headers: &HeaderMap) -> bool {
    let values = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|list| list.split(',')).any(|it| it.trim().eq_ignore_ascii_case("keep-alive"))
}

/// Whether its client sends its body when it is told to; any other expectation is none of ours.
fn expects_continue(headers: &HeaderMap) -> bool {
    // The parser, which does the telling, goes by the last one too.
    let last = headers.get_all(EXPECT).iter().next_back();
    last.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

/// Takes what there is of a body without waiting for the client.
async fn take(body: &mut Inbound) {
    let mut taken = 0;
    let mut waited = false;
    while taken <= TAKEN_BYTES_MAX && !body.is_end_stream() {
        match poll_fn(|context| Poll::Ready(body.poll_come(context))).await {
            Poll::Ready(None | Some(Err(_))) => return,
            Poll::Ready(Some(Ok(frame))) => {
                taken += frame.data_ref().map_or(0, Bytes::len);
                waited = false;
            }
            // The parser runs in this same task: it gets one turn to bring more.
            Poll::Pending if waited => return,
            Poll::Pending => {
                waited = true;
                tokio::task::yield_now().await;
            }
        }
    }
}

/// A request's body as it comes in.
///
/// Let go before it has come whole, it ends the connection after the answer.
#[derive(Debug)]
pub struct Inbound {
    /// There until it is let go.
    body: Option<Incoming>,
    /// There until it has come whole.
    connection: Option<Rc<Connection>>,
}

impl Inbound {
    /// The next frame if it has come. Pending too while the client waits to be told to send: whoever
    /// would take what is there, and can do without, tells nobody anything.
    pub fn poll_come(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if self.connection.as_ref().is_some_and(|connection| connection.waits.get()) {
            return Poll::Pending;
        }
        Pin::new(self).poll_frame(context)
    }

    fn whole(&mut self) {
        if let Some(connection) = self.connection.take() {
            connection.owed.set(false);
        }
    }
}

impl Body for Inbound {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if let Some(connection) = &self.connection {
            // The parser tells the client as soon as anybody asks for its body.
            connection.waits.set(false);
        }
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let polled = Pin::new(&mut *body).poll_frame(context);
        let whole = match &polled {
            Poll::Ready(None) => true,
            Poll::Ready(Some(Ok(_))) => body.is_end_stream(),
            _ => false,
        };
        if whole {
            self.whole();
        }
        if matches!(polled, Poll::Ready(Some(Err(_)))) {
            // It stays owed and is nobody's to take: what follows it looks like the end of a whole one.
            self.connection = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(SizeHint::default, Incoming::size_hint)
    }
}

impl Drop for Inbound {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            connection.left.replace(self.body.take());
        }
    }
}
