//! Fields of a command: a JSON object read leniently where the contract says so, strictly elsewhere.
//!
//! A whole number may come as a string of digits (what httpie's `productId=1` sends); anything else
//! in a number's place is wrong. Null is absent. Unknown members are ignored, but where a reader says that
//! they are not ([`Fields::only`]). Every mistake is collected, so that one answer names them all.

use std::collections::HashSet;
use std::fmt;
use std::ops::RangeInclusive;

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::asked::{Asked, Notes, ValueKind};
use super::noted::{NO_CONTROLS, Noted};
use super::problem::{FIELD_ERRORS_MAX, Problem};
use super::urlencoded::{Pair, pairs};
use crate::text;

/// The members of a JSON body, and what was wrong with those that were asked for.
#[derive(Debug)]
pub struct Fields {
    members: Map<String, Value>,
    noted: Noted,
    notes: Notes,
}

impl Fields {
    /// The members that `read` asks for; it is given none.
    pub fn asked<T>(read: impl FnOnce(Fields) -> T) -> Vec<Asked> {
        let notes = Notes::kept();
        read(Fields { members: Map::new(), noted: Noted::default(), notes: notes.clone() });
        notes.asked()
    }

    /// Reads a body that says it is JSON.
    ///
    /// # Errors
    /// 415 without `application/json` in Content-Type, 400 where it is not a JSON object.
    pub fn parse(headers: &HeaderMap, body: &[u8]) -> Result<Fields, Problem> {
        check_media_type(headers)?;
        let Once { members, twice } = serde_json::from_slice(body).map_err(|error| {
            let is_json = error.is_data();
            let what = if is_json { "must be a JSON object" } else { "is not JSON" };
            Problem::bad_request(format!("the body {what}"))
        })?;
        let mut noted = Noted::default();
        twice.iter().for_each(|name| noted.note(name, "is there twice", None));
        Ok(Fields { members, noted, notes: Notes::default() })
    }

    /// Whether a member is there and not null.
    pub fn has(&self, name: &str) -> bool {
        self.members.get(name).is_some_and(|value| !value.is_null())
    }

    /// Whether a member is there and null: where its absence means more than it does, that is not the same.
    pub fn is_null(&self, name: &str) -> bool {
        self.members.get(name).is_some_and(Value::is_null)
    }

    /// The member as it came.
    pub fn raw(&self, name: &str) -> Option<&Value> {
        self.notes.ask(name, || ValueKind::Any);
        self.value(name)
    }

    fn value(&self, name: &str) -> Option<&Value> {
        self.members.get(name).filter(|value| !value.is_null())
    }

    /// A whole number in `range`; absent is `None`, anything else is noted as a mistake.
    pub fn whole(&mut self, name: &str, range: RangeInclusive<u64>) -> Option<u64> {
        self.whole_as(name, name, range)
    }

    /// As [`Fields::whole`], of a member that may be there in the place of `field`, under whose name its
    /// mistakes are noted.
    pub fn whole_as(&mut self, name: &str, field: &str, range: RangeInclusive<u64>) -> Option<u64> {
        self.notes.ask(name, || ValueKind::Whole(range.clone()));
        if name != field {
            self.notes.stand_in(name, field);
        }
        let value = self.value(name)?;
        let Some(number) = whole(value) else {
            self.note(field, "must be a whole number", None);
            return None;
        };
        match u64::try_from(number) {
            Ok(number) if range.contains(&number) => Some(number),
            // Told apart so that the answer names the bound that was broken, which a client may show.
            Ok(number) if number > *range.end() => {
                let limit = *range.end();
                self.note(field, format!("must be at most {limit}"), Some(limit.into()));
                None
            }
            _ => {
                let limit = *range.start();
                self.note(field, format!("must be at least {limit}"), Some(limit.into()));
                None
            }
        }
    }

    /// A text of at most `chars_max` characters once it is composed ([`text::clean`]); absent is
    /// `None`, anything else is noted.
    pub fn text(&mut self, name: &str, chars_max: usize) -> Option<String> {
        self.notes.ask(name, || ValueKind::Text { chars_max: Some(chars_max) });
        match limited(self.value(name)?, chars_max) {
            Ok(text) => Some(text),
            Err(Wrong { reason, limit }) => {
                self.note(name, reason, limit);
                None
            }
        }
    }

    /// Notes a member that is a text and holds what no text field may hold; for members that are
    /// looked at without being kept.
    pub fn check_text(&mut self, name: &str) {
        if let Some(Value::String(text)) = self.value(name)
            && text::clean(text).is_err()
        {
            self.note(name, NO_CONTROLS, None);
        }
    }

    /// A text as it was typed, for what has a rule of its own; absent is `None`, what is no text is
    /// noted.
    pub fn typed(&mut self, name: &str) -> Option<String> {
        self.notes.ask(name, || ValueKind::Text { chars_max: None });
        if let Value::String(text) = self.value(name)? {
            return Some(text.clone());
        }
        self.note(name, "must be text", None);
        None
    }

    /// Notes that a member is missing if it is.
    pub fn require(&mut self, name: &str) {
        if !self.has(name) {
            self.note(name, "is missing", None);
        }
    }

    /// Notes a mistake of the caller's own finding.
    pub fn note(&mut self, field: &str, reason: impl Into<String>, limit: Option<Value>) {
        self.notes.miss(field);
        self.noted.note(field, reason, limit);
    }

    /// Notes every member that is none of these: where one is left out more is meant, and a misspelt one is left out.
    pub fn only(&mut self, known: &[Asked]) {
        let is_known = |name: &String| known.iter().any(|it| it.name == *name);
        for name in self.members.keys().filter(|name| !is_known(name)).take(FIELD_ERRORS_MAX) {
            self.noted.note(name, "is no member of this body", None);
        }
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// 400 with every mistake that was noted.
    pub fn finish(self) -> Result<(), Problem> {
        self.noted.finish()
    }
}

/// The members of an object, and names of those that are there more than once: which of them is meant, readers differ in
/// (RFC 8259, section 4).
struct Once {
    members: Map<String, Value>,
    twice: Vec<String>,
}

impl<'de> Deserialize<'de> for Once {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Once, D::Error> {
        deserializer.deserialize_map(OnceVisitor)
    }
}

struct OnceVisitor;

impl<'de> Visitor<'de> for OnceVisitor {
    type Value = Once;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Once, A::Error> {
        let mut read = Once { members: Map::new(), twice: Vec::new() };
        while let Some(name) = map.next_key::<String>()? {
            let value = map.next_value()?;
            if read.members.contains_key(&name) && read.twice.len() < FIELD_ERRORS_MAX {
                read.twice.push(name.clone());
            }
            read.members.insert(name, value);
        }
        Ok(read)
    }
}

/// What is wrong with one value.
#[derive(Debug, PartialEq)]
pub struct Wrong {
    /// In words, as they stand behind the field's name.
    pub reason: String,
    /// The limit that it breaks, where there is one.
    pub limit: Option<Value>,
}

impl Wrong {
    fn without_limit(reason: &str) -> Wrong {
        Wrong { reason: reason.to_owned(), limit: None }
    }
}

/// The text of a value inside a field, by the same rule as [`Fields::text`].
///
/// # Errors
/// What is wrong, and the limit that it breaks.
pub fn limited(value: &Value, chars_max: usize) -> Result<String, Wrong> {
    let Value::String(text) = value else { return Err(Wrong::without_limit("must be text")) };
    let too_long = || Wrong {
        reason: format!("must have at most {chars_max} characters"),
        limit: Some(chars_max.into()),
    };
    // Looked at before it is composed: that costs time by its length, and nothing can make this one fit.
    if text::is_hopelessly_long(text, chars_max) {
        return Err(too_long());
    }
    let clean = text::clean(text).map_err(|_| Wrong::without_limit(NO_CONTROLS))?;
    if clean.chars().count() > chars_max { Err(too_long()) } else { Ok(clean.into_owned()) }
}

fn whole(value: &Value) -> Option<i128> {
    match value {
        Value::Number(number) => {
            number.as_u64().map(i128::from).or_else(|| number.as_i64().map(i128::from))
        }
        Value::String(text) => {
            let digits = text.strip_prefix('-').unwrap_or(text);
            let plain = !digits.is_empty()
                && digits.len() <= 20
                && digits.bytes().all(|b| b.is_ascii_digit());
            if plain { text.parse().ok() } else { None }
        }
        _ => None,
    }
}

fn check_media_type(headers: &HeaderMap) -> Result<(), Problem> {
    let refused = || Problem::unsupported_media_type("application/json");
    let kind =
        headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).ok_or_else(refused)?;
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let json =
        kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"));
    if json { Ok(()) } else { Err(refused()) }
}

/// A form-encoded body (`application/x-www-form-urlencoded`).
#[derive(Debug)]
pub struct Form {
    pairs: Vec<Pair>,
    notes: Notes,
}

impl Form {
    /// The fields that `read` asks for; it is given none.
    pub fn asked<T>(read: impl FnOnce(&Form) -> T) -> Vec<Asked> {
        let form = Form { pairs: Vec::new(), notes: Notes::kept() };
        read(&form);
        form.notes.asked()
    }

    /// Reads a body that says it is a form.
    ///
    /// # Errors
    /// 415 without the media type, 400 where an escape is broken or a name comes twice: of two
    /// passwords nobody knows which one was meant (RFC 6749, 3.2).
    pub fn parse(headers: &HeaderMap, body: &[u8]) -> Result<Form, Problem> {
        const KIND: &str = "application/x-www-form-urlencoded";
        let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case(KIND) {
            return Err(Problem::unsupported_media_type(KIND));
        }
        let text = std::str::from_utf8(body).map_err(|_| Problem::bad_request("not a form"))?;
        let pairs = pairs(text).ok_or_else(|| Problem::bad_request("not a form"))?;
        let mut names = HashSet::with_capacity(pairs.len());
        if !pairs.iter().all(|pair| names.insert(pair.name.as_str())) {
            return Err(Problem::bad_request("a field of the form comes twice"));
        }
        Ok(Form { pairs, notes: Notes::default() })
    }

    /// The value of `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.notes.ask(name, || ValueKind::Text { chars_max: None });
        self.pairs.iter().find(|pair| pair.name == name).map(|pair| pair.value.as_str())
    }

    /// The value of `name`, which has to be there.
    pub fn require(&self, name: &str) -> Option<&str> {
        let value = self.get(name);
        if value.is_none() {
            self.notes.miss(name);
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn json_headers() -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, "application/json; charset=utf-8".parse().expect("a value"));
        headers
    }

    #[test]
    fn a_form_is_asked_for_the_fields_that_it_reads() {
        let asked = Form::asked(|form| (form.require("a").is_some(), form.get("b").is_some()));
        let asked: Vec<_> = asked.iter().map(|it| (it.name.as_str(), it.required)).collect();
        assert_eq!(asked, [("a", true), ("b", false)]);
    }

    fn quantity(value: &str) -> Result<Option<u64>, String> {
        let body = format!(r#"{{"quantity": {value}}}"#);
        let mut fields = Fields::parse(&json_headers(), body.as_bytes()).expect("an object");
        let quantity = fields.whole("quantity", 1..=1000);
        fields.finish().map(|()| quantity).map_err(|problem| problem.errors()[0].reason.clone())
    }

    #[test]
    fn a_form_says_everything_once() {
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded; charset=utf-8");
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, kind)]);
        let read = |text: &str| Form::parse(&headers, text.as_bytes()).map_err(|it| it.status());
        let form = read("a=1&b=%32&A=3&").expect("a form");
        assert_eq!((form.get("a"), form.get("b"), form.get("c")), (Some("1"), Some("2"), None));
        for twice in ["a=1&a=1", "a=1&b=2&a", "a=1&%61=2", "x=&a=1&x="] {
            assert_eq!(read(twice).err(), Some(http::StatusCode::BAD_REQUEST), "{twice}");
        }
    }

    #[test]
    fn a_whole_number_may_be_digits_and_nothing_else() {
        let good = [("1", 1), ("1000", 1000), (r#""1""#, 1), (r#""007""#, 7)];
        for (value, number) in good {
            assert_eq!(quantity(value), Ok(Some(number)), "{value}");
        }
        assert_eq!(quantity("null"), Ok(None));
        let bad = ["1.0", "1e2", r#""x""#, r#""1.0""#, r#""""#, r#"" 1""#, "true", "[]", "{}"];
        for value in bad {
            assert_eq!(quantity(value), Err("must be a whole number".to_owned()), "{value}");
        }
        for value in ["0", "-1", r#""-1""#] {
            assert_eq!(quantity(value), Err("must be at least 1".to_owned()), "{value}");
        }
        assert_eq!(quantity("1001"), Err("must be at most 1000".to_owned()));
    }

    #[test]
    fn a_reader_shows_what_it_asks_for() {
        let asked = Fields::asked(|mut fields| {
            fields.require("a");
            fields.whole("a", 1..=9);
            fields.text("b", 4);
            fields.typed("c");
            fields.raw("d");
            fields.whole_as("e", "a", 2..=3);
            fields.finish()
        });
        let expected = [
            ("a", ValueKind::Whole(1..=9), true, None),
            ("b", ValueKind::Text { chars_max: Some(4) }, false, None),
            ("c", ValueKind::Text { chars_max: None }, false, None),
            ("d", ValueKind::Any, false, None),
            ("e", ValueKind::Whole(2..=3), false, Some("a")),
        ];
        let expected = expected.map(|(name, kind, required, stands_for)| {
            let (name, stands_for) = (name.to_owned(), stands_for.map(str::to_owned));
            Asked { name, kind, required, stands_for }
        });
        assert_eq!(asked, expected);
    }

    #[test]
    fn a_body_must_be_an_object_that_says_it_is_json() {
        let status = |headers: &HeaderMap, body: &str| {
            Fields::parse(headers, body.as_bytes()).map(|_| ()).map_err(|p| p.status().as_u16())
        };
        assert_eq!(status(&json_headers(), "{}"), Ok(()));
        assert_eq!(status(&json_headers(), "[]"), Err(400));
        assert_eq!(status(&json_headers(), "{"), Err(400));
        assert_eq!(status(&HeaderMap::new(), "{}"), Err(415));
    }

    #[test]
    fn a_text_at_its_limit_passes_and_one_past_it_does_not() {
        let body = r#"{"a": "여울", "b": 1}"#;
        let mut fields = Fields::parse(&json_headers(), body.as_bytes()).expect("an object");
        assert_eq!(fields.text("a", 2).as_deref(), Some("여울"));
        assert_eq!(fields.text("a", 1), None);
        assert_eq!(fields.text("b", 9), None);
        assert_eq!(fields.finish().expect_err("two mistakes").errors().len(), 2);
    }

    #[test]
    fn a_text_is_composed_before_it_is_measured_and_holds_no_controls() {
        let read = |json: &str| {
            let body = format!(r#"{{"a": {json}}}"#);
            let mut fields = Fields::parse(&json_headers(), body.as_bytes()).expect("an object");
            let text = fields.text("a", 2);
            fields.finish().map(|()| text).map_err(|problem| problem.errors()[0].reason.clone())
        };
        let composed = read("\"\u{110b}\u{1167}\u{110b}\u{116e}\u{11af}\"");
        assert_eq!(composed, Ok(Some("여울".to_owned())));
        assert_eq!(read(r#""\t\n""#), Ok(Some("\t\n".to_owned())));
        for control in [r#""\u0000""#, r#""a\u001b""#, r#""\u007f""#, r#""\u009f""#] {
            assert_eq!(read(control), Err(NO_CONTROLS.to_owned()), "{control}");
        }
        let long = format!("\"{}\"", "\u{301}".repeat(9));
        assert_eq!(read(&long), Err("must have at most 2 characters".to_owned()));
    }
}
