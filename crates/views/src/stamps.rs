//! Which owners may have changed: a fixed number of counters that owners share by their hash.
//!
//! A cached page remembers its owner's counter from *before* its rows were read and is good while
//! the counter stands. Owners that share a counter cost each other a render now and then, never a
//! stale page; memory does not grow with owners.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;

/// Counters there are, a power of two.
pub const STAMPS: usize = 4096;

pub(crate) struct Stamps {
    counters: Box<[AtomicU64]>,
    watchers: Box<[watch::Sender<()>]>,
}

/// Follows one owner's changes.
pub struct Watch(watch::Receiver<()>);

impl Watch {
    /// Resolves when a commit may have touched the owner since the last time it did; wakes for
    /// nothing now and then, never misses one. Dropping the future loses nothing. Never resolves
    /// once the views are gone.
    pub async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Stamps {
    pub(crate) fn new() -> Stamps {
        Stamps {
            counters: (0..STAMPS).map(|_| AtomicU64::new(0)).collect(),
            watchers: (0..STAMPS).map(|_| watch::Sender::new(())).collect(),
        }
    }

    /// The counter an owner shares.
    pub(crate) fn index(owner: &str) -> usize {
        // Fixed keys: the same owner must meet the same counter wherever it is asked for.
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(owner);
        (hash % STAMPS as u64) as usize
    }

    pub(crate) fn read(&self, owner: &str) -> u64 {
        self.counters[Stamps::index(owner)].load(Ordering::Acquire)
    }

    /// After the commit: pages made before are stale, readers wake.
    pub(crate) fn bump(&self, index: usize) {
        self.counters[index].fetch_add(1, Ordering::AcqRel);
        self.watchers[index].send_replace(());
    }

    /// A commit was seen in the store before its fold said whom it touched: it may have been anybody.
    pub(crate) fn bump_all(&self) {
        self.counters.iter().for_each(|counter| {
            counter.fetch_add(1, Ordering::AcqRel);
        });
    }

    pub(crate) fn watch(&self, owner: &str) -> Watch {
        Watch(self.watchers[Stamps::index(owner)].subscribe())
    }
}
