//! My page: what a customer sees of orders and deliveries, as JSON, as a static page and live;
//! never older than asked for, never another's, and there while the services are not.
//!
//! The scenarios D1 to D14 as far as they can be seen without a browser.

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

#[track_caller]
fn etag(answer: &Answer) -> String {
    let etag = answer.must("etag");
    assert!(etag.starts_with('"') && etag.ends_with('"') && etag.len() > 2, "strong: {etag}");
    etag.to_owned()
}

fn live(mall: &Mall, who: &Customer, query: &str, headers: &[(&str, &str)]) -> Stream {
    let bearer = format!("Bearer {}", who.token);
    let headers = [&[("Authorization", bearer.as_str())], headers].concat();
    let path = format!("/mypages/{}/events{query}", who.id);
    Stream::open(mall.base("gateway"), &path, &headers)
}

/// The states a row went through in a stream, as `order/delivery`.
fn states(messages: &[Message], order: u64) -> Vec<String> {
    let mut seen: Vec<String> = messages
        .iter()
        .filter(|message| message.event == "order" && message.data["orderId"] == order)
        .map(|message| {
            let text = |state: &Value| state.as_str().unwrap_or("-").to_owned();
            format!(
                "{}/{}",
                text(&message.data["orderState"]),
                text(&message.data["deliveryState"])
            )
        })
        .collect();
    seen.dedup();
    seen
}

fn shows(order: u64, order_state: &str, delivery_state: &str) -> impl Fn(&Message) -> bool {
    move |message| {
        message.event == "order"
            && message.data["orderId"] == order
            && message.data["orderState"] == order_state
            && message.data["deliveryState"] == delivery_state
    }
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
fn a_page_asked_for_with_a_position_has_the_write_in_it() {
    let (who, product) = (MALL.customer(), MALL.product(1000, "cancel"));
    for _ in 0..30 {
        let placed = MALL.order(&who, product, 1);
        let answer = json_page(&MALL, &who).header("yeoul-position", &placed.position).send();
        let page = answer.expect(200).value();
        assert_eq!(page["orders"][0]["orderId"], placed.id);
    }
    let placed = MALL.delivered(&who, product, 1);
    let answer = MALL.cancel(&who, placed.id).expect(200);
    let position = answer.must("yeoul-position").to_owned();
    let page = html_page(&MALL, &who).header("yeoul-position", &position).send().expect(200);
    assert!(page.text().contains(&placed.id.to_string()));
    let page = json_page(&MALL, &who).header("yeoul-position", &position).send().value();
    assert_eq!(page["orders"][0]["orderState"], "OrderCancelled");
    let again = MALL.cancel(&who, placed.id).expect(200);
    let latest = again.must("yeoul-position");
    json_page(&MALL, &who).header("yeoul-position", latest).send().expect(200);
}

#[test]
fn every_write_that_my_page_shows_has_a_position_to_wait_for() {
    let username = format!("{}@test.example", support::unique("w"));
    let user =
        json!({"username": username, "password": "12345678", "nickname": "Ann", "address": "A"});
    let signed_up = MALL.call("POST", "/oauth/users").json(&user).send().expect(201);
    let who = MALL.sign_in(&username, "12345678");
    let after = |write: &Answer| {
        let call = json_page(&MALL, &who).header("yeoul-position", write.must("yeoul-position"));
        call.send().expect(200).value()
    };
    assert_eq!(after(&signed_up)["nickname"], "Ann");

    let product = MALL.product(10, "cancel");
    let placed = MALL.delivered(&who, product, 1);
    let completed = MALL.move_delivery(placed.id, "DeliveryCompleted").expect(200);
    assert_eq!(after(&completed)["orders"][0]["deliveryState"], "DeliveryCompleted");
    let call = MALL.call("PATCH", &format!("/products/{product}")).bearer(MALL.admin());
    let changed = call.json(&json!({"imageUrl": "/goods/img/CLOCK.svg"})).send().expect(200);
    assert_eq!(after(&changed)["orders"][0]["imageUrl"], "/goods/img/CLOCK.svg");

    let next = MALL.order(&who, product, 1);
    for path in ["/myPages".to_owned(), format!("/mypage/order/{}", who.id)] {
        let call = MALL.get(&path).bearer(&who.token).header("yeoul-position", &next.position);
        assert_eq!(call.send().embedded("mypages")[0]["orderId"], next.id, "{path}");
    }
}

#[test]
fn a_position_of_another_kind_or_none_at_all_is_refused() {
    let (who, product) = (MALL.customer(), MALL.product(10, "cancel"));
    let placed = MALL.delivered(&who, product, 1);
    MALL.await_row(&who, placed.id, ("OrderPlaced", Some("DeliveryStarted")));
    let of_a_page = MALL.page(&who)["position"].as_str().expect("a position").to_owned();
    let event = MALL.events_of("order", placed.id).pop().expect("an event");
    let of_a_topic = event["position"].as_str().expect("a position");
    for wrong in [of_a_page.as_str(), of_a_topic, "nonsense", "17", "%00", "-"] {
        json_page(&MALL, &who).header("yeoul-position", wrong).send().problem(400);
        html_page(&MALL, &who).header("yeoul-position", wrong).send().expect(400);
    }
    for kind in [placed.position.as_str(), of_a_page.as_str(), of_a_topic] {
        let url_safe = |sign: char| sign.is_ascii_alphanumeric() || "-._~".contains(sign);
        assert!(kind.chars().all(url_safe), "{kind}");
    }
}

#[test]
fn a_page_is_never_older_than_asked_for() {
    let mall = Mall::fresh();
    let (who, product) = (mall.customer(), mall.product(100, "cancel"));
    mall.settle();
    let fresh = json_page(&mall, &who).send().expect(200);
    assert_eq!(fresh.header("yeoul-stale-since"), None);
    mall.stop("mypage");
    let placed = mall.order(&who, product, 1);
    let ask = |prefer: Option<&str>| {
        let call = json_page(&mall, &who).header("yeoul-position", &placed.position);
        prefer.into_iter().fold(call, |call, wait| call.header("prefer", wait)).send()
    };
    let waited = ask(None);
    waited.refusal(504);
    assert!(waited.took >= Duration::from_secs(2) && waited.took < 2 * SOON, "{:?}", waited.took);
    let longer = ask(Some("wait=3"));
    longer.refusal(504);
    assert!(longer.took >= Duration::from_secs(3) && longer.took < 3 * SOON, "{:?}", longer.took);

    // Without a position it is what there is, and says since when.
    for call in [html_page, json_page] {
        let stale = call(&mall, &who).send().expect(200);
        let since = stale.must("yeoul-stale-since");
        assert!(since.contains('T') && since.len() >= 20, "RFC 3339: {since}");
    }
    assert!(mall.at("mypage", "GET", &format!("/mypages/{}", who.id)).try_send().is_err());

    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| ask(Some("wait=20")));
        support::pause(Duration::from_millis(200));
        mall.start("mypage");
        let page = waiting.join().expect("a reader").expect(200).value();
        assert_eq!(page["orders"][0]["orderId"], placed.id);
    });
    mall.await_row(&who, placed.id, ("OrderPlaced", Some("DeliveryStarted")));
    assert_eq!(json_page(&mall, &who).send().header("yeoul-stale-since"), None);
}

#[test]
fn a_page_that_misses_an_event_given_up_says_since_when_until_it_is_done() {
    let mall = Mall::fresh();
    let (who, other) = (mall.customer(), mall.customer());
    let product = mall.product(100, "cancel");
    mall.delivered(&other, product, 1);
    let fault = json!({"on": "OrderPlaced", "match": {"customerId": who.id}, "fail_rate": 1});
    mall.fault("mypage", &fault);
    let missed = mall.order(&who, product, 1);
    let since = |call: Call| call.send().expect(200).header("yeoul-stale-since").map(str::to_owned);
    let stamp = eventually("the page says since when", || since(json_page(&mall, &who)));
    assert!(stamp.contains('T') && stamp.len() >= 20, "RFC 3339: {stamp}");
    assert_eq!(since(html_page(&mall, &who)), Some(stamp));
    assert_eq!(since(json_page(&mall, &other)), None, "who misses nothing");
    mall.mend("mypage");
    let key = json!(missed.id.to_string());
    let letter =
        eventually("a dead letter", || mall.dead().into_iter().find(|letter| letter["key"] == key));
    mall.redrive(letter["id"].as_str().expect("an id")).expect(202);
    mall.await_row(&who, missed.id, ("OrderPlaced", Some("DeliveryStarted")));
    eventually("the page follows again", || since(json_page(&mall, &who)).is_none().then_some(()));
}

/// A public page of products beside the private one of customers.
const PUBLIC: &str = "
views:
  goods:
    topics: [product]
    key: productId
    owner: productId
    on:
      ProductChanged: { create: { productId: event.productId, stock: event.stock } }
pages:
  goods: { path: '/stock/{id}', view: goods, by: productId, private: false, template: goods.html, live: { row: good } }
  orders: { path: '/open/{id}', view: orders, by: customerId, private: false, template: goods.html, live: { row: order } }
";

#[test]
fn a_public_page_never_streams_the_rows_of_a_private_one_with_the_same_id() {
    let folder = Folder::new();
    let file = overlay(folder.path(), "pages.yaml", PUBLIC);
    overlay(folder.path(), "goods.html", "<p>{{ page.id }}</p>");
    let settings = ["-c", file.to_str().expect("a path")];
    let Some(mall) = Mall::owned(&settings) else { return };
    let product = mall.product(100, "cancel");
    let who = Customer { id: product.to_string(), token: mall.admin().to_owned() };
    let goods = |query: &str| {
        let path = format!("/stock/{product}/events{query}");
        Stream::open(mall.base("gateway"), &path, &[])
    };
    let mut stream = goods("");
    let first = stream.until("the page", |message| message.event == "reset").remove(0);
    let (_, feed) = first.id.split_once('.').expect("a feed's name");
    let mut resumed = goods(&format!("?after=f0.{feed}"));
    let body = json!({"productId": product, "quantity": 1, "customerId": who.id,
        "customerName": "Seven", "customerAddr": "Somewhere 1"});
    let placed = mall.ordering(&who, &body).send().expect(201).value();
    let open = |id: &str| mall.get(&format!("/open/{id}")).send().expect(200).value();
    eventually("the order is on its customer's page", || {
        open(&who.id)["orders"].as_array().is_some_and(|rows| rows.len() == 1).then_some(())
    });
    assert_eq!(open(&who.id)["orders"][0]["orderId"], placed["id"]);
    let mut seen = resumed.until("a change of the product", |message| message.event == "good");
    while let Some(message) = stream.next_within(Duration::from_millis(500)) {
        seen.push(message);
    }
    for message in &seen {
        assert!(message.data.get("orderId").is_none() && message.event != "order", "{message:?}");
    }
    mall.get(&format!("/mypages/{product}/events?after=f0.{feed}")).send().expect(401);
    let page = mall.get(&format!("/stock/{product}")).send().expect(200).value();
    assert_eq!(page["goods"].as_array().map(Vec::len), Some(1), "{page}");
    assert!(!page.to_string().contains("orderId"), "{page}");
}

#[test]
fn a_position_whose_event_is_parked_is_504_and_nobody_elses() {
    let mall = Mall::fresh();
    let (who, other) = (mall.customer(), mall.customer());
    let product = mall.product(100, "cancel");
    let first = mall.delivered(&who, product, 1);
    let fault = json!({"on": "OrderPlaced", "match": {"customerId": who.id}, "fail_rate": 1});
    mall.fault("mypage", &fault);
    let (parked, good) = (mall.order(&who, product, 1), mall.order(&other, product, 1));
    let read = |who: &Customer, position: &str| {
        json_page(&mall, who).header("yeoul-position", position).send()
    };
    let seen = read(&other, &good.position).expect(200).value();
    assert_eq!(seen["orders"][0]["orderId"], good.id);
    read(&who, &parked.position).refusal(504);
    let seen = read(&who, &first.position).expect(200).value();
    assert_eq!(seen["orders"][0]["orderId"], first.id);

    let letter = eventually("the event is given up", || mall.dead().pop());
    mall.mend("mypage");
    mall.redrive(letter["id"].as_str().expect("an id")).expect(202);
    eventually_is("nothing waits", &Vec::<Value>::new(), || mall.dead());
    mall.settle();
    let seen = read(&who, &parked.position).expect(200).value();
    assert_eq!(seen["orders"][0]["orderId"], parked.id);
}

#[test]
fn the_page_is_served_while_the_services_are_down() {
    let mall = Mall::fresh();
    let (who, product) = (mall.customer(), mall.product(100, "cancel"));
    let placed = mall.delivered(&who, product, 1);
    mall.settle();
    let (before, page) = (mall.page(&who), html_page(&mall, &who).send().expect(200));
    assert_eq!(before["orders"][0]["orderId"], placed.id);
    mall.stop("delivery");
    assert_eq!(mall.page(&who), before);
    for service in ["order", "product", "account"] {
        mall.stop(service);
    }
    assert_eq!(mall.page(&who), before);
    let again = html_page(&mall, &who).send().expect(200);
    assert_eq!((etag(&again), again.body), (etag(&page), page.body));
    mall.get("/orders").bearer(&who.token).send().refusal(503);
    let mut stream = live(&mall, &who, "", &[]);
    let reset = stream.until("the page", |message| message.event == "reset");
    assert_eq!(reset[0].data["orders"], before["orders"]);
}

#[test]
fn a_live_page_shows_every_step_and_the_mileage() {
    let (who, product) = (MALL.customer(), MALL.product(10, "cancel"));
    MALL.settle();
    let position = MALL.page(&who)["position"].as_str().expect("a position").to_owned();
    let mut stream = live(&MALL, &who, &format!("?after={position}"), &[]);
    assert_eq!(stream.status, 200);
    assert!(stream.head.contains("content-type: text/event-stream"), "{}", stream.head);
    let placed = MALL.order(&who, product, 2);
    let mut seen = stream.until("the delivery", shows(placed.id, "OrderPlaced", "DeliveryStarted"));
    assert!(seen.iter().all(|message| message.event != "reset"), "continued: {seen:?}");
    MALL.move_delivery(placed.id, "DeliveryCompleted").expect(200);
    seen.extend(stream.until("completion", shows(placed.id, "OrderPlaced", "DeliveryCompleted")));
    let states = states(&seen, placed.id);
    assert_eq!(states.first().map(String::as_str), Some("PENDING/-"), "{states:?}");
    assert_eq!(
        states[states.len() - 2..],
        ["OrderPlaced/DeliveryStarted", "OrderPlaced/DeliveryCompleted"]
    );
    let row = seen.iter().rfind(|message| message.event == "order").expect("a row");
    assert_eq!(Some(&row.data), MALL.row(&who, placed.id).as_ref(), "the row as the page has it");
    let customer = seen.iter().rfind(|message| message.event == "customer").expect("a customer");
    assert_eq!(customer.data["mileage"], 2_000);
    assert_eq!(customer.data["nickname"], "Someone");
    assert_eq!(customer.data["address"], "Somewhere 1");
    assert!(seen.iter().all(|message| !message.id.is_empty()), "{seen:?}");
}

#[test]
fn a_stream_taken_up_again_misses_nothing_and_repeats_nothing() {
    let (who, product) = (MALL.customer(), MALL.product(100, "cancel"));
    MALL.settle();
    let position = MALL.page(&who)["position"].as_str().expect("a position").to_owned();
    let mut whole = live(&MALL, &who, &format!("?after={position}"), &[]);
    let mut cut = live(&MALL, &who, &format!("?after={position}"), &[]);
    let mut pieces = Vec::new();
    let mut last = 0;
    for _ in 0..5 {
        last = MALL.order(&who, product, 1).id;
        pieces.extend(cut.next_within(SOON));
        let id = pieces.last().map(|message| message.id.clone()).expect("something came");
        drop(cut);
        cut = live(&MALL, &who, "", &[("Last-Event-ID", &id)]);
    }
    MALL.await_row(&who, last, ("OrderPlaced", Some("DeliveryStarted")));
    MALL.cancel(&who, last).expect(200);
    let done = shows(last, "OrderCancelled", "DeliveryCancelled");
    let expected = whole.until("the last change", &done);
    pieces.extend(cut.until("the last change", &done));
    assert_eq!(pieces, expected);
}

#[test]
fn a_stream_without_a_position_starts_with_the_page() {
    let (who, product) = (MALL.customer(), MALL.product(10, "cancel"));
    let placed = MALL.delivered(&who, product, 1);
    MALL.settle();
    let page = MALL.page(&who);
    let mut stream = live(&MALL, &who, "", &[]);
    let first = stream.next_within(SOON).expect("something comes");
    assert_eq!(first.event, "reset");
    for member in ["customerId", "mileage", "orders", "version"] {
        assert_eq!(first.data[member], page[member], "{member}");
    }
    MALL.cancel(&who, placed.id).expect(200);
    stream.until("what comes after", shows(placed.id, "OrderCancelled", "DeliveryCancelled"));
}

#[test]
fn a_stream_carries_its_owners_changes_alone() {
    let (who, other) = (MALL.customer(), MALL.customer());
    let product = MALL.product(100, "cancel");
    MALL.settle();
    let mut stream = live(&MALL, &who, "", &[]);
    stream.until("the page", |message| message.event == "reset");
    MALL.delivered(&other, product, 1);
    MALL.settle();
    let mine = MALL.order(&who, product, 1);
    let seen = stream.until("my own order", shows(mine.id, "OrderPlaced", "DeliveryStarted"));
    let strange =
        |message: &&Message| message.event == "order" && message.data["orderId"] != mine.id;
    assert_eq!(seen.iter().find(strange), None);
    let anonymous = Stream::open(MALL.base("gateway"), &format!("/mypages/{}/events", who.id), &[]);
    assert_eq!(anonymous.status, 401);
}

#[test]
fn a_picture_that_changes_changes_on_the_page() {
    let (who, product) = (MALL.customer(), MALL.product(10, "cancel"));
    let placed = MALL.delivered(&who, product, 1);
    MALL.await_row(&who, placed.id, ("OrderPlaced", Some("DeliveryStarted")));
    let call = MALL.call("PATCH", &format!("/products/{product}")).bearer(MALL.admin());
    call.json(&json!({"imageUrl": "/goods/img/MASK.svg", "price": 1})).send().expect(200);
    eventually_is("the picture", &json!("/goods/img/MASK.svg"), || {
        MALL.row(&who, placed.id).expect("a row")["imageUrl"].clone()
    });
    assert_eq!(
        MALL.row(&who, placed.id).expect("a row")["payment"],
        10_000,
        "what was agreed stays"
    );
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

#[test]
fn a_quiet_page_stays_the_same_version() {
    let who = MALL.customer();
    MALL.settle();
    let version = MALL.page(&who)["version"].clone();
    stays("the version", Duration::from_millis(200), &version, || {
        MALL.page(&who)["version"].clone()
    });
}
