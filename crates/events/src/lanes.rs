//! One loop for each partition, all of them started and stopped as one.
//!
//! Partitions share nothing but the broker and the database, so their loops are tasks of their own: one that
//! waits for a hurt record, or for a broker that refuses it, holds up no other, and none has to be asked
//! whether another has something to do. They are tasks of the runtime that runs the whole: whoever is run on
//! one core stays there.
//!
//! A relay and a subscription are each a loop per partition, and nothing orders what two of them do: that is
//! what lets a stuck partition hold up no other. They are separate tasks, so that one which waits for its
//! broker or for a retry takes no time from its neighbours. Each ends by itself, after what it has under
//! way, and only when all have ended has the whole.

use std::future::Future;
use std::pin::{Pin, pin};

use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};

/// Resolves when a loop is to end.
pub(crate) type Stop = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Runs one loop for each of `lanes` until `stop` resolves; every loop is stopped, and waited for.
///
/// A loop that panics is logged and stays away; the others go on. Dropping the future ends them all where
/// they stand.
pub(crate) async fn run_each<L, F>(
    lanes: impl Iterator<Item = L>,
    run: impl Fn(L, Stop) -> F,
    stop: impl Future<Output = ()>,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let stopping = watch::Sender::new(false);
    let mut running = JoinSet::new();
    for lane in lanes {
        let mut stopped = stopping.subscribe();
        running.spawn(run(lane, Box::pin(async move { _ = stopped.wait_for(|it| *it).await })));
    }
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            () = stop.as_mut() => break,
            // Reported when it happens, and not when all are stopped.
            Some(ended) = running.join_next() => report(ended),
        }
    }
    stopping.send_replace(true);
    while let Some(ended) = running.join_next().await {
        report(ended);
    }
}

fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a loop ended before its time");
    }
}
