//! One route of a service, with what it does.

use chassis::http::router::Route;
use chassis::openapi::operation::Operation;
use http::Method;

use crate::settings::Name;

/// One route of a service.
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
    /// Every route of a service.
    pub(crate) fn all<A>(
        service: Name,
        routes: Vec<Route<A>>,
        operation: fn(A) -> Operation,
    ) -> Vec<Described> {
        let described = |route: Route<A>| {
            let Route { path, method, action } = route;
            Described { service, path, method, operation: operation(action) }
        };
        routes.into_iter().map(described).collect()
    }

    /// Whether this is what `service` does at `path`.
    pub fn serves(&self, service: &str, method: &Method, path: &str) -> bool {
        self.service.as_str() == service && self.path == path && self.method == *method
    }
}
