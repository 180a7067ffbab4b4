//! Products: the seeds, and what an administrator does to them.

use mall::Name;
use serde_json::{Value, json};

use crate::support::{ADMIN, CUSTOMER, Mall};

#[test]
fn the_seeds_are_there_once() {
    let mall = Mall::start().restart();
    let body = mall.get(Name::Product, "/products").send().is(200).body;
    let products = body["_embedded"]["products"].as_array().expect("a list").clone();
    let seen: Vec<_> = products
        .iter()
        .map(|it| {
            (
                it["id"].as_u64(),
                it["name"].as_str(),
                it["price"].as_u64(),
                it["stock"].as_u64(),
                it["stockPolicy"].as_str(),
            )
        })
        .collect();
    let names = ["TV", "MASK", "NOTEBOOK", "TABLE", "CLOCK"];
    for (place, (name, product)) in (1..).zip(names.iter().zip(seen)) {
        let policy = if *name == "TABLE" { "reject" } else { "cancel" };
        let expected =
            (Some(place), Some(*name), Some(place * 10_000), Some(place * 10), Some(policy));
        assert_eq!(product, expected);
        let replica = mall.get(Name::Order, &format!("/products/{place}")).send().is(200);
        assert_eq!(replica.body["name"], *name);
    }
    assert_eq!(mall.events(Name::Product).len(), 5);
}

#[test]
fn a_product_is_read_under_each_of_its_names() {
    let mall = Mall::start();
    let one = mall.get(Name::Product, "/products/1").send().is(200).body;
    assert_eq!(mall.get(Name::Product, "/product/1").send().is(200).body, one);
    assert_eq!(mall.get(Name::Product, "/inventories/1").send().is(200).body, one);
    let found = mall.get(Name::Product, "/products/search/findByName?name=TV").send().is(200).body;
    assert_eq!(found["_embedded"]["products"], json!([one]));
    let none =
        mall.get(Name::Product, "/products/search/findByName?name=tv%20").send().is(200).body;
    assert_eq!(
        (&none["_embedded"]["products"], &none["page"]["totalElements"]),
        (&json!([]), &json!(0))
    );
    mall.get(Name::Product, "/products/search/findByName").send().is(400);
    for path in ["/products/99", "/products/x", "/product/0", "/products/1/", "/product"] {
        mall.get(Name::Product, path).send().is(404);
    }
    let image = one["imageUrl"].as_str().expect("a picture");
    let picture = mall.get(Name::Product, image).send().is(200);
    assert_eq!(picture.header("content-type"), "image/svg+xml");
    let again = mall.get(Name::Product, image).header("if-none-match", picture.header("etag"));
    again.send().is(304);
    for name in ["TV", "MASK", "NOTEBOOK", "TABLE", "CLOCK"] {
        mall.get(Name::Product, &format!("/goods/img/{name}")).send().is(200);
    }
    mall.get(Name::Product, "/goods/img/tv.svg").send().is(200);
    for nothing in ["nothing.svg", "T", "svg"] {
        mall.get(Name::Product, &format!("/goods/img/{nothing}")).send().is(404);
    }
}

#[test]
fn an_administrator_registers_changes_and_deletes_a_product() {
    let mall = Mall::start();
    let lamp =
        json!({"name": "LAMP", "price": "5000", "stock": 7, "options": [{"name": "colour"}]});
    mall.post(Name::Product, "/products", &lamp).by(CUSTOMER).send().is(403);
    let made = mall.post(Name::Product, "/products", &lamp).by(ADMIN).send().is(201);
    assert_eq!(
        (made.header("location"), &made.body["stockPolicy"]),
        ("/products/6", &json!("cancel"))
    );
    assert_eq!(
        made.body["options"],
        json!([{"id": 1, "name": "colour", "optionName": "", "desc": ""}])
    );
    assert_eq!(made.header("yeoul-position"), "w1-2.product.6");

    let patch = |body: &Value| mall.patch(Name::Product, "/products/6", body);
    let changed = patch(&json!({"stock": 8})).by(ADMIN).send().is(200);
    assert_eq!((&changed.body["stock"], &changed.body["version"]), (&json!(8), &json!(2)));
    let same = patch(&json!({"stock": 8})).send().is(200);
    assert_eq!((&same.body, same.header("yeoul-position")), (&changed.body, "w1-3.product.6"));
    patch(&json!({})).send().is(400);
    assert_eq!(
        patch(&json!({"stockPolicy": "backorder"})).send().is(400).fields(),
        ["stockPolicy"]
    );
    patch(&json!({"stock": 1})).by(CUSTOMER).send().is(403);

    let put = |body: &Value| mall.ask(Name::Product, "PUT", "/products/6").json(body);
    assert_eq!(put(&json!({"name": "LAMP"})).send().is(400).fields(), ["price", "stock"]);
    let whole = put(&json!({"name": "LIGHT", "price": 1, "stock": 2})).by(ADMIN).send().is(200);
    assert_eq!((&whole.body["options"], &whole.body["version"]), (&json!([]), &json!(3)));

    mall.settle();
    let replica = mall.get(Name::Order, "/products/6").send().is(200).body;
    assert_eq!((&replica["name"], &replica["version"]), (&json!("LIGHT"), &json!(3)));

    mall.delete(Name::Product, "/products/6").by(CUSTOMER).send().is(403);
    mall.delete(Name::Product, "/products/6").by(ADMIN).send().is(204);
    mall.delete(Name::Product, "/products/6").by(ADMIN).send().is(404);
    mall.get(Name::Product, "/products/6").send().is(404);
    patch(&json!({"stock": 1})).send().is(404);
    mall.settle();
    let events = mall.events(Name::Product);
    let last: Value = events.last().expect("events").decode().expect("data");
    assert_eq!((&last["deleted"], &last["version"]), (&json!(true), &json!(4)));
    assert_eq!(mall.kinds(Name::Product, 6), ["ProductChanged"; 4]);
}

#[test]
fn a_registration_with_a_key_is_carried_out_once() {
    let mall = Mall::start();
    let lamp = json!({"name": "LAMP", "price": 5000});
    let post = |body: &Value| {
        mall.post(Name::Product, "/products", body).header("idempotency-key", "k").by(ADMIN).send()
    };
    assert_eq!(post(&lamp).is(201).body, post(&lamp).is(201).body);
    post(&json!({"name": "LAMP", "price": 5001})).is(422);
    assert_eq!(mall.get(Name::Product, "/products").send().body["page"]["totalElements"], 6);
}

#[test]
fn pieces_that_arrive_are_added_once_and_told() {
    let mall = Mall::start();
    let post = |body: &Value, key: &str| {
        let path = "/products/1/restock";
        mall.post(Name::Product, path, body).header("idempotency-key", key).by(ADMIN).send()
    };
    let restocked = post(&json!({"quantity": "5"}), "a").is(200);
    assert_eq!((&restocked.body["stock"], &restocked.body["version"]), (&json!(15), &json!(2)));
    assert_eq!(post(&json!({"quantity": 5}), "a").is(200).body, restocked.body);
    assert_eq!(mall.stock(1), 15);
    for quantity in [json!(0), json!(-1), json!("x"), Value::Null, json!(1_000_000_001u64)] {
        assert_eq!(post(&json!({"quantity": quantity}), "b").is(400).fields(), ["quantity"]);
    }
    let body = json!({"quantity": 1});
    mall.post(Name::Product, "/products/1/restock", &body).by(CUSTOMER).send().is(403);
    mall.post(Name::Product, "/products/99/restock", &body).by(ADMIN).send().is(404);
    mall.settle();
    assert_eq!(
        mall.kinds(Name::Product, 1),
        ["ProductChanged", "ProductRestocked", "ProductChanged"]
    );
    assert_eq!(mall.stock_at(Name::Order, 1), 15);
}

#[test]
fn goods_that_come_back_to_a_deleted_product_are_counted() {
    let mall = Mall::start();
    let order = mall.order(1, 4);
    mall.settle();
    mall.delete(Name::Product, "/products/1").send().is(204);
    mall.cancel(order).is(200);
    mall.settle();
    let events = mall.events(Name::Product);
    let last = events.iter().rfind(|event| event.kind == "ProductChanged").expect("an event");
    let data: Value = last.decode().expect("data");
    assert_eq!((&data["productStock"], &data["deleted"]), (&json!(10), &json!(true)));
}
