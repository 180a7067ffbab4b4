//! The mall's interface as OpenAPI 3.1, made of what serves it.
//!
//! Which paths there are is the settings' route table; what each does is said by the service that it
//! leads to: its own table, the types that it writes, and its readers, which are asked what they read
//! (`chassis::http::asked`). There is no second description that could fall behind: a route without
//! an operation is found by a test, a member of a wire type is in its shape by the same lines.
//!
//! It holds what the services answer. What the gateway answers itself (my page and its stream,
//! signing in by cookie, the topics' events, the app) is not in it.

pub(crate) mod operation;
pub(crate) mod schema;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use chassis::settings::Tree;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use self::operation::{Described, Shapes};
use crate::{account, delivery, order, product};

/// Where the gateway shows it.
pub const PATH: &str = "/openapi.json";

/// The document, as it is served.
static TEXT: LazyLock<String> = LazyLock::new(|| document().to_string());

/// What the settings file says of routes, as far as it is described.
#[derive(Deserialize)]
struct File {
    routes: BTreeMap<String, Route>,
}

#[derive(Deserialize)]
struct Route {
    /// Methods by path; a text alone where it is no route from outside.
    path: Value,
    to: String,
    #[serde(default)]
    open: Vec<String>,
    role: Option<String>,
    #[serde(default)]
    signed_in: Vec<String>,
}

/// The document as JSON text.
pub fn text() -> &'static str {
    &TEXT
}

fn document() -> Value {
    let mut shapes = Shapes::from_iter([
        ("Problem".to_owned(), problem()),
        ("OAuthError".to_owned(), oauth_error()),
    ]);
    let paths = paths(&mut shapes);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "12st Mall",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What the services answer through the gateway. A GET that accepts \
                text/html is shown a page of the same status in the place of a problem document.",
        },
        "paths": paths,
        "components": {
            "schemas": shapes,
            "securitySchemes": { "bearer": { "type": "http", "scheme": "bearer" } },
        },
    })
}

fn paths(shapes: &mut Shapes) -> Map<String, Value> {
    let mut described = services();
    let mut paths = Map::new();
    let routes = routes();
    for Outer { path, method, route } in outer(&routes) {
        let row = described.iter().position(|it| it.serves(&route.to, path, method));
        let Described { operation, .. } = described.swap_remove(row.expect("a test has seen it"));
        let mut operation = operation.describe(path, shapes);
        operation["tags"] = json!([route.to]);
        operation["security"] = route.security(method);
        let methods = paths.entry(path).or_insert_with(|| json!({}));
        methods[method.to_ascii_lowercase()] = operation;
    }
    paths
}

/// What every service's port does.
fn services() -> Vec<Described> {
    let mut all = order::operations();
    all.extend(product::operations());
    all.extend(delivery::operations());
    all.extend(account::operations());
    all
}

fn routes() -> Vec<Route> {
    let tree = Tree::parse("mall.yaml", crate::SETTINGS).expect("our own settings can be read");
    let File { routes } = tree.read().expect("our own settings have routes");
    routes.into_values().collect()
}

/// One path and method that the gateway lets in from outside.
struct Outer<'r> {
    path: &'r str,
    method: &'r str,
    route: &'r Route,
}

fn outer(routes: &[Route]) -> Vec<Outer<'_>> {
    let mut outer = Vec::new();
    for route in routes {
        for (path, methods) in route.path.as_object().into_iter().flatten() {
            for method in methods.as_array().into_iter().flatten().filter_map(Value::as_str) {
                outer.push(Outer { path, method, route });
            }
        }
    }
    outer
}

impl Route {
    /// Who may: everybody, whoever is signed in, or a role.
    fn security(&self, method: &str) -> Value {
        if self.open.iter().any(|open| open == method) {
            return json!([]);
        }
        let free = self.signed_in.iter().any(|it| it == method);
        let role: Vec<&str> = self.role.as_deref().into_iter().filter(|_| !free).collect();
        json!([{ "bearer": role }])
    }
}

/// RFC 9457, as `chassis::http::Problem` writes it.
fn problem() -> Value {
    let text = json!({ "type": "string" });
    json!({
        "type": "object",
        "properties": {
            "type": text, "title": text, "detail": text, "trace": text,
            "status": { "type": "integer", "minimum": 400, "maximum": 599 },
            "errors": { "type": "array", "items": {
                "type": "object",
                "properties": { "field": text, "reason": text, "limit": {} },
                "required": ["field", "reason"],
            } },
        },
        "required": ["type", "title", "status", "detail", "trace"],
    })
}

/// RFC 6749, 5.2.
fn oauth_error() -> Value {
    let error = json!({ "type": "string" });
    json!({ "type": "object", "properties": { "error": error }, "required": ["error"] })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a service does that the gateway does not let in from outside: order's copy of a product.
    const INSIDE: [(&str, &str); 1] = [("order", "/products/{id}")];

    #[test]
    fn every_route_of_the_gateway_is_described_by_the_service_that_it_leads_to() {
        let described = services();
        let routes = routes();
        let is_missing = |it: &Outer<'_>| {
            !described.iter().any(|known| known.serves(&it.route.to, it.path, it.method))
        };
        let missing: Vec<_> = outer(&routes)
            .into_iter()
            .filter(is_missing)
            .map(|it| format!("{} {}", it.method, it.path))
            .collect();
        assert_eq!(missing, [""; 0]);
    }

    #[test]
    fn everything_that_a_service_does_is_in_the_document() {
        let routes = routes();
        for it in services() {
            let is_inside = INSIDE.contains(&(it.service, it.path));
            let is_routed =
                outer(&routes).iter().any(|to| it.serves(&to.route.to, to.path, to.method));
            assert_ne!(is_inside, is_routed, "{} {} of {}", it.method, it.path, it.service);
        }
    }

    #[test]
    fn the_document_has_shapes_bounds_and_who_may() {
        let document: Value = serde_json::from_str(text()).expect("JSON");
        let place = &document["paths"]["/orders"]["post"];
        let body = &place["requestBody"]["content"]["application/json"]["schema"];
        assert_eq!(body["required"], json!(["productId", "quantity"]));
        assert_eq!(body["properties"]["quantity"]["maximum"], 1000);
        let created = &place["responses"]["201"]["content"]["application/json"]["schema"];
        assert_eq!(created["$ref"], "#/components/schemas/Order");
        let order = &document["components"]["schemas"]["Order"];
        assert!(order["properties"]["productName"].is_object(), "{order}");
        let list = &document["paths"]["/products"]["get"];
        assert_eq!(
            (&list["security"], list["parameters"][1]["name"].as_str()),
            (&json!([]), Some("size"))
        );
        let register = &document["paths"]["/products"]["post"];
        assert_eq!(register["security"], json!([{ "bearer": ["ORDER_ADMIN"] }]));
        // Every reference leads somewhere.
        for part in text().split("#/components/schemas/").skip(1) {
            let name = part.split('"').next().expect("a name");
            assert!(document["components"]["schemas"][name].is_object(), "{name}");
        }
    }
}
