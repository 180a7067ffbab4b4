//! A page, checked, and a page as data: an owner's rows under their head, with the version and
//! position it was read at.
//!
//! The JSON is what interface and template both see, so that the two cannot differ.

use std::collections::BTreeSet;

use events::FeedPosition;
use serde_json::{Map, Value};

use crate::error::Error;
use crate::owner::Owners;
use crate::row::{self, Row};
use crate::view::{SortOrder, View};

/// Rows one slice holds at most.
pub const PAGE_SIZE_MAX: usize = 100;

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
    pub(crate) order: SortOrder,
}

/// Which rows of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    /// From 0.
    pub page: usize,
    /// Rows on each, 1 to [`PAGE_SIZE_MAX`].
    pub size: usize,
}

/// How a list is sorted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SortBy {
    /// The column.
    pub column: String,
    /// Largest first.
    pub descending: bool,
}

/// A page, read in one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct PageJson {
    /// What is shown: the owner, the head's columns, `version`, `position` and the list.
    pub json: Value,
    /// Counts the owner's changes.
    pub version: u64,
    /// Where live updates go on from.
    pub position: FeedPosition,
}

/// A slice of a list, and how long the list is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed<R = Value> {
    /// Those of the slice, in order.
    pub rows: Vec<R>,
    /// Rows there are in all.
    pub total: u64,
}

/// Which rows of a list, in what order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SortedSlice {
    pub(crate) slice: Slice,
    pub(crate) order: SortOrder,
}

impl Slice {
    /// The first `size` rows.
    pub fn first(size: usize) -> Slice {
        Slice { page: 0, size }
    }

    /// # Errors
    /// [`Error::Limit`] past [`PAGE_SIZE_MAX`].
    pub(crate) fn checked(self) -> Result<Slice, Error> {
        if self.size <= PAGE_SIZE_MAX {
            return Ok(self);
        }
        let (value, limit) = (self.size as u64, PAGE_SIZE_MAX as u64);
        Err(Error::Limit { field: "size", value, limit })
    }

    /// Rows before the slice; a place past any list if it cannot be counted.
    pub(crate) fn offset(self) -> i64 {
        i64::try_from(self.page.saturating_mul(self.size)).unwrap_or(i64::MAX)
    }
}

impl<R> Listed<R> {
    /// A list without rows.
    pub(crate) fn none() -> Listed<R> {
        Listed { rows: Vec::new(), total: 0 }
    }
}

impl Listed<Row> {
    /// As readers see it.
    pub(crate) fn show(&self, view: &View) -> Listed {
        let rows = self.rows.iter().map(|row| Value::Object(row.show(view))).collect();
        Listed { rows, total: self.total }
    }
}

/// What a page is made of, read in one moment.
pub(crate) struct Parts<'p> {
    pub(crate) owner: &'p str,
    pub(crate) version: u64,
    /// The newest change that is in it, as the feed counts.
    pub(crate) sequence: u64,
    pub(crate) head: Option<Row>,
    pub(crate) rows: Vec<Row>,
}

/// Lays a page out as JSON; `feed` is the feed's name.
pub(crate) fn assemble(page: &Page, views: &[View], feed: &str, parts: &Parts<'_>) -> PageJson {
    let position = FeedPosition { feed: feed.to_owned(), sequence: parts.sequence };
    let mut json = Map::new();
    json.insert(page.owner.clone(), parts.owner.into());
    if let Some(head) = page.head {
        json.extend(row::show_head(&views[head], parts.head.as_ref()));
    }
    json.insert("version".to_owned(), parts.version.into());
    json.insert("position".to_owned(), position.to_string().into());
    let rows = parts.rows.iter().map(|row| Value::Object(row.show(&views[page.view])));
    json.insert(page.list.clone(), rows.collect());
    PageJson { json: Value::Object(json), version: parts.version, position }
}

/// The page of an owner nothing is known of.
pub(crate) fn empty(page: &Page, views: &[View]) -> PageJson {
    let parts = Parts { owner: "", version: 0, sequence: 0, head: None, rows: Vec::new() };
    assemble(page, views, "none", &parts)
}
