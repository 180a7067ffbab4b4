//! Text at the door: one form, no control characters, and passwords alike wherever they are typed.

use mall::Name;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::support::{ADMIN, Mall};

/// 서울 as a keyboard sends it that decomposes, and as it is stored.
const DECOMPOSED: &str = "\u{1109}\u{1165}\u{110b}\u{116e}\u{11af}";
const COMPOSED: &str = "서울";

/// Every text field that somebody writes: service, path, method, body around it, its name, and where
/// the answer shows it.
fn fields() -> Vec<(Name, &'static str, Value, &'static str)> {
    let order = json!({"productId": 1, "quantity": 1});
    let product = json!({"name": "X", "price": 1, "stock": 1});
    let user = json!({"username": "t@x", "password": "12345678"});
    vec![
        (Name::Order, "/orders", order.clone(), "customerId"),
        (Name::Order, "/orders", order.clone(), "customerName"),
        (Name::Order, "/orders", order, "customerAddr"),
        (Name::Product, "/products", product.clone(), "name"),
        (Name::Product, "/products", product.clone(), "imageUrl"),
        (Name::Product, "/products", product, "options"),
        (Name::Account, "/oauth/users", user.clone(), "nickname"),
        (Name::Account, "/oauth/users", user, "address"),
    ]
}

fn with(body: &Value, field: &str, text: &str) -> Value {
    let mut body = body.clone();
    body[field] = match field {
        "options" => json!([{"name": "n", "optionName": text, "desc": ""}]),
        "imageUrl" => json!(format!("/{text}")),
        _ => json!(text),
    };
    body
}

#[test]
fn a_control_character_is_refused_by_its_field_and_nothing_is_stored() {
    let mall = Mall::start();
    for (name, path, body, field) in fields() {
        for control in ['\0', '\u{1}', '\u{8}', '\u{b}', '\u{c}', '\u{1b}', '\u{7f}', '\u{9f}'] {
            for text in [format!("a{control}b"), format!("{control}"), format!("b{control}")] {
                let wrong = with(&body, field, &text);
                let answer = mall.post(name, path, &wrong).by(ADMIN).send().is(400);
                assert_eq!(answer.fields(), [field], "{wrong}");
            }
        }
    }
    mall.settle();
    assert!(mall.events(Name::Order).is_empty());
    // In a change too, where the field could not be changed anyway.
    mall.order(1, 1);
    mall.settle();
    for field in ["state", "customerAddr", "customerName", "customerId", "productName", "reason"] {
        let answer = mall.patch(Name::Order, "/orders/1", &json!({ field: "a\0b" })).send();
        assert_eq!(answer.is(400).fields(), [field]);
    }
    let delivery = json!({"deliveryState": "DeliveryCompleted\0"});
    let answer = mall.patch(Name::Delivery, "/deliveries/1", &delivery).by(ADMIN).send();
    assert_eq!(answer.is(400).fields(), ["deliveryState"]);
    for field in ["name", "imageUrl", "stockPolicy", "options"] {
        let body = with(&json!({}), field, "a\u{1}b");
        let answer = mall.patch(Name::Product, "/products/2", &body).by(ADMIN).send();
        assert_eq!(answer.is(400).fields(), [field]);
    }
    assert_eq!(mall.events(Name::Account).len(), 3);
    assert_eq!(mall.get(Name::Product, "/products").send().body["page"]["totalElements"], 5);
}

#[test]
fn a_text_is_stored_composed_with_its_lines_and_tabs() {
    let mall = Mall::start();
    for (at, (name, path, mut body, field)) in fields().into_iter().enumerate() {
        if name == Name::Account {
            body["username"] = json!(format!("t{at}@x"));
        }
        let lines = if field == "imageUrl" { "" } else { "\n\t" };
        let typed = with(&body, field, &format!("{DECOMPOSED}{lines}"));
        let stored = with(&body, field, &format!("{COMPOSED}{lines}"));
        let answer = mall.post(name, path, &typed).by(ADMIN).send().is(201);
        match field {
            "options" => assert_eq!(
                answer.body["options"][0]["optionName"],
                stored["options"][0]["optionName"]
            ),
            _ => assert_eq!(answer.body[field], stored[field], "{field}"),
        }
    }
}

#[test]
fn what_is_searched_for_is_composed_like_what_is_stored() {
    let mall = Mall::start();
    let product = json!({"name": COMPOSED, "price": 1});
    mall.post(Name::Product, "/products", &product).by(ADMIN).send().is(201);
    let order = json!({"productId": 1, "quantity": 1, "customerId": DECOMPOSED});
    mall.post(Name::Order, "/orders", &order).send().is(201);
    let escaped = utf8_percent_encode(DECOMPOSED, NON_ALPHANUMERIC);
    for (name, path) in [
        (Name::Product, "/products/search/findByName?name="),
        (Name::Product, "/inventories/search/findByName?name="),
        (Name::Order, "/orders/search/findByCustomerId?customerId="),
    ] {
        let found = mall.get(name, &format!("{path}{escaped}")).send().is(200);
        assert_eq!(found.body["page"]["totalElements"], 1, "{path}");
        let field = path.rsplit_once('?').expect("a query").1.trim_end_matches('=');
        for control in ["%00", "a%1Bb", "%C2%85"] {
            let refused = mall.get(name, &format!("{path}{control}")).send().is(400);
            assert_eq!(refused.fields(), [field]);
        }
    }
}

#[test]
fn a_password_is_the_same_at_every_door_however_it_is_typed() {
    let mall = Mall::start();
    let typed =
        ["비밀 번호 \u{e9}12", "\u{1107}\u{1175}\u{1106}\u{1175}\u{11af}\u{3000}번호 e\u{301}12"];
    let sign_in = |user: &str, password: &str| {
        let escape = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
        let form =
            format!("grant_type=password&username={}&password={}", escape(user), escape(password));
        mall.ask(Name::Account, "POST", "/oauth/token").form(&form).send()
    };
    for (at, password) in typed.iter().enumerate() {
        let user = json!({"username": format!(" P{at}@X "), "password": password});
        let made = mall.post(Name::Account, "/oauth/users", &user).send().is(201);
        assert_eq!(made.body["username"], format!("p{at}@x"));
        for password in typed {
            for user in [format!("p{at}@x"), format!("\t P{at}@x\u{3000}")] {
                sign_in(&user, password).is(200);
            }
        }
        for other in ["비밀 번호 e12", "비밀번호 \u{e9}12", "", "비밀 번호 \u{e9}12\u{200b}"]
        {
            let refused = sign_in(&format!("p{at}@x"), other).is(400);
            assert_eq!(refused.body, json!({"error": "invalid_grant"}), "{other:?}");
        }
    }
    for wrong in ["", "1234567\0", "1234567\n", "1234567\u{378}", "1234567\u{200b}"] {
        let user = json!({"username": "w@x", "password": wrong});
        let refused = mall.post(Name::Account, "/oauth/users", &user).send().is(400);
        assert_eq!(refused.fields(), ["password"], "{wrong:?}");
    }
}
