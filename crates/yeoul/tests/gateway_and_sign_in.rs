//! The gateway and sign-in: who may do what, what is refused first, and that no trick of paths,
//! tokens, hosts or cookies gets round it.
//!
//! The scenarios F1 to F3, the order of refusals, and a table over endpoint × who asks.

#[path = "gateway_and_sign_in/browsers.rs"]
mod browsers;
#[path = "gateway_and_sign_in/sign_in.rs"]
mod sign_in;
#[path = "support/lib.rs"]
mod support;

use std::sync::LazyLock;
use std::time::Duration;

use serde_json::{Value, json};
use support::{
    Answer, Call, Customer, Mall, Placed, SOON, Stream, eventually, eventually_is, raw, unique,
};

static MALL: LazyLock<Mall> = LazyLock::new(Mall::fresh);

fn administrator() -> Customer {
    Customer { id: "uengine-client".to_owned(), token: MALL.admin().to_owned() }
}

fn as_who(call: Call, who: Option<&Customer>) -> Answer {
    match who {
        Some(who) => call.bearer(&who.token).send(),
        None => call.send(),
    }
}

#[test]
fn an_order_taken_at_the_gateway_is_seen_at_both_ports() {
    let (who, product) = (MALL.customer(), MALL.product(10, "cancel"));
    let placed = MALL.order(&who, product, 1);
    let path = format!("/orders/{}", placed.id);
    let inside = MALL.at("order", "GET", &path).send().expect(200).value();
    let outside = MALL.get(&path).bearer(&who.token).send().expect(200).value();
    assert_eq!(inside["id"], placed.id);
    assert_eq!(outside["customerId"], who.id.as_str());
}

#[test]
fn browsing_is_open_and_everything_else_needs_a_token() {
    for open in [
        "/products",
        "/products/1",
        "/products/search/findByName?name=TV",
        "/.well-known/jwks.json",
    ] {
        MALL.get(open).send().expect(200);
        MALL.call("HEAD", open).send().expect(200);
    }
    for (method, path) in [
        ("GET", "/orders"),
        ("GET", "/orders/1"),
        ("POST", "/orders"),
        ("PATCH", "/orders/1"),
        ("DELETE", "/orders/1"),
        ("GET", "/deliveries"),
        ("PATCH", "/deliveries/1"),
        ("POST", "/products"),
        ("PUT", "/products/1"),
        ("PATCH", "/products/1"),
        ("DELETE", "/products/1"),
        ("GET", "/mypages/1@uengine.org"),
        ("GET", "/mypages/1@uengine.org/events"),
        ("GET", "/myPages"),
        ("GET", "/users/1@uengine.org"),
        ("GET", "/oauth/me"),
        ("GET", "/events/order"),
    ] {
        MALL.call(method, path).send().problem(401);
        MALL.call(method, path).bearer("not.a.token").send().problem(401);
    }
}

#[test]
fn what_belongs_to_administrators_is_refused_to_customers() {
    let (who, product) = (MALL.customer(), MALL.product(10, "cancel"));
    let placed = MALL.delivered(&who, product, 1);
    let delivery = MALL.delivery_of(placed.id).expect("a delivery")["deliveryId"].to_string();
    let one = format!("/products/{product}");
    let goods = json!({"name": unique("P"), "price": 1, "stock": 1, "stockPolicy": "cancel"});
    let table = [
        ("POST", "/products".to_owned(), goods.clone(), 201),
        ("PATCH", one.clone(), json!({"price": 2}), 200),
        ("PUT", one.clone(), goods, 200),
        (
            "PATCH",
            format!("/deliveries/{delivery}"),
            json!({"deliveryState": "DeliveryCompleted"}),
            200,
        ),
        ("DELETE", one, json!({}), 204),
    ];
    for (method, path, body, done) in table {
        let call = MALL.call(method, &path).json(&body);
        call.clone().bearer(&who.token).send().problem(403);
        call.bearer(MALL.admin()).send().expect(done);
    }
    let person = MALL.sign_in("admin@uengine.org", "admin");
    let goods = json!({"name": unique("P"), "price": 1, "stock": 1});
    let call = MALL.call("POST", "/products").bearer(&person.token).json(&goods);
    assert_eq!(
        call.send().expect(201).value()["stockPolicy"],
        "cancel",
        "a policy that is not named"
    );
}

/// Every endpoint that shows or changes what is somebody's: for its owner, another customer, an
/// administrator and nobody.
#[test]
fn nobody_reaches_what_is_anothers() {
    let (owner, other, admin) = (MALL.customer(), MALL.customer(), administrator());
    let product = MALL.product(1000, "cancel");
    let placed = MALL.delivered(&owner, product, 1);
    MALL.await_row(&owner, placed.id, ("OrderPlaced", Some("DeliveryStarted")));
    let delivery = MALL.delivery_of(placed.id).expect("a delivery")["deliveryId"].to_string();
    let cancel = json!({"state": "OrderCancelled"});
    let (order, page) = (format!("/orders/{}", placed.id), format!("/mypages/{}", owner.id));
    let table = [
        ("GET", order.clone(), None, [200, 404, 200, 401]),
        ("GET", format!("/deliveries/{delivery}"), None, [200, 404, 200, 401]),
        ("GET", page.clone(), None, [200, 404, 404, 401]),
        ("GET", format!("{page}.html"), None, [200, 404, 404, 401]),
        ("GET", format!("/mypage/order/{}", owner.id), None, [200, 404, 404, 401]),
        ("GET", format!("/users/{}", owner.id), None, [200, 404, 404, 401]),
        ("GET", format!("/mypage/mileage/{}", owner.id), None, [200, 404, 404, 401]),
        // Changes, the strangers' first: the last of them is the owner's own.
        ("PATCH", order.clone(), Some(cancel), [200, 404, 200, 401]),
        ("DELETE", order, None, [204, 404, 204, 401]),
    ];
    for (method, path, body, expected) in table {
        let everyone = [Some(&owner), Some(&other), Some(&admin), None];
        for (who, status) in everyone.into_iter().zip(expected).rev() {
            let call = MALL.call(method, &path);
            let call = body.iter().fold(call, Call::json);
            let answer = as_who(call, who);
            assert_eq!(answer.status, status, "{method} {path} as {who:?}: {}", answer.text());
            if status == 404 {
                assert!(!answer.text().contains(&owner.id), "tells whose it is: {}", answer.text());
            }
        }
    }
    let missing = MALL.get("/orders/999999999").bearer(&other.token).send().problem(404);
    let hidden =
        MALL.get(&format!("/orders/{}", placed.id)).bearer(&other.token).send().problem(404);
    assert_eq!((&missing["type"], &missing["title"]), (&hidden["type"], &hidden["title"]));
}

#[test]
fn lists_and_searches_hold_ones_own_alone() {
    let (owner, other, admin) = (MALL.customer(), MALL.customer(), administrator());
    let placed = MALL.delivered(&owner, MALL.product(10, "cancel"), 1);
    let customer_id = format!("/orders/search/findByCustomerId?customerId={}", owner.id);
    let order_id =
        format!("/deliveries/search/findByOrderIdOrderByDeliveryIdDesc?orderId={}", placed.id);
    for (path, list, member) in
        [(customer_id.as_str(), "orders", "id"), (order_id.as_str(), "deliveries", "orderId")]
    {
        for (who, count) in [(&owner, 1), (&other, 0), (&admin, 1)] {
            let found = MALL.get(path).bearer(&who.token).send().embedded(list);
            assert_eq!(found.len(), count, "{path} as {}", who.id);
            assert!(found.iter().all(|one| one[member] == placed.id));
        }
    }
    for (path, list) in [("/orders?size=100", "orders"), ("/deliveries?size=100", "deliveries")] {
        let all = MALL.get(path).bearer(&other.token).send().embedded(list);
        assert_eq!(all, Vec::<Value>::new(), "{path}");
        let mine = MALL.get(path).bearer(&owner.token).send().embedded(list);
        assert!(mine.len() == 1 && mine[0]["customerId"] == owner.id.as_str(), "{path}: {mine:?}");
        assert!(!MALL.get(path).bearer(&admin.token).send().embedded(list).is_empty());
    }
}

#[test]
fn a_customer_orders_for_nobody_else() {
    let (who, other) = (MALL.customer(), MALL.customer());
    let product = MALL.product(100, "cancel");
    let body =
        |customer: Value| json!({"productId": product, "quantity": 1, "customerId": customer});
    for own in [json!(who.id), json!(null)] {
        let placed = Placed::of(&MALL.ordering(&who, &body(own)).send());
        assert_eq!(placed.body["customerId"], who.id.as_str());
    }
    MALL.ordering(&who, &body(json!(other.id))).send().problem(403);
    let named = Placed::of(&MALL.ordering(&administrator(), &body(json!(other.id))).send());
    assert_eq!(named.body["customerId"], other.id.as_str());
    assert!(MALL.get(&format!("/orders/{}", named.id)).bearer(&other.token).send().status == 200);
}

#[test]
fn what_is_refused_is_refused_in_the_promised_order() {
    let (who, other) = (MALL.customer(), MALL.customer());
    let huge = "x".repeat((1 << 20) + 1);
    let huge = huge.as_str();
    let token = format!("Bearer {}", who.token);
    let both_wrong = json!({"productId": 1, "quantity": 0, "customerId": other.id}).to_string();
    let both_wrong = both_wrong.as_str();
    let unknown = json!({"productId": 999_999, "quantity": 1, "customerId": other.id}).to_string();
    let settled = json!({"productId": 999_999, "quantity": 1001}).to_string();
    let json = Some("application/json");
    let text = Some("text/plain");
    // Each row is wrong in two ways; the earlier one answers.
    let table = [
        ("GET", "/orders//1", false, None, "", 400, "the path before the token"),
        ("GET", "/nowhere//1", true, None, "", 400, "the path before the route"),
        ("GET", "/nowhere", false, None, "", 401, "the token before the route"),
        ("GET", "/nowhere", true, None, "", 404, "no route"),
        ("GET", "/orders/", true, None, "", 404, "a trailing slash is no route"),
        ("PUT", "/orders", false, None, "", 401, "the token before the method"),
        ("PUT", "/orders", true, text, "x", 405, "the method before the body"),
        ("PUT", "/deliveries/1", true, text, "x", 405, "the method before the role"),
        ("POST", "/products", true, text, "x", 403, "the role before the content type"),
        ("POST", "/orders", true, text, huge, 415, "the content type before the length"),
        ("POST", "/orders", true, json, huge, 413, "the length before what it says"),
        ("POST", "/orders", true, json, both_wrong, 400, "the fields before the customer"),
        ("POST", "/orders", true, json, unknown.as_str(), 403, "the customer before the product"),
        ("POST", "/orders", true, json, settled.as_str(), 400, "the fields before the product"),
    ];
    for (method, path, signed_in, content, body, status, why) in table {
        let call = MALL.call(method, path);
        let call = if signed_in { call.header("authorization", &token) } else { call };
        let call = content.into_iter().fold(call, |call, kind| call.content(kind, body));
        let answer = call.send();
        assert_eq!(answer.status, status, "{why}: {method} {path}: {}", answer.text());
        answer.problem(status);
    }
}

#[test]
fn a_wrong_method_is_told_the_right_ones() {
    let who = administrator();
    for (method, path, allowed) in [
        ("PUT", "/orders", vec!["GET", "POST"]),
        ("POST", "/orders/1", vec!["DELETE", "GET", "PATCH"]),
        ("DELETE", "/products", vec!["GET", "POST"]),
        ("POST", "/products/1", vec!["DELETE", "GET", "PATCH", "PUT"]),
        ("DELETE", "/deliveries", vec!["GET"]),
        ("POST", "/mypages/someone@test.example", vec!["GET"]),
    ] {
        let answer = MALL.call(method, path).bearer(&who.token).send();
        answer.problem(405);
        let mut named: Vec<&str> = answer.must("allow").split(',').map(str::trim).collect();
        named.retain(|name| !["HEAD", "OPTIONS"].contains(name));
        named.sort_unstable();
        assert_eq!(named, allowed, "{method} {path}");
    }
}

#[test]
fn no_trick_of_the_path_leads_to_another_route() {
    let who = MALL.customer();
    let bad = [
        "/products/../orders",
        "/products/%2e%2e/orders",
        "/products/.%2E/orders",
        "/products/..",
        "/..",
        "//orders",
        "/products//1",
        "/products/1//",
        "/products/1%2f",
        "/products%2F1",
        "/products/1;a=b",
        "/products/1%3ba",
        "/;/orders",
        "/products/\\1",
        "/products/%5c1",
        "/products/%00",
        "/products/1%0d%0aX-Evil:%20yes",
        "/products/%09",
        "/products/%7f",
        "/products/%1f",
    ];
    for token in ["", "Authorization: Bearer TOKEN\r\n"] {
        let token = token.replace("TOKEN", &who.token);
        for path in bad {
            let request =
                format!("GET {path} HTTP/1.1\r\nHost: HOST\r\n{token}Connection: close\r\n\r\n");
            let answer = raw(MALL.base("gateway"), request.as_bytes());
            assert_eq!(answer.status, 400, "{path}: {}\n{}", answer.head, answer.body);
            assert_eq!(answer.header("x-evil"), None);
        }
    }
    // Decoded once and never again: this is a product with a strange name, which there is not.
    let twice = "GET /products/%252e%252e HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n";
    assert_eq!(raw(MALL.base("gateway"), twice.as_bytes()).status, 404);
    let escaped = format!("/mypages/{}", who.id.replace('@', "%40"));
    MALL.get(&escaped).bearer(&who.token).send().expect(200);
    MALL.get("/%70roducts/1").send().expect(200);
}

#[test]
fn an_unknown_path_is_a_401_without_a_token_and_a_404_with_one() {
    let who = MALL.customer();
    for path in [
        "/nowhere",
        "/order",
        "/orders/1/",
        "/orders/1/nothing",
        "/ORDERS",
        "/oauth",
        "/oauth/token/x",
        "/admin/settings",
        "/metrics",
        "/healthz",
        "/mypages",
    ] {
        MALL.get(path).send().problem(401);
        MALL.get(path).bearer(&who.token).send().problem(404);
    }
    for path in ["/products/", "/products/1/", "/products/1/nothing"] {
        MALL.get(path).bearer(&who.token).send().problem(404);
    }
}

#[test]
fn a_wrong_request_has_its_trace_in_the_answer() {
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let call =
        MALL.get("/nowhere").header("traceparent", format!("00-{trace}-b7ad6b7169203331-01"));
    assert_eq!(call.send().problem(401)["trace"], trace);
    let fresh = MALL.get("/nowhere").send().problem(401)["trace"].clone();
    assert_ne!(fresh, MALL.get("/nowhere").send().problem(401)["trace"]);
}

#[test]
fn what_a_client_says_of_itself_in_headers_is_dropped() {
    let (who, other) = (MALL.customer(), MALL.customer());
    let placed = MALL.order(&other, MALL.product(10, "cancel"), 1);
    let path = format!("/orders/{}", placed.id);
    for name in [
        "x-user",
        "x-user-id",
        "x-principal",
        "x-forwarded-user",
        "x-yeoul-principal",
        "yeoul-principal",
        "x-role",
        "x-auth-request-user",
    ] {
        for value in [other.id.as_str(), "admin@uengine.org", "ORDER_ADMIN"] {
            MALL.get(&path).header(name, value).send().problem(401);
            MALL.get(&path).header(name, value).bearer(&who.token).send().problem(404);
        }
    }
}

#[test]
fn a_services_own_port_believes_its_neighbours_but_not_a_token() {
    let (owner, other) = (MALL.customer(), MALL.customer());
    let product = MALL.product(100, "cancel");
    let order = |body: Value| MALL.at("order", "POST", "/orders").json(&body);
    let named = order(json!({"productId": product, "quantity": 1, "customerId": owner.id}));
    let placed = Placed::of(&named.send());
    assert_eq!(placed.body["customerId"], owner.id.as_str());
    MALL.await_row(&owner, placed.id, ("OrderPlaced", Some("DeliveryStarted")));
    let nobody = Placed::of(&order(json!({"productId": product, "quantity": 1})).send());
    for member in ["customerId", "customerName", "customerAddr"] {
        assert_eq!(nobody.body[member], "", "{member}");
    }
    let goods = json!({"name": unique("P"), "price": 1, "stock": 1});
    MALL.at("product", "POST", "/products").json(&goods).send().expect(201);
    MALL.at("product", "POST", "/products").bearer(&other.token).json(&goods).send().problem(403);

    let path = format!("/orders/{}", placed.id);
    MALL.at("order", "GET", &path).bearer(&other.token).send().problem(404);
    MALL.at("order", "GET", &path).bearer(&owner.token).send().expect(200);
    MALL.at("order", "GET", &path).bearer(MALL.admin()).send().expect(200);
    let cancel = json!({"state": "OrderCancelled"});
    MALL.at("order", "PATCH", &path).bearer(&other.token).json(&cancel).send().problem(404);
    let for_another = json!({"productId": product, "quantity": 1, "customerId": owner.id});
    order(for_another).bearer(&other.token).send().problem(403);
    MALL.at("order", "PATCH", &path).json(&cancel).send().expect(200);
}

#[test]
fn inner_listeners_answer_loopback_names_and_no_foreign_page() {
    for (listener, path) in [
        ("order", "/orders"),
        ("product", "/products"),
        ("delivery", "/deliveries"),
        ("account", "/.well-known/jwks.json"),
        ("mypage", "/mypages/1@uengine.org"),
        ("admin", "/healthz"),
        ("admin", "/admin/settings"),
    ] {
        let ask = |host: &str, more: &str| {
            let request =
                format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{more}Connection: close\r\n\r\n");
            raw(MALL.base(listener), request.as_bytes()).status
        };
        for (host, more, status) in [
            ("HOST", "", 200),
            ("localhost", "", 200),
            ("localhost:1", "", 200),
            ("[::1]:80", "", 200),
            ("evil.example", "", 403),
            ("127.0.0.1.evil.example", "", 403),
            ("localhost.evil.example", "", 403),
            ("HOST", "Origin: http://evil.example\r\n", 403),
            ("HOST", "Origin: null\r\n", 403),
            ("HOST", "Origin: http://localhost:5173\r\n", 200),
        ] {
            assert_eq!(ask(host, more), status, "{listener}: Host {host} {more}");
        }
    }
}

#[test]
fn every_401_says_what_it_asks_for() {
    let bearer = "Bearer realm=\"yeoul\"";
    let invalid = "Bearer realm=\"yeoul\", error=\"invalid_token\"";
    for (method, path) in [
        ("GET", "/orders"),
        ("POST", "/orders"),
        ("PATCH", "/deliveries/1"),
        ("GET", "/nope"),
        ("GET", "/mypages/1@uengine.org"),
        ("GET", "/mypages/1@uengine.org/events"),
        ("GET", "/oauth/me"),
        ("GET", "/events/order"),
    ] {
        let refused = MALL.call(method, path).send();
        refused.problem(401);
        assert_eq!(refused.must("www-authenticate"), bearer, "{path}");
        let refused = MALL.call(method, path).bearer("x").send();
        refused.problem(401);
        assert!(refused.must("www-authenticate").starts_with(invalid), "{path}");
    }
    for (service, path) in [
        ("order", "/orders"),
        ("product", "/products"),
        ("delivery", "/deliveries"),
        ("account", "/oauth/me"),
        ("mypage", "/mypages/1@uengine.org"),
    ] {
        let refused = MALL.at(service, "GET", path).bearer("x").send();
        refused.problem(401);
        assert!(refused.must("www-authenticate").starts_with(invalid), "{service}");
    }
    assert_eq!(MALL.at("account", "GET", "/oauth/me").send().must("www-authenticate"), bearer);
    let renewal = MALL.call("PUT", "/oauth/session").send().expect(401);
    assert_eq!(renewal.must("www-authenticate"), bearer);
    for listener in ["gateway", "account"] {
        for call in [
            MALL.at(listener, "POST", "/oauth/token"),
            MALL.at(listener, "POST", "/oauth/token").basic("uengine-client:wrong"),
        ] {
            let refused = call.form(&[("grant_type", "client_credentials")]).send().expect(401);
            assert_eq!(refused.value(), json!({"error": "invalid_client"}));
            assert!(refused.must("www-authenticate").starts_with("Basic realm="), "{listener}");
        }
    }
}
