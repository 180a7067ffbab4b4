//! What each join set last, by the values it is on: for rows that are created later, and to see at a
//! glance that an event changes nothing.

use events::store::Rows;

use crate::value::Value;

/// What a join has set, by the columns' places in its list; `None` for those it never set.
pub(crate) type JoinedValues = Vec<Option<Value>>;

/// What was set on rows whose columns match `value`.
pub(crate) async fn load(
    rows: &mut Rows<'_>,
    place: &str,
    value: &str,
    width: usize,
) -> Result<JoinedValues, events::Error> {
    let select = "SELECT set_columns FROM joined WHERE place = ?1 AND value = ?2";
    let text: Option<String> = rows.find(select, &[&place, &value], |row| row.get(0)).await?;
    let stored = text.and_then(|text| serde_json::from_str::<Vec<Vec<_>>>(&text).ok());
    let mut joined: JoinedValues =
        stored.unwrap_or_default().iter().map(|one| from_json(one)).collect();
    joined.resize(width, None);
    Ok(joined)
}

pub(crate) async fn save(
    rows: &mut Rows<'_>,
    place: &str,
    value: &str,
    joined: &JoinedValues,
) -> Result<(), events::Error> {
    let json: Vec<Vec<_>> = joined.iter().map(to_json).collect();
    let text = serde_json::to_string(&json).expect("values are JSON");
    let upsert = "INSERT INTO joined VALUES (?1, ?2, ?3)
        ON CONFLICT (place, value) DO UPDATE SET set_columns = excluded.set_columns";
    rows.execute(upsert, &[&place, &value, &text]).await?;
    Ok(())
}

/// A list of one value, of none where nothing was set, and of a float its bits beside it: read back
/// from its digits it could be its neighbour, which would be news.
fn to_json(one: &Option<Value>) -> Vec<serde_json::Value> {
    match one {
        None => Vec::new(),
        Some(Value::Float(number)) => vec![(*number).into(), number.to_bits().into()],
        Some(value) => vec![value.to_json()],
    }
}

fn from_json(one: &[serde_json::Value]) -> Option<Value> {
    match one {
        [] => None,
        [value] => Value::from_json(value).ok(),
        [_, bits, ..] => bits.as_u64().map(|bits| Value::Float(f64::from_bits(bits))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_set_comes_back_to_the_last_bit() {
        let values = [
            Value::Null,
            Value::Bool(true),
            Value::Int(i64::MIN),
            Value::Float(1.0),
            Value::Float(5e-324),
            Value::Float(1.797_693_134_862_315_7e308),
            Value::Float(8.533_279_391_285_17e-287),
            Value::Text("1".into()),
        ];
        for one in values.into_iter().map(Some).chain([None]) {
            let text = serde_json::to_string(&to_json(&one)).expect("values are JSON");
            let list: Vec<serde_json::Value> = serde_json::from_str(&text).expect("JSON");
            assert_eq!(from_json(&list), one, "{text}");
        }
    }
}
