//! An answer that is handed over piece by piece, so that it is known whether its connection lasted until the end.
//!
//! A body that is all there is taken into a buffer at once, whoever reads it or not. Of this one the connection asks for
//! the next piece when it has room for it, and for the last one not before it has tried to write those before. Where it
//! ends before that, the lease is taken back: its worker has no whole document, and so has handled nothing.
//!
//! What was written to the end, and lost on the way, nobody can know of here: that lease ends by itself.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use events::deliveries::pull::OnItsWay;
use http_body::{Frame, SizeHint};

/// Bytes of a piece: a connection buffers a few of them.
const PIECE_BYTES: usize = 16 * 1024;

/// Bytes of the last piece.
const LAST_BYTES: usize = 1;

/// See the module.
pub(super) struct Handed {
    rest: Bytes,
    /// There until the last piece is taken.
    lease: Option<OnItsWay>,
    /// Whether what was before the last piece was tried to be written.
    was_flushed: bool,
}

impl Handed {
    pub(super) fn new(answer: Vec<u8>, lease: OnItsWay) -> Handed {
        Handed { rest: answer.into(), lease: Some(lease), was_flushed: false }
    }
}

impl http_body::Body for Handed {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        let before_last = self.rest.len().saturating_sub(LAST_BYTES);
        if before_last > 0 {
            let piece = self.rest.split_to(before_last.min(PIECE_BYTES));
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        if !self.was_flushed {
            // A connection that waits for its body writes what it has meanwhile.
            self.was_flushed = true;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if let Some(lease) = self.lease.take() {
            lease.arrived();
        }
        Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.rest)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}
