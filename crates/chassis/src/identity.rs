//! Who asks: tokens signed once (Ed25519), verified once, remembered until they expire.
//!
//! A verification costs as much as ten proxied requests (118 µs, measured), so a verified token is
//! remembered by its whole bytes; a key change forgets all. The algorithm is pinned: what the token's
//! header says of it is never believed.
//!
//! It does not know users, passwords, or what a role may do: who has users asks [`Signer`] for a token.

mod ended;
pub mod issuer;
mod role;
mod signer;

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use jiff::Timestamp;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use ended::{ENDED_MAX, Ended};
pub use role::{NoRole, ROLE_BYTES_MAX, Role};
pub use signer::{Life, Signer, secret};

/// The issuer of our tokens where settings name no other: a name and no address, so that a token
/// survives a restart on another port.
pub const ISSUER_DEFAULT: &str = "yeoul";
/// How many verified tokens are remembered; past it the whole memory is forgotten at once.
pub const REMEMBERED_MAX: usize = 10_000;
/// The longest token that is looked at.
pub const TOKEN_BYTES_MAX: usize = 4 * 1024;

/// Who a request comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The username, or the client's name for `client_credentials`.
    pub subject: String,
    /// What it may do, as settings and services understand it.
    pub role: Role,
    /// The sign-in it belongs to (`sid`), which renewals carry on; the token's own id in one that
    /// names none.
    pub session: String,
    /// When it was made.
    pub issued: Timestamp,
    /// When the token ends.
    pub expires: Timestamp,
}

/// The claims of our tokens.
#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    role: Role,
    jti: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sid: Option<String>,
    iat: i64,
    exp: i64,
}

/// Why a token opens nothing: 401, sign in again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TokenRefusal {
    /// Not a token of ours, or changed on its way.
    #[error("not a valid token")]
    Invalid,
    /// It has ended.
    #[error("the token has expired")]
    Expired,
    /// Its sign-in was ended: see [`Ended`].
    #[error("the sign-in has ended")]
    Ended,
}

/// Verifies tokens against the present keys; clones share keys and memory.
#[derive(Clone)]
pub struct Verifier {
    issuer: Arc<str>,
    shared: Arc<RwLock<KeyRing>>,
    ended: Ended,
}

struct KeyRing {
    keys: HashMap<String, DecodingKey>,
    remembered: HashMap<Box<str>, Arc<Principal>, ByTail>,
}

/// Hashes a token by its last bytes: they are of its signature, which nobody can choose, and of all of it
/// each request would pay for. What is found is compared whole.
#[derive(Clone, Default)]
struct ByTail(RandomState);

/// See [`ByTail`].
struct Tail(<RandomState as BuildHasher>::Hasher);

/// So many bytes tell tokens apart.
const TAIL_BYTES: usize = 32;

impl BuildHasher for ByTail {
    type Hasher = Tail;

    fn build_hasher(&self) -> Tail {
        Tail(self.0.build_hasher())
    }
}

impl Hasher for Tail {
    fn write(&mut self, bytes: &[u8]) {
        self.0.write(&bytes[bytes.len().saturating_sub(TAIL_BYTES)..]);
    }

    fn finish(&self) -> u64 {
        self.0.finish()
    }
}

impl Verifier {
    /// A verifier of what [`ISSUER_DEFAULT`] signs with these keys; no sign-in has ended yet, and
    /// [`ENDED_MAX`] are remembered.
    pub fn new(keys: &JwkSet) -> Verifier {
        Verifier::with(keys, Ended::new(ENDED_MAX))
    }

    /// The same, but for what `ended` names.
    pub fn with(keys: &JwkSet, ended: Ended) -> Verifier {
        let verifier = Verifier { ended, ..Verifier::of(ISSUER_DEFAULT) };
        verifier.replace_keys(keys);
        verifier
    }

    /// A verifier of what `issuer` signs; it has no key yet.
    pub fn of(issuer: &str) -> Verifier {
        let known = KeyRing { keys: HashMap::new(), remembered: HashMap::default() };
        let ended = Ended::new(ENDED_MAX);
        Verifier { issuer: issuer.into(), shared: Arc::new(RwLock::new(known)), ended }
    }

    /// Whose tokens it takes.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Takes other keys and forgets every token seen. Keys without an id, or not for EdDSA, are
    /// passed over.
    pub fn replace_keys(&self, keys: &JwkSet) {
        let usable = keys.keys.iter().filter_map(|jwk| {
            let id = jwk.common.key_id.clone()?;
            let key = DecodingKey::from_jwk(jwk).ok()?;
            (key.family() == jsonwebtoken::AlgorithmFamily::Ed).then_some((id, key))
        });
        let mut known = self.shared.write().unwrap_or_else(PoisonError::into_inner);
        known.keys = usable.collect();
        known.remembered.clear();
    }

    /// The sign-ins that have ended, whose tokens are refused.
    pub fn ended(&self) -> &Ended {
        &self.ended
    }

    /// Who holds `token` at `now`.
    ///
    /// # Errors
    /// See [`TokenRefusal`]: 401.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Arc<Principal>, TokenRefusal> {
        let principal = self.inspect(token)?;
        if principal.expires <= now {
            return Err(TokenRefusal::Expired);
        }
        if self.ended.contains(&principal.session) {
            return Err(TokenRefusal::Ended);
        }
        Ok(principal)
    }

    /// Whose token it was, whether or not it opens anything still: for ending its sign-in.
    ///
    /// # Errors
    /// [`TokenRefusal::Invalid`]: it never was one.
    pub fn inspect(&self, token: &str) -> Result<Arc<Principal>, TokenRefusal> {
        let seen = {
            let known = self.shared.read().unwrap_or_else(PoisonError::into_inner);
            known.remembered.get(token).cloned()
        };
        seen.map_or_else(|| self.check(token), Ok)
    }

    fn check(&self, token: &str) -> Result<Arc<Principal>, TokenRefusal> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenRefusal::Invalid);
        }
        let header = decode_header(token).map_err(|_| TokenRefusal::Invalid)?;
        let id = header.kid.ok_or(TokenRefusal::Invalid)?;
        let key = {
            let known = self.shared.read().unwrap_or_else(PoisonError::into_inner);
            known.keys.get(&id).cloned().ok_or(TokenRefusal::Invalid)?
        };
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[&*self.issuer]);
        // Expiry is judged at every use, by the caller's clock.
        validation.validate_exp = false;
        let claims =
            decode::<Claims>(token, &key, &validation).map_err(|_| TokenRefusal::Invalid)?.claims;
        let second = |second| Timestamp::from_second(second).map_err(|_| TokenRefusal::Invalid);
        let principal = Arc::new(Principal {
            subject: claims.sub,
            role: claims.role,
            session: claims.sid.unwrap_or(claims.jti),
            issued: second(claims.iat)?,
            expires: second(claims.exp)?,
        });
        self.remember(token, &id, &principal);
        Ok(principal)
    }

    fn remember(&self, token: &str, key: &str, principal: &Arc<Principal>) {
        let mut known = self.shared.write().unwrap_or_else(PoisonError::into_inner);
        // The key may have gone while the signature was checked.
        if !known.keys.contains_key(key) {
            return;
        }
        if known.remembered.len() >= REMEMBERED_MAX {
            known.remembered.clear();
        }
        known.remembered.insert(token.into(), principal.clone());
    }
}

impl Principal {
    /// How long the token is good for, from when it was made.
    pub fn life(&self) -> Duration {
        Duration::try_from(self.expires.duration_since(self.issued)).unwrap_or_default()
    }

    /// When the last token of its sign-in ends, if the sign-in is ended at `now`: each lives as long.
    pub fn family_ends(&self, now: Timestamp) -> Timestamp {
        let life = self.expires.duration_since(self.issued);
        now.checked_add(life).unwrap_or(Timestamp::MAX).max(self.expires)
    }
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier").finish_non_exhaustive()
    }
}

/// The token of `Authorization: Bearer …`, if there is exactly one.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests;
