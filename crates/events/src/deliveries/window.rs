//! What of a partition is read ahead, and which event is given out next: of each key the first that nobody has
//! answered for.
//!
//! Pure: answers and events are arguments. What an event of the window is, and what may happen to it:
//!
//! | standing | given out | given behind its key | acknowledged | failed | put back | put back behind its key | its turn comes |
//! |---|---|---|---|---|---|---|---|
//! | waiting behind its key | – | out | – | – | – | – | ready |
//! | ready | out | – | – | – | – | – | – |
//! | out | – | – | settled | settled, parked with what waits behind it | ready | waiting | – |
//! | settled | – | – | – | – | – | – | – |
//!
//! What stands as `–` changes nothing: a late answer finds its event settled, and that is all it finds. Of a key that has
//! something parked nothing is given out here: what comes of it is parked behind, by whoever keeps the window.
//!
//! Who is given one event at a time gets of each key the first alone. Who takes several of a key at once, in their order,
//! is given the first and then what is behind it ([`Window::next_of_key`]); nobody else gets any of the key until all of
//! these are answered for.
//!
//! What is settled leaves the window from its beginning on ([`Window::leave`]): up to there the place moves. What is
//! settled beyond is kept as rows by the caller, so that a restart does not give it out again.
//!
//! What is ready is given out by its offset, but what was put back lets the others go first: an event that its receiver
//! cannot bear would otherwise be the one that each probe is made with, and nobody else's turn would come. Where something
//! tells whose an event is, that order is each share's own, and whose turn it is [`turns`](super::turns) say.

mod state;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::mem;
use std::sync::Arc;

use super::turns::{Measure, Next, Rank, Turns};
use crate::broker::{Offset, Stored};
use crate::share::report::{SharedEvent, SharesReport};
use crate::share::{ShareBy, ShareName};
use crate::subscription::BATCH_MAX;
use state::{EventState, Input};

/// Events of a partition that are read ahead of its place at most; with one that nobody answers for at the place, no
/// more than these are delivered before it is.
pub const WINDOW_EVENTS_MAX: usize = 10_000;

/// The same where shares have their turns: a page more, since it is read on once there is room for a page. So whoever is
/// within [`WINDOW_EVENTS_MAX`] events of the place is seen, whatever is before him.
pub const SHARED_WINDOW_EVENTS_MAX: usize = WINDOW_EVENTS_MAX + BATCH_MAX;

/// Bytes of them as they are stored, attributes included, beyond which no more are read.
pub const WINDOW_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What became of an event that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admitted {
    /// It is given out in its turn.
    Queued,
    /// Something of its key is parked, and so it is to be.
    Behind,
}

/// The events of a partition between its place and what was read of it.
pub(super) struct Window {
    entries: BTreeMap<u64, Entry>,
    /// Of each key what is not settled, in order.
    keys: HashMap<String, VecDeque<u64>>,
    /// What shares are told apart by; without it all are one.
    by: Option<Arc<ShareBy>>,
    /// What is ready.
    turns: Turns,
    /// Ready for who has what is before it of its key, for as long as he is given more.
    offered: Vec<u64>,
    /// How often something was put back.
    put_back: u64,
    /// How many events of a key are parked.
    parked: HashMap<String, u64>,
    /// Settled since they were asked for last, and not at the beginning.
    settled: BTreeSet<u64>,
    read_to: Offset,
    bytes: usize,
}

struct Entry {
    stored: Arc<Stored>,
    share: ShareName,
    state: EventState,
    /// What it counts as, of [`WINDOW_BYTES_MAX`].
    bytes: usize,
}

/// How events are given out.
#[derive(Clone)]
pub(super) struct TurnOrder {
    /// What shares are told apart by, if they are.
    pub(super) by: Option<Arc<ShareBy>>,
    pub(super) measure: Measure,
}

/// What is settled since that was asked last.
#[derive(Default)]
pub(super) struct Leaving {
    /// From the beginning on: the place moves behind the last.
    pub(super) first: Vec<Arc<Stored>>,
    /// Beyond one that is not settled.
    pub(super) ahead: Vec<Arc<Stored>>,
}

impl Window {
    /// Nothing is read beyond `place`; of these keys so many events are parked.
    pub(super) fn new(place: Offset, parked: HashMap<String, u64>, order: TurnOrder) -> Window {
        Window {
            entries: BTreeMap::new(),
            keys: HashMap::new(),
            by: order.by,
            turns: Turns::new(order.measure),
            offered: Vec::new(),
            put_back: 0,
            parked,
            settled: BTreeSet::new(),
            read_to: place,
            bytes: 0,
        }
    }

    /// How many more events may be read.
    pub(super) fn room(&self) -> usize {
        let events_max =
            if self.by.is_some() { SHARED_WINDOW_EVENTS_MAX } else { WINDOW_EVENTS_MAX };
        match self.bytes < WINDOW_BYTES_MAX {
            true => events_max.saturating_sub(self.entries.len()),
            false => 0,
        }
    }

    /// Where it was read up to.
    pub(super) fn read_to(&self) -> Offset {
        self.read_to
    }

    /// Whether somebody may be given an event.
    pub(super) fn has_ready(&self) -> bool {
        self.turns.has_fresh()
    }

    /// Whether shares have their turns, so that all that is within it is to be read.
    pub(super) fn has_shares(&self) -> bool {
        self.by.is_some()
    }

    /// Whose turn it is.
    pub(super) fn next(&self) -> Option<Next> {
        self.turns.next()
    }

    /// Whose events are not settled.
    pub(super) fn report(&self) -> SharesReport {
        let open = self.entries.values().filter(|entry| entry.state != EventState::Settled);
        SharesReport::of(
            open.map(|Entry { stored, share, .. }| SharedEvent { share, time: stored.event.time }),
        )
    }

    /// Whose turns they are.
    pub(super) fn turns(&mut self) -> &mut Turns {
        &mut self.turns
    }

    /// Shares keep the places that they had in one of before. Nothing is read yet.
    pub(super) fn go_on_from(&mut self, before: &Window) {
        self.turns.go_on_from(&before.turns);
    }

    /// Whether everything that was read has left.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many events of each key are parked.
    pub(super) fn parked(&self) -> &HashMap<String, u64> {
        &self.parked
    }

    /// Takes the next event that was read.
    pub(super) fn admit(&mut self, stored: Arc<Stored>) -> Admitted {
        let (offset, key) = (stored.offset.0, &stored.event.key);
        if self.parked.contains_key(key) {
            *self.parked.entry(key.clone()).or_default() += 1;
            self.admit_settled(stored);
            return Admitted::Behind;
        }
        let of_key = self.keys.entry(key.clone()).or_default();
        let state = if of_key.is_empty() { EventState::Ready } else { EventState::Waiting };
        of_key.push_back(offset);
        let share = self.share_of(&stored);
        if state == EventState::Ready {
            self.turns.add(&share, Rank::of(offset));
        }
        self.enter(stored, share, state);
        Admitted::Queued
    }

    /// Takes the next event that was read, which somebody was given before: whoever has it has all that is before it of its
    /// key.
    pub(super) fn admit_out(&mut self, stored: Arc<Stored>) {
        self.keys.entry(stored.event.key.clone()).or_default().push_back(stored.offset.0);
        let share = self.share_of(&stored);
        self.enter(stored, share, EventState::Out);
    }

    /// Takes the next event that was read, of which there is nothing left to do.
    pub(super) fn admit_settled(&mut self, stored: Arc<Stored>) {
        self.settled.insert(stored.offset.0);
        self.enter(stored, ShareName::none(), EventState::Settled);
    }

    fn share_of(&self, stored: &Stored) -> ShareName {
        self.by.as_ref().map(|by| by.of(&stored.event)).unwrap_or_default()
    }

    fn enter(&mut self, stored: Arc<Stored>, share: ShareName, state: EventState) {
        self.read_to = stored.offset;
        let bytes = stored.event.to_json().len();
        self.bytes += bytes;
        self.entries.insert(stored.offset.0, Entry { stored, share, state, bytes });
    }

    /// Gives out the first of a share: one that is ready, or, to who has all before it of its key, one that was
    /// [offered](Self::offer_behind).
    pub(super) fn give_out(&mut self, share: &ShareName) -> Option<Arc<Stored>> {
        let Rank { offset, .. } = self.turns.take(share)?;
        let entry = self.entries.get_mut(&offset)?;
        let input = match entry.state {
            EventState::Waiting => Input::GivenBehind,
            _ => Input::GivenOut,
        };
        entry.state = entry.state.after(input);
        Some(Arc::clone(&entry.stored))
    }

    /// An event of the window.
    pub(super) fn get(&self, offset: u64) -> Option<&Arc<Stored>> {
        self.entries.get(&offset).map(|entry| &entry.stored)
    }

    /// To who was given this one the next of its key may be given too, where nobody has it.
    pub(super) fn offer_behind(&mut self, of: &Stored) {
        let Some(of_key) = self.keys.get(&of.event.key) else { return };
        let behind = of_key.partition_point(|offset| *offset <= of.offset.0);
        let Some(offset) = of_key.get(behind).copied() else { return };
        let entry = self.entries.get(&offset).filter(|it| it.state == EventState::Waiting);
        let Some(Entry { share, .. }) = entry else { return };
        self.turns.add(share, Rank::of(offset));
        self.offered.push(offset);
    }

    /// He is given no more: what was offered and not given waits behind its key.
    pub(super) fn end_offers(&mut self) {
        for offset in mem::take(&mut self.offered) {
            let entry = self.entries.get(&offset).filter(|it| it.state == EventState::Waiting);
            entry.into_iter().for_each(|it| self.turns.remove(&it.share, Rank::of(offset)));
        }
    }

    /// What an event of it counts as, of [`WINDOW_BYTES_MAX`].
    pub(super) fn bytes_of(&self, offset: Offset) -> usize {
        self.entries.get(&offset.0).map_or(0, |entry| entry.bytes)
    }

    /// How many events could be given out to one who takes several of a key; counted up to `enough`.
    pub(super) fn available(&self, enough: usize) -> usize {
        let mut available = 0;
        for rank in self.turns.ready() {
            let entry = self.entries.get(&rank.offset);
            let of_key = entry.and_then(|entry| self.keys.get(&entry.stored.event.key));
            available += of_key.map_or(0, VecDeque::len);
            if available >= enough {
                break;
            }
        }
        available
    }

    /// It was handled: the next of its key is ready, where none of it is out.
    pub(super) fn acknowledge(&mut self, offset: Offset) {
        let Some(key) = self.settle(offset.0, Input::Acknowledged) else { return };
        let Some(of_key) = self.keys.get_mut(&key) else { return };
        // The first, unless several of it are out.
        if let Some(at) = of_key.iter().position(|it| *it == offset.0) {
            of_key.remove(at);
        }
        match of_key.front().copied() {
            Some(next) => self.become_ready(Rank::of(next), Input::Turn),
            None => _ = self.keys.remove(&key),
        }
    }

    /// Nobody could be asked: it is ready again, behind the others.
    pub(super) fn put_back(&mut self, offset: Offset) {
        self.put_back += 1;
        let rank = Rank { behind: self.read_to.0, put_back: self.put_back, offset: offset.0 };
        self.become_ready(rank, Input::PutBack);
    }

    /// Who has this one and all of its key that is out gives it back, the first of them first.
    pub(super) fn give_back(&mut self, offset: Offset) {
        let Some(entry) = self.entries.get_mut(&offset.0) else { return };
        let of_key = self.keys.get(&entry.stored.event.key);
        if of_key.is_none_or(|of_key| of_key.front() == Some(&offset.0)) {
            return self.put_back(offset);
        }
        entry.state = entry.state.after(Input::PutBehind);
    }

    /// It failed: what of its key is to be parked now, itself first; of what is before it nothing is out. Whoever was given
    /// some of what is behind it has it no more.
    pub(super) fn fail(&mut self, offset: Offset) -> Vec<Arc<Stored>> {
        let Some(key) = self.settle(offset.0, Input::Failed) else { return Vec::new() };
        let of_key = self.keys.remove(&key).unwrap_or_default();
        *self.parked.entry(key).or_default() += of_key.len() as u64;
        let mut parked = Vec::with_capacity(of_key.len());
        for offset in of_key {
            let Some(entry) = self.entries.get_mut(&offset) else { continue };
            entry.state = EventState::Settled;
            self.settled.insert(offset);
            parked.push(Arc::clone(&entry.stored));
        }
        parked
    }

    /// One event of this key is parked no more.
    pub(super) fn unparked(&mut self, key: &str) {
        let Some(count) = self.parked.get_mut(key) else { return };
        *count = count.saturating_sub(1);
        if *count == 0 {
            self.parked.remove(key);
        }
    }

    /// What is settled since this was asked last. What is at the beginning is in the window no more.
    pub(super) fn leave(&mut self) -> Leaving {
        let mut leaving = Leaving::default();
        while let Some(first) = self.entries.first_entry() {
            if first.get().state != EventState::Settled {
                break;
            }
            let Entry { stored, bytes, .. } = first.remove();
            self.bytes -= bytes;
            self.settled.remove(&stored.offset.0);
            leaving.first.push(stored);
        }
        let ahead = mem::take(&mut self.settled);
        let entries = ahead.iter().filter_map(|offset| self.entries.get(offset));
        leaving.ahead = entries.map(|entry| Arc::clone(&entry.stored)).collect();
        leaving
    }

    /// Marks what is out as settled; its key, if it was.
    fn settle(&mut self, offset: u64, input: Input) -> Option<String> {
        let entry = self.entries.get_mut(&offset)?;
        let after = entry.state.after(input);
        if after == entry.state {
            return None;
        }
        entry.state = after;
        self.settled.insert(offset);
        self.turns.over(&entry.share);
        Some(entry.stored.event.key.clone())
    }

    fn become_ready(&mut self, rank: Rank, input: Input) {
        let Some(entry) = self.entries.get_mut(&rank.offset) else { return };
        let after = entry.state.after(input);
        if after != entry.state && after == EventState::Ready {
            if input == Input::PutBack {
                self.turns.over(&entry.share);
            }
            self.turns.add(&entry.share, rank);
        }
        entry.state = after;
    }
}

#[cfg(test)]
mod tests;
