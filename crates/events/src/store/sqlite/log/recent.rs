//! Events that were just read, for the next who follows the same partition: each is read, checked and decoded once and
//! not once per subscription.
//!
//! Subscriptions of a topic follow it a moment apart, and decoding was a third of what they computed. What is here was
//! read from the file and was sound; the pages of a run hang on each other without a gap, so that whoever is inside one
//! misses nothing. Whoever is elsewhere reads the file.
//!
//! It decides nothing about what there is: what is removed from the file is forgotten here once that is committed, and
//! what was read before then is not remembered after it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::broker::Stored;

/// Bytes that are remembered, of all partitions together: of records, and what an event has beside its texts.
pub(super) const RECENT_BYTES_MAX: usize = 2 * 1024 * 1024;

/// What one read found.
#[derive(Clone, Default)]
pub(super) struct Page {
    pub(super) events: Vec<Stored>,
    /// Of their records.
    pub(super) bytes: usize,
}

/// What is remembered of the partitions of one file.
#[derive(Default)]
pub(super) struct Recent(Mutex<Runs>);

/// What is known of a place.
pub(super) enum Look {
    Known(Vec<Stored>),
    /// The file is to be asked, and its answer may be remembered with this.
    Unknown(Moment),
}

/// How often something was forgotten so far.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Moment(u64);

#[derive(Default)]
struct Runs {
    of: BTreeMap<i64, Run>,
    /// Of all of them.
    bytes: usize,
    now: Moment,
}

/// Pages of one partition, one behind the other.
struct Run {
    /// Its first event is the one after this place.
    after: u64,
    pages: VecDeque<Arc<Page>>,
}

impl Recent {
    /// At most `limit` events after a place of a partition.
    pub(super) fn look(&self, partition: i64, after: u64, limit: usize) -> Look {
        let runs = self.runs();
        let pages: Vec<_> = match runs.of.get(&partition) {
            Some(run) if run.after <= after && after < run.last() => {
                let read = run.pages.partition_point(|page| page.last() <= after);
                run.pages.range(read..).take(limit).map(Arc::clone).collect()
            }
            _ => return Look::Unknown(runs.now),
        };
        // Copied when nobody waits for it.
        drop(runs);
        let events = pages.iter().flat_map(|page| &page.events);
        Look::Known(events.filter(|it| it.offset.0 > after).take(limit).cloned().collect())
    }

    /// Remembers what the file had after a place, looked at in that moment.
    pub(super) fn add(&self, partition: i64, after: u64, mut page: Page, looked: Moment) {
        let mut runs = self.runs();
        if runs.now != looked || page.events.is_empty() || page.weight() > RECENT_BYTES_MAX {
            return;
        }
        if runs.of.get(&partition).is_none_or(|run| after > run.last()) {
            runs.begin(partition, after);
        }
        let Some(run) = runs.of.get_mut(&partition) else { return };
        // Who was there at the same time has remembered the same already.
        let last = run.last();
        page.events.retain(|it| it.offset.0 > last);
        if !page.events.is_empty() {
            let weight = page.weight();
            run.pages.push_back(Arc::new(page));
            runs.bytes += weight;
            runs.shrink(partition);
        }
    }

    /// Forgets everything, and what is being read now.
    pub(super) fn forget(&self) {
        let mut runs = self.runs();
        *runs = Runs { now: Moment(runs.now.0 + 1), ..Runs::default() };
    }

    fn runs(&self) -> MutexGuard<'_, Runs> {
        // No run is left half changed by anything that can panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Runs {
    /// Another run of a partition, in place of what there was of it.
    fn begin(&mut self, partition: i64, after: u64) {
        let before = self.of.insert(partition, Run { after, pages: VecDeque::new() });
        self.bytes -= before.map_or(0, |run| run.weight());
    }

    /// Lets the oldest pages of the run go that grew; where that is not enough, the other runs.
    fn shrink(&mut self, grown: i64) {
        while self.bytes > RECENT_BYTES_MAX {
            match self.of.get_mut(&grown).filter(|run| run.pages.len() > 1) {
                Some(run) => self.bytes -= run.drop_oldest(),
                None => {
                    self.of.retain(|&partition, _| partition == grown);
                    self.bytes = self.of.values().map(Run::weight).sum();
                }
            }
        }
    }
}

impl Run {
    /// The place of its last event.
    fn last(&self) -> u64 {
        self.pages.back().map_or(self.after, |page| page.last())
    }

    fn weight(&self) -> usize {
        self.pages.iter().map(|page| page.weight()).sum()
    }

    /// What went.
    fn drop_oldest(&mut self) -> usize {
        let Some(page) = self.pages.pop_front() else { return 0 };
        self.after = page.last();
        page.weight()
    }
}

impl Page {
    fn last(&self) -> u64 {
        self.events.last().map_or(0, |it| it.offset.0)
    }

    fn weight(&self) -> usize {
        self.bytes + self.events.len() * size_of::<Stored>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::Offset;
    use crate::fixture::stamped;

    const PARTITION: i64 = 1;

    /// A read of events at these places, of so many bytes.
    fn page(places: impl IntoIterator<Item = u64>, bytes: usize) -> Page {
        let stored = |place| Stored { offset: Offset(place), event: stamped("order", "k", place) };
        Page { events: places.into_iter().map(stored).collect(), bytes }
    }

    fn add(recent: &Recent, partition: i64, after: u64, page: Page) {
        let Look::Unknown(now) = recent.look(partition, u64::MAX, 1) else { panic!("known") };
        recent.add(partition, after, page, now);
    }

    /// The places of what is known, if it is.
    fn known(recent: &Recent, partition: i64, after: u64, limit: usize) -> Option<Vec<u64>> {
        match recent.look(partition, after, limit) {
            Look::Known(events) => {
                assert!(events.iter().all(|it| it.event.sequence == it.offset.0), "its own event");
                Some(events.iter().map(|it| it.offset.0).collect())
            }
            Look::Unknown(_) => None,
        }
    }

    #[test]
    fn who_is_inside_a_run_gets_what_comes_next_and_who_is_elsewhere_asks_the_file() {
        let recent = Recent::default();
        // Places need not follow each other, pages do.
        add(&recent, PARTITION, 4, page([5, 6, 9], 1));
        add(&recent, PARTITION, 9, page([10, 11], 1));
        let cases: [(u64, usize, Option<&[u64]>); 9] = [
            (3, 9, None),
            (4, 9, Some(&[5, 6, 9, 10, 11])),
            (4, 2, Some(&[5, 6])),
            (4, 0, Some(&[])),
            (6, 9, Some(&[9, 10, 11])),
            (7, 2, Some(&[9, 10])),
            (9, 9, Some(&[10, 11])),
            (11, 9, None),
            (u64::MAX, 9, None),
        ];
        for (after, limit, expected) in cases {
            assert_eq!(known(&recent, PARTITION, after, limit).as_deref(), expected, "{after}");
        }
        assert_eq!(known(&recent, PARTITION + 1, 4, 9), None, "another partition's");
    }

    #[test]
    fn two_who_read_the_same_at_a_time_leave_each_event_once() {
        let recent = Recent::default();
        add(&recent, PARTITION, 0, page(1..=4, 1));
        add(&recent, PARTITION, 0, page(1..=3, 1));
        add(&recent, PARTITION, 2, page(3..=6, 1));
        assert_eq!(known(&recent, PARTITION, 0, 99), Some((1..=6).collect()));
        // Behind a gap begins another run; who comes from before it changes nothing.
        add(&recent, PARTITION, 8, page(9..=10, 1));
        add(&recent, PARTITION, 0, page(1..=6, 1));
        assert_eq!(known(&recent, PARTITION, 0, 99), None);
        assert_eq!(known(&recent, PARTITION, 8, 99), Some(vec![9, 10]));
    }

    #[test]
    fn what_was_read_before_something_was_forgotten_is_not_remembered_after_it() {
        let recent = Recent::default();
        add(&recent, PARTITION, 0, page(1..=4, 1));
        let Look::Unknown(looked) = recent.look(PARTITION, 4, 9) else { panic!("known") };
        recent.forget();
        assert_eq!(known(&recent, PARTITION, 0, 9), None);
        recent.add(PARTITION, 4, page(5..=6, 1), looked);
        assert_eq!(known(&recent, PARTITION, 4, 9), None);
    }

    #[test]
    fn no_more_than_its_bytes_are_remembered_and_the_newest_longest() {
        let recent = Recent::default();
        // Of one event; its record's bytes are what is left of that.
        let weighing = |weight: usize| weight - size_of::<Stored>();
        let third = weighing(RECENT_BYTES_MAX / 3);
        add(&recent, PARTITION + 1, 0, page([1], third));
        for place in 0..3 {
            add(&recent, PARTITION, place, page([place + 1], third));
            let runs = recent.runs();
            assert_eq!(runs.bytes, runs.of.values().map(Run::weight).sum::<usize>(), "{place}");
            assert!(runs.bytes <= RECENT_BYTES_MAX, "{place}");
        }
        // The fourth third was too much: the oldest page of the run that grew went.
        assert_eq!(known(&recent, PARTITION, 0, 9), None);
        assert_eq!(known(&recent, PARTITION, 1, 9), Some(vec![2, 3]));
        assert_eq!(known(&recent, PARTITION + 1, 0, 9), Some(vec![1]));
        // One that fits alone lets everything else go; one that does not is not remembered.
        add(&recent, PARTITION + 2, 0, page([1], weighing(RECENT_BYTES_MAX)));
        assert_eq!(known(&recent, PARTITION, 1, 9), None);
        assert_eq!(known(&recent, PARTITION + 2, 0, 9), Some(vec![1]));
        add(&recent, PARTITION + 2, 1, page([2], weighing(RECENT_BYTES_MAX) + 1));
        assert_eq!(known(&recent, PARTITION + 2, 0, 9), Some(vec![1]));
    }
}
