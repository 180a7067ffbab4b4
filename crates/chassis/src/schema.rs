//! The shape of what is written on the wire, from the types that write it.
//!
//! [`wire!`](crate::wire) makes a struct together with its [`Schema`]: a member that
//! is added to the one is in the other. Shapes are JSON Schema, as far as OpenAPI 3.1 needs it here.

use serde_json::{Map, Value, json};

/// What has a shape on the wire.
pub trait Schema {
    /// Whether the member may be null or absent.
    const OPTIONAL: bool = false;

    /// The shape.
    fn schema() -> Value;
}

/// How the members of a struct are spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// `totalElements`, as HAL's lists are spelled.
    Camel,
    /// `expires_in`, as RFC 6749 writes them.
    Snake,
}

/// One member of an object.
pub struct Property {
    /// Its name in the struct.
    pub name: &'static str,
    /// How it is spelled, where that follows no case.
    pub spelled: Option<&'static str>,
    /// Whether it may be null or absent.
    pub optional: bool,
    /// What it is.
    pub schema: Value,
}

/// A struct that is written as JSON, and its shape. A member whose name is no identifier is written
/// `links as "_links": Links`.
#[macro_export]
macro_rules! wire {
    ($case:ident $text:literal:
     $(#[$meta:meta])* $vis:vis struct $name:ident $(<$life:lifetime>)? {
        $($(#[$member_meta:meta])* $member_vis:vis $member:ident $(as $spelled:literal)?: $kind:ty,)*
    }) => {
        $(#[$meta])*
        #[derive(serde::Serialize)]
        #[serde(rename_all = $text)]
        $vis struct $name $(<$life>)? {
            $($(#[$member_meta])* $(#[serde(rename = $spelled)])? $member_vis $member: $kind,)*
        }

        impl $(<$life>)? $crate::schema::Schema for $name $(<$life>)? {
            fn schema() -> serde_json::Value {
                use $crate::schema::{Case, Property, Schema, object};
                object(Case::$case, vec![$(Property {
                    name: stringify!($member),
                    spelled: [$($spelled)?].into_iter().next(),
                    optional: <$kind as Schema>::OPTIONAL,
                    schema: <$kind as Schema>::schema(),
                }),*])
            }
        }
    };
}
/// An object with these members and no others.
pub fn object(case: Case, members: Vec<Property>) -> Value {
    let spelled = |it: &Property| {
        it.spelled.map_or_else(|| case.spelled(it.name.trim_start_matches("r#")), str::to_owned)
    };
    let required: Vec<String> = members.iter().filter(|it| !it.optional).map(spelled).collect();
    let properties: Map<String, Value> =
        members.into_iter().map(|it| (spelled(&it), it.schema)).collect();
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

/// The shape of what is written without a struct of its own, taken from two examples: `whole` has every member that
/// there can be, and what `bare` lacks may be absent. What is null in `whole` may be anything, and a list is of what
/// its first element is.
pub fn of_example(whole: &Value, bare: &Value) -> Value {
    match whole {
        Value::Null => Value::schema(),
        Value::Bool(_) => bool::schema(),
        Value::Number(_) => u64::schema(),
        Value::String(_) => str::schema(),
        Value::Array(items) => {
            let of = items.first().map_or_else(Value::schema, |it| of_example(it, &bare[0]));
            json!({ "type": "array", "items": of })
        }
        Value::Object(members) => {
            let shape = |(name, it): (&String, _)| (name.clone(), of_example(it, &bare[name]));
            let required = members.keys().filter(|name| bare.get(name).is_some());
            json!({
                "type": "object",
                "required": required.collect::<Vec<_>>(),
                "properties": members.iter().map(shape).collect::<Map<_, _>>(),
                "additionalProperties": false,
            })
        }
    }
}

impl Case {
    fn spelled(self, name: &str) -> String {
        if self == Case::Snake {
            return name.to_owned();
        }
        let mut words = name.split('_');
        let first = words.next().unwrap_or_default().to_owned();
        words.fold(first, |text, word| {
            let (initial, rest) = word.split_at(word.len().min(1));
            text + &initial.to_ascii_uppercase() + rest
        })
    }
}

impl Schema for u64 {
    fn schema() -> Value {
        json!({ "type": "integer", "minimum": 0 })
    }
}

impl Schema for u16 {
    fn schema() -> Value {
        json!({ "type": "integer", "minimum": 0, "maximum": u16::MAX })
    }
}

impl Schema for bool {
    fn schema() -> Value {
        json!({ "type": "boolean" })
    }
}

impl Schema for str {
    fn schema() -> Value {
        json!({ "type": "string" })
    }
}

/// Anything.
impl Schema for Value {
    fn schema() -> Value {
        json!({})
    }
}

impl Schema for String {
    fn schema() -> Value {
        str::schema()
    }
}

impl<T: Schema + ?Sized> Schema for &T {
    fn schema() -> Value {
        T::schema()
    }
}

impl<T: Schema> Schema for [T] {
    fn schema() -> Value {
        json!({ "type": "array", "items": T::schema() })
    }
}

impl<T: Schema> Schema for Option<T> {
    const OPTIONAL: bool = true;

    fn schema() -> Value {
        json!({ "anyOf": [T::schema(), { "type": "null" }] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    wire! {
        Camel "camelCase":
        /// Something of every kind.
        struct Sample<'a> {
            order_id: u64,
            names: &'a [String],
            last_of_all: Option<&'a str>,
            deleted: bool,
            r#type: u16,
            links as "_links": String,
        }
    }

    #[test]
    fn two_examples_say_what_is_there_and_what_may_be_missing() {
        let whole =
            json!({ "id": "1", "count": 2, "done": true, "data": null, "rows": [{ "a": "" }] });
        let bare = json!({ "id": "", "count": 0, "rows": [{}] });
        let shape = of_example(&whole, &bare);
        assert_eq!(shape["required"], json!(["count", "id", "rows"]));
        let members = &shape["properties"];
        assert_eq!(members["id"], str::schema());
        assert_eq!(members["count"], u64::schema());
        assert_eq!(members["done"], bool::schema());
        assert_eq!(members["data"], json!({}), "anything");
        let row = &members["rows"]["items"];
        assert_eq!((&row["properties"]["a"], &row["required"]), (&str::schema(), &json!([])));
        assert_eq!(
            (&shape["additionalProperties"], &of_example(&json!([]), &json!([]))["items"]),
            (&json!(false), &json!({}))
        );
    }

    #[test]
    fn a_struct_has_the_shape_that_it_is_written_in() {
        let schema = Sample::schema();
        let sample = Sample {
            order_id: 1,
            names: &[],
            last_of_all: None,
            deleted: false,
            r#type: 1,
            links: String::new(),
        };
        let written = serde_json::to_value(&sample).expect("JSON");
        let members = |value: &Value| -> Vec<String> {
            value.as_object().expect("an object").keys().cloned().collect()
        };
        assert_eq!(members(&written), members(&schema["properties"]));
        assert_eq!(schema["required"], json!(["orderId", "names", "deleted", "type", "_links"]));
        assert_eq!(schema["properties"]["names"]["items"], json!({ "type": "string" }));
        assert_eq!(schema["additionalProperties"], false);
    }
}
