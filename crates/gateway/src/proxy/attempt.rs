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
use http::{Request, Response};
use hyper::body::Incoming;

use super::again;
use super::failure::Failure;
use super::link::{Failed, Link};
use super::patience::Patience;
use super::pool::{AddressPool, Pool};
use super::upload::Upload;
use crate::hygiene;

/// A request that was answered, by whom and on which connection.
pub(super) struct Sent {
    pub(super) response: Response<Incoming>,
    pub(super) link: Box<Link>,
    pub(super) visit: Visit,
}

/// One address that a call was sent to, and what it was let in with there.
#[derive(Clone)]
pub(super) struct Visit {
    pub(super) address: Rc<AddressPool>,
    pub(super) ticket: Ticket,
}

/// A request without an answer; the visit is to the last address that was asked.
pub(super) struct Unanswered {
    pub(super) failure: Failure,
    pub(super) visit: Option<Visit>,
}

/// Where a call stands among the addresses that it tries.
#[derive(Clone, Copy)]
struct Turn {
    /// How many are still to be tried, this one included.
    left: usize,
    /// When the call began.
    now: Instant,
}

/// What became of a request at one address.
enum Tried {
    Answered(Response<Incoming>, Box<Link>),
    /// Nothing was sent: the next address may take it.
    Unsent(Box<Request<Upload>>, Failure),
    Failed(Failure),
}

impl Visit {
    /// Says how the call went at its address.
    pub(super) fn record(&self, outcome: Outcome, now: Instant) {
        self.address.record(self.ticket, outcome, now);
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
    let mut last = Unanswered { failure: Failure::ConnectionRefused, visit: None };
    let mut turn = Turn { left: pool.count(), now };
    for (address, ticket) in pool.by_turns(now) {
        let visit = Visit { address: address.clone(), ticket };
        // Another address is asked: the one before did not even take the request.
        if let Some(before) = last.visit.take() {
            before.record(Outcome::Failure, clock::now());
        }
        if !keeps_host {
            hygiene::to_host(request.headers_mut(), &address.endpoint().authority);
        }
        let failure = match attempt(address, request, patience, turn).await {
            Tried::Answered(response, link) => return Ok(Sent { response, link, visit }),
            Tried::Failed(failure) => return Err(Unanswered { failure, visit: Some(visit) }),
            Tried::Unsent(unsent, failure) => {
                request = unsent;
                failure
            }
        };
        turn.left = turn.left.saturating_sub(1);
        last = Unanswered { failure, visit: Some(visit) };
        match failure {
            // The time of the whole call is over, and no other address has any left.
            Failure::Late => {
                last.failure = Failure::ConnectedLate;
                break;
            }
            // It is the client who is late, wherever its request would go.
            Failure::Client => break,
            _ => {}
        }
    }
    Err(last)
}

/// Asks one address: on an idle connection if there is one, else on a fresh one.
async fn attempt(
    address: &AddressPool,
    mut request: Box<Request<Upload>>,
    patience: &mut Patience,
    turn: Turn,
) -> Tried {
    if let Some(mut link) = address.take(turn.now).await {
        let spare = again::spare(&request);
        match link.exchange(request, spare.is_some(), patience).await {
            Ok(response) => return Tried::Answered(response, link),
            // The service closed it while it lay idle; a fresh one will tell.
            Err(Failed::NotSent(unsent)) => request = unsent,
            Err(failed) => {
                // Of a body that went on coming the beginning may have gone.
                let spare = spare.filter(|body| failed.is_closed() && body.is_kept());
                match spare.and_then(|body| link.sent(body)) {
                    Some(once_more) => request = once_more,
                    None => return Tried::Failed(failed.into()),
                }
            }
        }
    }
    let mut link = match Box::pin(connect(address, patience, turn.left)).await {
        Ok(link) => link,
        Err(failure) => return Tried::Unsent(request, failure),
    };
    // Whatever becomes of it here, it is not sent again: nothing of it is kept.
    match link.exchange(request, false, patience).await {
        Ok(response) => Tried::Answered(response, link),
        Err(Failed::NotSent(unsent)) => Tried::Unsent(unsent, Failure::Broken),
        Err(failed) => Tried::Failed(failed.into()),
    }
}

/// A fresh connection, or [`Failure::ConnectedLate`] where this address took too long and
/// [`Failure::Late`] where the whole call did; on the heap where it is awaited, since it is seldom needed.
async fn connect(
    address: &AddressPool,
    patience: &mut Patience,
    left: usize,
) -> Result<Box<Link>, Failure> {
    let limit = patience.connect_for(left, clock::now());
    let connecting = tokio::time::timeout(limit, address.connect());
    tokio::select! {
        biased;
        connected = connecting => match connected {
            Ok(connected) => connected.map_err(|_| Failure::ConnectionRefused),
            Err(_) => Err(Failure::ConnectedLate),
        },
        late = poll_fn(|context| patience.poll(context)) => Err(late),
    }
}
