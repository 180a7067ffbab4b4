//! Events into rows: what a batch touches is loaded once, changed in memory and written once.
//!
//! 1. Each event is applied to the rows that the batch has buffered, in the order they came
//!    ([`batch`]); the store is written for a join alone, whose rows may be any number. What a row can be (waiting, shown,
//!    gone) and what each rule does to it is [`row`](crate::row)'s table; here a row is what the store has, under what
//!    this batch did to it.
//! 2. At the batch's end sums, rows, versions and the feed are written ([`flush`]).
//! 3. After the sync the stamps move ([`Handler::committed`]) and waiting readers are let go
//!    ([`Handler::received`]).
//!
//! Rows, sums, page versions and the feed change in the subscription's own transaction, beside its
//! inbox, so that an event counts exactly once. The stamps move only after the sync: a reader who
//! sees a moved stamp finds the rows that moved it.
//!
//! Where one batch ends and the next begins is chance: the same events give the same rows however
//! they are cut. Only versions and the feed count what readers can see, which is once a batch.
//!
//! It does not recognise second copies and does not park: the subscription does both. A rule that
//! cannot be applied fails its event, and the subscription gives the batch again event by event, that one parked.

mod batch;
mod flush;

use std::sync::Arc;

use events::store::{Rows, Tx};
use events::subscription::Received;
use events::{Event, Failure, Handler};

use crate::expression::Expression;
use crate::expression::fields::Fields;
use crate::generation::Generation;
use crate::read_side::ReadSide;
use crate::row::Row;
use crate::rule::{Action, EventRules};
use crate::value::{Key, Value};
use crate::view::{ColumnValue, Join, View};

pub use batch::Batch;
use batch::JoinId;

/// The handler that every topic's subscription is given; clones share the views.
#[derive(Clone)]
pub struct Fold {
    side: Arc<ReadSide>,
}

/// One event on its way into the rows.
struct Folding<'f, 't> {
    generation: &'f Generation,
    batch: &'f mut Batch,
    rows: &'f mut Rows<'t>,
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

    /// What an event said stays said: a view that passed it would be another one each time it is rebuilt.
    const PASSES_EXPIRED: bool = false;

    /// Where others may fold, one does: its transactions come one after the other, and none of whoever was followed.
    async fn begin(&self, tx: &mut Tx<'_>) -> Result<(), events::Error> {
        match &self.side.lease {
            Some(lease) => lease.begin(tx).await,
            None => Ok(()),
        }
    }

    async fn handle(
        &self,
        batch: &mut Batch,
        tx: &mut Tx<'_>,
        event: &Event,
    ) -> Result<(), Failure> {
        let generation = &self.side.generation;
        let Some(of_type) = generation.rules.get(&event.kind) else { return Ok(()) };
        // Only what some rule of this kind reads is decoded; the rest of the event is not looked at.
        let fields = Fields::decode(event, &of_type.wanted).map_err(Failure::Handler)?;
        Folding { generation, batch, rows: tx, event, fields }.apply(of_type).await
    }

    async fn flush(&self, batch: &mut Batch, tx: &mut Tx<'_>) -> Result<(), events::Error> {
        flush::flush(&self.side, batch, tx).await
    }

    fn committed(&self, mut batch: Batch) {
        batch.move_stamps();
    }

    /// Called after [`committed`](Handler::committed): who is let go must not find the page from before. An
    /// event that no rule knows counts too: who waits for it must not wait forever.
    fn received(&self, received: &[Received]) {
        self.side.progress.advance(received);
    }
}

impl Folding<'_, '_> {
    async fn apply(mut self, of_type: &EventRules) -> Result<(), Failure> {
        for rule in &of_type.rules {
            match &rule.action {
                Action::Create { key, sets } => self.create(rule.view, key, sets).await,
                Action::Update { key, sets } => self.update(rule.view, key, sets).await,
                Action::Delete { key } => self.delete(rule.view, key).await,
                Action::Join { join, matches, sets } => {
                    self.join(JoinId { view: rule.view, join: *join }, matches, sets).await
                }
            }?;
        }
        Ok(())
    }

    async fn create(
        &mut self,
        view: usize,
        key: &Expression,
        sets: &[ColumnValue<Expression>],
    ) -> Result<(), Failure> {
        let sets = self.values(sets)?;
        let source = &self.event.source;
        self.change(view, key, |_, row| row.create(sets, source)).await
    }

    async fn update(
        &mut self,
        view: usize,
        key: &Expression,
        sets: &[ColumnValue<Expression>],
    ) -> Result<(), Failure> {
        let sets = self.values(sets)?;
        self.change(view, key, |_, row| row.update(sets)).await
    }

    async fn delete(&mut self, view: usize, key: &Expression) -> Result<(), Failure> {
        let source = &self.event.source;
        self.change(view, key, |view, row| row.delete(view, source)).await
    }

    /// Does `change` to one row and what follows from it: joins, then computed columns.
    ///
    /// Everything that can fail happens to a copy: an event that fails leaves its row as it was.
    async fn change(
        &mut self,
        index: usize,
        key: &Expression,
        change: impl FnOnce(&View, &mut Row) + Send,
    ) -> Result<(), Failure> {
        let view = &self.generation.views[index];
        let key = Key::from_value(&self.value(key)?).map_err(Failure::Handler)?;
        let at = self.batch.buffer(self.generation, self.rows, index, &key).await?;
        let before = self.batch.now(at).clone();
        let mut row = before.clone();
        change(view, &mut row);
        if row == before {
            return Ok(());
        }
        // A row may come to match by what was just set. Joins and computed columns do not read each
        // other (the definitions refuse it), so that either may come first.
        for join in 0..view.joins.len() {
            self.take_joined(JoinId { view: index, join }, &before, &mut row).await?;
        }
        row.check_owner(view).map_err(Failure::Handler)?;
        row.compute(view, Some(&before)).map_err(Failure::Handler)?;
        // Sums are added when the batch ends, too late to fail the event that is at fault.
        for feeds in &view.feeds {
            row.part(feeds.part).map_err(Failure::Handler)?;
        }
        self.batch.set(at, row);
        Ok(())
    }

    /// Gives a row that has just come to match what the join set on those that match.
    async fn take_joined(
        &mut self,
        join: JoinId,
        before: &Row,
        row: &mut Row,
    ) -> Result<(), Failure> {
        let Join { on, sets } = join.of(self.generation);
        // A row that matched before has these values since the join's own event. One whose state
        // changed has just had its columns set or emptied.
        let same_state = row.state == before.state;
        let same_match = on.iter().all(|&at| row.values[at] == before.values[at]);
        if same_state && same_match {
            return Ok(());
        }
        // What is unknown equals nothing.
        if on.iter().any(|&at| row.values[at].is_null()) {
            return Ok(());
        }
        let matches = on.iter().map(|&at| &row.values[at]);
        let joined = self.batch.joined(self.generation, self.rows, join, matches).await?;
        // Columns and values stand in one order; a column that the join never set keeps its own.
        let known = sets.iter().zip(joined).filter_map(|(&column, value)| {
            let value = value.as_ref()?;
            Some(ColumnValue { column, value })
        });
        row.join(known);
        Ok(())
    }

    /// Sets a join's columns on all rows that match, unless they are set so already.
    async fn join(
        &mut self,
        join: JoinId,
        matches: &[Expression],
        sets: &[ColumnValue<Expression>],
    ) -> Result<(), Failure> {
        let matches: Vec<Value> =
            matches.iter().map(|one| self.value(one)).collect::<Result<_, _>>()?;
        if matches.iter().any(Value::is_null) {
            return Err(Failure::Handler("a join's condition is null".to_owned()));
        }
        let sets = self.values(sets)?;
        // Remembered first, for rows that are created later; rows that are there have what was
        // remembered before, so that only a difference is worth a look at them.
        if self.batch.remember(self.generation, self.rows, join, &matches, &sets).await? {
            self.spread(join, &matches, &sets).await?;
        }
        Ok(())
    }

    /// Sets a join's columns on the rows that match: those that are buffered, in memory, and those in
    /// the store by one statement. A row that is both changes in either by itself: what the batch has
    /// of it may match where what the store has does not, and the other way round.
    async fn spread(
        &mut self,
        join: JoinId,
        matches: &[Value],
        sets: &[ColumnValue<Value>],
    ) -> Result<(), Failure> {
        let rows = self.generation.stored(join.view);
        let definition = join.of(self.generation);
        self.batch.spread_buffered(join.view, &definition.on, matches, sets);
        let batch = &mut *self.batch;
        let seen = |row| batch.spread_stored(self.generation, join.view, row);
        rows.spread(self.rows, definition, matches, sets, seen).await?;
        Ok(())
    }

    fn value(&self, expression: &Expression) -> Result<Value, Failure> {
        expression.eval(&self.fields).map_err(Failure::Handler)
    }

    fn values(&self, sets: &[ColumnValue<Expression>]) -> Result<Vec<ColumnValue<Value>>, Failure> {
        let one = |set: &ColumnValue<Expression>| {
            Ok(ColumnValue { column: set.column, value: self.value(&set.value)? })
        };
        sets.iter().map(one).collect()
    }
}
