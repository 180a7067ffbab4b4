//! The mall's description of itself, and how the suite holds answers against it.

use super::*;

#[test]
fn the_mall_describes_itself_to_everybody_and_is_asked_for_it_once() {
    let description = MALL.get("/openapi.json").send().expect(200);
    assert_eq!(description.must("content-type"), "application/json");
    let document = description.value();
    assert_eq!(document["openapi"], "3.1.0");
    assert!(document["paths"]["/orders/{id}"]["patch"].is_object(), "{document}");
    let tag = description.must("etag").to_owned();
    MALL.get("/openapi.json").header("if-none-match", tag).send().expect(304);
    as_admin("POST", "/openapi.json").json(&json!({})).send().problem(405);
}

#[test]
fn an_answer_that_the_description_does_not_know_fails_its_test() {
    let document = MALL.get("/openapi.json").send().expect(200).value();
    let order = MALL.get("/products/1").send().expect(200).value();
    let with = |name: &str, value: Value| {
        let mut changed = order.clone();
        changed[name] = value;
        changed.to_string()
    };
    let json = "application/json";
    let problem = "application/problem+json";
    for (path, status, kind, body, fits) in [
        ("/products/1", 200, json, order.to_string(), true),
        ("/products/1", 200, json, with("colour", json!("red")), false),
        ("/products/1", 200, json, with("price", json!("7")), false),
        ("/products/1", 200, json, with("options", json!([{"id": 1}])), false),
        ("/products/1", 200, "text/plain", order.to_string(), false),
        ("/products/1", 202, json, order.to_string(), false),
        ("/products/1", 304, "", String::new(), true),
        ("/products/1", 304, "", "x".to_owned(), false),
        ("/products/1", 404, problem, json!({"status": 404}).to_string(), false),
        ("/products/1/2", 200, json, order.to_string(), false),
        ("/products", 200, json, order.to_string(), false),
    ] {
        let answer = Answer::made(status, kind, &body);
        let seen = described::compare_at(&document, "gateway", ("GET", path), &answer);
        assert_eq!(seen.is_ok(), fits, "{status} {path} {kind} {body}: {seen:?}");
    }
}

#[test]
fn whatever_the_method_and_the_port_an_answer_is_held_against_what_is_described() {
    let document = MALL.get("/openapi.json").send().expect(200).value();
    let (json, problem) = ("application/json", "application/problem+json");
    let replica = MALL.at("order", "GET", "/products/1").send().expect(200).text();
    let product = MALL.at("product", "GET", "/products/1").send().expect(200).text();
    let refused = MALL.call("TRACE", "/products/1").send().problem(405).to_string();
    let plain = json!({ "status": 405 }).to_string();
    for (listener, method, path, status, kind, body, fits) in [
        ("gateway", "TRACE", "/products/1", 405, problem, &refused, true),
        ("gateway", "TRACE", "/products/1", 405, problem, &plain, false),
        ("gateway", "TRACE", "/products/1", 405, "text/plain", &refused, false),
        ("gateway", "TRACE", "/products/1", 200, json, &product, false),
        ("gateway", "OPTIONS", "/orders", 204, "", &String::new(), false),
        ("gateway", "get", "/products/1", 200, json, &product, false),
        ("gateway", "GET", "/products/1", 200, json, &product, true),
        ("order", "GET", "/products/1", 200, json, &replica, true),
        ("order", "GET", "/products/1", 200, json, &product, false),
        ("order", "GET", "/products/1", 202, json, &replica, false),
        ("gateway", "GET", "/products/1", 200, json, &replica, false),
    ] {
        let answer = Answer::made(status, kind, body);
        let seen = described::compare_at(&document, listener, (method, path), &answer);
        assert_eq!(seen.is_ok(), fits, "{listener} {method} {path} {status} {body}: {seen:?}");
    }
}

#[test]
fn what_is_said_to_be_needed_is_what_a_call_needs() {
    let document = MALL.get("/openapi.json").send().expect(200).value();
    let order = json!({
        "id": 7, "productId": 1, "productName": "TV", "quantity": 2, "price": 10_000, "customerId": "a@b",
        "customerName": "Ann", "customerAddr": "Here 1", "state": "PENDING",
    });
    let missed = |field: &str| {
        json!({
            "type": "about:blank", "title": "t", "status": 400, "detail": "d", "trace": "0",
            "errors": [{ "field": field, "reason": "is missing" }],
        })
    };
    let done = || Answer::made(201, "application/json", &order.to_string());
    let refused = |field| Answer::made(400, "application/problem+json", &missed(field).to_string());
    for (body, answer, fits) in [
        (json!({ "productId": 1, "quantity": 2 }), done(), true),
        (json!({ "productId": 1, "qty": 2 }), done(), true),
        (json!({ "productId": 1, "qty": null }), done(), false),
        (json!({ "quantity": 2 }), done(), false),
        (json!({ "quantity": 2 }), refused("productId"), true),
        (json!({ "productId": 1 }), refused("quantity"), true),
        (json!({ "productId": 1, "quantity": 2 }), refused("customerName"), false),
    ] {
        let (text, call) = (body.to_string(), ("POST", "/orders"));
        let sent = Some(text.as_bytes());
        let seen = described::compare_sent(&document, "gateway", call, sent, &answer);
        assert_eq!(seen.is_ok(), fits, "{body} {}: {seen:?}", answer.text());
    }
}

#[test]
fn an_answer_in_bytes_that_the_description_does_not_know_fails_its_test_too() {
    let product = MALL.get("/products/1").send().expect(200).text();
    let get = "GET /products/1 HTTP/1.1\r\nHost: x\r\n\r\n";
    let head = "HEAD /products/1 HTTP/1.1\r\nHost: x\r\n\r\n";
    let changed = product.replace("\"price\":", "\"cost\":");
    let sized = |body: &str| {
        let length = body.len();
        format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        )
    };
    let chunked = |body: &str| {
        let (one, two) = body.split_at(7);
        format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n\
             7\r\n{one}\r\n{:x};x\r\n{two}\r\n0\r\n\r\n",
            two.len()
        )
    };
    for (request, answer, fits) in [
        (get, sized(&product), true),
        (get, sized(&changed), false),
        (get, chunked(&product), true),
        (get, chunked(&changed), false),
        (get, "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n".to_owned(), false),
        (get, "HTTP/1.1 100 Continue\r\n\r\n".to_owned(), true),
        (head, sized(&product), true),
        ("no request\r\n\r\n", sized(&changed), true),
    ] {
        let next = format!("{request}GET /");
        let seen = sent::compare(MALL.base("gateway"), next.as_bytes(), answer.as_bytes());
        assert_eq!(seen.is_ok(), fits, "{request}{answer}: {seen:?}");
        assert!(seen.is_err() || seen == Ok(request.len()), "{request}: {seen:?}");
    }
}
