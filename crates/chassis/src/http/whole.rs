//! A body read whole: a request's within its size and its time, an answer's within its size.
//!
//! A request's has a limit ([`BODY_BYTES_MAX`]) and is refused from its `Content-Length`, or when it has grown too
//! far; it has to come in time. What becomes of the rest of a refused one, the
//! [`listener`](super::listener) knows.

use std::error::Error;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Collected, Limited};

use super::connection::Inbound;
use super::problem::Problem;

/// The largest request body of a command.
pub const BODY_BYTES_MAX: usize = 1 << 20;
/// The longest wait for the next piece of a body that is read whole.
pub const READ_IDLE_MAX: Duration = Duration::from_secs(10);
/// The longest that such a body may take from its first piece to its last.
pub const READ_FOR_MAX: Duration = Duration::from_secs(60);

/// Reads a whole request body of at most `limit` bytes.
///
/// # Errors
/// 413 past the limit, 408 where it does not come in time, 400 where it broke off.
pub async fn read(body: Inbound, limit: usize) -> Result<Bytes, Problem> {
    read_in_time(body, limit).await
}

/// Reads the whole body of an answer, of at most `limit` bytes. How long one waits is the caller's.
///
/// # Errors
/// It is longer, or broke off.
pub async fn answered<B>(body: B, limit: usize) -> Result<Bytes, Box<dyn Error + Send + Sync>>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    Limited::new(body, limit).collect().await.map(Collected::to_bytes)
}

async fn read_in_time<B>(body: B, limit: usize) -> Result<Bytes, Problem>
where
    B: http_body::Body<Data = Bytes> + Unpin,
{
    match tokio::time::timeout(READ_FOR_MAX, read_pieces(body, limit)).await {
        Ok(read) => read,
        Err(_) => Err(Problem::request_timeout()),
    }
}

async fn read_pieces<B>(mut body: B, limit: usize) -> Result<Bytes, Problem>
where
    B: http_body::Body<Data = Bytes> + Unpin,
{
    if http_body::Body::size_hint(&body).lower() > limit as u64 {
        return Err(Problem::too_large(limit));
    }
    let mut first: Option<Bytes> = None;
    let mut rest = BytesMut::new();
    loop {
        let frame = tokio::time::timeout(READ_IDLE_MAX, body.frame()).await;
        let Some(frame) = frame.map_err(|_| Problem::request_timeout())? else { break };
        let Ok(frame) = frame else { return Err(Problem::bad_request("the body broke off")) };
        let Ok(piece) = frame.into_data() else { continue };
        if rest.len() + first.as_ref().map_or(0, Bytes::len) + piece.len() > limit {
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

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use http_body::Frame;

    use super::*;

    /// Pieces of `bytes` bytes that come one after the other, each after `wait`.
    struct Slow {
        left: usize,
        bytes: usize,
        wait: Duration,
        next: Pin<Box<tokio::time::Sleep>>,
    }

    impl Slow {
        fn new(pieces: usize, bytes: usize, wait: Duration) -> Slow {
            Slow { left: pieces, bytes, wait, next: Box::pin(tokio::time::sleep(wait)) }
        }
    }

    impl http_body::Body for Slow {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            if self.left == 0 {
                return Poll::Ready(None);
            }
            std::task::ready!(self.next.as_mut().poll(context));
            self.left -= 1;
            self.next = Box::pin(tokio::time::sleep(self.wait));
            Poll::Ready(Some(Ok(Frame::data(vec![b'x'; self.bytes].into()))))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_comes_in_time_piece_by_piece_and_as_a_whole() {
        let second = Duration::from_secs(1);
        let (idle, whole) = (READ_IDLE_MAX, READ_FOR_MAX);
        let table = [
            (1, idle - second, Ok(1)),
            (1, idle + second, Err(408)),
            (6, idle - second, Ok(6)),
            (7, idle - second, Err(408)),
            (59, second, Ok(59)),
            (100, second, Err(408)),
            (usize::MAX, Duration::MAX, Err(408)),
        ];
        for (pieces, wait, expected) in table {
            let reading = read_in_time(Slow::new(pieces, 1, wait), 1000);
            let read = tokio::time::timeout(whole + second, reading).await;
            let read = read.expect("it ends in any case");
            let read = read.map(|bytes| bytes.len()).map_err(|it| it.status().as_u16());
            assert_eq!(read, expected, "{pieces} pieces, one after {wait:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_at_its_limit_passes_and_one_past_it_does_not() {
        let slow = |bytes| Slow::new(2, bytes, Duration::ZERO);
        assert_eq!(read_in_time(slow(5), 10).await.map(|bytes| bytes.len()), Ok(10));
        let refused = read_in_time(slow(5), 9).await.expect_err("too large");
        assert_eq!(refused.status(), 413);
        assert_eq!(answered(slow(5), 10).await.expect("it fits").len(), 10);
        assert!(answered(slow(5), 9).await.is_err(), "an answer that is too large");
    }
}
