//! A refresh token: how it is kept, what it is good for, and which one follows it.
//!
//! It does not know the family that it is of, only its place in it: see
//! [`family`](super::family).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

/// How long a refresh token may wait for its use.
pub(super) const REFRESH_LIFE: SignedDuration = SignedDuration::from_hours(14 * 24);
/// How long after its use a refresh token still yields the newest of its chain.
pub(super) const GRACE: SignedDuration = SignedDuration::from_secs(30);
/// Bytes of a refresh token, before they become text.
const TOKEN_BYTES: usize = 32;

/// The key that successors are made with.
pub(super) type ChainKey = [u8; TOKEN_BYTES];

/// A refresh token as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RefreshToken {
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

/// What a token that is kept as `kept` is good for at `now`.
pub(super) fn judge(kept: &RefreshToken, now: Timestamp) -> Use {
    if kept.expires <= now {
        return Use::Nothing;
    }
    match kept.rotated {
        None => Use::Rotate,
        Some(rotated) if now.duration_since(rotated) <= GRACE => Use::Newest,
        Some(_) => Use::Reused,
    }
}

/// The token itself, of what was presented as one: a gateway writes beside it, behind a dot, whose it
/// is, and that says nothing here. Our own have no dot in them.
pub(super) fn bare(presented: &str) -> &str {
    presented.split('.').next().unwrap_or_default()
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
