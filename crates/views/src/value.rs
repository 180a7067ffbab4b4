//! What a column holds: null, a truth value, a whole number, a float or text.
//!
//! Money is a whole number, so whole numbers stay whole on every way: JSON, expressions, the store.
//! Text is shared, because a row is copied before a rule is tried on it.

use std::sync::Arc;

use minijinja::value::ValueKind;

/// The largest whole number a sum takes as one row's part; JSON readers keep it exact.
pub(crate) const PART_MAX: u64 = (1 << 53) - 1;

/// One column of one row.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Value {
    #[default]
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Arc<str>),
}

/// What tells rows apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Key {
    Int(i64),
    Text(Arc<str>),
}

impl Value {
    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// A float as columns hold it: there is one zero, because the two are equal and read differently.
    fn float(number: f64) -> Value {
        Value::Float(if number == 0.0 { 0.0 } else { number })
    }

    /// What it adds to a sum.
    pub(crate) fn as_part(&self) -> Result<i64, String> {
        match self {
            Value::Null => Ok(0),
            Value::Int(number) if number.unsigned_abs() <= PART_MAX => Ok(*number),
            other => {
                Err(format!("a sum adds whole numbers up to 2^53. value=`{}`", other.to_json()))
            }
        }
    }

    pub(crate) fn from_json(json: &serde_json::Value) -> Result<Value, String> {
        match json {
            serde_json::Value::Null => Ok(Value::Null),
            serde_json::Value::Bool(value) => Ok(Value::Bool(*value)),
            serde_json::Value::String(text) => Ok(Value::Text(text.as_str().into())),
            serde_json::Value::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(whole), _) => Ok(Value::Int(whole)),
                (None, Some(float)) if !number.is_u64() => Ok(Value::float(float)),
                _ => Err(format!("a number too large for a column. value=`{number}`")),
            },
            other => Err(format!("a column holds no lists and no objects. value=`{other}`")),
        }
    }

    pub(crate) fn to_json(&self) -> serde_json::Value {
        match self {
            Value::Null => serde_json::Value::Null,
            Value::Bool(value) => (*value).into(),
            Value::Int(number) => (*number).into(),
            Value::Float(number) => (*number).into(),
            Value::Text(text) => serde_json::Value::String(text.to_string()),
        }
    }

    /// From an expression's result.
    pub(crate) fn from_result(result: &minijinja::Value) -> Result<Value, String> {
        match result.kind() {
            ValueKind::Undefined | ValueKind::None => Ok(Value::Null),
            ValueKind::Bool => Ok(Value::Bool(result.is_true())),
            ValueKind::String => {
                Ok(result.as_str().map_or(Value::Null, |text| Value::Text(text.into())))
            }
            ValueKind::Number if result.is_integer() => i64::try_from(result.clone())
                .map(Value::Int)
                .map_err(|_| format!("a number too large for a column. value=`{result}`")),
            ValueKind::Number => match f64::try_from(result.clone()) {
                Ok(float) if float.is_finite() => Ok(Value::float(float)),
                _ => Err(format!("a number no column can hold. value=`{result}`")),
            },
            kind => Err(format!("a column holds no {kind}. value=`{result}`")),
        }
    }

    /// For an expression's scope.
    pub(crate) fn to_scope(&self) -> minijinja::Value {
        match self {
            Value::Null => minijinja::Value::from(()),
            Value::Bool(value) => (*value).into(),
            Value::Int(number) => (*number).into(),
            Value::Float(number) => (*number).into(),
            Value::Text(text) => minijinja::Value::from(text),
        }
    }

    /// Text that is equal exactly when the values match in a `where`.
    pub(crate) fn write_match(&self, text: &mut String) {
        use std::fmt::Write;
        let written = match self {
            Value::Null => write!(text, "n;"),
            Value::Bool(value) => write!(text, "b{value};"),
            Value::Int(number) => write!(text, "i{number};"),
            Value::Float(number) => write!(text, "f{number};"),
            Value::Text(text_value) => write!(text, "t{}:{text_value};", text_value.len()),
        };
        written.expect("a string takes every character");
    }
}

/// Any JSON, for an expression's or a template's scope.
pub(crate) fn json_to_scope(json: &serde_json::Value) -> minijinja::Value {
    use serde_json::Value as Json;
    match json {
        Json::Null => minijinja::Value::from(()),
        Json::Bool(value) => (*value).into(),
        Json::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(whole), _, _) => whole.into(),
            (_, Some(whole), _) => whole.into(),
            (_, _, Some(float)) => float.into(),
            _ => minijinja::Value::from(number.to_string()),
        },
        Json::String(text) => text.as_str().into(),
        Json::Array(items) => items.iter().map(json_to_scope).collect(),
        Json::Object(members) => {
            let pairs = members.iter().map(|(name, value)| (name.as_str(), json_to_scope(value)));
            minijinja::Value::from_pairs(pairs)
        }
    }
}

impl Key {
    pub(crate) fn from_value(value: &Value) -> Result<Key, String> {
        match value {
            Value::Int(number) => Ok(Key::Int(*number)),
            Value::Text(text) => Ok(Key::Text(Arc::clone(text))),
            other => Err(format!("a key is a whole number or text. value=`{}`", other.to_json())),
        }
    }

    pub(crate) fn to_value(&self) -> Value {
        match self {
            Key::Int(number) => Value::Int(*number),
            Key::Text(text) => Value::Text(Arc::clone(text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_scalars_come_back_as_they_were() {
        for json in
            [json!(null), json!(true), json!(-7), json!(i64::MAX), json!(1.5), json!("유엔진")]
        {
            let value = Value::from_json(&json).expect("a scalar");
            assert_eq!(value.to_json(), json);
            assert_eq!(Value::from_result(&value.to_scope()), Ok(value));
        }
    }

    #[test]
    fn what_no_column_can_hold_is_refused() {
        for json in [json!([1]), json!({"a": 1}), json!(u64::MAX)] {
            assert!(Value::from_json(&json).is_err(), "{json}");
        }
        for result in [minijinja::Value::from(u64::MAX), f64::NAN.into(), vec![1].into()] {
            assert!(Value::from_result(&result).is_err(), "{result}");
        }
    }

    #[test]
    fn a_sum_takes_whole_numbers_up_to_its_limit() {
        let most = PART_MAX as i64;
        for (value, part) in
            [(Value::Null, 0), (Value::Int(most), most), (Value::Int(-most), -most)]
        {
            assert_eq!(value.as_part(), Ok(part));
        }
        for value in
            [Value::Int(most + 1), Value::Int(i64::MIN), Value::Float(1.0), Value::Text("1".into())]
        {
            assert!(value.as_part().is_err(), "{value:?}");
        }
    }

    #[test]
    fn values_match_only_themselves() {
        let values = [
            Value::Null,
            Value::Bool(true),
            Value::Int(1),
            Value::Float(1.5),
            Value::Text("1".into()),
            Value::Text("1;i1;".into()),
            Value::Text("".into()),
        ];
        let texts: std::collections::BTreeSet<String> = values
            .iter()
            .map(|value| {
                let mut text = String::new();
                value.write_match(&mut text);
                text
            })
            .collect();
        assert_eq!(texts.len(), values.len());
    }
}
