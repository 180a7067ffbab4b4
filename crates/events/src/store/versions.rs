//! Versions of the tables that this crate keeps beside a service's, and the way from each to the next; an engine
//! takes the steps.
//!
//! One count for each set of tables, because a database may have an outbox later than its inbox. A step is never
//! changed once it was released, and there is no way back: what a newer program wrote is refused.

use crate::error::Error;

/// One set of tables, and the statements of each step to its present shape. Only ever append.
pub(crate) struct TableSet {
    /// What it is called in the database; never changes.
    pub(crate) name: &'static str,
    pub(crate) steps: &'static [&'static str],
}

impl TableSet {
    /// The steps that are lacking at a version.
    ///
    /// # Errors
    /// [`Error::Newer`].
    pub(crate) fn lacking(&self, version: usize) -> Result<&'static [&'static str], Error> {
        let TableSet { name, steps } = self;
        steps.get(version..).ok_or_else(|| {
            let version = format!("{name} {version}");
            Error::Newer { version, known: steps.len() }
        })
    }
}
