//! The gateway and sign-in: who may do what, what is refused first, and that no trick of paths,
//! tokens, hosts or cookies gets round it.
//!
//! The scenarios F1 to F3, the order of refusals, and a table over endpoint × who asks.

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

#[test]
fn signing_up_never_gives_a_role() {
    let username = format!("{}@test.example", unique("r"));
    let wish = json!({"username": username, "password": "12345678", "nickname": "N", "address": "A", "role": "ORDER_ADMIN"});
    MALL.call("POST", "/oauth/users").json(&wish).send().expect(201);
    let who = MALL.sign_in(&username, "12345678");
    let me = MALL.get("/oauth/me").bearer(&who.token).send().expect(200);
    assert_eq!(me.value()["role"], "ORDER_CUSTOMER");
    let goods = json!({"name": "P", "price": 1, "stock": 1});
    MALL.call("POST", "/products").bearer(&who.token).json(&goods).send().problem(403);
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
fn tokens_are_given_for_passwords_and_refresh_tokens() {
    let username = format!("{}@test.example", unique("t"));
    let user =
        json!({"username": username, "password": "open sesame", "nickname": "N", "address": "A"});
    MALL.call("POST", "/oauth/users").json(&user).send().expect(201);
    let answer = MALL.password(&username, "open sesame").expect(200);
    assert!(answer.must("content-type").starts_with("application/json"));
    let given = answer.value();
    assert!(given["token_type"].as_str().is_some_and(|kind| kind.eq_ignore_ascii_case("bearer")));
    assert!(given["expires_in"].as_u64().is_some_and(|seconds| seconds >= 60), "{given}");
    let refresh = given["refresh_token"].as_str().expect("a refresh_token");
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
    let renewed = MALL.call("POST", "/oauth/token").form(&form).send().expect(200).value();
    let token = renewed["access_token"].as_str().expect("an access_token");
    let me = MALL.get("/oauth/me").bearer(token).send().expect(200);
    assert_eq!(me.value()["username"], username.as_str());
    for secret in ["password", "argon2", "phc"] {
        assert!(!me.text().contains(secret), "{}", me.text());
    }
    MALL.get("/orders").bearer(refresh).send().problem(401);
}

#[test]
fn what_the_token_endpoint_refuses_it_refuses_as_oauth_does() {
    let token = || MALL.call("POST", "/oauth/token");
    let password = |username: &'static str, password: &'static str| {
        [("grant_type", "password"), ("username", username), ("password", password)]
    };
    let right = password("2@uengine.org", "2");
    let client = [("grant_type", "client_credentials")];
    let table = [
        (token().form(&password("2@uengine.org", "wrong")), 400, "invalid_grant"),
        (token().form(&password("nobody@uengine.org", "2")), 400, "invalid_grant"),
        (
            token().form(&[("grant_type", "refresh_token"), ("refresh_token", "nonsense")]),
            400,
            "invalid_grant",
        ),
        (token().form(&[("grant_type", "magic")]), 400, "unsupported_grant_type"),
        (token().form(&[("username", "2@uengine.org")]), 400, "invalid_request"),
        (
            token().form(&[("grant_type", "password"), ("username", "2@uengine.org")]),
            400,
            "invalid_request",
        ),
        (token().form(&[("grant_type", "refresh_token")]), 400, "invalid_request"),
        (token().form(&client), 401, "invalid_client"),
        (token().form(&client).basic("uengine-client:wrong"), 401, "invalid_client"),
        (token().form(&client).basic("nobody:uengine-secret"), 401, "invalid_client"),
        (token().form(&right).basic("uengine-client:wrong"), 401, "invalid_client"),
    ];
    for (call, status, error) in table {
        let what = format!("{call:?}");
        let answer = call.send();
        assert_eq!(answer.status, status, "{what}: {}", answer.text());
        assert!(answer.must("content-type").starts_with("application/json"), "{what}");
        assert_eq!(answer.value()["error"], error, "{what}");
    }
    token().form(&right).send().expect(200);
    token().form(&right).basic("uengine-client:uengine-secret").send().expect(200);
}

#[test]
fn the_demo_users_are_there_with_their_roles() {
    for (username, password, role) in [
        ("1@uengine.org", "1", "ORDER_CUSTOMER"),
        ("2@uengine.org", "2", "ORDER_CUSTOMER"),
        ("admin@uengine.org", "admin", "ORDER_ADMIN"),
    ] {
        let who = MALL.sign_in(username, password);
        let me = MALL.get("/oauth/me").bearer(&who.token).send().expect(200).value();
        assert_eq!((&me["username"], &me["role"]), (&json!(username), &json!(role)));
    }
    let first = MALL.sign_in("1@uengine.org", "1");
    eventually_is("the nickname", &json!("유엔진"), || MALL.page(&first)["nickname"].clone());
    assert_eq!(MALL.page(&first)["address"], "서울시");
}

#[test]
fn usernames_and_passwords_keep_their_limits() {
    let user = |username: &str, password: &str| {
        let body =
            json!({"username": username, "password": password, "nickname": "N", "address": "A"});
        MALL.call("POST", "/oauth/users").json(&body).send()
    };
    let tag = unique("u").replace('-', "");
    let pad = |length: usize| format!("{tag}{}", "a".repeat(length - tag.len()));
    let domain = |length: usize| format!("{}.example", "d".repeat(length - 8));
    let signs = format!("{tag}._+-@a-b.c");
    for good in [format!("{}@x", pad(64)), format!("{tag}@{}", domain(190)), signs] {
        let answer = user(&good, "12345678").expect(201);
        assert_eq!(answer.value()["id"], good.as_str());
        assert_eq!(answer.must("location"), format!("/users/{good}"));
    }
    for bad in [
        format!("{}@x", pad(65)),
        format!("{tag}@{}", domain(191)),
        format!("{tag}@shop.html"),
        tag.clone(),
        "@x".to_owned(),
        format!("{tag}@"),
        format!("{tag} @x"),
        format!("{tag}@x_y"),
        format!("{tag}@x@y"),
        format!("ü{tag}@x"),
        format!("{tag}/../@x"),
    ] {
        user(&bad, "12345678").refuses_field("username");
    }
    let fresh = || format!("{}@x", unique("p"));
    user(&fresh(), "1234567").refuses_field("password");
    user(&fresh(), &"x".repeat(8)).expect(201);
    user(&fresh(), &"x".repeat(128)).expect(201);
    user(&fresh(), &"x".repeat(129)).refuses_field("password");
    let body = json!({"nickname": "N", "address": "A"});
    let both = MALL.call("POST", "/oauth/users").json(&body).send();
    both.refuses_field("username");
    both.refuses_field("password");
}

#[test]
fn a_username_is_one_whatever_its_case_and_taken_once() {
    let (low, high) = (format!("{}@test.example", unique("case")), unique("CASE"));
    let user = |username: &str| {
        let body =
            json!({"username": username, "password": "12345678", "nickname": "N", "address": "A"});
        MALL.call("POST", "/oauth/users").json(&body).send()
    };
    user(&low).expect(201);
    user(&low).problem(409);
    user(&low.to_uppercase()).problem(409);
    let answer = user(&format!("{high}@Test.Example")).expect(201).value();
    assert_eq!(answer["id"], format!("{high}@test.example").to_lowercase());
    MALL.password(&low.to_uppercase(), "12345678").expect(200);
}

#[test]
fn a_user_who_signs_up_is_told_of_on_the_topic() {
    let who = MALL.customer_named("Ann", "Here 1");
    let event = eventually("UserRegistered is on the topic", || {
        MALL.events_of("account", &who.id).into_iter().next()
    });
    assert_eq!(event["type"], "UserRegistered");
    let data = json!({"username": who.id, "nickname": "Ann", "address": "Here 1"});
    for member in ["username", "nickname", "address"] {
        assert_eq!(event["data"][member], data[member]);
    }
    assert!(!event.to_string().contains("argon2") && event["data"].get("password").is_none());
}

#[test]
fn the_public_keys_are_public_and_nothing_else_is() {
    let keys = MALL.get("/.well-known/jwks.json").send().expect(200).value();
    let keys = keys["keys"].as_array().expect("keys").clone();
    assert!(!keys.is_empty());
    for key in &keys {
        assert!(key["kid"].is_string() && key["kty"].is_string(), "{key}");
        assert!(["EdDSA", "RS256"].contains(&key["alg"].as_str().unwrap_or("EdDSA")), "{key}");
        for private in ["d", "p", "q", "dp", "dq", "qi", "k"] {
            assert!(key.get(private).is_none(), "tells {private}");
        }
    }
}

#[test]
fn a_token_that_was_touched_is_no_token() {
    let who = MALL.customer();
    let parts: Vec<&str> = who.token.split('.').collect();
    assert_eq!(parts.len(), 3, "a JWT");
    let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";
    let other = MALL.customer();
    let theirs: Vec<&str> = other.token.split('.').collect();
    let forged = [
        format!("{none}.{}.", parts[1]),
        format!("{none}.{}.{}", parts[1], parts[2]),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{}.{}.{}", parts[0], theirs[1], parts[2]),
        format!("{}.{}.{}", parts[0], parts[1], theirs[2]),
        format!("{}.{}", parts[0], parts[1]),
        format!("{}x", who.token),
        who.token.replace('.', ""),
        String::new(),
    ];
    for token in forged {
        MALL.get("/orders").bearer(&token).send().problem(401);
        MALL.at("order", "GET", "/orders").bearer(&token).send().problem(401);
    }
    MALL.get("/orders").bearer(&who.token).send().expect(200);
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
fn pages_and_data_share_their_addresses() {
    for path in ["/", "/products/3", "/mypage", "/signin", "/signup"] {
        let answer = MALL.get(path).html().send().expect(200);
        assert!(answer.must("content-type").starts_with("text/html"), "{path}");
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        MALL.get(path).header("accept", browser).send().expect(200);
    }
    let page = MALL.get("/products/3").html().send();
    assert!(page.must("vary").to_lowercase().contains("accept"));
    for accept in ["*/*", "application/json"] {
        let data = MALL.get("/products/3").header("accept", accept).send().expect(200);
        assert_eq!(data.value()["name"], "NOTEBOOK");
        assert!(data.must("vary").to_lowercase().contains("accept"));
    }
    let without = "GET /products/3 HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n";
    let answer = raw(MALL.base("gateway"), without.as_bytes());
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-type").is_some_and(|kind| kind.contains("json")));
    // Where a path has no API, the app's page is served whatever Accept says.
    for path in ["/", "/signin", "/signup"] {
        let answer = MALL.get(path).header("accept", "application/json").send().expect(200);
        assert!(answer.must("content-type").starts_with("text/html"), "{path}");
    }
}

/// The cookies an answer sets, as a browser would send them back.
fn cookies(answer: &Answer) -> String {
    let set = answer.headers.get_all("set-cookie").iter();
    let pairs: Vec<String> = set
        .filter_map(|cookie| cookie.to_str().ok()?.split(';').next().map(str::to_owned))
        .filter(|pair| !pair.ends_with('='))
        .collect();
    pairs.join("; ")
}

fn browser_signs_in(mall: &Mall, username: &str, password: &str) -> Answer {
    mall.call("POST", "/oauth/session")
        .header("origin", mall.base("gateway"))
        .form(&[("username", username), ("password", password)])
        .send()
}

#[test]
fn a_browsers_session_lives_in_cookies_no_script_can_read() {
    let username = format!("{}@test.example", unique("b"));
    let user =
        json!({"username": username, "password": "open sesame", "nickname": "N", "address": "A"});
    MALL.call("POST", "/oauth/users").json(&user).send().expect(201);
    let wrong = browser_signs_in(&MALL, &username, "wrong");
    assert!([400, 401].contains(&wrong.status), "{}", wrong.text());
    assert_eq!(cookies(&wrong), "");

    let answer = browser_signs_in(&MALL, &username, "open sesame");
    assert!((200..300).contains(&answer.status), "{}", answer.text());
    let set: Vec<String> = answer
        .headers
        .get_all("set-cookie")
        .iter()
        .map(|cookie| cookie.to_str().expect("text").to_lowercase())
        .collect();
    assert!(!set.is_empty());
    for cookie in &set {
        assert!(cookie.contains("httponly"), "{cookie}");
        assert!(cookie.contains("samesite=strict") || cookie.contains("samesite=lax"), "{cookie}");
    }
    let cookies = cookies(&answer);
    let page = format!("/mypages/{username}");
    MALL.get(&page).html().header("cookie", &cookies).send().expect(200);
    MALL.get(&page).header("cookie", &cookies).send().expect(200);
    MALL.get("/mypages/1@uengine.org").header("cookie", &cookies).send().problem(404);
    MALL.get(&page).html().header("cookie", cookies.replace('=', "=x")).send().expect(401);
}

#[test]
fn another_sites_page_cannot_use_a_browsers_session() {
    let who = MALL.customer();
    let answer = browser_signs_in(&MALL, &who.id, "correct horse");
    let cookies = cookies(&answer);
    let body = json!({"productId": MALL.product(10, "cancel"), "quantity": 1});
    let order = || MALL.call("POST", "/orders").header("cookie", &cookies).json(&body);
    order().header("origin", "http://evil.example").send().problem(403);
    order().header("origin", "null").send().problem(403);
    order().header("sec-fetch-site", "cross-site").send().problem(403);
    order().header("origin", MALL.base("gateway")).send().expect(201);
    let orders = MALL.get("/orders").bearer(&who.token).send().embedded("orders");
    assert_eq!(orders.len(), 1);
}

#[test]
fn signing_out_ends_the_live_page_and_takes_the_cookies_back() {
    let who = MALL.customer();
    let answer = browser_signs_in(&MALL, &who.id, "correct horse");
    let cookies = cookies(&answer);
    let path = format!("/mypages/{}/events", who.id);
    let mut stream = Stream::open(MALL.base("gateway"), &path, &[("Cookie", &cookies)]);
    assert_eq!(stream.status, 200);
    let out = MALL
        .call("DELETE", "/oauth/session")
        .header("cookie", &cookies)
        .header("origin", MALL.base("gateway"))
        .send();
    assert!((200..300).contains(&out.status), "{}", out.text());
    for cookie in out.headers.get_all("set-cookie") {
        let cookie = cookie.to_str().expect("text").to_lowercase();
        assert!(
            cookie.contains("max-age=0") || cookie.contains("expires=thu, 01 jan 1970"),
            "{cookie}"
        );
    }
    assert!(stream.ends_within(SOON), "the stream goes on");
}

#[test]
fn tokens_and_data_survive_a_restart_on_other_ports() {
    let Some(mall) = Mall::owned(&["--faults"]) else { return };
    let (who, product) = (mall.customer(), mall.product(10, "cancel"));
    let placed = mall.delivered(&who, product, 4);
    let admin = mall.admin().to_owned();
    mall.settle();
    let keys = mall.get("/.well-known/jwks.json").send().expect(200).value();
    let page = mall.page(&who);
    let reprice = |mall: &Mall, price: u64| {
        let call = mall.call("PATCH", "/products/1").bearer(&admin);
        call.json(&json!({"price": price})).send().expect(200);
    };
    reprice(&mall, 10_001);
    let (code, folder) = mall.stop_by("TERM", Duration::from_secs(12));
    assert_eq!(code, 0);

    let mall = Mall::on(folder, &["--faults"]);
    assert_eq!(mall.get("/.well-known/jwks.json").send().expect(200).value(), keys);
    assert_eq!(mall.page(&who), page);
    assert_eq!(mall.order_now(placed.id)["state"], "OrderPlaced");
    let tv = mall.get("/products/1").send().expect(200).value();
    assert_eq!(tv["price"], 10_001, "seeds are written once");
    reprice(&mall, 10_000);
    mall.sign_in(&who.id, "correct horse");
}

#[track_caller]
fn is_error_page(answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert!(answer.must("content-type").starts_with("text/html"), "{}", answer.text());
    let meta = format!("<meta name=\"yeoul-status\" content=\"{status}\">");
    assert!(answer.text().contains(&meta), "{}", answer.text());
    let both = "<span lang=\"ko\">처음으로</span> · <span lang=\"en\">To the start</span>";
    assert!(answer.text().contains("<noscript>") && answer.text().contains(both));
    assert_eq!(answer.must("cache-control"), "no-store");
    assert!(answer.must("vary").to_lowercase().contains("accept"));
}

#[test]
fn a_browser_is_shown_a_page_of_the_same_status_where_others_get_a_problem() {
    let who = MALL.customer();
    let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    let ask = |path: &str, who: Option<&Customer>, accept: &str| {
        as_who(MALL.get(path).header("accept", accept), who)
    };
    let (nobody, someone) = (None, Some(&who));
    for (path, who, status) in [
        ("/nope", nobody, 404),
        ("/nope", someone, 404),
        ("/console", nobody, 404),
        ("/products/3/", nobody, 404),
        ("/products/99999", nobody, 404),
        ("/products/0", nobody, 404),
        ("/products/x", someone, 404),
        ("/inventories/99999", nobody, 404),
        ("/goods/img/nosuch", nobody, 404),
        ("/products?size=0", nobody, 400),
        ("/products/a%2fb", nobody, 400),
        ("/orders", nobody, 401),
        ("/orders/1", nobody, 401),
        ("/deliveries", nobody, 401),
        ("/myPages", nobody, 401),
        ("/mypages/1@uengine.org", nobody, 401),
        ("/oauth/me", nobody, 401),
        ("/mypages/1@uengine.org", someone, 404),
        ("/orders/99999999", someone, 404),
        ("/events/order", someone, 403),
        ("/oauth/token", someone, 405),
    ] {
        let page = ask(path, who, browser);
        is_error_page(&page, status);
        let challenged = page.header("www-authenticate").is_some();
        assert_eq!((challenged, page.header("allow").is_some()), (status == 401, status == 405));
        let head = as_who(MALL.call("HEAD", path).header("accept", browser), who);
        assert_eq!((head.status, head.body.len()), (status, 0), "HEAD {path}");
    }
    for accept in ["application/json", "*/*", "text/html;q=0"] {
        ask("/nope", nobody, accept).problem(401);
        ask("/nope", someone, accept).problem(404);
        let gone = ask("/products/99999", nobody, accept);
        gone.problem(404);
        assert!(gone.must("vary").to_lowercase().contains("accept"));
    }
    // What is no refusal is what it is.
    assert!(ask("/products?size=1", nobody, browser).expect(200).value()["page"].is_object());
    MALL.at("product", "GET", "/products/99999").header("accept", browser).send().problem(404);
}

#[test]
fn while_product_is_away_the_apps_page_says_so_itself() {
    let mall = Mall::fresh();
    is_error_page(&mall.get("/products/99999").html().send(), 404);
    mall.stop("product");
    for path in ["/products/3", "/products/99999"] {
        let page = mall.get(path).html().send().expect(200);
        assert!(page.must("content-type").starts_with("text/html"), "{path}");
    }
    let listed = mall.get("/products").html().send();
    is_error_page(&listed, 503);
    assert!(listed.must("retry-after").parse::<u64>().is_ok_and(|seconds| seconds >= 1));
    assert!(listed.must("proxy-status").starts_with("yeoul; error="));
    mall.get("/products/3").header("accept", "application/json").send().refusal(503);
}

#[test]
fn a_file_of_another_build_is_gone_and_data_at_a_pages_address_is_not_kept() {
    for path in ["/assets/index-OLDHASH.js", "/assets/x.css"] {
        for call in
            [MALL.get(path), MALL.get(path).bearer("x"), MALL.get(path).bearer(MALL.admin())]
        {
            let gone = call.header("accept", "*/*").send();
            gone.problem(404);
            assert_eq!(gone.must("cache-control"), "no-store");
        }
    }
    let data = MALL.get("/products/3").header("accept", "application/json").send().expect(200);
    assert_eq!((data.must("cache-control"), data.must("vary")), ("no-store", "Accept"));
    let page = MALL.get("/products/3").html().send().expect(200);
    assert_ne!(page.must("etag"), data.must("etag"));
    assert!(page.must("vary").contains("Accept"));
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
