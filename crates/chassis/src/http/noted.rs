//! What is wrong with the values of a request, noted until all of them have been looked at.

use serde_json::Value;

use super::problem::{FieldError, Problem};

/// What is wrong with a text that holds a control character.
pub(super) const NO_CONTROLS: &str = "must hold no control characters but line breaks and tabs";

/// The mistakes so far, one for each field.
#[derive(Debug, Default)]
pub(super) struct Noted(Vec<FieldError>);

impl Noted {
    /// Notes what is wrong with a field, unless something is noted of it already.
    pub(super) fn note(&mut self, field: &str, reason: impl Into<String>, limit: Option<Value>) {
        if !self.0.iter().any(|known| known.field == field) {
            self.0.push(FieldError { field: field.to_owned(), reason: reason.into(), limit });
        }
    }

    /// # Errors
    /// 400 with every mistake that was noted.
    pub(super) fn finish(self) -> Result<(), Problem> {
        let Some(FieldError { field, reason, .. }) = self.0.first() else { return Ok(()) };
        let problem = Problem::bad_request(format!("{field} {reason}"));
        let add = |problem: Problem, it: FieldError| problem.field(it.field, it.reason, it.limit);
        Err(self.0.into_iter().fold(problem, add))
    }
}
