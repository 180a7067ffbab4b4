//! Sign-in by cookie: a form becomes tokens, tokens become cookies, signing out takes both back.
//!
//! The gateway knows no password and keeps no session: it asks the token endpoint as any client
//! would. What it adds is that no script sees a token, that no other site's page can sign anybody
//! in or out, and that a token that was signed out opens nothing here any more.

use bytes::Bytes;
use chassis::clock;
use chassis::http::fields::Form;
use chassis::http::{Body, Inbound, Problem, Response, body, empty, json};
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HOST, SET_COOKIE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use serde::Deserialize;
use serde_json::json as value;
use tracing::warn;

use std::net::SocketAddr;

use crate::cookies;
use crate::gateway::Shared;
use crate::hygiene;
use crate::origin;
use crate::proxy::{Call, Core, Route};
use crate::who::Who;

/// The largest form of a sign-in.
const FORM_BYTES_MAX: usize = 8 * 1024;
const TOKEN_PATH: &str = "/oauth/token";
const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// What the token endpoint gives.
#[derive(Deserialize)]
struct Granted {
    access_token: String,
    #[serde(default)]
    expires_in: u64,
    #[serde(default)]
    refresh_token: Option<String>,
}

/// How the token endpoint answered.
enum Answer {
    Granted(Granted),
    /// It refused, in its own words.
    Refused(StatusCode, Bytes),
}

/// A request about the session.
pub(crate) struct Ask<'g> {
    pub(crate) shared: &'g Shared,
    pub(crate) core: &'g Core,
    pub(crate) route: &'g Route,
    pub(crate) parts: Box<Parts>,
    pub(crate) peer: SocketAddr,
}

impl Ask<'_> {
    /// Signs in (POST), renews (PUT) or signs out (DELETE).
    ///
    /// # Errors
    /// 403 for another site's page; what the form or the token endpoint is wrong about.
    pub(crate) async fn answer(self, body: Inbound) -> Result<Response, Problem> {
        if !origin::is_own(&self.parts.headers) {
            return Err(Problem::forbidden("another site's page may not use the session"));
        }
        match self.parts.method {
            Method::POST => self.sign_in(body).await,
            Method::PUT => self.renew().await,
            _ => Ok(self.sign_out()),
        }
    }

    async fn sign_in(&self, body: Inbound) -> Result<Response, Problem> {
        let text = body::read(body, FORM_BYTES_MAX).await?;
        let form = Form::parse(&self.parts.headers, &text)?;
        let (Some(username), Some(password)) = (form.get("username"), form.get("password")) else {
            let missing = value!({ "error": "invalid_request" });
            return Ok(quiet(json(StatusCode::BAD_REQUEST, &missing)));
        };
        let pairs = [("grant_type", "password"), ("username", username), ("password", password)];
        match self.token(&pairs).await? {
            Answer::Granted(granted) => signed_in(&granted),
            Answer::Refused(status, text) => Ok(refused(status, text)),
        }
    }

    async fn renew(&self) -> Result<Response, Problem> {
        let Some(refresh) = cookies::get(&self.parts.headers, cookies::REFRESH) else {
            return Ok(cleared(StatusCode::UNAUTHORIZED));
        };
        let pairs = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
        match self.token(&pairs).await? {
            Answer::Granted(granted) => signed_in(&granted),
            Answer::Refused(..) => Ok(cleared(StatusCode::UNAUTHORIZED)),
        }
    }

    fn sign_out(&self) -> Response {
        let (shared, now) = (self.shared, clock::wall());
        let who = Who::of(&self.parts.headers, &shared.verifier, &shared.revoked, now);
        if let Ok(Who { principal: Some(principal), .. }) = who {
            shared.revoked.revoke(&principal, now);
            shared.streams.end(&principal.session);
        }
        let mut response = cleared(StatusCode::NO_CONTENT);
        let cache = HeaderValue::from_static("\"cache\"");
        response.headers_mut().insert(CLEAR_SITE_DATA, cache);
        response
    }

    /// Asks the token endpoint.
    async fn token(&self, pairs: &[(&str, &str)]) -> Result<Answer, Problem> {
        let form = encoded(pairs);
        let call = Call {
            parts: Box::new(self.request(form.len())),
            who: Who::default(),
            peer: self.peer,
            shared_with_app: false,
        };
        let (status, headers, text) = self.core.ask(self.route, call, form.into()).await?;
        if status.is_success() {
            return serde_json::from_slice(&text).map(Answer::Granted).map_err(|error| {
                warn!(%error, "the token endpoint's answer is no token");
                nonsense()
            });
        }
        if status.is_client_error() && is_json(&headers) {
            return Ok(Answer::Refused(status, text));
        }
        Err(passed_on(status, &headers))
    }

    fn request(&self, length: usize) -> Parts {
        let mut request = Request::post(TOKEN_PATH).body(()).expect("a constant path");
        let headers = request.headers_mut();
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        headers.insert(CONTENT_TYPE, form);
        headers.insert(CONTENT_LENGTH, length.into());
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let trace = HeaderName::from_static(chassis::http::trace::TRACEPARENT);
        for name in [HOST, trace].into_iter().chain(hygiene::ORIGINS) {
            for value in self.parts.headers.get_all(&name) {
                headers.append(&name, value.clone());
            }
        }
        request.into_parts().0
    }
}

fn signed_in(granted: &Granted) -> Result<Response, Problem> {
    let session = cookies::session(&granted.access_token, granted.expires_in);
    let refresh = granted.refresh_token.as_deref().and_then(cookies::refresh);
    let mut response = quiet(empty(StatusCode::NO_CONTENT));
    for cookie in [Some(session.ok_or_else(nonsense)?), refresh].into_iter().flatten() {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    Ok(response)
}

/// The token endpoint's own refusal.
fn refused(status: StatusCode, text: Bytes) -> Response {
    let mut response = Response::new(Body::full(text));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    quiet(response)
}

fn cleared(status: StatusCode) -> Response {
    let mut response = quiet(empty(status));
    for cookie in cookies::cleared() {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}

fn quiet(mut response: Response) -> Response {
    response.headers_mut().insert(CACHE_CONTROL, NO_STORE);
    response
}

fn nonsense() -> Problem {
    Problem::new(StatusCode::BAD_GATEWAY, "bad-gateway", "The sign-in service cannot be understood")
        .proxy_status("http_protocol_error")
}

/// A refusal of the sign-in service that is not about the sign-in: overload, or trouble of its own.
fn passed_on(status: StatusCode, headers: &HeaderMap) -> Problem {
    let seconds = headers
        .get(http::header::RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.parse().ok())
        .unwrap_or(1);
    if status == StatusCode::TOO_MANY_REQUESTS {
        return Problem::too_many(seconds);
    }
    warn!(%status, "the sign-in service refused");
    Problem::unavailable("destination_unavailable", seconds).detail("sign-in is not available")
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("application/json"))
}

/// A form, encoded.
fn encoded(pairs: &[(&str, &str)]) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    for (name, value) in pairs {
        if !text.is_empty() {
            text.push('&');
        }
        text.push_str(name);
        text.push('=');
        for byte in value.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                    text.push(char::from(byte));
                }
                other => write!(text, "%{other:02X}").expect("a string takes any text"),
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_cannot_be_escaped_from() {
        let cases = [
            (vec![("a", "b")], "a=b"),
            (vec![("a", "1@x.y"), ("b", "p&c=d%")], "a=1%40x.y&b=p%26c%3Dd%25"),
            (vec![("a", "가 +\r\n")], "a=%EA%B0%80%20%2B%0D%0A"),
        ];
        for (pairs, expected) in cases {
            assert_eq!(encoded(&pairs), expected);
        }
    }

    #[test]
    fn a_grant_becomes_two_cookies_and_nothing_else() {
        let granted = |token: &str, refresh: Option<&str>| Granted {
            access_token: token.to_owned(),
            expires_in: 900,
            refresh_token: refresh.map(str::to_owned),
        };
        let response = signed_in(&granted("a.b.c", Some("r"))).expect("cookies");
        assert_eq!(response.status(), 204);
        assert_eq!(response.headers().get_all(SET_COOKIE).iter().count(), 2);
        let response = signed_in(&granted("a.b.c", None)).expect("a cookie");
        assert_eq!(response.headers().get_all(SET_COOKIE).iter().count(), 1);
        let refused = signed_in(&granted("a; Domain=evil.example", None)).expect_err("no token");
        assert_eq!(refused.status(), 502);
    }
}
