//! What a listener's core answers with: the refusals in their promised order, then the action.
//!
//! ```text
//!  400 path ─▶ 401 token ─▶ 404 route ─▶ 405 method ─▶ 403 site, role ─▶ 429, 503 guards ─▶ action
//! ```
//!
//! Up to the guards nothing waits. A page or a file leaves from here without a task, a lock or a
//! copy; everything else is passed on by the data plane.
//!
//! What is seldom needed is boxed where it is awaited: the future of every request is moved once, and
//! should not be as large as the largest branch (record 0010).

mod admit;
mod error_format;

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use chassis::chance;
use chassis::http::problem::CHALLENGE;
use chassis::http::query::Query;
use chassis::http::{
    Client, HeadLimits, Inbound, Problem, Request, Response, Serve, Trace, loopback,
};
use http::header::{CACHE_CONTROL, SET_COOKIE, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use crate::cookies::Cookies;
use crate::negotiation;
use crate::pages::{self, lists, live, wait};
use crate::paths::Action;
use crate::proxy::{Call, Core};
use crate::session;
use crate::settings::IDLE_TIMEOUT;
use crate::shared::Shared;
use crate::topics;
use crate::who::Who;
use admit::{Admitted, Local};

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// What answers on one core of a listener; from [`Gateway`](crate::Gateway).
pub struct Server {
    shared: Arc<Shared>,
    core: Core,
    face: Face,
}

/// Which listener it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Face {
    /// Clients'.
    Outer,
    /// The services' among themselves.
    Inner,
    /// The pages' own port; one beyond the loopback trusts nobody.
    Pages { loopback: bool },
}

impl Face {
    /// Whether only this machine reaches it, and nobody has to say who asks.
    fn is_local(self) -> bool {
        matches!(self, Face::Inner | Face::Pages { loopback: true })
    }
}

impl Server {
    pub(crate) fn new(shared: Arc<Shared>, core: Core, face: Face) -> Server {
        Server { shared, core, face }
    }

    async fn answer(&self, parts: Box<Parts>, body: Inbound, peer: SocketAddr) -> Response {
        let mut stale = false;
        let admitted = self.admit(&parts, peer, &mut stale);
        // Made before the head moves on into the call; taken back with whatever is answered in the end.
        let gone = if stale {
            self.cookies(&parts.headers, peer).without_session(&parts.headers)
        } else {
            Vec::new()
        };
        let done = match admitted {
            Ok(Admitted::Answer(response)) => return without(response, gone),
            Ok(Admitted::App { route, page, who }) => {
                let page = Box::pin(self.app_if_known(route, page, who, &parts, peer)).await;
                return without(page, gone);
            }
            Ok(Admitted::Proxy { route, who, shared_with_app }) => {
                let route = &self.shared.routes[route];
                let call = Call { parts, who, peer, shared_with_app };
                let mut response = self.core.proxy(route, call, body).await;
                if shared_with_app {
                    // Kept, it could be shown in the place of the app's page that has this address.
                    response.headers_mut().insert(CACHE_CONTROL, NO_STORE);
                }
                return without(response, gone);
            }
            Ok(Admitted::Session) => {
                return Box::pin(self.session(parts, body, peer)).await;
            }
            // On the heap: hardly any request publishes, and its state would be part of every one's.
            Ok(Admitted::Publish(topic)) => {
                let client = Client::of(&parts.headers, peer.ip(), &self.shared.plan.trusted);
                let published = self.shared.publish(&topic, &parts.headers, body, client.address);
                Box::pin(published).await
            }
            Ok(Admitted::Fetch { verb, subscription }) => {
                let ask = self.shared.fetch(verb, &subscription, &parts.headers);
                Box::pin(ask.answer(body)).await
            }
            Ok(Admitted::Schedule(key)) => {
                let ask = self.shared.schedule(&key, &parts);
                Box::pin(ask.answer(body)).await
            }
            Ok(Admitted::Local(local)) => self.local(local, &parts).await,
            Err(problem) => Err(problem),
        };
        let response = match done {
            Ok(response) => response,
            Err(problem) => problem.into_response(&Trace::take(&parts.headers)),
        };
        without(response, gone)
    }

    /// The cookies of a request's scheme.
    fn cookies(&self, headers: &HeaderMap, peer: SocketAddr) -> &Cookies {
        let client = Client::of(headers, peer.ip(), &self.shared.plan.trusted);
        self.shared.jar.of(client.secure)
    }

    async fn session(&self, mut parts: Box<Parts>, body: Inbound, peer: SocketAddr) -> Response {
        let trace = Trace::take(&parts.headers);
        let (shared, core) = (&*self.shared, &self.core);
        parts.extensions.clear();
        // Only a plan that has a session puts its action on a path.
        let session = shared.plan.session.as_ref().expect("its path has been found");
        let cookies = self.cookies(&parts.headers, peer);
        let ask = session::Ask { shared, core, session, cookies, parts, peer };
        let answered = ask.answer(body).await;
        let mut response = answered.unwrap_or_else(|problem| problem.into_response(&trace));
        // A challenge on each 401, also on those that the token endpoint's refusal became.
        if response.status() == StatusCode::UNAUTHORIZED {
            response.headers_mut().entry(WWW_AUTHENTICATE).or_insert(CHALLENGE);
        }
        response
    }

    /// Does what the gateway answers itself, once it can include the write that was named.
    async fn local(&self, local: Local, parts: &Parts) -> Result<Response, Problem> {
        let action = local.action;
        let mut ready = Ok(());
        // On the heap: hardly any read names a write, and its state would be part of every request's.
        if parts.headers.contains_key(wait::POSITION) {
            let page = self.shared.plan.page_of(action);
            ready = Box::pin(wait::for_position(self.shared.views(), page, &parts.headers)).await;
        }
        let done = match ready {
            Ok(()) if matches!(action, Action::Events | Action::Trace { .. }) => {
                Box::pin(self.events(&local, parts)).await
            }
            Ok(()) => self.act(local, parts).await,
            Err(problem) => Err(problem),
        };
        self.count(action, &done);
        done
    }

    async fn events(&self, local: &Local, parts: &Parts) -> Result<Response, Problem> {
        let query = Query::parse(parts.uri.query())?;
        let topic = local.owner.as_deref().unwrap_or_default();
        if local.action != Action::Events {
            return self.shared.traces.look(self.shared.broker.as_ref(), topic, query).await;
        }
        topics::read(self.shared.broker.as_ref(), topic, query).await
    }

    /// Answers from memory or from the views' store. What is not asked for all the time is on the heap.
    async fn act(&self, local: Local, parts: &Parts) -> Result<Response, Problem> {
        let (shared, views) = (&*self.shared, self.shared.views());
        let Local { action, owner, html, who } = local;
        if let Action::List(at) = action {
            let list = &shared.plan.lists[at];
            let owner = owner.as_deref();
            let page = &shared.plan.pages[list.page];
            return Box::pin(lists::rows(views, list, page, owner, parts)).await;
        }
        let owner = owner.expect("only a list may be of everybody");
        match action {
            Action::Page(at) if !html => {
                pages::json(views, &shared.plan.pages[at], &owner, parts).await
            }
            Action::Page(at) | Action::Own(at) => {
                pages::html(views, &shared.plan.pages[at], &owner, &parts.headers).await
            }
            Action::Live(at) => self.live(at, parts, owner, &who),
            Action::Head(at) => {
                let head = &shared.plan.heads[at];
                let page = &shared.plan.pages[head.page];
                Box::pin(lists::head(views, head, page, &owner)).await
            }
            Action::List(_)
            | Action::Events
            | Action::Trace { .. }
            | Action::Publish
            | Action::Fetch(_)
            | Action::Schedule
            | Action::Proxy(_)
            | Action::Session => {
                unreachable!("these are answered before")
            }
        }
    }

    fn live(
        &self,
        at: usize,
        parts: &Parts,
        owner: String,
        who: &Who,
    ) -> Result<Response, Problem> {
        let shared = &*self.shared;
        let after = live::after(parts)?;
        if parts.method == Method::HEAD {
            return Ok(live::head());
        }
        let session = who.principal.as_ref().map(|principal| principal.session.as_str());
        let full = || Problem::unavailable("connection_limit_reached", chance::seconds(1));
        let permit = shared.streams.admit(session).ok_or_else(full)?;
        // The sign-in may have ended between its check and the permit.
        if session.is_some_and(|session| shared.verifier.ended().contains(session)) {
            return Err(Problem::unauthorized());
        }
        if session.is_some() {
            self.check_that_ends_are_known()?;
        }
        if shared.is_stopped() {
            return Err(Problem::unavailable("destination_unavailable", chance::seconds(1)));
        }
        let viewer = live::Viewer {
            views: shared.views().clone(),
            page: shared.plan.pages[at].clone(),
            owner,
            expires: who.principal.as_ref().map(|principal| principal.expires),
            permit,
        };
        Ok(live::open(viewer, after))
    }

    fn count(&self, action: Action, done: &Result<Response, Problem>) {
        if let Action::Page(at) | Action::Own(at) | Action::Live(at) = action {
            let status = done.as_ref().map_or_else(Problem::status, http::Response::status);
            self.shared.pages[at].count(status);
        }
    }
}

impl Serve for Server {
    async fn serve(self: Rc<Self>, request: Request, peer: SocketAddr) -> Response {
        let (parts, body) = request.into_parts();
        let format = self.error_format(&parts);
        let response = self.answer(Box::new(parts), body, peer).await;
        self.show(&format, response)
    }

    /// A listener for this machine alone speaks to nobody else.
    fn admits(&self, head: &Parts) -> Result<(), Problem> {
        if self.face.is_local() { loopback::check(&head.uri, &head.headers) } else { Ok(()) }
    }

    fn refuse(&self, problem: Problem, head: &Parts) -> Response {
        let refused = problem.into_response(&Trace::take(&head.headers));
        self.show(&self.error_format(head), refused)
    }

    fn head_limits(&self) -> HeadLimits {
        HeadLimits::EDGE
    }

    fn write_idle(&self) -> Duration {
        self.shared.plan.idle.unwrap_or(IDLE_TIMEOUT.0)
    }
}

/// An answer that takes cookies back.
fn without(mut response: Response, gone: Vec<HeaderValue>) -> Response {
    for cookie in gone {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}

/// Whether a request for a page is for its HTML.
fn wants_html(headers: &HeaderMap, owner: &mut String) -> bool {
    if let Some(plain) = owner.strip_suffix(pages::HTML_ENDING) {
        owner.truncate(plain.len());
        return true;
    }
    negotiation::wants_html(headers)
}
