//! The whole shop without HTTP and without an inbox, against every order of arrival that can be.
//!
//! The handlers of the three services run over their own databases; what they publish is collected
//! by a broker in memory and delivered at random: to each subscription at its own pace, and anything
//! it ever received again, as often as chance has it. The inbox would recognise most of these; here
//! the decisions alone have to.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chassis::http::Stop;
use events::broker::Pending;
use events::store::{Location, Publishes, Tx};
use events::{
    Broker, Database, Error, Event, Failure, Handler, Offset, Partitions, Relay, Stored, Topic,
    TopicPartition,
};
use proptest::prelude::*;
use tempfile::TempDir;
use tokio::sync::watch;

use crate::components::topic;
use crate::settings::Name;
use crate::{delivery, fixture, order, product};

const PRODUCTS: u64 = 2;
const STOCK: u64 = 6;
const DEADLINE: Duration = Duration::from_secs(30);

/// Who subscribes to whom.
const SUBSCRIPTIONS: [(Name, Name); 5] = [
    (Name::Product, Name::Order),
    (Name::Product, Name::Delivery),
    (Name::Order, Name::Product),
    (Name::Order, Name::Delivery),
    (Name::Delivery, Name::Order),
];

/// What happens next; numbers are taken modulo what there is.
#[derive(Clone, Copy, Debug)]
enum Move {
    Place { product: u64, quantity: u64 },
    Cancel { order: u64 },
    Complete { order: u64 },
    Return { order: u64 },
    Deliver { subscription: usize },
    DeliverAgain { subscription: usize, event: usize },
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let any = 0..100_u64;
    let one = prop_oneof![
        3 => (0..PRODUCTS, 1..=4_u64).prop_map(|(product, quantity)| Move::Place { product, quantity }),
        2 => any.clone().prop_map(|order| Move::Cancel { order }),
        1 => any.clone().prop_map(|order| Move::Complete { order }),
        1 => any.prop_map(|order| Move::Return { order }),
        8 => (0..SUBSCRIPTIONS.len()).prop_map(|subscription| Move::Deliver { subscription }),
        4 => (0..SUBSCRIPTIONS.len(), 0..1_000_usize).prop_map(|(subscription, event)| Move::DeliverAgain { subscription, event }),
    ];
    prop::collection::vec(one, 1..80)
}

/// Topics in memory.
#[derive(Default)]
struct MemoryBroker {
    topics: Mutex<BTreeMap<TopicPartition, Vec<Event>>>,
}

impl MemoryBroker {
    fn events(&self, at: &TopicPartition) -> Vec<Event> {
        let topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        topics.get(at).cloned().unwrap_or_default()
    }
}

impl Broker for MemoryBroker {
    fn publish<'a>(&'a self, at: &'a TopicPartition, batch: Vec<Event>) -> Pending<'a, Offset> {
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        // Whatever comes is kept, second copies too: recognising them is not this broker's promise.
        let events = topics.entry(at.clone()).or_default();
        events.extend(batch);
        let end = Offset(events.len() as u64);
        Box::pin(async move { Ok(end) })
    }

    fn read<'a>(
        &'a self,
        at: &'a TopicPartition,
        after: Offset,
        limit: usize,
    ) -> Pending<'a, Vec<Stored>> {
        let events = self.events(at).into_iter().zip(1..).skip(after.0 as usize).take(limit);
        let stored =
            events.map(|(event, offset)| Stored { offset: Offset(offset), event }).collect();
        Box::pin(async move { Ok(stored) })
    }

    fn end<'a>(&'a self, at: &'a TopicPartition) -> Pending<'a, Offset> {
        let end = Offset(self.events(at).len() as u64);
        Box::pin(async move { Ok(end) })
    }

    fn watch<'a>(&'a self, at: &'a TopicPartition) -> Pending<'a, watch::Receiver<Offset>> {
        Box::pin(async move { Ok(watch::Sender::new(self.end(at).await?).subscribe()) })
    }

    fn published<'a>(
        &'a self,
        at: &'a TopicPartition,
        _source: &'a str,
    ) -> Pending<'a, Option<u64>> {
        Box::pin(async move { Ok(Some(self.end(at).await?.0)) })
    }

    fn topics(&self) -> Vec<Topic> {
        SUBSCRIPTIONS.iter().map(|(_, from)| topic(*from)).collect()
    }

    fn partitions(&self, _topic: &Topic) -> Result<Partitions, Error> {
        Ok(Partitions::ONE)
    }

    fn promise(&self) -> String {
        "kept as long as the test".to_owned()
    }
}

struct Shop {
    databases: BTreeMap<Name, Database>,
    broker: Arc<MemoryBroker>,
    /// Events each subscription has received.
    received: [usize; SUBSCRIPTIONS.len()],
    relays: Stop,
    _folder: TempDir,
}

impl Shop {
    /// With each service's database where `place` says, of a folder and its name.
    async fn open(place: fn(&Path, Name) -> Location) -> Shop {
        let folder = tempfile::tempdir().expect("a folder");
        let broker = Arc::new(MemoryBroker::default());
        let relays = Stop::new();
        let mut databases = BTreeMap::new();
        for (name, tables) in [
            (Name::Order, order::simulated::TABLES),
            (Name::Product, product::simulated::TABLES),
            (Name::Delivery, delivery::simulated::TABLES),
        ] {
            let publishes = Publishes {
                source: name.as_str().to_owned(),
                topic: topic(name),
                partitions: Partitions::ONE,
            };
            let clock = Arc::new(|| jiff::Timestamp::UNIX_EPOCH);
            let place = place(folder.path(), name);
            let database = Database::at(place, tables, Some(publishes), clock).await;
            let database = database.expect("a database");
            let (relay, stop) = (Relay::new(database.clone(), broker.clone()), relays.clone());
            tokio::spawn(relay.run(async move { stop.stopped().await }));
            databases.insert(name, database);
        }
        let shop =
            Shop { databases, broker, received: [0; SUBSCRIPTIONS.len()], relays, _folder: folder };
        // As the catalogue is there before the first order, but its events are delivered like any others.
        for _ in 0..PRODUCTS {
            let register = shop
                .of(Name::Product)
                .write((), |(), tx| Box::pin(product::simulated::register(tx, STOCK)));
            register.await.expect("registered");
        }
        shop.relayed().await;
        shop
    }

    fn of(&self, name: Name) -> &Database {
        &self.databases[&name]
    }

    /// Waits until the broker has all that was committed.
    async fn relayed(&self) {
        let all = async {
            for (name, database) in &self.databases {
                let at = topic(*name).first();
                let committed = || database.committed().borrow().of(at.partition);
                while (self.broker.events(&at).len() as u64) < committed() {
                    tokio::task::yield_now().await;
                    tokio::time::sleep(Duration::from_micros(100)).await;
                }
            }
        };
        tokio::time::timeout(DEADLINE, all).await.expect("relayed in time");
    }

    async fn play(&mut self, step: Move) {
        // One of those that there are; before the first it is that one, and then it is not there yet.
        let order = |number: u64, known: u64| number % known.max(1) + 1;
        let known = order::simulated::count(self.of(Name::Order)).await.expect("a count");
        let write = self.of(Name::Order);
        match step {
            Move::Place { product, quantity } => {
                let product = product % PRODUCTS + 1;
                let place = write.write((product, quantity), |&(product, quantity), tx| {
                    Box::pin(order::simulated::place(tx, product, quantity))
                });
                place.await.expect("placed");
            }
            Move::Cancel { order: number } => {
                let id = order(number, known);
                let cancel = write.write(id, |&id, tx| Box::pin(order::simulated::cancel(tx, id)));
                cancel.await.expect("decided");
            }
            Move::Complete { order: number } => {
                self.change(order(number, known), "DeliveryCompleted").await;
            }
            Move::Return { order: number } => {
                self.change(order(number, known), "DeliveryReturned").await;
            }
            Move::Deliver { subscription } => {
                self.deliver_next(subscription).await;
            }
            Move::DeliverAgain { subscription, event } => {
                let received = self.received[subscription];
                if received > 0 {
                    self.deliver(subscription, event % received).await;
                }
            }
        }
        // After each move, so that what can be delivered next depends on the moves alone and a failing case is
        // the same again.
        self.relayed().await;
    }

    async fn change(&self, order: u64, state: &'static str) {
        let change = self.of(Name::Delivery).write((order, state), |&(order, state), tx| {
            Box::pin(delivery::simulated::change(tx, order, state))
        });
        change.await.expect("decided");
    }

    /// Delivers the next event; whether there was one.
    async fn deliver_next(&mut self, subscription: usize) -> bool {
        let next = self.received[subscription];
        let there = next < self.broker.events(&topic(SUBSCRIPTIONS[subscription].1).first()).len();
        if there {
            self.deliver(subscription, next).await;
            self.received[subscription] += 1;
        }
        there
    }

    async fn deliver(&self, subscription: usize, index: usize) {
        let (name, from) = SUBSCRIPTIONS[subscription];
        let event = self.broker.events(&topic(from).first())[index].clone();
        // In a transaction of its own, as the subscription does it, but past the inbox: the handler's own
        // decision has to make the second time harmless.
        let given = (name, from, event);
        let handled = self
            .of(name)
            .write(given, |(name, from, event), tx| Box::pin(handle(tx, *name, *from, event)));
        handled.await.expect("no handler fails");
    }

    async fn settle(&mut self) {
        // Until a whole round delivers nothing: what one handler publishes is another's next event.
        loop {
            let mut moved = false;
            for subscription in 0..SUBSCRIPTIONS.len() {
                while self.deliver_next(subscription).await {
                    moved = true;
                }
                self.relayed().await;
            }
            if !moved {
                return;
            }
        }
    }

    /// Stock + taken is what ever came in, and every order ended as its goods did.
    async fn audit(&self) {
        let orders = order::simulated::orders(self.of(Name::Order)).await.expect("orders");
        let taken = product::simulated::taken(self.of(Name::Product)).await.expect("decisions");
        let stock = product::simulated::stock(self.of(Name::Product)).await.expect("stock");
        let replica = order::simulated::replica(self.of(Name::Order)).await.expect("a replica");
        let deliveries =
            delivery::simulated::deliveries(self.of(Name::Delivery)).await.expect("deliveries");
        for (product, stock) in &stock {
            let taken: u64 =
                taken.iter().filter(|it| it.product == *product).map(|it| it.quantity).sum();
            assert_eq!(stock + taken, STOCK, "product {product}");
        }
        assert_eq!(replica, stock);
        for order::simulated::Seen { id: order, state } in orders {
            let has_goods = taken.iter().any(|it| it.order == order);
            let mine: Vec<&str> = deliveries
                .iter()
                .filter(|it| it.order == order)
                .map(|it| it.state.as_str())
                .collect();
            // After settling nothing is pending: an order is placed and on its way, or over and its goods are back.
            let sound = match (state.as_str(), &mine[..]) {
                ("OrderPlaced", ["DeliveryStarted" | "DeliveryCompleted"]) => has_goods,
                ("OrderPlaced", ["DeliveryReturned"]) => !has_goods,
                (
                    "OrderCancelled",
                    [] | ["DeliveryCancelled" | "DeliveryCompleted" | "DeliveryReturned"],
                ) => !has_goods,
                _ => false,
            };
            assert!(
                sound,
                "order {order} is {state}, has goods: {has_goods}, deliveries: {mine:?}"
            );
        }
    }
}

/// Has `name` handle an event of `from`.
async fn handle(tx: &mut Tx<'_>, name: Name, from: Name, event: &Event) -> Result<(), Error> {
    let handled = match (name, from) {
        (Name::Product, Name::Order) => product::handlers::OnOrder.handle(&mut (), tx, event).await,
        (Name::Product, _) => product::handlers::OnDelivery.handle(&mut (), tx, event).await,
        (Name::Order, Name::Product) => order::handlers::OnProduct.handle(&mut (), tx, event).await,
        (Name::Order, _) => order::handlers::OnDelivery.handle(&mut (), tx, event).await,
        _ => delivery::handlers::OnOrder.handle(&mut (), tx, event).await,
    };
    handled.map_err(|failure| match failure {
        Failure::Handler(reason) => Error::Decode { what: reason },
        Failure::Environment(error) => error,
    })
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.relays.stop();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn stock_and_orders_and_deliveries_add_up_whatever_arrives_when_and_how_often(moves in moves()) {
        add_up(|folder, name| Location::File(folder.join(name.as_str())), moves);
    }
}

proptest! {
    // Few: each statement goes over a wire.
    #![proptest_config(ProptestConfig { cases: 4, ..ProptestConfig::default() })]

    #[test]
    fn they_add_up_on_a_server_too(moves in moves()) {
        add_up(|_, _| fixture::store::place(), moves);
    }
}

fn add_up(place: fn(&Path, Name) -> Location, moves: Vec<Move>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async move {
        let mut shop = Shop::open(place).await;
        for step in moves {
            shop.play(step).await;
        }
        shop.settle().await;
        shop.audit().await;
        // And all of it once more, in its order: a rewind of every subscription changes nothing.
        for subscription in 0..SUBSCRIPTIONS.len() {
            for event in 0..shop.received[subscription] {
                shop.deliver(subscription, event).await;
            }
        }
        shop.settle().await;
        shop.audit().await;
    });
}
