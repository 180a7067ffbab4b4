//! Right-hand sides, compiled: a path or a literal is looked up directly, all else is an expression
//! of the template engine, so that rules and pages speak one language.
//!
//! What a rule reads is known before an event comes: of an event's data only the named members are
//! decoded, and a computed column runs only after a change of a column it reads.
//!
//! Pure: no clock, no store; the event's time is its own.

pub(crate) mod fields;
mod scope;

use std::sync::{Arc, LazyLock};

use minijinja::Environment;

use crate::value::Value;

use fields::{Fields, Wanted};
use scope::Scope;

/// Expressions need no settings of their own, so that one engine serves all and outlives them.
static ENGINE: LazyLock<Environment<'static>> = LazyLock::new(Environment::new);

/// Names an event's rule may start a path with.
const EVENT_ROOTS: [&str; 2] = ["event", "time"];

/// A right-hand side of an event's rule.
pub(crate) enum Expression {
    Literal(Value),
    Time,
    Field(usize),
    Formula(Formula),
}

/// What only the engine can work out.
pub(crate) struct Formula {
    compiled: minijinja::Expression<'static, 'static>,
    /// Event members it reads, as `Wanted` counts them.
    fields: Vec<usize>,
    time: bool,
}

/// A computed column.
pub(crate) struct Computed {
    compiled: minijinja::Expression<'static, 'static>,
    names: Arc<[String]>,
    /// Columns it reads, in the order of `names`.
    pub(crate) columns: Vec<usize>,
}

impl Expression {
    /// Compiles a rule's right-hand side; what it reads of the event is added to `wanted`.
    pub(crate) fn compile(text: &str, wanted: &mut Wanted) -> Result<Expression, String> {
        let text = text.trim();
        // The three shapes that nearly every rule has come first, without the engine: a look-up instead of a run for each event.
        if let Some(literal) = literal(text) {
            return Ok(Expression::Literal(literal));
        }
        if text == "time" {
            return Ok(Expression::Time);
        }
        if let Some(path) = path(text) {
            return Ok(Expression::Field(wanted.index(path)));
        }
        let compiled = engine_compile(text)?;
        let mut formula = Formula { compiled, fields: Vec::new(), time: false };
        for name in formula.compiled.undeclared_variables(true) {
            match name.split_once('.') {
                // Only the first step is asked for; the engine goes on below it by itself.
                Some(("event", member)) => formula.fields.push(wanted.index(first(member))),
                None if name == "time" => formula.time = true,
                _ if name == "event" => {
                    return Err("a rule reads named members of the event: `event.NAME`".to_owned());
                }
                _ => return Err(mistakes::unknown("name", first(&name), EVENT_ROOTS)),
            }
        }
        Ok(Expression::Formula(formula))
    }

    /// The value for one event.
    pub(crate) fn eval(&self, fields: &Fields<'_>) -> Result<Value, String> {
        match self {
            Expression::Literal(value) => Ok(value.clone()),
            Expression::Time => Ok(fields.time()),
            Expression::Field(index) => fields.value(*index),
            Expression::Formula(formula) => formula.eval(fields),
        }
    }
}

/// The members of an event's data that a rule's right-hand side reads, dotted; of one that is none, nothing.
pub(crate) fn fields_of(text: &str) -> Vec<String> {
    let text = text.trim();
    if literal(text).is_some() {
        return Vec::new();
    }
    if let Some(path) = path(text) {
        return vec![path.to_owned()];
    }
    let names = engine_compile(text).map(|it| it.undeclared_variables(true)).unwrap_or_default();
    let members = names.iter().filter_map(|name| name.strip_prefix("event."));
    members.map(str::to_owned).collect()
}

impl Formula {
    fn eval(&self, fields: &Fields<'_>) -> Result<Value, String> {
        let event = fields.scope(&self.fields);
        let time = if self.time { fields.time().to_scope() } else { minijinja::Value::UNDEFINED };
        run(&self.compiled, Scope::of_event(event, time))
    }
}

impl Computed {
    /// Compiles a column that is worked out from others; `column` gives a column's place.
    pub(crate) fn compile(text: &str, columns: &[String]) -> Result<Computed, String> {
        let compiled = engine_compile(text)?;
        let mut reads = Vec::new();
        for name in compiled.undeclared_variables(false) {
            let place = columns.iter().position(|column| *column == name);
            let names = || columns.iter().map(String::as_str);
            reads.push(place.ok_or_else(|| mistakes::unknown("column", &name, names()))?);
        }
        reads.sort_unstable();
        let names = reads.iter().map(|&at| columns[at].clone()).collect();
        Ok(Computed { compiled, names, columns: reads })
    }

    /// The value for one row.
    pub(crate) fn eval(&self, row: &[Value]) -> Result<Value, String> {
        let values = self.columns.iter().map(|&at| row[at].to_scope()).collect();
        run(&self.compiled, Scope::new(Arc::clone(&self.names), values))
    }
}

fn run(
    compiled: &minijinja::Expression<'static, 'static>,
    scope: minijinja::Value,
) -> Result<Value, String> {
    let result = compiled.eval(scope).map_err(|error| error.to_string())?;
    Value::from_result(&result)
}

fn engine_compile(text: &str) -> Result<minijinja::Expression<'static, 'static>, String> {
    if has_slice(text) {
        return Err("an expression has no slices: what they read is not known before".to_owned());
    }
    ENGINE.compile_expression_owned(text.to_owned()).map_err(|error| {
        format!(
            "no path, literal or expression. says=`{}`",
            error.detail().unwrap_or("cannot be read")
        )
    })
}

/// A quoted text without anything to unescape, a number, a truth value or nothing.
fn literal(text: &str) -> Option<Value> {
    match text {
        "true" | "True" => return Some(Value::Bool(true)),
        "false" | "False" => return Some(Value::Bool(false)),
        "none" | "None" | "null" => return Some(Value::Null),
        _ => {}
    }
    if let Ok(whole) = text.parse() {
        return Some(Value::Int(whole));
    }
    let quote = text.chars().next().filter(|first| matches!(first, '\'' | '"'))?;
    let inner = text.get(1..)?.strip_suffix(quote)?;
    (!inner.contains([quote, '\\'])).then(|| Value::Text(inner.into()))
}

/// `event.a.b` as `a.b`.
fn path(text: &str) -> Option<&str> {
    let path = text.strip_prefix("event.")?;
    path.split('.').all(is_name).then_some(path)
}

/// A name as settings, expressions and columns know it.
pub(crate) fn is_name(text: &str) -> bool {
    let mut letters = text.bytes();
    letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == b'_')
}

/// Whether a colon stands straight inside square brackets: the engine does not say what names the
/// sliced value has, and a name nobody decoded would be nothing.
fn has_slice(text: &str) -> bool {
    let (mut quote, mut open) = (None, Vec::new());
    for letter in text.chars() {
        match (quote, letter) {
            (Some(end), _) if end == letter => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(letter),
            (None, '[' | '{' | '(') => open.push(letter),
            (None, ']' | '}' | ')') => drop(open.pop()),
            // Of a dictionary or of a condition it is another colon: theirs stand in other brackets.
            (None, ':') if open.last() == Some(&'[') => return true,
            (None, _) => {}
        }
    }
    false
}

fn first(path: &str) -> &str {
    path.split('.').next().unwrap_or(path)
}

#[cfg(test)]
mod tests;
