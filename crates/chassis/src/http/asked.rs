//! What the reader of a body or of a query asks for, written down by letting it read nothing.
//!
//! A description of a command's members would be a second one beside the code that reads them, and
//! would fall behind it. So the reader itself is asked: it reads an empty body, which notes each
//! member that it looks for with the bounds that it sets, and each that it misses.
//!
//! It sees the members that are looked for whatever the others are; a reader that looks for one only
//! where another has some value does not show it.

use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};

/// One member that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Its name.
    pub name: String,
    /// What it may be.
    pub kind: ValueKind,
    /// Whether it is a mistake that it is not there.
    pub required: bool,
    /// The member that it may stand in for.
    pub stands_for: Option<String>,
}

/// What a member may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueKind {
    /// A whole number within these bounds.
    Whole(RangeInclusive<u64>),
    /// Text of at most so many characters, if the reader says how many.
    Text {
        /// The most characters.
        chars_max: Option<usize>,
    },
    /// Whatever the reader makes of it.
    Any,
}

/// Where a reader's questions are noted: nowhere, while it serves a request.
#[derive(Clone, Debug, Default)]
pub(super) struct Notes(Option<Arc<Mutex<Questions>>>);

#[derive(Debug, Default)]
struct Questions {
    asked: Vec<Asked>,
    missed: Vec<String>,
}

impl Notes {
    /// Notes that are kept.
    pub(super) fn kept() -> Notes {
        Notes(Some(Arc::default()))
    }

    /// The reader asks for a member; the first bounds that it sets stand.
    pub(super) fn ask(&self, name: &str, kind: impl FnOnce() -> ValueKind) {
        self.change(|noted| {
            if !noted.asked.iter().any(|known| known.name == name) {
                let (name, kind) = (name.to_owned(), kind());
                noted.asked.push(Asked { name, kind, required: false, stands_for: None });
            }
        });
    }

    /// The member that was asked for may be there in the place of another one.
    pub(super) fn stand_in(&self, name: &str, field: &str) {
        self.change(|noted| {
            let asked = noted.asked.iter_mut().filter(|known| known.name == name);
            asked.for_each(|known| known.stands_for = Some(field.to_owned()));
        });
    }

    /// The reader finds a mistake, which here is that the member is not there.
    pub(super) fn miss(&self, name: &str) {
        self.change(|noted| noted.missed.push(name.to_owned()));
    }

    /// What was asked for.
    pub(super) fn asked(&self) -> Vec<Asked> {
        let mut all = Vec::new();
        self.change(|noted| {
            all.append(&mut noted.asked);
            for asked in &mut all {
                asked.required = noted.missed.contains(&asked.name);
            }
        });
        all
    }

    fn change(&self, change: impl FnOnce(&mut Questions)) {
        if let Some(noted) = &self.0 {
            change(&mut noted.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }
}
