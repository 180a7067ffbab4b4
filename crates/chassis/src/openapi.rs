//! A description of what is served, as OpenAPI 3.1, made of what serves it.
//!
//! Which paths there are is the business of whoever routes; what each does is said by whoever does it,
//! in its own terms: the types that it writes ([`schema`](crate::schema)) and its readers, which are asked what they
//! read ([`asked`](crate::http::asked)). Here both become one document. So there is no second
//! description that could fall behind.
//!
//! It describes nothing itself, and knows neither routes nor settings.

pub mod operation;

use http::Method;
use serde_json::{Value, json};

use self::operation::{Operation, PROBLEM, Shapes};
use crate::http::problem::Problem;
use crate::schema::Schema;

/// What stands above the paths.
#[derive(Clone, Copy, Debug)]
pub struct About {
    /// What is described.
    pub title: &'static str,
    /// Its version.
    pub version: &'static str,
    /// What is to be known of all of it.
    pub description: &'static str,
}

/// One method at one path.
#[derive(Clone, Debug)]
pub struct Item {
    /// The path, names in braces.
    pub path: String,
    /// The method; HEAD goes with GET and is not described.
    pub method: Method,
    /// Who answers.
    pub tag: String,
    /// Who may.
    pub access: Access,
    /// What is done.
    pub operation: Operation,
}

/// Who may do something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody.
    Everybody,
    /// Whoever is signed in, with this role if one is named.
    SignedIn(Option<String>),
}

impl Item {
    /// Whether this is what is done at `path` by `method`.
    pub fn is(&self, method: &Method, path: &str) -> bool {
        self.method == *method && self.path == path
    }

    /// Adds it to these paths.
    fn describe_in(self, paths: &mut Value, shapes: &mut Shapes) {
        let Item { path, method, tag, access, operation } = self;
        let mut described = operation.describe(&path, shapes);
        described["tags"] = json!([tag]);
        described["security"] = access.security();
        paths[path][method.as_str().to_ascii_lowercase()] = described;
    }
}

impl Access {
    fn security(&self) -> Value {
        match self {
            Access::Everybody => json!([]),
            Access::SignedIn(role) => json!([{ "bearer": Vec::from_iter(role) }]),
        }
    }
}

/// The document; of two items for one method and path the later one stands. `inside` is what services answer
/// on ports of their own alone: it stands apart, by service, because its paths may mean something else outside.
pub fn document(about: About, items: Vec<Item>, inside: Vec<Item>) -> Value {
    let mut shapes = Shapes::from_iter([(PROBLEM.to_owned(), Problem::schema())]);
    let mut paths = json!({});
    for item in items {
        item.describe_in(&mut paths, &mut shapes);
    }
    let mut ports = json!({});
    for item in inside {
        let tag = item.tag.clone();
        item.describe_in(&mut ports[tag], &mut shapes);
    }
    let About { title, version, description } = about;
    json!({
        "openapi": "3.1.0",
        "info": { "title": title, "version": version, "description": description },
        "paths": paths,
        "x-ports": ports,
        "components": {
            "schemas": shapes,
            "securitySchemes": { "bearer": { "type": "http", "scheme": "bearer" } },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::operation::Shape;
    use super::*;

    #[test]
    fn items_become_paths_with_their_shapes_and_who_may() {
        let item = |method, path: &str, access, operation| Item {
            path: path.to_owned(),
            method,
            tag: "t".to_owned(),
            access,
            operation,
        };
        let shown = || Shape::foreign("Thing", json!({ "type": "object" }));
        let read = Operation::new("Reads").read(shown()).bytes("text/html");
        let inner = Shape::foreign("Inner", json!({ "type": "object" }));
        let about = About { title: "T", version: "1", description: "D" };
        let document = document(
            about,
            vec![
                item(Method::GET, "/things/{id}", Access::Everybody, read),
                item(
                    Method::PUT,
                    "/things/{id}",
                    Access::SignedIn(Some("ADMIN".to_owned())),
                    Operation::new("Writes").anything(),
                ),
            ],
            vec![item(
                Method::GET,
                "/inner",
                Access::Everybody,
                Operation::new("Reads").read(inner),
            )],
        );
        let things = &document["paths"]["/things/{id}"];
        assert_eq!(things["get"]["security"], json!([]));
        assert_eq!(things["get"]["parameters"][0]["name"], "id");
        let content = &things["get"]["responses"]["200"]["content"];
        assert_eq!(
            content["application/json"]["schema"]["$ref"], "#/components/schemas/Thing",
            "{things}"
        );
        assert!(content["text/html"].is_object(), "{things}");
        assert!(things["get"]["responses"]["304"].is_object());
        assert_eq!(things["put"]["security"], json!([{ "bearer": ["ADMIN"] }]));
        assert!(things["put"]["responses"]["default"].is_object());
        assert_eq!(document["components"]["schemas"]["Thing"]["type"], "object");
        // What a service answers on its own port alone stands apart, with its shapes beside all others.
        assert!(document["x-ports"]["t"]["/inner"]["get"].is_object(), "{document}");
        assert!(document["paths"]["/inner"].is_null(), "{document}");
        assert_eq!(document["components"]["schemas"]["Inner"]["type"], "object");
    }
}
