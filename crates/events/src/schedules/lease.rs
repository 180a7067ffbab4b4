//! Which instance looks after schedules that several share: one that beats, while the others watch whether it does.
//!
//! No clocks are compared, nor is the server's asked: a holder raises a count every [`BEAT_EVERY`], and who saw the same count
//! [`SILENT_LOOKS`] times, [`ASKED_EVERY`] apart, follows it. Nothing but being in time depends on there being one: what two
//! publish at once is one event by its id, and what they note is a row of one occurrence.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tracing::{info, warn};

use crate::error::Error;
use crate::store::database::Database;
use crate::store::schedules::{self as rows, Holder};

/// How often a holder says that it lives.
const BEAT_EVERY: Duration = Duration::from_secs(1);

/// How often others look whether it does.
const ASKED_EVERY: Duration = Duration::from_millis(500);

/// Looks that see the same before one follows: three seconds.
const SILENT_LOOKS: u32 = 6;

/// How long the store may take to answer.
const ANSWERED_WITHIN: Duration = Duration::from_secs(2);

/// No number of a holder.
const NONE: u64 = 0;

/// What this instance knows of it.
#[derive(Default)]
pub(super) struct Lease {
    fence: AtomicU64,
}

impl Lease {
    pub(super) fn is_held(&self) -> bool {
        self.fence.load(Ordering::Acquire) != NONE
    }

    /// Asks for it, keeps it, asks again where it was lost. Never resolves.
    pub(super) async fn hold(&self, database: &Database) {
        let (mut seen, mut looks) = (None, 0);
        loop {
            let turn = async {
                match self.fence.load(Ordering::Acquire) {
                    NONE => self.look(database, &mut seen, &mut looks).await,
                    fence => self.beat(database, fence).await,
                }
            };
            let answered = tokio::time::timeout(ANSWERED_WITHIN, turn).await;
            if !matches!(answered, Ok(Ok(()))) {
                // Who cannot be asked may live: it is watched from the beginning.
                (seen, looks) = (None, 0);
            }
            tokio::time::sleep(if self.is_held() { BEAT_EVERY } else { ASKED_EVERY }).await;
        }
    }

    async fn look(
        &self,
        database: &Database,
        seen: &mut Option<Holder>,
        looks: &mut u32,
    ) -> Result<(), Error> {
        let holder = database.read(&(), |(), it| Box::pin(rows::holder(it))).await?;
        *looks = if *seen == Some(holder) { *looks + 1 } else { 0 };
        *seen = Some(holder);
        if holder.is_there && *looks < SILENT_LOOKS {
            return Ok(());
        }
        let follow = database.write(holder, |holder, tx| Box::pin(rows::follow(tx, *holder)));
        if let Some(fence) = follow.await? {
            info!(fence, "this instance publishes what is due");
            self.fence.store(fence, Ordering::Release);
        }
        Ok(())
    }

    async fn beat(&self, database: &Database, fence: u64) -> Result<(), Error> {
        if !database.write(fence, |fence, tx| Box::pin(rows::beat(tx, *fence))).await? {
            warn!(fence, "another instance publishes what is due");
            self.fence.store(NONE, Ordering::Release);
        }
        Ok(())
    }

    /// Gives it back, so that nobody has to wait for its silence.
    pub(super) async fn let_go(&self, database: &Database) {
        let fence = self.fence.swap(NONE, Ordering::AcqRel);
        if fence == NONE {
            return;
        }
        let let_go = database.write(fence, |fence, tx| Box::pin(rows::let_go(tx, *fence)));
        // Else the others find out.
        let _ = tokio::time::timeout(ANSWERED_WITHIN, let_go).await;
    }
}
