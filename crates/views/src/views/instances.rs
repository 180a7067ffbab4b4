//! What instances that share their rows do beside folding and reading: one holds the fold, all see what it folds.

use events::store::Announcements;
use tokio::sync::watch;

use super::Views;
use crate::error::Error;
use crate::follow;
use crate::lease::Lease;
use crate::read_side::ReadSide;

impl Views {
    /// Whether this instance has to rest, because another one folds into the same rows; nothing, where no other can.
    /// Each of the fold's subscriptions is [paused](events::Subscription::paused) by it.
    pub fn stands_by(&self) -> Option<watch::Receiver<bool>> {
        self.side.lease.as_ref().map(Lease::stands_by)
    }

    /// Asks for the lease of the fold and keeps it, where instances share their rows; while `resting` has `true`,
    /// another one may have it. Never resolves; drop it to end it.
    pub async fn hold_fold(&self, resting: watch::Receiver<bool>) {
        let ReadSide { lease, apart, generation, .. } = &*self.side;
        match lease {
            Some(lease) => lease.hold(apart, &generation.feed_id, resting).await,
            None => std::future::pending().await,
        }
    }

    /// Gives the lease back, when this instance's subscriptions have ended: another one takes over at once.
    ///
    /// # Errors
    /// [`Error::Store`]: it takes over in [`SILENT_MAX`](crate::SILENT_MAX).
    pub async fn let_fold_go(&self) -> Result<(), Error> {
        match &self.side.lease {
            Some(lease) => Ok(lease.release(&self.side.apart).await?),
            None => Ok(()),
        }
    }

    /// Sees what other instances fold, as soon as it is announced, and every [`POLL_EVERY`](crate::POLL_EVERY) in any
    /// case: pages are invalidated, then waiting readers let go. Never resolves; drop it to end it.
    pub async fn follow(&self, announced: Option<Announcements>) {
        match self.side.lease {
            Some(_) => follow::follow(&self.side, announced).await,
            None => std::future::pending().await,
        }
    }
}
