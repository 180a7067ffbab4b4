//! Who asks: tokens signed once (Ed25519), verified once, remembered until they expire.
//!
//! A verification costs as much as ten proxied requests (118 µs, measured), so a verified token is
//! remembered by its whole bytes; a key change forgets all. The algorithm is pinned: what the token's
//! header says of it is never believed.
//!
//! It does not know users or passwords: the account service asks [`Signer`] for a token.

pub mod issuer;
mod signer;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use http::HeaderMap;
use http::header::AUTHORIZATION;
use jiff::Timestamp;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use signer::Signer;

/// The issuer of our tokens: fixed, so that a token survives a restart on another port.
pub const ISSUER: &str = "yeoul";
/// How many verified tokens are remembered; past it the whole memory is forgotten at once.
pub const REMEMBERED_MAX: usize = 10_000;
/// The longest token that is looked at.
pub const TOKEN_BYTES_MAX: usize = 4 * 1024;

/// Who a request comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The username, or the client's name for `client_credentials`.
    pub subject: String,
    /// What it may do.
    pub role: Role,
    /// The token's id: one sign-in.
    pub session: String,
    /// When the token ends.
    pub expires: Timestamp,
}

/// The roles of the mall's account service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Role {
    /// Signed up, nothing more.
    User,
    /// May order.
    OrderCustomer,
    /// May change products and deliveries, and read events.
    OrderAdmin,
    /// May change users.
    UserAdmin,
}

/// The claims of our tokens.
#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    role: Role,
    jti: String,
    iat: i64,
    exp: i64,
}

/// Why a token opens nothing: 401, sign in again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refused {
    /// Not a token of ours, or changed on its way.
    #[error("not a valid token")]
    Invalid,
    /// It has ended.
    #[error("the token has expired")]
    Expired,
}

/// Verifies tokens against the present keys; clones share keys and memory.
#[derive(Clone)]
pub struct Verifier {
    shared: Arc<RwLock<Known>>,
}

struct Known {
    keys: HashMap<String, DecodingKey>,
    remembered: HashMap<Box<str>, Arc<Principal>>,
}

impl Role {
    /// The role's name in tokens and in the domain.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::User => "USER",
            Role::OrderCustomer => "ORDER_CUSTOMER",
            Role::OrderAdmin => "ORDER_ADMIN",
            Role::UserAdmin => "USER_ADMIN",
        }
    }

    /// Whether this is ORDER_ADMIN.
    pub fn is_administrator(self) -> bool {
        self == Role::OrderAdmin
    }
}

impl Verifier {
    /// A verifier of these keys.
    pub fn new(keys: &JwkSet) -> Verifier {
        let verifier = Verifier {
            shared: Arc::new(RwLock::new(Known {
                keys: HashMap::new(),
                remembered: HashMap::new(),
            })),
        };
        verifier.replace_keys(keys);
        verifier
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

    /// Who holds `token` at `now`.
    ///
    /// # Errors
    /// See [`Refused`]: 401.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Arc<Principal>, Refused> {
        let seen = {
            let known = self.shared.read().unwrap_or_else(PoisonError::into_inner);
            known.remembered.get(token).cloned()
        };
        let principal = match seen {
            Some(principal) => principal,
            None => self.check(token)?,
        };
        if principal.expires <= now {
            return Err(Refused::Expired);
        }
        Ok(principal)
    }

    fn check(&self, token: &str) -> Result<Arc<Principal>, Refused> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Refused::Invalid);
        }
        let header = decode_header(token).map_err(|_| Refused::Invalid)?;
        let id = header.kid.ok_or(Refused::Invalid)?;
        let key = {
            let known = self.shared.read().unwrap_or_else(PoisonError::into_inner);
            known.keys.get(&id).cloned().ok_or(Refused::Invalid)?
        };
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[ISSUER]);
        // Expiry is judged at every use, by the caller's clock.
        validation.validate_exp = false;
        let claims =
            decode::<Claims>(token, &key, &validation).map_err(|_| Refused::Invalid)?.claims;
        let expires = Timestamp::from_second(claims.exp).map_err(|_| Refused::Invalid)?;
        let principal = Arc::new(Principal {
            subject: claims.sub,
            role: claims.role,
            session: claims.jti,
            expires,
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
