//! Views and pages, checked and compiled: columns have places, rules have expressions, and what a
//! rule may not do was refused with the path of the mistake.
//!
//! Two restrictions buy that the cost of an event does not grow with the rows there are: a column
//! set by a join feeds nothing that is worked out (owner, sums, computed columns, other joins), and
//! a list is sorted by one column that has an index.
//!
//! It does not fold or read: see [`fold`](crate::fold) and [`store`](crate::store).

mod compile;
mod names;
mod pages;
mod rules;

use std::collections::{BTreeSet, HashMap};

use mistakes::Mistake;

use crate::page::{self, Page, Parts};
use crate::render::Templates;
use crate::row::Row;
use crate::rule::EventRules;
use crate::settings::Settings;
use crate::value::Key;
use crate::view::View;

/// Columns a view may have that rules set.
pub const COLUMNS_MAX: usize = 63;

/// The columns of a page's head and of each row of its list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns<'d> {
    /// The head's; none where there is no head.
    pub head: Vec<&'d str>,
    /// A row's.
    pub row: Vec<&'d str>,
}

/// Views and pages, checked: what [`Views::open`](crate::Views::open) is given.
pub struct Definitions {
    pub(crate) views: Vec<View>,
    pub(crate) pages: Vec<Page>,
    pub(crate) rules: HashMap<String, EventRules>,
    pub(crate) templates: Templates,
    /// What rows depend on, as text: rows folded under another text are folded again.
    pub(crate) text: String,
}

impl Definitions {
    /// Checks settings; `templates` gives a template's text by its name, or says in words what is wrong
    /// with the name (see [`mistakes::unknown`]).
    ///
    /// # Errors
    /// Every mistake there is, each with its path and, for a name, the nearest valid one.
    pub fn compile(
        settings: &Settings,
        templates: &dyn Fn(&str) -> Result<String, String>,
    ) -> Result<Definitions, Vec<Mistake>> {
        compile::compile(settings, templates)
    }

    /// Every topic that some view folds.
    pub fn topics(&self) -> BTreeSet<String> {
        self.views.iter().flat_map(|view| view.topics.iter().cloned()).collect()
    }

    /// What a page shows, by the names that it has in JSON.
    pub fn columns(&self, page: &Page) -> Columns<'_> {
        let of = |view: usize| {
            let view = &self.views[view];
            view.shown.iter().map(|&at| view.columns[at].as_str()).collect()
        };
        Columns { head: page.head.map_or_else(Vec::new, of), row: of(page.view) }
    }

    /// A page as it is laid out, with one row in its list, for a description of what is written. What is in its
    /// columns says nothing.
    pub fn example(&self, page: &Page) -> serde_json::Value {
        let row = Row::new(&self.views[page.view], &Key::Int(0));
        let parts = Parts { owner: "", version: 0, sequence: 0, head: None, rows: vec![row] };
        page::assemble(page, &self.views, "feed", &parts).json
    }

    /// Every page, by name.
    pub fn pages(&self) -> impl Iterator<Item = &Page> {
        self.pages.iter()
    }
}
