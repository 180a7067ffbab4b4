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
//! where it waits: the leave counts nothing, the connection is closed.
//!
//! Routes, principals and what is open to whom have been decided before.

mod again;
mod attempt;
mod deadlines;
mod download;
mod failure;
mod head;
mod link;
mod patience;
pub(crate) mod pool;
mod socket;
mod upload;
mod verdict;

use std::cell::{Cell, RefCell};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use chassis::clock;
use chassis::http::{Body, Client, Inbound, Problem, Response, Trace};
use guard::breaker::Outcome;
use http::header::VARY;
use http::request::Parts;
use http::{HeaderValue, Request, StatusCode, Version};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;

use crate::guards::{Guards, Leave};
use crate::hygiene::{Forwarded, Hygiene};
use crate::meters::{Ended, Meters, Timing};
use crate::plan;
use crate::settings::Host;
use crate::who::Who;
use attempt::{Sent, Unanswered};
use deadlines::{Alarm, Deadlines};
use download::{Begun, Download, Underway};
use failure::Failure;
use patience::Patience;
use pool::{AcrossCores, Pool};
use upload::Upload;
use verdict::Verdict;

pub use pool::{IDLE_MAX, KEPT_MAX};
pub use upload::WHOLE_BYTES_MAX;

/// The largest answer that is read whole (a token endpoint's).
const ASKED_BYTES_MAX: usize = 64 * 1024;

/// The largest body that is waited for so that a request may probe.
const PROBE_BYTES_MAX: usize = 1024 * 1024;
/// How long it is waited for.
const PROBE_BODY_FOR: Duration = Duration::from_secs(1);
/// How many bodies are waited for at once, on each core.
const GATHERING_MAX: usize = 16;

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
    peer: RefCell<Option<(IpAddr, HeaderValue)>>,
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

impl Route {
    /// Lets a call pass the guards, cheapest refusal first; from here on its time is taken.
    ///
    /// # Errors
    /// 429 or 503, counted.
    fn enter(
        &self,
        call: &Call,
        client: Client,
        now: Instant,
    ) -> Result<(Timing<'_>, Option<Leave>), Problem> {
        let timing = self.meters.start(now);
        // A call over its limit is none that the circuit hears of: it says nothing of the service.
        if let Err(problem) = self.guards.check(call.who.subject(), client.address, now) {
            timing.end(Ended::RateLimited, now);
            return Err(problem);
        }
        match self.guards.admit(now) {
            Ok(leave) => Ok((timing, leave)),
            Err(problem) => {
                timing.end(Ended::CircuitOpen, now);
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
        // One that has been here before would go round until some timeout ends it; no limit counts it.
        let entered = if self.hygiene.has_seen(&call.parts.headers) {
            route.meters.start(now).end(Ended::Failed, now);
            Err(came_back())
        } else {
            route.enter(&call, client, now)
        };
        // From here on each way out ends `timing`; dropped without an end, it counts the client as gone.
        let (timing, leave) = match entered {
            Ok(entered) => entered,
            Err(problem) => return problem.into_response(&trace),
        };
        let shared_with_app = call.shared_with_app;
        let answer = match upload::begin(body).await {
            // A probe goes to a request that is whole: a slow client would else decide.
            Ok(upload) if upload.is_whole() || !leave.as_ref().is_some_and(Leave::is_probe) => {
                let request = self.request(route, call, client, Outgoing { upload, trace: &trace });
                self.forward(route, request, leave, now).await
            }
            Ok(upload) => {
                // Given back while the body is waited for, so that a whole request may probe.
                drop(leave);
                match Box::pin(self.probe(route, upload)).await {
                    Probing::Admitted { upload, leave } => {
                        let outgoing = Outgoing { upload, trace: &trace };
                        let request = self.request(route, call, client, outgoing);
                        self.forward(route, request, leave, clock::now()).await
                    }
                    Probing::Refused(problem) => {
                        timing.end(Ended::CircuitOpen, clock::now());
                        return problem.into_response(&trace);
                    }
                    Probing::Unreadable => Err(Failure::Unreadable),
                }
            }
            Err(_) => Err(Failure::Unreadable),
        };
        match answer {
            Ok(mut response) => {
                if shared_with_app {
                    response.headers_mut().append(VARY, HeaderValue::from_static("Accept"));
                }
                timing.end(Ended::of(response.status()), clock::now());
                response
            }
            Err(failure) => {
                timing.end(failure.ended(), clock::now());
                failure.problem().into_response(&trace)
            }
        }
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
        let (timing, leave) = route.enter(&call, client, now)?;
        let outgoing = Outgoing { upload: Upload::Whole(Some(body)), trace: &trace };
        let request = self.request(route, call, client, outgoing);
        let answer = self.forward(route, request, leave, now).await;
        let ended =
            answer.as_ref().map_or_else(|failure| failure.ended(), |it| Ended::of(it.status()));
        timing.end(ended, clock::now());
        let response = answer.map_err(Failure::problem)?;
        let (parts, body) = response.into_parts();
        // Ours to read, so ours to bound: a service that never ends its answer must not fill this process.
        let whole = Limited::new(body, ASKED_BYTES_MAX).collect().await;
        let whole = whole.map_err(|_| Failure::Nonsense.problem())?;
        Ok(http::Response::from_parts(parts, whole.to_bytes()))
    }

    /// Leave to probe the service with a request whose body had not come whole: waits for it a while,
    /// so that no slow client decides whether the service is back.
    async fn probe(&self, route: &Route, mut upload: Upload) -> Probing {
        // Bodies that are waited for are kept in memory: past so many the open circuit answers for itself.
        if self.gathering.get() >= GATHERING_MAX {
            return Probing::Refused(route.guards.refuse(clock::now()));
        }
        self.gathering.set(self.gathering.get() + 1);
        let _one_less = Counted(&self.gathering);
        let gathered = tokio::time::timeout(PROBE_BODY_FOR, upload.gather(PROBE_BYTES_MAX)).await;
        if let Ok(Err(_)) = gathered {
            return Probing::Unreadable;
        }
        // Asked anew: the circuit may have closed, or another request may probe by now.
        let now = clock::now();
        match route.guards.admit(now) {
            Ok(Some(leave)) if leave.is_probe() && !upload.is_whole() => {
                drop(leave);
                Probing::Refused(route.guards.refuse(now))
            }
            Ok(leave) => Probing::Admitted { upload, leave },
            Err(problem) => Probing::Refused(problem),
        }
    }

    async fn forward(
        &self,
        route: &Route,
        request: Box<Request<Upload>>,
        leave: Option<Leave>,
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
                let verdict = Some(Verdict::new(leave, Some(visit)));
                let held = Underway { link, address, keep, verdict };
                let time = BodyTime { alarm: patience.into_alarm(), idle: timeouts.idle };
                let begun = begin(response, summary, held, time).await;
                begun.map(|response| self.to_client(response, pool))
            }
            Err(Unanswered { failure, visit }) => {
                // Where the client is to blame, the leave is dropped unused: that counts neither way.
                if failure.is_the_services() {
                    Verdict::new(leave, visit).record(Outcome::Failure, clock::now());
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
            Some((known, value)) if *known == address => value.clone(),
            _ => {
                let value = HeaderValue::try_from(address.to_string());
                let value = value.expect("an address is plain text");
                *last = Some((address, value.clone()));
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

/// What became of a request that wanted to probe before its body was whole.
enum Probing {
    /// It may go; without leave where there is no circuit.
    Admitted {
        upload: Upload,
        leave: Option<Leave>,
    },
    Refused(Problem),
    /// Its client broke off.
    Unreadable,
}

/// The time of an answer's body.
struct BodyTime {
    /// Set to the call's deadline until now; moved by whoever waits from here on.
    alarm: Alarm,
    /// How long it may stand still.
    idle: Duration,
}

/// One of those who are counted.
struct Counted<'c>(&'c Cell<usize>);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// Takes an answer and its body, as far as it has come, and records what its head says of the call.
///
/// 1. What cannot be passed on as it is counts as a failure, and nothing of it is passed on.
/// 2. A failure, a stream without an end and a probe are decided by the head.
/// 3. Everything else is decided when its body ends, which for most is here.
async fn begin(
    response: http::Response<Incoming>,
    summary: head::Summary,
    mut held: Underway,
    time: BodyTime,
) -> Result<Response, Failure> {
    let (parts, body) = response.into_parts();
    // Protocols are switched for nobody.
    if parts.status == StatusCode::SWITCHING_PROTOCOLS || !summary.is_framed {
        held.verdict.take().into_iter().for_each(|it| it.record(Outcome::Failure, clock::now()));
        return Err(Failure::Nonsense);
    }
    let failed = parts.status.is_server_error() && !head::is_passed_on(&parts.headers);
    // What the body will do changes nothing of a failure, and is not waited for where others wait.
    let at_head = |verdict: &mut Verdict| failed || summary.is_endless || verdict.is_probe();
    if let Some(verdict) = held.verdict.take_if(at_head) {
        verdict.record(if failed { Outcome::Failure } else { Outcome::Success }, clock::now());
    }
    // A stream of events may be silent for as long as it likes.
    let alarm = (!summary.is_endless).then_some(time.alarm);
    let begun = Download::new(body, held, alarm, time.idle).begin().await;
    let body = match begun.map_err(|error| Failure::of(&error))? {
        Begun::Whole(bytes) => Body::full(bytes),
        Begun::Part(download) if summary.is_endless => Body::live(*download),
        Begun::Part(download) => Body::stream(*download),
    };
    Ok(Response::from_parts(parts, body))
}

/// The refusal of a request that has been here before.
fn came_back() -> Problem {
    Problem::new(StatusCode::LOOP_DETECTED, "loop", "The request came back to where it was")
        .detail("the service of this route leads back to this gateway")
        .proxy_status("proxy_loop_detected")
}
