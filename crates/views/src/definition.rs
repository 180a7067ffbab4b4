//! Views and pages, checked and compiled: columns have places, rules have expressions, and what a
//! rule may not do was refused with the path of the mistake.
//!
//! Two restrictions buy that the cost of an event does not grow with the rows there are: a column
//! set by a join feeds nothing that is worked out (owner, sums, computed columns, other joins), and
//! a list is sorted by one column that has an index.
//!
//! It does not fold or read: see [`fold`](crate::fold) and [`store`](crate::store).

mod compile;
mod pages;
mod rules;
mod view;

use std::collections::{BTreeSet, HashMap};

use crate::expression::{Expression, Wanted};
use crate::mistake::Mistake;
use crate::owner::Owners;
use crate::render::Templates;
use crate::settings::Settings;

pub(crate) use view::{Feeds, Join, Shows, View};

/// Columns a view may have that rules set.
pub const COLUMNS_MAX: usize = 63;

/// Views and pages, checked: what [`Views::open`](crate::Views::open) is given.
pub struct Definitions {
    pub(crate) views: Vec<View>,
    pub(crate) pages: Vec<Page>,
    pub(crate) kinds: HashMap<String, Kind>,
    pub(crate) templates: Templates,
    /// What rows depend on, as text: rows folded under another text are folded again.
    pub(crate) text: String,
}

/// A page, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// Its name in the settings.
    pub name: String,
    /// Where it is read, the owner as its one parameter.
    pub path: String,
    /// The parameter's name, which is the owner's in JSON.
    pub owner: String,
    /// Where the app shows the signed-in user's own.
    pub own: Option<String>,
    /// Whether only its owner may read it.
    pub private: bool,
    /// Rows shown without a question for more or less.
    pub size: usize,
    /// What the list is called in JSON.
    pub list: String,
    /// What its owners are.
    pub owners: Owners,
    /// The topics that what it shows is folded from.
    pub(crate) topics: BTreeSet<String>,
    pub(crate) index: usize,
    pub(crate) template: String,
    pub(crate) view: usize,
    pub(crate) head: Option<usize>,
    /// The column the list is sorted by, and whether largest first.
    pub(crate) order: (usize, bool),
}

/// What one event type does, in all views.
#[derive(Default)]
pub(crate) struct Kind {
    pub(crate) wanted: Wanted,
    pub(crate) rules: Vec<Rule>,
}

/// What one event type does in one view.
pub(crate) struct Rule {
    pub(crate) view: usize,
    pub(crate) action: Action,
}

pub(crate) enum Action {
    Create { key: Expression, sets: Vec<(usize, Expression)> },
    Update { key: Expression, sets: Vec<(usize, Expression)> },
    Delete { key: Expression },
    Join { join: usize, matches: Vec<Expression>, sets: Vec<(usize, Expression)> },
}

impl Definitions {
    /// Checks settings; `templates` gives a template's text by its name.
    ///
    /// # Errors
    /// Every mistake there is, each with its path and, for a name, the nearest valid one.
    pub fn compile(
        settings: &Settings,
        templates: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Definitions, Vec<Mistake>> {
        compile::compile(settings, templates)
    }

    /// Every topic that some view folds.
    pub fn topics(&self) -> BTreeSet<String> {
        self.views.iter().flat_map(|view| view.topics.iter().cloned()).collect()
    }

    /// Every page, by name.
    pub fn pages(&self) -> impl Iterator<Item = &Page> {
        self.pages.iter()
    }
}
