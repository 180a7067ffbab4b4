//! Revocation (RFC 7009): whichever of its tokens is shown, the whole sign-in ends.
//!
//! A token that is nobody's, or not any more, is no mistake: what was asked for is so already. One that
//! has expired still names its sign-in, so that a sign-out can come late.

use chassis::http::fields::Form;
use chassis::http::{Response, empty};
use chassis::identity::Verifier;
use events::store::Tx;
use events::{Cause, Error};
use http::StatusCode;
use jiff::Timestamp;

use super::family;
use super::issuer::Issuer;
use super::limits::Origin;
use super::refresh;
use super::store::families;
use super::token::{self, Denied};
use crate::edge::{self, Call};

/// Answers a revocation.
pub(super) async fn answer(issuer: &Issuer, mut call: Call, from: &Origin) -> Response {
    let response = match end(issuer, &mut call, from).await {
        Ok(()) => empty(StatusCode::OK),
        Err(denied) => denied.answer(&call),
    };
    edge::private(response)
}

async fn end(issuer: &Issuer, call: &mut Call, from: &Origin) -> Result<(), Denied> {
    token::client(issuer, &call.headers, from)?;
    let body = call.bytes().await?;
    let form = Form::parse(&call.headers, &body).map_err(|_| Denied::Word("invalid_request"))?;
    let token = form.get("token").ok_or(Denied::Word("invalid_request"))?.to_owned();
    let asked = Asked {
        token,
        now: (issuer.clock)(),
        cause: call.cause(None),
        verifier: issuer.verifier.clone(),
    };
    Ok(issuer.database.write(asked, |asked, tx| Box::pin(revoke(tx, asked))).await?)
}

/// What is revoked, and when.
struct Asked {
    token: String,
    now: Timestamp,
    cause: Cause,
    verifier: Verifier,
}

async fn revoke(tx: &mut Tx<'_>, asked: &Asked) -> Result<(), Error> {
    let Asked { token, now, cause, verifier } = asked;
    let Some(session) = session_of(tx, token, verifier, *now).await? else { return Ok(()) };
    family::end(tx, &session, verifier.ended(), cause, *now).await
}

/// Which sign-in a token is of, if any of it may still open something.
async fn session_of(
    tx: &mut Tx<'_>,
    token: &str,
    verifier: &Verifier,
    now: Timestamp,
) -> Result<Option<String>, Error> {
    if let Some(kept) = families::find(tx, &refresh::digest(refresh::bare(token))).await? {
        return Ok(Some(kept.session));
    }
    let Ok(principal) = verifier.inspect(token) else { return Ok(None) };
    let lives = principal.expires > now || families::exists(tx, &principal.session).await?;
    Ok(lives.then(|| principal.session.clone()))
}
