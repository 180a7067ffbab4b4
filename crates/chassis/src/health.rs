//! Readiness: what a process still misses before it can do its work, by name.
//!
//! Living and being ready are two questions (`/healthz`, `/readyz`); this answers the second. A part
//! registers what it waits for and takes it back when it has it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

/// A shared list of what is missing; clones are handles.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    missing: Arc<Mutex<BTreeMap<String, String>>>,
}

/// Whether a process is ready, and what is shown of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Health {
    /// Whether it misses nothing.
    pub ready: bool,
    /// The same as JSON, with what is missing by name.
    pub shown: Value,
}

impl Readiness {
    /// A process that misses nothing yet.
    pub fn new() -> Readiness {
        Readiness::default()
    }

    /// `name` is not ready, because of `reason`.
    pub fn missing(&self, name: &str, reason: impl Into<String>) {
        self.list().insert(name.to_owned(), reason.into());
    }

    /// `name` is ready.
    pub fn ready(&self, name: &str) {
        self.list().remove(name);
    }

    /// Whether nothing is missing, and the report for `/readyz`.
    pub fn report(&self) -> Health {
        let list = self.list();
        let ready = list.is_empty();
        Health { ready, shown: json!({ "ready": ready, "missing": *list }) }
    }

    fn list(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, String>> {
        self.missing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_until_it_is_there() {
        let readiness = Readiness::new();
        readiness.missing("views", "catching up");
        assert_eq!(
            readiness.report(),
            Health {
                ready: false,
                shown: json!({"ready": false, "missing": {"views": "catching up"}}),
            }
        );
        readiness.ready("views");
        assert!(readiness.report().ready);
    }
}
