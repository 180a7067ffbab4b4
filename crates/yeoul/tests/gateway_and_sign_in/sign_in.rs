//! Signing in: tokens and how long they are good, users and their names, and the session that a browser carries
//! in cookies.

use super::*;

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
