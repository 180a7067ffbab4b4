//! Whose turn it is: what of a partition is ready, by the share it is in, and the order in which shares are served.
//!
//! It is deficit round robin (Shreedhar and Varghese, 1996) where each event costs one and a turn is worth one, so that no
//! deficit is ever left: shares with something ready stand in a round, the first of it gives one event and goes to its end. A
//! share that has nothing ready leaves the round, keeps nothing of its turn, and enters again at the end. What follows:
//!
//! 1. Of two shares that are ready all the time, neither gets two turns while the other gets none.
//! 2. Where one share alone is ready it gets every turn: nobody waits for who has nothing to do.
//!
//! What is given out may be under way for long, and then turns alone would let one share fill every slot of its receiver:
//! each of its turns takes one for a minute, everybody else's for a moment. Whoever gives out one event for each slot
//! ([`Measure::UnderWay`]) has the shares with the fewest under way go first, those by their turns; so the slots are shared
//! evenly while others have work. Whoever lends ([`Measure::Turns`]) goes by turns alone: what a worker that died has under
//! its lease would keep its share waiting until that ends.
//!
//! Of a share it is the first by [`Rank`], but before it what of it is tried again (which *is due*). Which events are ready
//! at all, the first of each key, is not decided here ([`window`](super::window)). Where nothing tells events apart, all are
//! one share, and nothing of this shows. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::share::ShareName;

/// What share goes before what other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Measure {
    /// Fewest under way, then turns.
    UnderWay,
    /// Turns.
    Turns,
}

/// Which event of a share is before which: by offset, but behind all that were read by then if it was put back, and behind
/// those that were put back before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    pub(super) behind: u64,
    pub(super) put_back: u64,
    pub(super) offset: u64,
}

impl Rank {
    pub(super) fn of(offset: u64) -> Rank {
        Rank { behind: offset, put_back: 0, offset }
    }
}

/// Whose turn it is.
pub(super) struct Next {
    pub(super) share: ShareName,
    /// Its first event that nobody had.
    pub(super) fresh: Option<Rank>,
    /// Whether something of it is to be tried again.
    pub(super) is_due: bool,
}

/// See the module.
pub(super) struct Turns {
    measure: Measure,
    /// Those that have something ready or under way.
    shares: HashMap<ShareName, Standing>,
    /// Those that have something ready, the next first.
    round: BTreeMap<Place, ShareName>,
    /// Taken out of the round for now, in their places.
    aside: Vec<ShareName>,
    /// How many places were given.
    places: u64,
    /// Places of before, of shares that have not been ready since.
    remembered: HashMap<ShareName, u64>,
}

/// How a share stands.
#[derive(Default)]
struct Standing {
    ready: BTreeSet<Rank>,
    is_due: bool,
    under_way: u64,
    /// The how many-eth place it has in the round.
    place: Option<u64>,
    is_aside: bool,
}

/// A place in the round.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    under_way: u64,
    number: u64,
}

impl Standing {
    fn has_work(&self) -> bool {
        self.is_due || !self.ready.is_empty()
    }

    /// Where it stands in the round, if it does.
    fn place(&self) -> Option<Place> {
        let number = self.place.filter(|_| !self.is_aside)?;
        Some(Place { under_way: self.under_way, number })
    }

    fn next(&self, share: &ShareName) -> Next {
        let fresh = self.ready.first().copied();
        Next { share: share.clone(), fresh, is_due: self.is_due }
    }
}

impl Turns {
    /// Nothing is ready.
    pub(super) fn new(measure: Measure) -> Turns {
        Turns {
            measure,
            shares: HashMap::new(),
            round: BTreeMap::new(),
            aside: Vec::new(),
            places: 0,
            remembered: HashMap::new(),
        }
    }

    /// Goes on where another one was: shares that it knows keep their places, once they are ready. Nothing is ready yet.
    pub(super) fn go_on_from(&mut self, before: &Turns) {
        let place = |(share, standing): (&ShareName, &Standing)| {
            standing.place.map(|place| (share.clone(), place))
        };
        self.places = before.places;
        self.remembered = before.shares.iter().filter_map(place).collect();
    }

    /// Whose turn it is; nobody's where nothing is ready.
    pub(super) fn next(&self) -> Option<Next> {
        let share = self.round.first_key_value()?.1;
        Some(self.shares.get(share)?.next(share))
    }

    /// The same among those that have something to be tried again.
    pub(super) fn next_due(&self) -> Option<Next> {
        let mut round = self.round.values();
        let of = |share: &ShareName| Some(self.shares.get(share)?.next(share));
        round.find_map(|share| of(share).filter(|next| next.is_due))
    }

    /// Whether an event that nobody had is ready.
    pub(super) fn has_fresh(&self) -> bool {
        self.ready().next().is_some()
    }

    /// Events that nobody had and that are ready, share by share.
    pub(super) fn ready(&self) -> impl Iterator<Item = &Rank> {
        self.shares.values().flat_map(|standing| &standing.ready)
    }

    /// An event of this share is ready.
    pub(super) fn add(&mut self, share: &ShareName, rank: Rank) {
        self.change(share, |standing| _ = standing.ready.insert(rank));
    }

    /// It is not.
    pub(super) fn remove(&mut self, share: &ShareName, rank: Rank) {
        self.change(share, |standing| _ = standing.ready.remove(&rank));
    }

    /// Whether something of this share is to be tried again.
    pub(super) fn set_due(&mut self, share: &ShareName, is_due: bool) {
        self.change(share, |standing| standing.is_due = is_due);
    }

    /// Takes a share's first event that nobody had; that was its turn.
    pub(super) fn take(&mut self, share: &ShareName) -> Option<Rank> {
        let mut first = None;
        self.give(share, |standing| first = standing.ready.pop_first());
        first
    }

    /// Something of it is tried again; that was its turn. Whether there is more.
    pub(super) fn take_due(&mut self, share: &ShareName, is_due: bool) {
        self.give(share, |standing| standing.is_due = is_due);
    }

    fn give(&mut self, share: &ShareName, take: impl FnOnce(&mut Standing)) {
        let counts = self.measure == Measure::UnderWay;
        self.change(share, |standing| {
            take(standing);
            standing.under_way += u64::from(counts);
            standing.place = None;
        });
    }

    /// One of its events that were given out is under way no more.
    pub(super) fn over(&mut self, share: &ShareName) {
        self.change(share, |standing| standing.under_way = standing.under_way.saturating_sub(1));
    }

    /// It is passed over, and keeps its turn, until all are [brought back](Self::bring_back).
    pub(super) fn set_aside(&mut self, share: &ShareName) {
        self.change(share, |standing| standing.is_aside = true);
        self.aside.push(share.clone());
    }

    /// Whoever was set aside is where he was.
    pub(super) fn bring_back(&mut self) {
        for share in std::mem::take(&mut self.aside) {
            self.change(&share, |standing| standing.is_aside = false);
        }
    }

    /// How many shares are known.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.shares.len()
    }

    /// Changes how a share stands, and with it where.
    fn change(&mut self, share: &ShareName, change: impl FnOnce(&mut Standing)) {
        let standing = self.shares.entry(share.clone()).or_default();
        let before = standing.place();
        change(standing);
        if !standing.has_work() {
            standing.place = None;
        } else if standing.place.is_none() {
            let place = self.remembered.remove(share).unwrap_or(self.places);
            self.places += 1;
            standing.place = Some(place);
        }
        let after = standing.place();
        if !standing.has_work() && standing.under_way == 0 && !standing.is_aside {
            self.shares.remove(share);
        }
        if before == after {
            return;
        }
        before.into_iter().for_each(|place| _ = self.round.remove(&place));
        after.into_iter().for_each(|place| _ = self.round.insert(place, share.clone()));
    }
}

#[cfg(test)]
mod tests;
