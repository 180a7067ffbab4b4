//! Connections to one receiver: the newest idle one first, a fresh one where there is none.
//!
//! Unlike the gateway's, which belong to one core and to the request in their hands, these go where their attempt goes,
//! and each is driven by a task of its own. One that the receiver closed just as it was taken up is no fault of his: the
//! attempt goes once more, on a fresh one.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use chassis::http::whole;
use http::header::{HeaderValue, RETRY_AFTER};
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

/// The largest head of an answer.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// What is read of an answer's body so that its connection can be used again; a longer one costs the connection.
const BODY_BYTES_MAX: usize = 16 * 1024;

type Sender = SendRequest<Full<Bytes>>;

/// What counts of an answer.
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    pub(crate) retry_after: Option<HeaderValue>,
}

/// The connections to one receiver.
pub(crate) struct Client {
    address: Address,
    allowed: Allowed,
    /// The oldest first.
    idle: Mutex<Vec<Sender>>,
}

impl Client {
    pub(crate) fn new(address: Address, allowed: Allowed) -> Client {
        Client { address, allowed, idle: Mutex::default() }
    }

    /// What `Host` says there.
    pub(crate) fn authority(&self) -> &HeaderValue {
        &self.address.authority
    }

    /// Posts a message. How long one waits is the caller's.
    ///
    /// # Errors
    /// There is no answer, for this reason.
    pub(crate) async fn post(&self, message: &Message) -> Result<Answered, String> {
        if let Some(mut kept) = self.take() {
            // Whatever is wrong with one that was kept may be its age.
            if let Ok(response) = kept.send_request(self.request(message)).await {
                return Ok(self.read(kept, response).await);
            }
        }
        let mut fresh = self.connect().await?;
        let response = fresh.send_request(self.request(message)).await;
        let response = response.map_err(|error| format!("no answer: {error}"))?;
        Ok(self.read(fresh, response).await)
    }

    fn request(&self, Message { headers, body }: &Message) -> Request<Full<Bytes>> {
        let mut request = Request::post(self.address.target.clone())
            .body(Full::new(body.clone()))
            .expect("a target that was checked");
        *request.headers_mut() = headers.clone();
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
    async fn read(&self, sender: Sender, response: Response<Incoming>) -> Answered {
        let (head, body) = response.into_parts();
        if whole::answered(body, BODY_BYTES_MAX).await.is_ok() {
            self.keep(sender);
        }
        Answered { status: head.status, retry_after: head.headers.get(RETRY_AFTER).cloned() }
    }

    fn take(&self) -> Option<Sender> {
        let mut idle = self.idle();
        idle.retain(|sender| !sender.is_closed());
        let at = idle.iter().rposition(Sender::is_ready)?;
        Some(idle.remove(at))
    }

    fn keep(&self, sender: Sender) {
        let mut idle = self.idle();
        if idle.len() < IDLE_MAX && !sender.is_closed() {
            idle.push(sender);
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Sender>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
