//! Customers who order, cancel and complete deliveries, what they were answered, and whether the books balance: stock,
//! orders, deliveries and my page tell one story.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{Call, Customer, Mall, Random};

/// Customers at once.
pub(crate) const CLIENTS: usize = 4;

/// A product of the run: plenty of one, little of the other, and one that is asked for first.
pub(crate) struct Shelf {
    pub(crate) product: u64,
    pub(crate) stock: u64,
}

/// What one client was answered.
#[derive(Clone, Default)]
pub(crate) struct Book {
    /// Order → product and quantity.
    pub(crate) taken: BTreeMap<u64, (u64, u64)>,
    pub(crate) cancelled: BTreeSet<u64>,
    pub(crate) completed: BTreeSet<u64>,
    /// Requests that were sent and never answered.
    pub(crate) unanswered: u64,
    /// Orders that were not taken, because something was away.
    pub(crate) refused: u64,
}

pub(crate) struct Client {
    pub(crate) who: Customer,
    pub(crate) book: Book,
    pub(crate) random: Random,
    /// What it is answered where something is away.
    pub(crate) away: &'static [u16],
}

/// Plenty, little, and what is asked for first.
pub(crate) fn shelves(mall: &Mall) -> Vec<Shelf> {
    [(1_000_000, "cancel"), (150, "cancel"), (1_000_000, "reject")]
        .into_iter()
        .map(|(stock, policy)| Shelf { product: mall.product(stock, policy), stock })
        .collect()
}

pub(crate) fn clients(mall: &Mall, random: &mut Random, away: &'static [u16]) -> Vec<Client> {
    let client = |_| {
        let (who, random) = (mall.customer(), Random::new(random.next()));
        Client { who, book: Book::default(), random, away }
    };
    (0..CLIENTS).map(client).collect()
}

/// Everything there is, once it has come to rest.
pub(crate) struct Books {
    pub(crate) orders: BTreeMap<u64, Value>,
    pub(crate) deliveries: BTreeMap<u64, String>,
}

impl Client {
    /// One thing a customer does; `Err` when the process was gone before it answered.
    pub(crate) fn act(
        &mut self,
        gateway: &str,
        shelves: &[Shelf],
        admin: &str,
    ) -> Result<(), String> {
        let old: Vec<u64> = self.book.taken.keys().rev().take(10).copied().collect();
        match self.random.between(0, 9) {
            0..=1 if !old.is_empty() => self.cancel(gateway, self.pick(&old)),
            2 if !old.is_empty() => self.complete(gateway, self.pick(&old), admin),
            _ => self.order(gateway, shelves),
        }
    }

    fn pick(&self, from: &[u64]) -> u64 {
        from[self.book.taken.len() % from.len()]
    }

    fn order(&mut self, gateway: &str, shelves: &[Shelf]) -> Result<(), String> {
        let shelf = &shelves[self.random.between(0, shelves.len() as u64 - 1) as usize];
        let quantity = self.random.between(1, 5);
        let body = json!({"productId": shelf.product, "quantity": quantity});
        let call =
            Call::new("POST", format!("{gateway}/orders")).bearer(&self.who.token).json(&body);
        let answer = call.try_send()?;
        if answer.status == 201 {
            let id = answer.value()["id"].as_u64().expect("an id");
            let new = self.book.taken.insert(id, (shelf.product, quantity)).is_none();
            assert!(new, "order {id} was given out twice");
        } else {
            assert!(self.away.contains(&answer.status), "an order: {}", answer.text());
            self.book.refused += 1;
        }
        Ok(())
    }

    fn cancel(&mut self, gateway: &str, order: u64) -> Result<(), String> {
        let call = Call::new("PATCH", format!("{gateway}/orders/{order}")).bearer(&self.who.token);
        let answer = call.json(&json!({"state": "OrderCancelled"})).try_send()?;
        match answer.status {
            200 => drop(self.book.cancelled.insert(order)),
            // Delivered by then, or a service that is not up yet.
            409 => {}
            status if self.away.contains(&status) => {}
            status => panic!("a cancellation: {status}: {}", answer.text()),
        }
        Ok(())
    }

    fn complete(&mut self, gateway: &str, order: u64, admin: &str) -> Result<(), String> {
        let search = "deliveries/search/findByOrderIdOrderByDeliveryIdDesc";
        let found = Call::new("GET", format!("{gateway}/{search}?orderId={order}")).bearer(admin);
        let found = found.try_send()?;
        if found.status != 200 {
            return Ok(());
        }
        let Some(delivery) = found.embedded("deliveries").first().cloned() else { return Ok(()) };
        let path = format!("{gateway}/deliveries/{}", delivery["deliveryId"]);
        let body = json!({"deliveryState": "DeliveryCompleted"});
        let answer = Call::new("PATCH", path).bearer(admin).json(&body).try_send()?;
        if answer.status == 200 {
            self.book.completed.insert(order);
        }
        Ok(())
    }
}

/// Whether an order is not decided yet.
pub(crate) fn is_pending(mall: &Mall) -> bool {
    all(mall, "order", "/orders", "orders").iter().any(|order| order["state"] == "PENDING")
}

/// Reads them, and holds them against each other and against what was answered.
pub(crate) fn balance(mall: &Mall, clients: &[Client], shelves: &[Shelf]) -> Books {
    let orders: BTreeMap<u64, Value> = all(mall, "order", "/orders", "orders")
        .into_iter()
        .map(|order| (order["id"].as_u64().expect("an id"), order))
        .collect();
    let mut deliveries: BTreeMap<u64, String> = BTreeMap::new();
    for delivery in all(mall, "delivery", "/deliveries", "deliveries") {
        let order = delivery["orderId"].as_u64().expect("an order");
        let state = delivery["deliveryState"].as_str().expect("a state").to_owned();
        assert_eq!(deliveries.insert(order, state), None, "two deliveries of order {order}");
    }
    every_answer_holds(clients, &orders, &deliveries);
    stock_adds_up(mall, shelves, &orders);
    deliveries_follow_orders(&orders, &deliveries);
    for client in clients {
        my_page_tells_the_same(mall, &client.who, &orders, &deliveries);
    }
    Books { orders, deliveries }
}

fn all(mall: &Mall, service: &str, path: &str, list: &str) -> Vec<Value> {
    let mut all = Vec::new();
    for page in 0.. {
        let slice =
            mall.at(service, "GET", &format!("{path}?size=100&page={page}")).send().embedded(list);
        if slice.is_empty() {
            break;
        }
        all.extend(slice);
    }
    all
}

fn every_answer_holds(
    clients: &[Client],
    orders: &BTreeMap<u64, Value>,
    deliveries: &BTreeMap<u64, String>,
) {
    for client in clients {
        for (id, (product, quantity)) in &client.book.taken {
            let order =
                orders.get(id).unwrap_or_else(|| panic!("order {id} was answered 201 and is gone"));
            assert_eq!(
                (&order["productId"], &order["quantity"]),
                (&json!(product), &json!(quantity))
            );
            assert_eq!(order["customerId"], client.who.id.as_str());
        }
        for id in &client.book.cancelled {
            assert_eq!(
                orders[id]["state"], "OrderCancelled",
                "order {id} was cancelled with a 200"
            );
        }
        for id in &client.book.completed {
            assert_eq!(deliveries[id], "DeliveryCompleted", "order {id} was completed with a 200");
        }
    }
}

fn stock_adds_up(mall: &Mall, shelves: &[Shelf], orders: &BTreeMap<u64, Value>) {
    for shelf in shelves {
        let sold: u64 = orders
            .values()
            .filter(|order| order["productId"] == shelf.product && order["state"] == "OrderPlaced")
            .map(|order| order["quantity"].as_u64().expect("a quantity"))
            .sum();
        assert_eq!(mall.stock(shelf.product) + sold, shelf.stock, "product {}", shelf.product);
        assert_eq!(mall.replica(shelf.product), mall.stock(shelf.product), "the replica");
    }
}

fn deliveries_follow_orders(orders: &BTreeMap<u64, Value>, deliveries: &BTreeMap<u64, String>) {
    for (id, order) in orders {
        let delivery = deliveries.get(id).map(String::as_str);
        match order["state"].as_str() {
            Some("OrderPlaced") => assert!(
                matches!(delivery, Some("DeliveryStarted" | "DeliveryCompleted")),
                "order {id} is placed, its delivery {delivery:?}"
            ),
            // Where a completion and a cancellation crossed, the delivery stays as it is.
            Some("OrderCancelled") => assert!(
                matches!(delivery, None | Some("DeliveryCancelled" | "DeliveryCompleted")),
                "order {id} is cancelled, its delivery {delivery:?}"
            ),
            other => panic!("order {id} came to rest as {other:?}"),
        }
    }
    assert!(deliveries.keys().all(|id| orders.contains_key(id)), "a delivery without an order");
}

fn my_page_tells_the_same(
    mall: &Mall,
    who: &Customer,
    orders: &BTreeMap<u64, Value>,
    deliveries: &BTreeMap<u64, String>,
) {
    let mut rows = BTreeMap::new();
    for page in 0.. {
        let path = format!("/mypages/{}?size=100&page={page}", who.id);
        let call = mall.get(&path).bearer(&who.token).header("accept", "application/json");
        let body = call.send().expect(200).value();
        let slice = body["orders"].as_array().expect("orders").clone();
        if slice.is_empty() {
            break;
        }
        for row in slice {
            let id = row["orderId"].as_u64().expect("an id");
            assert!(rows.insert(id, row).is_none(), "order {id} is shown twice");
        }
    }
    let mine: BTreeMap<&u64, &Value> =
        orders.iter().filter(|(_, order)| order["customerId"] == who.id.as_str()).collect();
    assert!(rows.keys().eq(mine.keys().copied()), "my page shows other orders than there are");
    let mut mileage = 0;
    for (id, order) in mine {
        let row = &rows[id];
        let payment = order["price"].as_u64().expect("a price")
            * order["quantity"].as_u64().expect("a quantity");
        assert_eq!(row["orderState"], order["state"], "order {id}");
        assert_eq!(row["payment"], payment, "order {id}");
        assert_eq!(row["deliveryState"], json!(deliveries.get(id)), "order {id}");
        mileage += if order["state"] == "OrderPlaced" { payment / 10 } else { 0 };
    }
    assert_eq!(mall.page(who)["mileage"], mileage);
}
