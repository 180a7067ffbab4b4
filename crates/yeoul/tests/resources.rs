//! Resources: the shape of everything that is listed, read, made and changed, and what happens to
//! what does not fit.

#[path = "resources/description.rs"]
mod description;
#[path = "resources/orders.rs"]
mod orders;
#[path = "support/lib.rs"]
mod support;

use std::sync::LazyLock;

use serde_json::{Value, json};
use support::{
    Answer, Call, Mall, Placed, described, eventually, eventually_is, kinds, sent, unique,
};

static MALL: LazyLock<Mall> = LazyLock::new(Mall::fresh);

fn as_admin(method: &str, path: &str) -> Call {
    MALL.call(method, path).bearer(MALL.admin())
}

fn ids(list: &[Value], member: &str) -> Vec<u64> {
    list.iter().map(|one| one[member].as_u64().expect("an id")).collect()
}

#[test]
fn the_shop_opens_with_five_products() {
    let list = MALL.get("/products?size=5").send().embedded("products");
    let names = ["TV", "MASK", "NOTEBOOK", "TABLE", "CLOCK"];
    for (at, (product, name)) in list.iter().zip(names).enumerate() {
        let number = at as u64 + 1;
        assert_eq!(product["id"], number);
        assert_eq!(product["name"], name);
        assert_eq!(product["price"], number * 10_000);
        assert_eq!(product["stock"], number * 10);
        let policy = if name == "TABLE" { "reject" } else { "cancel" };
        assert_eq!(product["stockPolicy"], policy, "{name}");
        assert!(product["imageUrl"].is_string() && product["version"].is_u64(), "{product}");
        assert!(product["options"].is_array(), "{product}");
    }
    assert_eq!(list.len(), 5);
}

#[test]
fn a_product_reads_the_same_at_every_address_it_has() {
    let whole = MALL.get("/products/3").send().expect(200).value();
    for path in ["/product/3", "/inventories/3"] {
        let other = MALL.get(path).send().expect(200).value();
        for member in
            ["id", "name", "price", "stock", "imageUrl", "options", "stockPolicy", "version"]
        {
            assert_eq!(other[member], whole[member], "{path}: {member}");
        }
    }
    MALL.at("product", "GET", "/product/3").send().expect(200);
    let replica = MALL.at("order", "GET", "/products/3").send().expect(200).value();
    for member in ["id", "name", "price", "imageUrl", "stockPolicy"] {
        assert_eq!(replica[member], whole[member], "the replica's {member}");
    }
    let listed = MALL.get("/inventories?size=2").send().embedded("products");
    assert_eq!(ids(&listed, "id"), [1, 2]);
}

#[test]
fn a_products_picture_is_a_picture() {
    for product in MALL.get("/products?size=5").send().embedded("products") {
        let url = product["imageUrl"].as_str().expect("an imageUrl");
        assert!(url.starts_with("/goods/img/"), "{url}");
        let answer = MALL.get(url).send().expect(200);
        assert!(answer.must("content-type").starts_with("image/"), "{url}");
        assert!(!answer.body.is_empty());
    }
    MALL.get("/goods/img/nosuch").send().problem(404);
}

#[test]
fn lists_are_cut_into_pages_within_limits() {
    let who = MALL.customer();
    let product = MALL.product(1000, "cancel");
    let orders: Vec<u64> = (0..3).map(|_| MALL.order(&who, product, 1).id).collect();
    let get = |path: &str| MALL.get(path).bearer(&who.token).send();
    let body = get("/orders?size=2").expect(200).value();
    assert_eq!(ids(body["_embedded"]["orders"].as_array().expect("orders"), "id"), orders[..2]);
    assert!(body["_links"]["self"]["href"].is_string(), "{body}");
    assert_eq!(body["page"], json!({"size": 2, "totalElements": 3, "totalPages": 2, "number": 0}));
    assert_eq!(ids(&get("/orders?size=2&page=1").embedded("orders"), "id"), orders[2..]);
    assert_eq!(get("/orders?size=2&page=9").embedded("orders"), Vec::<Value>::new());
    let default = get("/orders").expect(200).value();
    assert_eq!((&default["page"]["size"], &default["page"]["number"]), (&json!(20), &json!(0)));

    let search = format!("/orders/search/findByCustomerId?customerId={}", who.id);
    for (path, list) in [
        ("/orders", "orders"),
        ("/products", "products"),
        ("/deliveries", "deliveries"),
        (search.as_str(), "orders"),
    ] {
        let ask = |query: &str| {
            get(&format!("{path}{}{query}", if path.contains('?') { '&' } else { '?' }))
        };
        for good in ["size=1", "size=100", "page=0", "page=1000"] {
            ask(good).embedded(list);
        }
        for (bad, field) in [
            ("size=0", "size"),
            ("size=101", "size"),
            ("size=-1", "size"),
            ("size=x", "size"),
            ("size=1.5", "size"),
            ("page=-1", "page"),
            ("page=x", "page"),
            ("page=99999999999999999999999", "page"),
        ] {
            ask(bad).refuses_field(field);
        }
    }
}

#[test]
fn a_search_without_a_hit_is_an_empty_list() {
    let who = MALL.customer();
    for (path, list) in [
        ("/products/search/findByName?name=nothing+of+the+kind".to_owned(), "products"),
        (format!("/orders/search/findByCustomerId?customerId={}", who.id), "orders"),
        (
            "/deliveries/search/findByOrderIdOrderByDeliveryIdDesc?orderId=99999999".to_owned(),
            "deliveries",
        ),
    ] {
        assert_eq!(MALL.get(&path).bearer(&who.token).send().embedded(list), Vec::<Value>::new());
    }
    let found = MALL.get("/products/search/findByName?name=NOTEBOOK").send().embedded("products");
    assert_eq!(ids(&found, "id"), [3]);
    let wrong = "/deliveries/search/findByOrderIdOrderByDeliveryIdDesc?orderId=x";
    MALL.get(wrong).bearer(&who.token).send().refuses_field("orderId");
}

#[test]
fn an_id_that_is_no_id_is_a_404_in_a_path() {
    for id in ["0", "-1", "x", "1.5", "1e3", "99999999999999999999999999", "+1", "%201", "01x"] {
        MALL.get(&format!("/products/{id}")).send().problem(404);
        for path in [format!("/orders/{id}"), format!("/deliveries/{id}")] {
            as_admin("GET", &path).send().problem(404);
        }
        as_admin("DELETE", &format!("/orders/{id}")).send().problem(404);
        as_admin("PATCH", &format!("/deliveries/{id}"))
            .json(&json!({"deliveryState": "DeliveryCompleted"}))
            .send()
            .problem(404);
    }
    as_admin("GET", "/orders/99999999").send().problem(404);
}

#[test]
fn a_product_is_registered_changed_and_taken_away() {
    let name = unique("P");
    let body = json!({"name": name, "price": "12000", "stock": "7", "imageUrl": "/goods/img/TV", "unheard": true});
    let answer = as_admin("POST", "/products").json(&body).send().expect(201);
    let product = answer.value();
    let id = product["id"].as_u64().expect("an id");
    assert_eq!(answer.must("location"), format!("/products/{id}"));
    answer.must("yeoul-position");
    assert_eq!(
        (&product["name"], &product["price"], &product["stock"]),
        (&json!(name), &json!(12_000), &json!(7))
    );
    assert_eq!(product["stockPolicy"], "cancel");
    let path = format!("/products/{id}");
    eventually_is("the replica", &7, || {
        let answer = MALL.at("order", "GET", &path).send();
        if answer.status == 200 { answer.value()["stock"].as_u64().unwrap_or(0) } else { 0 }
    });

    let patched =
        as_admin("PATCH", &path).json(&json!({"price": 13_000})).send().expect(200).value();
    assert_eq!((&patched["price"], &patched["name"]), (&json!(13_000), &json!(name)));
    let put = json!({"name": name, "price": 14_000, "stock": 20, "stockPolicy": "reject", "imageUrl": "/goods/img/MASK"});
    let put = as_admin("PUT", &path).json(&put).send().expect(200).value();
    assert_eq!(
        (&put["price"], &put["stock"], &put["stockPolicy"]),
        (&json!(14_000), &json!(20), &json!("reject"))
    );
    assert_eq!(MALL.get(&path).send().expect(200).value()["price"], 14_000);
    eventually_is("the replica", &20, || MALL.replica(id));

    as_admin("DELETE", &path).send().expect(204);
    MALL.get(&path).send().problem(404);
    MALL.get(&format!("/product/{id}")).send().problem(404);
    let who = MALL.customer();
    eventually("order knows it as deleted", || {
        let order = json!({"productId": id, "quantity": 1});
        (MALL.ordering(&who, &order).send().status == 404).then_some(())
    });
    as_admin("PATCH", &path).json(&json!({"price": 1})).send().problem(404);

    let events = eventually("the deletion is on the topic", || {
        let events = MALL.events_of("product", id);
        let last = events.iter().rfind(|event| event["type"] == "ProductChanged")?;
        (last["data"]["deleted"] == true).then(|| events.clone())
    });
    let changes: Vec<&Value> =
        events.iter().filter(|event| event["type"] == "ProductChanged").collect();
    let versions: Vec<u64> =
        changes.iter().map(|event| event["data"]["version"].as_u64().expect("a version")).collect();
    assert!(versions.windows(2).all(|pair| pair[0] < pair[1]), "{versions:?}");
    assert_eq!(changes.len(), 4);
    let first = &changes[0]["data"];
    for (member, value) in [
        ("productId", json!(id)),
        ("productName", json!(name)),
        ("productPrice", json!(12_000)),
        ("productStock", json!(7)),
        ("imageUrl", json!("/goods/img/TV")),
        ("stockPolicy", json!("cancel")),
        ("deleted", json!(false)),
    ] {
        assert_eq!(first[member], value, "{member}");
    }
}

#[test]
fn a_product_that_makes_no_sense_is_not_registered() {
    let good = json!({"name": "P", "price": 1, "stock": 0});
    let with = |member: &str, value: Value| {
        let mut body = good.clone();
        body[member] = value;
        body
    };
    for (field, values) in [
        ("name", vec![json!(null), json!(""), json!(5)]),
        ("price", vec![json!(null), json!(-1), json!("x"), json!(1.5), json!(true)]),
        ("stock", vec![json!(-1), json!("x"), json!(1.5)]),
        ("stockPolicy", vec![json!("nonsense"), json!("backorder"), json!(1)]),
    ] {
        for value in values {
            eprintln!("{field}: {value}");
            as_admin("POST", "/products").json(&with(field, value)).send().refuses_field(field);
        }
    }
    as_admin("POST", "/products").content("text/plain", "x").send().problem(415);
}

#[test]
fn a_restock_adds_to_the_stock_and_is_told_of() {
    let product = MALL.product(7, "cancel");
    let path = format!("/products/{product}/restock");
    let restock = |quantity: Value| as_admin("POST", &path).json(&json!({"quantity": quantity}));
    assert_eq!(restock(json!(3)).send().expect(200).value()["stock"], 10);
    assert_eq!(restock(json!("5")).send().expect(200).value()["stock"], 15);
    eventually_is("the replica", &15, || MALL.replica(product));
    let event = eventually("ProductRestocked is on the topic", || {
        let events = MALL.events_of("product", product);
        events.into_iter().find(|event| event["type"] == "ProductRestocked")
    });
    assert_eq!((&event["data"]["stock"], &event["data"]["added"]), (&json!(10), &json!(3)));

    for quantity in [json!(0), json!(-1), json!("x"), json!(null), json!(1.5)] {
        restock(quantity).send().refuses_field("quantity");
    }
    let none = as_admin("POST", "/products/999999/restock").json(&json!({"quantity": 1}));
    none.send().problem(404);
    let who = MALL.customer();
    let call = MALL.call("POST", &path).json(&json!({"quantity": 1}));
    call.clone().send().problem(401);
    call.bearer(&who.token).send().problem(403);

    let keyed = |quantity: u64| restock(json!(quantity)).header("idempotency-key", "more").send();
    let added = keyed(4).expect(200).value();
    assert_eq!(keyed(4).expect(200).value(), added);
    keyed(5).problem(422);
    assert_eq!(MALL.stock(product), 19);
}

#[test]
fn a_key_holds_for_products_too() {
    let key = unique("key");
    let keyed = |path: &str, body: &Value| {
        as_admin("POST", path).json(body).header("idempotency-key", &key).send()
    };
    let goods = json!({"name": unique("P"), "price": 1, "stock": 5});
    let first = keyed("/products", &goods).expect(201).value();
    assert_eq!(keyed("/products", &goods).expect(201).value(), first);
}

#[test]
fn whole_numbers_may_be_digits_in_quotes() {
    let who = MALL.customer();
    let product = MALL.product(100, "cancel").to_string();
    // As `http POST :8088/orders productId=1 quantity=3` sends it.
    let placed =
        Placed::of(&MALL.ordering(&who, &json!({"productId": product, "quantity": "3"})).send());
    assert_eq!(placed.body["quantity"], 3);
    for wrong in ["+3", " 3", "3 ", "3.0", "0x3", "3e0", "", "３"] {
        MALL.ordering(&who, &json!({"productId": product, "quantity": wrong}))
            .send()
            .refuses_field("quantity");
    }
}

#[test]
fn a_user_is_shown_with_what_others_may_not_see() {
    let who = MALL.customer_named("Ann", "Here 1");
    let user = eventually("the user is known", || {
        let answer = MALL.get(&format!("/users/{}", who.id)).bearer(&who.token).send();
        (answer.status == 200 && answer.value()["nickname"] == "Ann").then(|| answer.value())
    });
    assert_eq!(user, json!({"id": who.id, "nickname": "Ann", "address": "Here 1", "mileage": 0}));
    let mileage = MALL.get(&format!("/mypage/mileage/{}", who.id)).bearer(&who.token).send();
    assert_eq!(mileage.expect(200).value(), json!({"userId": who.id, "mileage": 0}));
    MALL.get("/users/nobody@test.example").bearer(&who.token).send().problem(404);
}

#[test]
fn a_head_is_a_get_without_its_body() {
    for path in ["/products", "/products/1"] {
        let (get, head) =
            (MALL.get(path).send().expect(200), MALL.call("HEAD", path).send().expect(200));
        assert_eq!(head.body.len(), 0, "{path}");
        assert_eq!(head.header("content-type"), get.header("content-type"), "{path}");
    }
}

#[test]
fn hostile_text_is_kept_as_text() {
    let who = MALL.customer();
    let product = MALL.product(10, "cancel");
    let name = "Robert'); DROP TABLE orders;--\u{0} \"\\ <b> 한글 🎁";
    let body = json!({"productId": product, "quantity": 1, "customerName": name, "customerAddr": "line\nbreak"});
    let answer = MALL.ordering(&who, &body).send();
    if answer.status == 400 {
        answer.refuses_field("customerName");
    } else {
        let placed = Placed::of(&answer);
        assert_eq!(placed.body["customerName"], name);
        eventually("it is delivered all the same", || MALL.delivery_of(placed.id));
        assert_eq!(MALL.delivery_of(placed.id).expect("it")["customerName"], name);
    }
    let endless = json!({"productId": product, "quantity": 1, "customerName": "x".repeat(500_000)});
    let answer = MALL.ordering(&who, &endless).send();
    assert!([201, 400].contains(&answer.status), "{}", answer.status);
}

#[test]
fn what_the_client_has_is_not_sent_again_and_what_has_changed_is_not_overwritten() {
    let (who, product) = (MALL.customer(), MALL.product(50, "cancel"));
    let placed = MALL.delivered(&who, product, 1);
    let other = MALL.delivered(&who, product, 1);
    let delivery = MALL.delivery_of(other.id).expect("a delivery")["deliveryId"].clone();
    let rows = [
        (format!("/products/{product}"), json!({"stock": 40}), json!({"stock": 41})),
        (format!("/product/{product}"), Value::Null, Value::Null),
        (format!("/inventories/{product}"), json!({"stock": 42}), json!({"stock": 43})),
        (
            format!("/deliveries/{delivery}"),
            json!({"deliveryState": "DeliveryCompleted"}),
            json!({"deliveryState": "DeliveryReturned"}),
        ),
        (format!("/orders/{}", placed.id), json!({"state": "OrderCancelled"}), json!({"price": 1})),
    ];
    for (path, first, second) in rows {
        let get = |tags: &str| as_admin("GET", &path).header("if-none-match", tags).send();
        let etag = as_admin("GET", &path).send().expect(200).must("etag").to_owned();
        assert!(etag.starts_with('"') && etag.ends_with('"'), "{path}: strong: {etag}");
        for known in ["*", etag.as_str(), &format!("\"x\", W/{etag}")] {
            let again = get(known).expect(304);
            assert_eq!((again.must("etag"), again.body.len()), (etag.as_str(), 0), "{path}");
        }
        get("\"x\"").expect(200);
        get("x").problem(400);
        let head = as_admin("HEAD", &path).header("if-none-match", etag.as_str()).send();
        assert_eq!(head.expect(304).must("etag"), etag);
        if first.is_null() {
            continue;
        }
        let before = as_admin("GET", &path).send().value();
        let patch = |body: &Value, header: &str, tags: &str| {
            as_admin("PATCH", &path).header(header, tags).json(body).send()
        };
        for body in [&first, &second] {
            patch(body, "if-match", "\"nope\"").problem(412);
            patch(body, "if-match", &format!("W/{etag}")).problem(412);
            patch(body, "if-none-match", "*").problem(412);
            patch(body, "if-match", "nope").problem(400);
        }
        assert_eq!(as_admin("GET", &path).send().value(), before, "{path}: nothing changed");
        let next = patch(&first, "if-match", &etag).expect(200).must("etag").to_owned();
        assert_ne!(next, etag, "{path}");
        patch(&second, "if-match", &etag).problem(412);
        let last = patch(&second, "if-match", &format!("\"x\", {next}"));
        if path.starts_with("/orders") {
            // The condition holds; the change is none that an order allows.
            last.problem(409);
            continue;
        }
        let last = last.expect(200);
        assert_eq!(as_admin("GET", &path).send().must("etag"), last.must("etag"), "{path}");
    }
    let order = json!({"productId": product, "quantity": 1});
    MALL.ordering(&who, &order).header("if-none-match", "*").send().problem(412);
    let made = MALL.ordering(&who, &order).header("if-match", "*").send().expect(201);
    assert!(made.must("etag").starts_with('"'));
}

#[test]
fn text_has_one_form_and_no_control_characters() {
    let (who, product) = (MALL.customer(), MALL.product(10, "cancel"));
    let order = |addr: &str| {
        let body = json!({"productId": product, "quantity": 1, "customerAddr": addr});
        MALL.ordering(&who, &body).send()
    };
    for bad in ["a\0b", "\u{7}", "a\u{1b}[31m", "a\u{7f}", "a\u{90}b"] {
        order(bad).refuses_field("customerAddr");
    }
    let kept = order("\u{1109}\u{1165}\u{110b}\u{116e}\u{11af}\n2\t층").expect(201).value();
    assert_eq!(kept["customerAddr"], "서울\n2\t층");
    for field in ["name", "stockPolicy", "imageUrl"] {
        let mut body = json!({"name": "X", "price": 1});
        body[field] = json!("a\0b");
        as_admin("POST", "/products").json(&body).send().refuses_field(field);
    }
    MALL.get("/products/search/findByName?name=a%00b").send().refuses_field("name");

    let user = format!("{}@x.y", unique("u"));
    let sign_up = |password: &str| {
        let body = json!({"username": format!("  {user} "), "password": password});
        MALL.call("POST", "/oauth/users").json(&body).send()
    };
    for bad in ["1234567\0", "1234567\t", "1234567\u{200b}", ""] {
        sign_up(bad).refuses_field("password");
    }
    assert_eq!(sign_up("비밀 번호 caf\u{e9}").expect(201).value()["id"], user);
    let typed = "\u{1107}\u{1175}\u{1106}\u{1175}\u{11af}\u{a0}번호 cafe\u{301}";
    for (path, status) in [("/oauth/token", 200), ("/oauth/session", 204)] {
        let form = |password| {
            [("grant_type", "password"), ("username", user.as_str()), ("password", password)]
        };
        MALL.call("POST", path).form(&form(typed)).send().expect(status);
        MALL.call("POST", path).form(&form("비밀 번호 cafe")).send().expect(400);
        MALL.call("POST", path).form(&form("a\0")).send().expect(400);
    }
}
