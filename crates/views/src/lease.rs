//! Which instance folds, where several share their rows: one that holds a lease, while the others stand by.
//!
//! A holder says every [`BEAT_EVERY`] that it is there; one that was silent for [`SILENT_MAX`] is followed by another.
//! Nothing depends on clocks: a batch of whoever was followed is refused by the lease's own number, in its transaction.
//! A holder that stands still between a batch's last statement and its commit keeps the lease until the server ends that
//! transaction, five seconds later.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use events::Database;
use events::store::Tx;
use tokio::sync::watch;

use crate::store::instances;

/// How often its holder says that it is there.
pub const BEAT_EVERY: Duration = Duration::from_secs(1);

/// How long a holder may be silent before another one takes over.
pub const SILENT_MAX: Duration = Duration::from_secs(3);

/// How often those who stand by look whether they may take over.
pub const ASKED_EVERY: Duration = Duration::from_millis(500);

/// How long the store may take to say who holds it.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// No number of a lease.
const NONE: u64 = 0;

/// What this instance knows of the lease.
pub(crate) struct Lease {
    fence: AtomicU64,
    stands_by: watch::Sender<bool>,
}

impl Lease {
    /// Of an instance that does not hold it yet.
    pub(crate) fn new() -> Lease {
        Lease { fence: AtomicU64::new(NONE), stands_by: watch::Sender::new(true) }
    }

    /// Follows whether this instance has to rest.
    pub(crate) fn stands_by(&self) -> watch::Receiver<bool> {
        self.stands_by.subscribe()
    }

    /// Asks for it, keeps it, and asks again where it was lost; while `resting` has `true` it is given back, for another
    /// one to fold and for all to see where none does. Never resolves; drop it to end it.
    pub(crate) async fn hold(
        &self,
        database: &Database,
        feed_id: &str,
        mut resting: watch::Receiver<bool>,
    ) {
        let mut answers = true;
        loop {
            let rests = *resting.borrow_and_update();
            let asked = async {
                match self.fence() {
                    _ if rests => self.release(database).await,
                    NONE => self.ask(database, feed_id).await,
                    fence => self.keep(database, fence).await,
                }
            };
            // What was asked goes on all the same, and its answer is not waited for: the number tells who holds it.
            let asked = tokio::time::timeout(ANSWER_WITHIN, asked).await;
            let asked = asked.unwrap_or_else(|_| Err(events::Error::environment("no answer")));
            // Once, however long it lasts.
            if let (Err(error), true) = (&asked, answers) {
                tracing::warn!(%error, "who folds the views cannot be asked");
            }
            answers = asked.is_ok();
            let pause = if self.fence() == NONE { ASKED_EVERY } else { BEAT_EVERY };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = changed(&mut resting) => {}
            }
        }
    }

    async fn ask(&self, database: &Database, feed_id: &str) -> Result<(), events::Error> {
        let taken = database.write(feed_id.to_owned(), |feed_id, tx| {
            Box::pin(instances::take(tx, feed_id, SILENT_MAX))
        });
        if let Some(fence) = taken.await? {
            tracing::info!(fence, "this instance folds the views");
            self.note(fence);
        }
        Ok(())
    }

    async fn keep(&self, database: &Database, fence: u64) -> Result<(), events::Error> {
        let kept = database.write(fence, |&fence, tx| Box::pin(instances::keep(tx, fence)));
        if !kept.await? {
            tracing::warn!(fence, "another instance folds the views");
            self.note(NONE);
        }
        Ok(())
    }

    /// Gives it back, if this instance has it: another one need not wait for the end of its silence.
    pub(crate) async fn release(&self, database: &Database) -> Result<(), events::Error> {
        let fence = self.fence();
        self.note(NONE);
        if fence == NONE {
            return Ok(());
        }
        database.write(fence, |&fence, tx| Box::pin(instances::release(tx, fence))).await
    }

    /// Begins a batch in its transaction.
    ///
    /// # Errors
    /// [`events::Error::Environment`]: another instance folds.
    pub(crate) async fn begin(&self, tx: &mut Tx<'_>) -> Result<(), events::Error> {
        let fence = self.fence();
        // Who has none begins nothing, also where nobody ever had one and the row's number is as low.
        if fence != NONE && instances::begin(tx, fence).await? {
            return Ok(());
        }
        Err(events::Error::environment("another instance folds the views"))
    }

    fn fence(&self) -> u64 {
        self.fence.load(Ordering::Acquire)
    }

    fn note(&self, fence: u64) {
        self.fence.store(fence, Ordering::Release);
        self.stands_by.send_replace(fence == NONE);
    }
}

/// Whoever set it may be gone: then it stays as it was left.
async fn changed(resting: &mut watch::Receiver<bool>) {
    if resting.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}
