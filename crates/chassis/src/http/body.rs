//! The body of an answer: there at once, passed on piece by piece, or without an end of its own.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::BoxError;
use super::slots::BusySlot;

/// The body of an answer.
pub struct Body {
    kind: Kind,
    /// There once it is on its way.
    busy: Option<BusySlot>,
}

enum Kind {
    Full(Option<Bytes>),
    Incoming(Incoming),
    Stream(Pin<Box<dyn http_body::Body<Data = Bytes, Error = BoxError>>>),
    Live(Pin<Box<dyn http_body::Body<Data = Bytes, Error = BoxError>>>),
}

impl Body {
    fn of(kind: Kind) -> Body {
        Body { kind, busy: None }
    }

    /// Keeps its connection at work for as long as it is on its way.
    pub(super) fn keep(&mut self, busy: BusySlot) {
        self.busy = Some(busy);
    }

    /// No body.
    pub fn empty() -> Body {
        Body::of(Kind::Full(None))
    }

    /// A body that is all there.
    pub fn full(bytes: impl Into<Bytes>) -> Body {
        Body::of(Kind::Full(Some(bytes.into())))
    }

    /// A body that comes piece by piece.
    pub fn stream<B>(body: B) -> Body
    where
        B: http_body::Body<Data = Bytes> + 'static,
        B::Error: Into<BoxError>,
    {
        Body::of(Kind::Stream(Box::pin(body.map_err(Into::into))))
    }
}

impl Body {
    /// A body that has no end of its own: when its listener stops, whoever has not read what was sent
    /// is not waited for.
    pub fn live<B>(body: B) -> Body
    where
        B: http_body::Body<Data = Bytes> + 'static,
        B::Error: Into<BoxError>,
    {
        Body::of(Kind::Live(Box::pin(body.map_err(Into::into))))
    }

    /// Whether it has no end of its own.
    pub(super) fn is_live(&self) -> bool {
        matches!(self.kind, Kind::Live(_))
    }
}

impl From<Incoming> for Body {
    fn from(body: Incoming) -> Body {
        Body::of(Kind::Incoming(body))
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let size = http_body::Body::size_hint(self);
        f.debug_struct("Body").field("size", &size.exact()).finish_non_exhaustive()
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.kind {
            Kind::Full(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Kind::Incoming(body) => {
                Pin::new(body).poll_frame(context).map_err(|error| Box::new(error) as BoxError)
            }
            Kind::Stream(body) | Kind::Live(body) => body.as_mut().poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Full(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
            Kind::Incoming(body) => body.is_end_stream(),
            Kind::Stream(body) | Kind::Live(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Full(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Kind::Incoming(body) => body.size_hint(),
            Kind::Stream(body) | Kind::Live(body) => body.size_hint(),
        }
    }
}
