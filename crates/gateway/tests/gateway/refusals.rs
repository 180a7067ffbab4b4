//! Refusals as a browser sees them: pages of the same status, told apart from the data by every cache.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::support::{ADMIN, Answer, Client, USUAL, World, get, pause, send};

const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
const HTML: (&str, &str) = ("accept", BROWSER);

fn settings() -> String {
    USUAL.replace("app: { ", "app: { error_pages: true, ")
}

#[track_caller]
fn is_page(answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"), "{answer:?}");
    let meta = format!("<meta name=\"yeoul-status\" content=\"{status}\">");
    assert!(answer.body.contains(&meta) && answer.body.contains("the app"), "{answer:?}");
    assert!(answer.body.contains("<noscript>"), "{answer:?}");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.all("vary"), ["Accept"], "{answer:?}");
    assert!(answer.header("content-security-policy").is_some());
    assert_eq!(answer.header("etag"), None);
}

#[track_caller]
fn is_problem(answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{answer:?}");
    assert_eq!(answer.json()["status"], status);
}

#[test]
fn a_refusal_is_a_page_of_its_status_to_whom_names_html() {
    let world = World::with(&settings());
    let admin = format!("Bearer {}", world.token_of("a", ADMIN));
    let customer = format!("Bearer {}", world.token("a@b"));
    let (admin, customer) = (("authorization", &*admin), ("authorization", &*customer));
    let bad = ("authorization", "Bearer x");
    let nobody = ("x-nothing", "");
    let cases = [
        // No route has the path: 404, signed in or not.
        ("/nope", nobody, 404),
        ("/nope", bad, 404),
        ("/nope", admin, 404),
        ("/console", nobody, 404),
        ("/mypage/", nobody, 404),
        ("/signin/", customer, 404),
        ("/mypages/a@b/", nobody, 404),
        // A closed route has it: the page to sign in.
        ("/orders/1", nobody, 401),
        ("/orders/1", bad, 401),
        ("/deliveries/1", nobody, 401),
        ("/mypages/a@b", nobody, 401),
        ("/myPages", nobody, 401),
        ("/events/order", nobody, 401),
        ("/oauth/session", nobody, 401),
        // What the gateway refuses otherwise, and what a service does.
        ("/a/../b", nobody, 400),
        ("/events/order", customer, 403),
        ("/oauth/session", customer, 405),
        ("/mypages/other", customer, 404),
        ("/myPages?size=0", customer, 400),
        ("/s/none", nobody, 404),
        ("/orders/none", customer, 404),
        ("/s/busy", nobody, 503),
    ];
    for (path, who, status) in cases {
        let page = get(world.address, path, &[who, HTML]);
        is_page(&page, status);
        let head = send(world.address, "HEAD", path, &[who, HTML], "");
        assert_eq!((head.status, head.body.as_str()), (status, ""), "HEAD {path}");
        for accept in ["application/json", "*/*", "text/html;q=0, */*", "text/*"] {
            let problem = get(world.address, path, &[who, ("accept", accept)]);
            let status = if path == "/nope" && who == nobody { 401 } else { problem.status };
            is_problem(&problem, status);
            assert_eq!(problem.all("vary"), ["Accept"], "{path}");
        }
        let liked_less = ("accept", "application/json, text/html;q=0.1");
        assert_eq!(get(world.address, path, &[who, liked_less]).status, status);
    }
    for method in ["POST", "PUT", "DELETE"] {
        is_problem(&send(world.address, method, "/nope", &[HTML], ""), 401);
        is_problem(&send(world.address, method, "/orders/1", &[HTML], ""), 401);
    }
}

#[test]
fn a_refusals_headers_stay() {
    let world = World::with(&settings());
    let busy = get(world.address, "/s/busy", &[HTML]);
    is_page(&busy, 503);
    assert_eq!((busy.header("retry-after"), busy.header("x-own")), (Some("7"), Some("1")));
    assert!(busy.body.contains("<meta name=\"yeoul-retry-after\" content=\"7\">"));
    let closed = get(world.address, "/orders/1", &[HTML]);
    assert_eq!(closed.header("www-authenticate"), Some("Bearer realm=\"yeoul\""));
    let bad = get(world.address, "/orders/1", &[HTML, ("authorization", "Bearer x")]);
    assert!(bad.header("www-authenticate").is_some_and(|it| it.contains("invalid_token")));
    let customer = format!("Bearer {}", world.token("a@b"));
    let wrong = get(world.address, "/oauth/session", &[HTML, ("authorization", &customer)]);
    assert_eq!(wrong.header("allow"), Some("POST, PUT, DELETE"));
}

#[test]
fn what_is_no_refusal_and_what_is_no_problem_document_stays_what_it_is() {
    let world = World::with(&settings());
    assert_eq!(get(world.address, "/s/x", &[HTML]).json()["body"], "");
    let own = get(world.address, "/s/html", &[HTML]);
    assert_eq!((own.status, own.body.as_str()), (404, "<p>its own</p>"));
    assert_eq!(get(world.address, "/s/fail", &[HTML]).body, "text of the service");
    let page = get(world.address, "/", &[HTML]);
    assert_eq!((page.status, page.header("cache-control")), (200, Some("no-cache")));
    let tag = page.header("etag").expect("a tag").to_owned();
    assert_eq!(get(world.address, "/", &[HTML, ("if-none-match", &tag)]).status, 304);
}

#[test]
fn without_the_setting_no_answer_is_changed() {
    let world = World::new();
    for (path, status) in [("/nope", 401), ("/orders/1", 401), ("/s/none", 404), ("/s/busy", 503)] {
        let answer = get(world.address, path, &[HTML]);
        is_problem(&answer, status);
        assert_eq!(answer.all("vary"), [""; 0], "{path}");
    }
    assert_eq!(get(world.address, "/products/none", &[HTML]).status, 200);
    let count = world.service.seen().iter().filter(|it| it.target == "/products/none").count();
    assert_eq!(count, 0, "nobody was asked");
}

#[test]
fn the_apps_page_of_what_is_not_there_is_a_404() {
    let world = World::with(&settings());
    let page = get(world.address, "/products/1", &[HTML]);
    assert_eq!((page.status, page.header("etag").is_some()), (200, true));
    is_page(&get(world.address, "/products/none", &[HTML]), 404);
    let head = send(world.address, "HEAD", "/products/none", &[HTML], "");
    assert_eq!((head.status, head.body.as_str()), (404, ""));
    // A service that cannot say leaves it to the app.
    for path in ["/products/sick", "/products/broken"] {
        assert_eq!(get(world.address, path, &[HTML]).status, 200, "{path}");
    }
    let slow = get(world.address, "/products/slow", &[HTML]);
    assert_eq!(slow.status, 200);
    assert!(slow.took < Duration::from_secs(3), "{:?}", slow.took);
    let seen = world.service.seen();
    let asked: Vec<_> = seen.iter().filter(|it| it.target.starts_with("/products/")).collect();
    assert!(asked.iter().all(|it| it.method == "HEAD"), "{asked:?}");
    assert!(asked.iter().all(|it| !it.headers.contains_key("authorization")));
    let signed_in = format!("Bearer {}", world.token("a@b"));
    let headers =
        [HTML, ("authorization", &*signed_in), ("if-none-match", "*"), ("via", "1.1 there")];
    is_page(&get(world.address, "/products/none", &headers), 404);
    let last = world.service.seen().pop().expect("asked");
    let passed =
        ["authorization", "cookie", "if-none-match"].map(|it| last.headers.contains_key(it));
    assert_eq!(passed, [false; 3], "in nobody's name, and without conditions");
    assert!(last.headers["via"].to_str().is_ok_and(|via| via.contains("there")), "{last:?}");

    let gone: SocketAddr = (Ipv4Addr::LOCALHOST, 1).into();
    let down = World::at(&settings(), gone);
    assert_eq!(get(down.address, "/products/none", &[HTML]).status, 200);
}

#[test]
fn data_at_the_apps_addresses_is_not_kept_and_varies() {
    let world = World::new();
    let data = get(world.address, "/products/1", &[("accept", "application/json")]);
    assert_eq!((data.status, data.header("cache-control")), (200, Some("no-store")));
    assert_eq!(data.all("vary"), ["Accept"]);
    let page = get(world.address, "/products/1", &[HTML]);
    assert_eq!(page.header("vary"), Some("Accept, Accept-Encoding"));
    // An address of its own keeps what its service says.
    assert_eq!(get(world.address, "/s/x", &[]).header("cache-control"), None);
}

#[test]
fn a_file_of_another_build_is_gone_for_everybody_and_for_nobody_to_keep() {
    for settings in [USUAL.to_owned(), settings()] {
        let world = World::with(&settings);
        for path in ["/assets/old-1.js", "/assets/x/y.css", "/assets/"] {
            for who in
                [("x-nothing", ""), ("authorization", "Bearer x"), ("cookie", "yeoul_session=x")]
            {
                let gone = get(world.address, path, &[who, ("accept", "*/*")]);
                is_problem(&gone, 404);
                assert_eq!(gone.header("cache-control"), Some("no-store"), "{path}");
                assert_eq!(send(world.address, "HEAD", path, &[who], "").status, 404);
            }
        }
        assert_eq!(get(world.address, "/assets/a-1.js", &[]).status, 200);
        assert_eq!(send(world.address, "POST", "/assets/old-1.js", &[], "").status, 401);
    }
}

#[test]
fn every_401_says_what_it_asks_for() {
    let world = World::new();
    let challenge = |method: &str, path: &str, headers: &[(&str, &str)]| {
        let answer = send(world.address, method, path, headers, "");
        assert_eq!(answer.status, 401, "{method} {path}");
        answer.header("www-authenticate").unwrap_or_default().to_owned()
    };
    let bad = ("authorization", "Bearer x");
    for (method, path) in [
        ("GET", "/nope"),
        ("GET", "/orders/1"),
        ("POST", "/orders"),
        ("GET", "/mypages/a@b"),
        ("GET", "/mypages/a@b.html"),
        ("GET", "/mypages/a@b/events"),
        ("GET", "/myPages"),
        ("GET", "/events/order"),
    ] {
        assert_eq!(challenge(method, path, &[]), "Bearer realm=\"yeoul\"", "{path}");
        let invalid = challenge(method, path, &[bad]);
        assert!(
            invalid.starts_with("Bearer realm=\"yeoul\", error=\"invalid_token\""),
            "{invalid}"
        );
    }
    for cookie in ["", "yeoul_refresh=bad"] {
        let renewed = challenge("PUT", "/oauth/session", &[("cookie", cookie)]);
        assert_eq!(renewed, "Bearer realm=\"yeoul\"");
    }
}

/// Heads that are refused before they are parsed, each with the status of its refusal; `ACCEPT` is where a
/// client says what it accepts.
fn refused_heads() -> Vec<(String, u16)> {
    let long = |count: usize| "p".repeat(count);
    let get = "GET /s/x HTTP/1.1\r\nhost: a\r\n";
    vec![
        (format!("GET /{} HTTP/1.1\r\nhost: a\r\nACCEPT\r\n", long(9 << 10)), 414),
        (format!("GET /{} HTTP/1.1\r\nhost: a\r\nACCEPT\r\n", long(40 << 10)), 414),
        (format!("{get}ACCEPTx: {}\r\n\r\n", long(70 << 10)), 431),
        (format!("{get}x: {}\r\nACCEPT\r\n", long(100 << 10)), 431),
        (format!("{get}{}ACCEPT\r\n", "x: y\r\n".repeat(100)), 431),
        (format!("{get}{}: y\r\nACCEPT\r\n", long(2 << 10)), 431),
        (format!("{get}ACCEPTtransfer-encoding: gzip, chunked\r\n\r\n"), 501),
        (format!("{get}transfer-encoding: chunked\r\ncontent-length: 1\r\nACCEPT\r\n"), 400),
        (format!("{get}content-length: x\r\nACCEPT\r\n"), 400),
        (format!("{get}authorization: a\r\nauthorization: a\r\nACCEPT\r\n"), 400),
        (format!("{get}x y: z\r\nACCEPT\r\n"), 400),
        (format!("{get}x: \u{1}\r\nACCEPT\r\n"), 400),
        ("GET /s/caf\u{e9} HTTP/1.1\r\nhost: a\r\nACCEPT\r\n".to_owned(), 400),
        ("GET /s/<x> HTTP/1.1\r\nhost: a\r\nACCEPT\r\n".to_owned(), 400),
        ("GET /s/x HTTP/2.0\r\nhost: a\r\nACCEPT\r\n".to_owned(), 400),
        ("GET  /s/x HTTP/1.1\r\nhost: a\r\nACCEPT\r\n".to_owned(), 400),
        ("GET /s/x HTTP/1.1\nhost: a\nACCEPT\n".to_owned(), 400),
    ]
}

fn asked(address: SocketAddr, text: &str, piece: usize, has_body: bool) -> Answer {
    let mut client = Client::connect(address);
    for piece in text.as_bytes().chunks(piece) {
        client.write(piece);
        pause(Duration::from_millis(2));
    }
    let answer = client.read(has_body).expect("an answer");
    assert_eq!(answer.header("connection"), Some("close"), "{text:.80}");
    assert!(client.read(true).is_none(), "{text:.80}: the connection ends");
    answer
}

#[test]
fn a_head_that_is_refused_before_it_is_read_is_a_page_to_whom_it_names_html_for() {
    let world = World::with(&settings());
    let html = format!("Accept: {BROWSER}\r\n");
    for (text, status) in refused_heads() {
        let browser = text.replace("ACCEPT", &html);
        for piece in [usize::MAX, 24 << 10] {
            is_page(&asked(world.address, &browser, piece, true), status);
        }
        let head = asked(world.address, &browser.replacen("GET", "HEAD", 1), usize::MAX, false);
        assert_eq!(
            (head.status, head.header("content-type")),
            (status, Some("text/html; charset=utf-8"))
        );
        let others = [
            (text.replace("ACCEPT", ""), world.address),
            (text.replace("ACCEPT", "accept: application/json\r\n"), world.address),
            (text.replace("ACCEPT", "accept: text/html;q=0, */*\r\n"), world.address),
            (text.replace("ACCEPT", "x-accept: text/html\r\n"), world.address),
            (browser.replacen("GET", "PUT", 1), world.address),
            (browser.replacen("host: a", "host: localhost", 1), world.inner),
            (browser.replacen("host: a", "host: localhost", 1), world.pages),
        ];
        for (text, address) in others {
            is_problem(&asked(address, &text, usize::MAX, true), status);
        }
    }
    let plain = World::new();
    let text = format!("GET /s/caf\u{e9} HTTP/1.1\r\nhost: a\r\n{html}\r\n");
    is_problem(&asked(plain.address, &text, usize::MAX, true), 400);
}

#[test]
fn what_is_refused_before_it_is_looked_up_is_a_page_too() {
    let world = World::with(&settings());
    for head in [
        "GET /s/x HTTP/1.1\r\n",
        "GET /s/x HTTP/1.1\r\nhost: a\r\nhost: b\r\n",
        "GET http://b/s/x HTTP/1.1\r\nhost: a\r\n",
        "GET * HTTP/1.1\r\nhost: a\r\n",
    ] {
        let ask = |accept: &str| {
            let mut client = Client::connect(world.address);
            client.write(format!("{head}accept: {accept}\r\n\r\n").as_bytes());
            client.read(true).expect("an answer")
        };
        is_page(&ask(BROWSER), 400);
        is_problem(&ask("*/*"), 400);
    }
}

/// A head that is cut by its limit before it says what is accepted: the answer does not wait for it.
#[test]
fn a_refusal_does_not_wait_for_the_rest_of_a_head() {
    let world = World::with(&settings());
    for text in [format!("GET /{}", "p".repeat(9 << 10)), "GET /\u{e9} HTTP/1.1\r\n".to_owned()] {
        let mut client = Client::connect(world.address);
        client.write(text.as_bytes());
        let answer = client.read(true).expect("an answer");
        assert!((400..500).contains(&answer.status), "{answer:?}");
        assert!(answer.took < Duration::from_secs(2), "{:?}", answer.took);
        is_problem(&answer, answer.status);
    }
}
