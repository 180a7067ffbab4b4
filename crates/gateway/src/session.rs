//! Sign-in by cookie: a form becomes tokens, tokens become cookies, signing out takes both back.
//!
//! The gateway knows no password and keeps no session: it asks the token endpoint as any client
//! would. What it adds is that no script sees a token, that no other site's page can sign anybody
//! in or out, and that a sign-in that was ended opens nothing here any more, whatever becomes of the
//! service that gave it (see [`sign_out`]). Whose a refresh token is, it writes beside it ([`seal`](crate::seal)).

pub(crate) mod sign_out;
mod token_endpoint;

use std::net::SocketAddr;
use std::time::Duration;

use chassis::chance;
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
use crate::credentials::{Credentials, credentials};
use crate::origin;
use crate::plan::SignIn;
use crate::proxy::Core;
use crate::seal::{Family, Refresh};
use crate::shared::Shared;
use token_endpoint::{AskedBy, TokenEndpoint};

/// The word for a name, a password or a refresh token that is no good (RFC 6749, 5.2).
const INVALID_GRANT: &str = "invalid_grant";
/// The largest form of a sign-in.
const FORM_BYTES_MAX: usize = 8 * 1024;
/// When it is worth coming back to a memory of ended sign-ins that was full.
const FULL_RETRY_SECONDS: u64 = 60;
/// Refresh tokens of one request that something is done for, of those under our seal and of the others.
const REFRESHES_MAX: usize = 8;
/// Random bytes of a sign-in's id, where its tokens name none that we can read.
const FAMILY_BYTES: usize = 16;
const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");
/// The fields of a rate limit that a refusal of the token endpoint keeps.
const RATE_LIMIT: [HeaderName; 2] =
    [HeaderName::from_static("ratelimit"), HeaderName::from_static("ratelimit-policy")];
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// What the token endpoint gives.
#[derive(Deserialize)]
struct Granted {
    access_token: String,
    /// Required (RFC 6749, 5.1); where it is left out, nothing says that it is another one.
    token_type: Option<String>,
    /// Recommended and no more (RFC 6749, 5.1).
    expires_in: Option<u64>,
    #[serde(default)]
    refresh_token: Option<String>,
}

/// How the token endpoint answered (RFC 6749, 5).
enum TokenResponse {
    Granted(Granted),
    /// It refused, with this word (RFC 6749, 5.2).
    Denied(StatusCode, String),
}

/// A request about the session.
pub(crate) struct Ask<'g> {
    pub(crate) shared: &'g Shared,
    pub(crate) core: &'g Core,
    pub(crate) session: &'g SignIn,
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
        if !origin::is_own(&self.parts.headers, self.cookies.is_secure()) {
            return Err(Problem::forbidden("another site's page may not use the session"));
        }
        match self.parts.method {
            Method::POST => self.sign_in(body).await,
            Method::PUT => self.renew().await,
            _ => self.sign_out().await,
        }
    }

    async fn sign_in(&self, body: Inbound) -> Result<Response, Problem> {
        let text = whole::read(&self.parts.headers, body, FORM_BYTES_MAX).await?;
        let form = Form::parse(&self.parts.headers, &text)?;
        let Credentials { username, password } = credentials(&form)?;
        // Before the password is tried: a sign-in that nobody could end any more is not begun.
        if self.is_full().await? {
            let full = Problem::unavailable(
                "connection_limit_reached",
                chance::seconds(FULL_RETRY_SECONDS),
            );
            return Err(full.detail("too many sign-ins have ended of late"));
        }
        let pairs = [("grant_type", "password"), ("username", username), ("password", password)];
        match self.token(&pairs).await? {
            TokenResponse::Granted(granted) => {
                self.signed_in(&granted, &self.family_of(&granted, None))
            }
            TokenResponse::Denied(status, word) => Err(denied(status, word)),
        }
    }

    async fn renew(&self) -> Result<Response, Problem> {
        let Refresh { token, family } = self.refresh()?;
        // Known here before the giver is asked: it may be away, and need not have heard.
        if self.is_over(&token, family.as_ref()).await? {
            return Ok(self.over());
        }
        let pairs = [("grant_type", "refresh_token"), ("refresh_token", &*token)];
        match self.token(&pairs).await? {
            TokenResponse::Granted(granted) => {
                let family = self.family_of(&granted, family);
                // It may have ended here meanwhile, and who gave it need not have heard.
                if self.is_over(&token, Some(&family)).await? {
                    return Ok(self.over());
                }
                self.signed_in(&granted, &family)
            }
            // The giver knows it no more. Its cookies go too, so that the browser does not ask for ever.
            TokenResponse::Denied(_, word) if word == INVALID_GRANT => Ok(self.over()),
            TokenResponse::Denied(status, word) => Err(denied(status, word)),
        }
    }

    /// The refresh token to renew by. One under our seal, whose sign-in goes on, goes before any other: what
    /// a page of the same site has planted has no seal, or one of another sign-in.
    ///
    /// # Errors
    /// 401: none, or of two sign-ins; nobody can say which of them sits there, and no cookie is taken back.
    fn refresh(&self) -> Result<Refresh<'_>, Problem> {
        let ended = self.shared.verifier.ended();
        let mut sealed: Option<Refresh<'_>> = None;
        let mut first = None;
        for refresh in self.refreshes() {
            let lives = refresh.family.as_ref().is_some_and(|it| !ended.contains(&it.id));
            match &sealed {
                Some(known) if lives && !known.is_of_one_sign_in_with(&refresh) => {
                    let two = "the cookies of two sign-ins came; sign out, and in again";
                    return Err(Problem::unauthorized().detail(two));
                }
                None if lives => sealed = Some(refresh),
                _ => first = first.or(Some(refresh)),
            }
        }
        sealed.or(first).ok_or_else(Problem::unauthorized)
    }

    /// The refresh tokens that the request brings, and what our seal says of them: [`REFRESHES_MAX`] under it,
    /// and as many others, so that none of those comes in the way of one of ours.
    fn refreshes(&self) -> impl Iterator<Item = Refresh<'_>> {
        let cookies = self.cookies.refreshes(&self.parts.headers);
        let (mut sealed, mut others) = (0, 0);
        cookies.map(|cookie| self.shared.seal().open(cookie)).filter(move |refresh| {
            let count = if refresh.family.is_some() { &mut sealed } else { &mut others };
            *count += 1;
            *count <= REFRESHES_MAX
        })
    }

    /// Whether one more sign-in could not be ended within the limits.
    async fn is_full(&self) -> Result<bool, Problem> {
        let debts = self.shared.sessions().is_full().await;
        let debts = debts.map_err(|_| Problem::storage_unavailable())?;
        Ok(debts || self.shared.verifier.ended().is_full(clock::wall()))
    }

    /// Whether the sign-in of a refresh token has ended here.
    async fn is_over(&self, token: &str, family: Option<&Family>) -> Result<bool, Problem> {
        let id = family.map(|family| family.id.as_str());
        if id.is_some_and(|id| self.shared.verifier.ended().contains(id)) {
            return Ok(true);
        }
        let owed = self.shared.sessions().is_owed(token, id).await;
        owed.map_err(|_| Problem::storage_unavailable())
    }

    /// Whose the tokens are: what the access token says, else the sign-in that was renewed, else a
    /// new one.
    fn family_of(&self, granted: &Granted, renewed: Option<Family>) -> Family {
        // Our own tokens say it themselves, whether or not they still open anything.
        if let Ok(principal) = self.shared.verifier.inspect(&granted.access_token) {
            return Family { id: principal.session.clone(), life: principal.life() };
        }
        let life = Duration::from_secs(granted.expires_in.unwrap_or_default());
        // A foreign token names no sign-in that we can read: it stays that of the cookie that was renewed.
        let id = renewed.map_or_else(|| chance::token(FAMILY_BYTES), |family| family.id);
        Family { id, life }
    }

    /// The cookies of a sign-in.
    fn signed_in(&self, granted: &Granted, family: &Family) -> Result<Response, Problem> {
        signed_in(self.cookies, granted, |token| self.shared.seal().close(token, family))
    }

    /// The refusal of who comes with a sign-in that is over, which takes its cookies back.
    fn over(&self) -> Response {
        let refusal = Problem::unauthorized().detail("this sign-in has ended");
        cleared(self.cookies, refusal.into_response(&Trace::take(&self.parts.headers)))
    }

    /// Asks the token endpoint for tokens.
    async fn token(&self, pairs: &[(&str, &str)]) -> Result<TokenResponse, Problem> {
        let endpoint = self.endpoint(self.session.sign_in);
        let answer = endpoint.ask(&self.session.token, pairs).await?;
        let status = answer.status();
        let text = answer.body();
        if status.is_success() {
            let granted: Granted = serde_json::from_slice(text).map_err(|error| {
                warn!(%error, "the token endpoint's answer is no token");
                nonsense()
            })?;
            return granted.of_a_known_type().map(TokenResponse::Granted);
        }
        // 429 is no word about these tokens: it is passed on with its `Retry-After`.
        let worded = status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS;
        if worded && is_json(answer.headers()) {
            return Ok(TokenResponse::Denied(status, word_of(text)));
        }
        Err(passed_on(status, answer.headers()))
    }

    fn endpoint(&self, route: usize) -> TokenEndpoint<'_> {
        let route = &self.shared.routes[route];
        let asked_by = AskedBy { headers: &self.parts.headers, peer: self.peer };
        TokenEndpoint { core: self.core, route, asked_by }
    }
}

impl Granted {
    /// Nobody uses a token of a type he does not understand (RFC 6749, 7.1).
    fn of_a_known_type(self) -> Result<Granted, Problem> {
        match &self.token_type {
            Some(other) if !other.eq_ignore_ascii_case("bearer") => {
                warn!(token_type = %other.escape_debug(), "the token endpoint's token is no bearer's");
                Err(nonsense())
            }
            _ => Ok(self),
        }
    }
}

/// The word of a refusal (RFC 6749, 5.2); empty where there is none.
fn word_of(text: &[u8]) -> String {
    let body: Value = serde_json::from_slice(text).unwrap_or_default();
    body["error"].as_str().unwrap_or_default().to_owned()
}

fn signed_in(
    cookies: &Cookies,
    granted: &Granted,
    sealed: impl Fn(&str) -> String,
) -> Result<Response, Problem> {
    let session = cookies.carry_session(&granted.access_token, granted.expires_in);
    // Without our seal where there is no room for it: better than no way to go on. Where there is no room
    // even so, a sign-in that ends by itself before long would be a surprise.
    let carry = |token: &str| {
        let carried =
            cookies.carry_refresh(&sealed(token)).or_else(|| cookies.carry_refresh(token));
        carried.ok_or_else(|| {
            warn!(bytes = token.len(), "the token endpoint's refresh token fits into no cookie");
            nonsense()
        })
    };
    let given = granted.refresh_token.as_deref().filter(|token| !token.is_empty());
    let refresh = given.map(carry).transpose()?;
    let mut response = quiet(empty(StatusCode::NO_CONTENT));
    for cookie in [Some(session.ok_or_else(nonsense)?), refresh].into_iter().flatten() {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    Ok(response)
}

/// The token endpoint's own refusal. Its words are for programs that ask it themselves; here it is a
/// problem as everywhere, which keeps the word.
fn denied(status: StatusCode, word: String) -> Problem {
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
        .unwrap_or_else(|| chance::seconds(1));
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
            token_type: None,
            expires_in: Some(900),
            refresh_token: refresh.map(str::to_owned),
        };
        let jar = Jar::new("x", false, "/session");
        let signed_in = |granted: &Granted| {
            super::signed_in(jar.of(false), granted, |token| format!("{token}.sealed"))
        };
        let response = signed_in(&granted("a.b.c", Some("r"))).expect("cookies");
        assert_eq!(response.status(), 204);
        let cookies = |response: &Response, text: &str| {
            let cookies = response.headers().get_all(SET_COOKIE).iter();
            cookies.filter(|cookie| cookie.to_str().expect("text").contains(text)).count()
        };
        assert_eq!((cookies(&response, ""), cookies(&response, "=r.sealed;")), (2, 1));
        let long = "r".repeat(3_800);
        let response = signed_in(&granted("a.b.c", Some(&long))).expect("cookies");
        assert_eq!(cookies(&response, &format!("={long};")), 1, "no room for a seal");
        let longer = format!("{long}r");
        let past = signed_in(&granted("a.b.c", Some(&longer))).expect_err("no room at all");
        assert_eq!(past.status(), 502, "a sign-in that cannot be renewed is said to be one");
        let response = signed_in(&granted("a.b.c", Some(""))).expect("a cookie");
        assert_eq!(cookies(&response, ""), 1, "an empty one is none");
        let response = signed_in(&granted("a.b.c", None)).expect("a cookie");
        assert_eq!(response.headers().get_all(SET_COOKIE).iter().count(), 1);
        let refused = signed_in(&granted("a; Domain=evil.example", None)).expect_err("no token");
        assert_eq!(refused.status(), 502);
    }

    #[test]
    fn a_token_of_another_type_is_used_by_nobody() {
        let types = [
            (None, true),
            (Some("Bearer"), true),
            (Some("bearer"), true),
            (Some("BEARER"), true),
            (Some("mac"), false),
            (Some("N_A"), false),
            (Some("DPoP"), false),
            (Some(""), false),
            (Some("bearer "), false),
        ];
        for (given, taken) in types {
            let granted = Granted {
                access_token: "a.b.c".to_owned(),
                token_type: given.map(str::to_owned),
                expires_in: None,
                refresh_token: None,
            };
            let status = granted.of_a_known_type().err().map(|problem| problem.status().as_u16());
            assert_eq!(status, (!taken).then_some(502), "{given:?}");
        }
    }
}
