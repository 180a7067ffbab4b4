//! How what is refused is shown: as the problem document that it is, or as a page to a browser.
//!
//! Only where the settings say so (`app.error_pages`), only for a GET or HEAD, and only in the place of
//! a problem document: what a service answers in another form is its own to say. The app's page of
//! something that a service knows is a refusal too where that service says 404; it is asked before the
//! page is sent, for a moment ([`KNOWN_WITHIN`]) and through the route's guards.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use chassis::http::trace::TRACEPARENT;
use chassis::http::{Problem, Response, Trace};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, VIA};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};

use super::{Face, Server};
use crate::error_page;
use crate::hygiene;
use crate::negotiation;
use crate::origin;
use crate::proxy::Call;
use crate::who::Who;

/// How long a service may take to say whether there is what a page of the app is about.
const KNOWN_WITHIN: Duration = Duration::from_millis(250);
/// How a problem document says what it is.
const PROBLEM: &[u8] = b"application/problem+json";

/// How a refusal is shown, should there be one. What is accepted is read then and not before: hardly any
/// answer is a refusal.
#[derive(Clone, Debug)]
pub(super) enum ErrorFormat {
    /// Whatever it is.
    AsItIs,
    /// As a page to whom these lines of `Accept` name HTML for; as it is to others.
    ByAccept(Accept),
}

/// The lines of a request's `Accept`; nearly always there is one at most.
#[derive(Clone, Debug)]
pub(super) struct Accept {
    first: Option<HeaderValue>,
    more: Vec<HeaderValue>,
}

impl Accept {
    fn of(headers: &HeaderMap) -> Accept {
        let mut lines = headers.get_all(ACCEPT).iter().cloned();
        Accept { first: lines.next(), more: lines.collect() }
    }

    fn names_html(&self) -> bool {
        negotiation::names_html(self.first.iter().chain(&self.more))
    }
}

impl ErrorFormat {
    /// Whether it is a page.
    pub(super) fn is_page(&self) -> bool {
        matches!(self, ErrorFormat::ByAccept(accept) if accept.names_html())
    }
}

impl Server {
    /// The app's page of something, or a 404 where the service that would know of it says so to this sender. Any
    /// other answer, or none in [`KNOWN_WITHIN`], leaves it to the app to say.
    pub(super) async fn app_if_known(
        &self,
        route: usize,
        page: Response,
        who: Who,
        parts: &Parts,
        peer: SocketAddr,
    ) -> Response {
        let route = &self.shared.routes[route];
        let parts = Box::new(question(parts, who.principal.is_some()));
        let trace = Trace::take(&parts.headers);
        let call = Call { parts, who, peer, shared_with_app: false };
        let asked = self.core.ask(route, call, Bytes::new());
        match tokio::time::timeout(KNOWN_WITHIN, asked).await {
            Ok(Ok(answer)) if answer.status() == StatusCode::NOT_FOUND => {
                self.error_page(Problem::not_found().into_response(&trace))
            }
            _ => page,
        }
    }

    /// The app's page for a refusal.
    pub(super) fn error_page(&self, refusal: Response) -> Response {
        self.shared.app.error_page(refusal, self.shared.plan.error_texts.as_ref())
    }

    /// How a refusal of this request is shown.
    pub(super) fn error_format(&self, parts: &Parts) -> ErrorFormat {
        let pages = self.face == Face::Outer && self.shared.plan.error_pages;
        if pages && origin::is_safe(&parts.method) {
            ErrorFormat::ByAccept(Accept::of(&parts.headers))
        } else {
            ErrorFormat::AsItIs
        }
    }

    /// The answer as it is shown: a problem document is a page to whom asks for one.
    pub(super) fn show(&self, format: &ErrorFormat, mut response: Response) -> Response {
        let status = response.status();
        let ErrorFormat::ByAccept(accept) = format else { return response };
        if !(status.is_client_error() || status.is_server_error()) {
            return response;
        }
        if is_problem(response.headers()) && accept.names_html() {
            return self.error_page(response);
        }
        error_page::vary_by_accept(response.headers_mut());
        response
    }
}

/// Whether there is what a page of the app is about, asked in nobody's name; where it comes from stays,
/// since it counts against the limits of who looks.
fn question(asked: &Parts, by_somebody: bool) -> Parts {
    let mut parts =
        Request::head(asked.uri.path()).body(()).expect("a path that was read").into_parts().0;
    parts.headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    let trace = HeaderName::from_static(TRACEPARENT);
    let token = by_somebody.then_some(AUTHORIZATION);
    for name in [HOST, VIA, trace].into_iter().chain(token).chain(hygiene::ORIGINS) {
        for value in asked.headers.get_all(&name) {
            parts.headers.append(&name, value.clone());
        }
    }
    parts
}

fn is_problem(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(PROBLEM))
}
