//! One limiter per key, in a table that cannot outgrow its limit.
//!
//! A key is stored as its 64-bit hash under a secret of this table, never as itself: an entry
//! costs the same whatever the client sent as its key, no address is kept, and a look-up hashes
//! once. Two keys of a million share a limiter with a chance of 3 in 100 million, and nobody can
//! choose keys so that they do.
//!
//! When the table is full, a new key takes the place of the entry that is whole again first. If
//! any entry is idle, that is an idle one, and nothing is forgotten. If none is, the entry that is
//! forgotten owes the least of all: a flood of fresh keys pushes out itself, and to make the table
//! forget a debt one would have to run up a larger one under each other key.
//!
//! Entries that became idle stay until their place is needed.
//!
//! How large to make it: as many keys as may owe something at once. A client owes for at most
//! [`Quota::window`] after its last call, so that is the number of different clients in such a time;
//! with fewer places the strictest of limits still holds for those who call most.

use std::borrow::Borrow;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState};
use std::marker::PhantomData;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Instant;

use super::limiter::Cell;
use super::quota::{Decided, Quota, nanos_since};
use super::{Allowed, NotUntil};

/// Most keys a table can hold; each costs at most about 100 bytes.
pub const KEYS_MAX: usize = 1 << 20;

/// Most parts of a table, each with its own lock.
const SHARDS_MAX: usize = 16;
/// Fewest keys of a part, where there is more than one: fewer would fill too unevenly.
const SHARD_KEYS_MIN: usize = 256;

/// Admits calls within one quota for each key, from any number of threads.
///
/// `K` is what the caller has; a look-up takes anything that it borrows as, with the same hash, as
/// in a `HashMap`. Calls of a known key share a read lock of a part of the table; only a key that
/// comes anew locks that part for writing.
///
/// ```
/// use std::time::Instant;
/// use yeoul_guard::rate::{Keyed, Quota};
///
/// let now = Instant::now();
/// let clients: Keyed<String> = Keyed::new(Quota::per_second(1, 2)?, now, 1_000);
/// assert!(clients.check("192.0.2.1", now).is_ok());
/// assert!(clients.check("192.0.2.1", now).is_ok());
/// assert!(clients.check("192.0.2.1", now).is_err(), "this client's burst is used up");
/// assert!(clients.check("192.0.2.2", now).is_ok(), "another one's is not");
/// assert_eq!(clients.len(), 2);
/// # Ok::<(), yeoul_guard::rate::QuotaError>(())
/// ```
#[derive(Debug)]
pub struct Keyed<K> {
    quota: Quota,
    start: Instant,
    secret: RandomState,
    shards: Box<[RwLock<Shard>]>,
    /// Keys go in and are not kept.
    keys: PhantomData<fn(K)>,
}

impl<K: Hash + Eq> Keyed<K> {
    /// An empty table of at most `keys_max` keys, `1..=`[`KEYS_MAX`]. `start` is any instant not
    /// after the first check.
    ///
    /// # Panics
    ///
    /// `keys_max` is outside its range: check settings before they come here.
    #[must_use]
    pub fn new(quota: Quota, start: Instant, keys_max: usize) -> Keyed<K> {
        assert!(
            (1..=KEYS_MAX).contains(&keys_max),
            "keys not within 1 and the limit. keys_max=`{keys_max}`, limit=`{KEYS_MAX}`"
        );
        let count = (keys_max / SHARD_KEYS_MIN).clamp(1, SHARDS_MAX);
        let shards = (0..count).map(|place| {
            // What does not divide evenly goes to the first ones, one each.
            let keys_max = keys_max / count + usize::from(place < keys_max % count);
            RwLock::new(Shard::new(keys_max))
        });
        let shards = shards.collect();
        Keyed { quota, start, secret: RandomState::new(), shards, keys: PhantomData }
    }

    /// What it was made with, the quota of each key.
    #[must_use]
    pub fn quota(&self) -> Quota {
        self.quota
    }

    /// One call under `key` at `now`. A key not in the table has its whole quota.
    ///
    /// # Errors
    ///
    /// The quota of this key is used up: answer without calling, and name the wait. A refusal
    /// costs nothing.
    pub fn check<Q>(&self, key: &Q, now: Instant) -> Result<Allowed, NotUntil>
    where
        K: Borrow<Q>,
        Q: Hash + ?Sized,
    {
        let fingerprint = self.secret.hash_one(key);
        let now = nanos_since(self.start, now);
        let shard = self.shard(fingerprint);
        if let Some(cell) = read(shard).cells.get(&fingerprint) {
            return cell.check(&self.quota, now);
        }
        write(shard).check_new(&self.quota, fingerprint, now)
    }

    /// How many keys the table holds, idle ones included: at most `keys_max`, and a sum over the
    /// parts that is of no single moment while others call.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| read(shard).cells.len()).sum()
    }

    /// Whether no key was ever checked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// By the high half of the hash; the maps inside go by the rest.
    fn shard(&self, fingerprint: u64) -> &RwLock<Shard> {
        let high = (fingerprint >> 32) as usize;
        &self.shards[high % self.shards.len()]
    }
}

/// Nothing panics while it holds the lock, and a guard must not become an outage of its own.
fn read(shard: &RwLock<Shard>) -> RwLockReadGuard<'_, Shard> {
    shard.read().unwrap_or_else(PoisonError::into_inner)
}

fn write(shard: &RwLock<Shard>) -> RwLockWriteGuard<'_, Shard> {
    shard.write().unwrap_or_else(PoisonError::into_inner)
}

/// Written to only when a key comes or goes; a call of a known key changes its cell in place.
#[derive(Debug)]
struct Shard {
    keys_max: usize,
    cells: HashMap<u64, Cell, BuildHasherDefault<AlreadyHashed>>,
    /// Each key once, soonest first, with an instant not later than when it is truly whole again:
    /// it is set right when the key comes up, not at each of its calls.
    soonest: BinaryHeap<Reverse<Believed>>,
}

/// When a key is believed to be whole again; ordered by that first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Believed {
    whole_at: u64,
    key: u64,
}

impl Shard {
    fn new(keys_max: usize) -> Shard {
        Shard { keys_max, cells: HashMap::default(), soonest: BinaryHeap::new() }
    }

    /// The first call of a key, unless another thread was faster.
    fn check_new(&mut self, quota: &Quota, key: u64, now: u64) -> Result<Allowed, NotUntil> {
        if let Some(cell) = self.cells.get(&key) {
            return cell.check(quota, now);
        }
        let Decided { whole_at, allowed } = quota.decide(0, now)?;
        if self.cells.len() < self.keys_max {
            self.soonest.push(Reverse(Believed { whole_at, key }));
        } else {
            self.replace_soonest(Believed { whole_at, key });
        }
        self.cells.insert(key, Cell::new(whole_at));
        Ok(allowed)
    }

    /// Each stale entry met here was made stale by a call since it was last set right, so the
    /// loop costs a constant number of heap moves per call in the long run.
    fn replace_soonest(&mut self, new: Believed) {
        loop {
            // Writing to the top moves it to its place when `top` goes.
            let mut top = self.soonest.peek_mut().expect("a full shard has a soonest key");
            let Reverse(victim) = *top;
            let truth = self.cells[&victim.key].whole_at();
            if truth == victim.whole_at {
                self.cells.remove(&victim.key);
                *top = Reverse(new);
                return;
            }
            // It was called since; in its right place it may be no victim any more.
            *top = Reverse(Believed { whole_at: truth, ..victim });
        }
    }
}

/// Passes on a key that is a hash already.
#[derive(Debug, Default)]
struct AlreadyHashed(u64);

impl Hasher for AlreadyHashed {
    fn write(&mut self, _: &[u8]) {
        unreachable!("only whole words are hashed here");
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = word;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
