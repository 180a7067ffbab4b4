//! Tokens: what is asked for by a grant, in the words of RFC 6749.
//!
//! Access tokens are signed and live an hour; nobody keeps them. Refresh tokens are secrets of 256
//! bits kept by their hash, each good for one use; how many a user holds and how long is bounded.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chassis::chance;
use chassis::http::fields::Form;
use chassis::http::{Problem, Response, json};
use chassis::identity::Role;
use events::store::sqlite::Write;
use http::header::{AUTHORIZATION, PRAGMA, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use jiff::{SignedDuration, Timestamp};
use serde_json::json as value;
use sha2::{Digest, Sha256};

use super::api::Server;
use super::decide::Grant;
use super::store::sqlite;
use super::wire::Tokens;
use crate::edge::{self, Call, Refusal};

/// How long an access token lives.
pub(super) const ACCESS_LIFE: Duration = Duration::from_secs(60 * 60);
/// How long a refresh token may wait for its use.
pub(super) const REFRESH_LIFE: SignedDuration = SignedDuration::from_hours(14 * 24);

const REFRESH_BYTES: usize = 32;

/// Why there is no token.
enum Denied {
    /// 400 with RFC 6749's word.
    Word(&'static str),
    /// 401: the client's own name or secret is wrong.
    Client,
    /// Anything else, with its problem's status and headers.
    Refusal(Refusal),
}

/// Whom a token is for, and the refresh token that goes with it.
struct Granted {
    subject: String,
    role: Role,
    refresh: Option<String>,
}

impl<E: Into<Refusal>> From<E> for Denied {
    fn from(error: E) -> Denied {
        Denied::Refusal(error.into())
    }
}

/// Answers a token request.
pub(super) async fn answer(server: &Server, mut call: Call) -> Response {
    let response = match grant(server, &mut call).await {
        Ok(granted) => tokens(server, &granted),
        Err(Denied::Word(word)) => refusal(StatusCode::BAD_REQUEST, word),
        Err(Denied::Client) => {
            let mut response = refusal(StatusCode::UNAUTHORIZED, "invalid_client");
            let challenge = HeaderValue::from_static("Basic realm=\"oauth\"");
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
            response
        }
        Err(Denied::Refusal(cause)) => in_its_words(cause, &call),
    };
    let mut response = edge::private(response);
    response.headers_mut().insert(PRAGMA, HeaderValue::from_static("no-cache"));
    response
}

async fn grant(server: &Server, call: &mut Call) -> Result<Granted, Denied> {
    let client = client(server, &call.headers)?;
    let body = call.bytes().await?;
    let form = Form::parse(&call.headers, &body).map_err(|_| Denied::Word("invalid_request"))?;
    match Grant::read(&form).map_err(Denied::Word)? {
        Grant::Password { username, password } => by_password(server, &username, password).await,
        Grant::Refresh { token } => by_refresh(server, &token).await,
        Grant::Client => {
            let subject = client.ok_or(Denied::Client)?;
            Ok(Granted { subject: subject.to_owned(), role: Role::OrderAdmin, refresh: None })
        }
    }
}

/// The client of the `Basic` header: `None` without one, denied where it is wrong.
fn client(server: &Server, headers: &HeaderMap) -> Result<Option<&'static str>, Denied> {
    let Some(header) = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()) else {
        return Ok(None);
    };
    let Some((scheme, encoded)) = header.split_once(' ') else { return Err(Denied::Client) };
    if !scheme.eq_ignore_ascii_case("basic") {
        return Ok(None);
    }
    let given = STANDARD.decode(encoded.trim()).map_err(|_| Denied::Client)?;
    let (name, secret) = server.client.ok_or(Denied::Client)?;
    // Digests are compared, so that how far two texts agree cannot be read from the time it takes.
    let known = Sha256::digest(format!("{name}:{secret}"));
    if Sha256::digest(given) == known { Ok(Some(name)) } else { Err(Denied::Client) }
}

async fn by_password(server: &Server, username: &str, password: String) -> Result<Granted, Denied> {
    let username = username.to_lowercase();
    let user: Result<_, Refusal> =
        server.database.read(|connection| Ok(sqlite::find(connection, &username)?));
    let user = user?;
    let phc = user.as_ref().map(|user| user.phc.clone());
    let matches = server.passwords.matches(password, phc).await;
    let matches = matches.map_err(|_| Problem::unavailable("connection_limit_reached", 1))?;
    let user = user.filter(|_| matches).ok_or(Denied::Word("invalid_grant"))?;
    let (refresh, hash) = new_refresh();
    let (now, name) = ((server.clock)(), user.username.clone());
    let kept = server.database.write(move |write| keep(write, &hash, &name, now));
    kept.await?;
    Ok(Granted { subject: user.username, role: user.role, refresh: Some(refresh) })
}

async fn by_refresh(server: &Server, token: &str) -> Result<Granted, Denied> {
    let old = digest(token);
    let (refresh, hash) = new_refresh();
    let now = (server.clock)();
    let rotated = server.database.write(move |write| {
        let Some(username) = sqlite::take_refresh(write.sql(), &old, now)? else {
            return Ok(None);
        };
        keep(write, &hash, &username, now)?;
        sqlite::find(write.sql(), &username)
    });
    let user = rotated.await?.ok_or(Denied::Word("invalid_grant"))?;
    Ok(Granted { subject: user.username, role: user.role, refresh: Some(refresh) })
}

fn keep(
    write: &mut Write<'_>,
    hash: &[u8; 32],
    username: &str,
    now: Timestamp,
) -> Result<(), events::Error> {
    sqlite::keep_refresh(write.sql(), hash, username, now + REFRESH_LIFE, now)
}

fn new_refresh() -> (String, [u8; 32]) {
    let token = chance::token(REFRESH_BYTES);
    let hash = digest(&token);
    (token, hash)
}

/// The secret has 256 random bits: a plain digest cannot be searched.
fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

fn tokens(server: &Server, granted: &Granted) -> Response {
    let token = server.signer.mint(&granted.subject, granted.role, (server.clock)(), ACCESS_LIFE);
    let tokens = Tokens {
        access_token: &token.text,
        token_type: "Bearer",
        expires_in: ACCESS_LIFE.as_secs(),
        refresh_token: granted.refresh.as_deref(),
    };
    json(StatusCode::OK, &tokens)
}

/// Another refusal in this endpoint's form: the status and headers stay, the document changes.
fn in_its_words(cause: Refusal, call: &Call) -> Response {
    let problem = cause.into_problem(&call.trace);
    let word = match problem.status() {
        StatusCode::SERVICE_UNAVAILABLE => "temporarily_unavailable",
        status if status.is_server_error() => "server_error",
        _ => "invalid_request",
    };
    let told = problem.into_response(&call.trace);
    let mut response = refusal(told.status(), word);
    for (name, header) in told.headers() {
        if !response.headers().contains_key(name) {
            response.headers_mut().insert(name, header.clone());
        }
    }
    response
}

fn refusal(status: StatusCode, word: &str) -> Response {
    json(status, &value!({ "error": word }))
}
