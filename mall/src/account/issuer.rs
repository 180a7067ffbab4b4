//! What tokens are issued with, and ended with: users and passwords, the keys, the clock.
//!
//! It decides nothing: [`token`](super::token) and [`revocation`](super::revocation) do.

use std::sync::Arc;
use std::time::Duration;

use chassis::identity::{Signer, Verifier};
use events::{Clock, Database};

use super::password::Passwords;
use super::refresh::ChainKey;

/// How long an access token lives.
pub(super) const ACCESS_LIFE: Duration = Duration::from_secs(60 * 60);

/// The surroundings of whatever issues or ends a token.
#[derive(Clone)]
pub(super) struct Issuer {
    pub(super) database: Database,
    pub(super) passwords: Passwords,
    pub(super) signer: Arc<Signer>,
    pub(super) verifier: Verifier,
    /// What refresh tokens follow one another by.
    pub(super) chain: ChainKey,
    pub(super) clock: Clock,
    /// The client that may sign in as itself.
    pub(super) client: Option<Client>,
}

/// A client of OAuth.
#[derive(Clone, Copy)]
pub(super) struct Client {
    pub(super) name: &'static str,
    pub(super) secret: &'static str,
}
