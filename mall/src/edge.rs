//! The edge of a service's own port: what every request passes before the service sees it.
//!
//! The order is the contract's: the machine's gate, the path, the token, the route, the method, a
//! fault on purpose; then the service's own checks. A request without a token may do everything on
//! a loopback port, as in the curriculum; with one, the gateway's rules hold here too, so that a
//! mistake in a route table opens nothing. On any other port one is needed, but by a gateway that shows the secret
//! of both: its routes say what is open. A service asks by a token of its own, where it is asked, and nowhere else.
//!
//! It knows no service: routes and answers are given to it.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use chassis::http::fields::Fields;
use chassis::http::path::Params;
use chassis::http::query::Query;
use chassis::http::router::{Found, Router};
use chassis::http::{Inbound, Path, Problem, Request, Response, Trace, loopback, whole};
use chassis::identity::service::{self, ServiceKey};
use chassis::identity::{Principal, Verifier, bearer};
use events::{Cause, Clock};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, StatusCode};
use tracing::error;

use crate::components::Components;
use crate::faults::Faults;
use crate::proof::Proof;
use crate::role::Role;
use crate::settings::Name;

/// Ids a row can have.
pub(crate) const ID_MAX: u64 = i64::MAX as u64;

/// What a service's port needs to know of its surroundings.
#[derive(Clone)]
pub(crate) struct Edge {
    name: Name,
    verifier: Verifier,
    clock: Clock,
    faults: Faults,
    loopback: bool,
    gateway: Proof,
    services: Option<Believed>,
}

/// Services that may ask here, and what their tokens are signed with.
#[derive(Clone)]
struct Believed {
    names: &'static [Name],
    key: ServiceKey,
}

/// Who sends a request.
enum Caller {
    /// A service, by a token of its own.
    Service,
    /// Somebody who signed in.
    Principal(Arc<Principal>),
    /// Somebody on this machine, or whom the gateway lets through.
    Nobody,
}

/// A request that has passed the edge.
pub(crate) struct Call {
    pub(crate) trace: Trace,
    pub(crate) principal: Option<Arc<Principal>>,
    /// Whether it comes from a service.
    of_a_service: bool,
    /// Whether it comes from this machine, or by the gateway.
    near: bool,
    pub(crate) headers: HeaderMap,
    pub(crate) params: Params,
    query: Option<String>,
    body: Option<Inbound>,
}

/// A request that the service is to act on.
struct Entered<A> {
    action: A,
    call: Call,
}

/// A body as it was read.
pub(crate) struct Content {
    /// Its members.
    pub(crate) fields: Fields,
    /// All of it, to know it again by.
    pub(crate) bytes: bytes::Bytes,
}

/// What the checks of the edge make of a request.
struct Admitted<'r, A> {
    action: A,
    params: Params,
    caller: Caller,
    path: Path<'r>,
}

/// Why a service does not do what it was asked.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// As the client is answered.
    Problem(Problem),
    /// The store could not: 503 where that passes, our mistake otherwise.
    Store(events::Error),
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Refusal {
        Refusal::Problem(problem)
    }
}

impl From<events::Error> for Refusal {
    fn from(error: events::Error) -> Refusal {
        Refusal::Store(error)
    }
}

impl Refusal {
    /// Whether it is a 404.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Refusal::Problem(problem) if problem.status() == StatusCode::NOT_FOUND)
    }

    pub(crate) fn into_problem(self, trace: &Trace) -> Problem {
        match self {
            Refusal::Problem(problem) => problem,
            Refusal::Store(cause) => {
                error!(%cause, trace = trace.id(), "a request could not be carried out");
                match cause {
                    // A store that closes is a process that ends: its client may come again.
                    events::Error::Environment { .. } | events::Error::Closed => {
                        Problem::storage_unavailable()
                    }
                    events::Error::Unknown { .. } => Problem::outcome_unknown(),
                    _ => Problem::internal(),
                }
            }
        }
    }
}

impl Edge {
    /// The edge of `name` listening at `address`; anything but loopback demands a token, but of the gateway, whose
    /// routes say who needs one.
    pub(crate) fn new(name: Name, components: &Components, address: SocketAddr) -> Edge {
        Edge {
            name,
            verifier: components.verifier.clone(),
            clock: components.clock.clone(),
            faults: components.faults.clone(),
            loopback: address.ip().is_loopback(),
            gateway: Proof::of(components.gateway.as_deref()),
            services: None,
        }
    }

    /// The same, where these services may ask by tokens of their own.
    pub(crate) fn asked_by(self, names: &'static [Name], components: &Components) -> Edge {
        let believed = |secret: &String| Believed { names, key: ServiceKey::of(secret) };
        Edge { services: components.gateway.as_ref().map(believed), ..self }
    }

    /// Whether a request comes from this machine, or may come from elsewhere.
    ///
    /// # Errors
    /// 403.
    pub(crate) fn admits(&self, head: &http::request::Parts) -> Result<(), Problem> {
        if self.loopback { loopback::check(&head.uri, &head.headers) } else { Ok(()) }
    }

    /// Lets the request through to `act`, or answers why not.
    pub(crate) async fn answer<A, Act, Acting>(
        &self,
        table: &Router<A>,
        request: Request,
        act: Act,
    ) -> Response
    where
        A: Copy,
        Act: FnOnce(A, Call) -> Acting,
        Acting: Future<Output = Result<Response, Refusal>>,
    {
        // First of all, so that every refusal has one.
        let trace = Trace::take(request.headers());
        let outcome = match self.admit(table, request, trace.clone()).await {
            Ok(Entered { action, call }) => act(action, call).await,
            Err(problem) => Err(problem.into()),
        };
        outcome.unwrap_or_else(|refusal| refusal.into_problem(&trace).into_response(&trace))
    }

    async fn admit<A: Copy>(
        &self,
        table: &Router<A>,
        request: Request,
        trace: Trace,
    ) -> Result<Entered<A>, Problem> {
        let (parts, body) = request.into_parts();
        let Admitted { action, params, caller, path } = self.check(table, &parts)?;
        // Behind the checks: a fault is the service's trouble, and what it would refuse anyway stays refused.
        if let Some(hit) = self.faults.hit(self.name, &path) {
            tokio::time::sleep(hit.delay).await;
            if hit.fails {
                return Err(Problem::internal());
            }
        }
        let query = parts.uri.query().map(str::to_owned);
        let call = Call {
            trace,
            of_a_service: matches!(caller, Caller::Service),
            near: self.loopback || self.gateway.is_shown(&parts.headers),
            principal: caller.principal(),
            headers: parts.headers,
            params,
            query,
            body: Some(body),
        };
        Ok(Entered { action, call })
    }

    fn check<'r, A: Copy>(
        &self,
        table: &Router<A>,
        parts: &'r http::request::Parts,
    ) -> Result<Admitted<'r, A>, Problem> {
        let path = Path::parse(parts.uri.path()).map_err(|_| Problem::bad_path())?;
        // 401 before 404, as at the gateway: which paths there are is not told to whoever asks.
        let caller = self.caller(&parts.headers)?;
        match table.find(&path, &parts.method) {
            Found::Action(action, params) => Ok(Admitted { action, params, caller, path }),
            Found::WrongMethod(_, allowed) => Err(Problem::method_not_allowed(&allowed)),
            Found::Slashed(_) | Found::Nothing => Err(Problem::not_found()),
        }
    }

    /// Who asks. `Basic` is a client's own name, which the account service alone reads and checks
    /// itself; to the others it is a token that is none.
    fn caller(&self, headers: &HeaderMap) -> Result<Caller, Problem> {
        let is_basic =
            |value: &HeaderValue| value.as_bytes().to_ascii_lowercase().starts_with(b"basic ");
        // Read here, checked there: a wrong secret has to be answered in the words of RFC 6749.
        let basic = self.name == Name::Account && headers.get(AUTHORIZATION).is_some_and(is_basic);
        match bearer(headers) {
            // By its shape alone, before any key: a service's token is no user's, whoever signed it.
            Some(token) if service::is_of_a_service(token) => self.service(token),
            Some(token) => {
                let verified = self.verifier.verify(token, (self.clock)());
                verified.map(Caller::Principal).map_err(|_| Problem::invalid_token())
            }
            None if headers.contains_key(AUTHORIZATION) && !basic => Err(Problem::invalid_token()),
            // Signing in cannot need what it gives, and on a loopback port nobody has to sign in.
            None if self.loopback || self.name == Name::Account => Ok(Caller::Nobody),
            None if self.gateway.is_shown(headers) => Ok(Caller::Nobody),
            None => Err(Problem::unauthorized()),
        }
    }

    /// A service that may ask here.
    fn service(&self, token: &str) -> Result<Caller, Problem> {
        let believed = self.services.as_ref().ok_or_else(Problem::invalid_token)?;
        let from = believed.key.verify(token, self.name.as_str(), (self.clock)());
        let from = from.map_err(|_| Problem::invalid_token())?;
        let is_known = believed.names.iter().any(|name| name.as_str() == from);
        if is_known { Ok(Caller::Service) } else { Err(Problem::invalid_token()) }
    }
}

impl Caller {
    fn principal(self) -> Option<Arc<Principal>> {
        match self {
            Caller::Principal(principal) => Some(principal),
            Caller::Service | Caller::Nobody => None,
        }
    }
}

impl Call {
    /// Whether nothing is narrowed: no token on a loopback port, or an administrator's.
    pub(crate) fn sees_all(&self) -> bool {
        let is_administrator =
            |principal: &Arc<Principal>| principal.role.as_str() == Role::OrderAdmin.as_str();
        self.principal.as_ref().is_none_or(is_administrator)
    }

    /// Whether what belongs to `owner` is shown.
    pub(crate) fn sees(&self, owner: &str) -> bool {
        self.sees_all() || self.subject() == owner
    }

    /// Whose rows a list is narrowed to.
    pub(crate) fn narrowed_to(&self) -> Option<&str> {
        if self.sees_all() { None } else { Some(self.subject()) }
    }

    /// The token's subject, empty without one.
    pub(crate) fn subject(&self) -> &str {
        self.principal.as_ref().map_or("", |principal| principal.subject.as_str())
    }

    /// 403 with a token that is no administrator's.
    pub(crate) fn require_administrator(&self) -> Result<(), Problem> {
        if self.sees_all() {
            return Ok(());
        }
        Err(Problem::forbidden("this needs the role ORDER_ADMIN"))
    }

    /// 403 for what services ask one another, where somebody else asks from elsewhere.
    pub(crate) fn require_a_service(&self) -> Result<(), Problem> {
        if self.of_a_service || self.near {
            return Ok(());
        }
        Err(Problem::forbidden("this is for services, which show a token of their own"))
    }

    /// 403 for a service: its token is for what it asks, and for nothing else.
    pub(crate) fn refuse_services(&self) -> Result<(), Problem> {
        if self.of_a_service {
            return Err(Problem::forbidden("a service's token is for its question alone"));
        }
        Ok(())
    }

    /// The id in the path, 404 where it is none.
    pub(crate) fn id(&self) -> Result<u64, Problem> {
        self.params.id(0).filter(|id| *id <= ID_MAX).ok_or_else(Problem::not_found)
    }

    /// The query's parameters.
    pub(crate) fn query(&self) -> Result<Query, Problem> {
        Query::parse(self.query.as_deref())
    }

    /// The body's members.
    pub(crate) async fn fields(&mut self) -> Result<Fields, Problem> {
        Ok(self.content().await?.fields)
    }

    /// The body's members and its bytes.
    pub(crate) async fn content(&mut self) -> Result<Content, Problem> {
        let rest = self.body.take().expect("a body is read once");
        // The media type is refused before the size, and without waiting for the body.
        Fields::parse(&self.headers, b"{}")?;
        let bytes = whole::read(&self.headers, rest, whole::BODY_BYTES_MAX).await?;
        Ok(Content { fields: Fields::parse(&self.headers, &bytes)?, bytes })
    }

    /// The body's bytes, of whatever media type.
    pub(crate) async fn bytes(&mut self) -> Result<bytes::Bytes, Problem> {
        let body = self.body.take().expect("a body is read once");
        whole::read(&self.headers, body, whole::BODY_BYTES_MAX).await
    }

    /// What led to an event, as the event names it: this request, in the business transaction `correlation`.
    pub(crate) fn cause(&self, correlation: Option<String>) -> Cause {
        Cause {
            correlation_id: correlation.or_else(|| Some(self.trace.id().to_owned())),
            causation_id: None,
            traceparent: Some(self.trace.traceparent().to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chassis::clock::{component, wall};
    use chassis::http::router::Route;
    use chassis::identity::fixture;

    use super::*;

    const LIFE: Duration = Duration::from_secs(60);

    #[test]
    fn a_port_beyond_loopback_demands_a_token_and_asks_for_no_host_of_its_own() {
        let signer = fixture::signer();
        let token =
            fixture::token(&signer, "1@uengine.org", &Role::OrderCustomer.into(), wall(), LIFE)
                .text;
        let table = Router::of(vec![Route::get("/orders", ())]);
        let verifier = fixture::verifier(&signer.public_keys());
        let status = |name, loopback, host: &str, authorization: Option<&str>| {
            let edge = Edge {
                name,
                verifier: verifier.clone(),
                clock: component(),
                faults: Faults::new(false),
                loopback,
                gateway: Proof::of(Some("secret")),
                services: None,
            };
            let mut request = http::Request::get("/orders").header("host", host);
            let shows = authorization.and_then(|value| value.strip_prefix("shows "));
            if let Some(secret) = shows {
                request = request.header("x-yeoul-gateway", secret);
            }
            let authorization = authorization.filter(|_| shows.is_none());
            if let Some(value) = authorization {
                request = request.header(AUTHORIZATION, value);
            }
            let (parts, ()) = request.body(()).expect("a request").into_parts();
            let checked = edge.admits(&parts).and_then(|()| edge.check(&table, &parts));
            checked.map_or_else(|problem| problem.status().as_u16(), |_| 200)
        };
        let bearer = format!("Bearer {token}");
        let cases = [
            (Name::Order, true, "localhost", None, 200),
            (Name::Order, true, "shop.example", None, 403),
            (Name::Order, true, "localhost", Some(bearer.as_str()), 200),
            (Name::Order, true, "localhost", Some("Bearer x"), 401),
            (Name::Order, true, "localhost", Some("Basic eDp5"), 401),
            (Name::Order, true, "localhost", Some("Digest x"), 401),
            (Name::Account, true, "localhost", Some("Basic eDp5"), 200),
            (Name::Account, true, "localhost", Some("Digest x"), 401),
            (Name::Order, false, "shop.example", None, 401),
            (Name::Order, false, "shop.example", Some("Basic eDp5"), 401),
            (Name::Order, false, "shop.example", Some(bearer.as_str()), 200),
            (Name::Order, false, "shop.example", Some("shows secret"), 200),
            (Name::Order, false, "shop.example", Some("shows secre"), 401),
            // Signing in cannot need what signing in gives.
            (Name::Account, false, "shop.example", None, 200),
        ];
        for (name, loopback, host, authorization, expected) in cases {
            let seen = status(name, loopback, host, authorization);
            assert_eq!(seen, expected, "{name} {loopback} {host} {authorization:?}");
        }
    }

    #[test]
    fn trouble_of_the_disk_is_503_and_a_mistake_of_ours_500() {
        let trace = Trace::start();
        let status = |error| Refusal::Store(error).into_problem(&trace).status();
        assert_eq!(
            status(events::Error::environment("disk full")),
            StatusCode::SERVICE_UNAVAILABLE
        );
        assert_eq!(status(events::Error::Closed), StatusCode::SERVICE_UNAVAILABLE);
        let unknown = events::Error::Unknown { what: "a commit".to_owned() };
        let told = Refusal::Store(unknown).into_problem(&trace);
        // Whoever asks again without a key may have it twice: it must not read as if nothing had been done.
        assert_eq!(told.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(format!("{told:?}").contains("not known whether"), "{told:?}");
        assert_eq!(status(events::Error::UnknownTopic), StatusCode::INTERNAL_SERVER_ERROR);
    }
}
