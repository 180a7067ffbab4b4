//! What every service's port refuses, in the contract's order.

use std::time::{Duration, Instant};

use chassis::identity::fixture;
use chassis::identity::service::ServiceKey;
use mall::Name;
use serde_json::json;

use crate::support::{ADMIN, CUSTOMER, Mall};

const SERVICES: [(Name, &str); 4] = [
    (Name::Order, "/orders"),
    (Name::Product, "/products"),
    (Name::Delivery, "/deliveries"),
    (Name::Account, "/.well-known/jwks.json"),
];

#[test]
fn what_a_service_asks_another_is_asked_by_a_token_of_its_own() {
    let mall = Mall::start_apart("a secret of all parts");
    let now = chassis::clock::wall();
    let key = ServiceKey::of("a secret of all parts");
    let ask = |path: &str, token: &str| {
        mall.get(Name::Product, path).header("authorization", &format!("Bearer {token}")).send()
    };
    let good = key.sign("order", "product", now);
    assert_eq!(ask("/product/1", &good).is(200).body["id"], 1);
    let refused = [
        ("forged", ServiceKey::of("another secret").sign("order", "product", now)),
        ("expired", key.sign("order", "product", now - Duration::from_secs(61))),
        ("for another one", key.sign("order", "delivery", now)),
        ("of one that asks nothing", key.sign("delivery", "product", now)),
    ];
    for (what, token) in &refused {
        let answer = ask("/product/1", token);
        assert_eq!(answer.status, 401, "{what}");
        assert_eq!(answer.header("content-type"), "application/problem+json", "{what}");
    }
    let nobody = mall.get(Name::Product, "/product/1").send().is(401);
    assert_eq!(nobody.header("content-type"), "application/problem+json");
    let shown =
        mall.get(Name::Product, "/product/1").header("x-yeoul-gateway", "a secret of all parts");
    shown.send().is(200);
    // A customer may read products, and asks no service's question; a service asks that and nothing else.
    let customer = mall.token(CUSTOMER, mall::Role::OrderCustomer);
    ask("/products/1", &customer).is(200);
    let answer = ask("/product/1", &customer).is(403);
    assert_eq!(answer.header("content-type"), "application/problem+json");
    ask("/products/1", &good).is(403);
    let body = json!({"name": "N", "price": 1, "stock": 1, "stockPolicy": "reject"});
    let register = |token: &str| {
        let ask = mall.post(Name::Product, "/products", &body);
        ask.header("authorization", &format!("Bearer {token}")).send()
    };
    register(&good).is(403);
    let order = format!("Bearer {}", key.sign("order", "order", now));
    mall.get(Name::Order, "/orders").header("authorization", &order).send().is(401);

    // And order asks so.
    let product = register(&mall.token(ADMIN, mall::Role::OrderAdmin)).is(201);
    let body = json!({"productId": product.body["id"], "quantity": 1, "customerId": CUSTOMER});
    mall.post(Name::Order, "/orders", &body).send().is(201);
}

#[test]
fn a_foreign_host_or_origin_is_refused() {
    let mall = Mall::start();
    for (name, path) in SERVICES {
        mall.get(name, path).send().is(200);
        mall.get(name, path).header("origin", "http://127.0.0.1:8088").send().is(200);
        mall.get(name, path).header("origin", "http://evil.example").send().is(403);
        mall.get(name, path).header("host", "evil.example").send().is(403);
    }
}

#[test]
fn a_path_is_refused_before_a_token_and_a_token_before_a_route() {
    let mall = Mall::start();
    let stranger = fixture::signer();
    let forged = fixture::token(
        &stranger,
        CUSTOMER,
        &mall::Role::OrderAdmin.into(),
        chassis::clock::wall(),
        Duration::from_secs(60),
    );
    for (name, path) in SERVICES {
        for bad in ["/%2f", "/a;b", "/a//b", "/%2e%2e/x", "/a%00", "/a%5cb"] {
            mall.get(name, bad).header("authorization", "Bearer x").send().is(400);
        }
        for wrong in ["x".to_owned(), mall.expired_token(CUSTOMER), forged.text.clone()] {
            mall.get(name, path).header("authorization", &format!("Bearer {wrong}")).send().is(401);
            mall.get(name, "/nothing")
                .header("authorization", &format!("Bearer {wrong}"))
                .send()
                .is(401);
        }
        mall.get(name, path).header("authorization", "Token x").send().is(401);
        mall.get(name, "/nothing").send().is(404);
        mall.get(name, &format!("{path}/")).send().is(404);
        let refused = mall.ask(name, "OPTIONS", path).send().is(405);
        assert!(refused.header("allow").starts_with("GET, HEAD"));
        let head = mall.ask(name, "HEAD", path).send().is(200);
        assert_eq!(head.text, "");
    }
}

#[test]
fn a_fault_delays_and_fails_the_paths_it_names() {
    let mall = Mall::start();
    let slow = json!({"path": "/product/*", "delay_ms": [60, 80], "fail_rate": 1});
    mall.faults.put(Name::Product, &slow).expect("a fault");
    #[expect(clippy::disallowed_methods, reason = "tests read the machine's clock")]
    let start = Instant::now();
    mall.get(Name::Product, "/product/1").send().is(500);
    assert!(start.elapsed() >= Duration::from_millis(60));
    mall.get(Name::Product, "/products/1").send().is(200);
    mall.faults.clear(Name::Product);
    mall.get(Name::Product, "/product/1").send().is(200);
}

#[test]
fn a_problem_says_its_trace_and_nothing_of_the_inside() {
    let mall = Mall::start();
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let answer = mall.get(Name::Order, "/orders/x").header("traceparent", trace).send().is(404);
    assert_eq!(answer.body["trace"], "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(
        (&answer.body["status"], &answer.body["title"]),
        (&json!(404), &json!("There is no such thing"))
    );
}
