//! Tokens: what is asked for by a grant, in the words of RFC 6749.
//!
//! Access tokens are signed and live an hour; nobody keeps them. Refresh tokens belong to a family
//! (see [`family`](super::family)), which an end takes as a whole.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chassis::chance;
use chassis::http::fields::Form;
use chassis::http::{Problem, Response, json};
use chassis::identity::Life;
use events::store::Tx;
use events::{Cause, Error};
use http::header::{AUTHORIZATION, PRAGMA, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::decide::Grant;
use super::family::{self, NewFamily, RenewalGrounds, Renewed};
use super::issuer::{ACCESS_LIFE, Client, Issuer};
use super::limits::{self, ClientNetwork};
use super::refresh;
use super::store::{self, known};
use super::wire::{OAuthError, Tokens};
use crate::answers;
use crate::edge::{Call, Refusal};
use crate::role::Role;

/// Bytes of a sign-in's id, before they become text.
const SESSION_BYTES: usize = 16;
/// When it is worth coming back to a memory of ended sign-ins that was full.
const FULL_RETRY_SECONDS: u64 = 60;

/// Why there is no token.
pub(super) enum Denied {
    /// 400 with RFC 6749's word.
    Word(&'static str),
    /// 401: the client's own name or secret is wrong.
    Client,
    /// Anything else, with its problem's status and headers.
    Refusal(Refusal),
}

/// Whom a token is for, of which sign-in, and the refresh token that goes with it.
struct Granted {
    subject: String,
    role: Role,
    session: String,
    refresh: Option<String>,
}

impl<E: Into<Refusal>> From<E> for Denied {
    fn from(error: E) -> Denied {
        Denied::Refusal(error.into())
    }
}

impl Denied {
    /// The answer in the words of RFC 6749, 5.2.
    pub(super) fn answer(self, call: &Call) -> Response {
        match self {
            Denied::Word(word) => refusal(StatusCode::BAD_REQUEST, word),
            Denied::Client => {
                let mut response = refusal(StatusCode::UNAUTHORIZED, "invalid_client");
                let challenge = HeaderValue::from_static("Basic realm=\"oauth\"");
                response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
                response
            }
            Denied::Refusal(cause) => in_its_words(cause, call),
        }
    }
}

/// Answers a token request.
pub(super) async fn answer(issuer: &Issuer, mut call: Call, from: &ClientNetwork) -> Response {
    let response = match grant(issuer, &mut call, from).await {
        Ok(granted) => tokens(issuer, &granted),
        Err(denied) => denied.answer(&call),
    };
    let mut response = answers::private(response);
    response.headers_mut().insert(PRAGMA, HeaderValue::from_static("no-cache"));
    response
}

async fn grant(issuer: &Issuer, call: &mut Call, from: &ClientNetwork) -> Result<Granted, Denied> {
    let client = client(issuer, &call.headers, from)?;
    let body = call.bytes().await?;
    let form = Form::parse(&call.headers, &body).map_err(|_| Denied::Word("invalid_request"))?;
    match Grant::read(&form).map_err(Denied::Word)? {
        Grant::Password { username, password } => {
            by_password(issuer, &username, password, from).await
        }
        Grant::Refresh { token } => by_refresh(issuer, token, call.cause(None)).await,
        Grant::Client => {
            // No refresh token: who has the secret asks again, and there is no family to end.
            let subject = client.ok_or(Denied::Client)?.to_owned();
            let session = new_session(issuer)?;
            Ok(Granted { subject, role: Role::OrderAdmin, session, refresh: None })
        }
    }
}

/// The client of the `Basic` header: `None` without one, denied where it is wrong.
pub(super) fn client(
    issuer: &Issuer,
    headers: &HeaderMap,
    from: &ClientNetwork,
) -> Result<Option<&'static str>, Denied> {
    let Some(header) = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()) else {
        return Ok(None);
    };
    let Some((scheme, encoded)) = header.split_once(' ') else { return Err(Denied::Client) };
    if !scheme.eq_ignore_ascii_case("basic") {
        return Ok(None);
    }
    let given = STANDARD.decode(encoded.trim()).map_err(|_| Denied::Client)?;
    let Client { name, secret } = issuer.client.ok_or(Denied::Client)?;
    // Its secret is guessed as a password is.
    let guess = issuer.passwords.guess(name, (from.network, "client"), true);
    issuer.passwords.refused(&guess).map_err(|exceeded| limits::too_many(&exceeded))?;
    // Digests are compared, so that how far two texts agree cannot be read from the time it takes.
    let known = Sha256::digest(format!("{name}:{secret}"));
    if Sha256::digest(given) == known {
        return Ok(Some(name));
    }
    issuer.passwords.fail(&guess);
    Err(Denied::Client)
}

async fn by_password(
    issuer: &Issuer,
    username: &str,
    password: String,
    from: &ClientNetwork,
) -> Result<Granted, Denied> {
    let username = username.to_lowercase();
    // Whether this network has signed in to the account before decides which limits its failures count against:
    // strangers must not lock a user out.
    let given = (username, from.digest);
    let known = issuer.database.read(&given, |(username, network), rows| {
        Box::pin(known::is_known(rows, username, network))
    });
    let known = known.await?;
    let (username, network) = given;
    let user = issuer.database.read(&username, |name, rows| Box::pin(store::find(rows, name)));
    let user = user.await?;
    let guess = issuer.passwords.guess(&username, from.network, known);
    // Without a user the same work is done on a hash that nobody's password has: time tells no names.
    let phc = user.as_ref().map(|user| user.phc.clone());
    let matches = issuer.passwords.matches(guess, password, phc).await;
    let matches = matches.map_err(limits::refusal)?;
    let user = user.filter(|_| matches).ok_or(Denied::Word("invalid_grant"))?;
    let (session, refresh) = (new_session(issuer)?, refresh::first());
    let granted = Granted {
        subject: user.username,
        role: user.role,
        session,
        refresh: Some(refresh.clone()),
    };
    let signed_in = SignedIn {
        session: granted.session.clone(),
        username: granted.subject.clone(),
        refresh,
        network,
        now: (issuer.clock)(),
    };
    // The tokens leave when the family is on disk, and not before: they must be there to be ended.
    issuer.database.write(signed_in, |it, tx| Box::pin(keep(tx, it))).await?;
    Ok(granted)
}

/// A sign-in that was granted.
struct SignedIn {
    session: String,
    username: String,
    refresh: String,
    /// From where, as it is kept.
    network: [u8; 16],
    now: Timestamp,
}

async fn keep(tx: &mut Tx<'_>, signed_in: &SignedIn) -> Result<(), Error> {
    let SignedIn { session, username, refresh, network, now } = signed_in;
    known::note(tx, username, network, now.as_second()).await?;
    family::begin(tx, &NewFamily { session, username, refresh }, *now).await
}

/// The id of a sign-in that begins now.
fn new_session(issuer: &Issuer) -> Result<String, Denied> {
    // A sign-in that could not be ended any more is not begun.
    if issuer.verifier.ended().is_full((issuer.clock)()) {
        let refused =
            Problem::unavailable("connection_limit_reached", chance::seconds(FULL_RETRY_SECONDS));
        return Err(refused.detail("too many sign-ins have ended of late").into());
    }
    Ok(chance::token(SESSION_BYTES))
}

async fn by_refresh(issuer: &Issuer, token: String, cause: Cause) -> Result<Granted, Denied> {
    let grounds = RenewalGrounds { chain: issuer.chain, ended: issuer.verifier.ended().clone() };
    let shown = Shown { token, cause, now: (issuer.clock)(), grounds };
    let renewed = issuer.database.write(shown, |shown, tx| {
        let Shown { token, cause, now, grounds } = shown;
        Box::pin(family::renew(tx, token, grounds, cause, *now))
    });
    match renewed.await? {
        Renewed::Granted { user, session, refresh } => {
            let refresh = Some(refresh);
            Ok(Granted { subject: user.username, role: user.role, session, refresh })
        }
        Renewed::NoFamily => Err(Denied::Word("invalid_grant")),
    }
}

/// A refresh token that is used.
struct Shown {
    token: String,
    cause: Cause,
    now: Timestamp,
    grounds: RenewalGrounds,
}

fn tokens(issuer: &Issuer, granted: &Granted) -> Response {
    let Granted { session, subject, role, .. } = granted;
    let life = Life { from: (issuer.clock)(), lasts: ACCESS_LIFE };
    let token = issuer.signer.mint_in(session, subject, &(*role).into(), life);
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
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
            "temporarily_unavailable"
        }
        status if status.is_server_error() => "server_error",
        _ => "invalid_request",
    };
    let refused = problem.into_response(&call.trace);
    let mut response = refusal(refused.status(), word);
    for (name, header) in refused.headers() {
        if !response.headers().contains_key(name) {
            response.headers_mut().insert(name, header.clone());
        }
    }
    response
}

fn refusal(status: StatusCode, word: &str) -> Response {
    json(status, &OAuthError { error: word })
}
