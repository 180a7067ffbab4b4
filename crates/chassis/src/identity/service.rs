//! Who asks, where a service does: a token that it signs itself for the one that it asks, good for a minute.
//!
//! What it is signed with is made of a secret that all parts have, so that no service depends on another one to ask a
//! third. It says from whom it is and for whom, and opens nothing anywhere else. What it cannot do is tell apart parts
//! that know the same secret: whoever has that can sign as each of them.

use std::collections::HashSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header,
};
use ring::hmac;
use serde::{Deserialize, Serialize};

use super::{TOKEN_BYTES_MAX, TokenRefusal};

/// How long one is good: longer than a question takes, and than clocks of a cluster are apart.
pub const SERVICE_TOKEN_LIFE: Duration = Duration::from_secs(60);

/// The algorithm, which is pinned, and tells these tokens from those of people.
const ALGORITHM: Algorithm = Algorithm::HS256;
/// What the key is made for.
const PURPOSE: &[u8] = b"tokens of services";

/// The claims.
#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    /// Who asks.
    iss: String,
    /// Who is asked.
    aud: String,
    iat: i64,
    exp: i64,
}

/// Signs and verifies them.
#[derive(Clone)]
pub struct ServiceKey {
    signs: EncodingKey,
    verifies: DecodingKey,
}

impl ServiceKey {
    /// The key that this secret makes.
    pub fn of(secret: &str) -> ServiceKey {
        // Not the secret itself: that is shown on the way, and signs nothing.
        let key = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), PURPOSE);
        let (signs, verifies) =
            (EncodingKey::from_secret(key.as_ref()), DecodingKey::from_secret(key.as_ref()));
        ServiceKey { signs, verifies }
    }

    /// A token with which `from` asks `to`.
    pub fn sign(&self, from: &str, to: &str, now: Timestamp) -> String {
        let life = SignedDuration::try_from(SERVICE_TOKEN_LIFE).expect("a minute");
        let (iat, exp) = (now.as_second(), (now + life).as_second());
        let claims = Claims { iss: from.to_owned(), aud: to.to_owned(), iat, exp };
        jsonwebtoken::encode(&Header::new(ALGORITHM), &claims, &self.signs).expect("a key signs")
    }

    /// Which service asks `to`.
    ///
    /// # Errors
    /// See [`TokenRefusal`]: 401.
    pub fn verify(&self, token: &str, to: &str, now: Timestamp) -> Result<String, TokenRefusal> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenRefusal::Invalid);
        }
        let mut validation = Validation::new(ALGORITHM);
        validation.set_audience(&[to]);
        validation.required_spec_claims = HashSet::from(["aud", "exp"].map(str::to_owned));
        // By the caller's clock.
        validation.validate_exp = false;
        let claims = decode::<Claims>(token, &self.verifies, &validation);
        let claims = claims.map_err(|_| TokenRefusal::Invalid)?.claims;
        if claims.exp <= now.as_second() {
            return Err(TokenRefusal::Expired);
        }
        Ok(claims.iss)
    }
}

/// Whether a token says that it is one of a service, true or not.
pub fn is_of_a_service(token: &str) -> bool {
    token.len() <= TOKEN_BYTES_MAX
        && decode_header(token).is_ok_and(|header| header.alg == ALGORITHM)
}

impl std::fmt::Debug for ServiceKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServiceKey").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{Role, fixture};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a second")
    }

    #[test]
    fn a_token_says_who_asks_to_whom_it_is_for_until_it_expires() {
        let key = ServiceKey::of("a secret of both");
        let token = key.sign("order", "product", at(100));
        assert!(is_of_a_service(&token));
        for now in [at(40), at(100), at(159)] {
            let from = ServiceKey::of("a secret of both").verify(&token, "product", now);
            assert_eq!(from.as_deref(), Ok("order"), "{now}");
        }
        assert_eq!(key.verify(&token, "product", at(160)), Err(TokenRefusal::Expired));
        assert_eq!(key.verify(&token, "account", at(100)), Err(TokenRefusal::Invalid));
        let other = ServiceKey::of("another secret");
        assert_eq!(other.verify(&token, "product", at(100)), Err(TokenRefusal::Invalid));
    }

    #[test]
    fn what_is_no_token_of_a_service_opens_nothing() {
        let key = ServiceKey::of("a secret of both");
        let token = key.sign("order", "product", at(100));
        let [head, claims, mac] = token.split('.').collect::<Vec<_>>()[..] else {
            panic!("{token}")
        };
        let life = Duration::from_secs(60);
        let role = Role::parse("CUSTOMER").expect("a role");
        let person = fixture::token(&fixture::signer(), "a@b", &role, at(100), life).text;
        let unsigned = format!("eyJhbGciOiJub25lIn0.{claims}.");
        let cases = [
            String::new(),
            "x".repeat(TOKEN_BYTES_MAX + 1),
            format!("{head}.{claims}."),
            format!("{head}.{claims}x.{mac}"),
            format!("{head}x.{claims}.{mac}"),
            unsigned,
            person.clone(),
        ];
        for text in cases {
            assert_eq!(key.verify(&text, "product", at(100)), Err(TokenRefusal::Invalid), "{text}");
        }
        assert!(!is_of_a_service(&person));
        // And it is nobody's who signed in.
        let verifier = fixture::verifier(&fixture::signer().public_keys());
        assert_eq!(verifier.verify(&token, at(100)), Err(TokenRefusal::Invalid));
    }
}
