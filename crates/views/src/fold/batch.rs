//! What one delivery batch has buffered: rows, and what joins set.
//!
//! Where a batch ends is chance, and must not show. So a buffered row is the newest there is of it,
//! and what the store has of it is known all the time. It is up to three rows:
//!
//! 1. `before` is the row as its readers know it, from the last batch; what they are sent is how
//!    `now` differs from it.
//! 2. `now` is the row as the events of this batch have left it; rules read and change no other.
//! 3. `spread` is the row as the store has it, where a join's statement changed it there during this
//!    batch (it may match although `now` no longer does); what is written is how `now` differs from
//!    it, see [`Buffered::stored`].
//!
//! A batch that was written bumps its pages' stamps when it is dropped, whatever became of the
//! subscription between the sync and its report of it: a page too many is rendered, none is stale.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use events::store::Rows;

use crate::generation::Generation;
use crate::owner::OwnersPage;
use crate::row::{Row, State};
use crate::stamps::Stamps;
use crate::store::joined::{self, JoinedValues};
use crate::value::{Key, Value};
use crate::view::{ColumnValue, Join, Shows};

/// Rows a join may change that go to the feed one by one; past it the feed starts anew.
pub(crate) const SPREAD_ROWS_MAX: usize = 1000;

/// The rows one delivery batch touched.
#[derive(Default)]
pub struct Batch {
    /// Where each row is in `rows`.
    places: HashMap<RowId, usize>,
    /// In the order they were touched.
    pub(super) rows: Vec<Buffered>,
    joins: HashMap<Match, JoinUpdate>,
    pub(super) spread: Spread,
    /// What moves after the sync.
    touched: Option<Touched>,
}

#[derive(PartialEq, Eq, Hash)]
struct RowId {
    view: usize,
    key: Key,
}

/// A buffered row; see the module for its three shapes.
pub(super) struct Buffered {
    pub(super) view: usize,
    /// `None` if it was not stored.
    pub(super) before: Option<Row>,
    pub(super) now: Row,
    /// `None` where no join of this batch changed the stored row: `before` stands there.
    spread: Option<Row>,
}

/// A join of a view, by their places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct JoinId {
    pub(super) view: usize,
    pub(super) join: usize,
}

/// The rows that a join means at one time: those whose columns have these values, as text.
#[derive(PartialEq, Eq, Hash)]
struct Match {
    join: JoinId,
    values: String,
}

/// What a join set on the rows of one match.
struct JoinUpdate {
    values: JoinedValues,
    /// Whether the store has others.
    changed: bool,
}

/// A [`JoinUpdate`] that is to be written.
pub(super) struct ChangedJoin<'b> {
    pub(super) join: JoinId,
    pub(super) matching: &'b str,
    pub(super) values: &'b JoinedValues,
}

/// Rows a join changed in the store, beside those that are buffered.
#[derive(Default)]
pub(super) struct Spread {
    /// The pages that show them.
    pub(super) pages: BTreeSet<OwnersPage>,
    /// Shown rows; none once there were too many.
    pub(super) rows: Vec<SpreadRow>,
    pub(super) too_many: bool,
}

pub(super) struct SpreadRow {
    pub(super) view: usize,
    pub(super) row: Row,
}

struct Touched {
    stamps: Arc<Stamps>,
    indexes: BTreeSet<usize>,
}

impl Buffered {
    /// What the store has of it.
    pub(super) fn stored(&self) -> Option<&Row> {
        self.spread.as_ref().or(self.before.as_ref())
    }

    /// Whether its readers see another row than before.
    pub(super) fn is_changed(&self) -> bool {
        self.before.as_ref() != Some(&self.now)
    }
}

impl Batch {
    /// The place of a row in the buffer, where it is put if it is not there: as it is stored, or
    /// begun.
    pub(super) async fn buffer(
        &mut self,
        generation: &Generation,
        rows: &mut Rows<'_>,
        view: usize,
        key: &Key,
    ) -> Result<usize, events::Error> {
        let id = RowId { view, key: key.clone() };
        if let Some(&at) = self.places.get(&id) {
            return Ok(at);
        }
        let stored = generation.stored(view);
        // What readers know of the row; from here on the store is not asked again in this batch.
        let before = stored.load(rows, key).await?;
        let now = before.clone().unwrap_or_else(|| Row::new(stored.view, key));
        self.rows.push(Buffered { view, before, now, spread: None });
        self.places.insert(id, self.rows.len() - 1);
        Ok(self.rows.len() - 1)
    }

    pub(super) fn now(&self, at: usize) -> &Row {
        &self.rows[at].now
    }

    pub(super) fn set(&mut self, at: usize, row: Row) {
        self.rows[at].now = row;
    }

    /// What a join set on rows that match.
    pub(super) async fn joined<'v>(
        &mut self,
        generation: &Generation,
        rows: &mut Rows<'_>,
        join: JoinId,
        matches: impl Iterator<Item = &'v Value>,
    ) -> Result<&JoinedValues, events::Error> {
        let of = Match { join, values: matching(matches) };
        Ok(&self.remembered(generation, rows, of).await?.values)
    }

    /// Remembers what a join sets; whether that is another value than before.
    pub(super) async fn remember(
        &mut self,
        generation: &Generation,
        rows: &mut Rows<'_>,
        join: JoinId,
        matches: &[Value],
        sets: &[ColumnValue<Value>],
    ) -> Result<bool, events::Error> {
        let columns = &join.of(generation).sets;
        let of = Match { join, values: matching(matches.iter()) };
        let remembered = self.remembered(generation, rows, of).await?;
        let mut news = false;
        for ColumnValue { column, value } in sets {
            let at = columns.iter().position(|known| known == column);
            let one = &mut remembered.values[at.expect("a join knows the columns its rules set")];
            // Rows that are there have the same already: only news is worth a look at them.
            if one.as_ref() != Some(value) {
                *one = Some(value.clone());
                news = true;
            }
        }
        remembered.changed |= news;
        Ok(news)
    }

    async fn remembered(
        &mut self,
        generation: &Generation,
        rows: &mut Rows<'_>,
        of: Match,
    ) -> Result<&mut JoinUpdate, events::Error> {
        match self.joins.entry(of) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            // Before the first event of the batch that needs it: from here on memory is ahead of the table
            // until the flush, so nobody may read the row again.
            Entry::Vacant(vacant) => {
                let Match { join, values } = vacant.key();
                let width = join.of(generation).sets.len();
                let values = joined::load(rows, &join.name(generation), values, width).await?;
                Ok(vacant.insert(JoinUpdate { values, changed: false }))
            }
        }
    }

    /// What joins set in this batch.
    pub(super) fn changed_joins(&self) -> impl Iterator<Item = ChangedJoin<'_>> {
        let changed = self.joins.iter().filter(|(_, remembered)| remembered.changed);
        changed.map(|(of, remembered)| ChangedJoin {
            join: of.join,
            matching: &of.values,
            values: &remembered.values,
        })
    }

    /// Sets a join's columns on the buffered rows that match.
    pub(super) fn spread_buffered(
        &mut self,
        view: usize,
        on: &[usize],
        matches: &[Value],
        sets: &[ColumnValue<Value>],
    ) {
        for buffered in self.rows.iter_mut().filter(|buffered| buffered.view == view) {
            let now = &mut buffered.now;
            if on.iter().zip(matches).all(|(&at, value)| now.values[at] == *value) {
                now.join(sets.iter().map(ColumnValue::as_ref));
            }
        }
    }

    /// Takes note of a row that a join changed in the store.
    pub(super) fn spread_stored(&mut self, generation: &Generation, view: usize, row: Row) {
        let definition = &generation.views[view];
        // A buffered row is looked at when the batch ends; here only what it is compared with changes.
        let key = Key::from_value(&row.values[definition.key]);
        if let Some(&at) = key.ok().and_then(|key| self.places.get(&RowId { view, key })) {
            self.rows[at].spread = Some(row);
            return;
        }
        // Nobody sees a row that is not shown or nobody's.
        let Some(owner) = row.owner(definition).filter(|_| row.state == State::Visible) else {
            return;
        };
        let page = |shows: &Shows| OwnersPage { page: shows.page, owner: owner.clone() };
        self.spread.pages.extend(definition.shows.iter().map(page));
        // Bounded: past the limit only the pages are kept, and their feeds start anew.
        self.spread.too_many |= self.spread.rows.len() >= SPREAD_ROWS_MAX;
        if self.spread.too_many {
            self.spread.rows.clear();
        } else {
            self.spread.rows.push(SpreadRow { view, row });
        }
    }

    /// Everything is written: nothing is buffered any more, and these stamps move after the sync.
    pub(super) fn written(&mut self, stamps: &Arc<Stamps>, touched: BTreeSet<usize>) {
        // Written once: where the same batch goes on, it begins from the store.
        self.places.clear();
        self.rows.clear();
        self.joins.clear();
        self.spread = Spread::default();
        let none = || Touched { stamps: Arc::clone(stamps), indexes: BTreeSet::new() };
        self.touched.get_or_insert_with(none).indexes.extend(touched);
    }

    pub(super) fn move_stamps(&mut self) {
        if let Some(Touched { stamps, indexes }) = self.touched.take() {
            indexes.into_iter().for_each(|index| stamps.bump(index));
        }
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        self.move_stamps();
    }
}

impl JoinId {
    pub(super) fn of(self, generation: &Generation) -> &Join {
        &generation.views[self.view].joins[self.join]
    }

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
