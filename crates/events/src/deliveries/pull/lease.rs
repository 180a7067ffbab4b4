//! A lease: which events one who fetched has, until when, and what he said of them.
//!
//! Whoever has several events of a key has them in their order, and nobody else has any of that key. So what he rejects
//! takes what is behind it of its key with it: none of these is answered for any more, from then on. It is parked once all
//! before it is answered for: until then it is noted, stays out, and waits ([`Lease::rejected_first`]). Where the lease ends
//! meanwhile, what was said of it counts in the place of the end ([`counted`]). Pure.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::LEASE_MAX;
use crate::broker::{Offset, Stored};
use crate::store::leases::LeaseRow;

/// Events of one who fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lease {
    pub(super) until: Timestamp,
    /// Those that are not answered for, in the order in which they were given.
    pub(super) entries: Vec<Entry>,
}

/// An event of a lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) partition: u16,
    pub(super) what: What,
    pub(super) key: String,
    pub(super) source: String,
    pub(super) id: String,
    /// With the one that the lease is.
    pub(super) attempt: u32,
    /// It was rejected, and something before it of its key is not answered for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) rejected: Option<Rejection>,
}

/// Where an event was when it was given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum What {
    /// At this offset of its partition.
    Fresh(u64),
    /// Parked, with this turn.
    Parked(i64),
}

/// Why an event is not acknowledged, and what is to become of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection {
    /// In the subscriber's words; of what is longer the beginning is kept
    /// ([`REASON_CHARS_MAX`](crate::parking::REASON_CHARS_MAX)).
    pub reason: String,
    /// When it is tried again.
    pub again: Again,
}

/// When a rejected event is given out again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Again {
    /// After the subscription's pause; the attempt counts.
    Backoff,
    /// After this pause; the attempt counts.
    After(Duration),
    /// At once, and the attempt does not count: he had no time for it.
    Uncounted,
    /// Not before an operator says so.
    Never,
}

/// Which events of a lease are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// All that are left of it.
    All,
    /// Those with these ids.
    Ids(Vec<String>),
}

/// A key of a partition: what has an order of its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Line {
    pub(super) partition: u16,
    pub(super) key: String,
}

/// Events that leave a lease together: of one key, in order, the first that is not answered for and what was given behind
/// it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) first: Entry,
    pub(super) behind: Vec<Entry>,
}

impl Entry {
    pub(super) fn line(&self) -> Line {
        Line { partition: self.partition, key: self.key.clone() }
    }

    /// Whether it is this event, where it was read.
    pub(super) fn is(&self, stored: &Stored) -> bool {
        self.source == stored.event.source && self.id == stored.event.id
    }

    /// Its offset, where it is not parked.
    pub(super) fn offset(&self) -> Option<Offset> {
        match self.what {
            What::Fresh(offset) => Some(Offset(offset)),
            What::Parked(_) => None,
        }
    }
}

impl Lease {
    /// Whether its time is over. One that lasts much longer than any may was given by a clock that has been set back; a little
    /// longer it lasts for whoever's clock is behind that of the one who gave it.
    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        let longest = now.checked_add(LEASE_MAX * 2).unwrap_or(Timestamp::MAX);
        self.until <= now || self.until > longest
    }

    /// Takes out the events that are meant, in order; ids of what is not there to be answered for are added to `unknown`.
    pub(super) fn take(&mut self, named: &Named, unknown: &mut Vec<String>) -> Vec<Entry> {
        let meant = self.meant(named, unknown);
        self.entries.extract_if(.., |entry| meant.contains(&entry.id)).collect()
    }

    /// Notes that these are rejected, of each key by the first of them; how many they are.
    pub(super) fn reject(
        &mut self,
        named: &Named,
        rejection: &Rejection,
        unknown: &mut Vec<String>,
    ) -> usize {
        let meant = self.meant(named, unknown);
        let mut noted = HashSet::new();
        for entry in self.entries.iter_mut().filter(|entry| meant.contains(&entry.id)) {
            if noted.insert(entry.line()) {
                entry.rejected = Some(rejection.clone());
            }
        }
        meant.len()
    }

    /// The ids of those that are meant and may be answered for: of a key, what is before the first that was rejected. The
    /// others go to `unknown`.
    fn meant(&self, named: &Named, unknown: &mut Vec<String>) -> HashSet<String> {
        let (mut rejected, mut open) = (HashSet::new(), HashSet::new());
        for entry in &self.entries {
            if entry.rejected.is_some() {
                rejected.insert(entry.line());
            }
            if !rejected.contains(&entry.line()) {
                open.insert(entry.id.as_str());
            }
        }
        let ids: Vec<&str> = match named {
            Named::All => self.entries.iter().map(|entry| entry.id.as_str()).collect(),
            Named::Ids(ids) => ids.iter().map(String::as_str).collect(),
        };
        let (meant, others): (Vec<_>, Vec<_>) = ids.into_iter().partition(|id| open.contains(id));
        unknown.extend(others.into_iter().map(str::to_owned));
        meant.into_iter().map(str::to_owned).collect()
    }

    /// Takes out every key whose first event is rejected.
    pub(super) fn rejected_first(&mut self) -> Vec<Run> {
        let mut is_rejected = HashMap::new();
        for entry in &self.entries {
            is_rejected.entry(entry.line()).or_insert(entry.rejected.is_some());
        }
        let taken = self.entries.extract_if(.., |entry| is_rejected[&entry.line()]).collect();
        runs(taken)
    }

    /// Takes out those, in order.
    pub(super) fn part_with(&mut self, those: impl Fn(&Entry) -> bool) -> Vec<Entry> {
        self.entries.extract_if(.., |entry| those(entry)).collect()
    }

    /// Takes out everything.
    pub(super) fn end(&mut self) -> Vec<Run> {
        runs(std::mem::take(&mut self.entries))
    }

    /// As it is kept.
    pub(super) fn to_row(&self, token: &str) -> LeaseRow {
        let entries = serde_json::to_vec(&self.entries).expect("plain members");
        LeaseRow { token: token.to_owned(), until: self.until, entries }
    }

    /// As it was kept. Of one whose row is hurt nothing is out: its events are given out again.
    pub(super) fn of_row(row: &LeaseRow) -> Lease {
        let entries = serde_json::from_slice(&row.entries).unwrap_or_else(|error| {
            tracing::error!(%error, "a lease is none any more: its events are given out again");
            Vec::new()
        });
        Lease { until: row.until, entries }
    }
}

/// Of which events behind the first of their key an attempt counts, and why: of those that were rejected, and before the
/// first of these for the lease's `end`, where it has ended. Nobody knows which of them its holder had in hand.
pub(super) fn counted<'e>(behind: &'e [Entry], mut end: Option<&'e str>) -> HashMap<What, &'e str> {
    let mut counted = HashMap::new();
    for entry in behind {
        let why = match &entry.rejected {
            None => end,
            Some(Rejection { again, reason }) => {
                end = None;
                (*again != Again::Uncounted).then_some(reason.as_str())
            }
        };
        counted.extend(why.map(|why| (entry.what, why)));
    }
    counted
}

/// Events by key, each in its order; the keys in the order of their first.
fn runs(entries: Vec<Entry>) -> Vec<Run> {
    let (mut runs, mut places) = (Vec::<Run>::new(), HashMap::<Line, usize>::new());
    for entry in entries {
        match places.get(&entry.line()) {
            Some(at) => runs[*at].behind.push(entry),
            None => {
                places.insert(entry.line(), runs.len());
                runs.push(Run { first: entry, behind: Vec::new() });
            }
        }
    }
    runs
}

#[cfg(test)]
mod tests;
