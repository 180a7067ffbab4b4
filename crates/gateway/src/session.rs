//! Sign-in by cookie: a form becomes tokens, tokens become cookies, signing out takes both back.
//!
//! The gateway knows no password and keeps no session: it asks the token endpoint as any client
//! would. What it adds is that no script sees a token, that no other site's page can sign anybody
//! in or out, and that a sign-in that was ended opens nothing here any more, whatever becomes of the
//! service that gave it (see [`sign_out`]).

mod endpoint;
pub(crate) mod sign_out;

use std::net::SocketAddr;

use chassis::clock;
use chassis::http::fields::Form;
use chassis::http::{Inbound, Problem, Response, Trace, empty, whole};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, SET_COOKIE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde::Deserialize;
use serde_json::Value;
use tracing::warn;

use crate::cookies::Cookies;
use crate::origin;
use crate::plan::Session;
use crate::proxy::Core;
use crate::shared::Shared;
use endpoint::Endpoint;

/// The word for a name, a password or a refresh token that is no good (RFC 6749, 5.2).
const INVALID_GRANT: &str = "invalid_grant";
/// The largest form of a sign-in.
const FORM_BYTES_MAX: usize = 8 * 1024;
/// Where tokens are given.
const TOKEN_PATH: &str = "/oauth/token";
/// When it is worth coming back to a memory of ended sign-ins that was full.
const FULL_RETRY_SECONDS: u64 = 60;
const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");
/// The fields of a rate limit that a refusal of the token endpoint keeps.
const RATE_LIMIT: [HeaderName; 2] =
    [HeaderName::from_static("ratelimit"), HeaderName::from_static("ratelimit-policy")];
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
    /// It refused, with this word (RFC 6749, 5.2).
    Refused(StatusCode, String),
}

/// A request about the session.
pub(crate) struct Ask<'g> {
    pub(crate) shared: &'g Shared,
    pub(crate) core: &'g Core,
    pub(crate) session: &'g Session,
    pub(crate) cookies: &'g Cookies,
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
            _ => self.sign_out().await,
        }
    }

    async fn sign_in(&self, body: Inbound) -> Result<Response, Problem> {
        let text = whole::read(body, FORM_BYTES_MAX).await?;
        let form = Form::parse(&self.parts.headers, &text)?;
        let (Some(username), Some(password)) = (form.get("username"), form.get("password")) else {
            return Err(incomplete(&form));
        };
        if self.shared.verifier.ended().is_full(clock::wall()) {
            let full = Problem::unavailable("connection_limit_reached", FULL_RETRY_SECONDS);
            return Err(full.detail("too many sign-ins have ended of late"));
        }
        let pairs = [("grant_type", "password"), ("username", username), ("password", password)];
        match self.token(&pairs).await? {
            Answer::Granted(granted) => signed_in(self.cookies, &granted),
            Answer::Refused(status, word) => Err(refused(status, word)),
        }
    }

    async fn renew(&self) -> Result<Response, Problem> {
        let Some(refresh) = self.cookies.refresh(&self.parts.headers) else {
            return Err(Problem::unauthorized());
        };
        let owed = self.shared.sessions().is_owed(refresh);
        if owed.map_err(|_| Problem::storage_unavailable())? {
            return Ok(self.over());
        }
        let pairs = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
        match self.token(&pairs).await? {
            // It ended here, and who gave it has not heard yet.
            Answer::Granted(granted) if self.is_ended(&granted.access_token) => Ok(self.over()),
            Answer::Granted(granted) => signed_in(self.cookies, &granted),
            Answer::Refused(_, word) if word == INVALID_GRANT => Ok(self.over()),
            Answer::Refused(status, word) => Err(refused(status, word)),
        }
    }

    /// The refusal of who comes with a sign-in that is over, which takes its cookies back.
    fn over(&self) -> Response {
        let refusal = Problem::unauthorized().detail("this sign-in has ended");
        cleared(self.cookies, refusal.into_response(&Trace::take(&self.parts.headers)))
    }

    fn is_ended(&self, token: &str) -> bool {
        let verifier = &self.shared.verifier;
        verifier.inspect(token).is_ok_and(|it| verifier.ended().contains(&it.session))
    }

    /// Asks the token endpoint for tokens.
    async fn token(&self, pairs: &[(&str, &str)]) -> Result<Answer, Problem> {
        let endpoint = self.endpoint(self.session.sign_in);
        let (status, headers, text) = endpoint.ask(TOKEN_PATH, pairs).await?;
        if status.is_success() {
            return serde_json::from_slice(&text).map(Answer::Granted).map_err(|error| {
                warn!(%error, "the token endpoint's answer is no token");
                nonsense()
            });
        }
        let worded = status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS;
        if worded && is_json(&headers) {
            return Ok(Answer::Refused(status, word_of(&text)));
        }
        Err(passed_on(status, &headers))
    }

    fn endpoint(&self, route: usize) -> Endpoint<'_> {
        let route = &self.shared.routes[route];
        Endpoint { core: self.core, route, asked_by: (&self.parts.headers, self.peer) }
    }
}

/// The word of a refusal (RFC 6749, 5.2); empty where there is none.
fn word_of(text: &[u8]) -> String {
    let body: Value = serde_json::from_slice(text).unwrap_or_default();
    body["error"].as_str().unwrap_or_default().to_owned()
}

fn signed_in(cookies: &Cookies, granted: &Granted) -> Result<Response, Problem> {
    let session = cookies.carry_session(&granted.access_token, granted.expires_in);
    let refresh = granted.refresh_token.as_deref().and_then(|token| cookies.carry_refresh(token));
    let mut response = quiet(empty(StatusCode::NO_CONTENT));
    for cookie in [Some(session.ok_or_else(nonsense)?), refresh].into_iter().flatten() {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    Ok(response)
}

/// What a form of a sign-in lacks.
fn incomplete(form: &Form) -> Problem {
    let lacks = ["username", "password"].into_iter().filter(|name| form.get(name).is_none());
    let problem = Problem::bad_request("a name and a password are needed");
    lacks.fold(problem, |problem, name| problem.field(name, "is missing", None))
}

/// The token endpoint's own refusal. Its words are for programs that ask it themselves; here it is a
/// problem as everywhere, which keeps the word.
fn refused(status: StatusCode, word: String) -> Problem {
    let detail = match word.as_str() {
        INVALID_GRANT => "no user has this name and this password",
        _ => "the sign-in service does not accept this",
    };
    let problem = Problem::new(status, "sign-in-refused", "Signing in was refused");
    problem.detail(detail).error(word)
}

/// Takes both cookies back with an answer.
fn cleared(cookies: &Cookies, response: Response) -> Response {
    let mut response = quiet(response);
    for cookie in cookies.cleared() {
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
        let fields = RATE_LIMIT.into_iter().filter_map(|name| Some((headers.get(&name)?, name)));
        return fields.fold(Problem::too_many(seconds), |problem, (value, name)| {
            problem.header(name, value.clone())
        });
    }
    warn!(%status, "the sign-in service refused");
    Problem::unavailable("destination_unavailable", seconds).detail("sign-in is not available")
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("application/json"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cookies::Jar;

    #[test]
    fn a_grant_becomes_two_cookies_and_nothing_else() {
        let granted = |token: &str, refresh: Option<&str>| Granted {
            access_token: token.to_owned(),
            expires_in: 900,
            refresh_token: refresh.map(str::to_owned),
        };
        let jar = Jar::new("x", false);
        let signed_in = |granted: &Granted| super::signed_in(jar.of(false), granted);
        let response = signed_in(&granted("a.b.c", Some("r"))).expect("cookies");
        assert_eq!(response.status(), 204);
        assert_eq!(response.headers().get_all(SET_COOKIE).iter().count(), 2);
        let response = signed_in(&granted("a.b.c", None)).expect("a cookie");
        assert_eq!(response.headers().get_all(SET_COOKIE).iter().count(), 1);
        let refused = signed_in(&granted("a; Domain=evil.example", None)).expect_err("no token");
        assert_eq!(refused.status(), 502);
    }
}
