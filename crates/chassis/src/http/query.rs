//! Query strings: decoded once, values checked against their ranges.

use std::ops::RangeInclusive;

use super::asked::{Asked, Notes, ValueKind};
use super::noted::{NO_CONTROLS, Noted};
use super::problem::Problem;
use super::urlencoded::{Pair, pairs};
use crate::text;

/// A query, and what was wrong with the values that were asked for.
#[derive(Debug, Default)]
pub struct Query {
    pairs: Vec<Pair>,
    noted: Noted,
    notes: Notes,
}

impl Query {
    /// The parameters that `read` asks for; it is given none.
    pub fn asked<T>(read: impl FnOnce(Query) -> T) -> Vec<Asked> {
        let notes = Notes::kept();
        read(Query { notes: notes.clone(), ..Query::default() });
        notes.asked()
    }

    /// Reads the part behind `?`.
    ///
    /// # Errors
    /// 400 where an escape is broken or there are too many parameters.
    pub fn parse(raw: Option<&str>) -> Result<Query, Problem> {
        let pairs = pairs(raw.unwrap_or_default())
            .ok_or_else(|| Problem::bad_request("the query is not acceptable"))?;
        Ok(Query { pairs, ..Query::default() })
    }

    /// The first value of `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|pair| pair.name == name).map(|pair| pair.value.as_str())
    }

    /// The text that `name` is searched with, by the rule of [`text::clean`]; absent is `None`, a
    /// control character is noted.
    pub fn text(&mut self, name: &str) -> Option<String> {
        self.notes.ask(name, || ValueKind::Text { chars_max: None });
        let clean = text::clean(self.get(name)?).map(std::borrow::Cow::into_owned);
        if clean.is_err() {
            self.note(name, NO_CONTROLS);
        }
        clean.ok()
    }

    /// A whole number in `range`, `default` when absent; anything else is noted.
    pub fn whole(&mut self, name: &str, range: RangeInclusive<u64>, default: u64) -> u64 {
        self.notes.ask(name, || ValueKind::Whole(range.clone()));
        let Some(text) = self.get(name) else { return default };
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        match text.parse() {
            Ok(number) if digits && range.contains(&number) => number,
            _ => {
                let (low, high) = (*range.start(), *range.end());
                self.note(name, format!("must be a whole number from {low} to {high}"));
                default
            }
        }
    }

    /// Notes every parameter that is none of these: where one that is misspelt would mean more than it says.
    pub fn only(&mut self, names: &[&str]) {
        let unknown = self.pairs.iter().filter(|pair| !names.contains(&pair.name.as_str()));
        let unknown: Vec<String> = unknown.map(|pair| pair.name.clone()).collect();
        for name in unknown {
            self.noted.note(&name, format!("is none of {}", names.join(", ")), None);
        }
    }

    /// Notes a mistake of the caller's own finding.
    pub fn note(&mut self, name: &str, reason: impl Into<String>) {
        self.notes.miss(name);
        self.noted.note(name, reason, None);
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// 400 with every mistake that was noted.
    pub fn finish(self) -> Result<(), Problem> {
        self.noted.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded_and_ranges_hold() {
        let mut query = Query::parse(Some("size=100&name=a%20b+c&page=x")).expect("a query");
        assert_eq!(query.get("name"), Some("a b c"));
        assert_eq!(query.whole("size", 1..=100, 20), 100);
        assert_eq!(query.whole("absent", 1..=100, 20), 20);
        assert_eq!(query.whole("page", 0..=9, 0), 0);
        assert_eq!(query.finish().expect_err("one mistake").errors()[0].field, "page");

        let mut past = Query::parse(Some("size=101")).expect("a query");
        past.whole("size", 1..=100, 20);
        assert!(past.finish().is_err());
    }

    #[test]
    fn a_text_that_is_searched_for_is_composed_and_holds_no_controls() {
        let mut query = Query::parse(Some("a=cafe%CC%81&b=x%00&c=%0A")).expect("a query");
        assert_eq!(query.text("a").as_deref(), Some("caf\u{e9}"));
        assert_eq!((query.text("b"), query.text("none")), (None, None));
        assert_eq!(query.text("c").as_deref(), Some("\n"));
        let wrong = query.finish().expect_err("one mistake");
        assert_eq!((wrong.errors().len(), wrong.errors()[0].field.as_str()), (1, "b"));
    }

    #[test]
    fn what_is_misspelt_is_named_where_only_some_may_be_given() {
        let fields = |raw| {
            let mut query = Query::parse(Some(raw)).expect("a query");
            query.only(&["key", "type"]);
            let wrong = query.finish().err();
            wrong.map(|wrong| wrong.errors().iter().map(|it| it.field.clone()).collect::<Vec<_>>())
        };
        assert_eq!(fields("key=1&type=2"), None);
        assert_eq!(
            fields("keys=1&type=2&Type=3"),
            Some(vec!["keys".to_owned(), "Type".to_owned()])
        );
    }

    #[test]
    fn a_broken_escape_is_refused() {
        for raw in ["a=%", "a=%4", "a=%zz", "a=%ff"] {
            assert!(Query::parse(Some(raw)).is_err(), "{raw}");
        }
    }
}
