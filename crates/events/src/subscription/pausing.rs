//! What a subscription that runs knows of its pause: the row that says so, as it was read last.
//!
//! Its loops ask here before they take anything, and finish what they have in their hands. The row may be another
//! instance's doing, and its time may be over by itself, so it is read again every [`LOOK_EVERY`] where either can be,
//! and once more after it could not be read: in a file nobody else writes, and who pauses it in this process looks himself.
//!
//! It decides nothing about events, and a pause is no trouble: what waits meanwhile is lag, and nobody is stuck.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};

use crate::Clock;
use crate::error::Error;
use crate::store::database::Database;
use crate::store::paused::Pause;

/// How late at most is noticed what another instance was told, and that the time is over.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A handle; clones share what is known.
#[derive(Clone)]
pub(crate) struct Hold {
    name: Arc<str>,
    database: Database,
    clock: Clock,
    known: watch::Sender<Option<Pause>>,
    /// What is known may be old.
    again: Arc<Notify>,
}

impl Hold {
    /// Of this subscription; nothing is known yet.
    pub(crate) fn new(name: Arc<str>, database: Database, clock: Clock) -> Hold {
        Hold { name, database, clock, known: watch::Sender::new(None), again: Arc::default() }
    }

    /// The pause that there is, as far as is known.
    pub(crate) fn pause(&self) -> Option<Pause> {
        *self.known.borrow()
    }

    /// Resolves while there is one.
    pub(crate) fn begun(&self) -> impl Future<Output = ()> + Send + 'static {
        reached(self.known.subscribe(), true)
    }

    /// Resolves while there is none.
    pub(crate) fn over(&self) -> impl Future<Output = ()> + Send + 'static {
        reached(self.known.subscribe(), false)
    }

    /// Reads it.
    pub(crate) async fn look(&self) -> Result<(), Error> {
        let pause = self.database.pause_of(&self.name).await?;
        let holding = pause.filter(|pause| pause.holds((self.clock)()));
        let has_changed = self.known.send_if_modified(|known| {
            let has_changed = *known != holding;
            *known = holding;
            has_changed
        });
        if has_changed {
            self.tell(holding);
        }
        Ok(())
    }

    /// Has it read once more: what it has may be old.
    pub(crate) fn look_again(&self) {
        self.again.notify_one();
    }

    fn tell(&self, pause: Option<Pause>) {
        let subscription = &*self.name;
        match pause {
            None => tracing::info!(subscription, "it goes on"),
            Some(Pause { until: None, .. }) => {
                tracing::info!(subscription, "paused until it is resumed");
            }
            Some(Pause { until: Some(until), .. }) => {
                tracing::info!(subscription, %until, "paused");
            }
        }
    }

    /// Reads it again as often as it may be another one.
    pub(crate) async fn follow(&self) -> Infallible {
        let mut known = self.known.subscribe();
        loop {
            let ends = known.borrow_and_update().is_some_and(|pause| pause.until.is_some());
            tokio::select! {
                _ = known.changed() => continue,
                () = self.again.notified() => {}
                () = tokio::time::sleep(LOOK_EVERY), if ends || self.database.has_instances() => {}
            }
            if let Err(error) = self.look().await {
                // As it was until it can be read: whoever works with that store has more trouble than this.
                tracing::debug!(subscription = &*self.name, %error, "whether it is paused is not known");
                self.look_again();
                tokio::time::sleep(LOOK_EVERY).await;
            }
        }
    }
}

async fn reached(mut known: watch::Receiver<Option<Pause>>, is_paused: bool) {
    // Whoever waits has a handle's clone beside, so that there is always somebody who could say.
    drop(known.wait_for(|pause| pause.is_some() == is_paused).await);
}
