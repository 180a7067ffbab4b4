//! Statements as this engine speaks them: `?2` of the common words is `$2` here.
//!
//! Rewritten once and kept, because the same few hundred are asked for again and again.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};

/// Statements that are kept; a program that makes more of them begins anew.
const STATEMENTS_MAX: usize = 1_024;

/// Those that were rewritten.
#[derive(Default)]
pub(super) struct Statements(Mutex<HashMap<String, Arc<str>>>);

impl Statements {
    /// The statement in this engine's words.
    pub(super) fn of(&self, statement: &str) -> Arc<str> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(rewritten) = known.get(statement) {
            return Arc::clone(rewritten);
        }
        if known.len() >= STATEMENTS_MAX {
            known.clear();
        }
        let rewritten: Arc<str> = rewritten(statement).into();
        known.insert(statement.to_owned(), Arc::clone(&rewritten));
        rewritten
    }
}

/// Numbers stay what they are, whatever order they stand in; what is quoted stays as it is.
fn rewritten(statement: &str) -> String {
    let mut text = String::with_capacity(statement.len());
    let mut quote = None;
    let mut characters = statement.chars().peekable();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (None, '?') if characters.peek().is_some_and(char::is_ascii_digit) => text.push('$'),
            (None, '\'' | '"') => {
                quote = Some(character);
                text.push(character);
            }
            (Some(open), _) => {
                quote = (character != open).then_some(open);
                text.push(character);
            }
            _ => text.push(character),
        }
    }
    text
}

/// A name between quotes.
pub(super) fn quoted(name: &str) -> String {
    let mut text = String::with_capacity(name.len() + 2);
    write!(text, "\"{}\"", name.replace('"', "\"\"")).expect("memory");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_values_are_kept_and_what_is_quoted_is_left_alone() {
        for (common, own) in [
            ("SELECT ?2, ?1, ?10", "SELECT $2, $1, $10"),
            ("SELECT '?1', \"?2\", 'it''s ?3', ?4", "SELECT '?1', \"?2\", 'it''s ?3', $4"),
            ("SELECT a ? b, ?", "SELECT a ? b, ?"),
        ] {
            assert_eq!(rewritten(common), own);
        }
        assert_eq!(quoted("a\"b"), "\"a\"\"b\"");
    }

    #[test]
    fn so_many_are_kept_and_no_more() {
        let statements = Statements::default();
        for number in 0..=STATEMENTS_MAX {
            statements.of(&format!("SELECT {number}"));
        }
        assert_eq!(statements.0.lock().unwrap().len(), 1);
    }
}
