//! Signers, verifiers and tokens for tests, here and in what stands on this crate: with keys that are kept nowhere.
//!
//! What runs has its keys from a folder or a store, and begins a sign-in where somebody signs in.

use std::time::Duration;

use jiff::Timestamp;
use jsonwebtoken::jwk::JwkSet;

use super::Verifier;
use super::ended::{ENDED_MAX, Ended};
use super::role::Role;
use super::signer::{Life, SEED_BYTES, Signer, Token, new_session};
use crate::chance;

/// Who signs.
pub const ISSUER: &str = "yeoul";

/// What signs as [`ISSUER`].
pub fn signer() -> Signer {
    let mut seed = [0; SEED_BYTES];
    chance::fill(&mut seed);
    Signer::from_seed(&seed, ISSUER)
}

/// A verifier of what [`ISSUER`] signs with these keys; no sign-in has ended yet.
pub fn verifier(keys: &JwkSet) -> Verifier {
    verifier_but_for(keys, Ended::new(ENDED_MAX))
}

/// The same, but for what `ended` names.
pub fn verifier_but_for(keys: &JwkSet, ended: Ended) -> Verifier {
    let verifier = Verifier { ended, ..Verifier::of(ISSUER) };
    verifier.replace_keys(keys);
    verifier
}

/// The first token of a new sign-in.
pub fn token(
    signer: &Signer,
    subject: &str,
    role: &Role,
    from: Timestamp,
    lasts: Duration,
) -> Token {
    signer.mint_in(&new_session(), subject, role, Life { from, lasts })
}
