//! Revocation (RFC 7009): whichever of its tokens is shown, the whole sign-in ends.
//!
//! A token that is nobody's, or not any more, is no mistake: what was asked for is so already. One that
//! has expired still names its sign-in, so that a sign-out can come late.

use chassis::http::fields::Form;
use chassis::http::{Response, empty};
use chassis::identity::Verifier;
use events::store::Write;
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
    let now = (issuer.clock)();
    let cause = call.cause(None);
    let verifier = issuer.verifier.clone();
    let ended = issuer.database.write(move |write| {
        let Some(session) = session_of(write, &token, &verifier, now)? else { return Ok(()) };
        family::end(write, &session, verifier.ended(), &cause, now)
    });
    Ok(ended.await?)
}

/// Which sign-in a token is of, if any of it may still open something.
fn session_of(
    write: &Write<'_>,
    token: &str,
    verifier: &Verifier,
    now: Timestamp,
) -> Result<Option<String>, events::Error> {
    if let Some(kept) = families::find(write.sql(), &refresh::digest(refresh::bare(token)))? {
        return Ok(Some(kept.session));
    }
    let Ok(principal) = verifier.inspect(token) else { return Ok(None) };
    let lives = principal.expires > now || families::exists(write.sql(), &principal.session)?;
    Ok(lives.then(|| principal.session.clone()))
}
