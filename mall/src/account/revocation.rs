//! Revocation (RFC 7009): whichever of its tokens is shown, the whole sign-in ends.
//!
//! A token that is nobody's, or not any more, is no mistake: what was revocation for is so already. One that
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
use super::limits::ClientNetwork;
use super::refresh;
use super::store::families;
use super::token::{self, Denied};
use crate::answers;
use crate::edge::Call;

/// Answers a revocation.
pub(super) async fn answer(issuer: &Issuer, mut call: Call, from: &ClientNetwork) -> Response {
    let response = match end(issuer, &mut call, from).await {
        Ok(()) => empty(StatusCode::OK),
        Err(denied) => denied.answer(&call),
    };
    answers::private(response)
}

async fn end(issuer: &Issuer, call: &mut Call, from: &ClientNetwork) -> Result<(), Denied> {
    token::client(issuer, &call.headers, from)?;
    let body = call.bytes().await?;
    let form = Form::parse(&call.headers, &body).map_err(|_| Denied::Word("invalid_request"))?;
    let token = token_of(&form).ok_or(Denied::Word("invalid_request"))?.to_owned();
    let revocation = Revocation {
        token,
        now: (issuer.clock)(),
        cause: call.cause(None),
        verifier: issuer.verifier.clone(),
    };
    Ok(issuer.database.write(revocation, |revocation, tx| Box::pin(revoke(tx, revocation))).await?)
}

/// What a form asks to revoke.
pub(super) fn token_of(form: &Form) -> Option<&str> {
    form.require("token")
}

/// What is revoked, and when.
struct Revocation {
    token: String,
    now: Timestamp,
    cause: Cause,
    verifier: Verifier,
}

async fn revoke(tx: &mut Tx<'_>, revocation: &Revocation) -> Result<(), Error> {
    let Revocation { token, now, cause, verifier } = revocation;
    // A token that nobody knows is answered as one that was taken back (RFC 7009, 2.2).
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
    // A refresh token is looked up, whatever became of it: one that was used long ago still names its family.
    if let Some(kept) = families::find(tx, &refresh::digest(refresh::bare(token))).await? {
        return Ok(Some(kept.session));
    }
    let Ok(principal) = verifier.inspect(token) else { return Ok(None) };
    // An access token that has run out opens nothing, but its family may go on renewing.
    let lives = principal.expires > now || families::exists(tx, &principal.session).await?;
    Ok(lives.then(|| principal.session.clone()))
}
