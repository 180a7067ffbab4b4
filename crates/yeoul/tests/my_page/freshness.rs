//! How fresh a page is: never older than the write that is named, and it says so where it is older than its
//! events.

use super::*;

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
fn a_quiet_page_stays_the_same_version() {
    let who = MALL.customer();
    MALL.settle();
    let version = MALL.page(&who)["version"].clone();
    stays("the version", Duration::from_millis(200), &version, || {
        MALL.page(&who)["version"].clone()
    });
}
