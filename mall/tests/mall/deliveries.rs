//! Deliveries: completed and returned by the administrator, seen by their customer.

use mall::Name;
use serde_json::json;

use crate::support::{ADMIN, CUSTOMER, Mall, OTHER};

#[test]
fn a_delivery_is_completed_then_returned_and_its_goods_come_back_once() {
    let mall = Mall::start();
    let order = mall.order(1, 4);
    mall.settle();
    mall.deliver(order, "DeliveryReturned").is(409);
    mall.deliver(order, "DeliveryCancelled").is(409);
    mall.deliver(order, "DeliveryStarted").is(200);
    mall.deliver(order, "Delivered").is(400);
    for state in ["DeliveryCompleted", "DeliveryReturned"] {
        let done = mall.deliver(order, state).is(200);
        assert_eq!(done.body["deliveryState"], state);
        let again = mall.deliver(order, state).is(200);
        assert_eq!(done.header("yeoul-position"), again.header("yeoul-position"));
    }
    mall.deliver(order, "DeliveryCompleted").is(409);
    mall.settle();
    mall.deliver_everything_again();
    assert_eq!((mall.stock(1), mall.state(order).as_str()), (10, "OrderPlaced"));
    let kinds = ["DeliveryStarted", "DeliveryCompleted", "DeliveryReturned"];
    assert_eq!(mall.kinds(Name::Delivery, order), kinds);
}

#[test]
fn a_delivery_shows_its_fields_to_its_customer_alone() {
    let mall = Mall::start();
    let order = mall.order(3, 2);
    mall.settle();
    let delivery = json!({
        "deliveryId": 1, "orderId": order, "quantity": 2, "productId": 3,
        "productName": "NOTEBOOK", "customerId": CUSTOMER, "customerName": "유엔진",
        "deliveryAddress": "서울시", "deliveryState": "DeliveryStarted",
    });
    let search = format!("/deliveries/search/findByOrderIdOrderByDeliveryIdDesc?orderId={order}");
    for (by, sees) in
        [(None, true), (Some(CUSTOMER), true), (Some(ADMIN), true), (Some(OTHER), false)]
    {
        let get = |path: &str| {
            let ask = mall.get(Name::Delivery, path);
            by.map_or_else(|| mall.get(Name::Delivery, path), |by| ask.by(by)).send()
        };
        let one = get("/deliveries/1").is(if sees { 200 } else { 404 });
        let expected = if sees { json!([delivery]) } else { json!([]) };
        assert_eq!(get("/deliveries").is(200).body["_embedded"]["deliveries"], expected);
        assert_eq!(get(&search).is(200).body["_embedded"]["deliveries"], expected);
        if sees {
            assert_eq!(one.body, delivery);
        }
    }
    let body = json!({"deliveryState": "DeliveryCompleted"});
    mall.patch(Name::Delivery, "/deliveries/1", &body).by(CUSTOMER).send().is(403);
    mall.patch(Name::Delivery, "/deliveries/1", &body).by(ADMIN).send().is(200);
    mall.patch(Name::Delivery, "/deliveries/9", &body).by(ADMIN).send().is(404);
    let missing = mall.patch(Name::Delivery, "/deliveries/1", &json!({})).send().is(400);
    assert_eq!(missing.fields(), ["deliveryState"]);
    let bad = "/deliveries/search/findByOrderIdOrderByDeliveryIdDesc";
    for query in ["", "?orderId=x", "?orderId=0"] {
        assert_eq!(
            mall.get(Name::Delivery, &format!("{bad}{query}")).send().is(400).fields(),
            ["orderId"]
        );
    }
}
