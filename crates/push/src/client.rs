//! Connections to one receiver: the newest idle one first, a fresh one where there is none.
//!
//! Unlike the gateway's, which belong to one core and to the request in their hands, these go where their attempt goes,
//! and each is driven by a task of its own. One that the receiver closed before anything of the attempt was written to it is
//! no fault of his: the attempt goes on a fresh one. What was written he may have had, so it is never written again: one
//! attempt is one delivery at most.
//!
//! A connection that was idle for long may lead to nobody without anything having been said, as through a wall that forgets
//! it. So they have an age, and where no answer came in time none is used again.

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use chassis::http::whole;
use http::header::{CONTENT_LENGTH, HeaderValue, RETRY_AFTER};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::address::{Address, Allowed};
use crate::binary::Message;

/// Idle connections to one receiver.
pub const IDLE_MAX: usize = 64;

/// The age of an idle connection, counted from the attempt that used it last: less than servers and walls have in common.
const IDLE_FOR: Duration = Duration::from_secs(30);

/// The largest head of an answer.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// What is read of an answer's body so that its connection can be used again; a longer one costs the connection.
const BODY_BYTES_MAX: usize = 16 * 1024;

type Sender = SendRequest<Full<Bytes>>;

/// What counts of an answer.
pub(crate) struct ReplyHead {
    pub(crate) status: StatusCode,
    pub(crate) retry_after: Option<HeaderValue>,
}

/// Why there is no answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NoAnswer {
    /// No connection was made: nothing of the message was sent.
    Unreached(String),
    /// It was sent, or some of it, and perhaps had.
    Unheard(String),
}

/// The connections to one receiver.
pub(crate) struct Client {
    address: Address,
    allowed: Allowed,
    /// The oldest first.
    idle: Mutex<Vec<Idle>>,
}

/// A connection that nobody uses.
struct Idle {
    sender: Sender,
    since: Instant,
}

impl Client {
    pub(crate) fn new(address: Address, allowed: Allowed) -> Client {
        Client { address, allowed, idle: Mutex::default() }
    }

    /// What `Host` says there.
    pub(crate) fn authority(&self) -> &HeaderValue {
        &self.address.authority
    }

    /// Posts a message, once at most, and waits so long for the answer, connecting included.
    ///
    /// # Errors
    /// There is no answer, for this reason.
    pub(crate) async fn post(
        &self,
        message: &Message,
        now: Instant,
        within: Duration,
    ) -> Result<ReplyHead, NoAnswer> {
        let is_sent = AtomicBool::new(false);
        let answered = tokio::time::timeout(within, self.attempt(message, now, &is_sent)).await;
        answered.unwrap_or_else(|_| {
            // Whoever is gone without a word is gone on all of them.
            self.idle().clear();
            Err(match is_sent.into_inner() {
                true => NoAnswer::Unheard(format!("no answer within {within:?}")),
                false => NoAnswer::Unreached(format!("no connection within {within:?}")),
            })
        })
    }

    async fn attempt(
        &self,
        message: &Message,
        now: Instant,
        is_sent: &AtomicBool,
    ) -> Result<ReplyHead, NoAnswer> {
        let no_answer = |error: &hyper::Error| NoAnswer::Unheard(format!("no answer: {error}"));
        if let Some(mut kept) = self.take(now) {
            is_sent.store(true, Ordering::Relaxed);
            match kept.try_send_request(self.request(message)).await {
                Ok(response) => return Ok(self.read(kept, response, now).await),
                // It came back unsent: the receiver has nothing of it.
                Err(unsent) if unsent.message().is_some() => {}
                Err(broken) => return Err(no_answer(broken.error())),
            }
        }
        is_sent.store(false, Ordering::Relaxed);
        let mut fresh = self.connect().await.map_err(NoAnswer::Unreached)?;
        is_sent.store(true, Ordering::Relaxed);
        let response = fresh.send_request(self.request(message)).await;
        let response = response.map_err(|error| no_answer(&error))?;
        Ok(self.read(fresh, response, now).await)
    }

    fn request(&self, Message { headers, body }: &Message) -> Request<Full<Bytes>> {
        let mut request = Request::post(self.address.target.clone())
            .body(Full::new(body.clone()))
            .expect("a target that was checked");
        *request.headers_mut() = headers.clone();
        // Also where there is nothing: many a receiver reads as much as is said, and the library says nothing then.
        request.headers_mut().insert(CONTENT_LENGTH, body.len().into());
        request
    }

    async fn connect(&self) -> Result<Sender, String> {
        let addresses = self.address.resolve(&self.allowed).await?;
        let stream = TcpStream::connect(&*addresses).await;
        let stream = stream.map_err(|error| format!("no connection: {error}"))?;
        let broken = |error: &dyn std::fmt::Display| format!("no connection: {error}");
        stream.set_nodelay(true).map_err(|error| broken(&error))?;
        let mut settings = Builder::new();
        settings.max_buf_size(HEAD_BYTES_MAX);
        let handshake = settings.handshake(TokioIo::new(stream)).await;
        let (sender, connection) = handshake.map_err(|error| broken(&error))?;
        // It ends with its sender, or with the receiver's end of it.
        tokio::spawn(connection);
        Ok(sender)
    }

    /// Reads what is left, and keeps the connection where that was little.
    async fn read(
        &self,
        sender: Sender,
        response: Response<Incoming>,
        since: Instant,
    ) -> ReplyHead {
        let (head, body) = response.into_parts();
        if whole::answered(body, BODY_BYTES_MAX).await.is_ok() {
            self.keep(Idle { sender, since });
        }
        ReplyHead { status: head.status, retry_after: head.headers.get(RETRY_AFTER).cloned() }
    }

    fn take(&self, now: Instant) -> Option<Sender> {
        let mut idle = self.idle();
        idle.retain(|it| {
            !it.sender.is_closed() && now.saturating_duration_since(it.since) < IDLE_FOR
        });
        let at = idle.iter().rposition(|it| it.sender.is_ready())?;
        Some(idle.remove(at).sender)
    }

    fn keep(&self, kept: Idle) {
        let mut idle = self.idle();
        if idle.len() < IDLE_MAX && !kept.sender.is_closed() {
            idle.push(kept);
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
