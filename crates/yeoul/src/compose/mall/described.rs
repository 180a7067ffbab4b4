//! The mall's description, `GET /openapi.json`: the route table that is in force, what the services do and
//! what the gateway answers itself, in one document.
//!
//! It is made at the start, of the settings that were read: what a file laid over the mall's opens,
//! closes or adds, it says too.

use std::cell::RefCell;

use chassis::openapi::operation::{Operation, Shape};
use chassis::openapi::{Access, Item, document};
use gateway::{AppFile, AppFiles};
use http::Method;
use mall::openapi::{ABOUT, PATH, services};
use serde_json::{Value, json};

use crate::settings::Checked;

/// The app's files and the description beside them, which everybody may read.
pub(super) fn with_description(plan: &Checked, mut app: AppFiles) -> AppFiles {
    let identity = describe(plan, &app).to_string().into();
    app.add(&AppFile { path: PATH.to_owned(), identity, br: None, gzip: None });
    app
}

fn describe(plan: &Checked, app: &AppFiles) -> Value {
    let services = RefCell::new(services());
    let known = |service: &str, method: &Method, path: &str| -> Option<Operation> {
        let mut services = services.borrow_mut();
        let at = services.iter().position(|it| it.serves(service, method, path))?;
        Some(services.swap_remove(at).operation)
    };
    let mut items = gateway::described::items(&plan.gateway, &plan.definitions, app, &known);
    items.push(own());
    // Whatever no route has asked for: a client of a service's own port is told too.
    let inside = services.into_inner().into_iter().map(|it| Item {
        path: it.path.to_owned(),
        method: it.method,
        tag: it.service.as_str().to_owned(),
        access: Access::Everybody,
        operation: it.operation,
    });
    document(ABOUT, items, inside.collect())
}

/// The description itself.
fn own() -> Item {
    let shape = Shape::foreign("OpenAPI", json!({ "type": "object" }));
    Item {
        path: PATH.to_owned(),
        method: Method::GET,
        tag: "gateway".to_owned(),
        access: Access::Everybody,
        operation: Operation::new("What you read").read(shape),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::settings::{Base, load};

    /// What a service does that the gateway does not let in from outside: order's copy of a product.
    const INSIDE: [(&str, &str); 1] = [("order", "/products/{id}")];

    /// The description under settings that `over` is laid over.
    fn under(over: &str) -> Value {
        let place = tempfile::tempdir().expect("a place");
        let file = place.path().join("over.yaml");
        fs::write(&file, over).expect("written");
        let plan = load(Base::Mall, Some(&file), None).unwrap_or_else(|list| panic!("{}", list[0]));
        describe(&plan, &AppFiles::new(Vec::new()))
    }

    fn operation<'d>(document: &'d Value, method: &Method, path: &str) -> &'d Value {
        &document["paths"][path][method.as_str().to_ascii_lowercase()]
    }

    #[test]
    fn everything_that_a_service_does_is_in_the_document_and_every_route_is_somebodys() {
        let document = under("");
        let ports = document["x-ports"].as_object().expect("an object");
        assert_eq!(Vec::from_iter(ports.keys()), ["order"]);
        assert!(document["x-ports"]["order"]["/products/{id}"]["get"].is_object(), "{document}");
        for it in services() {
            let (service, inside) = (it.service.as_str(), (it.service.as_str(), it.path));
            let described = operation(&document, &it.method, it.path);
            let is_its_own = described["tags"] == json!([service]);
            assert_ne!(
                INSIDE.contains(&inside),
                is_its_own,
                "{} {} of {service}",
                it.method,
                it.path
            );
        }
        let text = document.to_string();
        assert!(!text.contains("Passed on to"), "a route that no service of the mall serves");
    }

    #[test]
    fn the_document_has_shapes_bounds_and_who_may() {
        let document = under("");
        let place = operation(&document, &Method::POST, "/orders");
        let body = &place["requestBody"]["content"]["application/json"]["schema"];
        assert_eq!(body["required"], json!(["productId"]));
        let either = json!([{ "required": ["quantity"] }, { "required": ["qty"] }]);
        assert_eq!(body["allOf"], json!([{ "anyOf": either }]));
        assert_eq!(body["properties"]["quantity"]["maximum"], 1000);
        let created = &place["responses"]["201"]["content"]["application/json"]["schema"];
        assert_eq!(created["$ref"], "#/components/schemas/Order");
        let order = &document["components"]["schemas"]["Order"];
        assert!(order["properties"]["productName"].is_object(), "{order}");
        let list = operation(&document, &Method::GET, "/products");
        assert_eq!(list["security"], json!([]));
        assert_eq!(list["parameters"][1]["name"], "size");
        let register = operation(&document, &Method::POST, "/products");
        assert_eq!(register["security"], json!([{ "bearer": ["ORDER_ADMIN"] }]));
        // Every reference leads somewhere.
        for part in document.to_string().split("#/components/schemas/").skip(1) {
            let name = part.split('"').next().expect("a name");
            assert!(document["components"]["schemas"][name].is_object(), "{name}");
        }
    }

    #[test]
    fn every_operation_says_what_it_answers_where_it_is_carried_out() {
        let document = under("");
        let ports = document["x-ports"].as_object().into_iter().flatten().map(|(_, paths)| paths);
        let paths = ports.chain([&document["paths"]]).filter_map(Value::as_object).flatten();
        let mut operations = 0;
        for (path, item) in paths {
            for (method, operation) in item.as_object().expect("methods") {
                let answers = operation["responses"].as_object().expect("answers");
                let done = answers.keys().filter(|status| status.starts_with('2')).count();
                assert_eq!(done, 1, "{method} {path}: {:?}", answers.keys());
                operations += 1;
            }
        }
        assert!(operations > 40, "{operations}");
    }

    /// A shape's members: each with its kind, and `?` where it may be missing.
    fn members(shape: &Value) -> Vec<String> {
        let required = shape["required"].as_array().expect("a list");
        let kind = |schema: &Value| match schema["anyOf"][0]["type"].as_str() {
            Some(kind) => format!("{kind}?"),
            None => schema["type"].as_str().unwrap_or("anything").to_owned(),
        };
        let member = |(name, schema): (&String, &Value)| {
            let kind = kind(schema);
            assert_eq!(required.contains(&json!(name)), !kind.ends_with('?'), "{name}: {shape}");
            format!("{name}: {kind}")
        };
        let mut members: Vec<String> =
            shape["properties"].as_object().expect("members").iter().map(member).collect();
        members.sort();
        members
    }

    /// The types and their shapes come from the same lines, so both can change at once: what clients were told is
    /// told here.
    #[test]
    fn shapes_have_the_members_that_clients_were_told() {
        let document = under("");
        let told = [
            (
                "Tokens",
                "access_token: string, expires_in: integer, refresh_token: string?, token_type: string",
            ),
            (
                "User",
                "address: string, id: string, nickname: string, role: string, username: string",
            ),
            (
                "Product",
                "id: integer, imageUrl: string, name: string, options: array, price: integer, stock: integer, \
                 stockPolicy: string, version: integer",
            ),
            (
                "ProductReplica",
                "id: integer, imageUrl: string, name: string, price: integer, stock: integer, stockPolicy: string, \
                 version: integer",
            ),
            (
                "Order",
                "customerAddr: string, customerId: string, customerName: string, id: integer, price: integer, \
                 productId: integer, productName: string, quantity: integer, reason: string?, state: string",
            ),
            (
                "Delivery",
                "customerId: string, customerName: string, deliveryAddress: string, deliveryId: integer, \
                 deliveryState: string, orderId: integer, productId: integer, productName: string, quantity: integer",
            ),
        ];
        let is = |name: &str| members(&document["components"]["schemas"][name]).join(", ");
        let changed = told.into_iter().filter(|(name, told)| is(name) != *told);
        let changed: Vec<_> = changed.map(|(name, _)| (name, is(name))).collect();
        assert_eq!(changed, []);
    }

    #[test]
    fn what_the_gateway_answers_itself_is_in_it_too() {
        let document = under("");
        let content = |path: &str| {
            let described = &operation(&document, &Method::GET, path)["responses"]["200"];
            let content = described["content"].as_object().unwrap_or_else(|| panic!("{path}"));
            content.keys().cloned().collect::<Vec<_>>()
        };
        for (path, kinds) in [
            ("/", vec!["text/html"]),
            ("/mypage", vec!["text/html"]),
            ("/products/{id}", vec!["application/json", "text/html"]),
            ("/mypages/{customerId}", vec!["application/json", "text/html"]),
            ("/mypages/{customerId}/events", vec!["text/event-stream"]),
            ("/myPages", vec!["application/json"]),
            ("/mypage/mileage/{userId}", vec!["application/json"]),
            ("/openapi.json", vec!["application/json"]),
        ] {
            assert_eq!(content(path), kinds, "{path}");
        }
        let page = &document["components"]["schemas"]["my-page"];
        for member in ["customerId", "nickname", "mileage", "version", "position", "orders"] {
            assert!(page["properties"][member].is_object(), "{member}: {page}");
        }
        let mileage = &document["components"]["schemas"]["my-page-mileage"]["properties"];
        let names: Vec<&String> = mileage.as_object().expect("an object").keys().collect();
        assert_eq!(names, ["mileage", "userId"]);
    }

    #[test]
    fn what_a_file_laid_over_the_malls_says_is_described() {
        let over = "
routes:
  order: { path: { /orders: [GET] }, open: [GET] }
  more: { path: { \"/more/{id}\": [GET, PUT] }, to: http://127.0.0.1:1, role: ORDER_ADMIN }
  rest: { path: /rest/**, to: http://127.0.0.1:1, open: true }
";
        let document = under(over);
        assert_eq!(operation(&document, &Method::GET, "/orders")["security"], json!([]));
        let more = operation(&document, &Method::PUT, "/more/{id}");
        assert_eq!(more["security"], json!([{ "bearer": ["ORDER_ADMIN"] }]));
        assert!(more["responses"]["default"].is_object(), "{more}");
        let rest = operation(&document, &Method::DELETE, "/rest/{rest}");
        assert_eq!(rest["parameters"][0]["name"], "rest");
        let before = under("");
        assert_ne!(operation(&before, &Method::GET, "/orders")["security"], json!([]));
        assert!(operation(&before, &Method::PUT, "/more/{id}").is_null());
    }
}
