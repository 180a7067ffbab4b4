//! How often one may be wrong: failed sign-ins within a sliding window, and sign-ups at a rate.
//!
//! 1. Failures are counted per account and address, per address, and per account for addresses that
//!    never signed in to it: guesses from everywhere cannot lock an owner out at home.
//! 2. An attempt under way counts as a failure until it is known to be none: where it could be the one
//!    too many, the next waits for it, so that no more are wrong than may be.
//! 3. Who is right has no failures any more, for that account and address.
//!
//! Keys are held as hashes under a secret of this table, never as themselves. Decided from numbers and
//! the time that is given; nothing here hashes a password or waits.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hash, RandomState};
use std::time::{Duration, Instant};

use crate::settings::{SignIn, SignUp};

/// Failures that one window remembers; past it the oldest is forgotten. The password threads cannot
/// make as many within five minutes.
pub(super) const FAILURES_MAX: usize = 65_536;
/// Addresses whose sign-ups are counted apart; past it one that owes least is forgotten.
pub(super) const ADDRESSES_MAX: usize = 65_536;

/// Whose failures count together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Per {
    AccountAndAddress,
    Address,
    Account,
}

/// One attempt's place in the windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Guess {
    pair: u64,
    pub(super) address: u64,
    /// Of the account, where the address never signed in to it.
    account: Option<u64>,
}

/// Too many: not before `retry_after`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Exceeded {
    /// What the limit is called.
    pub(super) name: &'static str,
    pub(super) limit: u32,
    pub(super) within: Duration,
    pub(super) retry_after: Duration,
}

/// Whether an attempt may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Go,
    /// Another one under way decides.
    Wait,
    Refuse(Exceeded),
}

/// All failures of late.
#[derive(Debug)]
pub(super) struct Attempts {
    secret: RandomState,
    windows: [Window; 3],
}

#[derive(Debug)]
struct Window {
    per: Per,
    limit: usize,
    within: Duration,
    failures: HashMap<u64, VecDeque<Instant>>,
    /// In their order; one that was taken back is no more in `failures`.
    order: VecDeque<Failed>,
    under_way: HashMap<u64, usize>,
}

#[derive(Debug)]
struct Failed {
    at: Instant,
    key: u64,
}

impl Attempts {
    pub(super) fn new(limits: &SignIn) -> Attempts {
        let window = |per, limit: u32| Window {
            per,
            limit: limit as usize,
            within: limits.within.0,
            failures: HashMap::new(),
            order: VecDeque::new(),
            under_way: HashMap::new(),
        };
        let windows = [
            window(Per::AccountAndAddress, limits.per_account_and_address),
            window(Per::Address, limits.per_address),
            window(Per::Account, limits.per_account),
        ];
        Attempts { secret: RandomState::new(), windows }
    }

    /// The place of an attempt on `account` from `address`, which has signed in to it or never has.
    pub(super) fn guess(&self, account: &str, address: impl Hash, is_known: bool) -> Guess {
        let account_key = self.secret.hash_one(account);
        let address = self.secret.hash_one(address);
        let pair = self.secret.hash_one((account_key, address));
        Guess { pair, address, account: (!is_known).then_some(account_key) }
    }

    /// Whether it is refused at `now`, whatever is under way.
    pub(super) fn refused(&mut self, guess: &Guess, now: Instant) -> Option<Exceeded> {
        self.sweep(now);
        let mut exceeded = self.windows.iter().filter_map(|window| window.exceeded(guess, now));
        exceeded.next()
    }

    /// Whether it may begin; if so it is under way from now on.
    pub(super) fn begin(&mut self, guess: &Guess, now: Instant) -> Verdict {
        if let Some(exceeded) = self.refused(guess, now) {
            return Verdict::Refuse(exceeded);
        }
        // As many are under way as could still fail: whether one more fits, their ends decide. It waits, because a
        // refusal might be of somebody whose password is right.
        if self.windows.iter().any(|window| window.is_undecided(guess)) {
            return Verdict::Wait;
        }
        for window in &mut self.windows {
            if let Some(key) = window.key(guess) {
                *window.under_way.entry(key).or_default() += 1;
            }
        }
        Verdict::Go
    }

    /// It has ended: right, wrong, or (`None`) in neither.
    pub(super) fn end(&mut self, guess: &Guess, right: Option<bool>, now: Instant) {
        for window in &mut self.windows {
            let Some(key) = window.key(guess) else { continue };
            window.ends(key);
            match right {
                Some(false) => window.fail(key, now),
                // A right password clears its own pair alone: who has one account must not wash the address of guesses at
                // others.
                Some(true) if window.per == Per::AccountAndAddress => {
                    window.failures.remove(&key);
                }
                _ => {}
            }
        }
    }

    /// A failure that took no work.
    pub(super) fn fail(&mut self, guess: &Guess, now: Instant) {
        for window in &mut self.windows {
            if let Some(key) = window.key(guess) {
                window.fail(key, now);
            }
        }
    }

    fn sweep(&mut self, now: Instant) {
        self.windows.iter_mut().for_each(|window| window.sweep(now));
    }
}

impl Window {
    fn key(&self, guess: &Guess) -> Option<u64> {
        match self.per {
            Per::AccountAndAddress => Some(guess.pair),
            Per::Address => Some(guess.address),
            Per::Account => guess.account,
        }
    }

    fn failures(&self, key: u64) -> usize {
        self.failures.get(&key).map_or(0, VecDeque::len)
    }

    fn exceeded(&self, guess: &Guess, now: Instant) -> Option<Exceeded> {
        let key = self.key(guess)?;
        let failures = self.failures.get(&key).filter(|all| all.len() >= self.limit)?;
        // When so many have left the window that one more fits.
        let leaves = failures.get(failures.len() - self.limit).copied().unwrap_or(now);
        Some(Exceeded {
            name: self.per.name(),
            limit: u32::try_from(self.limit).unwrap_or(u32::MAX),
            within: self.within,
            retry_after: (leaves + self.within).saturating_duration_since(now),
        })
    }

    fn is_undecided(&self, guess: &Guess) -> bool {
        let Some(key) = self.key(guess) else { return false };
        let under_way = self.under_way.get(&key).copied().unwrap_or_default();
        // Nothing under way decides nothing: such a one is refused or goes.
        under_way > 0 && self.failures(key) + under_way >= self.limit
    }

    fn ends(&mut self, key: u64) {
        if let Some(count) = self.under_way.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                self.under_way.remove(&key);
            }
        }
    }

    fn fail(&mut self, key: u64, now: Instant) {
        // The oldest goes first: it would leave the window before all others anyway.
        if self.order.len() >= FAILURES_MAX {
            self.forget_oldest();
        }
        self.failures.entry(key).or_default().push_back(now);
        self.order.push_back(Failed { at: now, key });
    }

    fn sweep(&mut self, now: Instant) {
        while self.order.front().is_some_and(|oldest| oldest.at + self.within <= now) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some(Failed { at, key }) = self.order.pop_front() else { return };
        let Some(failures) = self.failures.get_mut(&key) else { return };
        if failures.front() == Some(&at) {
            failures.pop_front();
        }
        if failures.is_empty() {
            self.failures.remove(&key);
        }
    }
}

impl Per {
    fn name(self) -> &'static str {
        match self {
            Per::AccountAndAddress => "sign-in",
            Per::Address => "sign-in-address",
            Per::Account => "sign-in-account",
        }
    }
}

/// Sign-ups by address: so many a minute, and a burst.
#[derive(Debug)]
pub(super) struct SignUps {
    limits: SignUp,
    secret: RandomState,
    /// When the whole burst is there again.
    whole_at: HashMap<u64, Instant>,
}

impl SignUps {
    pub(super) fn new(limits: &SignUp) -> SignUps {
        SignUps { limits: *limits, secret: RandomState::new(), whole_at: HashMap::new() }
    }

    /// Takes one of `address`, or says when there is one.
    pub(super) fn take(&mut self, address: impl Hash, now: Instant) -> Result<(), Exceeded> {
        let key = self.secret.hash_one(address);
        let one = Duration::from_secs(60) / self.limits.per_minute;
        let burst = one * self.limits.burst;
        let whole_at = self.whole_at.get(&key).map_or(now, |at| (*at).max(now)) + one;
        let used = whole_at - now;
        if used > burst {
            return Err(Exceeded {
                name: "sign-up",
                limit: self.limits.burst,
                within: burst,
                retry_after: used - burst,
            });
        }
        if self.whole_at.len() >= ADDRESSES_MAX {
            self.make_room(now);
        }
        self.whole_at.insert(key, whole_at);
        Ok(())
    }

    fn make_room(&mut self, now: Instant) {
        self.whole_at.retain(|_, at| *at > now);
        if self.whole_at.len() >= ADDRESSES_MAX {
            let least = self.whole_at.iter().min_by_key(|(_, at)| **at).map(|(key, _)| *key);
            least.and_then(|key| self.whole_at.remove(&key));
        }
    }
}

#[cfg(test)]
mod tests;
