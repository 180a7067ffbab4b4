//! What a gateway shows a service that should believe it: a secret of both, compared by its digest.

use chassis::http::client::X_YEOUL_GATEWAY;
use http::HeaderMap;
use sha2::{Digest, Sha256};

/// What is asked for; nobody can show it where there is none.
#[derive(Clone, Debug)]
pub(crate) struct Proof(Option<[u8; 32]>);

impl Proof {
    pub(crate) fn of(secret: Option<&str>) -> Proof {
        Proof(secret.map(|secret| Sha256::digest(secret).into()))
    }

    /// Whether a request with these headers comes from the gateway.
    pub(crate) fn is_shown(&self, headers: &HeaderMap) -> bool {
        let shown = headers.get(&X_YEOUL_GATEWAY).map(|shown| Sha256::digest(shown).into());
        // Digests are compared, so that how far two texts agree cannot be read from the time it takes.
        shown.is_some() && shown == self.0
    }
}
