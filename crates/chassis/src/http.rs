//! The HTTP edge that every listener of ours shares: how requests come in and how refusals go out.
//!
//! One place parses paths, reads bodies, words problems and accepts connections, so that the
//! gateway and each service refuse the same input in the same words. It does not route to anything:
//! a listener is given a [`Serve`] that answers.

pub mod address;
pub mod asked;
pub mod body;
pub mod client;
pub mod connection;
pub mod etag;
pub mod fields;
pub mod framing;
pub mod hal;
pub mod limited;
pub mod listener;
pub mod loopback;
pub mod method;
pub mod networks;
pub mod path;
pub mod problem;
pub mod query;
pub mod router;
pub mod stall;
pub mod stop;
pub mod trace;
pub mod urlencoded;
pub mod whole;

mod noted;
mod slots;
mod target;
mod wire;

use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use serde::Serialize;

pub use body::Body;
pub use client::Client;
pub use connection::Inbound;
pub use framing::head::HeadLimits;
pub use listener::{BindError, Listener};
pub use networks::Networks;
pub use path::{Path, Pattern};
pub use problem::Problem;
pub use stop::Stop;
pub use trace::Trace;

/// A request as it came in.
pub type Request = http::Request<Inbound>;
/// An answer as it goes out.
pub type Response = http::Response<Body>;
/// Any error of a streamed body.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What answers the requests of one listener on one core.
///
/// The future need not be `Send`: a connection stays on the core that accepted it. When the client
/// goes away the future is dropped wherever it waits.
pub trait Serve: 'static {
    /// Answers one request of `peer`.
    fn serve(
        self: Rc<Self>,
        request: Request,
        peer: SocketAddr,
    ) -> impl Future<Output = Response> + 'static;

    /// Whether it speaks at all to whoever sends this head; asked before anything of it is answered.
    /// Without a default, so that nobody who wraps another leaves its gate open.
    ///
    /// # Errors
    /// Why not.
    fn admits(&self, head: &Parts) -> Result<(), Problem>;

    /// The answer to a request that is refused before it is handed over. Of a head that is none, `head`
    /// has the method and `Accept` alone, as far as they came.
    fn refuse(&self, problem: Problem, head: &Parts) -> Response {
        problem.into_response(&Trace::take(&head.headers))
    }

    /// How large a head it takes: as behind a gateway, unless it is one.
    fn head_limits(&self) -> HeadLimits {
        HeadLimits::BEHIND
    }

    /// How long a client may read nothing of what it is sent before it is let go.
    fn write_idle(&self) -> Duration {
        stall::WRITE_IDLE
    }
}

/// An answer with a JSON body.
pub fn json(status: StatusCode, value: &impl Serialize) -> Response {
    let bytes = serde_json::to_vec(value).expect("our own types serialise");
    let mut response = Response::new(Body::full(bytes));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// An answer without a body.
pub fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
