//! A body read whole: a request's within its size and its time, an answer's within its size.
//!
//! A request's has a limit ([`BODY_BYTES_MAX`]) and is refused from its `Content-Length`, or when it has grown too
//! far; it has to come in time. What becomes of the rest of a refused one, the
//! [`listener`](super::listener) knows.
//!
//! It is read as it was sent: one that is compressed (`Content-Encoding`) is refused before any of it is asked for, and told
//! what is taken (RFC 9110, section 12.5.3). Taken as it is, it would be stored or refused as something else; unpacked, a
//! KiB would have no limit.

use std::error::Error;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Collected, Limited};

use http::HeaderMap;
use http::header::CONTENT_ENCODING;

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
/// 415 where it is compressed, 413 past the limit, 408 where it does not come in time, 400 where it broke off.
pub async fn read(headers: &HeaderMap, body: Inbound, limit: usize) -> Result<Bytes, Problem> {
    read_with(headers, body, limit, |_| Ok(())).await
}

/// The same, where `room` is asked for each piece's bytes before they are kept.
///
/// # Errors
/// As for [`read`], and whatever `room` says.
pub async fn read_with(
    headers: &HeaderMap,
    body: Inbound,
    limit: usize,
    room: impl FnMut(usize) -> Result<(), Problem>,
) -> Result<Bytes, Problem> {
    check_coding(headers)?;
    read_in_time(body, limit, room).await
}

fn check_coding(headers: &HeaderMap) -> Result<(), Problem> {
    let codings = headers.get_all(CONTENT_ENCODING).iter();
    // What is no text is no coding that anybody knows.
    let mut codings = codings.flat_map(|list| list.to_str().unwrap_or("?").split(','));
    let is_none = |it: &str| it.is_empty() || it.eq_ignore_ascii_case("identity");
    if codings.all(|coding| is_none(coding.trim())) { Ok(()) } else { Err(Problem::coded()) }
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

async fn read_in_time<B>(
    body: B,
    limit: usize,
    room: impl FnMut(usize) -> Result<(), Problem>,
) -> Result<Bytes, Problem>
where
    B: http_body::Body<Data = Bytes> + Unpin,
{
    match tokio::time::timeout(READ_FOR_MAX, read_pieces(body, limit, room)).await {
        Ok(read) => read,
        Err(_) => Err(Problem::request_timeout()),
    }
}

async fn read_pieces<B>(
    mut body: B,
    limit: usize,
    mut room: impl FnMut(usize) -> Result<(), Problem>,
) -> Result<Bytes, Problem>
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
        room(piece.len())?;
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
            let reading = read_in_time(Slow::new(pieces, 1, wait), 1000, |_| Ok(()));
            let read = tokio::time::timeout(whole + second, reading).await;
            let read = read.expect("it ends in any case");
            let read = read.map(|bytes| bytes.len()).map_err(|it| it.status().as_u16());
            assert_eq!(read, expected, "{pieces} pieces, one after {wait:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_at_its_limit_passes_and_one_past_it_does_not() {
        let slow = |bytes| Slow::new(2, bytes, Duration::ZERO);
        assert_eq!(read_in_time(slow(5), 10, |_| Ok(())).await.map(|bytes| bytes.len()), Ok(10));
        let refused = read_in_time(slow(5), 9, |_| Ok(())).await.expect_err("too large");
        assert_eq!(refused.status(), 413);
        assert_eq!(answered(slow(5), 10).await.expect("it fits").len(), 10);
        assert!(answered(slow(5), 9).await.is_err(), "an answer that is too large");
    }

    #[tokio::test]
    async fn room_is_asked_for_what_comes_and_for_no_more() {
        let slow = |pieces| Slow::new(pieces, 5, Duration::ZERO);
        let mut left = 10_usize;
        let mut room = |bytes: usize| {
            left = left.checked_sub(bytes).ok_or_else(|| Problem::too_many(1))?;
            Ok(())
        };
        assert_eq!(read_in_time(slow(1), 1000, &mut room).await.map(|bytes| bytes.len()), Ok(5));
        let refused = read_in_time(slow(2), 1000, &mut room).await.expect_err("no room");
        assert_eq!((refused.status().as_u16(), left), (429, 0));
    }

    #[test]
    fn a_body_is_taken_as_it_is_and_in_no_coding() {
        for (codings, is_taken) in [
            (&[][..], true),
            (&["identity"], true),
            (&["Identity, "], true),
            (&["gzip"], false),
            (&["identity, br"], false),
            (&["identity", "zstd"], false),
        ] {
            let pairs = codings.iter().map(|it| (CONTENT_ENCODING, it.parse().expect("a value")));
            let refused = check_coding(&pairs.collect()).err().map(|it| it.status().as_u16());
            assert_eq!(refused, (!is_taken).then_some(415), "{codings:?}");
        }
    }
}
