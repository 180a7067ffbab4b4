//! What becomes of what is out: it is handled, rejected, given back, or its lease ends.
//!
//! A lease may have events of several partitions, and one of these may be silent: what is in it cannot be written, since nobody has
//! read it. That is left in the lease as it is, and what is in the others goes on ([`Shelf::with_readable`]).

use std::collections::HashSet;

use jiff::Timestamp;

use super::Shelf;
use crate::broker::Offset;
use crate::deliveries::Timing;
use crate::deliveries::pull::lease::{Again, Entry, Lease, Named, Rejection, Run, What, counted};
use crate::deliveries::pull::{ANSWERED_MAX, AT_ONCE, Answered, Refusal};
use crate::deliveries::settlement::{Park, Retried, RetryOutcome};
use crate::parking::Wait;

/// Which events of a lease are meant that can be read, and whether those are all.
struct Meant {
    readable: Named,
    is_whole: bool,
}

/// Why an event is tried again that nobody answered for.
const ENDED: &str = "the lease ended before anybody answered for it";

impl Shelf {
    /// These of a lease are handled.
    ///
    /// # Errors
    /// [`Refusal::Ended`], and [`Refusal::Unread`] where something that is meant cannot be read now: what can be is handled.
    pub(in crate::deliveries::pull) fn acknowledge(
        &mut self,
        token: &str,
        named: &Named,
        now: Timestamp,
        timing: &Timing,
    ) -> Result<Answered, Refusal> {
        let Meant { readable, is_whole } = self.meant(token, named, now)?;
        let mut unknown = Vec::new();
        let taken = self.with_readable(token, |lease| lease.take(&readable, &mut unknown));
        let taken = taken.unwrap_or_default();
        let count = taken.len();
        taken.into_iter().for_each(|entry| self.handled(entry));
        self.let_go(token, now, timing);
        is_whole.then_some(Answered { count, unknown }).ok_or(Refusal::Unread)
    }

    /// These of a lease are not handled.
    ///
    /// # Errors
    /// [`Refusal::Ended`], and [`Refusal::Unread`] where something that is meant cannot be read now: what can be is rejected.
    pub(in crate::deliveries::pull) fn reject(
        &mut self,
        token: &str,
        named: &Named,
        rejection: &Rejection,
        now: Timestamp,
        timing: &Timing,
    ) -> Result<Answered, Refusal> {
        let Meant { readable, is_whole } = self.meant(token, named, now)?;
        let mut unknown = Vec::new();
        let count = self
            .with_readable(token, |lease| lease.reject(&readable, rejection, &mut unknown))
            .unwrap_or(0);
        self.let_go(token, now, timing);
        is_whole.then_some(Answered { count, unknown }).ok_or(Refusal::Unread)
    }

    /// What of it is meant and not in a silent partition.
    fn meant(&self, token: &str, named: &Named, now: Timestamp) -> Result<Meant, Refusal> {
        let lease = self.leases.get(token).filter(|lease| !lease.is_over(now));
        let lease = lease.ok_or(Refusal::Ended)?;
        let silent = self.silent(lease);
        let held = lease.entries.iter().filter(|it| silent.contains(&it.partition));
        let held: HashSet<&str> = held.map(|entry| entry.id.as_str()).collect();
        Ok(match named {
            Named::All => Meant { readable: Named::All, is_whole: held.is_empty() },
            Named::Ids(ids) => {
                let readable: Vec<String> =
                    ids.iter().filter(|id| !held.contains(id.as_str())).cloned().collect();
                let is_whole = readable.len() == ids.len();
                Meant { readable: Named::Ids(readable), is_whole }
            }
        })
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
        let runs = self.with_readable(token, Lease::rejected_first).unwrap_or_default();
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
                timing.pace.again_after(run.first.attempt, now, AT_ONCE)
            }
            Again::Never => Wait::Operator,
            Again::After(pause) => timing.pace.again_after(attempt, now, pause),
            Again::Backoff => timing.pace.after_failure(attempt, now, (timing.jitter)()),
        };
        self.failed(run, wait, &reason, false);
    }

    /// Ends the leases whose time is over; how many had something out.
    pub(in crate::deliveries::pull) fn end_leases(
        &mut self,
        now: Timestamp,
        timing: &Timing,
    ) -> usize {
        let over = self.leases.iter().filter(|it| it.1.is_over(now));
        let over: Vec<String> = over.map(|it| it.0.clone()).collect();
        let mut ended = 0;
        for token in over {
            for run in self.end(&token, &mut ended) {
                let wait = timing.pace.again_after(run.first.attempt, now, AT_ONCE);
                self.failed(run, wait, ENDED, true);
            }
        }
        self.forget_answered();
        ended
    }

    /// Takes out what can be read of it, and the lease where nothing else is in it.
    fn end(&mut self, token: &str, ended: &mut usize) -> Vec<Run> {
        let runs = self.with_readable(token, Lease::end).unwrap_or_default();
        let is_over = self.leases.get(token).is_some_and(|lease| lease.entries.is_empty());
        if is_over {
            self.leases.remove(token);
            *ended += usize::from(!runs.is_empty());
        }
        if is_over || !runs.is_empty() {
            self.touched.insert(token.to_owned());
        }
        runs
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
    pub(in crate::deliveries::pull) fn take_back(&mut self, token: &str) {
        // Of what could not be read yet the lease ends by itself.
        self.end(token, &mut 0).iter().for_each(|run| self.give_back(run));
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
}

fn log_failure(subscription: &str, entry: &Entry, wait: Wait, reason: &str) {
    let Entry { id, key, attempt, .. } = entry;
    if wait == Wait::Operator {
        tracing::error!(subscription, id, key, attempt, reason, "an event is a dead letter");
    } else {
        tracing::warn!(subscription, id, key, attempt, reason, "an event was not handled");
    }
}
