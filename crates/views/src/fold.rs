//! Events into rows: what a batch touches is loaded once, changed in memory and written once.
//!
//! Rows, sums, page versions and the feed change in the subscription's own transaction, beside its
//! inbox, so that an event counts exactly once. The stamps move only after the sync: a reader who
//! sees a moved stamp finds the rows that moved it.
//!
//! Where one batch ends and the next begins is chance: the same events give the same rows however
//! they are cut. Only versions and the feed count what readers can see, which is once a batch.
//!
//! It does not recognise second copies and does not park: the subscription does both. A rule that
//! cannot be applied fails its event, and the subscription gives the batch again without it.

mod batch;
mod flush;

use std::sync::Arc;

use events::store::sqlite::Write;
use events::{Event, Failure, Handler};

use crate::expression::{Expression, Fields};
use crate::generation::Generation;
use crate::read_side::ReadSide;
use crate::row::Row;
use crate::rule::{Action, Kind};
use crate::value::{Key, Value};
use crate::view::{Join, View};

pub use batch::Batch;
use batch::Place;

/// The handler that every topic's subscription is given; clones share the views.
#[derive(Clone)]
pub struct Fold {
    side: Arc<ReadSide>,
}

/// One event on its way into the rows.
struct Folding<'f, 'w> {
    generation: &'f Generation,
    batch: &'f mut Batch,
    write: &'f Write<'w>,
    event: &'f Event,
    fields: Fields<'f>,
}

impl Fold {
    pub(crate) fn new(side: Arc<ReadSide>) -> Fold {
        Fold { side }
    }
}

impl Handler for Fold {
    type Batch = Batch;

    fn handle(
        &self,
        batch: &mut Batch,
        write: &mut Write<'_>,
        event: &Event,
    ) -> Result<(), Failure> {
        batch.note(event);
        let generation = &self.side.generation;
        let Some(kind) = generation.kinds.get(&event.kind) else { return Ok(()) };
        let fields = Fields::decode(event, &kind.wanted).map_err(Failure::Handler)?;
        Folding { generation, batch, write, event, fields }.apply(kind)
    }

    fn flush(&self, batch: &mut Batch, write: &mut Write<'_>) -> Result<(), events::Error> {
        flush::flush(&self.side.generation, &self.side.stamps, batch, write)
    }

    fn committed(&self, mut batch: Batch) {
        batch.tell();
        self.side.progress.advance(batch.take_progress());
    }
}

impl Folding<'_, '_> {
    fn apply(mut self, kind: &Kind) -> Result<(), Failure> {
        for rule in &kind.rules {
            match &rule.action {
                Action::Create { key, sets } => self.create(rule.view, key, sets),
                Action::Update { key, sets } => self.update(rule.view, key, sets),
                Action::Delete { key } => self.delete(rule.view, key),
                Action::Join { join, matches, sets } => self.join(rule.view, *join, matches, sets),
            }?;
        }
        Ok(())
    }

    fn create(
        &mut self,
        view: usize,
        key: &Expression,
        sets: &[(usize, Expression)],
    ) -> Result<(), Failure> {
        let sets = self.values(sets)?;
        let source = &self.event.source;
        self.change(view, key, |_, row| row.create(sets, source))
    }

    fn update(
        &mut self,
        view: usize,
        key: &Expression,
        sets: &[(usize, Expression)],
    ) -> Result<(), Failure> {
        let sets = self.values(sets)?;
        self.change(view, key, |_, row| row.update(sets))
    }

    fn delete(&mut self, view: usize, key: &Expression) -> Result<(), Failure> {
        let source = &self.event.source;
        self.change(view, key, |view, row| row.delete(view, source))
    }

    /// Does `change` to one row and what follows from it: joins, then computed columns.
    fn change(
        &mut self,
        index: usize,
        key: &Expression,
        change: impl FnOnce(&View, &mut Row),
    ) -> Result<(), Failure> {
        let view = &self.generation.views[index];
        let key =
            self.value(key).and_then(|value| Key::from_value(&value).map_err(Failure::Handler))?;
        let at = self.batch.hold(self.generation, self.write, index, &key)?;
        let before = self.batch.now(at).clone();
        let mut row = before.clone();
        change(view, &mut row);
        if row == before {
            return Ok(());
        }
        for join in 0..view.joins.len() {
            self.joined(index, join, &before, &mut row)?;
        }
        row.check_owner(view).map_err(Failure::Handler)?;
        row.compute(view, Some(&before)).map_err(Failure::Handler)?;
        for feeds in &view.feeds {
            row.part(feeds.part).map_err(Failure::Handler)?;
        }
        self.batch.set(at, row);
        Ok(())
    }

    /// Gives a row that has just come to match what was said for those that match.
    fn joined(
        &mut self,
        index: usize,
        join: usize,
        before: &Row,
        row: &mut Row,
    ) -> Result<(), Failure> {
        let Join { on, sets } = &self.generation.views[index].joins[join];
        let matched =
            row.state == before.state && on.iter().all(|&at| row.values[at] == before.values[at]);
        if matched || on.iter().any(|&at| row.values[at].is_null()) {
            return Ok(());
        }
        let place = Place { view: index, join };
        let matches = on.iter().map(|&at| &row.values[at]);
        let said = self.batch.said(self.generation, self.write, place, matches)?;
        let said = sets.iter().zip(said.iter()).filter_map(|(&at, one)| Some((at, one.as_ref()?)));
        row.join(said);
        Ok(())
    }

    /// Tells all rows that match, if it is news.
    fn join(
        &mut self,
        index: usize,
        join: usize,
        matches: &[Expression],
        sets: &[(usize, Expression)],
    ) -> Result<(), Failure> {
        let matches: Vec<Value> =
            matches.iter().map(|one| self.value(one)).collect::<Result<_, _>>()?;
        if matches.iter().any(Value::is_null) {
            return Err(Failure::Handler("a join's condition is null".to_owned()));
        }
        let sets = self.values(sets)?;
        let place = Place { view: index, join };
        if self.batch.say(self.generation, self.write, place, &matches, &sets)? {
            self.spread(place, &matches, &sets)?;
        }
        Ok(())
    }

    fn spread(
        &mut self,
        place: Place,
        matches: &[Value],
        sets: &[(usize, Value)],
    ) -> Result<(), Failure> {
        let rows = self.generation.stored(place.view);
        let join = &rows.view.joins[place.join];
        self.batch.spread_held(place.view, &join.on, matches, sets);
        let batch = &mut *self.batch;
        let seen = |row| batch.spread_stored(self.generation, place.view, row);
        rows.spread(self.write.sql(), join, matches, sets, seen)?;
        Ok(())
    }

    fn value(&self, expression: &Expression) -> Result<Value, Failure> {
        expression.eval(&self.fields).map_err(Failure::Handler)
    }

    fn values(&self, sets: &[(usize, Expression)]) -> Result<Vec<(usize, Value)>, Failure> {
        sets.iter().map(|(column, expression)| Ok((*column, self.value(expression)?))).collect()
    }
}
