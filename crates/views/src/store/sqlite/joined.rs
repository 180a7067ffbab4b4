//! What joins said last, by what they are on: for rows that are created later, and to see at a
//! glance that an event says nothing new.

use rusqlite::{Connection, OptionalExtension};

use super::execute;
use crate::value::Value;

/// The columns a join has set, by their place in its list; `None` for those it never set.
pub(crate) type Said = Vec<Option<Value>>;

/// What was said for rows whose columns match `value`.
pub(crate) fn load(
    sql: &Connection,
    place: &str,
    value: &str,
    width: usize,
) -> Result<Said, events::Error> {
    let select = "SELECT said FROM joined WHERE place = ?1 AND value = ?2";
    let mut select = sql.prepare_cached(select)?;
    let text = select.query_row([place, value], |row| row.get::<_, String>(0)).optional()?;
    let stored = text.and_then(|text| serde_json::from_str::<Vec<Vec<_>>>(&text).ok());
    let mut said: Said = stored.unwrap_or_default().iter().map(|one| from_json(one)).collect();
    said.resize(width, None);
    Ok(said)
}

pub(crate) fn save(
    sql: &Connection,
    place: &str,
    value: &str,
    said: &Said,
) -> Result<(), events::Error> {
    let json: Vec<Vec<_>> =
        said.iter().map(|one| one.iter().map(Value::to_json).collect()).collect();
    let text = serde_json::to_string(&json).expect("values are JSON");
    execute(sql, "INSERT OR REPLACE INTO joined VALUES (?1, ?2, ?3)", [place, value, &text])?;
    Ok(())
}

/// A list of one value, or of none where nothing was said.
fn from_json(one: &[serde_json::Value]) -> Option<Value> {
    Value::from_json(one.first()?).ok()
}
