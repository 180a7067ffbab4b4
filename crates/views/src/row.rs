//! One row and what rules do to it, whatever arrives first.
//!
//! ```text
//!  (none) ──update──▶ waiting ──create──▶ shown ──delete──▶ gone
//!     └──────────────create───────────────▲  ◀──create by the source that deleted it──┘
//! ```
//!
//! A create fills only what no update has set, so that an update from another topic that came first
//! is kept, and a second create changes nothing. A delete leaves the row as a tombstone: a create
//! from the source of the delete came after it, because one source keeps order per key; from another
//! source it may be late and stays deleted.
//!
//! Pure. It does not know how events are decoded or rows are stored.

use std::sync::Arc;

use serde_json::{Map, Value as Json};

use crate::value::{Key, Value};
use crate::view::{ColumnValue, View};

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    /// All columns, in the view's order.
    pub(crate) values: Vec<Value>,
    /// A bit for each column that an update has set.
    pub(crate) set: u64,
    pub(crate) state: State,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Updated, not yet created.
    Waiting,
    Visible,
    /// Deleted by this source.
    Gone(Arc<str>),
}

impl Row {
    pub(crate) fn new(view: &View, key: &Key) -> Row {
        let mut values = vec![Value::Null; view.columns.len()];
        values[view.key] = key.to_value();
        for &sum in &view.sums {
            values[sum] = Value::Int(0);
        }
        Row { values, set: 0, state: State::Waiting }
    }

    pub(crate) fn is_visible(&self) -> bool {
        self.state == State::Visible
    }

    /// Whose row it is, once that is known.
    pub(crate) fn owner(&self, view: &View) -> Option<Key> {
        Key::owner(&self.values[view.owner]).ok().flatten()
    }

    /// Refuses what cannot be anybody's.
    pub(crate) fn check_owner(&self, view: &View) -> Result<(), String> {
        match &self.values[view.owner] {
            Value::Bool(_) | Value::Float(_) => Key::owner(&self.values[view.owner]).map(drop),
            Value::Null | Value::Int(_) | Value::Text(_) => Ok(()),
        }
    }

    /// Shows the row, filling what no update has set.
    pub(crate) fn create(&mut self, sets: Vec<ColumnValue<Value>>, source: &str) {
        match &self.state {
            // shown → shown: a second create changes nothing.
            State::Visible => return,
            // gone → gone: what another source created may be older than the delete.
            State::Gone(by) if **by != *source => return,
            // waiting → shown; gone → shown, for this source created it after it had deleted it.
            State::Gone(_) | State::Waiting => {}
        }
        for ColumnValue { column, value } in sets {
            if self.set & bit(column) == 0 {
                self.values[column] = value;
            }
        }
        self.state = State::Visible;
    }

    pub(crate) fn update(&mut self, sets: Vec<ColumnValue<Value>>) {
        // gone → gone; waiting and shown stay what they are.
        if matches!(self.state, State::Gone(_)) {
            return;
        }
        for ColumnValue { column, value } in sets {
            self.values[column] = value;
            // A create that comes later leaves this column alone.
            self.set |= bit(column);
        }
    }

    /// Sums stay: they are of other rows.
    pub(crate) fn delete(&mut self, view: &View, source: &str) {
        for (at, value) in self.values.iter_mut().enumerate() {
            if at != view.key && !view.sums.contains(&at) {
                *value = Value::Null;
            }
        }
        // any → gone; the next life begins with nothing set.
        self.set = 0;
        self.state = State::Gone(source.into());
    }

    /// What a join sets stands above what the create set.
    pub(crate) fn join<'v>(&mut self, sets: impl IntoIterator<Item = ColumnValue<&'v Value>>) {
        if matches!(self.state, State::Gone(_)) {
            return;
        }
        for ColumnValue { column, value } in sets {
            self.values[column] = value.clone();
        }
    }

    /// Works the computed columns out, those that read a column that differs from `before`.
    pub(crate) fn compute(&mut self, view: &View, before: Option<&Row>) -> Result<(), String> {
        if !self.is_visible() {
            return Ok(());
        }
        for ColumnValue { column, value: computed } in &view.computed {
            let same = |&at: &usize| before.is_some_and(|row| row.values[at] == self.values[at]);
            if before.is_some_and(Row::is_visible) && computed.columns.iter().all(same) {
                continue;
            }
            let failed = |says| {
                format!("column `{}` cannot be computed. says=`{says}`", view.columns[*column])
            };
            self.values[*column] = computed.eval(&self.values).map_err(failed)?;
        }
        Ok(())
    }

    /// What the row adds to a sum by `part`: nothing unless it is shown.
    pub(crate) fn part(&self, part: usize) -> Result<i64, String> {
        if self.is_visible() { self.values[part].as_part() } else { Ok(0) }
    }

    /// Whether the two differ in a way an owner can see, as a row of a list or as a head.
    pub(crate) fn looks_like(&self, other: &Row, view: &View) -> bool {
        if self.state != other.state {
            return false;
        }
        let same = |&at: &usize| self.values[at] == other.values[at];
        match self.state {
            State::Visible => view.shown.iter().all(same),
            State::Waiting | State::Gone(_) => view.sums.iter().all(same),
        }
    }

    /// As lists show it.
    pub(crate) fn show(&self, view: &View) -> Map<String, Json> {
        let column = |&at: &usize| (view.columns[at].clone(), self.values[at].to_json());
        view.shown.iter().map(column).collect()
    }

    /// What is left to show of a row that was taken away.
    pub(crate) fn show_deleted(&self, view: &View) -> Map<String, Json> {
        let key = (view.columns[view.key].clone(), self.values[view.key].to_json());
        [key, ("deleted".to_owned(), Json::from(true))].into_iter().collect()
    }
}

/// A row as a page's head: sums stand even before the row is created, the rest is empty text until
/// then.
pub(crate) fn show_head(view: &View, row: Option<&Row>) -> Map<String, Json> {
    let created = row.filter(|row| row.is_visible());
    let column = |&at: &usize| {
        let summed = view.sums.contains(&at);
        let value = if summed { row } else { created }.map(|row| row.values[at].to_json());
        let unset = if summed { Json::from(0) } else { Json::from("") };
        (view.columns[at].clone(), value.filter(|value| !value.is_null()).unwrap_or(unset))
    };
    view.shown.iter().map(column).collect()
}

fn bit(column: usize) -> u64 {
    1 << column
}
