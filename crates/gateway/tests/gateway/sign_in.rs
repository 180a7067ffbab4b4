//! Who may do what, in which order refusals come, and the browser's session.

use chassis::identity::Role;

use crate::support::{Answer, Stream, World, get, send};

const HTML: (&str, &str) = ("accept", "text/html");

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

#[test]
fn refusals_come_in_their_order() {
    let world = World::new();
    let (customer, admin) =
        (bearer(&world.token("a@b")), bearer(&world.token_of("x", Role::OrderAdmin)));
    let (nobody, bad) = (None, Some("Bearer nonsense"));
    let (customer, admin) = (Some(customer.as_str()), Some(admin.as_str()));
    let table = [
        ("GET", "/orders//1", nobody, 400),
        ("GET", "/nowhere//1", customer, 400),
        ("GET", "/nowhere", nobody, 401),
        ("GET", "/nowhere", bad, 401),
        ("GET", "/nowhere", customer, 404),
        ("GET", "/orders", nobody, 401),
        ("GET", "/orders", bad, 401),
        ("GET", "/orders", customer, 200),
        ("GET", "/products/1", nobody, 200),
        ("GET", "/products/1", bad, 401),
        ("GET", "/products/1", customer, 200),
        ("POST", "/products", nobody, 401),
        ("POST", "/products", customer, 403),
        ("POST", "/products", admin, 200),
        ("GET", "/deliveries/1", nobody, 401),
        ("GET", "/deliveries/1", customer, 200),
        ("PATCH", "/deliveries/1", nobody, 401),
        ("PATCH", "/deliveries/1", customer, 403),
        ("PATCH", "/deliveries/1", admin, 200),
        ("POST", "/signin", nobody, 401),
        ("POST", "/signin", customer, 405),
        ("POST", "/assets/a-1.js", customer, 405),
        ("POST", "/mypages/a@b", nobody, 401),
        ("POST", "/mypages/a@b", customer, 405),
        ("GET", "/oauth/session", nobody, 401),
        ("GET", "/oauth/session", customer, 405),
        ("GET", "/check/1", customer, 404),
        ("TRACE", "/orders", customer, 405),
    ];
    for (method, target, token, status) in table {
        let headers: Vec<_> = token.iter().map(|token| ("authorization", *token)).collect();
        let answer = send(world.address, method, target, &headers, "");
        assert_eq!(answer.status, status, "{method} {target} {token:?}: {answer:?}");
        assert_eq!(answer.header("allow").is_some(), status == 405, "{method} {target}");
        if status >= 400 {
            assert_eq!(answer.header("content-type"), Some("application/problem+json"));
            assert_eq!(answer.json()["trace"].as_str().map(str::len), Some(32));
        }
    }
}

#[test]
fn the_apps_page_and_the_api_share_addresses() {
    let world = World::new();
    let says = |target: &str, headers: &[(&str, &str)]| {
        let answer = get(world.address, target, headers);
        assert_eq!(answer.status, 200, "{target}");
        answer.body.contains("the app")
    };
    for target in ["/", "/products/1", "/mypage", "/signin"] {
        assert!(says(target, &[HTML]), "{target}");
    }
    for target in ["/", "/mypage", "/signin"] {
        assert!(says(target, &[("accept", "application/json")]), "{target} has no API");
    }
    assert!(!says("/products/1", &[]) && !says("/products/1", &[("accept", "*/*")]));
    let data = get(world.address, "/products/1", &[]);
    assert!(data.all("vary").contains(&"Accept"), "{data:?}");
    let page = get(world.address, "/products/1", &[HTML]);
    assert_eq!(page.header("vary"), Some("Accept, Accept-Encoding"));
    assert!(page.header("content-security-policy").is_some());
    let asset = get(world.address, "/assets/a-1.js", &[]);
    assert_eq!(asset.header("cache-control"), Some("public, max-age=31536000, immutable"));
    let stale = [HTML, ("cookie", "yeoul_session=nonsense")];
    assert!(says("/", &stale) && says("/mypage", &stale), "a page is shown to whoever comes");
}

#[test]
fn the_inner_listener_is_for_this_machine() {
    let world = World::new();
    let local = ("host", "localhost");
    assert_eq!(get(world.inner, "/check/1", &[local]).status, 200);
    assert_eq!(get(world.inner, "/check/1", &[local, ("authorization", "Bearer x")]).status, 401);
    assert_eq!(get(world.inner, "/orders", &[local]).status, 404);
    let foreign = ("origin", "http://evil.example");
    assert_eq!(get(world.inner, "/check/1", &[local, foreign]).status, 403);
    let elsewhere =
        crate::support::raw(world.inner, b"GET /check/1 HTTP/1.1\r\nhost: evil.example\r\n\r\n");
    assert_eq!(elsewhere.expect("an answer").status, 403);
}

/// Signs in: the service takes any username with the password `right` and makes it the token.
fn signs_in(world: &World, token: &str, password: &str, headers: &[(&str, &str)]) -> Answer {
    let form = format!("username={token}&password={password}");
    let kind = ("content-type", "application/x-www-form-urlencoded");
    send(world.address, "POST", "/oauth/session", &[&[kind], headers].concat(), &form)
}

fn pairs(answer: &Answer) -> String {
    let cookies = answer.all("set-cookie");
    let pairs: Vec<_> = cookies.iter().filter_map(|cookie| cookie.split(';').next()).collect();
    pairs.join("; ")
}

#[test]
fn a_sign_in_becomes_cookies_that_open_what_the_token_opens() {
    let world = World::new();
    let token = world.token("a@b");
    let answer = signs_in(&world, &token, "right", &[]);
    assert_eq!((answer.status, answer.body.as_str()), (204, ""));
    assert_eq!(
        answer.all("set-cookie"),
        [
            format!("yeoul_session={token}; HttpOnly; SameSite=Lax; Path=/; Max-Age=900"),
            "yeoul_refresh=good; HttpOnly; SameSite=Strict; Path=/oauth/session; Max-Age=1209600"
                .to_owned(),
        ]
    );
    let cookies = pairs(&answer);
    assert_eq!(get(world.address, "/orders", &[("cookie", &cookies)]).status, 200);
    let seen = world.service.seen().pop().expect("a call");
    assert_eq!(seen.headers.get("authorization").expect("a token"), bearer(&token).as_str());
    assert!(!seen.headers.contains_key("cookie"));

    let wrong = signs_in(&world, &token, "wrong", &[]);
    assert_eq!((wrong.status, wrong.json()["error"].as_str()), (400, Some("invalid_grant")));
    assert!(wrong.all("set-cookie").is_empty());
    let asked = world.service.seen().pop().expect("a call");
    assert_eq!(asked.body, format!("grant_type=password&username={token}&password=wrong"));
    let json = send(
        world.address,
        "POST",
        "/oauth/session",
        &[("content-type", "application/json")],
        "{}",
    );
    assert_eq!(json.status, 415);
}

#[test]
fn another_sites_page_cannot_use_or_change_the_session() {
    let world = World::new();
    let cookie = format!("yeoul_session={}", world.token("a@b"));
    let foreign =
        [("origin", "http://evil.example"), ("sec-fetch-site", "cross-site"), ("origin", "null")];
    for sign in foreign {
        let with = [("cookie", cookie.as_str()), sign];
        assert_eq!(send(world.address, "POST", "/orders", &with, "").status, 403, "{sign:?}");
        assert_eq!(get(world.address, "/orders", &with).status, 200, "reading changes nothing");
        for method in ["POST", "PUT", "DELETE"] {
            let answer = send(world.address, method, "/oauth/session", &with, "");
            assert_eq!(
                (answer.status, answer.all("set-cookie").len()),
                (403, 0),
                "{method} {sign:?}"
            );
        }
    }
    for own in [("origin", "http://shop.localhost"), ("sec-fetch-site", "same-origin")] {
        let with = [("cookie", cookie.as_str()), own];
        assert_eq!(send(world.address, "POST", "/orders", &with, "").status, 200, "{own:?}");
    }
    let token = bearer(&world.token("a@b"));
    let program = [("authorization", token.as_str()), foreign[0]];
    assert_eq!(
        send(world.address, "POST", "/orders", &program, "").status,
        200,
        "no cookie is used"
    );
}

#[test]
fn a_session_is_renewed_by_its_refresh_cookie_alone() {
    let world = World::new();
    let renew =
        |cookie: &str| send(world.address, "PUT", "/oauth/session", &[("cookie", cookie)], "");
    let answer = renew("yeoul_refresh=good");
    assert_eq!(answer.status, 204);
    assert!(answer.all("set-cookie")[0].starts_with("yeoul_session=renewed;"));
    for cookie in ["yeoul_refresh=bad", "a=b", "yeoul_session=good"] {
        let answer = renew(cookie);
        assert_eq!(answer.status, 401, "{cookie}");
        let cleared = answer.all("set-cookie");
        assert!(cleared.len() == 2 && cleared.iter().all(|it| it.contains("Max-Age=0")));
    }
}

#[test]
fn signing_out_ends_streams_and_the_token_opens_nothing_any_more() {
    let world = World::new();
    world.place(1, "a@b");
    let (token, other) = (world.token("a@b"), world.token("a@b"));
    let cookie = format!("yeoul_session={token}; yeoul_refresh=good");
    let mut ended = Stream::open(world.address, "/mypages/a@b/events", &[("cookie", &cookie)]);
    let mut stays =
        Stream::open(world.address, "/mypages/a@b/events", &[("authorization", &bearer(&other))]);
    assert_eq!(ended.next().expect("the page").event, "reset");
    assert_eq!(stays.next().expect("the page").event, "reset");

    let out = send(world.address, "DELETE", "/oauth/session", &[("cookie", &cookie)], "");
    assert_eq!((out.status, out.header("clear-site-data")), (204, Some("\"cache\"")));
    assert!(out.all("set-cookie").iter().all(|cookie| cookie.contains("Max-Age=0")));
    assert_eq!(ended.next(), None);
    for headers in [[("cookie", cookie.as_str())], [("authorization", &bearer(&token))]] {
        assert_eq!(get(world.address, "/orders", &headers).status, 401);
    }
    assert_eq!(get(world.address, "/orders", &[("authorization", &bearer(&other))]).status, 200);
    world.place(2, "a@b");
    assert_eq!(stays.next().expect("a change").event, "order", "another sign-in goes on");
}
