//! Account: users, their passwords, and the tokens that everybody else believes.
//!
//! A token is signed with a key that lives in this service's folder, or in the store that its instances share, so it
//! outlives a restart; who verifies it needs the public keys alone and never asks here. What others may know of a user goes
//! out as UserRegistered.
//!
//! It does not know what a role may do: each service says that of its own commands.

mod api;
mod attempts;
mod decide;
pub(crate) mod described;
mod family;
mod issuer;
mod keys;
mod limits;
mod password;
mod publish;
mod refresh;
mod revocation;
mod seed;
mod store;
mod token;
mod user;
mod wire;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use chassis::http::Stop;
use chassis::identity::Signer;
use events::Database;
use tracing::info;

pub use api::Server;

use self::attempts::SignUps;
use self::issuer::Issuer;
use self::keys::Keys;
use self::password::Passwords;
use crate::components::{Components, Composed, Loops};
use crate::error::Error;
use crate::settings::Name;

/// The account service, open.
#[derive(Clone)]
pub struct Service {
    components: Components,
    issuer: Issuer,
    sign_ups: Arc<Mutex<SignUps>>,
}

impl Service {
    /// Opens its database and its key, teaches the verifier the public keys and, where
    /// that is wanted and was never done, writes the demo's users.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn open(components: Components) -> Result<Service, Error> {
        let database = components.database(Name::Account, store::TABLES).await?;
        let folder = components.folder(Name::Account)?;
        let (sealing, issuer) = (components.sealing.as_ref(), components.verifier.issuer());
        let Keys { signer, chain } = Keys::open(&folder, &database, sealing, issuer).await?;
        components.remember_ended(&database).await?;
        components.verifier.replace_keys(&signer.public_keys());
        let passwords =
            Passwords::start(&components.sign_in).map_err(Error::folder("the password threads"))?;
        if components.seed && database.write((), |(), tx| Box::pin(seed::sow(tx))).await? {
            info!("the demo's users were written");
        }
        let sign_ups = Arc::new(Mutex::new(SignUps::new(&components.sign_up)));
        let issuer = Issuer {
            database,
            passwords,
            signer: Arc::new(signer),
            verifier: components.verifier.clone(),
            chain,
            clock: components.clock.clone(),
            client: components.seed.then_some(seed::CLIENT),
        };
        Ok(Service { components, issuer, sign_ups })
    }

    /// What signs this service's tokens.
    pub fn signer(&self) -> &Signer {
        &self.issuer.signer
    }

    /// What answers at `address` on one core.
    pub fn server(&self, address: SocketAddr) -> Server {
        Server::new(&self.components, self.issuer.clone(), self.sign_ups.clone(), address)
    }

    /// Its relay; it subscribes to nothing.
    pub fn loops(&self, stop: &Stop) -> Loops {
        Composed::new(&self.components, Name::Account, &self.issuer.database, stop).finish()
    }

    /// Its database.
    pub fn database(&self) -> &Database {
        &self.issuer.database
    }
}
