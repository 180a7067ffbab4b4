//! What one delivery batch has in hand: rows as they were stored and as they are now, what joins
//! said, and how far each source got.
//!
//! Where a batch ends is chance, and must not show. So a row in hand is the newest there is of it, and
//! what the store has of it is known all the time: a join that changes the stored row too (which may
//! match although the row in hand no longer does) changes what the row is compared with when it is
//! written, see [`Held::stored`].
//!
//! A batch that was written bumps its pages' stamps when it is dropped, whatever became of the
//! subscription between the sync and its being told: a page too many is rendered, none is stale.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use events::Event;
use events::store::sqlite::Write;

use crate::generation::Generation;
use crate::row::{Row, State};
use crate::stamps::Stamps;
use crate::store::sqlite::joined::{self, Said};
use crate::value::{Key, Value};

/// Rows a join may change and have told one by one in the feed; past it the feed starts anew.
pub(crate) const SPREAD_TOLD_MAX: usize = 1000;

/// The rows one delivery batch touched.
#[derive(Default)]
pub struct Batch {
    places: HashMap<(usize, Key), usize>,
    /// In the order they were touched.
    pub(super) rows: Vec<Held>,
    said: HashMap<(Place, String), (Said, bool)>,
    pub(super) spread: Spread,
    progress: HashMap<String, u64>,
    touched: Option<(Arc<Stamps>, BTreeSet<usize>)>,
}

/// A row in hand.
pub(super) struct Held {
    pub(super) view: usize,
    /// As its readers know it; `None` if it was not stored.
    pub(super) before: Option<Row>,
    pub(super) now: Row,
    /// As it is stored, where a join of this batch has changed that; `before` otherwise.
    spread: Option<Row>,
}

/// A join of a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) view: usize,
    pub(super) join: usize,
}

/// Rows a join changed in the store, beside those in hand.
#[derive(Default)]
pub(super) struct Spread {
    /// The pages that show them, and whose.
    pub(super) pages: BTreeSet<(usize, Key)>,
    /// Shown rows; none once there were too many.
    pub(super) rows: Vec<(usize, Row)>,
    pub(super) too_many: bool,
}

impl Held {
    /// What the store has of it.
    pub(super) fn stored(&self) -> Option<&Row> {
        self.spread.as_ref().or(self.before.as_ref())
    }
}

impl Batch {
    /// Counts an event as seen, whatever it does.
    pub(super) fn note(&mut self, event: &Event) {
        let Some(sequence) = event.outbox_sequence else { return };
        match self.progress.get_mut(&event.source) {
            Some(highest) => *highest = sequence.max(*highest),
            None => drop(self.progress.insert(event.source.clone(), sequence)),
        }
    }

    /// The place of a row in hand, loaded or begun.
    pub(super) fn hold(
        &mut self,
        generation: &Generation,
        write: &Write<'_>,
        view: usize,
        key: &Key,
    ) -> Result<usize, events::Error> {
        let id = (view, key.clone());
        if let Some(&at) = self.places.get(&id) {
            return Ok(at);
        }
        let definition = &generation.views[view];
        let before = generation.stored(view).load(write.sql(), key)?;
        let now = before.clone().unwrap_or_else(|| Row::new(definition, key));
        self.rows.push(Held { view, before, now, spread: None });
        self.places.insert(id, self.rows.len() - 1);
        Ok(self.rows.len() - 1)
    }

    pub(super) fn now(&self, at: usize) -> &Row {
        &self.rows[at].now
    }

    pub(super) fn set(&mut self, at: usize, row: Row) {
        self.rows[at].now = row;
    }

    /// What a join said for rows that match.
    pub(super) fn said<'v>(
        &mut self,
        generation: &Generation,
        write: &Write<'_>,
        place: Place,
        matches: impl Iterator<Item = &'v Value>,
    ) -> Result<&Said, events::Error> {
        let key = (place, matching(matches));
        Ok(&self.remembered(generation, write, key)?.0)
    }

    /// Remembers what a join says; whether it is news.
    pub(super) fn say(
        &mut self,
        generation: &Generation,
        write: &Write<'_>,
        place: Place,
        matches: &[Value],
        sets: &[(usize, Value)],
    ) -> Result<bool, events::Error> {
        let columns = &generation.views[place.view].joins[place.join].sets;
        let key = (place, matching(matches.iter()));
        let (said, changed) = self.remembered(generation, write, key)?;
        let mut news = false;
        for (column, value) in sets {
            let at = columns.iter().position(|known| known == column);
            let one = &mut said[at.expect("a join knows the columns its rules set")];
            if one.as_ref() != Some(value) {
                *one = Some(value.clone());
                news = true;
            }
        }
        *changed |= news;
        Ok(news)
    }

    fn remembered(
        &mut self,
        generation: &Generation,
        write: &Write<'_>,
        key: (Place, String),
    ) -> Result<&mut (Said, bool), events::Error> {
        match self.said.entry(key) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(vacant) => {
                let (place, matching) = vacant.key();
                let width = generation.views[place.view].joins[place.join].sets.len();
                let said = joined::load(write.sql(), &place.name(generation), matching, width)?;
                Ok(vacant.insert((said, false)))
            }
        }
    }

    /// What joins said in this batch: place, match and values.
    pub(super) fn news(&self) -> impl Iterator<Item = (Place, &str, &Said)> {
        let changed = self.said.iter().filter(|(_, (_, changed))| *changed);
        changed.map(|((place, matching), (said, _))| (*place, matching.as_str(), said))
    }

    /// Sets what a join says on the rows in hand that match.
    pub(super) fn spread_held(
        &mut self,
        view: usize,
        on: &[usize],
        matches: &[Value],
        sets: &[(usize, Value)],
    ) {
        for held in self.rows.iter_mut().filter(|held| held.view == view) {
            if on.iter().zip(matches).all(|(&at, value)| held.now.values[at] == *value) {
                held.now.join(sets.iter().map(|(at, value)| (*at, value)));
            }
        }
    }

    /// Takes note of a row that a join changed in the store.
    pub(super) fn spread_stored(&mut self, generation: &Generation, view: usize, row: Row) {
        let definition = &generation.views[view];
        let key = Key::from_value(&row.values[definition.key]);
        if let Some(&at) = key.ok().and_then(|key| self.places.get(&(view, key))) {
            self.rows[at].spread = Some(row);
            return;
        }
        let Some(owner) = row.owner(definition).filter(|_| row.state == State::Shown) else {
            return;
        };
        let pages = definition.shows.iter().map(|shows| (shows.page, owner.clone()));
        self.spread.pages.extend(pages);
        self.spread.too_many |= self.spread.rows.len() >= SPREAD_TOLD_MAX;
        if self.spread.too_many {
            self.spread.rows.clear();
        } else {
            self.spread.rows.push((view, row));
        }
    }

    /// Everything written: nothing is in hand any more, and these stamps move at the end.
    pub(super) fn written(&mut self, stamps: &Arc<Stamps>, touched: BTreeSet<usize>) {
        self.places.clear();
        self.rows.clear();
        self.said.clear();
        self.spread = Spread::default();
        let (_, all) = self.touched.get_or_insert_with(|| (Arc::clone(stamps), BTreeSet::new()));
        all.extend(touched);
    }

    /// Moves the stamps.
    pub(super) fn tell(&mut self) {
        if let Some((stamps, touched)) = self.touched.take() {
            touched.into_iter().for_each(|index| stamps.bump(index));
        }
    }

    pub(super) fn take_progress(&mut self) -> HashMap<String, u64> {
        std::mem::take(&mut self.progress)
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        self.tell();
    }
}

impl Place {
    /// What the store calls it: stable as long as the definitions are.
    pub(super) fn name(self, generation: &Generation) -> String {
        format!("{}.{}", generation.views[self.view].name, self.join)
    }
}

fn matching<'v>(values: impl Iterator<Item = &'v Value>) -> String {
    let mut text = String::new();
    values.for_each(|value| value.write_match(&mut text));
    text
}
