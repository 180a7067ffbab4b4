//! Bodies: what goes out, and how much of what comes in is read.
//!
//! A request body has a limit ([`BODY_BYTES_MAX`]) and is refused from its `Content-Length`, or when
//! it has grown too far. The rest is then read and dropped for a bounded while: closing at once
//! would reset the connection before the client has seen why.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::{BoxError, Problem};

/// The largest request body of a command.
pub const BODY_BYTES_MAX: usize = 1 << 20;
/// How much of a refused body is read and dropped before the connection closes.
pub const DROPPED_BYTES_MAX: usize = 8 << 20;
/// How long it is read for.
pub const DROPPED_FOR: Duration = Duration::from_secs(1);

/// The body of an answer.
pub struct Body(Kind);

enum Kind {
    Full(Option<Bytes>),
    Incoming(Incoming),
    Stream(Pin<Box<dyn http_body::Body<Data = Bytes, Error = BoxError>>>),
}

impl Body {
    /// No body.
    pub fn empty() -> Body {
        Body(Kind::Full(None))
    }

    /// A body that is all there.
    pub fn full(bytes: impl Into<Bytes>) -> Body {
        Body(Kind::Full(Some(bytes.into())))
    }

    /// A body that comes piece by piece.
    pub fn stream<B>(body: B) -> Body
    where
        B: http_body::Body<Data = Bytes> + 'static,
        B::Error: Into<BoxError>,
    {
        Body(Kind::Stream(Box::pin(body.map_err(Into::into))))
    }
}

impl From<Incoming> for Body {
    fn from(body: Incoming) -> Body {
        Body(Kind::Incoming(body))
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
        match &mut self.0 {
            Kind::Full(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Kind::Incoming(body) => {
                Pin::new(body).poll_frame(context).map_err(|error| Box::new(error) as BoxError)
            }
            Kind::Stream(body) => body.as_mut().poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Full(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
            Kind::Incoming(body) => body.is_end_stream(),
            Kind::Stream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Full(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Kind::Incoming(body) => body.size_hint(),
            Kind::Stream(body) => body.size_hint(),
        }
    }
}

/// Reads a whole request body of at most `limit` bytes.
///
/// # Errors
/// 413 past the limit, 400 where the body broke off.
pub async fn read(body: Incoming, limit: usize) -> Result<Bytes, Problem> {
    let announced = http_body::Body::size_hint(&body).lower();
    let mut body = body;
    if announced > limit as u64 {
        drop_rest(body).await;
        return Err(Problem::too_large(limit));
    }
    let mut first: Option<Bytes> = None;
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return Err(Problem::bad_request("the body broke off")) };
        let Ok(piece) = frame.into_data() else { continue };
        if rest.len() + first.as_ref().map_or(0, Bytes::len) + piece.len() > limit {
            drop_rest(body).await;
            return Err(Problem::too_large(limit));
        }
        match (&first, rest.is_empty()) {
            (None, true) => first = Some(piece),
            _ => {
                if let Some(first) = first.take() {
                    rest.extend_from_slice(&first);
                }
                rest.extend_from_slice(&piece);
            }
        }
    }
    Ok(first.unwrap_or_else(|| rest.freeze()))
}

async fn drop_rest(mut body: Incoming) {
    let reading = async {
        let mut dropped = 0;
        while let Some(Ok(frame)) = body.frame().await {
            dropped += frame.data_ref().map_or(0, Bytes::len);
            if dropped > DROPPED_BYTES_MAX {
                return;
            }
        }
    };
    let _ = tokio::time::timeout(DROPPED_FOR, reading).await;
}
