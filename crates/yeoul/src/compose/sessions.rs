//! The gateway's memory of ended sign-ins: opened with the layer, fed by a topic, closed at its end.
//!
//! It is there where browsers sign in, of the mall or of one's own services; the topic where the
//! settings name one.

use std::path::Path;
use std::sync::Arc;

use chassis::clock;
use chassis::cores::Cores;
use chassis::folder::{self, Folder};
use chassis::http::Stop;
use chassis::identity::{self, Verifier};
use events::store::{Host, Place};
use events::{Broker, Retry, Subscription, Topic};
use gateway::{Gateway, Plan, Sessions};
use sessions::Memory;

use super::loops::Loops;
use super::store;
use crate::exit::Failure;
use crate::process::damaged;

/// Its folder below the data folder, and the subscriber in its subscriptions' names.
pub(crate) const NAME: &str = "gateway";
/// The file in it of the key that refresh cookies are sealed with.
const KEY_FILE: &str = "seal.key";

/// A verifier, and what makes it refuse for longer than this process lives.
pub(crate) struct Identity {
    pub(crate) verifier: Verifier,
    pub(crate) sessions: Option<Sessions>,
    /// What tells this data folder's cookies from another's.
    pub(crate) name: String,
    topic: Option<Topic>,
}

impl Identity {
    /// Opens the memory, if `plan` needs one, and fills the verifier's from it.
    pub(crate) async fn open(
        folder: &Folder,
        host: Option<&Host>,
        plan: &Plan,
        verifier: Verifier,
    ) -> Result<Identity, Failure> {
        let name = folder.identity();
        let name = name.map_err(|error| damaged("the data folder's identity", &error))?;
        let sessions = if plan.has_session() {
            Some(open(&folder.path().join(NAME), host, &verifier).await?)
        } else {
            None
        };
        let topic = plan.session_topic().and_then(|topic| Topic::parse(topic).ok());
        Ok(Identity { verifier, sessions, name, topic })
    }
}

/// Opens the memory below its folder or on the server, and the key in the folder.
async fn open(
    folder: &Path,
    host: Option<&Host>,
    verifier: &Verifier,
) -> Result<Sessions, Failure> {
    folder::make_private(folder).map_err(|error| damaged("the data folder", &error))?;
    let (ended, clock) = (verifier.ended(), clock::component());
    let memory = match host {
        None => Memory::open(folder, ended, clock).await,
        Some(host) => {
            let place = Place::Schema { host: host.clone(), name: NAME.to_owned() };
            Box::pin(Memory::at(place, ended, clock)).await
        }
    };
    let what = "the memory of sign-ins";
    let memory = memory.map_err(|error| store::unopened(what, host, &error))?;
    let key = identity::secret(&folder.join(KEY_FILE));
    let key = key.map_err(|error| damaged("the key of sign-ins", &error))?;
    Ok(Sessions { memory, key })
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

    /// What hears of ended sign-ins, where a topic says so.
    pub(super) fn hear(&self, broker: Arc<dyn Broker>, stop: Stop, retry: Retry) -> Option<Loops> {
        let topic = self.topic.clone()?;
        let subscription = Subscription::new(
            &format!("{NAME}.{topic}"),
            topic,
            self.memory.database().clone(),
            broker,
            self.memory.handler(),
            retry,
            clock::component(),
        );
        let controls = vec![subscription.control()];
        let hears = Box::pin(subscription.run(async move { stop.stopped().await }));
        Some(Loops { run: vec![hears], controls })
    }

    /// Syncs and closes it.
    pub(super) async fn close(&self) {
        self.memory.database().close().await;
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
