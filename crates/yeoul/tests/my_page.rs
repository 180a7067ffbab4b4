//! My page: what a customer sees of orders and deliveries, as JSON, as a static page and live;
//! never older than asked for, never another's, and there while the services are not.
//!
//! The scenarios D1 to D14 as far as they can be seen without a browser.

#[path = "my_page/freshness.rs"]
mod freshness;
#[path = "my_page/streams.rs"]
mod streams;
#[path = "support/lib.rs"]
mod support;

use std::sync::LazyLock;
use std::time::Duration;

use serde_json::{Value, json};
use support::{
    Answer, Call, Customer, Folder, Mall, Message, SOON, Stream, eventually, eventually_is,
    overlay, stays, within,
};

static MALL: LazyLock<Mall> = LazyLock::new(Mall::fresh);

/// Ten times the 100 ms in which an event reaches the page.
const SEEN_BY: Duration = Duration::from_secs(1);

fn page_call(mall: &Mall, who: &Customer) -> Call {
    mall.get(&format!("/mypages/{}", who.id)).bearer(&who.token)
}

fn json_page(mall: &Mall, who: &Customer) -> Call {
    page_call(mall, who).header("accept", "application/json")
}

fn html_page(mall: &Mall, who: &Customer) -> Call {
    page_call(mall, who).html()
}

fn live(mall: &Mall, who: &Customer, query: &str, headers: &[(&str, &str)]) -> Stream {
    let bearer = format!("Bearer {}", who.token);
    let headers = [&[("Authorization", bearer.as_str())], headers].concat();
    let path = format!("/mypages/{}/events{query}", who.id);
    Stream::open(mall.base("gateway"), &path, &headers)
}

#[track_caller]
fn etag(answer: &Answer) -> String {
    let etag = answer.must("etag");
    assert!(etag.starts_with('"') && etag.ends_with('"') && etag.len() > 2, "strong: {etag}");
    etag.to_owned()
}

#[test]
fn the_page_shows_the_order_then_its_delivery_then_the_cancellation() {
    let (who, product) = (MALL.customer(), MALL.product(10, "cancel"));
    let placed = MALL.order(&who, product, 3);
    MALL.await_row(&who, placed.id, ("OrderPlaced", Some("DeliveryStarted")));
    let row = MALL.row(&who, placed.id).expect("a row");
    assert_eq!(row["productId"], product);
    assert_eq!(row["quantity"], 3);
    assert_eq!(row["payment"], 30_000);
    assert!(row["productName"].as_str().is_some_and(|name| !name.is_empty()));
    assert!(row["imageUrl"].is_string());
    assert!(row["placedAt"].as_str().is_some_and(|time| time.contains('T')));
    MALL.cancel(&who, placed.id).expect(200);
    MALL.await_row(&who, placed.id, ("OrderCancelled", Some("DeliveryCancelled")));
}

#[test]
fn an_owner_without_rows_has_a_page_too() {
    let who = MALL.customer_named("새내기", "서울시 1");
    eventually_is("the nickname", &json!("새내기"), || MALL.page(&who)["nickname"].clone());
    let page = MALL.page(&who);
    assert_eq!(page["customerId"], who.id.as_str());
    assert_eq!(page["address"], "서울시 1");
    assert_eq!(page["mileage"], 0);
    assert_eq!(page["orders"], json!([]));
    assert!(page["version"].is_u64() && page["position"].is_string());
}

#[test]
fn while_nothing_is_delivered_the_delivery_state_is_null() {
    let (who, product) = (MALL.customer(), MALL.product(1, "cancel"));
    let refused = MALL.order(&who, product, 2);
    MALL.await_row(&who, refused.id, ("OrderCancelled", None));
    assert!(MALL.row(&who, refused.id).expect("a row")["deliveryState"].is_null());
}

#[test]
fn three_orders_and_a_cancellation_add_up_to_the_mileage() {
    let who = MALL.customer();
    let mut placed = Vec::new();
    for (product, quantity, payment, name) in
        [(1, 1, 10_000, "TV"), (2, 2, 40_000, "MASK"), (3, 4, 120_000, "NOTEBOOK")]
    {
        let order = MALL.delivered(&who, product, quantity);
        MALL.await_row(&who, order.id, ("OrderPlaced", Some("DeliveryStarted")));
        let row = MALL.row(&who, order.id).expect("a row");
        assert_eq!((&row["payment"], &row["productName"]), (&json!(payment), &json!(name)));
        placed.push(order.id);
    }
    MALL.await_mileage(&who, 17_000);
    MALL.cancel(&who, placed[2]).expect(200);
    MALL.await_row(&who, placed[2], ("OrderCancelled", Some("DeliveryCancelled")));
    MALL.await_mileage(&who, 5_000);
    let page = MALL.page(&who);
    let rows = page["orders"].as_array().expect("orders");
    let shown: Vec<(u64, &str)> = rows
        .iter()
        .map(|row| {
            (row["orderId"].as_u64().expect("an id"), row["orderState"].as_str().expect("a state"))
        })
        .collect();
    let newest_first =
        [(placed[2], "OrderCancelled"), (placed[1], "OrderPlaced"), (placed[0], "OrderPlaced")];
    assert_eq!(shown, newest_first);
}

#[test]
fn mileage_is_a_tenth_rounded_down_and_taken_back_once() {
    let who = MALL.customer();
    let (mask, odd) = (MALL.product_at(20_000, 10, "cancel"), MALL.product_at(1_999, 10, "cancel"));
    let placed = MALL.order(&who, mask, 2);
    MALL.await_mileage(&who, 4_000);
    let other = MALL.order(&who, odd, 1);
    MALL.await_mileage(&who, 4_199);
    MALL.cancel(&who, placed.id).expect(200);
    MALL.await_mileage(&who, 199);
    MALL.cancel(&who, placed.id).expect(200);
    MALL.cancel(&who, other.id).expect(200);
    MALL.settle();
    MALL.await_mileage(&who, 0);
    let refused = MALL.order(&who, mask, 1000);
    MALL.await_row(&who, refused.id, ("OrderCancelled", None));
    assert_eq!(MALL.page(&who)["mileage"], 0, "what was never counted is not taken back");
}

#[test]
fn the_page_comes_in_slices_newest_first() {
    let (who, product) = (MALL.customer(), MALL.product(100, "cancel"));
    let ids: Vec<u64> = (0..5).map(|_| MALL.order(&who, product, 1).id).collect();
    MALL.settle();
    let slice = |query: &str| {
        let path = format!("/mypages/{}{query}", who.id);
        MALL.get(&path).bearer(&who.token).header("accept", "application/json").send()
    };
    let shown = |query: &str| -> Vec<u64> {
        let page = slice(query).expect(200).value();
        let rows = page["orders"].as_array().expect("orders").clone();
        rows.iter().map(|row| row["orderId"].as_u64().expect("an id")).collect()
    };
    assert_eq!(shown(""), [ids[4], ids[3], ids[2], ids[1], ids[0]]);
    assert_eq!(shown("?size=2"), [ids[4], ids[3]]);
    assert_eq!(shown("?page=1&size=2"), [ids[2], ids[1]]);
    assert_eq!(shown("?page=2&size=2"), [ids[0]]);
    assert_eq!(shown("?page=3&size=2"), [0; 0]);
    assert_eq!(shown("?size=100").len(), 5);
    for (query, field) in [
        ("?size=0", "size"),
        ("?size=101", "size"),
        ("?size=x", "size"),
        ("?page=-1", "page"),
        ("?page=x", "page"),
    ] {
        slice(query).refuses_field(field);
    }
}

#[test]
fn a_page_asked_for_twice_is_not_sent_twice_until_an_event_changes_it() {
    let (who, product) = (MALL.customer(), MALL.product(10, "cancel"));
    let placed = MALL.delivered(&who, product, 1);
    MALL.await_row(&who, placed.id, ("OrderPlaced", Some("DeliveryStarted")));
    for call in [html_page, json_page] {
        let first = call(&MALL, &who).send().expect(200);
        let tag = etag(&first);
        let second = call(&MALL, &who).header("if-none-match", &tag).send().expect(304);
        assert_eq!((etag(&second), second.body.len()), (tag.clone(), 0));
        call(&MALL, &who).header("if-none-match", format!("\"other\", {tag}")).send().expect(304);
        call(&MALL, &who).header("if-none-match", "\"other\"").send().expect(200);
    }
    let before = [html_page, json_page].map(|call| etag(&call(&MALL, &who).send()));
    assert_ne!(before[0], before[1], "JSON has an ETag of its own");
    let next = MALL.order(&who, product, 1);
    for (call, old) in [html_page, json_page].into_iter().zip(&before) {
        within(SEEN_BY, "a new ETag after the event", || {
            let answer = call(&MALL, &who).header("if-none-match", old).send();
            (answer.status == 200 && etag(&answer) != *old).then_some(())
        });
    }
    let text = html_page(&MALL, &who).send().text();
    assert!(text.contains(&next.id.to_string()), "the new order is on the page");
}

#[test]
fn the_static_page_is_private_and_says_what_it_varies_by() {
    let who = MALL.customer();
    let answer = html_page(&MALL, &who).send().expect(200);
    assert_eq!(answer.must("cache-control"), "private, no-cache");
    assert!(answer.must("content-type").starts_with("text/html"));
    let vary = answer.must("vary").to_lowercase();
    let mut named: Vec<&str> = vary.split(',').map(str::trim).collect();
    named.sort_unstable();
    assert_eq!(named, ["accept", "accept-encoding", "accept-language", "cookie"]);
    let same = MALL.get(&format!("/mypages/{}.html", who.id)).bearer(&who.token).send().expect(200);
    assert!(same.must("content-type").starts_with("text/html"));
    let escaped = format!("/mypages/{}", who.id.replace('@', "%40"));
    MALL.get(&escaped).bearer(&who.token).html().send().expect(200);
}

#[test]
fn the_page_speaks_the_cookies_language_then_the_browsers_then_korean() {
    let who = MALL.customer();
    MALL.settle();
    let page = |headers: &[(&str, &str)]| {
        let mut call = html_page(&MALL, &who);
        for (name, value) in headers {
            call = call.header(name, *value);
        }
        let answer = call.send().expect(200);
        (etag(&answer), answer.text())
    };
    let (korean, english) =
        (page(&[("accept-language", "ko")]), page(&[("accept-language", "en")]));
    assert_ne!(korean.0, english.0, "an ETag per locale");
    assert_ne!(korean.1, english.1);
    assert_eq!(page(&[]), korean);
    assert_eq!(page(&[("accept-language", "fr")]), korean);
    assert_eq!(page(&[("accept-language", "ko;q=0.4, en;q=0.9")]), english);
    assert_eq!(page(&[("accept-language", "ko"), ("cookie", "lang=en")]), english);
    assert_eq!(page(&[("accept-language", "en"), ("cookie", "a=b; lang=ko")]), korean);
    assert_eq!(page(&[("accept-language", "en"), ("cookie", "lang=xx")]), english);
}

#[test]
fn the_page_comes_compressed_with_an_etag_of_its_own() {
    let who = MALL.customer();
    MALL.settle();
    let page = |encodings: &str| {
        let answer = html_page(&MALL, &who).header("accept-encoding", encodings).send().expect(200);
        (answer.header("content-encoding").map(str::to_owned), etag(&answer), answer.body)
    };
    let plain = page("identity");
    assert_eq!(plain.0, None);
    for encoding in ["br", "gzip"] {
        let packed = page(encoding);
        assert_eq!(packed.0.as_deref(), Some(encoding));
        assert_ne!(packed.1, plain.1, "an ETag per encoding");
        assert!(packed.2.len() < plain.2.len());
    }
    assert_eq!(page("br;q=0, gzip").0.as_deref(), Some("gzip"));
    assert_eq!(page("gzip;q=0").0, None);
}

#[test]
fn nobody_ever_receives_anothers_page() {
    let (a, b) = (MALL.customer(), MALL.customer());
    let product = MALL.product(10, "cancel");
    let secret = MALL.delivered(&b, product, 1);
    MALL.await_row(&b, secret.id, ("OrderPlaced", Some("DeliveryStarted")));
    let admin = Customer { id: "admin".to_owned(), token: MALL.admin().to_owned() };
    for _ in 0..3 {
        // Cached by now, and asked for by its very ETag.
        let tags = [html_page, json_page].map(|call| etag(&call(&MALL, &b).send().expect(200)));
        for stranger in [&a, &admin] {
            let as_stranger = Customer { id: b.id.clone(), token: stranger.token.clone() };
            for (call, tag) in [html_page, json_page].into_iter().zip(&tags) {
                call(&MALL, &as_stranger).send().expect(404);
                let answer = call(&MALL, &as_stranger).header("if-none-match", tag).send();
                answer.clone().expect(404);
                assert!(!answer.text().contains(&b.id), "names the owner: {}", answer.text());
            }
            assert_eq!(live(&MALL, &as_stranger, "", &[]).status, 404);
        }
    }
    json_page(&MALL, &Customer { id: b.id.clone(), token: "nonsense".into() }).send().problem(401);
    MALL.get(&format!("/mypages/{}", b.id)).send().problem(401);
}

#[test]
fn customers_asking_at_once_each_get_their_own() {
    let product = MALL.product(1000, "cancel");
    let customers: Vec<Customer> = (0..4).map(|_| MALL.customer()).collect();
    std::thread::scope(|scope| {
        for who in &customers {
            scope.spawn(move || {
                for round in 0..30 {
                    if round % 10 == 0 {
                        MALL.order(who, product, 1);
                    }
                    let text = html_page(&MALL, who).send().expect(200).text();
                    assert_eq!(others_in(&text, who), Vec::<&str>::new(), "seen by {}", who.id);
                    assert_eq!(json_page(&MALL, who).send().value()["customerId"], who.id.as_str());
                }
            });
        }
    });
}

/// The customers a page names besides its owner.
fn others_in<'t>(text: &'t str, owner: &Customer) -> Vec<&'t str> {
    let ends = |sign: char| sign.is_whitespace() || "\"'<>/".contains(sign);
    text.split(ends).filter(|word| word.ends_with("@test.example") && *word != owner.id).collect()
}

#[test]
fn a_browser_without_a_session_gets_the_sign_in_page() {
    let who = MALL.customer();
    for path in [format!("/mypages/{}", who.id), format!("/mypages/{}.html", who.id)] {
        let answer = MALL.get(&path).html().send().expect(401);
        assert!(answer.must("content-type").starts_with("text/html"), "{path}");
    }
}

#[test]
fn what_customers_write_is_shown_as_text() {
    let who =
        MALL.customer_named("<script>alert(1)</script>", "</script><img src=x onerror=alert(2)>");
    let product = {
        let name = format!("{}<b onclick=alert(3)>", support::unique("P"));
        let body = json!({"name": name, "price": 1, "stock": 10, "stockPolicy": "cancel"});
        let call = MALL.call("POST", "/products").bearer(MALL.admin()).json(&body);
        call.send().expect(201).value()["id"].as_u64().expect("an id")
    };
    let placed = eventually("the product can be ordered", || {
        let answer = MALL.ordering(&who, &json!({"productId": product, "quantity": 1})).send();
        (answer.status == 201).then(|| support::Placed::of(&answer))
    });
    MALL.await_row(&who, placed.id, ("OrderPlaced", Some("DeliveryStarted")));
    assert_eq!(MALL.page(&who)["nickname"], "<script>alert(1)</script>", "kept as written");
    let text = html_page(&MALL, &who).send().expect(200).text();
    for wrong in ["<script>alert(1)", "</script><img", "<img src=x", "<b onclick"] {
        assert!(!text.contains(wrong), "{wrong}");
    }
}

#[test]
fn the_page_has_a_listener_of_its_own_that_believes_its_neighbours() {
    let (who, product) = (MALL.customer(), MALL.product(10, "cancel"));
    let other = MALL.customer();
    let placed = MALL.delivered(&who, product, 1);
    MALL.await_row(&who, placed.id, ("OrderPlaced", Some("DeliveryStarted")));
    let at = |path: &str| MALL.at("mypage", "GET", path);
    let path = format!("/mypages/{}", who.id);
    let page = at(&path).header("accept", "application/json").send().expect(200).value();
    assert_eq!(page["orders"], MALL.page(&who)["orders"]);
    let html = at(&path).html().send().expect(200);
    assert!(html.must("content-type").starts_with("text/html"));
    at(&path).bearer(&who.token).send().expect(200);
    at(&path).bearer(&other.token).send().problem(404);
    at(&path).bearer(MALL.admin()).send().problem(404);
    at(&path).bearer("nonsense").send().problem(401);
}

#[test]
fn the_aliases_list_ones_own_rows() {
    let (who, other) = (MALL.customer_named("Ann", "Here 1"), MALL.customer());
    let product = MALL.product(10, "cancel");
    let placed = MALL.delivered(&who, product, 1);
    MALL.await_row(&who, placed.id, ("OrderPlaced", Some("DeliveryStarted")));
    for path in ["/myPages".to_owned(), format!("/mypage/order/{}", who.id)] {
        let rows = MALL.get(&path).bearer(&who.token).send().embedded("mypages");
        assert_eq!(rows.len(), 1, "{path}");
        assert_eq!(rows[0]["orderId"], placed.id, "{path}");
        MALL.get(&path).send().problem(401);
    }
    assert_eq!(
        MALL.get("/myPages").bearer(&other.token).send().embedded("mypages"),
        Vec::<Value>::new()
    );
    // On the service's own port nothing is narrowed where nobody says who asks.
    let everybody = MALL.at("mypage", "GET", "/myPages?size=100").send().embedded("mypages");
    assert!(everybody.iter().any(|row| row["orderId"] == placed.id), "{everybody:?}");
    let user =
        MALL.get(&format!("/users/{}", who.id)).bearer(&who.token).send().expect(200).value();
    assert_eq!(
        (&user["id"], &user["nickname"], &user["address"]),
        (&json!(who.id), &json!("Ann"), &json!("Here 1"))
    );
    assert_eq!(user["mileage"], 1_000);
    let mileage = format!("/mypage/mileage/{}", who.id);
    let counted = MALL.get(&mileage).bearer(&who.token).send().expect(200).value();
    assert_eq!(counted, json!({"userId": who.id, "mileage": 1_000}));
    assert_eq!(MALL.at("mypage", "GET", &mileage).send().expect(200).value(), counted);
    for path in [format!("/mypage/order/{}", who.id), format!("/users/{}", who.id), mileage.clone()]
    {
        MALL.get(&path).bearer(&other.token).send().problem(404);
        MALL.get(&path).bearer(MALL.admin()).send().problem(404);
    }
}
