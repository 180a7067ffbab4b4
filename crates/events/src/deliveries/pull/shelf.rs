//! All that one may fetch of, as one instance knows it: the partitions with what was read of them, and the leases.
//!
//! What may happen to it is here, and what has to be written for it to stand; nothing of it does before that. Whoever cannot
//! write throws it away and makes one anew. What must stay true: of a partition's key either nothing is out, or what is out
//! is in one lease, in order, and nothing before it is open; and a lease has what is out of its events, and nothing else.
//!
//! Pure, but for what is read on ([`Part`]).

pub(super) mod filling;
mod settling;

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};

use jiff::Timestamp;

use super::LEASES_MAX;
use super::due::Due;
use super::feed::{Feed, Patience};
use super::lease::{Entry, Lease, Line, What};
use super::part::{Part, ReadFrom};
use crate::broker::Offset;
use crate::deliveries::settlement::{Retried, RetryOutcome};
use crate::parking::PARKED_MAX;
use crate::store::expired::Passed;
use crate::store::leases::LeaseChange;
use crate::store::parked::Parked;
use crate::subscription::BATCH_MAX;

/// See the module.
pub(super) struct Shelf {
    pub(super) parts: Vec<Part>,
    leases: BTreeMap<String, Lease>,
    /// Partitions of which something was lent since that was asked last.
    lent: BTreeSet<u16>,
    /// Leases that are other than the store has them.
    touched: BTreeSet<String>,
    /// Which revision of the leases it is.
    pub(super) revision: u64,
    /// Events of the subscription that are parked.
    pub(super) parked: u64,
    /// Which partition is looked at first: another one for each lease.
    turn: usize,
}

impl Shelf {
    pub(super) fn new(
        parts: Vec<Part>,
        leases: BTreeMap<String, Lease>,
        revision: u64,
        parked: u64,
    ) -> Shelf {
        let (lent, touched) = (BTreeSet::new(), BTreeSet::new());
        Shelf { parts, leases, lent, touched, revision, parked, turn: 0 }
    }

    /// Shares have the turns that they had on one of before.
    pub(super) fn go_on_from(&mut self, before: &Shelf) {
        for (part, was) in self.parts.iter_mut().zip(&before.parts) {
            part.window.go_on_from(&was.window);
        }
    }

    /// How many leases have something out.
    pub(super) fn open(&self) -> usize {
        self.leases.values().filter(|lease| !lease.entries.is_empty()).count()
    }

    /// Whether there is room for one more.
    pub(super) fn has_room(&self) -> bool {
        self.open() < LEASES_MAX
    }

    /// Whether events are taken that are not parked: so many may be.
    pub(super) fn takes_fresh(&self) -> bool {
        self.parked < PARKED_MAX
    }

    /// When the first lease ends that has something out.
    pub(super) fn ends_at(&self) -> Option<Timestamp> {
        let has_readable = |lease: &&Lease| {
            let silent = self.silent(lease);
            lease.entries.iter().any(|entry| !silent.contains(&entry.partition))
        };
        self.leases.values().filter(has_readable).map(|lease| lease.until).min()
    }

    /// The partitions of which it has events that could not be read yet: what would become of these, and of what is beside them
    /// there, cannot be written.
    fn silent(&self, lease: &Lease) -> BTreeSet<u16> {
        let unread = |it: &&Entry| self.parts[usize::from(it.partition)].is_unread(it);
        lease.entries.iter().filter(unread).map(|entry| entry.partition).collect()
    }

    /// Does something to a lease without what is in silent partitions, which stays in it as it is.
    fn with_readable<T>(&mut self, token: &str, act: impl FnOnce(&mut Lease) -> T) -> Option<T> {
        let silent = self.silent(self.leases.get(token)?);
        let lease = self.leases.get_mut(token)?;
        let held = lease.part_with(|entry| silent.contains(&entry.partition));
        let done = act(lease);
        lease.entries.extend(held);
        Some(done)
    }

    /// Whether all of it that could not be read yet is expected in a moment.
    pub(super) fn is_late(&self, token: &str) -> bool {
        let Some(lease) = self.leases.get(token) else { return false };
        let part = |entry: &Entry| &self.parts[usize::from(entry.partition)];
        let mut unread = lease.entries.iter().filter(|it| part(it).is_unread(it)).peekable();
        unread.peek().is_some() && unread.all(|it| part(it).is_late(it))
    }

    /// Reads what is out, as far as that comes; what is there no more leaves its lease.
    pub(super) async fn read_what_is_out(&mut self, feeds: &mut [Feed], patience: &mut Patience) {
        for (part, feed) in self.parts.iter_mut().zip(feeds) {
            let gone = part.read_what_is_out(feed, patience).await;
            if gone.is_empty() {
                continue;
            }
            let index = part.lane.at.partition.index();
            let is_gone = |entry: &Entry| {
                entry.partition == index && entry.offset().is_some_and(|it| gone.contains(&it.0))
            };
            let leases = self.leases.values_mut();
            leases.for_each(|lease| lease.entries.retain(|entry| !is_gone(entry)));
        }
    }

    /// Keys that have parked events out.
    pub(super) fn parked_out(&self) -> HashSet<Line> {
        let entries = self.leases.values().flat_map(|lease| &lease.entries);
        entries.filter(|entry| matches!(entry.what, What::Parked(_))).map(Entry::line).collect()
    }

    /// Whether something is to be written of what is parked.
    pub(super) fn touches_parked(&self) -> bool {
        self.parts.iter().any(|part| !part.outcomes.is_empty())
    }

    /// The places that it was read from, of partitions of which events are lent that were not before.
    pub(super) fn read_of(&mut self) -> Vec<ReadFrom> {
        let lent = std::mem::take(&mut self.lent).into_iter();
        let part = |at: u16| &self.parts[usize::from(at)];
        lent.map(|at| ReadFrom { lane: part(at).lane.clone(), place: part(at).place }).collect()
    }

    /// How many events of a partition are out, of those of which some are.
    pub(super) fn out(&self) -> BTreeMap<u16, usize> {
        let mut out = BTreeMap::new();
        for entry in self.leases.values().flat_map(|lease| &lease.entries) {
            *out.entry(entry.partition).or_default() += 1;
        }
        out
    }

    /// Parked rows that are due and no events any more become dead letters; they leave `due`.
    pub(super) fn give_up_hurt(&mut self, due: &mut VecDeque<Due>) {
        due.retain(|Due { partition, rows, .. }| {
            let Some(Parked { turn, attempts, event: Err(error), .. }) = rows.front() else {
                return true;
            };
            let part = &mut self.parts[usize::from(partition.index())];
            let outcome = RetryOutcome::hurt(*attempts, error, &part.lane.context.name);
            part.outcomes.retried.push(Retried { turn: *turn, outcome });
            false
        });
    }

    /// Parked events that are due, and whose deadline has come, are gone; they leave `due`, and what is behind each is due next.
    /// As many as one transaction says ([`room_to_pass`](Self::room_to_pass)).
    pub(super) fn pass_expired(&mut self, due: &mut VecDeque<Due>, now: Timestamp) {
        let mut left = self.room_to_pass();
        due.retain_mut(|Due { partition, rows, .. }| {
            let is_expired =
                |row: &Parked| row.event.as_ref().is_ok_and(|event| event.is_expired(now));
            if let Some(next) = rows.iter().position(is_expired).filter(|next| *next > 0) {
                // Those before it are lent, and it is looked at when they are answered for.
                rows.truncate(next);
            }
            let Some(Parked { turn, at, key, event: Ok(event), .. }) =
                rows.front().filter(|row| left > 0 && is_expired(row))
            else {
                return true;
            };
            left -= 1;
            let part = &mut self.parts[usize::from(partition.index())];
            part.window.unparked(key);
            let outcome = RetryOutcome::Handled { key: key.clone() };
            part.outcomes.retried.push(Retried { turn: *turn, outcome });
            part.outcomes.expired.push(Passed { at: Offset(at.number), id: event.id.clone() });
            false
        });
    }

    /// The partitions in the order in which they are looked at for the next lease.
    pub(super) fn in_turn(&mut self) -> Vec<usize> {
        let order = self.next_in_turn().collect();
        self.turn = (self.turn + 1) % self.parts.len();
        order
    }

    /// The same for whoever only looks.
    pub(super) fn next_in_turn(&self) -> impl Iterator<Item = usize> + use<> {
        let (count, first) = (self.parts.len(), self.turn + 1);
        (0..count).map(move |nth| (first + nth) % count)
    }

    /// How many more events may be passed before it is written: one transaction says it of all partitions.
    pub(super) fn room_to_pass(&self) -> usize {
        let passed = self.parts.iter().map(|part| part.outcomes.expired.len()).sum();
        BATCH_MAX.saturating_sub(passed)
    }

    /// What is in the parcel is out from now on.
    pub(super) fn lend(&mut self, token: &str, until: Timestamp, entries: Vec<Entry>) {
        self.touched.insert(token.to_owned());
        self.lent.extend(entries.iter().map(|entry| entry.partition));
        self.leases.insert(token.to_owned(), Lease { until, entries });
    }

    /// What has to be written of the leases.
    pub(super) fn changes(&mut self) -> Vec<LeaseChange> {
        let touched = std::mem::take(&mut self.touched).into_iter();
        let change = |token: String| {
            let row = self.leases.get(&token).map(|lease| lease.to_row(&token));
            LeaseChange { token, row }
        };
        touched.map(change).collect()
    }
}
