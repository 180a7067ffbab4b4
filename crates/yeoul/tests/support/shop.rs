//! What a customer, an administrator and an operator of the mall do, in one line each.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::{Answer, Call, Mall, SOON, eventually, eventually_is, within};

/// The password of every customer the suite signs up.
const PASSWORD: &str = "correct horse";

/// A signed-in customer.
#[derive(Clone, Debug)]
pub(crate) struct Customer {
    pub(crate) id: String,
    pub(crate) token: String,
}

/// An order that was answered 201.
#[derive(Clone, Debug)]
pub(crate) struct Placed {
    pub(crate) id: u64,
    pub(crate) position: String,
    pub(crate) body: Value,
}

/// Two pieces of a product of a hundred, all the way to the page that shows them.
#[derive(Debug)]
pub(crate) struct Sold {
    pub(crate) who: Customer,
    pub(crate) product: u64,
    pub(crate) placed: Placed,
}

/// Who sends orders whose passing shows that all before them has passed.
pub(crate) struct Marker {
    customer: Customer,
    product: u64,
}

/// A name nobody else has, in this run or in one before it on the same mall.
pub(crate) fn unique(what: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let run = std::process::id();
    format!("{what}-{run}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// The types of these events, in order.
pub(crate) fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().filter_map(|event| event["type"].as_str()).collect()
}

/// A member of an event's data as a whole number.
pub(crate) fn data_of(event: &Value, member: &str) -> u64 {
    event["data"][member].as_u64().unwrap_or_else(|| panic!("no {member} in {event}"))
}

/// Signing in.
impl Mall {
    /// Asks for a token by password.
    pub(crate) fn password(&self, username: &str, password: &str) -> Answer {
        let form = [("grant_type", "password"), ("username", username), ("password", password)];
        self.call("POST", "/oauth/token").form(&form).send()
    }

    /// Signs a known user in.
    #[track_caller]
    pub(crate) fn sign_in(&self, username: &str, password: &str) -> Customer {
        let answer = self.password(username, password).expect(200).value();
        let token = answer["access_token"].as_str().expect("an access_token").to_owned();
        Customer { id: username.to_owned(), token }
    }

    /// Signs a new customer up, and in.
    #[track_caller]
    pub(crate) fn customer(&self) -> Customer {
        self.customer_named("Someone", "Somewhere 1")
    }

    #[track_caller]
    pub(crate) fn customer_named(&self, nickname: &str, address: &str) -> Customer {
        let username = format!("{}@test.example", unique("c"));
        let user = json!({"username": username, "password": PASSWORD, "nickname": nickname, "address": address});
        self.call("POST", "/oauth/users").json(&user).send().expect(201);
        self.sign_in(&username, PASSWORD)
    }

    /// An administrator's token, by client credentials.
    #[track_caller]
    pub(crate) fn admin(&self) -> &str {
        self.admin_token.get_or_init(|| {
            let call = self.call("POST", "/oauth/token").basic("uengine-client:uengine-secret");
            let answer =
                call.form(&[("grant_type", "client_credentials")]).send().expect(200).value();
            answer["access_token"].as_str().expect("an access_token").to_owned()
        })
    }
}

/// Products and their stock.
impl Mall {
    /// Registers a product of 10,000 won and waits until order's replica has it.
    #[track_caller]
    pub(crate) fn product(&self, stock: u64, policy: &str) -> u64 {
        self.product_at(10_000, stock, policy)
    }

    #[track_caller]
    pub(crate) fn product_at(&self, price: u64, stock: u64, policy: &str) -> u64 {
        let body = json!({"name": unique("P"), "price": price, "stock": stock, "stockPolicy": policy, "imageUrl": "/goods/img/TV.svg"});
        let call = self.call("POST", "/products").bearer(self.admin());
        let id = id_of(&call.json(&body).send().expect(201));
        eventually("the replica has the new product", || {
            (self.at("order", "GET", &format!("/products/{id}")).send().status == 200).then_some(())
        });
        id
    }

    /// The stock that product answers.
    #[track_caller]
    pub(crate) fn stock(&self, product: u64) -> u64 {
        stock_in(&self.get(&format!("/products/{product}")).send().expect(200))
    }

    /// The stock that order's replica shows.
    #[track_caller]
    pub(crate) fn replica(&self, product: u64) -> u64 {
        stock_in(&self.at("order", "GET", &format!("/products/{product}")).send().expect(200))
    }

    #[track_caller]
    pub(crate) fn await_stock(&self, product: u64, expected: u64) {
        eventually_is("stock", &expected, || self.stock(product));
    }
}

/// Orders and deliveries.
impl Mall {
    /// A call that places an order as this customer, ready to be changed or sent.
    #[track_caller]
    pub(crate) fn ordering(&self, who: &Customer, body: &Value) -> Call {
        self.call("POST", "/orders").bearer(&who.token).json(body)
    }

    /// Places an order and expects it taken.
    #[track_caller]
    pub(crate) fn order(&self, who: &Customer, product: u64, quantity: u64) -> Placed {
        let body = json!({"productId": product, "quantity": quantity, "customerName": "Someone", "customerAddr": "Somewhere 1"});
        Placed::of(&self.ordering(who, &body).send().expect(201))
    }

    /// Places an order and waits for its delivery.
    #[track_caller]
    pub(crate) fn delivered(&self, who: &Customer, product: u64, quantity: u64) -> Placed {
        let placed = self.order(who, product, quantity);
        self.await_order(placed.id, "OrderPlaced");
        eventually("the delivery starts", || self.delivery_of(placed.id));
        placed
    }

    /// Sells two of a new product's hundred to a new customer: delivered, on the page, gone from the stock.
    #[track_caller]
    pub(crate) fn sold(&self) -> Sold {
        let (who, product) = (self.customer(), self.product(100, "cancel"));
        let placed = self.delivered(&who, product, 2);
        self.await_row(&who, placed.id, ("OrderPlaced", Some("DeliveryStarted")));
        self.await_stock(product, 98);
        Sold { who, product, placed }
    }

    #[track_caller]
    pub(crate) fn cancel(&self, who: &Customer, order: u64) -> Answer {
        let call = self.call("PATCH", &format!("/orders/{order}")).bearer(&who.token);
        call.json(&json!({"state": "OrderCancelled"})).send()
    }

    /// The order as order's own port shows it.
    #[track_caller]
    pub(crate) fn order_now(&self, order: u64) -> Value {
        self.at("order", "GET", &format!("/orders/{order}")).send().expect(200).value()
    }

    #[track_caller]
    pub(crate) fn await_order(&self, order: u64, state: &str) {
        let read = || self.order_now(order)["state"].as_str().unwrap_or_default().to_owned();
        eventually_is("the order's state", &state.to_owned(), read);
    }

    /// Every delivery of an order; there is never more than one.
    #[track_caller]
    pub(crate) fn deliveries_of(&self, order: u64) -> Vec<Value> {
        let path = format!("/deliveries/search/findByOrderIdOrderByDeliveryIdDesc?orderId={order}");
        self.at("delivery", "GET", &path).send().embedded("deliveries")
    }

    #[track_caller]
    pub(crate) fn delivery_of(&self, order: u64) -> Option<Value> {
        let found = self.deliveries_of(order);
        assert!(found.len() <= 1, "more than one delivery: {found:?}");
        found.into_iter().next()
    }

    #[track_caller]
    pub(crate) fn await_delivery(&self, order: u64, state: &str) {
        let read = || self.delivery_of(order).map(|delivery| delivery["deliveryState"].clone());
        eventually_is("the delivery's state", &Some(json!(state)), read);
    }

    /// The administrator moves an order's delivery.
    #[track_caller]
    pub(crate) fn move_delivery(&self, order: u64, state: &str) -> Answer {
        let delivery = eventually("a delivery", || self.delivery_of(order));
        let path = format!("/deliveries/{}", delivery["deliveryId"]);
        let call = self.call("PATCH", &path).bearer(self.admin());
        call.json(&json!({"deliveryState": state})).send()
    }
}

/// My page.
impl Mall {
    #[track_caller]
    pub(crate) fn page(&self, who: &Customer) -> Value {
        let call = self.get(&format!("/mypages/{}", who.id)).bearer(&who.token);
        call.header("accept", "application/json").send().expect(200).value()
    }

    /// My page, at least as new as this write.
    #[track_caller]
    pub(crate) fn page_with(&self, who: &Customer, position: &str) -> Value {
        let call = self.get(&format!("/mypages/{}", who.id)).bearer(&who.token);
        let call = call.header("accept", "application/json").header("yeoul-position", position);
        call.send().expect(200).value()
    }

    /// An order's row on its owner's page.
    #[track_caller]
    pub(crate) fn row(&self, who: &Customer, order: u64) -> Option<Value> {
        let page = self.page(who);
        let rows = page["orders"].as_array().expect("orders on my page");
        rows.iter().find(|row| row["orderId"] == order).cloned()
    }

    /// Waits until the row shows these two states; `null` is no delivery.
    #[track_caller]
    pub(crate) fn await_row(&self, who: &Customer, order: u64, states: (&str, Option<&str>)) {
        let expected = Some((json!(states.0), json!(states.1)));
        let read = || {
            self.row(who, order)
                .map(|row| (row["orderState"].clone(), row["deliveryState"].clone()))
        };
        eventually_is("the row on my page", &expected, read);
    }

    #[track_caller]
    pub(crate) fn await_mileage(&self, who: &Customer, expected: u64) {
        eventually_is("mileage", &json!(expected), || self.page(who)["mileage"].clone());
    }
}

/// The event side.
impl Mall {
    #[track_caller]
    pub(crate) fn batch(&self, topic: &str, query: &str) -> Answer {
        self.get(&format!("/events/{topic}{query}")).bearer(self.admin()).send()
    }

    /// A whole topic.
    #[track_caller]
    pub(crate) fn events(&self, topic: &str) -> Vec<Value> {
        let mut all: Vec<Value> = Vec::new();
        loop {
            let from = all.last().map_or("beginning", |event| {
                event["position"].as_str().unwrap_or_else(|| panic!("no position: {event}"))
            });
            let answer = self.batch(topic, &format!("?from={from}&limit=1000")).expect(200);
            let Value::Array(batch) = answer.value() else { panic!("no batch") };
            if batch.is_empty() {
                return all;
            }
            all.extend(batch);
        }
    }

    /// A topic's events about one aggregate.
    #[track_caller]
    pub(crate) fn events_of(&self, topic: &str, subject: impl ToString + Copy) -> Vec<Value> {
        let subject = subject.to_string();
        let mut events = self.events(topic);
        events.retain(|event| event["subject"] == subject.as_str());
        events
    }

    /// A topic's events about one order, whatever their subject.
    #[track_caller]
    pub(crate) fn events_about(&self, topic: &str, order: u64) -> Vec<Value> {
        let mut events = self.events(topic);
        events.retain(|event| event["data"]["orderId"] == order);
        events
    }

    /// How many events each topic holds.
    #[track_caller]
    pub(crate) fn totals(&self) -> [usize; 4] {
        ["order", "product", "delivery", "account"].map(|topic| self.events(topic).len())
    }

    #[track_caller]
    pub(crate) fn subscriptions(&self) -> Vec<Value> {
        let answer = self.at("admin", "GET", "/admin/subscriptions").send().expect(200).value();
        answer.as_array().expect("a list of subscriptions").clone()
    }

    #[track_caller]
    pub(crate) fn relays(&self) -> Vec<Value> {
        let answer = self.at("admin", "GET", "/admin/relays").send().expect(200).value();
        answer.as_array().expect("a list of relays").clone()
    }

    /// Waits until every subscription is at the end of its topic.
    #[track_caller]
    pub(crate) fn await_caught_up(&self) {
        within(3 * SOON, "every lag is 0", || {
            self.subscriptions().iter().all(|one| one["lag"] == 0).then_some(())
        });
    }

    /// Waits until everything that has been done so far has had all its consequences.
    ///
    /// An order sent now goes through order, product, order, delivery and my page behind all that
    /// went before: each relay and each topic keeps its order.
    #[track_caller]
    pub(crate) fn settle(&self) {
        let marker = self.marker.get_or_init(|| Marker {
            customer: self.customer(),
            product: self.product(1_000_000, "cancel"),
        });
        let placed = self.order(&marker.customer, marker.product, 1);
        self.await_row(&marker.customer, placed.id, ("OrderPlaced", Some("DeliveryStarted")));
        self.await_caught_up();
    }

    #[track_caller]
    pub(crate) fn dead(&self) -> Vec<Value> {
        let answer = self.at("admin", "GET", "/admin/dead").send().expect(200).value();
        answer.as_array().expect("a list of dead letters").clone()
    }

    #[track_caller]
    pub(crate) fn redrive(&self, id: &str) -> Answer {
        // What a client sends along without being asked for it is no data.
        let call = self.at("admin", "POST", &format!("/admin/dead/{id}/redrive"));
        call.json(&serde_json::json!({})).send()
    }

    #[track_caller]
    pub(crate) fn rewind(&self, subscription: &str) {
        let path = format!("/admin/subscriptions/{subscription}/rewind");
        self.at("admin", "POST", &path).json(&json!({"to": "beginning"})).send().expect(204);
    }
}

/// The switches.
impl Mall {
    #[track_caller]
    pub(crate) fn stop(&self, service: &str) {
        self.at("admin", "POST", &format!("/admin/services/{service}/stop")).send().expect(204);
    }

    #[track_caller]
    pub(crate) fn start(&self, service: &str) {
        self.at("admin", "POST", &format!("/admin/services/{service}/start")).send().expect(204);
    }

    #[track_caller]
    pub(crate) fn fault(&self, service: &str, fault: &Value) {
        let call = self.at("admin", "PUT", &format!("/admin/faults/{service}"));
        call.json(fault).send().expect(204);
    }

    #[track_caller]
    pub(crate) fn mend(&self, service: &str) {
        self.at("admin", "DELETE", &format!("/admin/faults/{service}")).send().expect(204);
    }
}

impl Placed {
    /// The order a 201 tells of; the answer must be whole.
    #[track_caller]
    pub(crate) fn of(answer: &Answer) -> Placed {
        let id = id_of(answer);
        let position = answer.must("yeoul-position").to_owned();
        Placed { id, position, body: answer.value() }
    }
}

/// The id of a created resource, which `Location` ends with.
#[track_caller]
pub(crate) fn id_of(answer: &Answer) -> u64 {
    assert_eq!(answer.status, 201, "{}", answer.text());
    let body = answer.value();
    let id = body["id"].as_u64().unwrap_or_else(|| panic!("no id: {body}"));
    let location = answer.must("location");
    assert!(location.starts_with('/') && location.ends_with(&format!("/{id}")), "{location}");
    id
}

#[track_caller]
fn stock_in(answer: &Answer) -> u64 {
    let body = answer.value();
    body["stock"].as_u64().unwrap_or_else(|| panic!("no stock: {body}"))
}
