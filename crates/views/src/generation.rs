//! One generation of definitions, and how its rows are stored: what changes together when views are
//! defined anew, and never in part.
//!
//! Places (of views, of pages, of columns) mean something within one generation alone. What outlives
//! it is in [`ReadSide`](crate::read_side::ReadSide).

use std::collections::HashMap;

use crate::definition::Definitions;
use crate::page::Page;
use crate::render::Templates;
use crate::rule::EventRules;
use crate::stale::Stale;
use crate::store::rows::{Statements, ViewTable};
use crate::view::View;

pub(crate) struct Generation {
    pub(crate) views: Vec<View>,
    pub(crate) pages: Vec<Page>,
    pub(crate) rules: HashMap<String, EventRules>,
    pub(crate) templates: Templates,
    /// Of each view.
    pub(crate) statements: Vec<Statements>,
    /// Since when each page has not followed its events.
    pub(crate) stale: Stale,
    /// The feed's name: a change's place names its page by the page's.
    pub(crate) feed_id: String,
}

impl Generation {
    pub(crate) fn new(
        definitions: Definitions,
        statements: Vec<Statements>,
        feed_id: String,
    ) -> Generation {
        let Definitions { views, pages, rules, templates, text: _ } = definitions;
        let stale = Stale::new(pages.len());
        Generation { views, pages, rules, templates, statements, stale, feed_id }
    }

    /// The rows of a view, by its place.
    pub(crate) fn stored(&self, view: usize) -> ViewTable<'_> {
        ViewTable { view: &self.views[view], statements: &self.statements[view] }
    }
}
