//! One partition of what is fetched: what was read ahead of its place, and what is to be written of it.
//!
//! It is read as far as somebody asks for events, and, when a shelf is made from the store, as far as something is out:
//! what is out under a lease stands as out again, and what is there no more (its engine removed it, the log lost its tail)
//! leaves its lease. What is hurt leaves it too; what only cannot be read for now stays out, and of its lease what is in this partition is
//! neither answered for nor ended until it is read: no other partition waits for that ([`Feed`]), in the same lease neither. What another instance lent or settled is not
//! learnt here: the shelf is made anew.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::mem;
use std::sync::Arc;

use super::due::Due;
use super::feed::{Feed, Patience};
use super::lease::Entry;
use crate::broker::{Offset, Stored};
use crate::deliveries::known::Known;
use crate::deliveries::settlement::{Outcomes, Park, Settlement};
use crate::deliveries::turns::Measure;
use crate::deliveries::window::{Admitted, Leaving, TurnOrder, Window};
use crate::error::Error;
use crate::share::ShareName;
use crate::store::ahead::SettledEvent;
use crate::store::inbox::Counted;
use crate::subscription::BATCH_MAX;
use crate::subscription::context::Lane;

/// See the module.
pub(super) struct Part {
    pub(super) lane: Lane,
    /// The run of deliveries that began last; none begins here, and a transaction that finds another one writes nothing.
    run: u64,
    pub(super) place: Offset,
    pub(super) window: Window,
    pub(super) outcomes: Outcomes,
    marks: BTreeMap<String, u64>,
    /// Settled beyond the place, and not read again yet.
    settled: HashMap<u64, SettledEvent>,
    /// Out under a lease, and not read again yet.
    leased: HashMap<u64, Entry>,
    /// What is due, by share, where these have their turns.
    pub(super) due: HashMap<ShareName, VecDeque<Due>>,
    /// Shares of whose first that is due some is in a lease that is put together.
    pub(super) begun: HashSet<ShareName>,
    /// Up to there the broker had nothing more.
    exhausted: Offset,
    /// Why what comes next cannot be read.
    pub(super) unread: Option<Error>,
    /// What comes next, or what is out, has not come yet.
    is_late: bool,
}

/// What the store has of a partition.
pub(super) struct KeptPart {
    pub(super) place: Offset,
    pub(super) run: u64,
    pub(super) known: Known,
}

/// What came of reading a batch.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Read {
    Some,
    /// There is no more.
    Nothing,
    /// It has not come yet, or it cannot.
    Later,
}

/// A partition that was read from this place.
pub(super) struct ReadFrom {
    pub(super) lane: Lane,
    pub(super) place: Offset,
}

impl Part {
    /// As the store has it; `leased` are the events of it that are out.
    pub(super) fn new(lane: Lane, kept: KeptPart, leased: Vec<Entry>) -> Part {
        let KeptPart { place, run, known } = kept;
        let Known { marks, settled, parked } = known;
        let by = lane.context.share.clone();
        let order = TurnOrder { by, measure: Measure::Turns };
        let window = Window::new(place, parked.by_key, order);
        let by_offset = |entry: Entry| Some((entry.offset()?.0, entry));
        Part {
            lane,
            run,
            place,
            window,
            outcomes: Outcomes::default(),
            marks,
            settled,
            leased: leased.into_iter().filter_map(by_offset).collect(),
            due: HashMap::new(),
            begun: HashSet::new(),
            exhausted: Offset::BEGINNING,
            unread: None,
            is_late: false,
        }
    }

    /// Reads on until all is read that is out; offsets of what is there no more.
    pub(super) async fn read_what_is_out(
        &mut self,
        feed: &mut Feed,
        patience: &mut Patience,
    ) -> HashSet<u64> {
        if feed.end().is_none() {
            // Before it has begun nothing is read of it.
            self.unread = feed.trouble().cloned();
            self.is_late = self.unread.is_none();
        } else if !self.leased.is_empty() {
            (self.unread, self.is_late) = (None, false);
            let last = self.leased.keys().max().copied().unwrap_or(0);
            while self.window.read_to().0 < last && self.read(feed, patience).await == Read::Some {}
        }
        // What is late or away is there still, and stays out: it is read when that is over.
        match &self.unread {
            Some(error) if !is_hurt(error) => HashSet::new(),
            None if self.is_late => HashSet::new(),
            _ => mem::take(&mut self.leased).into_keys().collect(),
        }
    }

    /// Whether this one is out and could not be read yet.
    pub(super) fn is_unread(&self, entry: &Entry) -> bool {
        entry.offset().is_some_and(|offset| self.leased.contains_key(&offset.0))
    }

    /// Whether this one is out and is read in a moment, as far as is known.
    pub(super) fn is_late(&self, entry: &Entry) -> bool {
        self.is_late && self.is_unread(entry)
    }

    /// Reads on until there are `enough` to give out, or nothing more, or no room.
    pub(super) async fn read_ahead(
        &mut self,
        feed: &mut Feed,
        enough: usize,
        patience: &mut Patience,
    ) {
        let Some(end) = feed.end() else { return };
        (self.unread, self.is_late) = (None, false);
        // Where shares have their turns, who is served next is not known before all that may be read is.
        let wants_more = |it: &Window| it.has_shares() || it.available(enough) < enough;
        while wants_more(&self.window) && self.has_more(end) {
            if self.read(feed, patience).await == Read::Nothing {
                self.exhausted = end;
            }
        }
    }

    /// Whether there is more to read, and room for it.
    pub(super) fn has_more(&self, end: Offset) -> bool {
        let is_behind = self.window.read_to().max(self.exhausted) < end;
        let is_open = self.unread.is_none() && !self.is_late;
        is_behind && is_open && self.window.room() >= BATCH_MAX
    }

    /// Reads a batch.
    async fn read(&mut self, feed: &mut Feed, patience: &mut Patience) -> Read {
        let events = match feed.read(self.window.read_to(), patience).await {
            Ok(Some(events)) => events,
            Ok(None) => {
                self.is_late = true;
                return Read::Later;
            }
            Err(error) => {
                self.unread = Some(error);
                return Read::Later;
            }
        };
        let is_compacted = self.lane.context.broker.is_compacted(&self.lane.at);
        let read = if events.is_empty() { Read::Nothing } else { Read::Some };
        for mut stored in events {
            if is_compacted {
                stored.event.outbox_previous = None;
            }
            self.admit(Arc::new(stored));
        }
        read
    }

    fn admit(&mut self, stored: Arc<Stored>) {
        let Counted { source, number } = Counted::of(&stored);
        let highest = self.marks.get(source).copied().unwrap_or(0);
        self.marks.insert(source.to_owned(), number.max(highest));
        let settled = self.settled.remove(&stored.offset.0).is_some_and(|it| it.is(&stored));
        let is_leased = self.leased.get(&stored.offset.0).is_some_and(|it| it.is(&stored));
        if number <= highest || settled {
            self.window.admit_settled(stored);
        } else if is_leased {
            self.leased.remove(&stored.offset.0);
            self.window.admit_out(stored);
        } else if self.window.admit(Arc::clone(&stored)) == Admitted::Behind {
            self.outcomes.parks.push(Park::behind(stored));
        }
    }

    /// What is to be written of it, if anything is.
    pub(super) fn settlement(&mut self) -> Option<Settlement> {
        let Leaving { first, ahead } = self.window.leave();
        let outcomes = mem::take(&mut self.outcomes);
        let (lane, after) = (self.lane.clone(), self.place);
        let settlement = Settlement { lane, run: self.run, after, first, ahead, outcomes };
        (!settlement.is_empty()).then_some(settlement)
    }
}

/// Whether an operator has to step over it before anything behind it is read. Whatever else is in the way passes: to take
/// that for hurt would have events handled twice.
pub(super) fn is_hurt(error: &Error) -> bool {
    matches!(error, Error::Damaged { .. } | Error::Gone { .. })
}
