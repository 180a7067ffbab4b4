//! What a database keeps in memory beside its rows, whichever engine it is on: whose outbox it has, how far
//! that was committed and relayed.
//!
//! It is the database's and not a loop's, so that every handle sees the same. Where there are places, there is one for
//! each partition.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::watch;

use crate::Clock;
use crate::partition::numbers::Numbers;
use crate::partition::{Numbered, Partition};
use crate::relay_progress::Progress;
use crate::store::options::Publishes;
use crate::store::origin::Origin;

/// A database's memory of its own outbox.
pub(crate) struct Kept {
    pub(crate) publishes: Option<Publishes>,
    /// What ids of events begin with that have none of their own.
    pub(crate) file_id: String,
    /// The newest number that is committed.
    pub(crate) committed: watch::Receiver<Numbers>,
    /// How far the relay got.
    pub(crate) relayed: Arc<[AtomicU64]>,
    pub(crate) relay_progress: Vec<watch::Sender<Progress>>,
    pub(crate) clock: Clock,
    /// Rows may have whole events: see [`whole`](crate::store::whole).
    takes_whole: AtomicBool,
}

impl Kept {
    /// A place for each partition of what is published.
    pub(crate) fn places(publishes: Option<&Publishes>) -> Arc<[AtomicU64]> {
        let partitions = publishes.map_or(0, |of| of.partitions.count());
        (0..partitions).map(|_| AtomicU64::new(0)).collect()
    }

    /// Of an outbox whose places are these; its relay has recorded nothing yet.
    pub(crate) fn new(
        publishes: Option<Publishes>,
        file_id: String,
        committed: watch::Receiver<Numbers>,
        relayed: Arc<[AtomicU64]>,
        clock: Clock,
    ) -> Kept {
        let relay_progress = relayed.iter().map(|_| watch::Sender::default()).collect();
        let takes_whole = AtomicBool::new(false);
        Kept { publishes, file_id, committed, relayed, relay_progress, clock, takes_whole }
    }

    /// Whose rows the outbox's are, and what their ids begin with.
    pub(crate) fn origin(&self) -> Option<Origin<'_>> {
        let publishes = self.publishes.as_ref()?;
        let takes_whole = self.takes_whole();
        Some(Origin { source: &publishes.source, file_id: &self.file_id, takes_whole })
    }

    /// It is an outbox for what is published from outside: no other process writes its rows, as others may write those of a
    /// service, or of a table that is only relayed.
    pub(crate) fn take_whole(&self) {
        self.takes_whole.store(true, Ordering::Release);
    }

    pub(crate) fn takes_whole(&self) -> bool {
        self.takes_whole.load(Ordering::Acquire)
    }

    /// How far the relay got in a partition.
    pub(crate) fn relayed(&self, partition: Partition) -> u64 {
        self.relayed[usize::from(partition.index())].load(Ordering::Acquire)
    }

    /// Notes how far it got.
    pub(crate) fn note_relayed(&self, up_to: Numbered) {
        let Numbered { partition, number } = up_to;
        self.relayed[usize::from(partition.index())].store(number, Ordering::Release);
    }

    /// Notes that it got so far at least.
    pub(crate) fn raise_relayed(&self, up_to: Numbered) {
        let Numbered { partition, number } = up_to;
        self.relayed[usize::from(partition.index())].fetch_max(number, Ordering::AcqRel);
    }

    /// The newest number of a partition that is committed.
    pub(crate) fn newest(&self, partition: Partition) -> u64 {
        self.committed.borrow().of(partition)
    }
}
