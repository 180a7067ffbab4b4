//! What a browser is shown where others get data or a problem: the app's page, and a page of the same status.

use super::*;

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

#[test]
fn a_page_of_the_app_with_the_address_of_something_closed_is_for_who_may_see_that() {
    let (who, other) = (MALL.customer(), MALL.customer());
    let placed = MALL.order(&who, MALL.product(10, "cancel"), 1).id;
    let path = format!("/orders/{placed}");
    let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    let ask = |path: &str, who| as_who(MALL.get(path).header("accept", browser), who);
    let page = ask(&path, Some(&who));
    assert_eq!(page.status, 200);
    assert!(page.must("content-type").starts_with("text/html"));
    assert!(page.must("cache-control").contains("private"));
    assert!(page.must("vary").to_lowercase().contains("cookie"));
    is_error_page(&ask(&path, None), 401);
    is_error_page(&ask(&path, Some(&other)), 404);
    is_error_page(&ask("/orders/99999999", Some(&who)), 404);
    let data = as_who(MALL.get(&path).header("accept", "application/json"), Some(&who));
    assert_eq!(data.expect(200).value()["id"], placed);
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
