//! A connection to a service, driven by whoever uses it.
//!
//! There is no task beside the request's own: the connection is polled where its answer is awaited,
//! which saves a wake-up and a switch per request. A connection that lies idle is polled when it is
//! taken up again; what the service did meanwhile (closing it, most often) shows then.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use chassis::telemetry::Level;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::again;
use super::failure::Failure;
use super::patience::Patience;
use super::socket::{Passing, Socket};
use super::upload::Upload;
use crate::endpoint::Endpoint;

/// The largest head of an answer, and the most that is read ahead of it.
pub(crate) const HEAD_BYTES_MAX: usize = 64 * 1024;

/// An open connection.
pub(crate) struct Link {
    sender: SendRequest<Upload>,
    connection: Connection<TokioIo<Socket>, Upload>,
    /// What passes by on the socket.
    passing: Passing,
    ended: bool,
    open: Level,
}

/// Why there is no answer.
pub(crate) enum Failed {
    /// Nothing of the request was sent: another connection may take it.
    NotSent(Box<Request<Upload>>),
    /// The connection broke, or what came was no answer.
    Broken(hyper::Error),
    /// Somebody took too long.
    Late(Failure),
}

impl Link {
    /// Connects; `open` counts it while it lives.
    pub(crate) async fn connect(endpoint: &Endpoint, open: Level) -> io::Result<Box<Link>> {
        let stream = match endpoint.address {
            Some(address) => TcpStream::connect(address).await?,
            None => TcpStream::connect((endpoint.host.as_str(), endpoint.port)).await?,
        };
        // A request must not wait for the service's delayed acknowledgement.
        stream.set_nodelay(true)?;
        let mut settings = Builder::new();
        settings.max_buf_size(HEAD_BYTES_MAX).writev(false);
        let socket = Socket::new(stream);
        let passing = socket.passing();
        let handshake = settings.handshake(TokioIo::new(socket));
        let (sender, connection) = handshake.await.map_err(io::Error::other)?;
        open.inc();
        Ok(Box::new(Link { sender, connection, passing, ended: false, open }))
    }

    /// Lets the connection read and write.
    pub(crate) fn drive(&mut self, context: &mut Context<'_>) {
        if !self.ended {
            self.ended = Pin::new(&mut self.connection).poll(context).is_ready();
        }
    }

    /// Whether another request may be sent, after looking what the service did meanwhile.
    pub(crate) fn is_idle(&mut self, context: &mut Context<'_>) -> bool {
        self.drive(context);
        self.is_ready()
    }

    /// Whether another request may be sent, as far as is known.
    pub(crate) fn is_ready(&self) -> bool {
        !self.ended && self.sender.is_ready()
    }

    /// Sends a request and waits for the head of its answer; `keeps` says whether it may be needed again
    /// ([`Link::sent`]).
    pub(crate) fn exchange(
        &mut self,
        request: Box<Request<Upload>>,
        keeps: bool,
        patience: &mut Patience,
    ) -> impl Future<Output = Result<Response<Incoming>, Failed>> {
        self.passing.begin(keeps);
        let answer = self.sender.try_send_request(*request);
        // Borrowed apart: the answer is waited for beside the connection that brings it.
        let Link { connection, ended, passing, .. } = self;
        async move {
            let mut answer = pin!(answer);
            poll_fn(|context| {
                // The connection is driven first: what it reads is the answer that is looked for next.
                if !*ended {
                    *ended = Pin::new(&mut *connection).poll(context).is_ready();
                }
                match answer.as_mut().poll(context) {
                    Poll::Ready(Ok(answer)) => {
                        passing.forget();
                        Poll::Ready(Ok(answer))
                    }
                    Poll::Ready(Err(error)) => Poll::Ready(Err(Failed::of(error))),
                    Poll::Pending => patience.poll(context).map(|late| Err(Failed::Late(late))),
                }
            })
            .await
        }
    }

    /// The request that was sent last, with this body; nothing where it was not kept.
    pub(crate) fn sent(&self, body: Upload) -> Option<Box<Request<Upload>>> {
        again::read(&self.passing.sent(), body)
    }
}

impl Failed {
    /// Whether the connection ended before any answer could be understood.
    pub(crate) fn is_closed(&self) -> bool {
        matches!(self, Failed::Broken(error)
            if !error.is_parse() && !error.is_parse_too_large() && !error.is_user())
    }

    fn of(mut error: TrySendError<Request<Upload>>) -> Failed {
        match error.take_message() {
            Some(request) => Failed::NotSent(Box::new(request)),
            None => Failed::Broken(error.into_error()),
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.open.dec();
    }
}

impl From<Failed> for Failure {
    fn from(failed: Failed) -> Failure {
        match failed {
            Failed::NotSent(_) => Failure::Broken,
            Failed::Broken(error) => Failure::of(&error),
            Failed::Late(failure) => failure,
        }
    }
}
