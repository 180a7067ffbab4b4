//! A sign-in as a family of tokens: what a refresh token is good for, and how all of it ends.
//!
//! 1. Every refresh token is kept by its digest alone, with its place in the chain of its family.
//!    The one that follows is an HMAC of it under a key of this service's own: nobody else can
//!    make it, and we can make it again.
//! 2. The newest is good for one use, which makes the next. Who presents one that was used within
//!    [`GRACE`](super::refresh::GRACE) is another tab, or never got the answer, and gets the newest there is by now.
//! 3. One used longer ago is a copy in somebody's hands (RFC 9700, 4.14.2): the family ends.
//!
//! An end is one transaction: the family goes, the sign-in is remembered as ended until its last
//! access token expires, and SessionEnded tells everybody else.

use chassis::identity::Ended;
use events::store::Tx;
use events::{Cause, Draft, Error};
use jiff::Timestamp;
use sessions::{SESSION_ENDED, SessionEnded};

use super::issuer::ACCESS_LIFE;
use super::refresh::{ChainKey, REFRESH_LIFE, RefreshToken, Use, bare, digest, judge, successor};
use super::store::{self, families};
use super::user::User;

/// Tokens of one family that are kept; one more renewal ends it. A use every five minutes stays
/// below it for as long as a token is kept.
pub(super) const TOKENS_MAX: u64 = 4_096;

/// A sign-in that begins.
pub(super) struct NewFamily<'s> {
    pub(super) session: &'s str,
    pub(super) username: &'s str,
    /// Its first refresh token.
    pub(super) refresh: &'s str,
}

/// What a renewal is judged by beside the rows.
pub(super) struct RenewalGrounds {
    pub(super) chain: ChainKey,
    pub(super) ended: Ended,
}

/// What became of a renewal.
pub(super) enum Renewed {
    /// Another access token for this user and sign-in, and the refresh token to go on with.
    Granted { user: User, session: String, refresh: String },
    /// There is no such family, or not any more.
    NoFamily,
}

/// Keeps a new family with its first token; the families a user has too many of lose their refresh
/// tokens, the longest unused first.
pub(super) async fn begin(
    tx: &mut Tx<'_>,
    begun: &NewFamily<'_>,
    now: Timestamp,
) -> Result<(), Error> {
    let NewFamily { session, username, refresh } = *begun;
    // Who signs in pays for the sweep: there is no task of its own that could stand still unnoticed.
    families::sweep(tx, now).await?;
    families::add(tx, session, username, now + REFRESH_LIFE, now).await?;
    let kept = RefreshToken {
        session: session.to_owned(),
        place: 0,
        expires: now + REFRESH_LIFE,
        rotated: None,
    };
    families::keep(tx, &digest(refresh), &kept).await?;
    families::bound(tx, username).await
}

/// Uses a refresh token.
pub(super) async fn renew(
    tx: &mut Tx<'_>,
    token: &str,
    grounds: &RenewalGrounds,
    cause: &Cause,
    now: Timestamp,
) -> Result<Renewed, Error> {
    let token = bare(token);
    let hash = digest(token);
    let Some(seen) = families::find(tx, &hash).await? else {
        return Ok(Renewed::NoFamily);
    };
    families::take(tx, &seen.session).await?;
    // Looked at again: before the family was had, another may have used the token, or ended it all.
    let Some(kept) = families::find(tx, &hash).await? else {
        return Ok(Renewed::NoFamily);
    };
    // Looked up anew at each renewal: a role that changed, or a user who went, is so from the next token on. Before a
    // token is used up, so that who gets none has lost none.
    let user = match families::user(tx, &kept.session).await? {
        Some(username) => store::find(tx, &username).await?,
        None => None,
    };
    let Some(user) = user else { return Ok(Renewed::NoFamily) };
    let refresh = match judge(&kept, now) {
        Use::Nothing => return Ok(Renewed::NoFamily),
        // The chain's length is what a family may cost; at its end it is over like one that was stolen.
        Use::Rotate if families::count(tx, &kept.session).await? < TOKENS_MAX => {
            rotate(tx, token, &kept, &grounds.chain, now).await?
        }
        Use::Rotate | Use::Reused => {
            end(tx, &kept.session, &grounds.ended, cause, now).await?;
            return Ok(Renewed::NoFamily);
        }
        Use::Newest => {
            // Nobody keeps tokens: each is made of the one before, so the newest is so many steps from this one.
            let newest = families::newest(tx, &kept.session).await?;
            (kept.place..newest)
                .fold(token.to_owned(), |token, _| successor(&grounds.chain, &token))
        }
    };
    Ok(Renewed::Granted { user, session: kept.session, refresh })
}

async fn rotate(
    tx: &mut Tx<'_>,
    token: &str,
    kept: &RefreshToken,
    key: &ChainKey,
    now: Timestamp,
) -> Result<String, Error> {
    let next = successor(key, token);
    let expires = now + REFRESH_LIFE;
    let hash = digest(token);
    let used = families::Used { hash: &hash, session: &kept.session, expires };
    families::used(tx, &used, now).await?;
    let place = kept.place + 1;
    let successor = RefreshToken { session: kept.session.clone(), place, expires, rotated: None };
    families::keep(tx, &digest(&next), &successor).await?;
    Ok(next)
}

/// Ends a sign-in: nothing of it opens anything any more, here at once.
pub(super) async fn end(
    tx: &mut Tx<'_>,
    session: &str,
    ended: &Ended,
    cause: &Cause,
    now: Timestamp,
) -> Result<(), Error> {
    families::take(tx, session).await?;
    // The tables say so: memory knew of an end before its commit, which may have failed.
    if sessions::is_remembered(tx, session).await? && !families::exists(tx, session).await? {
        return Ok(());
    }
    // From here on no token of it is made, so that the last one ends a whole life from now.
    let until = now + ACCESS_LIFE;
    families::remove(tx, session).await?;
    sessions::remember(tx, session, until).await?;
    let data = SessionEnded::new(session, until);
    tx.publish(Draft::new(SESSION_ENDED, session, 1, &data, cause)).await?;
    // Before the commit, so that a caller who leaves changes nothing: should it fail, the sign-in is
    // ended here until the next start, and everywhere once it is asked for again.
    ended.end(session, until, now);
    Ok(())
}

#[cfg(test)]
mod tests;
