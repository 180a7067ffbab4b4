//! What goes into one lease: what is due, and events that nobody had, each share's in its turn.
//!
//! Where nothing tells events apart all are one share: what is due goes first, of whichever partition, and then partition by
//! partition what nobody had, by its offsets. Where shares have their turns, each turn is one event, of a key as many as there are
//! one after the other, and what is due takes its share's turn. Whoever's turn it is and whose event does not fit keeps it:
//! with it the next lease begins, which takes anything.

use std::collections::VecDeque;

use jiff::Timestamp;

use super::Shelf;
use crate::deliveries::pull::due::Due;
use crate::deliveries::pull::parcel::{Candidate, Parcel, size_of};
use crate::deliveries::pull::part::Part;
use crate::deliveries::turns::Next;
use crate::store::expired::Passed;
use crate::store::parked::Parked;

/// What may be put in, and passed for it.
#[derive(Clone, Copy)]
pub(in crate::deliveries::pull) struct Allowed {
    /// Events that nobody had.
    pub(in crate::deliveries::pull) is_fresh: bool,
    /// How many more may be passed because their deadline has come.
    pub(in crate::deliveries::pull) passes: usize,
    pub(in crate::deliveries::pull) now: Timestamp,
}

impl Shelf {
    /// Where shares have their turns, what is due takes theirs: it leaves `due`.
    pub(in crate::deliveries::pull) fn share_due(&mut self, due: &mut VecDeque<Due>) {
        if !self.parts.iter().any(|part| part.window.has_shares()) {
            return;
        }
        for due in due.drain(..) {
            self.parts[usize::from(due.partition.index())].add_due(due);
        }
        self.parts.iter_mut().for_each(Part::drop_what_is_due_no_more);
    }

    /// What is due is looked for anew. Its shares keep their turns until then: whoever has nothing else would be the last of
    /// the round each time.
    pub(in crate::deliveries::pull) fn forget_due(&mut self) {
        let all = self.parts.iter_mut().flat_map(|part| part.due.values_mut());
        all.for_each(VecDeque::clear);
    }

    /// Puts in parked events that are due; those that are put in leave `due`.
    pub(in crate::deliveries::pull) fn fill_with_due(
        &mut self,
        parcel: &mut Parcel,
        due: &mut VecDeque<Due>,
    ) {
        while let Some(Due { partition, rows, .. }) =
            due.pop_front_if(|it| parcel.room() > 0 && first_fits(parcel, it))
        {
            for Parked { turn, attempts, event, .. } in rows {
                let Ok(event) = event else { break };
                let candidate = Candidate { event: &event, bytes: size_of(&event), attempts };
                if !parcel.takes(&candidate) {
                    break;
                }
                parcel.add_parked(partition, turn, event, attempts);
            }
        }
    }

    /// Puts in what shares have, by turns.
    pub(in crate::deliveries::pull) fn fill(
        part: &mut Part,
        parcel: &mut Parcel,
        allowed: Allowed,
    ) {
        let passes_max = part.outcomes.expired.len() + allowed.passes;
        while parcel.room() > 0 {
            let next = match allowed.is_fresh {
                true => part.window.next(),
                false => part.window.turns().next_due(),
            };
            let Some(next) = next else { break };
            let is_done = match next.is_due {
                true => part.lend_due(&next, parcel),
                false => part.lend_fresh(&next, parcel, passes_max, allowed.now),
            };
            if !is_done {
                part.window.turns().set_aside(&next.share);
            }
        }
        part.end_parcel();
    }
}

impl Part {
    fn add_due(&mut self, due: Due) {
        self.window.turns().set_due(&due.share, true);
        self.due.entry(due.share.clone()).or_default().push_back(due);
    }

    fn drop_what_is_due_no_more(&mut self) {
        for (share, _) in self.due.extract_if(|_, due| due.is_empty()) {
            self.window.turns().set_due(&share, false);
        }
    }

    /// Whether what is due of a share went in.
    fn lend_due(&mut self, next: &Next, parcel: &mut Parcel) -> bool {
        let Some(all) = self.due.get_mut(&next.share) else { return false };
        let Some(due) = all.front_mut() else { return false };
        if !first_fits(parcel, due) {
            return false;
        }
        let row = due.rows.pop_front();
        if let Some(Parked { turn, attempts, event: Ok(event), .. }) = row {
            parcel.add_parked(due.partition, turn, event, attempts);
            self.begun.insert(next.share.clone());
        } else {
            // What is no event any more holds up what is behind it of its key.
            due.rows.clear();
        }
        if due.rows.is_empty() {
            all.pop_front();
            self.begun.remove(&next.share);
        }
        let is_left = !all.is_empty();
        self.window.turns().take_due(&next.share, is_left);
        true
    }

    /// Whether the first of a share that nobody had went in, or was passed.
    fn lend_fresh(
        &mut self,
        next: &Next,
        parcel: &mut Parcel,
        passes_max: usize,
        now: Timestamp,
    ) -> bool {
        let window = &mut self.window;
        let first = next.fresh.and_then(|rank| window.get(rank.offset));
        let Some(stored) = first.cloned() else { return false };
        let bytes = window.bytes_of(stored.offset);
        let is_expired = stored.event.is_expired(now);
        let candidate = Candidate { event: &stored.event, bytes, attempts: 0 };
        let has_room = match is_expired {
            true => self.outcomes.expired.len() < passes_max,
            false => parcel.takes(&candidate),
        };
        if !has_room {
            return false;
        }
        window.give_out(&next.share);
        window.offer_behind(&stored);
        if is_expired {
            window.acknowledge(stored.offset);
            self.outcomes.expired.push(Passed::of(&stored));
        } else {
            parcel.add_fresh(self.lane.at.partition, &stored, bytes);
        }
        true
    }

    /// What is behind what went in goes into no other lease.
    fn end_parcel(&mut self) {
        self.window.end_offers();
        for share in std::mem::take(&mut self.begun) {
            let Some(all) = self.due.get_mut(&share) else { continue };
            all.pop_front();
            let is_left = !all.is_empty();
            self.window.turns().set_due(&share, is_left);
        }
        self.window.turns().bring_back();
    }
}

fn first_fits(parcel: &Parcel, due: &Due) -> bool {
    let Some(Parked { attempts, event: Ok(event), .. }) = due.rows.front() else { return true };
    parcel.takes(&Candidate { event, bytes: size_of(event), attempts: *attempts })
}
