//! A request's body on its way to a service: whole where it has come already, else piece by piece.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use chassis::http::Inbound;
use http_body::{Body, Frame, SizeHint};

/// A request's body.
pub(crate) enum Upload {
    /// All of it; most are this.
    Whole(Option<Bytes>),
    /// What has come, and the rest.
    Stream { first: Option<Bytes>, rest: Inbound, waits: Rc<Cell<bool>> },
}

/// Whether the service still waits for the client to send.
#[derive(Clone, Default)]
pub(crate) struct Waits(Option<Rc<Cell<bool>>>);

impl Waits {
    /// Whether the last piece that was asked for has not come.
    pub(crate) fn for_client(&self) -> bool {
        self.0.as_ref().is_some_and(|waits| waits.get())
    }
}

/// The body as far as it has come, without waiting for more.
///
/// # Errors
/// The client broke off.
pub(crate) async fn begin(mut body: Inbound) -> Result<(Upload, Waits), hyper::Error> {
    if body.is_end_stream() {
        return Ok((Upload::Whole(None), Waits::default()));
    }
    let polled = poll_fn(|context| Poll::Ready(Pin::new(&mut body).poll_frame(context))).await;
    let first = match polled {
        Poll::Ready(Some(frame)) => frame?.into_data().ok(),
        Poll::Ready(None) => return Ok((Upload::Whole(None), Waits::default())),
        Poll::Pending => None,
    };
    if first.is_some() && body.is_end_stream() {
        return Ok((Upload::Whole(first), Waits::default()));
    }
    let waits = Rc::new(Cell::new(true));
    let upload = Upload::Stream { first, rest: body, waits: waits.clone() };
    Ok((upload, Waits(Some(waits))))
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
            Upload::Stream { first, rest, waits } => {
                if let Some(first) = first.take() {
                    return Poll::Ready(Some(Ok(Frame::data(first))));
                }
                let polled = Pin::new(rest).poll_frame(context);
                waits.set(polled.is_pending());
                polled
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Upload::Whole(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
            Upload::Stream { first, rest, waits } => {
                let ended = first.is_none() && rest.is_end_stream();
                if ended {
                    waits.set(false);
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
            Upload::Stream { first, rest, .. } => plus(rest.size_hint(), first.as_ref()),
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
