//! A view's words: its columns by their places, and what reads across views.
//!
//! Columns come in one order everywhere: those that rules set, those worked out, those that sum.
//!
//! It holds what the compiler found and knows neither rows nor pages nor how it was written.

use crate::expression::Computed;

/// A view, checked.
pub(crate) struct View {
    pub(crate) name: String,
    pub(crate) topics: Vec<String>,
    pub(crate) columns: Vec<String>,
    /// The first so many columns are set by rules.
    pub(crate) settable: usize,
    pub(crate) key: usize,
    pub(crate) owner: usize,
    pub(crate) computed: Vec<ColumnValue<Computed>>,
    /// Its own columns that sum another view's rows.
    pub(crate) sums: Vec<usize>,
    /// The sums of other views that its rows are part of.
    pub(crate) feeds: Vec<Feeds>,
    pub(crate) joins: Vec<Join>,
    pub(crate) shown: Vec<usize>,
    /// Columns that lists of one owner are sorted by.
    pub(crate) sorted: Vec<usize>,
    /// The pages that show its rows.
    pub(crate) shows: Vec<Shows>,
}

/// A sum that a view's rows are part of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Feeds {
    /// The view that has the sum.
    pub(crate) view: usize,
    /// The summing column there.
    pub(crate) column: usize,
    /// The column here that is added.
    pub(crate) part: usize,
    /// The column here that is the key there.
    pub(crate) via: usize,
}

/// A column and what it is set to, or must equal: an expression in a rule, a value once an event came.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ColumnValue<T> {
    pub(crate) column: usize,
    pub(crate) value: T,
}

impl<T> ColumnValue<T> {
    pub(crate) fn as_ref(&self) -> ColumnValue<&T> {
        ColumnValue { column: self.column, value: &self.value }
    }
}

/// How a list is sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SortOrder {
    pub(crate) column: usize,
    /// Largest first.
    pub(crate) descending: bool,
}

/// Rows that share the values of some columns, and what events say about all of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Join {
    /// The columns that must match, in order.
    pub(crate) on: Vec<usize>,
    /// The columns that are set.
    pub(crate) sets: Vec<usize>,
}

/// A page that shows a view's rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shows {
    pub(crate) page: usize,
    /// Whether it shows the row as its head, not in its list.
    pub(crate) head: bool,
    /// What a live update of it is called; none is sent without it.
    pub(crate) live: Option<String>,
}

impl View {
    pub(crate) fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column == name)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(String::as_str)
    }

    /// Whether a join sets the column.
    pub(crate) fn is_joined(&self, column: usize) -> bool {
        self.joins.iter().any(|join| join.sets.contains(&column))
    }
}
