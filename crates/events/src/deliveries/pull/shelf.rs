//! All that one may fetch of, as one instance knows it: the partitions with what was read of them, and the leases.
//!
//! What may happen to it is here, and what has to be written for it to stand; nothing of it does before that. Whoever cannot
//! write throws it away and makes one anew. What must stay true: of a partition's key either nothing is out, or what is out
//! is in one lease, in order, and nothing before it is open; and a lease has what is out of its events, and nothing else.
//!
//! Pure, but for what is read on ([`Part`]).

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::sync::Arc;

use jiff::Timestamp;

use super::due::Due;
use super::feed::{Feed, Patience};
use super::lease::{Again, Entry, Lease, Line, Named, Rejection, Run, What, counted};
use super::parcel::{Candidate, Parcel, size_of};
use super::part::{Part, ReadFrom};
use super::{ANSWERED_MAX, Answered, LEASES_MAX, Refusal};
use crate::broker::{Offset, Stored};
use crate::deliveries::Timing;
use crate::deliveries::settlement::{Park, Retried, RetryOutcome};
use crate::error::Error;
use crate::parking::{PARKED_MAX, Wait};
use crate::store::leases::LeaseChange;
use crate::store::parked::Parked;

/// Why an event is tried again that nobody answered for.
const ENDED: &str = "the lease ended before anybody answered for it";

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
        let open = self.leases.values().filter(|lease| !lease.entries.is_empty());
        open.filter(|lease| !self.is_unread(lease)).map(|lease| lease.until).min()
    }

    /// Whether it has events that could not be read yet: what would become of them cannot be written.
    fn is_unread(&self, lease: &Lease) -> bool {
        lease.entries.iter().any(|entry| self.parts[usize::from(entry.partition)].is_unread(entry))
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

    /// Partitions of which something is out.
    pub(super) fn partitions_out(&self) -> BTreeSet<u16> {
        let entries = self.leases.values().flat_map(|lease| &lease.entries);
        entries.map(|entry| entry.partition).collect()
    }

    /// These of a lease are handled.
    ///
    /// # Errors
    /// [`Refusal::Ended`], and [`Refusal::Store`] where something of it cannot be read now.
    pub(super) fn acknowledge(
        &mut self,
        token: &str,
        named: &Named,
        now: Timestamp,
        timing: &Timing,
    ) -> Result<Answered, Refusal> {
        let mut unknown = Vec::new();
        let taken = self.lease(token, now)?.take(named, &mut unknown);
        let count = taken.len();
        taken.into_iter().for_each(|entry| self.handled(entry));
        self.let_go(token, now, timing);
        Ok(Answered { count, unknown })
    }

    /// These of a lease are not handled.
    ///
    /// # Errors
    /// [`Refusal::Ended`], and [`Refusal::Store`] where something of it cannot be read now.
    pub(super) fn reject(
        &mut self,
        token: &str,
        named: &Named,
        rejection: &Rejection,
        now: Timestamp,
        timing: &Timing,
    ) -> Result<Answered, Refusal> {
        let mut unknown = Vec::new();
        let count = self.lease(token, now)?.reject(named, rejection, &mut unknown);
        self.let_go(token, now, timing);
        Ok(Answered { count, unknown })
    }

    fn lease(&mut self, token: &str, now: Timestamp) -> Result<&mut Lease, Refusal> {
        let lease = self.leases.get(token).filter(|lease| !lease.is_over(now));
        if self.is_unread(lease.ok_or(Refusal::Ended)?) {
            return Err(Error::environment("a partition of the lease cannot be read now").into());
        }
        self.leases.get_mut(token).ok_or(Refusal::Ended)
    }

    fn handled(&mut self, entry: Entry) {
        let part = &mut self.parts[usize::from(entry.partition)];
        match entry.what {
            What::Fresh(offset) => part.window.acknowledge(Offset(offset)),
            What::Parked(turn) => {
                part.window.unparked(&entry.key);
                let outcome = RetryOutcome::Handled { key: entry.key };
                part.outcomes.retried.push(Retried { turn, outcome });
            }
        }
    }

    /// What is rejected and first of its key leaves the lease, with what is behind it.
    fn let_go(&mut self, token: &str, now: Timestamp, timing: &Timing) {
        self.touched.insert(token.to_owned());
        let runs = self.leases.get_mut(token).map(Lease::rejected_first).unwrap_or_default();
        for mut run in runs {
            if let Some(rejection) = run.first.rejected.take() {
                self.rejected(run, rejection, now, timing);
            }
        }
    }

    fn rejected(&mut self, mut run: Run, rejection: Rejection, now: Timestamp, timing: &Timing) {
        let Rejection { reason, again } = rejection;
        let attempt = run.first.attempt;
        let wait = match again {
            Again::Uncounted if counted(&run.behind, None).is_empty() => {
                return self.give_back(&run);
            }
            Again::Uncounted => {
                // What was said of those behind it is kept with them, and they are behind what is parked.
                run.first.attempt = attempt.saturating_sub(1);
                timing.pace.again_after(run.first.attempt, now, super::AT_ONCE)
            }
            Again::Never => Wait::Operator,
            Again::After(pause) => timing.pace.again_after(attempt, now, pause),
            Again::Backoff => timing.pace.after_failure(attempt, now, (timing.jitter)()),
        };
        self.failed(run, wait, &reason, false);
    }

    /// Ends the leases whose time is over; how many had something out.
    pub(super) fn end_leases(&mut self, now: Timestamp, timing: &Timing) -> usize {
        let over = |it: &(&String, &Lease)| it.1.is_over(now) && !self.is_unread(it.1);
        let over: Vec<String> = self.leases.iter().filter(over).map(|it| it.0.clone()).collect();
        let mut ended = 0;
        for token in over {
            let runs = self.leases.remove(&token).map(|mut it| it.end()).unwrap_or_default();
            self.touched.insert(token);
            ended += usize::from(!runs.is_empty());
            for run in runs {
                let wait = timing.pace.again_after(run.first.attempt, now, super::AT_ONCE);
                self.failed(run, wait, ENDED, true);
            }
        }
        self.forget_answered();
        ended
    }

    /// Of leases that have nothing out no more are kept than the limit, those that would have lasted longest.
    fn forget_answered(&mut self) {
        let answered = self.leases.iter().filter(|it| it.1.entries.is_empty());
        let mut answered: Vec<_> = answered.map(|it| (it.1.until, it.0.clone())).collect();
        answered.sort();
        let surplus = answered.len().saturating_sub(ANSWERED_MAX);
        for (_, token) in answered.into_iter().take(surplus) {
            self.leases.remove(&token);
            self.touched.insert(token);
        }
    }

    /// Takes back a lease that its subscriber never heard of.
    pub(super) fn take_back(&mut self, token: &str) {
        // Of what could not be read yet the lease ends by itself.
        if self.leases.get(token).is_none_or(|lease| self.is_unread(lease)) {
            return;
        }
        let Some(mut lease) = self.leases.remove(token) else { return };
        self.touched.insert(token.to_owned());
        lease.end().iter().for_each(|run| self.give_back(run));
    }

    /// They are open again, as if nobody had had them.
    fn give_back(&mut self, run: &Run) {
        let part = &mut self.parts[usize::from(run.first.partition)];
        // Parked rows are as they were: it is the lease that kept them from others.
        let offsets = std::iter::once(&run.first).chain(&run.behind).filter_map(Entry::offset);
        offsets.for_each(|offset| part.window.give_back(offset));
    }

    /// They were not handled: they are parked, or parked on.
    fn failed(&mut self, run: Run, wait: Wait, reason: &str, has_ended: bool) {
        let part = &mut self.parts[usize::from(run.first.partition)];
        let Run { first, behind } = run;
        log_failure(&part.lane.context.name, &first, wait, reason);
        let counted = counted(&behind, has_ended.then_some(reason));
        let attempts = first.attempt;
        match first.what {
            What::Parked(turn) => {
                let outcome = |attempts, wait, reason: &str| RetryOutcome::Failed {
                    attempts,
                    wait,
                    reason: reason.to_owned(),
                };
                let first = Retried { turn, outcome: outcome(attempts, wait, reason) };
                let behind = behind.iter().filter_map(|entry| {
                    let What::Parked(turn) = entry.what else { return None };
                    let why = counted.get(&entry.what)?;
                    Some(Retried { turn, outcome: outcome(entry.attempt, Wait::Turn, why) })
                });
                part.outcomes.retried.extend(std::iter::once(first).chain(behind));
            }
            What::Fresh(offset) => {
                let mut parked = part.window.fail(Offset(offset)).into_iter();
                let reason = reason.to_owned();
                let first = parked.next().map(|stored| Park { stored, attempts, wait, reason });
                part.outcomes.parks.extend(first);
                part.outcomes.parks.extend(parked.map(|stored| {
                    match counted.get(&What::Fresh(stored.offset.0)).map(|it| (*it).to_owned()) {
                        Some(reason) => Park { stored, attempts: 1, wait: Wait::Turn, reason },
                        None => Park::behind(stored),
                    }
                }));
            }
        }
    }

    /// Parked rows that are due and no events any more become dead letters; they leave `due`.
    pub(super) fn give_up_hurt(&mut self, due: &mut VecDeque<Due>) {
        due.retain(|Due { partition, rows }| {
            let Some(Parked { turn, attempts, event: Err(error), .. }) = rows.first() else {
                return true;
            };
            let part = &mut self.parts[usize::from(partition.index())];
            let outcome = RetryOutcome::hurt(*attempts, error, &part.lane.context.name);
            part.outcomes.retried.push(Retried { turn: *turn, outcome });
            false
        });
    }

    /// Puts in parked events that are due; those that are put in leave `due`.
    pub(super) fn fill_with_due(&mut self, parcel: &mut Parcel, due: &mut VecDeque<Due>) {
        while let Some(Due { partition, rows }) =
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

    /// The partitions in the order in which they are looked at for the next lease.
    pub(super) fn in_turn(&mut self) -> Vec<usize> {
        let count = self.parts.len();
        self.turn = (self.turn + 1) % count;
        (self.turn..count).chain(0..self.turn).collect()
    }

    /// Puts in events that nobody had, by their offsets, and of a key as many as there are.
    pub(super) fn fill_with_fresh(part: &mut Part, parcel: &mut Parcel) {
        let partition = part.lane.at.partition;
        let window = &mut part.window;
        let mut behind: BTreeMap<u64, Arc<Stored>> = BTreeMap::new();
        loop {
            let first_behind = behind.first_key_value().map(|it| it.1.clone());
            let ready = window.next_ready().filter(|ready| {
                first_behind.as_ref().is_none_or(|behind| ready.offset < behind.offset)
            });
            let Some(stored) = ready.cloned().or(first_behind) else { return };
            let bytes = window.bytes_of(stored.offset);
            let candidate = Candidate { event: &stored.event, bytes, attempts: 0 };
            if parcel.room() == 0 || !parcel.takes(&candidate) {
                return;
            }
            match behind.remove(&stored.offset.0) {
                Some(_) => window.give_behind(stored.offset),
                None => _ = window.give_out(),
            }
            if let Some(next) = window.next_of_key(&stored) {
                behind.insert(next.offset.0, Arc::clone(next));
            }
            parcel.add_fresh(partition, &stored, bytes);
        }
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

fn first_fits(parcel: &Parcel, due: &Due) -> bool {
    let Some(Parked { attempts, event: Ok(event), .. }) = due.rows.first() else { return true };
    parcel.takes(&Candidate { event, bytes: size_of(event), attempts: *attempts })
}

fn log_failure(subscription: &str, entry: &Entry, wait: Wait, reason: &str) {
    let Entry { id, key, attempt, .. } = entry;
    if wait == Wait::Operator {
        tracing::error!(subscription, id, key, attempt, reason, "an event is a dead letter");
    } else {
        tracing::warn!(subscription, id, key, attempt, reason, "an event was not handled");
    }
}
