//! What events make of rows, heads and sums.

use serde_json::{Value, json};
use yeoul_views::{Changes, Error, Look, Slice, Views};

use crate::mall::{Mall, Publisher, block_on, delivery, event, order};

/// The orders' number, state and delivery, newest first, and the mileage.
fn seen(mall: &Mall, owner: &str) -> (Vec<(u64, String, Value)>, i64) {
    let page = mall.json(owner);
    let orders = page["orders"].as_array().expect("a list").iter();
    let orders = orders.map(|row| {
        let state = row["orderState"].as_str().unwrap_or_default().to_owned();
        (row["orderId"].as_u64().expect("a number"), state, row["deliveryState"].clone())
    });
    (orders.collect(), page["mileage"].as_i64().expect("a number"))
}

#[test]
fn three_orders_and_a_cancellation_leave_five_thousand() {
    let mall = Mall::new();
    let (mut orders, mut deliveries) = (Publisher::new("order"), Publisher::new("delivery"));
    for (id, product, quantity) in [(1, 1, 1), (2, 2, 2), (3, 3, 4)] {
        let order = order(id, "1@uengine.org", product, quantity);
        mall.give(&[orders.say("OrderPlaced", order.clone()), orders.say("OrderConfirmed", order)]);
        mall.give(&[deliveries.say("DeliveryStarted", delivery(id, "DeliveryStarted"))]);
    }
    assert_eq!(seen(&mall, "1@uengine.org").1, 1000 + 4000 + 12000);
    mall.give(&[orders.say("OrderCancelled", order(3, "1@uengine.org", 3, 4))]);
    mall.give(&[deliveries.say("DeliveryCancelled", delivery(3, "DeliveryCancelled"))]);
    let started = || json!("DeliveryStarted");
    let rows = vec![
        (3, "OrderCancelled".to_owned(), json!("DeliveryCancelled")),
        (2, "OrderPlaced".to_owned(), started()),
        (1, "OrderPlaced".to_owned(), started()),
    ];
    assert_eq!(seen(&mall, "1@uengine.org"), (rows, 5000));
    let payments: Vec<u64> = mall.json("1@uengine.org")["orders"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|row| row["payment"].as_u64().expect("a number"))
        .collect();
    assert_eq!(payments, [120_000, 40_000, 10_000]);
}

#[test]
fn a_row_is_shown_exactly_as_promised() {
    let mall = Mall::new();
    mall.give(&[event("order", 1, "OrderPlaced", order(3, "1@uengine.org", 3, 4))]);
    mall.give(&[event(
        "account",
        1,
        "UserRegistered",
        json!({"username": "1@uengine.org", "nickname": "유엔진", "address": "서울시"}),
    )]);
    let mut page = mall.json("1@uengine.org");
    assert!(
        page.as_object_mut().expect("a map").remove("position").is_some_and(|it| it.is_string())
    );
    assert_eq!(
        page,
        json!({
        "customerId": "1@uengine.org", "nickname": "유엔진", "address": "서울시", "mileage": 0,
        "version": 2,
        "orders": [{"orderId": 3, "productId": 3, "productName": "P3",
            "imageUrl": "/goods/img/3-old.png", "quantity": 4, "payment": 120_000,
            "orderState": "PENDING", "deliveryState": null, "placedAt": "2026-11-23T01:00:01Z"}]})
    );
}

#[test]
fn an_owner_nothing_is_known_of_has_an_empty_page() {
    let mut page = Mall::new().json("nobody@uengine.org");
    page.as_object_mut().expect("a map").remove("position");
    assert_eq!(
        page,
        json!({"customerId": "nobody@uengine.org", "nickname": "", "address": "",
        "mileage": 0, "version": 0, "orders": []})
    );
}

#[test]
fn mileage_counts_from_the_confirmation_and_is_taken_back_once() {
    let mall = Mall::new();
    let order = order(1, "a@b", 4, 1);
    let mut orders = Publisher::new("order");
    let steps = [
        ("OrderPlaced", 0),
        ("OrderConfirmed", 4000),
        ("OrderConfirmed", 4000),
        ("OrderCancelled", 0),
        ("OrderCancelled", 0),
    ];
    for (kind, mileage) in steps {
        mall.give(&[orders.say(kind, order.clone())]);
        assert_eq!(seen(&mall, "a@b").1, mileage, "{kind}");
    }
}

#[test]
fn a_return_takes_mileage_back_and_the_order_stays_placed() {
    let mall = Mall::new();
    let order = order(1, "a@b", 4, 1);
    let mut orders = Publisher::new("order");
    mall.give(&[orders.say("OrderPlaced", order.clone()), orders.say("OrderConfirmed", order)]);
    for (state, mileage) in [("DeliveryCompleted", 4000), ("DeliveryReturned", 0)] {
        mall.give(&[event("delivery", 1, state, delivery(1, state))]);
        let row = (1, "OrderPlaced".to_owned(), json!(state));
        assert_eq!(seen(&mall, "a@b"), (vec![row], mileage));
    }
}

#[test]
fn an_order_rejected_before_its_confirmation_never_counted() {
    let mall = Mall::new();
    let order = order(1, "a@b", 4, 1);
    let mut orders = Publisher::new("order");
    mall.give(&[orders.say("OrderPlaced", order.clone()), orders.say("OrderRejected", order)]);
    assert_eq!(seen(&mall, "a@b"), (vec![(1, "OrderRejected".to_owned(), Value::Null)], 0));
}

#[test]
fn a_delivery_that_comes_before_its_order_waits_for_it() {
    let mall = Mall::new();
    mall.give(&[event("delivery", 1, "DeliveryStarted", delivery(1, "DeliveryStarted"))]);
    assert_eq!(seen(&mall, "a@b"), (vec![], 0));
    mall.give(&[event("order", 1, "OrderPlaced", order(1, "a@b", 1, 1))]);
    let row = (1, "PENDING".to_owned(), json!("DeliveryStarted"));
    assert_eq!(seen(&mall, "a@b"), (vec![row], 0));
}

#[test]
fn a_create_that_comes_late_fills_only_what_no_update_has_set() {
    let mall = Mall::new();
    mall.give(&[event("order", 2, "OrderConfirmed", order(1, "a@b", 4, 1))]);
    assert_eq!(seen(&mall, "a@b"), (vec![], 0));
    mall.give(&[event("order", 1, "OrderPlaced", order(1, "a@b", 4, 1))]);
    let row = (1, "OrderPlaced".to_owned(), Value::Null);
    assert_eq!(seen(&mall, "a@b"), (vec![row], 4000));
}

#[test]
fn a_second_create_changes_nothing() {
    let mall = Mall::new();
    mall.give(&[event("order", 1, "OrderPlaced", order(1, "a@b", 1, 1))]);
    let before = mall.json("a@b");
    mall.give(&[event("order", 2, "OrderPlaced", order(1, "other@b", 2, 2))]);
    assert_eq!(mall.json("a@b"), before);
    assert_eq!(seen(&mall, "other@b"), (vec![], 0));
}

#[test]
fn a_row_that_changes_hands_leaves_its_old_page_and_sum() {
    let mut settings = crate::mall::settings();
    settings["views"]["orders"]["on"]["OrderGiven"] = json!({
        "update": {"customerId": "event.to"}, "where": {"orderId": "event.orderId"}});
    let folder = tempfile::tempdir().expect("a folder");
    let mall = Mall { views: crate::mall::open(folder.path(), &settings), folder };
    let order = order(1, "a@b", 1, 1);
    let mut orders = Publisher::new("order");
    mall.give(&[orders.say("OrderPlaced", order.clone()), orders.say("OrderConfirmed", order)]);
    let place = block_on(mall.views.page(&mall.my_page(), "a@b", Slice::first(1)))
        .expect("a page")
        .position;
    mall.give(&[orders.say("OrderGiven", json!({"orderId": 1, "to": "b@b"}))]);
    assert_eq!(seen(&mall, "a@b"), (vec![], 0));
    assert_eq!(seen(&mall, "b@b"), (vec![(1, "OrderPlaced".to_owned(), Value::Null)], 1000));
    let Changes::Some(changes) =
        block_on(mall.views.changes(&mall.my_page(), "a@b", &place, 9)).expect("a read")
    else {
        panic!("too old");
    };
    let rows: Vec<Value> = changes.into_iter().map(|change| change.row).collect();
    let head = json!({"nickname": "", "address": "", "mileage": 0});
    assert_eq!(rows, [json!({"orderId": 1, "deleted": true}), head]);
}

#[test]
fn a_sum_stands_before_its_head_is_created() {
    let mall = Mall::new();
    let order = order(1, "a@b", 1, 1);
    let mut orders = Publisher::new("order");
    mall.give(&[orders.say("OrderPlaced", order.clone()), orders.say("OrderConfirmed", order)]);
    let head = |mall: &Mall| {
        let page = mall.json("a@b");
        (page["nickname"].clone(), page["mileage"].clone())
    };
    assert_eq!(head(&mall), (json!(""), json!(1000)));
    assert_eq!(block_on(mall.views.row("customers", "a@b")).expect("a read"), None);
    let user = json!({"username": "a@b", "nickname": "에이", "address": ""});
    mall.give(&[event("account", 1, "UserRegistered", user)]);
    assert_eq!(head(&mall), (json!("에이"), json!(1000)));
    let row = block_on(mall.views.row("customers", "a@b")).expect("a read");
    assert_eq!(row, Some(json!({"nickname": "에이", "address": "", "mileage": 1000})));
}

#[test]
fn a_picture_follows_its_product_whatever_comes_first() {
    let changed = |sequence, url: &str| {
        event("product", sequence, "ProductChanged", json!({"productId": 1, "imageUrl": url}))
    };
    let placed = |id| event("order", id, "OrderPlaced", order(id, "a@b", 1, 1));
    let picture = |mall: &Mall, at: usize| mall.json("a@b")["orders"][at]["imageUrl"].clone();
    let mall = Mall::new();
    mall.give(&[placed(1)]);
    assert_eq!(picture(&mall, 0), json!("/goods/img/1-old.png"));
    mall.give(&[changed(1, "/new.png"), placed(2)]);
    mall.give(&[placed(3)]);
    for at in 0..3 {
        assert_eq!(picture(&mall, at), json!("/new.png"), "{at}");
    }
    mall.give(&[placed(4), changed(2, "/newer.png")]);
    for at in 0..4 {
        assert_eq!(picture(&mall, at), json!("/newer.png"), "{at}");
    }
}

#[test]
fn a_change_that_says_nothing_new_leaves_every_page_as_it_is() {
    let mall = Mall::new();
    let changed = |sequence| {
        event("product", sequence, "ProductChanged", json!({"productId": 1, "imageUrl": "/n.png"}))
    };
    mall.give(&[event("order", 1, "OrderPlaced", order(1, "a@b", 1, 1)), changed(1)]);
    let version = mall.json("a@b")["version"].clone();
    mall.give(&[changed(2)]);
    mall.give(&[event("order", 2, "OrderPlaced", order(1, "a@b", 1, 1))]);
    assert_eq!(mall.json("a@b")["version"], version);
}

#[test]
fn an_order_of_nobody_has_no_page_and_no_mileage() {
    let mall = Mall::new();
    let order = order(1, "", 1, 1);
    let mut orders = Publisher::new("order");
    mall.give(&[orders.say("OrderPlaced", order.clone()), orders.say("OrderConfirmed", order)]);
    assert_eq!(seen(&mall, ""), (vec![], 0));
}

#[test]
fn owners_see_their_own_rows_alone() {
    let mall = Mall::new();
    mall.give(&[
        event("order", 1, "OrderPlaced", order(1, "a@b", 1, 1)),
        event("order", 2, "OrderPlaced", order(2, "A@b", 1, 1)),
    ]);
    assert_eq!(seen(&mall, "a@b").0.len(), 1);
    assert_eq!(seen(&mall, "A@b").0[0].0, 2);
    assert_eq!(seen(&mall, "a@b' OR 1=1 --").0, []);
}

#[test]
fn a_deleted_row_comes_back_only_by_the_source_that_deleted_it() {
    let mall = Mall::new();
    let placed = |source: &str, at| event(source, at, "OrderPlaced", order(1, "a@b", 1, 1));
    let mut orders = Publisher::new("order");
    mall.give(&[placed("order", 1), orders.say("OrderConfirmed", order(1, "a@b", 1, 1))]);
    mall.give(&[event("audit", 1, "OrderForgotten", json!({"orderId": 1}))]);
    assert_eq!(seen(&mall, "a@b"), (vec![], 0));
    mall.give(&[placed("order", 2)]);
    mall.give(&[event("delivery", 1, "DeliveryStarted", delivery(1, "DeliveryStarted"))]);
    assert_eq!(seen(&mall, "a@b"), (vec![], 0));
    mall.give(&[placed("audit", 2)]);
    assert_eq!(seen(&mall, "a@b"), (vec![(1, "PENDING".to_owned(), Value::Null)], 0));
}

#[test]
fn an_event_its_rule_cannot_be_applied_to_fails_and_changes_nothing() {
    let mall = Mall::new();
    let mut broken = order(1, "a@b", 1, 1);
    broken["price"] = Value::Null;
    let mut keyless = order(1, "a@b", 1, 1);
    keyless["orderId"] = Value::Null;
    let mut huge = order(1, "a@b", 1, 1);
    huge["price"] = json!(i64::MAX);
    huge["quantity"] = json!(2);
    for data in [broken, keyless, huge, json!([]), json!({"orderId": [1]})] {
        let refused = mall.write(&[event("order", 1, "OrderPlaced", data.clone())]);
        assert!(refused.is_err_and(|reason| reason.contains("Handler")), "{data}");
    }
    assert_eq!(seen(&mall, "a@b"), (vec![], 0));
}

#[test]
fn an_event_without_a_rule_is_passed_over() {
    let mall = Mall::new();
    mall.give(&[event("product", 1, "StockDecreased", json!({"orderId": 1}))]);
    assert_eq!(seen(&mall, "a@b"), (vec![], 0));
}

#[test]
fn values_come_back_as_they_were_written() {
    let mall = Mall::new();
    let values = [json!(true), json!(false), json!(1.5), json!(-1), json!("1"), json!(i64::MIN)];
    for (id, value) in values.iter().enumerate() {
        let mut data = order(id as u64 + 1, "a@b", 1, 1);
        data["productName"] = value.clone();
        mall.give(&[event("order", id as u64 + 1, "OrderPlaced", data)]);
        assert_eq!(mall.json("a@b")["orders"][0]["productName"], *value);
    }
}

#[test]
fn rows_survive_closing_and_opening_and_are_folded_again_under_new_rules() {
    let mall = Mall::new();
    mall.give(&[event("order", 1, "OrderPlaced", order(1, "a@b", 1, 1))]);
    let before = mall.json("a@b");
    let Mall { views, folder } = mall;
    drop(views);
    let views = crate::mall::open(folder.path(), &crate::mall::settings());
    let mall = Mall { views, folder };
    assert_eq!(mall.json("a@b"), before);
    let Mall { views, folder } = mall;
    drop(views);
    let mut settings = crate::mall::settings();
    settings["views"]["orders"]["computed"]["mileage"] = json!("payment // 20");
    let views = crate::mall::open(folder.path(), &settings);
    let mall = Mall { views, folder };
    assert_eq!(seen(&mall, "a@b"), (vec![], 0));
    assert_ne!(mall.json("a@b")["position"], before["position"]);
}

#[test]
fn a_damaged_file_is_reported_and_left_as_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("views.db");
    let garbage = vec![b'x'; 8192];
    std::fs::write(&path, &garbage).expect("written");
    let definitions = crate::mall::definitions(&crate::mall::settings());
    let opened = Views::open(folder.path(), definitions, Look::default(), crate::mall::clock());
    let error = opened.err().expect("a refusal");
    assert!(matches!(error, Error::Store(events::Error::Damaged { .. })), "{error}");
    assert!(!error.is_environment());
    assert_eq!(std::fs::read(&path).expect("still there"), garbage);
}
