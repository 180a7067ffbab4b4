//! Parked events that are due, each with what is behind it of its key, as the store has them at one moment.
//!
//! A reader of a few: as many as those who wait can take, and no more bytes than they may be given.

use std::collections::{HashSet, VecDeque};

use jiff::Timestamp;

use super::ANSWER_BYTES_MAX;
use super::lease::Line;
use super::parcel::{goes_alone, size_of};
use crate::error::Error;
use crate::partition::Partition;
use crate::share::ShareName;
use crate::store::inbox::Assigned;
use crate::store::parked::{self, DueOrder, DueTurn, Parked};
use crate::store::rows::Rows;
use crate::subscription::context::Lane;

/// Rows behind one of a key that are read at a time: each may have a megabyte.
const STEP: usize = 8;

/// Parked events of a key that are due, the first of it first.
pub(super) struct Due {
    pub(super) partition: Partition,
    /// Whose turns they take.
    pub(super) share: ShareName,
    pub(super) rows: VecDeque<Parked>,
}

/// What is asked for.
pub(super) struct Wanted {
    /// Partitions that have parked events.
    pub(super) lanes: Vec<Lane>,
    /// Keys that somebody has.
    pub(super) out: HashSet<Line>,
    pub(super) now: Timestamp,
    /// Events that all who wait can take.
    pub(super) limit: usize,
    /// Attempts in all.
    pub(super) attempts: u32,
}

/// What there is.
#[derive(Default)]
pub(super) struct Found {
    pub(super) due: VecDeque<Due>,
    /// When the next is due.
    pub(super) next: Option<Timestamp>,
    rows: usize,
    bytes: usize,
}

impl Wanted {
    /// Reads it.
    pub(super) async fn read(&self, rows: &mut Rows<'_>) -> Result<Found, Error> {
        let mut found = Found::default();
        for lane in &self.lanes {
            let next = parked::due_after(rows, lane.assigned(), self.now).await?;
            found.next = found.next.into_iter().chain(next).min();
            self.read_in(rows, lane, &mut found).await?;
        }
        Ok(found)
    }

    async fn read_in(
        &self,
        rows: &mut Rows<'_>,
        lane: &Lane,
        found: &mut Found,
    ) -> Result<(), Error> {
        let (of, partition) = (lane.assigned(), lane.at.partition);
        let is_free = |first: &DueTurn| {
            let line = Line { partition: partition.index(), key: first.key.clone() };
            !self.out.contains(&line)
        };
        let limit = self.limit + self.out.len();
        let order = lane.context.due_order();
        let firsts = parked::due_turns(rows, of, self.now, limit, order).await?;
        let mut due = Vec::new();
        for DueTurn { turn, share, .. } in firsts.into_iter().filter(is_free) {
            if found.is_enough(self.limit) {
                break;
            }
            let Some(first) = parked::of_turn(rows, turn).await? else { continue };
            let mut run = Vec::new();
            found.add(&mut run, vec![first]);
            // What is behind one share's first is not read before every share's first is.
            if order == DueOrder::Time {
                self.read_behind(rows, of, &mut run, found).await?;
            }
            due.push(Due { partition, share, rows: run.into() });
        }
        for Due { rows: first, .. } in due.iter_mut().filter(|_| order == DueOrder::Shares) {
            let mut run = Vec::from(std::mem::take(first));
            self.read_behind(rows, of, &mut run, found).await?;
            *first = run.into();
        }
        found.due.extend(due);
        Ok(())
    }

    /// Reads what is behind the last of `run`, a few at a time, unless its first goes alone.
    async fn read_behind(
        &self,
        rows: &mut Rows<'_>,
        of: Assigned<'_>,
        run: &mut Vec<Parked>,
        found: &mut Found,
    ) -> Result<(), Error> {
        if run.first().is_none_or(|first| goes_alone(first.attempts, self.attempts)) {
            return Ok(());
        }
        while !found.is_enough(self.limit) {
            let Some(last) = run.last() else { return Ok(()) };
            let next = parked::behind(rows, of, last, STEP).await?;
            let is_all = next.len() < STEP;
            found.add(run, next);
            if is_all {
                break;
            }
        }
        Ok(())
    }
}

impl Found {
    /// Whether all who wait have as much as they can take, of all partitions together.
    fn is_enough(&self, limit: usize) -> bool {
        self.rows >= limit || self.bytes > ANSWER_BYTES_MAX
    }

    fn add(&mut self, run: &mut Vec<Parked>, more: Vec<Parked>) {
        self.rows += more.len();
        self.bytes += more.iter().map(bytes_of).sum::<usize>();
        run.extend(more);
    }
}

fn bytes_of(parked: &Parked) -> usize {
    parked.event.as_ref().map_or(0, size_of)
}
