//! Who asks: tokens signed once (Ed25519), verified once, remembered until they expire.
//!
//! A verification costs as much as ten proxied requests (118 µs, measured), so a verified token is
//! remembered by its whole bytes; a key change forgets all. The algorithm is pinned: what the token's
//! header says of it is never believed.
//!
//! It does not know users, passwords, or what a role may do: who has users asks [`Signer`] for a token.

mod ended;
pub mod fixture;
pub mod issuer;
mod role;
pub mod service;
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

pub use jsonwebtoken::jwk::Jwk;

pub use ended::{ENDED_MAX, Ended};
pub use role::{NoRole, ROLE_BYTES_MAX, Role};
pub use signer::{Life, SEED_BYTES, Signer, kept, secret};

/// How many verified tokens are remembered; past it the whole memory is forgotten at once.
pub const REMEMBERED_MAX: usize = 10_000;
/// The longest token that is looked at.
pub const TOKEN_BYTES_MAX: usize = 4 * 1024;

/// How long an Ed25519 signature of 64 bytes is in base64url.
const SIGNATURE_LETTERS: usize = 86;

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

/// What is known of a token without the work of a signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recalled {
    /// It was verified before. Whether it opens anything still, [`Verifier::allows`] says.
    Known(Arc<Principal>),
    /// It may be one of ours: its signature has to be checked.
    Unchecked,
    /// It is none of ours, by its shape, its length, or the key that it names.
    Foreign,
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

/// No set of keys that tokens are verified with: ask again, or look where it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("no keys that tokens are verified with")]
pub struct NoKeys;

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

/// A key, and what tokens call it.
struct NamedKey {
    id: String,
    key: DecodingKey,
}

/// Hashes a token by its last bytes: they are of its signature, which nobody can choose, and of all of it
/// each request would pay for. What is found is compared whole.
#[derive(Clone, Default)]
struct ByTail(RandomState);

/// See [`ByTail`].
struct TailHasher(<RandomState as BuildHasher>::Hasher);

/// So many bytes tell tokens apart.
const TAIL_BYTES: usize = 32;

impl BuildHasher for ByTail {
    type Hasher = TailHasher;

    fn build_hasher(&self) -> TailHasher {
        TailHasher(self.0.build_hasher())
    }
}

impl Hasher for TailHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.write(&bytes[bytes.len().saturating_sub(TAIL_BYTES)..]);
    }

    fn finish(&self) -> u64 {
        self.0.finish()
    }
}

impl Verifier {
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
        self.take(usable(keys));
    }

    fn take(&self, keys: HashMap<String, DecodingKey>) {
        let mut known = self.shared.write().unwrap_or_else(PoisonError::into_inner);
        // Under one lock with what was remembered: a token that an old key signed must not be known a moment
        // longer than that key.
        known.keys = keys;
        known.remembered.clear();
    }

    /// Takes the keys of a JWK Set (RFC 7517) in place of those it has.
    ///
    /// # Errors
    /// The text is none, or has no key that tokens are verified with: then nothing was changed.
    pub fn learn(&self, text: &[u8]) -> Result<(), NoKeys> {
        let keys: JwkSet = serde_json::from_slice(text).map_err(|_| NoKeys)?;
        let usable = usable(&keys);
        if usable.is_empty() {
            return Err(NoKeys);
        }
        self.take(usable);
        Ok(())
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
        self.allows(&principal, now).map(|()| principal)
    }

    /// Whether a token that was verified opens anything at `now`.
    ///
    /// # Errors
    /// [`TokenRefusal::Expired`], [`TokenRefusal::Ended`]: 401.
    pub fn allows(&self, principal: &Principal, now: Timestamp) -> Result<(), TokenRefusal> {
        if principal.expires <= now {
            return Err(TokenRefusal::Expired);
        }
        if self.ended.contains(&principal.session) {
            return Err(TokenRefusal::Ended);
        }
        Ok(())
    }

    /// Whose token it was, whether or not it opens anything still: for ending its sign-in.
    ///
    /// # Errors
    /// [`TokenRefusal::Invalid`]: it never was one.
    pub fn inspect(&self, token: &str) -> Result<Arc<Principal>, TokenRefusal> {
        self.remembered(token).map_or_else(|| self.check(token), Ok)
    }

    /// The same as far as it costs next to nothing, for who is brought many texts that may be tokens.
    pub fn recall(&self, token: &str) -> Recalled {
        // The cheapest first: most of what is no token has not its shape.
        if !is_shaped(token) {
            return Recalled::Foreign;
        }
        match self.remembered(token) {
            Some(principal) => Recalled::Known(principal),
            None if self.key_of(token).is_some() => Recalled::Unchecked,
            None => Recalled::Foreign,
        }
    }

    fn remembered(&self, token: &str) -> Option<Arc<Principal>> {
        let known = self.shared.read().unwrap_or_else(PoisonError::into_inner);
        known.remembered.get(token).cloned()
    }

    /// The key that a token names, if it is one of ours.
    fn key_of(&self, token: &str) -> Option<NamedKey> {
        if token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let id = decode_header(token).ok()?.kid?;
        let known = self.shared.read().unwrap_or_else(PoisonError::into_inner);
        let key = known.keys.get(&id)?.clone();
        Some(NamedKey { id, key })
    }

    fn check(&self, token: &str) -> Result<Arc<Principal>, TokenRefusal> {
        let NamedKey { id, key } = self.key_of(token).ok_or(TokenRefusal::Invalid)?;
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

/// Whether a text has the shape of our tokens: three parts in base64url, the last one a signature.
fn is_shaped(token: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let is_base64url = |part: &str| !part.is_empty() && part.bytes().all(letter);
    let Some((header, rest)) = token.split_once('.') else { return false };
    // A fourth part would be in the third, with a dot that is no letter.
    let Some((claims, signature)) = rest.split_once('.') else { return false };
    token.len() <= TOKEN_BYTES_MAX
        && signature.len() == SIGNATURE_LETTERS
        && [header, claims, signature].into_iter().all(is_base64url)
}

/// Those that tokens of ours are signed with.
fn usable(keys: &JwkSet) -> HashMap<String, DecodingKey> {
    let usable = keys.keys.iter().filter_map(|jwk| {
        let id = jwk.common.key_id.clone()?;
        let key = DecodingKey::from_jwk(jwk).ok()?;
        (key.family() == jsonwebtoken::AlgorithmFamily::Ed).then_some((id, key))
    });
    usable.collect()
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
