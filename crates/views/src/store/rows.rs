//! Rows by key: loaded, inserted, changed; and the one statement that changes all rows of a join.

use std::fmt::Write;
use std::sync::Arc;

use events::store::{Bind, Row as Found, Rows};

use super::values::Parameter;
use crate::row::{Row, State};
use crate::value::{Key, Value};
use crate::view::{ColumnValue, Join, View};

/// One view's statements.
pub(crate) struct Statements {
    /// The table's name, quoted.
    pub(super) table: String,
    /// Every column, in the order rows are read.
    pub(super) columns: String,
    select: String,
    insert: String,
    compared: Comparison,
}

/// How an engine says that a column has the value of a number, and that it has another: as values are
/// compared in the program, where 1 and 1.0 are two and nothing equals nothing.
#[derive(Clone, Copy)]
pub(super) struct Comparison {
    pub(super) same: fn(&str, usize) -> String,
    pub(super) differs: fn(&str, usize) -> String,
}

/// A view beside its statements: the rows of one view.
#[derive(Clone, Copy)]
pub(crate) struct ViewTable<'d> {
    pub(crate) view: &'d View,
    pub(crate) statements: &'d Statements,
}

impl Statements {
    pub(super) fn new(view: &View, compared: Comparison) -> Statements {
        let table = format!("\"view_{}\"", view.name);
        let quoted: Vec<String> = view.names().map(|column| format!("\"{column}\"")).collect();
        let columns = format!("{}, _created, _set, _deleted_by", quoted.join(", "));
        let key = &quoted[view.key];
        let places: Vec<String> = (1..=view.columns.len() + 4).map(|at| format!("?{at}")).collect();
        let places = places.join(", ");
        Statements {
            select: format!("SELECT {columns} FROM {table} WHERE {key} = ?1"),
            insert: format!("INSERT INTO {table} ({columns}, _owner) VALUES ({places})"),
            table,
            columns,
            compared,
        }
    }
}

impl ViewTable<'_> {
    pub(crate) async fn load(
        self,
        rows: &mut Rows<'_>,
        key: &Key,
    ) -> Result<Option<Row>, events::Error> {
        let key = Parameter::of(rows, key);
        rows.find(&self.statements.select, &[&key], |row| read(self.view, row)).await
    }

    pub(crate) async fn insert(self, rows: &mut Rows<'_>, row: &Row) -> Result<(), events::Error> {
        let owner = row.owner(self.view);
        let owner = owner.as_ref().map(|owner| Parameter::of(rows, owner));
        let StateColumns { created, set, deleted_by } = StateColumns::of(row);
        let parameters: Vec<Parameter<'_>> =
            row.values.iter().map(|value| Parameter::of(rows, value)).collect();
        let rest: [&dyn Bind; 4] = [&created, &set, &deleted_by, &owner];
        let values: Vec<&dyn Bind> =
            parameters.iter().map(|parameter| parameter as &dyn Bind).chain(rest).collect();
        rows.execute(&self.statements.insert, &values).await?;
        Ok(())
    }

    /// Writes the columns that differ and no others, so that only their indexes are touched.
    pub(crate) async fn update(
        self,
        rows: &mut Rows<'_>,
        before: &Row,
        now: &Row,
    ) -> Result<(), events::Error> {
        let ViewTable { view, statements } = self;
        let mut statement = format!("UPDATE {} SET ", statements.table);
        let differ = |at: &usize| now.values[*at] != before.values[*at];
        let changed: Vec<usize> = (0..now.values.len()).filter(differ).collect();
        let parameters: Vec<Parameter<'_>> =
            changed.iter().map(|&at| Parameter::of(rows, &now.values[at])).collect();
        let mut values: Vec<&dyn Bind> = Vec::with_capacity(parameters.len() + 5);
        for (&at, parameter) in changed.iter().zip(&parameters) {
            push(&mut statement, &mut values, &view.columns[at], parameter);
        }
        let (owner, owner_before) = (now.owner(view), before.owner(view));
        let owner_parameter = owner.as_ref().map(|owner| Parameter::of(rows, owner));
        if owner != owner_before {
            push(&mut statement, &mut values, "_owner", &owner_parameter);
        }
        let StateColumns { created, set, deleted_by } = StateColumns::of(now);
        if before.state != now.state {
            push(&mut statement, &mut values, "_created", &created);
            push(&mut statement, &mut values, "_deleted_by", &deleted_by);
        }
        if before.set != now.set {
            push(&mut statement, &mut values, "_set", &set);
        }
        let key_parameter = Parameter::of(rows, &now.values[view.key]);
        values.push(&key_parameter);
        let key = &view.columns[view.key];
        write!(statement, " WHERE \"{key}\" = ?{}", values.len()).expect("a string takes it");
        rows.execute(&statement, &values).await?;
        Ok(())
    }

    /// Sets a join's columns on every row that matches and has others; each is given to `seen` as it
    /// is then.
    pub(crate) async fn spread(
        self,
        rows: &mut Rows<'_>,
        join: &Join,
        matches: &[Value],
        sets: &[ColumnValue<Value>],
        mut seen: impl FnMut(Row) + Send,
    ) -> Result<(), events::Error> {
        let columns: Vec<usize> = sets.iter().map(|set| set.column).collect();
        let statement = self.spread_statement(join, &columns);
        // In the statement's order: what is set, then what must match.
        let values = sets.iter().map(|set| &set.value).chain(matches);
        let parameters: Vec<Parameter<'_>> =
            values.map(|value| Parameter::of(rows, value)).collect();
        let values: Vec<&dyn Bind> =
            parameters.iter().map(|parameter| parameter as &dyn Bind).collect();
        let show = |row: &Found<'_>| {
            seen(read(self.view, row)?);
            Ok::<_, events::Error>(())
        };
        rows.each(&statement, &values, show).await
    }

    /// Values are numbered: those that are set from 1, then those that must match.
    pub(super) fn spread_statement(self, join: &Join, sets: &[usize]) -> String {
        let ViewTable { view, statements } = self;
        let Comparison { same, differs } = statements.compared;
        let list =
            |columns: &[usize], first: usize, one: fn(&str, usize) -> String, between: &str| {
                let numbered = columns.iter().zip(first..);
                let all = numbered.map(|(&at, number)| one(&view.columns[at], number));
                all.collect::<Vec<String>>().join(between)
            };
        format!(
            "UPDATE {} SET {} WHERE {} AND _deleted_by IS NULL AND ({}) RETURNING {}",
            statements.table,
            list(sets, 1, |name, number| format!("\"{name}\" = ?{number}"), ", "),
            list(&join.on, sets.len() + 1, same, " AND "),
            list(sets, 1, differs, " OR "),
            statements.columns,
        )
    }
}

/// A row in [`Statements::columns`]' order.
pub(super) fn read(view: &View, row: &Found<'_>) -> Result<Row, events::Error> {
    let width = view.columns.len();
    let values = (0..width).map(|at| row.get(at)).collect::<Result<_, _>>()?;
    let deleted_by: Option<String> = row.get(width + 2)?;
    let state = match (row.get(width)?, deleted_by) {
        (true, _) => State::Visible,
        (false, None) => State::Waiting,
        (false, Some(by)) => State::Gone(Arc::from(by)),
    };
    let set: i64 = row.get(width + 1)?;
    Ok(Row { values, set: set.cast_unsigned(), state })
}

/// What a row is beside its values: `_created`, `_set` and `_deleted_by`.
struct StateColumns<'r> {
    created: bool,
    set: i64,
    deleted_by: Option<&'r str>,
}

impl StateColumns<'_> {
    fn of(row: &Row) -> StateColumns<'_> {
        let deleted_by = match &row.state {
            State::Gone(by) => Some(&**by),
            State::Waiting | State::Visible => None,
        };
        StateColumns { created: row.is_visible(), set: row.set.cast_signed(), deleted_by }
    }
}

fn push<'v>(
    statement: &mut String,
    values: &mut Vec<&'v dyn Bind>,
    column: &str,
    value: &'v dyn Bind,
) {
    let comma = if values.is_empty() { "" } else { ", " };
    values.push(value);
    let number = values.len();
    write!(statement, "{comma}\"{column}\" = ?{number}").expect("a string takes every character");
}
