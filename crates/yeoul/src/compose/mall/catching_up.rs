//! Whether everything that was committed has been relayed, handled and folded.

use std::time::Duration;

use events::subscription::Control;
use events::{Database, Numbers, relay};

/// How often it is looked.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(5);

/// The newest outbox sequences of each.
pub(super) async fn committed(databases: &[Database]) -> Result<Vec<Numbers>, events::Error> {
    let mut newest = Vec::with_capacity(databases.len());
    for database in databases {
        newest.push(database.committed_by_now().await?);
    }
    Ok(newest)
}

/// Whether all of these are relayed, each by the relay in its place.
pub(super) fn are_relayed(relays: &[relay::Control], committed: &[Numbers]) -> bool {
    let mut each = relays.iter().zip(committed);
    each.all(|(relay, committed)| relay.status().settled.cover(committed))
}

/// Resolves when what was committed by now has been relayed, and each subscription was once at the end of its
/// topic. What others publish meanwhile is no reason to wait longer.
pub(super) async fn once(databases: &[Database], relays: &[relay::Control], controls: &[Control]) {
    let before = loop {
        match committed(databases).await {
            Ok(numbers) => break numbers,
            Err(_) => tokio::time::sleep(LOOK_EVERY).await,
        }
    };
    while !are_relayed(relays, &before) {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    for control in controls {
        // A paused one catches up when it is resumed, and nobody waits for that.
        while control.status().await.map_or(true, |it| it.lag > 0 && it.paused.is_none()) {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}
