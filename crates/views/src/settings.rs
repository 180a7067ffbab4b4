//! Views and pages as they are written in `yeoul.yaml`: plain data, checked by
//! [`Definitions::compile`](crate::Definitions::compile).
//!
//! Maps by name everywhere, so that settings laid over others change one rule and leave its
//! neighbours.

mod readings;

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize};

use crate::owner::Owners;

pub use readings::Reading;

/// The read side of one program.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Tables that events are folded into, by name.
    #[serde(default)]
    pub views: BTreeMap<String, View>,
    /// Pages made of them, by name.
    #[serde(default)]
    pub pages: BTreeMap<String, Page>,
}

/// One view: which events make which rows.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct View {
    /// The topics whose events it folds.
    pub topics: Vec<String>,
    /// The column that tells rows apart.
    pub key: String,
    /// The column that says whose row it is.
    pub owner: String,
    /// What to do, by event type.
    pub on: BTreeMap<String, Rule>,
    /// Columns worked out from the row's own columns after every change.
    #[serde(default)]
    pub computed: BTreeMap<String, Formula>,
    /// Columns that are kept and not shown.
    #[serde(default)]
    pub hidden: Vec<String>,
    /// Columns that add up another view's rows.
    #[serde(default)]
    pub sums: BTreeMap<String, Sum>,
}

/// What one event does to a view: exactly one of `create`, `update` and `delete`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Shows a row, filling the columns nothing has set yet.
    #[serde(default)]
    pub create: Option<BTreeMap<String, Formula>>,
    /// Sets columns of the rows that `where` names.
    #[serde(default)]
    pub update: Option<BTreeMap<String, Formula>>,
    /// Takes the row that `where` names away.
    #[serde(default)]
    pub delete: bool,
    /// Column equals value, all of them. Naming the key reaches a row not yet created too; other
    /// columns join: what was set is remembered for rows that come later.
    #[serde(default)]
    pub r#where: BTreeMap<String, Formula>,
}

/// A sum over another view's shown rows.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Sum {
    /// `view.column`.
    pub of: String,
    /// The other view's column, and this view's key it must equal.
    pub r#where: BTreeMap<String, String>,
}

/// One page: an owner's rows of one view under a head from another.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Page {
    /// Where it is read, with one parameter that is the owner: `/mypages/{customerId}`.
    pub path: String,
    /// Where the app shows the signed-in user's own.
    #[serde(default)]
    pub own: Option<String>,
    /// Whose rows it lists.
    pub view: String,
    /// The view's owner column.
    pub by: String,
    /// The view whose one row of this owner stands above the list.
    #[serde(default)]
    pub head: Option<String>,
    /// `COLUMN` or `COLUMN desc`; the key, ascending, if absent.
    #[serde(default)]
    pub order: Option<String>,
    /// Rows shown without a question for more or less, at most
    /// [`PAGE_SIZE_MAX`](crate::PAGE_SIZE_MAX).
    #[serde(default = "usual_size")]
    pub size: usize,
    /// The HTML template's name.
    pub template: String,
    /// Whether only its owner may read it.
    #[serde(default = "yes")]
    pub private: bool,
    /// Whether its owners are `text` or whole numbers (`number`): a path says `7` for both. A private
    /// page's are text if absent, a public one's `either`, text first.
    #[serde(default)]
    pub owners: Option<Owners>,
    /// What the list is called in JSON; the view's name if absent.
    #[serde(default)]
    pub list: Option<String>,
    /// What live updates are called; none without it.
    #[serde(default)]
    pub live: Option<Live>,
}

/// The names of live updates.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Live {
    /// A changed row of the list.
    #[serde(default)]
    pub row: Option<String>,
    /// A changed head.
    #[serde(default)]
    pub head: Option<String>,
}

/// The right-hand side of a rule: a path, a literal or an expression, as text.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Formula(pub String);

impl From<&str> for Formula {
    fn from(text: &str) -> Formula {
        Formula(text.to_owned())
    }
}

/// A bare number or truth value in YAML is the literal it looks like.
impl<'de> Deserialize<'de> for Formula {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Formula, D::Error> {
        deserializer.deserialize_any(FormulaVisitor)
    }
}

struct FormulaVisitor;

impl Visitor<'_> for FormulaVisitor {
    type Value = Formula;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a path, a literal or an expression")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Formula, E> {
        Ok(text.into())
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Formula, E> {
        Ok(Formula(value.to_string()))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Formula, E> {
        Ok(Formula(value.to_string()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Formula, E> {
        Ok(Formula(value.to_string()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Formula, E> {
        Ok(Formula(format!("{value:?}")))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Formula, E> {
        Ok("none".into())
    }
}

fn usual_size() -> usize {
    20
}

fn yes() -> bool {
    true
}
