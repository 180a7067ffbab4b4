//! The gateway's memory of ended sign-ins: opened with the layer, fed by a topic, closed at its end.
//!
//! It is there where browsers sign in, of the mall or of one's own services; the topic where the
//! settings name one.

use std::sync::Arc;

use chassis::clock;
use chassis::cores::Cores;
use chassis::folder::Folder;
use chassis::http::Stop;
use chassis::identity::Verifier;
use events::local::Log;
use events::{Control, Retry, Subscription, Topic};
use gateway::{Gateway, Plan};
use mall::Loop;
use sessions::Memory;

use crate::exit::Failure;
use crate::process::damaged;

/// Its folder below the data folder, and the subscriber in its subscriptions' names.
const NAME: &str = "gateway";

/// A verifier, and what makes it refuse for longer than this process lives.
pub(crate) struct Identity {
    pub(crate) verifier: Verifier,
    pub(crate) memory: Option<Memory>,
    /// What tells this data folder's cookies from another's.
    pub(crate) name: String,
    topic: Option<Topic>,
}

impl Identity {
    /// Opens the memory, if `plan` needs one, and fills the verifier's from it.
    pub(crate) fn open(
        folder: &Folder,
        plan: &Plan,
        verifier: Verifier,
    ) -> Result<Identity, Failure> {
        let name = folder.identity();
        let name = name.map_err(|error| damaged("the data folder's identity", &error))?;
        let open = || Memory::open(&folder.path().join(NAME), verifier.ended(), clock::component());
        let memory = plan.has_session().then(open).transpose();
        let memory = memory.map_err(|error| damaged("the memory of sign-ins", &error))?;
        let topic = plan.session_topic().and_then(|topic| Topic::parse(topic).ok());
        Ok(Identity { verifier, memory, name, topic })
    }
}

/// A running memory.
pub(crate) struct Remembering {
    memory: Memory,
    topic: Option<Topic>,
}

impl Remembering {
    pub(super) fn of(identity: &Identity) -> Option<Remembering> {
        let memory = identity.memory.clone()?;
        Some(Remembering { memory, topic: identity.topic.clone() })
    }

    /// What hears of ended sign-ins, where a topic says so, and its handle.
    pub(super) fn hear(&self, log: Arc<Log>, stop: Stop, retry: Retry) -> Option<(Loop, Control)> {
        let topic = self.topic.clone()?;
        let subscription = Subscription::new(
            &format!("{NAME}.{topic}"),
            topic,
            self.memory.database().clone(),
            log,
            self.memory.handler(),
            retry,
            clock::component(),
        );
        let control = subscription.control();
        let hears = Box::pin(subscription.run(async move { stop.stopped().await }));
        Some((hears, control))
    }

    /// Syncs and closes it.
    pub(super) async fn close(&self) {
        self.memory.database().close().await;
    }
}

/// Has sign-outs told of that the sign-in service has not heard of yet.
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
