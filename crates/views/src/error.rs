//! The crate's one error: a variant per thing a caller would do differently.
//!
//! A rule that cannot be applied to an event is no error of this crate but a
//! [`Failure`](events::Failure) that parks the event's key.

/// What kept a view from being opened or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store: see [`events::Error`]. Environment trouble passes; damage is for the operator.
    #[error(transparent)]
    Store(#[from] events::Error),
    /// A page's template failed on this owner's rows. Mend the template.
    #[error("template failed. page=`{page}`, what=`{what}`")]
    Template {
        /// The page.
        page: String,
        /// The template engine's words, with the line.
        what: String,
    },
    /// More than a named limit allows. Ask for less.
    #[error("over the limit. field=`{field}`, value=`{value}`, limit=`{limit}`")]
    Limit {
        /// What is too large.
        field: &'static str,
        /// How large it is.
        value: u64,
        /// How large it may be.
        limit: u64,
    },
    /// No view, column or page of that name. Fix the name.
    #[error("{0}")]
    Unknown(String),
}

impl Error {
    /// Whether trying again later, unchanged, may succeed.
    pub fn is_environment(&self) -> bool {
        matches!(self, Error::Store(error) if error.is_environment())
    }
}
