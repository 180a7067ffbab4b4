//! A relay at work, for tests of any engine.

use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use super::Relay;
use crate::partition::Partition;
use crate::relay_progress::Progress;

/// A running relay of one partition, and the switch that ends it.
pub(crate) struct Running {
    pub(crate) status: watch::Receiver<Progress>,
    stop: oneshot::Sender<()>,
    pub(crate) task: JoinHandle<()>,
}

impl Running {
    pub(crate) fn start(relay: Relay) -> Running {
        let status = relay.progress(Partition::FIRST);
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(relay.run(async move { drop(stopped.await) }));
        Running { status, stop, task }
    }

    pub(crate) async fn stop(self) {
        drop(self.stop);
        self.task.await.unwrap();
    }
}
