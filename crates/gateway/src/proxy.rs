//! The data plane: a request through its route's guards to a service, and the answer back.
//!
//! ```text
//!  rate limit ─▶ circuit ─▶ connection (pooled, else fresh) ─▶ head ─▶ body ─▶ outcome recorded
//!    429           503        503 refused                    504 late  once, by whoever ends it
//!                                                            502 nonsense
//! ```
//!
//! Before them a request that came from here is refused (508). Who is sent a request once more, and when,
//! is decided in [`attempt`]: never for an answer, which is the client's to judge.
//!
//! Everything happens in the task of the client's connection, on its core: no other task is woken,
//! nothing is locked but what the guards share. If the client goes away, all of this is dropped
//! where it waits: the permit counts nothing, the connection is closed.
//!
//! Routes, principals and what is open to whom have been decided before.

mod again;
mod attempt;
mod beginning;
mod deadlines;
mod download;
mod failure;
mod head;
mod link;
mod patience;
pub(crate) mod pool;
mod probing;
mod recorder;
mod socket;
mod upload;

use std::cell::{Cell, RefCell};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use chassis::clock;
use chassis::http::{Client, Inbound, Problem, Response, Trace, whole};
use guard::breaker::Outcome;
use http::header::VARY;
use http::request::Parts;
use http::{HeaderValue, Request, StatusCode, Version};

use crate::guards::{CallPermit, Guards};
use crate::hygiene::{Forwarded, Hygiene};
use crate::meters::{Meters, RequestEnd, Timing};
use crate::plan;
use crate::settings::Host;
use crate::who::Who;
use attempt::{Sent, Unanswered};
use beginning::{BodyTime, begin};
use deadlines::Deadlines;
use download::Underway;
use failure::Failure;
use patience::Patience;
use pool::{AcrossCores, Pool};
use probing::Probing;
use recorder::Recorder;
use upload::Upload;

pub use pool::{IDLE_MAX, KEPT_MAX};
pub use upload::WHOLE_BYTES_MAX;

/// The largest answer that is read whole (a token endpoint's).
const ASKED_BYTES_MAX: usize = 64 * 1024;

/// A route at work; shared by all cores.
pub(crate) struct Route {
    pub(crate) plan: plan::Route,
    pub(crate) guards: Guards,
    pub(crate) meters: Meters,
}

/// A core's part of the data plane.
pub(crate) struct Core {
    pools: Vec<Pool>,
    deadlines: Rc<Deadlines>,
    hygiene: Arc<Hygiene>,
    /// How many bodies are waited for.
    gathering: Cell<usize>,
    /// The last peer's address as a header: most requests of a connection follow one another.
    peer: RefCell<Option<Peer>>,
}

/// An address, and how a header says it.
struct Peer {
    address: IpAddr,
    value: HeaderValue,
}

/// A request that may be passed on.
pub(crate) struct Call {
    /// On the heap, as what becomes of it is: a request is handed on often and copied once.
    pub(crate) parts: Box<Parts>,
    pub(crate) who: Who,
    pub(crate) peer: SocketAddr,
    /// Whether the app's page has this address too, so that the answer depends on `Accept`.
    pub(crate) shared_with_app: bool,
}

/// A call that has passed the guards.
struct Entered<'r> {
    /// Whoever ends the call ends it too; dropped without an end, it counts the client as gone.
    timing: Timing<'r>,
    /// None where there is no circuit.
    permit: Option<CallPermit>,
}

impl Route {
    /// Lets a call pass the guards, cheapest refusal first; from here on its time is taken.
    ///
    /// # Errors
    /// 429 or 503, counted.
    fn enter(&self, call: &Call, client: Client, now: Instant) -> Result<Entered<'_>, Problem> {
        let timing = self.meters.start(now);
        // A call over its limit is none that the circuit hears of: it says nothing of the service.
        if let Err(problem) = self.guards.check(call.who.subject(), client.address, now) {
            timing.end(RequestEnd::RateLimited, now);
            return Err(problem);
        }
        match self.guards.admit(now) {
            Ok(permit) => Ok(Entered { timing, permit }),
            Err(problem) => {
                timing.end(RequestEnd::CircuitOpen, now);
                Err(problem)
            }
        }
    }
}

impl Core {
    /// No connections yet.
    pub(crate) fn new(pools: Vec<Pool>, hygiene: Arc<Hygiene>) -> Core {
        let (deadlines, peer) = (Rc::default(), RefCell::default());
        Core { pools, deadlines, hygiene, gathering: Cell::new(0), peer }
    }

    /// Passes a request on and its answer back.
    pub(crate) async fn proxy(&self, route: &Route, call: Call, body: Inbound) -> Response {
        let now = clock::now();
        let trace = Trace::take(&call.parts.headers);
        let client = Client::of(&call.parts.headers, call.peer.ip(), &self.hygiene.trusted);
        let Entered { timing, permit } = match self.enter(route, &call, client, now) {
            Ok(entered) => entered,
            Err(problem) => return problem.into_response(&trace),
        };
        let shared_with_app = call.shared_with_app;
        let answer = match upload::begin(body).await {
            // A probe goes to a request that is whole: a slow client would else decide.
            Ok(upload)
                if upload.is_whole() || !permit.as_ref().is_some_and(CallPermit::is_probe) =>
            {
                let request = self.request(route, call, client, Outgoing { upload, trace: &trace });
                self.forward(route, request, permit, now).await
            }
            Ok(upload) => {
                // Given back while the body is waited for, so that a whole request may probe.
                drop(permit);
                match Box::pin(self.probe(route, upload)).await {
                    Probing::Admitted { upload, permit } => {
                        let outgoing = Outgoing { upload, trace: &trace };
                        let request = self.request(route, call, client, outgoing);
                        self.forward(route, request, permit, clock::now()).await
                    }
                    Probing::Refused(problem) => {
                        timing.end(RequestEnd::CircuitOpen, clock::now());
                        return problem.into_response(&trace);
                    }
                    Probing::Unreadable => Err(Failure::Unreadable),
                }
            }
            Err(_) => Err(Failure::Unreadable),
        };
        let answer = answer.map(|response| varied(response, shared_with_app));
        timing.end(how_it_ended(&answer), clock::now());
        answer.unwrap_or_else(|failure| failure.problem().into_response(&trace))
    }

    /// Lets a call in that has not been here before: such a one would go round until some timeout ends it,
    /// and no limit counts it.
    fn enter<'r>(
        &self,
        route: &'r Route,
        call: &Call,
        client: Client,
        now: Instant,
    ) -> Result<Entered<'r>, Problem> {
        if self.hygiene.has_seen(&call.parts.headers) {
            route.meters.start(now).end(RequestEnd::Failed, now);
            return Err(came_back());
        }
        route.enter(call, client, now)
    }

    /// Asks a service on our own behalf and reads its whole answer.
    ///
    /// # Errors
    /// As a proxied request is refused.
    pub(crate) async fn ask(
        &self,
        route: &Route,
        call: Call,
        body: Bytes,
    ) -> Result<http::Response<Bytes>, Problem> {
        let now = clock::now();
        let trace = Trace::take(&call.parts.headers);
        let client = Client::of(&call.parts.headers, call.peer.ip(), &self.hygiene.trusted);
        let Entered { timing, permit } = route.enter(&call, client, now)?;
        let outgoing = Outgoing { upload: Upload::Whole(Some(body)), trace: &trace };
        let request = self.request(route, call, client, outgoing);
        let answer = self.forward(route, request, permit, now).await;
        timing.end(how_it_ended(&answer), clock::now());
        let response = answer.map_err(Failure::problem)?;
        let (parts, body) = response.into_parts();
        // Ours to read, so ours to bound: a service that never ends its answer must not fill this process.
        let whole = whole::answered(body, ASKED_BYTES_MAX).await;
        let whole = whole.map_err(|_| Failure::Nonsense.problem())?;
        Ok(http::Response::from_parts(parts, whole))
    }

    async fn forward(
        &self,
        route: &Route,
        request: Box<Request<Upload>>,
        permit: Option<CallPermit>,
        now: Instant,
    ) -> Result<Response, Failure> {
        let timeouts = route.plan.timeouts;
        let sending = request.body().sending();
        let mut patience = Patience::new(&self.deadlines, timeouts, sending, now);
        let pool = &self.pools[route.plan.upstream];
        let keeps_host = route.plan.host == Host::Keep;
        match attempt::send(pool, request, keeps_host, &mut patience, now).await {
            Ok(Sent { response, link, visit }) => {
                let summary = head::summarise(response.headers(), response.body());
                let (address, keep) =
                    (visit.address.clone(), visit.address.keep(summary.keep_alive));
                let recorder = Some(Recorder::new(permit, Some(visit)));
                let underway = Underway { link, address, keep, recorder };
                let time = BodyTime { alarm: patience.into_alarm(), idle: timeouts.idle };
                let begun = begin(response, summary, underway, time).await;
                begun.map(|response| self.to_client(response, pool))
            }
            Err(Unanswered { failure, visit }) => {
                // Where the client is to blame, the permit is dropped unused: that counts neither way.
                if failure.is_the_services() {
                    Recorder::new(permit, visit).record(Outcome::Failure, clock::now());
                }
                Err(failure)
            }
        }
    }

    /// The request as the service gets it, but for the address.
    fn request(
        &self,
        route: &Route,
        call: Call,
        client: Client,
        Outgoing { upload, trace }: Outgoing<'_>,
    ) -> Box<Request<Upload>> {
        let mut parts = call.parts;
        let version = std::mem::replace(&mut parts.version, Version::HTTP_11);
        parts.extensions.clear();
        let peer = call.peer.ip().to_canonical();
        let forwarded = Forwarded {
            peer,
            peer_value: self.peer_value(peer),
            by_trusted: client.by_trusted,
            version,
            keeps_host: route.plan.host == Host::Keep,
            proof: route.plan.proof.clone(),
            bearer: call.who.into_bearer(),
            traceparent: trace.header(),
        };
        self.hygiene.to_upstream(&mut parts.headers, forwarded);
        Box::new(Request::from_parts(*parts, upload))
    }

    /// A service's answer as the client gets it.
    fn to_client(&self, mut response: Response, pool: &Pool) -> Response {
        let version = response.version();
        self.hygiene.to_client(response.headers_mut(), version, &pool.endpoints());
        *response.version_mut() = Version::HTTP_11;
        response.extensions_mut().clear();
        response
    }

    fn peer_value(&self, address: IpAddr) -> HeaderValue {
        let mut last = self.peer.borrow_mut();
        match &*last {
            Some(known) if known.address == address => known.value.clone(),
            _ => {
                let value = HeaderValue::try_from(address.to_string());
                let value = value.expect("an address is plain text");
                *last = Some(Peer { address, value: value.clone() });
                value
            }
        }
    }
}

/// The pools of a core, one for each upstream.
pub(crate) fn pools<'u>(
    upstreams: impl Iterator<Item = (&'u plan::Upstream, &'u AcrossCores)>,
) -> Vec<Pool> {
    upstreams.map(|(upstream, shared)| Pool::new(upstream, shared)).collect()
}

/// What is made of a request before it is sent, beside its head.
struct Outgoing<'t> {
    upload: Upload,
    trace: &'t Trace,
}

fn how_it_ended(answer: &Result<Response, Failure>) -> RequestEnd {
    answer.as_ref().map_or_else(|failure| failure.ended(), |it| RequestEnd::of(it.status()))
}

/// What depends on `Accept` where the app's page has the address too says so.
fn varied(mut response: Response, shared_with_app: bool) -> Response {
    if shared_with_app {
        response.headers_mut().append(VARY, HeaderValue::from_static("Accept"));
    }
    response
}

/// The refusal of a request that has been here before.
fn came_back() -> Problem {
    Problem::new(StatusCode::LOOP_DETECTED, "loop", "The request came back to where it was")
        .detail("the service of this route leads back to this gateway")
        .proxy_status("proxy_loop_detected")
}
