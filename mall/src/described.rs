//! One row of a service's table, with what it does.

use chassis::http::router::Row;
use chassis::openapi::operation::Operation;
use http::Method;

use crate::settings::Name;

/// One row of a service's table.
pub struct Described {
    /// Whose.
    pub service: Name,
    /// Its path, names in braces.
    pub path: &'static str,
    /// Its method.
    pub method: Method,
    /// What it does.
    pub operation: Operation,
}

impl Described {
    /// Every row of a service's table.
    pub(crate) fn all<A>(
        service: Name,
        rows: Vec<Row<A>>,
        operation: fn(A) -> Operation,
    ) -> Vec<Described> {
        let described = |row: Row<A>| {
            let Row { path, method, action } = row;
            Described { service, path, method, operation: operation(action) }
        };
        rows.into_iter().map(described).collect()
    }

    /// Whether this is what `service` does at `path`.
    pub fn serves(&self, service: &str, method: &Method, path: &str) -> bool {
        self.service.as_str() == service && self.path == path && self.method == *method
    }
}
