//! The live page: every step as it happens, without a gap, and nobody else's.

use super::*;

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
