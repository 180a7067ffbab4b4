//! A sign-in as a family of tokens: what a refresh token is good for, and how all of it ends.
//!
//! 1. Every refresh token is kept by its digest alone, with its place in the chain of its family.
//!    The one that follows is an HMAC of it under a key of this service's folder: nobody else can
//!    make it, and we can make it again.
//! 2. The newest is good for one use, which makes the next. Who presents one that was used within
//!    [`GRACE`] is another tab, or never got the answer, and gets the newest there is by now.
//! 3. One used longer ago is a copy in somebody's hands (RFC 9700, 4.14.2): the family ends.
//!
//! An end is one transaction: the family goes, the sign-in is remembered as ended until its last
//! access token expires, and SessionEnded tells everybody else.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chassis::identity::Ended;
use events::store::Write;
use events::{Cause, Draft, Error};
use hmac::{Hmac, Mac};
use jiff::{SignedDuration, Timestamp};
use sessions::{SESSION_ENDED, SessionEnded};
use sha2::{Digest, Sha256};

use super::store::{self, families};
use super::token::{ACCESS_LIFE, REFRESH_LIFE};
use super::user::User;

/// How long after its use a refresh token still yields the newest of its chain.
pub(super) const GRACE: SignedDuration = SignedDuration::from_secs(30);
/// Tokens of one family that are kept; one more renewal ends it. A use every five minutes stays
/// below it for as long as a token is kept.
pub(super) const TOKENS_MAX: u64 = 4_096;

/// Bytes of a refresh token, before they become text.
const TOKEN_BYTES: usize = 32;

/// The key that successors are made with.
pub(super) type ChainKey = [u8; TOKEN_BYTES];

/// A refresh token as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    /// Its family's sign-in.
    pub(super) session: String,
    /// Its place in the chain, from 0.
    pub(super) place: u64,
    pub(super) expires: Timestamp,
    /// When it was used, to the millisecond.
    pub(super) rotated: Option<Timestamp>,
}

/// What a refresh token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// It is the newest: use it, make the next.
    Rotate,
    /// Used a moment ago: the newest of its chain.
    Newest,
    /// Used longer ago: its family ends.
    Reused,
    /// It has expired.
    Nothing,
}

/// What became of a renewal.
pub(super) enum Renewed {
    /// Another access token for this user and sign-in, and the refresh token to go on with.
    Granted { user: User, session: String, refresh: String },
    /// There is no such family, or not any more.
    Refused,
}

/// What a token that is kept as `kept` is good for at `now`.
pub(super) fn judge(kept: &Kept, now: Timestamp) -> Use {
    if kept.expires <= now {
        return Use::Nothing;
    }
    match kept.rotated {
        None => Use::Rotate,
        Some(rotated) if now.duration_since(rotated) <= GRACE => Use::Newest,
        Some(_) => Use::Reused,
    }
}

/// The token that follows `token`.
pub(super) fn successor(key: &ChainKey, token: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length is a key");
    mac.update(token.as_bytes());
    URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
}

/// The first refresh token of a family.
pub(super) fn first() -> String {
    chassis::chance::token(TOKEN_BYTES)
}

/// A secret of 256 bits cannot be searched for: a plain digest keeps it.
pub(super) fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

/// Keeps a new family with its first token; the families a user has too many of lose their refresh
/// tokens, the longest unused first.
pub(super) fn begin(
    write: &mut Write<'_>,
    (session, username): (&str, &str),
    refresh: &str,
    now: Timestamp,
) -> Result<(), Error> {
    families::sweep(write.sql(), now)?;
    families::add(write.sql(), session, username, now + REFRESH_LIFE, now)?;
    let kept =
        Kept { session: session.to_owned(), place: 0, expires: now + REFRESH_LIFE, rotated: None };
    families::keep(write.sql(), &digest(refresh), &kept)?;
    families::bound(write.sql(), username)
}

/// Uses a refresh token.
pub(super) fn renew(
    write: &mut Write<'_>,
    token: &str,
    (key, ended): (&ChainKey, &Ended),
    cause: &Cause,
    now: Timestamp,
) -> Result<Renewed, Error> {
    let Some(kept) = families::find(write.sql(), &digest(token))? else {
        return Ok(Renewed::Refused);
    };
    let refresh = match judge(&kept, now) {
        Use::Nothing => return Ok(Renewed::Refused),
        Use::Rotate if families::count(write.sql(), &kept.session)? < TOKENS_MAX => {
            rotate(write, token, &kept, key, now)?
        }
        Use::Rotate | Use::Reused => {
            end(write, &kept.session, ended, cause, now)?;
            return Ok(Renewed::Refused);
        }
        Use::Newest => {
            let newest = families::newest(write.sql(), &kept.session)?;
            (kept.place..newest).fold(token.to_owned(), |token, _| successor(key, &token))
        }
    };
    let user = families::user(write.sql(), &kept.session)?
        .map(|username| store::find(write.sql(), &username))
        .transpose()?
        .flatten();
    Ok(match user {
        Some(user) => Renewed::Granted { user, session: kept.session, refresh },
        None => Renewed::Refused,
    })
}

fn rotate(
    write: &mut Write<'_>,
    token: &str,
    kept: &Kept,
    key: &ChainKey,
    now: Timestamp,
) -> Result<String, Error> {
    let next = successor(key, token);
    let expires = now + REFRESH_LIFE;
    families::used(write.sql(), (&digest(token), &kept.session), expires, now)?;
    let place = kept.place + 1;
    let successor = Kept { session: kept.session.clone(), place, expires, rotated: None };
    families::keep(write.sql(), &digest(&next), &successor)?;
    Ok(next)
}

/// Ends a sign-in: nothing of it opens anything any more, here at once.
pub(super) fn end(
    write: &mut Write<'_>,
    session: &str,
    ended: &Ended,
    cause: &Cause,
    now: Timestamp,
) -> Result<(), Error> {
    if ended.contains(session) && !families::exists(write.sql(), session)? {
        return Ok(());
    }
    let until = now + ACCESS_LIFE;
    families::remove(write.sql(), session)?;
    sessions::remember(write, session, until)?;
    write.publish(Draft::new(
        SESSION_ENDED,
        session,
        1,
        &SessionEnded::new(session, until),
        cause,
    ))?;
    // Before the commit, so that a caller who leaves changes nothing: should it fail, the sign-in is
    // ended until the next start, which is what was asked for.
    ended.end(session, until, now);
    Ok(())
}

#[cfg(test)]
mod tests;
