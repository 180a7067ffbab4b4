//! Removes what topics of the folder's own log are not told to keep, for as long as the process runs.
//!
//! A little at a time: after each slice it rests for as long as that took, so that whoever publishes has at least half of the
//! log's writer however much there is to remove.

use std::sync::Arc;
use std::time::Duration;

use chassis::clock;
use chassis::cores::Loop;
use chassis::http::Stop;
use events::local::Log;
use tracing::warn;

/// How often one looks whether there is something to remove.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long one waits after trouble, of which the log has written already.
const AFTER_TROUBLE: Duration = Duration::from_secs(10);

/// To be run, where a topic does not keep everything.
pub(super) fn keep(log: &Arc<Log>, stop: &Stop) -> Loop {
    let (log, stop) = (Arc::clone(log), stop.clone());
    Box::pin(async move {
        tokio::select! {
            () = remove_expired(&log) => {}
            () = stop.stopped() => {}
        }
    })
}

async fn remove_expired(log: &Log) {
    loop {
        let begun = clock::now();
        let rest = match log.remove_expired().await {
            Ok(true) => clock::now().duration_since(begun),
            Ok(false) => LOOK_EVERY,
            Err(error) => {
                warn!(%error, "what topics are not to keep stays for now");
                AFTER_TROUBLE
            }
        };
        tokio::time::sleep(rest).await;
    }
}
