//! Which pages may have changed for whom: a fixed number of counters that pages and owners share by
//! their hash.
//!
//! Moving a counter is what invalidates pages: `fold::batch` does it for what a batch touched, once that
//! is committed, `follow` for what another instance's batch touched, and `progress` for all at once when it takes
//! over what was received before it listened.
//!
//! A cached page remembers its counter from *before* its rows were read and is good while the
//! counter stands. Owners that share a counter cost each other a render now and then, never a
//! stale page; memory does not grow with owners.

use std::hash::{DefaultHasher, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;

use crate::owner::{Meant, Owner};

/// Counters there are, a power of two.
pub const STAMPS: usize = 4096;

pub(crate) struct Stamps {
    counters: Box<[AtomicU64]>,
    watchers: Box<[watch::Sender<()>]>,
}

/// What stood when it was read, of each owner that a path can mean.
pub(crate) type Stamp = [u64; 2];

/// Follows one owner's changes on one page.
pub struct Watch {
    first: Option<watch::Receiver<()>>,
    /// Of a path that can mean two owners.
    second: Option<watch::Receiver<()>>,
}

impl Watch {
    /// Resolves when a commit may have touched the owner since the last time it did; wakes for
    /// nothing now and then, never misses one. Dropping the future loses nothing. Never resolves
    /// once the views are gone.
    pub async fn changed(&mut self) {
        let Watch { first, second } = self;
        tokio::select! {
            () = moved(first) => {}
            () = moved(second) => {}
        }
    }
}

async fn moved(watched: &mut Option<watch::Receiver<()>>) {
    let gone = match watched {
        Some(receiver) => receiver.changed().await.is_err(),
        None => true,
    };
    if gone {
        std::future::pending::<()>().await;
    }
}

impl Stamps {
    pub(crate) fn new() -> Stamps {
        Stamps {
            counters: (0..STAMPS).map(|_| AtomicU64::new(0)).collect(),
            watchers: (0..STAMPS).map(|_| watch::Sender::new(())).collect(),
        }
    }

    /// The counter that an owner has on a page.
    pub(crate) fn index(page: usize, owner: Owner<'_>) -> usize {
        // Fixed keys: the same owner must meet the same counter wherever it is asked for. Two writes,
        // because every page that is read comes by here.
        let mut hasher = DefaultHasher::default();
        let place = (page as u64) << 1;
        match owner {
            Owner::Number(number) => {
                hasher.write_u64(place | 1);
                hasher.write_i64(number);
            }
            Owner::Text(text) => {
                hasher.write_u64(place);
                hasher.write(text.as_bytes());
            }
        }
        (hasher.finish() % STAMPS as u64) as usize
    }

    pub(crate) fn read(&self, page: usize, meant: Meant<'_>) -> Stamp {
        let one = |owner: Option<Owner<'_>>| {
            owner.map_or(0, |owner| {
                self.counters[Stamps::index(page, owner)].load(Ordering::Acquire)
            })
        };
        [one(meant.text), one(meant.number)]
    }

    /// After the commit: pages made before are stale, readers wake.
    pub(crate) fn bump(&self, index: usize) {
        self.counters[index].fetch_add(1, Ordering::AcqRel);
        self.watchers[index].send_replace(());
    }

    /// A commit was seen in the store before its fold reported whom it touched: it may have been anybody.
    pub(crate) fn bump_all(&self) {
        self.counters.iter().for_each(|counter| {
            counter.fetch_add(1, Ordering::AcqRel);
        });
    }

    /// The same, and readers wake: whoever folded it does not tell them here.
    pub(crate) fn bump_and_wake_all(&self) {
        (0..STAMPS).for_each(|index| self.bump(index));
    }

    pub(crate) fn watch(&self, page: usize, meant: Meant<'_>) -> Watch {
        let one = |owner| self.watchers[Stamps::index(page, owner)].subscribe();
        Watch { first: meant.text.map(one), second: meant.number.map(one) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::owner::Owners;

    #[test]
    fn a_stamp_is_of_one_page_and_one_owner() {
        let stamps = Stamps::new();
        let seven = Owners::Either.meant("7");
        let before = stamps.read(0, seven);
        stamps.bump(Stamps::index(1, Owner::Text("7")));
        stamps.bump(Stamps::index(1, Owner::Number(7)));
        assert_eq!(stamps.read(0, seven), before, "another page");
        stamps.bump(Stamps::index(0, Owner::Number(7)));
        assert_eq!(stamps.read(0, Owners::Text.meant("7")), [before[0], 0], "the number");
        assert_eq!(stamps.read(0, seven), [before[0], before[1] + 1]);
        stamps.bump(Stamps::index(0, Owner::Text("7")));
        assert_eq!(stamps.read(0, seven), [before[0] + 1, before[1] + 1]);
        assert_eq!(stamps.read(0, Owners::Number.meant("7")), [0, before[1] + 1], "the text");
    }
}
