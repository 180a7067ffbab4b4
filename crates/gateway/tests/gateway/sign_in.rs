//! Who may do what, in which order refusals come, and the browser's session.

use chassis::identity::fixture;
use chassis::identity::service::ServiceKey;
use serde_json::json;

use crate::support::{ADMIN, Answer, SPACED_IN_FORMS, World, get, named, send};

const HTML: (&str, &str) = ("accept", "text/html");

pub(crate) fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

#[test]
fn refusals_come_in_their_order() {
    let world = World::new();
    let (customer, admin) = (bearer(&world.token("a@b")), bearer(&world.token_of("x", ADMIN)));
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
    let stale = [HTML, ("cookie", "yeoul_session_x=nonsense")];
    assert!(says("/", &stale) && says("/mypage", &stale), "a page is shown to whoever comes");
}

#[test]
fn the_inner_listener_is_for_this_machine() {
    let world = World::new();
    let local = ("host", "localhost");
    assert_eq!(get(world.inner, "/check/1", &[local]).status, 200);
    assert_eq!(get(world.inner, "/check/1", &[local, ("authorization", "Bearer x")]).status, 401);
    // What one service shows another is that one's to look at, and nothing to a client's door.
    let token = ServiceKey::of("a secret").sign("order", "product", chassis::clock::wall());
    let token = format!("Bearer {token}");
    let asks = ("authorization", token.as_str());
    assert_eq!(get(world.inner, "/check/1", &[local, asks]).status, 200);
    assert_eq!(get(world.address, "/products/1", &[asks]).status, 401);
    assert_eq!(get(world.inner, "/orders", &[local]).status, 404);
    let foreign = ("origin", "http://evil.example");
    assert_eq!(get(world.inner, "/check/1", &[local, foreign]).status, 403);
    let elsewhere =
        crate::support::raw(world.inner, b"GET /check/1 HTTP/1.1\r\nhost: evil.example\r\n\r\n");
    assert_eq!(elsewhere.expect("an answer").status, 403);
}

/// Signs in: the service takes any username with the password `right` and makes it the token.
pub(crate) fn signs_in(
    world: &World,
    token: &str,
    password: &str,
    headers: &[(&str, &str)],
) -> Answer {
    let form = format!("username={token}&password={password}");
    let kind = ("content-type", "application/x-www-form-urlencoded");
    send(world.address, "POST", "/oauth/session", &[&[kind], headers].concat(), &form)
}

pub(crate) fn pairs(answer: &Answer) -> String {
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
    let [session, refresh] = answer.all("set-cookie")[..] else { panic!("{answer:?}") };
    let expected = format!("yeoul_session_x={token}; HttpOnly; SameSite=Lax; Path=/; Max-Age=900");
    assert_eq!(session, expected);
    let (sealed, rest) = refresh.split_once(';').expect("attributes");
    assert_eq!(rest, " HttpOnly; SameSite=Strict; Path=/oauth/session; Max-Age=1209600");
    assert!(sealed.starts_with("yeoul_refresh_x=good.") && sealed.matches('.').count() == 2);
    let cookies = pairs(&answer);
    assert_eq!(get(world.address, "/orders", &[("cookie", &cookies)]).status, 200);
    let seen = world.service.seen().pop().expect("a call");
    assert_eq!(seen.headers.get("authorization").expect("a token"), bearer(&token).as_str());
    assert!(!seen.headers.contains_key("cookie"));

    let wrong = signs_in(&world, &token, "wrong", &[]);
    assert_eq!((wrong.status, wrong.json()["error"].as_str()), (400, Some("invalid_grant")));
    assert!(wrong.all("set-cookie").is_empty());
    is_problem(&wrong, "/problems/sign-in-refused");
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

/// A refusal as everywhere: only the token endpoint has the words of RFC 6749 for its whole answer.
fn is_problem(answer: &Answer, kind: &str) {
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{answer:?}");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let document = answer.json();
    assert_eq!((&document["type"], &document["status"]), (&json!(kind), &json!(answer.status)));
    assert_eq!(document["trace"].as_str().map(str::len), Some(32));
}

#[test]
fn a_form_that_lacks_something_or_says_it_twice_is_a_problem_with_its_fields() {
    let world = World::new();
    let kind = [("content-type", "application/x-www-form-urlencoded")];
    let sign_in = |form: &str| send(world.address, "POST", "/oauth/session", &kind, form);
    for (form, lacks) in [
        ("", &["username", "password"][..]),
        ("username=a", &["password"]),
        ("password=right", &["username"]),
        ("Username=a&password=right", &["username"]),
    ] {
        let answer = sign_in(form);
        is_problem(&answer, "/problems/bad-request");
        let fields = answer.json()["errors"].as_array().cloned().unwrap_or_default();
        let fields: Vec<_> = fields.iter().map(|error| error["field"].clone()).collect();
        assert_eq!((answer.status, fields), (400, lacks.iter().map(|it| json!(it)).collect()));
    }
    for twice in ["username=a&password=right&password=x", "username=a&username=b&password=right"] {
        assert_eq!(sign_in(twice).status, 400, "{twice}");
    }
    assert!(world.service.seen().is_empty(), "nobody is asked about such a form");
}

#[test]
fn whoever_says_who_he_is_in_a_way_nobody_reads_is_told() {
    let world = World::new();
    world.place(1, "a@b");
    for value in ["Basic eDp5", "Digest x", "Bearer", "x"] {
        let with = [("authorization", value), ("host", "localhost")];
        for target in ["/names/a@b", "/names/a@b/events", "/mypages/a@b", "/nowhere"] {
            assert_eq!(get(world.address, target, &with).status, 401, "{value} {target}");
        }
        assert_eq!(get(world.pages, "/mypages/a@b", &with).status, 401, "{value}");
    }
    let to_service = [("authorization", "Basic eDp5")];
    assert_eq!(get(world.address, "/products/1", &to_service).status, 200, "the service's to read");
    let bare = [("host", "localhost")];
    assert_eq!(get(world.pages, "/mypages/a@b", &bare).status, 200);
}

#[test]
fn another_sites_page_cannot_use_or_change_the_session() {
    let world = World::new();
    let cookie = format!("yeoul_session_x={}", world.token("a@b"));
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
    let answer = renew("yeoul_refresh_x=good");
    assert_eq!(answer.status, 204);
    assert!(answer.all("set-cookie")[0].starts_with("yeoul_session_x=renewed;"));
    let refused = renew("yeoul_refresh_x=bad");
    assert_eq!(refused.status, 401);
    let cleared = refused.all("set-cookie");
    assert!(cleared.len() == 2 && cleared.iter().all(|it| it.contains("Max-Age=0")));
    is_problem(&refused, "/problems/unauthorized");
    is_problem(&renew("yeoul_refresh_x=odd"), "/problems/sign-in-refused");
    // Nothing says of these that a sign-in has ended.
    for (cookie, status) in [
        ("a=b", 401),
        ("yeoul_session_x=good", 401),
        ("yeoul_refresh_y=good", 401),
        ("yeoul_refresh_x=odd", 400),
    ] {
        let answer = renew(cookie);
        assert_eq!((answer.status, answer.all("set-cookie").len()), (status, 0), "{cookie}");
    }
}

#[test]
fn a_planted_cookie_makes_neither_nobody_nor_somebody_else_of_its_browser() {
    let world = World::new();
    let signed_in = |name: &str| {
        let token = world.token(name);
        let cookies = pairs(&signs_in(&world, &token, "right", &[]));
        let (session, refresh) = cookies.split_once("; ").expect("two cookies");
        (token, session.to_owned(), refresh.to_owned())
    };
    let orders = |cookie: &str| get(world.address, "/orders", &[("cookie", cookie)]);
    let renew =
        |cookie: &str| send(world.address, "PUT", "/oauth/session", &[("cookie", cookie)], "");
    let cookies = |answer: &Answer| answer.all("set-cookie").len();
    let bearer_sent =
        || world.service.seen().pop().expect("a call").headers.remove("authorization");
    let (token, session, refresh) = signed_in("a@b");
    // One that is no good is passed over, and nothing is taken back: by name and path it is ours too.
    let answer = orders(&format!("yeoul_session_x=junk; {session}"));
    assert_eq!((answer.status, cookies(&answer)), (200, 0));
    assert_eq!(bearer_sent().expect("a token"), bearer(&token).as_str());
    let answer = renew(&format!("yeoul_refresh_x=bad; {refresh}"));
    assert_eq!((answer.status, cookies(&answer)), (204, 2), "the sealed one goes first");
    // Nor is there a number of them that makes a nobody of it, but what a head holds.
    for many in [8, 20, 100] {
        let junk = |name: &str| format!("{name}=junk; ").repeat(many);
        let answer = orders(&(junk("yeoul_session_x") + &session));
        assert_eq!((answer.status, cookies(&answer)), (200, 0), "{many}");
        let answer = renew(&(junk("yeoul_refresh_x") + &refresh));
        assert_eq!((answer.status, cookies(&answer)), (204, 2), "{many}");
    }
    // Where somebody has planted his own, the browser acts for neither.
    let (other, other_session, other_refresh) = signed_in("x@y");
    for both in [format!("{other_session}; {session}"), format!("{session}; {other_session}")] {
        let answer = orders(&both);
        assert_eq!((answer.status, cookies(&answer)), (401, 0), "{both}");
        let open = get(world.address, "/products/1", &[("cookie", &both)]);
        assert_eq!((open.status, cookies(&open), bearer_sent()), (200, 0, None), "{both}");
    }
    let answer = renew(&format!("{other_refresh}; {refresh}"));
    assert_eq!((answer.status, cookies(&answer)), (401, 0));
    // A sign-out ends all that it brings, and then it is the browser of whoever signs in.
    let out = [("cookie", format!("{other_session}; {session}"))];
    let out = out.each_ref().map(|(name, value)| (*name, value.as_str()));
    assert_eq!(send(world.address, "DELETE", "/oauth/session", &out, "").status, 204);
    for ended in [&token, &other] {
        assert_eq!(get(world.address, "/orders", &[("authorization", &bearer(ended))]).status, 401);
    }
    let (_, session, refresh) = signed_in("a@b");
    assert_eq!(orders(&format!("{other_session}; {session}")).status, 200);
    assert_eq!(renew(&format!("{other_refresh}; {refresh}")).status, 204);
}

#[test]
fn a_refresh_token_that_no_cookie_can_hold_comes_back_as_it_was() {
    let world = World::new();
    let answer = signs_in(&world, "a", "spaced", &[]);
    assert_eq!((answer.status, answer.all("set-cookie").len()), (204, 2), "{answer:?}");
    let cookies = pairs(&answer);
    let refresh = cookies.split("; ").nth(1).expect("a refresh cookie");
    let ask = |method: &str| {
        let answer =
            send(world.address, method, "/oauth/session", &[("cookie", refresh)], "").status;
        (answer, world.service.seen().pop().expect("a call").body)
    };
    let renewal = format!("grant_type=refresh_token&refresh_{SPACED_IN_FORMS}");
    assert_eq!(ask("PUT"), (204, renewal));
    assert_eq!(ask("DELETE"), (204, SPACED_IN_FORMS.to_owned()));
}

#[test]
fn a_token_of_a_type_that_nobody_here_uses_signs_nobody_in() {
    let world = World::new();
    let answer = signs_in(&world, "a", "mac", &[]);
    assert_eq!((answer.status, answer.all("set-cookie").len()), (502, 0), "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert_eq!(answer.header("proxy-status"), Some("yeoul; error=http_protocol_error"));
}

#[test]
fn a_cookie_that_is_no_good_is_nobody_and_is_taken_back() {
    let world = World::new();
    let ended = world.token("a@b");
    let cookie = format!("yeoul_session_x={ended}");
    send(world.address, "DELETE", "/oauth/session", &[("cookie", &cookie)], "");
    let other = fixture::signer();
    let life = std::time::Duration::from_secs(60);
    let foreign = fixture::token(&other, "a@b", &named(ADMIN), chassis::clock::wall(), life).text;
    for token in ["junk", "", "유엔진", &ended, &foreign] {
        let cookie = format!("a=b; yeoul_session_x={token}; yeoul_refresh_x=good");
        let with = |method: &str, target: &str| {
            send(world.address, method, target, &[("cookie", &cookie)], "")
        };
        let cases = [
            ("GET", "/products/1", 200),
            ("HEAD", "/products/1", 200),
            ("POST", "/oauth/token", 400),
            ("POST", "/s/any", 200),
            ("GET", "/orders", 401),
            ("POST", "/products", 401),
            ("GET", "/mypages/a@b", 401),
            ("GET", "/nowhere", 401),
            ("GET", "/", 200),
            ("HEAD", "/signin", 200),
            ("GET", "/mypage", 200),
        ];
        for (method, target, status) in cases {
            let answer = with(method, target);
            assert_eq!(answer.status, status, "{method} {target} {token}: {answer:?}");
            assert_eq!(
                answer.all("set-cookie"),
                ["yeoul_session_x=; HttpOnly; SameSite=Lax; Path=/; Max-Age=0"],
                "{method} {target} {token}"
            );
        }
    }
    // The app's page of a product too; a file of the app is kept by browsers as it is.
    let brings = [HTML, ("cookie", "yeoul_session_x=junk")];
    assert_eq!(get(world.address, "/products/1", &brings).all("set-cookie").len(), 1);
    assert!(get(world.address, "/assets/a-1.js", &brings).all("set-cookie").is_empty());
    let seen = world.service.seen().into_iter().filter(|seen| seen.target == "/products/1");
    assert!(seen.into_iter().all(|seen| !seen.headers.contains_key("authorization")));
    // Neither a good one nor another gateway's is touched, and who speaks for itself is told.
    let good = format!("yeoul_session_x={}", world.token("a@b"));
    for cookie in [good.as_str(), "yeoul_session_other=junk", "a=b"] {
        let answer = get(world.address, "/products/1", &[("cookie", cookie)]);
        assert_eq!((answer.status, answer.all("set-cookie").len()), (200, 0), "{cookie}");
        let page = get(world.address, "/", &[("cookie", cookie)]);
        assert_eq!((page.status, page.all("set-cookie").len()), (200, 0), "{cookie}");
    }
    let explicit = [("authorization", "Bearer junk"), ("cookie", good.as_str())];
    let answer = get(world.address, "/products/1", &explicit);
    assert_eq!((answer.status, answer.all("set-cookie").len()), (401, 0));
}

#[test]
fn a_session_is_found_among_any_bytes() {
    let world = World::new();
    let token = world.token("a@b");
    let own = format!("yeoul_session_x={token}");
    let status = |lines: &[&str]| {
        let headers: Vec<_> = lines.iter().map(|line| ("cookie", *line)).collect();
        get(world.address, "/orders", &headers).status
    };
    assert_eq!(status(&[&format!("name=유엔진; {own}")]), 200);
    assert_eq!(status(&[&format!("{own}; name=유엔진")]), 200);
    assert_eq!(status(&["name=유엔진", &own]), 200);
    assert_eq!(status(&[&own, "name=유엔진"]), 200);
    assert_eq!(status(&[&format!(";; a ;yeoul_session_x = \"{token}\" ;b=c")]), 200);
    assert_eq!(status(&[&format!("name=유엔진; x{own}")]), 401);
}

#[test]
fn cookies_are_for_https_alone_where_a_trusted_proxy_ends_it_or_the_settings_say_so() {
    let secure = |answer: &Answer| {
        let cookies = answer.all("set-cookie");
        let names = cookies.iter().map(|it| it.split('=').next().unwrap_or_default().to_owned());
        (names.collect::<Vec<_>>(), cookies.iter().all(|it| it.contains("; Secure;")))
    };
    let https = ("x-forwarded-proto", "https");
    let (plain, prefixed) = (
        ["yeoul_session_x", "yeoul_refresh_x"],
        ["__Host-yeoul_session_x", "__Secure-yeoul_refresh_x"],
    );
    let usual = crate::support::USUAL;
    let trusting = World::with(&format!("trusted: [127.0.0.0/8]\n{usual}"));
    let always =
        World::with(&usual.replace("upstream: service", "upstream: service, secure: true"));
    let cases = [
        (&World::new(), &[https][..], false),
        (&trusting, &[], false),
        (&trusting, &[https], true),
        (&always, &[], true),
    ];
    for (at, (world, headers, is_secure)) in cases.into_iter().enumerate() {
        let token = world.token("a@b");
        let answer = signs_in(world, &token, "right", headers);
        let names = if is_secure { prefixed } else { plain };
        assert_eq!(secure(&answer), (names.map(str::to_owned).to_vec(), is_secure), "case {at}");
        let cookies = pairs(&answer);
        let with = |method: &str, target: &str, cookies: &str| {
            let own = [("cookie", cookies)];
            send(world.address, method, target, &[&own[..], headers].concat(), "")
        };
        assert_eq!(with("GET", "/orders", &cookies).status, 200, "case {at}");
        // A page that came by plain HTTP may be anybody's where the browser speaks HTTPS.
        for (origin, own) in
            [("https://shop.localhost", true), ("http://shop.localhost", !is_secure)]
        {
            let own_headers = [("cookie", cookies.as_str()), ("origin", origin)];
            let all = [&own_headers[..], headers].concat();
            let answer = send(world.address, "POST", "/orders", &all, "");
            assert_eq!(answer.status == 200, own, "case {at} {origin}: {answer:?}");
            assert_eq!(answer.status == 403, !own, "case {at} {origin}: {answer:?}");
            let renewal = send(world.address, "PUT", "/oauth/session", &all, "");
            assert_eq!(renewal.status == 403, !own, "case {at} {origin}");
        }
        let other = if is_secure { plain } else { prefixed };
        let foreign = format!("{}={token}; {}=good", other[0], other[1]);
        assert_eq!(with("GET", "/orders", &foreign).status, 401, "case {at}");
        assert_eq!(with("PUT", "/oauth/session", &foreign).status, 401, "case {at}");
        let out = with("DELETE", "/oauth/session", &cookies);
        assert_eq!(secure(&out), (names.map(str::to_owned).to_vec(), is_secure), "case {at}");
        assert_eq!(with("GET", "/orders", &cookies).status, 401, "case {at}");
    }
}
