//! Rules, compiled: what an event of each type does to the rows of each view.
//!
//! What a rule may not do was refused when it was compiled; what is here can be applied.

use crate::expression::Expression;
use crate::expression::fields::Wanted;
use crate::view::ColumnValue;

/// What one event type does, in all views.
#[derive(Default)]
pub(crate) struct EventRules {
    pub(crate) wanted: Wanted,
    pub(crate) rules: Vec<Rule>,
}

/// What one event type does in one view.
pub(crate) struct Rule {
    pub(crate) view: usize,
    pub(crate) action: Action,
}

/// What an event does to the rows of one view.
pub(crate) enum Action {
    /// Shows the row of that key.
    Create { key: Expression, sets: Vec<ColumnValue<Expression>> },
    /// Sets columns of the row of that key.
    Update { key: Expression, sets: Vec<ColumnValue<Expression>> },
    /// Takes the row of that key away.
    Delete { key: Expression },
    /// Sets columns of all rows whose columns match, in the join's order.
    Join { join: usize, matches: Vec<Expression>, sets: Vec<ColumnValue<Expression>> },
}
