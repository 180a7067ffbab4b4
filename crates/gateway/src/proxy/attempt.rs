//! Sends a request to the first address that takes it.
//!
//! 1. Addresses take turns; those that are left out for their failures are asked last, when nobody
//!    else took the request.
//! 2. At an address: an idle connection first. If the service closes it while the request is under
//!    way, one that may be sent twice (RFC 9110, section 9.2.2) and is still here goes once more on a
//!    fresh connection, and nobody is blamed; so does one of which nothing was sent.
//! 3. A connection that does not come about in its time is given up, and the next address tried.
//!
//! Whatever was sent on a fresh connection stays with its address: nothing is sent twice for a
//! failure of the service.

use std::future::poll_fn;
use std::rc::Rc;
use std::time::Instant;

use chassis::clock;
use guard::breaker::Outcome;
use guard::outlier::Ticket;
use http::header::HOST;
use http::{Method, Request, Response};
use hyper::body::Incoming;

use super::failure::Failure;
use super::link::{Failed, Link};
use super::patience::Patience;
use super::pool::{Lane, Pool};
use super::upload::Upload;
use crate::hygiene;

/// A request that was answered, by whom and on which connection.
pub(super) struct Sent {
    pub(super) response: Response<Incoming>,
    pub(super) link: Box<Link>,
    pub(super) seat: Seat,
}

/// A call's place at an address.
#[derive(Clone)]
pub(super) struct Seat {
    pub(super) lane: Rc<Lane>,
    pub(super) ticket: Ticket,
}

/// A request without an answer; the seat is the last address's that was asked.
pub(super) struct Unanswered {
    pub(super) failure: Failure,
    pub(super) seat: Option<Seat>,
}

/// What became of a request at one address.
enum Tried {
    Answered(Response<Incoming>, Box<Link>),
    /// Nothing was sent: the next address may take it.
    Unsent(Box<Request<Upload>>, Failure),
    Failed(Failure),
}

impl Seat {
    /// Says how the call went at its address.
    pub(super) fn record(&self, outcome: Outcome, now: Instant) {
        self.lane.record(self.ticket, outcome, now);
    }
}

/// Sends `request`; `keeps_host` where `Host` stays the client's.
///
/// # Errors
/// The last failure there was. The addresses that were passed over are blamed already.
pub(super) async fn send(
    pool: &Pool,
    mut request: Box<Request<Upload>>,
    keeps_host: bool,
    patience: &mut Patience,
    now: Instant,
) -> Result<Sent, Unanswered> {
    let keeps_host = keeps_host && request.headers().contains_key(HOST);
    let mut last = Unanswered { failure: Failure::Refused, seat: None };
    let mut left = pool.count();
    for (lane, ticket) in pool.lanes(now) {
        let seat = Seat { lane: lane.clone(), ticket };
        if let Some(before) = last.seat.take() {
            before.record(Outcome::Failure, clock::now());
        }
        if !keeps_host {
            hygiene::to_host(request.headers_mut(), &lane.endpoint().authority);
        }
        let failure = match attempt(lane, request, patience, (left, now)).await {
            Tried::Answered(response, link) => return Ok(Sent { response, link, seat }),
            Tried::Failed(failure) => return Err(Unanswered { failure, seat: Some(seat) }),
            Tried::Unsent(unsent, failure) => {
                request = unsent;
                failure
            }
        };
        left = left.saturating_sub(1);
        last = Unanswered { failure, seat: Some(seat) };
        match failure {
            // The time of the whole call is over, and no other address has any left.
            Failure::Late => {
                last.failure = Failure::ConnectedLate;
                break;
            }
            Failure::Client => break,
            _ => {}
        }
    }
    Err(last)
}

async fn attempt(
    lane: &Lane,
    mut request: Box<Request<Upload>>,
    patience: &mut Patience,
    (left, now): (usize, Instant),
) -> Tried {
    if let Some(mut link) = lane.take(now).await {
        let spare = again(&request);
        match link.exchange(request, patience).await {
            Ok(response) => return Tried::Answered(response, link),
            // The service closed it while it lay idle; a fresh one will tell.
            Err(Failed::NotSent(unsent)) => request = unsent,
            Err(Failed::Broken(error)) if is_closed(&error) && spare.is_some() => {
                request = spare.expect("looked at just now");
            }
            Err(failed) => return Tried::Failed(failed.into()),
        }
    }
    let mut link = match Box::pin(connect(lane, patience, left)).await {
        Ok(link) => link,
        Err(failure) => return Tried::Unsent(request, failure),
    };
    match link.exchange(request, patience).await {
        Ok(response) => Tried::Answered(response, link),
        Err(Failed::NotSent(unsent)) => Tried::Unsent(unsent, Failure::Broken),
        Err(failed) => Tried::Failed(failed.into()),
    }
}

/// A copy of a request that may be sent once more, if it may.
fn again(request: &Request<Upload>) -> Option<Box<Request<Upload>>> {
    let safe = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE | Method::PUT | Method::DELETE
    );
    let body = if safe { request.body().again() } else { None }?;
    let mut copy = Box::new(Request::new(body));
    copy.method_mut().clone_from(request.method());
    copy.uri_mut().clone_from(request.uri());
    copy.headers_mut().clone_from(request.headers());
    Some(copy)
}

/// Whether a connection ended before any answer could be understood.
fn is_closed(error: &hyper::Error) -> bool {
    !error.is_parse() && !error.is_parse_too_large() && !error.is_user()
}

/// A fresh connection, or [`Failure::ConnectedLate`] where this address took too long and
/// [`Failure::Late`] where the whole call did; on the heap where it is awaited, since it is seldom needed.
async fn connect(lane: &Lane, patience: &mut Patience, left: usize) -> Result<Box<Link>, Failure> {
    let limit = patience.connect_for(left, clock::now());
    let connecting = tokio::time::timeout(limit, lane.connect());
    tokio::select! {
        biased;
        connected = connecting => match connected {
            Ok(connected) => connected.map_err(|_| Failure::Refused),
            Err(_) => Err(Failure::ConnectedLate),
        },
        late = poll_fn(|context| patience.poll(context)) => Err(late),
    }
}
