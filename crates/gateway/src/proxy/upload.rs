//! A request's body on its way to a service: whole where it has come already, else piece by piece.
//!
//! Whether the service waits for the client is written down as it happens, because that time is not
//! the service's ([`Patience`](super::patience)).
//! What has passed of a body is kept while it is small, so that it can be sent once more.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use chassis::clock;
use chassis::http::Inbound;
use http_body::{Body, Frame, SizeHint};

/// The largest body that is kept to be sent once more.
pub const WHOLE_BYTES_MAX: usize = 64 * 1024;

/// What comes of asking for a frame.
type Polled = Poll<Option<Result<Frame<Bytes>, hyper::Error>>>;

/// A request's body.
pub(crate) enum Upload {
    /// All of it; most are this.
    Whole(Option<Bytes>),
    /// What has come, from the piece `next` on, and the rest.
    Stream { inflow: Rc<Inflow>, next: usize },
}

/// Where a body comes from that has not come whole.
pub(crate) struct Inflow {
    rest: RefCell<Inbound>,
    /// What has come, until it is too much.
    kept: RefCell<Vec<Bytes>>,
    /// How much has come.
    bytes: Cell<usize>,
    /// Since when the service waits for the client.
    since: Cell<Option<Instant>>,
    /// How long it has waited before.
    stood: Cell<Duration>,
}

/// How a client's sending goes; nothing where all of it has come.
#[derive(Clone, Default)]
pub(crate) struct Sending(Option<Rc<Inflow>>);

/// The time that a service waits for a client, at one instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stand {
    /// Since when the service waits for the client; nothing while it does not.
    pub(crate) since: Option<Instant>,
    /// How long it has waited before, all together.
    pub(crate) stood: Duration,
}

impl Sending {
    /// How it stands; nothing where all of it had come from the start.
    pub(crate) fn stand(&self) -> Option<Stand> {
        let inflow = self.0.as_ref()?;
        Some(Stand { since: inflow.since.get(), stood: inflow.stood.get() })
    }
}

impl Inflow {
    fn new(rest: Inbound) -> Inflow {
        Inflow {
            rest: RefCell::new(rest),
            kept: RefCell::default(),
            bytes: Cell::new(0),
            since: Cell::new(None),
            stood: Cell::new(Duration::ZERO),
        }
    }

    /// The next frame of what has not come yet, which the client is told to send; data is kept.
    fn poll(&self, context: &mut Context<'_>) -> Polled {
        let polled = Pin::new(&mut *self.rest.borrow_mut()).poll_frame(context);
        self.keep(polled)
    }

    /// The next frame if it has come; data is kept.
    fn poll_come(&self, context: &mut Context<'_>) -> Polled {
        let polled = self.rest.borrow_mut().poll_come(context);
        self.keep(polled)
    }

    fn keep(&self, polled: Polled) -> Polled {
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(bytes) = frame.data_ref()
        {
            self.bytes.set(self.bytes.get() + bytes.len());
            // Also past the limit: what reads lets go of it, and until then it may be all there is.
            self.kept.borrow_mut().push(bytes.clone());
        }
        polled
    }

    /// Whether all that has come is kept.
    fn is_kept(&self) -> bool {
        self.bytes.get() <= WHOLE_BYTES_MAX
    }

    /// All that has come, in one.
    fn join(&self) -> Option<Bytes> {
        let mut kept = self.kept.take();
        match kept.len() {
            0 | 1 => kept.pop(),
            _ => Some(kept.concat().into()),
        }
    }

    /// Notes whether the service waits for the client from now on.
    fn waits(&self, waits: bool) {
        match (self.since.get(), waits) {
            (None, true) => self.since.set(Some(clock::now())),
            (Some(since), false) => {
                let waited = clock::now().saturating_duration_since(since);
                self.stood.set(self.stood.get() + waited);
                self.since.set(None);
            }
            (None, false) | (Some(_), true) => {}
        }
    }
}

impl Upload {
    /// Whether all of it has come.
    pub(crate) fn is_whole(&self) -> bool {
        matches!(self, Upload::Whole(_))
    }

    /// Whether it can be sent from its beginning: all that has come of it is kept.
    pub(crate) fn is_kept(&self) -> bool {
        match self {
            Upload::Whole(bytes) => bytes.as_ref().is_none_or(|it| it.len() <= WHOLE_BYTES_MAX),
            Upload::Stream { inflow, .. } => inflow.is_kept(),
        }
    }

    /// The same once more, from its beginning, if it is kept. Of two that have one inflow one has to be
    /// dropped before the other is read; and what the first has read is gone where that was too much, so
    /// that [`Upload::is_kept`] is asked again before.
    pub(crate) fn again(&self) -> Option<Upload> {
        self.is_kept().then(|| match self {
            Upload::Whole(bytes) => Upload::Whole(bytes.clone()),
            Upload::Stream { inflow, .. } => Upload::Stream { inflow: inflow.clone(), next: 0 },
        })
    }

    /// How the client's sending goes.
    pub(crate) fn sending(&self) -> Sending {
        match self {
            Upload::Whole(_) => Sending::default(),
            Upload::Stream { inflow, .. } => Sending(Some(inflow.clone())),
        }
    }

    /// Waits until all of it has come, or more than `bytes_max`; dropped, it keeps what has come.
    ///
    /// # Errors
    /// The client broke off.
    pub(crate) async fn gather(&mut self, bytes_max: usize) -> Result<(), hyper::Error> {
        while let Upload::Stream { inflow, .. } = self
            && inflow.bytes.get() <= bytes_max
        {
            match poll_fn(|context| inflow.poll(context)).await {
                Some(frame) => drop(frame?),
                None => *self = Upload::Whole(inflow.join()),
            }
        }
        Ok(())
    }
}

/// The body as far as it has come, without waiting for more; up to [`WHOLE_BYTES_MAX`] and a piece.
///
/// A client that waits to be told to send is told later, when a service has a connection for it.
///
/// # Errors
/// The client broke off.
pub(crate) async fn begin(body: Inbound) -> Result<Upload, hyper::Error> {
    if body.is_end_stream() {
        return Ok(Upload::Whole(None));
    }
    let inflow = Inflow::new(body);
    while inflow.is_kept() {
        match poll_fn(|context| Poll::Ready(inflow.poll_come(context))).await {
            Poll::Ready(Some(frame)) => drop(frame?),
            Poll::Ready(None) => return Ok(Upload::Whole(inflow.join())),
            Poll::Pending => break,
        }
        if inflow.rest.borrow().is_end_stream() {
            return Ok(Upload::Whole(inflow.join()));
        }
    }
    Ok(Upload::Stream { inflow: Rc::new(inflow), next: 0 })
}

impl Body for Upload {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut *self {
            Upload::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Upload::Stream { inflow, next } => {
                // What has come before, on its way for the first time or once more.
                if let Some(piece) = inflow.kept.borrow().get(*next) {
                    *next += 1;
                    return Poll::Ready(Some(Ok(Frame::data(piece.clone()))));
                }
                if !inflow.is_kept() && !inflow.kept.borrow().is_empty() {
                    // Too much to be sent once more, and all of it has been read.
                    inflow.kept.take();
                }
                let polled = inflow.poll(context);
                // A piece that came now is handed out now; kept, it is behind us.
                *next = inflow.kept.borrow().len();
                inflow.waits(polled.is_pending());
                polled
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Upload::Whole(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
            Upload::Stream { inflow, next } => {
                let read = *next >= inflow.kept.borrow().len();
                let ended = read && inflow.rest.borrow().is_end_stream();
                // Nobody asks once more behind the end: from here on the service is waited for.
                if ended {
                    inflow.waits(false);
                }
                ended
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Upload::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Upload::Stream { inflow, next } => {
                let (rest, kept) = (inflow.rest.borrow().size_hint(), inflow.kept.borrow());
                kept.iter().skip(*next).fold(rest, |hint, piece| plus(hint, Some(piece)))
            }
        }
    }
}

/// A hint for `bytes` more.
pub(super) fn plus(hint: SizeHint, bytes: Option<&Bytes>) -> SizeHint {
    let more = bytes.map_or(0, |bytes| bytes.len() as u64);
    let mut sum = SizeHint::new();
    sum.set_lower(hint.lower() + more);
    if let Some(upper) = hint.upper() {
        sum.set_upper(upper + more);
    }
    sum
}
