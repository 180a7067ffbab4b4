//! The keys that tokens are made with: of the folder where state is in files, else of the store that all instances
//! share.

use std::path::Path;

use chassis::identity::{self, Signer};
use chassis::sealing::SealingKey;
use events::Database;
use sessions::{KeyRequest, NoKeys};

use super::refresh::ChainKey;

/// The file of the signing key, in the service's folder.
const SIGNING_FILE: &str = "signing.key";
/// The file of the key that refresh tokens follow one another by.
const CHAIN_FILE: &str = "refresh.key";

/// What tokens are made with.
pub(super) struct Keys {
    pub(super) signer: Signer,
    pub(super) chain: ChainKey,
}

impl Keys {
    /// Those of this service, drawn where there are none; in the database where something seals them there.
    pub(super) async fn open(
        folder: &Path,
        database: &Database,
        sealing: Option<&SealingKey>,
        issuer: &str,
    ) -> Result<Keys, NoKeys> {
        let files = [SIGNING_FILE, CHAIN_FILE].map(|name| folder.join(name));
        let [signing, chain] = match sealing {
            None => [identity::secret(&files[0])?, identity::secret(&files[1])?],
            Some(sealing) => {
                let [signing, refresh] = files;
                let signing = KeyRequest { name: "signing", file: signing };
                let refresh = KeyRequest { name: "refresh", file: refresh };
                sessions::keys(database, sealing, [signing, refresh]).await?
            }
        };
        Ok(Keys { signer: Signer::from_seed(&signing, issuer), chain })
    }
}
