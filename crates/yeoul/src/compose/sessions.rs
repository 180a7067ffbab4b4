//! The gateway's memory of ended sign-ins: opened with the layer, fed by a topic, closed at its end.
//!
//! It is there where browsers sign in, of the mall or of one's own services; the topic where the
//! settings name one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chassis::chance;
use chassis::clock;
use chassis::cores::Cores;
use chassis::folder::{self, Folder};
use chassis::http::Stop;
use chassis::identity::{self, Verifier};
use chassis::sealing::SealingKey;
use events::store::{Host, Location};
use events::{Broker, Database, Retry, Subscription, Topic};
use gateway::{Gateway, Plan, Sessions};
use sessions::{Key, KeyRequest, Memory, NoKeys};

use super::loops::Loops;
use super::{sealing, store};
use crate::exit::Failure;
use crate::process::damaged;

/// Its folder below the data folder, and the subscriber in its subscriptions' names.
pub(crate) const NAME: &str = "gateway";
/// The file in it of the key that refresh cookies are sealed with.
const KEY_FILE: &str = "seal.key";
/// What failures call it.
const MEMORY: &str = "the memory of sign-ins";
/// What a store is one folder's alone by.
const OWN_LOG: &str = "log";

/// Where the memory is, and the key that refresh cookies are sealed with.
#[derive(Clone, Copy)]
pub(crate) enum Storage<'p> {
    /// Both below the data folder.
    Files,
    /// Both on the server, the key sealed.
    Served(&'p Host, &'p SealingKey),
    /// The memory on the server; the key, of a port that sets no cookie, nowhere.
    Unsealed(&'p Host),
}

impl<'p> Storage<'p> {
    /// What settings and environment say.
    pub(crate) fn of(host: Option<&'p Host>, sealing: Option<&'p SealingKey>) -> Storage<'p> {
        match (host, sealing) {
            (None, _) => Storage::Files,
            (Some(host), Some(sealing)) => Storage::Served(host, sealing),
            (Some(host), None) => Storage::Unsealed(host),
        }
    }

    fn host(self) -> Option<&'p Host> {
        match self {
            Storage::Files => None,
            Storage::Served(host, _) | Storage::Unsealed(host) => Some(host),
        }
    }
}

/// A verifier, and what makes it refuse for longer than this process lives.
pub(crate) struct Identity {
    pub(crate) verifier: Verifier,
    pub(crate) sessions: Option<Sessions>,
    /// What tells the cookies of this data folder, or of all gateways on one store, from others'.
    pub(crate) name: String,
    topic: Option<Topic>,
}

impl Identity {
    /// Opens the memory, if `plan` needs one, and fills the verifier's from it.
    pub(crate) async fn open(
        folder: &Folder,
        storage: Storage<'_>,
        plan: &Plan,
        verifier: Verifier,
    ) -> Result<Identity, Failure> {
        let sessions = match plan.has_session() {
            true => Some(open(&folder.path().join(NAME), storage, &verifier).await?),
            false => None,
        };
        let name = match (storage, &sessions) {
            // Of the key that they share, so that a browser's cookies are called the same at each.
            (Storage::Served(..), Some(sessions)) => gateway::identity_of(&sessions.key),
            _ => {
                folder.identity().map_err(|error| damaged("the data folder's identity", &error))?
            }
        };
        let topic = plan.session_topic().and_then(|topic| Topic::parse(topic).ok());
        Ok(Identity { verifier, sessions, name, topic })
    }
}

impl Identity {
    /// Looks whether the store is this folder's, where events are in the folder's own log: a log is one process's, and
    /// the store has places in it.
    ///
    /// # Errors
    /// It is another folder's: the environment.
    pub(crate) async fn fits(
        &self,
        folder: &Folder,
        host: Option<&Host>,
        own_log: bool,
    ) -> Result<(), Failure> {
        let (Some(host), Some(sessions), true) = (host, &self.sessions, own_log) else {
            return Ok(());
        };
        let own = folder.identity();
        let own = own.map_err(|error| damaged("the data folder's identity", &error))?;
        // The first to insert owns it, and everybody reads who that is: of two folders that claim at once one is
        // told of the other.
        let claimed = sessions.memory.claim(OWN_LOG, own.clone()).await;
        let owner = claimed.map_err(|error| store::unopened(MEMORY, Some(host), &error))?;
        if owner == own {
            return Ok(());
        }
        let says = format!(
            "the store belongs to the log of another data folder. store=`{}`",
            host.address
        );
        let todo = "start it on that folder; or, for several processes, name a broker that they share: \
                    `events.broker: kafka://HOST:PORT`";
        Err(Failure::environment(says, todo))
    }
}

/// Opens the memory below its folder or on the server, and the key there.
async fn open(
    folder: &Path,
    storage: Storage<'_>,
    verifier: &Verifier,
) -> Result<Sessions, Failure> {
    folder::make_private(folder).map_err(|error| damaged("the data folder", &error))?;
    let (ended, clock) = (verifier.ended(), clock::component());
    let host = storage.host();
    let memory = match host {
        None => Memory::open(folder, ended, clock).await,
        Some(host) => {
            let location = Location::Schema { host: host.clone(), name: NAME.to_owned() };
            Box::pin(Memory::at(location, ended, clock)).await
        }
    };
    let memory = memory.map_err(|error| store::unopened(MEMORY, host, &error))?;
    let file = folder.join(KEY_FILE);
    let key = match storage {
        Storage::Files => {
            identity::secret(&file).map_err(|error| damaged("the key of sign-ins", &error))?
        }
        Storage::Served(host, sealing) => served_key(&memory, host, sealing, file).await?,
        // It sets no cookie, so nobody ever shows it one: any key will do for as long as it lives.
        Storage::Unsealed(_) => drawn(),
    };
    Ok(Sessions { memory, key })
}

/// The key that all gateways on this server have.
async fn served_key(
    memory: &Memory,
    host: &Host,
    sealing: &SealingKey,
    file: PathBuf,
) -> Result<Key, Failure> {
    let requests = [KeyRequest { name: "seal", file }];
    match sessions::keys(memory.database(), sealing, requests).await {
        Ok([key]) => Ok(key),
        Err(error @ NoKeys::Sealed(..)) => Err(sealing::sealed(Some(host), &error)),
        Err(error) => Err(store::unopened("the key of sign-ins", Some(host), &error)),
    }
}

fn drawn() -> Key {
    let mut key = Key::default();
    chance::fill(&mut key);
    key
}

/// A running memory.
pub(crate) struct Remembering {
    memory: Memory,
    topic: Option<Topic>,
}

impl Remembering {
    pub(super) fn of(identity: &Identity) -> Option<Remembering> {
        let memory = identity.sessions.as_ref()?.memory.clone();
        Some(Remembering { memory, topic: identity.topic.clone() })
    }

    /// The subscription to ended sign-ins, where a topic says so.
    pub(super) fn subscribe(
        &self,
        broker: Arc<dyn Broker>,
        stop: Stop,
        retry: Retry,
    ) -> Option<Loops> {
        let topic = self.topic.clone()?;
        let subscription = Subscription::new(
            &format!("{NAME}.{topic}"),
            topic,
            self.memory.database().clone(),
            broker,
            self.memory.handler(),
            retry,
            clock::component(),
        )
        .shared();
        let controls = vec![subscription.control()];
        let run = Box::pin(subscription.run(async move { stop.stopped().await }));
        Some(Loops { run: vec![run], controls })
    }

    /// Where it is kept.
    pub(super) fn database(&self) -> Database {
        self.memory.database().clone()
    }
}

/// Reports the sign-outs that the sign-in service has not heard of yet.
pub(super) fn settle_on_one_core(cores: &Cores, gateway: &Gateway, stop: &Stop) {
    let (gateway, stop) = (gateway.clone(), stop.clone());
    cores.spawn_each(move |core| {
        let (gateway, stop) = (gateway.clone(), stop.clone());
        async move {
            if core == 0 {
                gateway.settle(stop).await;
            }
        }
    });
}
