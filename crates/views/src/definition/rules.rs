//! The rules of one view: what each event type creates, updates, deletes or joins.

use std::collections::{BTreeMap, HashMap};

use mistakes::Mistakes;

use super::names::find;
use crate::expression::Expression;
use crate::expression::fields::Wanted;
use crate::rule::{Action, EventRules, Rule};
use crate::settings::{self, Formula};
use crate::view::{ColumnValue, Join, View};

type Formulas = BTreeMap<String, Formula>;

pub(super) fn compile(
    index: usize,
    view: &mut View,
    settings: &settings::View,
    rules: &mut HashMap<String, EventRules>,
    mistakes: &mut Mistakes,
) {
    mistakes.under("on", |mistakes| {
        for (name, rule) in &settings.on {
            // One event type may have a rule in each view; what any of them reads of it is decoded once.
            let of_type = rules.entry(name.clone()).or_default();
            let action = mistakes.under(name, |it| action(view, rule, &mut of_type.wanted, it));
            of_type.rules.extend(action.map(|action| Rule { view: index, action }));
        }
    });
    // After all rules, because a column's join may stand behind the update in the file: with both, the order
    // of two events would decide what the column holds.
    let by_key = settings.on.values().filter(|rule| rule.r#where.contains_key(&settings.key));
    for column in by_key.filter_map(|rule| rule.update.as_ref()).flat_map(Formulas::keys) {
        if view.column(column).is_some_and(|at| view.is_joined(at)) {
            mistakes.note(format!("updated by key and by a join too. column=`{column}`"));
        }
    }
}

fn action(
    view: &mut View,
    rule: &settings::Rule,
    wanted: &mut Wanted,
    mistakes: &mut Mistakes,
) -> Option<Action> {
    match (&rule.create, &rule.update, rule.delete) {
        (Some(columns), None, false) => create(view, rule, columns, wanted, mistakes),
        (None, Some(columns), false) => update(view, rule, columns, wanted, mistakes),
        (None, None, true) => delete(view, rule, wanted, mistakes),
        _ => {
            mistakes.note("a rule has exactly one of create, update and delete");
            None
        }
    }
}

fn create(
    view: &View,
    rule: &settings::Rule,
    columns: &Formulas,
    wanted: &mut Wanted,
    mistakes: &mut Mistakes,
) -> Option<Action> {
    if !rule.r#where.is_empty() {
        mistakes.under("where", |it| it.note("a create has no where: it sets the key"));
    }
    let mut sets = mistakes.under("create", |it| sets(view, columns, wanted, it));
    // A formula of the key that could not be compiled has said so itself.
    let Some(at) = sets.iter().position(|set| set.column == view.key) else {
        let key = &view.columns[view.key];
        if !columns.contains_key(key) {
            mistakes.under("create", |it| it.note(format!("the key is not set. key=`{key}`")));
        }
        return None;
    };
    let key = sets.swap_remove(at).value;
    Some(Action::Create { key, sets })
}

fn update(
    view: &mut View,
    rule: &settings::Rule,
    columns: &Formulas,
    wanted: &mut Wanted,
    mistakes: &mut Mistakes,
) -> Option<Action> {
    let key = view.columns[view.key].clone();
    if columns.contains_key(&key) {
        mistakes.under("update", |it| it.note(format!("the key does not change. key=`{key}`")));
    }
    let sets = mistakes.under("update", |it| sets(view, columns, wanted, it));
    if rule.r#where.contains_key(&key) {
        let key = by_key(view, rule, wanted, mistakes)?;
        return Some(Action::Update { key, sets });
    }
    join(view, rule, sets, wanted, mistakes)
}

fn delete(
    view: &View,
    rule: &settings::Rule,
    wanted: &mut Wanted,
    mistakes: &mut Mistakes,
) -> Option<Action> {
    Some(Action::Delete { key: by_key(view, rule, wanted, mistakes)? })
}

/// The one condition of a rule that names a row.
fn by_key(
    view: &View,
    rule: &settings::Rule,
    wanted: &mut Wanted,
    mistakes: &mut Mistakes,
) -> Option<Expression> {
    let key = &view.columns[view.key];
    mistakes.under("where", |mistakes| match rule.r#where.get(key) {
        Some(formula) if rule.r#where.len() == 1 => {
            mistakes.under(key, |it| it.take(Expression::compile(&formula.0, wanted)))
        }
        Some(_) => {
            mistakes.note(format!("the key alone says which row. key=`{key}`"));
            None
        }
        None => {
            mistakes.note(format!("the row is named by its key. key=`{key}`"));
            None
        }
    })
}

fn join(
    view: &mut View,
    rule: &settings::Rule,
    sets: Vec<ColumnValue<Expression>>,
    wanted: &mut Wanted,
    mistakes: &mut Mistakes,
) -> Option<Action> {
    if rule.r#where.is_empty() {
        mistakes.under("where", |it| it.note("an update says which rows"));
        return None;
    }
    let conditions = mistakes.under("where", |it| self::sets(view, &rule.r#where, wanted, it));
    let on: Vec<usize> = conditions.iter().map(|condition| condition.column).collect();
    let matches = conditions.into_iter().map(|condition| condition.value).collect();
    // Rules on the same columns are one join: they share its index and what it remembers.
    let known = view.joins.iter().position(|join| join.on == on);
    let join = known.unwrap_or_else(|| {
        view.joins.push(Join { on, sets: Vec::new() });
        view.joins.len() - 1
    });
    for ColumnValue { column, .. } in &sets {
        if !view.joins[join].sets.contains(column) {
            view.joins[join].sets.push(*column);
        }
    }
    Some(Action::Join { join, matches, sets })
}

/// Columns and what they are compared with or set to.
fn sets(
    view: &View,
    columns: &Formulas,
    wanted: &mut Wanted,
    mistakes: &mut Mistakes,
) -> Vec<ColumnValue<Expression>> {
    if columns.is_empty() {
        mistakes.note("no column is named");
    }
    let mut one = |column: &String, formula: &Formula| {
        mistakes.under(column, |mistakes| {
            let column = find(column, &view.columns[..view.settable], mistakes);
            let compiled = mistakes.take(Expression::compile(&formula.0, wanted));
            compiled.map(|value| ColumnValue { column, value })
        })
    };
    columns.iter().filter_map(|(column, formula)| one(column, formula)).collect()
}
