//! Rules, compiled: what an event of each type does to the rows of each view.
//!
//! What a rule may not do was refused when it was compiled; what is here can be applied.

use crate::expression::{Expression, Wanted};

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
