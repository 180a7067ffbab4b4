//! What a listener's core answers with: the refusals in their promised order, then the action.
//!
//! ```text
//!  400 path ─▶ 401 token ─▶ 404 route ─▶ 405 method ─▶ 403 site, role ─▶ 429, 503 guards ─▶ action
//! ```
//!
//! Up to the guards nothing waits. A page or a file leaves from here without a task, a lock or a
//! copy; everything else is passed on by the data plane.

mod admit;

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use chassis::http::query::Query;
use chassis::http::{Problem, Request, Response, Serve, Trace};
use http::request::Parts;
use http::{HeaderMap, Method};
use hyper::body::Incoming;

use crate::drain;
use crate::gateway::Shared;
use crate::negotiation;
use crate::pages::{self, lists, live, wait};
use crate::proxy::{Call, Core};
use crate::session;
use crate::table::Action;
use crate::topics;
use crate::who::Who;
use admit::Admitted;

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

    async fn answer(&self, mut parts: Parts, body: Incoming, peer: SocketAddr) -> Response {
        let admitted = match self.admit(&parts) {
            Ok(admitted) => admitted,
            Err(problem) => return refuse(problem, &parts.headers, body).await,
        };
        match admitted {
            Admitted::Answer(response) => response,
            Admitted::Proxy { route, who, shared_with_app } => {
                let route = &self.shared.routes[route];
                let call = Call { parts, who, peer, shared_with_app };
                self.core.proxy(route, call, body).await
            }
            Admitted::Session { route } => {
                let trace = Trace::take(&parts.headers);
                let (shared, core) = (&*self.shared, &self.core);
                let route = &shared.routes[route];
                parts.extensions.clear();
                let ask = session::Ask { shared, core, route, parts, peer };
                ask.answer(body).await.unwrap_or_else(|problem| problem.into_response(&trace))
            }
            Admitted::Local { action, owner, html, who } => {
                let done = self.act(action, &parts, (owner, html), &who).await;
                self.count(action, &done);
                match done {
                    Ok(response) => response,
                    Err(problem) => refuse(problem, &parts.headers, body).await,
                }
            }
            Admitted::List { at, owner } => match self.list(at, owner.as_deref(), &parts).await {
                Ok(response) => response,
                Err(problem) => refuse(problem, &parts.headers, body).await,
            },
        }
    }

    async fn list(
        &self,
        at: usize,
        owner: Option<&str>,
        parts: &Parts,
    ) -> Result<Response, Problem> {
        let (list, views) = (&self.shared.plan.lists[at], &self.shared.views);
        wait::for_position(views, &parts.headers).await?;
        lists::rows(views, (list, &self.shared.plan.pages[list.page]), owner, parts)
    }

    /// Does what the gateway answers itself.
    async fn act(
        &self,
        action: Action,
        parts: &Parts,
        (owner, html): (String, bool),
        who: &Who,
    ) -> Result<Response, Problem> {
        let (shared, views) = (&*self.shared, &self.shared.views);
        if parts.headers.contains_key(wait::POSITION) {
            wait::for_position(views, &parts.headers).await?;
        }
        match action {
            Action::Page(at) if !html => pages::json(views, &shared.plan.pages[at], &owner, parts),
            Action::Page(at) | Action::Own(at) => {
                pages::html(views, &shared.plan.pages[at], &owner, &parts.headers)
            }
            Action::Live(at) => self.live(at, parts, owner, who),
            Action::Head(at) => {
                let head = &shared.plan.heads[at];
                lists::head(views, (head, &shared.plan.pages[head.page]), &owner)
            }
            Action::Events => {
                let query = Query::parse(parts.uri.query())?;
                topics::read(shared.broker.as_ref(), &owner, query).await
            }
            Action::Proxy(_) | Action::Session | Action::List(_) => {
                unreachable!("these are admitted as what they are")
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
        let full = || Problem::unavailable("connection_limit_reached", 1);
        let seat = shared.streams.sit(session).ok_or_else(full)?;
        // The sign-in may have ended between its check and the seat.
        if session.is_some_and(|session| shared.revoked.is_revoked(session)) {
            return Err(Problem::unauthorized());
        }
        if shared.is_stopped() {
            return Err(Problem::unavailable("destination_unavailable", 1));
        }
        let source = live::Source {
            views: shared.views.clone(),
            page: shared.plan.pages[at].clone(),
            owner,
            expires: who.principal.as_ref().map(|principal| principal.expires),
            seat,
        };
        Ok(live::open(source, after))
    }

    fn count(&self, action: Action, done: &Result<Response, Problem>) {
        if let Action::Page(at) | Action::Own(at) | Action::Live(at) = action {
            let status = done.as_ref().map_or_else(Problem::status, http::Response::status);
            self.shared.pages[at].count(status);
        }
    }
}

/// Sends a refusal, after what is left of the body.
async fn refuse(problem: Problem, headers: &HeaderMap, body: Incoming) -> Response {
    drain::rest(headers, body).await;
    problem.into_response(&Trace::take(headers))
}

impl Serve for Server {
    async fn serve(self: Rc<Self>, request: Request, peer: SocketAddr) -> Response {
        let (parts, body) = request.into_parts();
        self.answer(parts, body, peer).await
    }
}

/// Whether a request for a page is for its HTML.
fn wants_html(headers: &HeaderMap, owner: &mut String) -> bool {
    if let Some(plain) = owner.strip_suffix(pages::HTML_ENDING) {
        owner.truncate(plain.len());
        return true;
    }
    negotiation::wants_html(headers)
}
