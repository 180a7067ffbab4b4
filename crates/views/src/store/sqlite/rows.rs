//! Rows by key: loaded, inserted, changed; and the one statement that changes all rows of a join.

use std::fmt::Write;
use std::sync::Arc;

use rusqlite::types::ToSql;
use rusqlite::{OptionalExtension, params_from_iter};

use super::{Tables, execute};
use crate::row::{Row, State};
use crate::value::{Key, Value};
use crate::view::{Assignment, Join, View};

/// One view's statements.
pub(crate) struct Statements {
    /// The table's name, quoted.
    pub(super) table: String,
    /// Every column, in the order rows are read.
    pub(super) columns: String,
    select: String,
    insert: String,
}

/// A view beside its statements: the rows of one view.
#[derive(Clone, Copy)]
pub(crate) struct Stored<'d> {
    pub(crate) view: &'d View,
    pub(crate) statements: &'d Statements,
}

impl Statements {
    pub(super) fn new(view: &View) -> Statements {
        let table = format!("\"view_{}\"", view.name);
        let quoted: Vec<String> = view.names().map(|column| format!("\"{column}\"")).collect();
        let columns = format!("{}, _created, _set, _deleted_by", quoted.join(", "));
        let key = &quoted[view.key];
        let places = vec!["?"; view.columns.len() + 4].join(", ");
        Statements {
            select: format!("SELECT {columns} FROM {table} WHERE {key} = ?1"),
            insert: format!("INSERT INTO {table} ({columns}, _owner) VALUES ({places})"),
            table,
            columns,
        }
    }
}

impl Stored<'_> {
    pub(crate) fn load(self, sql: Tables<'_>, key: &Key) -> Result<Option<Row>, events::Error> {
        let mut select = sql.prepare_cached(&self.statements.select)?;
        Ok(select.query_row([key], |row| from_sql(self.view, row)).optional()?)
    }

    pub(crate) fn insert(self, sql: Tables<'_>, row: &Row) -> Result<(), events::Error> {
        let owner = row.owner(self.view);
        let StateColumns { created, set, deleted_by } = StateColumns::of(row);
        let rest: [&dyn ToSql; 4] = [&created, &set, &deleted_by, &owner];
        let values = row.values.iter().map(|value| value as &dyn ToSql).chain(rest);
        execute(sql, &self.statements.insert, params_from_iter(values))?;
        Ok(())
    }

    /// Writes the columns that differ and no others, so that only their indexes are touched.
    pub(crate) fn update(
        self,
        sql: Tables<'_>,
        before: &Row,
        now: &Row,
    ) -> Result<(), events::Error> {
        let Stored { view, statements } = self;
        let mut statement = format!("UPDATE {} SET ", statements.table);
        let mut values: Vec<&dyn ToSql> = Vec::with_capacity(now.values.len() + 5);
        for (at, value) in now.values.iter().enumerate() {
            if *value != before.values[at] {
                push(&mut statement, &mut values, &view.columns[at], value);
            }
        }
        let (owner, owner_before) = (now.owner(view), before.owner(view));
        if owner != owner_before {
            push(&mut statement, &mut values, "_owner", &owner);
        }
        let StateColumns { created, set, deleted_by } = StateColumns::of(now);
        if before.state != now.state {
            push(&mut statement, &mut values, "_created", &created);
            push(&mut statement, &mut values, "_deleted_by", &deleted_by);
        }
        if before.set != now.set {
            push(&mut statement, &mut values, "_set", &set);
        }
        write!(statement, " WHERE \"{}\" = ?", view.columns[view.key]).expect("a string takes it");
        values.push(&now.values[view.key]);
        execute(sql, &statement, values.as_slice())?;
        Ok(())
    }

    /// Sets a join's columns on every row that matches and has others; each is given to `seen` as it
    /// is then.
    pub(crate) fn spread(
        self,
        sql: Tables<'_>,
        join: &Join,
        matches: &[Value],
        sets: &[Assignment<Value>],
        mut seen: impl FnMut(Row),
    ) -> Result<(), events::Error> {
        let columns: Vec<usize> = sets.iter().map(|set| set.column).collect();
        let statement = self.spread_statement(join, &columns);
        // In the statement's order: SET, then what must match, then what must differ.
        let set = || sets.iter().map(|set| &set.value);
        let values = set().chain(twice(matches)).chain(twice(set()));
        let mut statement = sql.prepare_cached(&statement)?;
        let mut rows = statement.query(params_from_iter(values))?;
        while let Some(row) = rows.next()? {
            seen(from_sql(self.view, row)?);
        }
        Ok(())
    }

    pub(super) fn spread_statement(self, join: &Join, sets: &[usize]) -> String {
        let Stored { view, statements } = self;
        let list = |columns: &[usize], one: fn(&str) -> String, between: &str| {
            let all = columns.iter().map(|&at| one(&view.columns[at]));
            all.collect::<Vec<String>>().join(between)
        };
        // The engine takes 1 and 1.0 for equal; rows in hand, whose values are compared here, do not.
        format!(
            "UPDATE {} SET {} WHERE {} AND _deleted_by IS NULL AND ({}) RETURNING {}",
            statements.table,
            list(sets, |name| format!("\"{name}\" = ?"), ", "),
            list(
                &join.on,
                |name| format!("\"{name}\" = ? AND typeof(\"{name}\") = typeof(?)"),
                " AND "
            ),
            list(
                sets,
                |name| format!("\"{name}\" IS NOT ? OR typeof(\"{name}\") <> typeof(?)"),
                " OR "
            ),
            statements.columns,
        )
    }
}

/// Each value two times: to be compared, and for its type.
fn twice<'v>(values: impl IntoIterator<Item = &'v Value>) -> impl Iterator<Item = &'v Value> {
    values.into_iter().flat_map(|value| [value, value])
}

/// A row read in [`Statements::columns`]' order.
pub(super) fn from_sql(view: &View, row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    let width = view.columns.len();
    let values = (0..width).map(|at| row.get(at)).collect::<rusqlite::Result<_>>()?;
    let deleted_by: Option<Arc<str>> = row.get(width + 2)?;
    let state = match (row.get(width)?, deleted_by) {
        (true, _) => State::Visible,
        (false, None) => State::Waiting,
        (false, Some(by)) => State::Gone(by),
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
    values: &mut Vec<&'v dyn ToSql>,
    column: &str,
    value: &'v dyn ToSql,
) {
    let comma = if values.is_empty() { "" } else { ", " };
    write!(statement, "{comma}\"{column}\" = ?").expect("a string takes every character");
    values.push(value);
}
