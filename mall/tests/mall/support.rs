//! A mall without its gateway, and a client for it.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chassis::cores::Cores;
use chassis::http::{Listener, Stop};
use chassis::identity::{Ended, fixture};
use events::{
    Broker, Control, Database, Declared, Event, Log, Numbers, Offset, Partitions, Retry, Topic,
    TopicPartition,
};
use jiff::Timestamp;
use mall::endpoint::{Listen, serving};
use mall::{Components, Endpoint, Faults, Name, Role, account, delivery, order, product};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::place;

/// How long a test waits for what must happen.
const DEADLINE: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// How soon a failed event is tried again here.
pub(crate) const BACKOFF: Duration = Duration::from_millis(20);

pub(crate) const CUSTOMER: &str = "1@uengine.org";
pub(crate) const OTHER: &str = "2@uengine.org";
pub(crate) const ADMIN: &str = "admin@uengine.org";

pub(crate) struct Mall {
    pub(crate) faults: Faults,
    pub(crate) log: Arc<Log>,
    pub(crate) controls: Vec<Control>,
    pub(crate) runtime: Runtime,
    /// What every verifier of it remembers of ended sign-ins.
    pub(crate) ended: Ended,
    endpoints: BTreeMap<Name, Endpoint>,
    account: account::Service,
    databases: Vec<(Name, Database)>,
    components: Components,
    loops: Stop,
    cores: Option<Arc<Cores>>,
    folder: Option<TempDir>,
    /// Whether the log is its own to close.
    is_first: bool,
}

/// The services that listen here; my page is served by the gateway.
const SERVED: [Name; 4] = [Name::Order, Name::Product, Name::Delivery, Name::Account];

/// The services, open.
struct Services {
    order: order::Service,
    product: product::Service,
    delivery: delivery::Service,
    account: account::Service,
}

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: http::HeaderMap,
    pub(crate) text: String,
    pub(crate) body: Value,
}

/// A request that is being made.
pub(crate) struct Ask<'m> {
    mall: &'m Mall,
    request: http::request::Builder,
    body: Option<String>,
}

#[expect(clippy::disallowed_methods, reason = "tests read the machine's clock")]
fn now() -> Instant {
    Instant::now()
}

pub(crate) fn components(data: &Path, log: Arc<Log>, stock_check: SocketAddr) -> Components {
    Components {
        data: data.to_owned(),
        host: place::host(data),
        sealing: place::sealing(),
        broker: log,
        clock: chassis::clock::component(),
        faults: Faults::new(true),
        stock_check,
        verifier: fixture::verifier(&fixture::signer().public_keys()),
        retry: Retry { attempts: 3, backoff: BACKOFF },
        trusted: Default::default(),
        gateway: None,
        sign_in: Default::default(),
        sign_up: Default::default(),
        order_deadline: None,
        seed: true,
    }
}

impl Services {
    async fn open(components: &Components) -> Services {
        Services {
            account: account::Service::open(components.clone()).await.expect("account opens"),
            order: order::Service::open(components.clone()).await.expect("order opens"),
            product: product::Service::open(components.clone()).await.expect("product opens"),
            delivery: delivery::Service::open(components.clone()).await.expect("delivery opens"),
        }
    }

    fn run(&self, cores: &Cores, stop: &Stop) -> Vec<Control> {
        let parts = [
            self.order.loops(stop),
            self.product.loops(stop),
            self.delivery.loops(stop),
            self.account.loops(stop),
        ];
        let mut controls = Vec::new();
        for loops in parts {
            for (at, run) in loops.run.into_iter().enumerate() {
                cores.spawn_on(at, run);
            }
            controls.extend(loops.controls);
        }
        controls
    }

    fn listen(&self, name: Name, cores: Arc<Cores>, address: SocketAddr) -> Listen {
        match name {
            Name::Order => {
                let it = self.order.clone();
                serving(cores, move |_| it.server(address))
            }
            Name::Product => {
                let it = self.product.clone();
                serving(cores, move |_| it.server(address))
            }
            Name::Delivery => {
                let it = self.delivery.clone();
                serving(cores, move |_| it.server(address))
            }
            _ => {
                let it = self.account.clone();
                serving(cores, move |_| it.server(address))
            }
        }
    }

    fn databases(&self) -> Vec<(Name, Database)> {
        vec![
            (Name::Order, self.order.database().clone()),
            (Name::Product, self.product.database().clone()),
            (Name::Delivery, self.delivery.database().clone()),
            (Name::Account, self.account.database().clone()),
        ]
    }
}

impl Mall {
    /// A fresh mall with the demo's seeds, everything caught up.
    pub(crate) fn start() -> Mall {
        Mall::start_in(tempfile::tempdir().expect("a folder"))
    }

    /// The same, with a secret that all parts have, and product where other machines reach it.
    pub(crate) fn start_apart(secret: &str) -> Mall {
        Mall::start_with(tempfile::tempdir().expect("a folder"), Some(secret.to_owned()))
    }

    pub(crate) fn start_in(folder: TempDir) -> Mall {
        Mall::start_with(folder, None)
    }

    fn start_with(folder: TempDir, gateway: Option<String>) -> Mall {
        // More than one: nothing may depend on an order between keys.
        let topics = mall::TOPICS.map(|name| Declared {
            topic: Topic::parse(name).expect("a topic"),
            partitions: Partitions::new(3).expect("a count"),
        });
        let clock = chassis::clock::component();
        let log = Log::open_declared(folder.path(), &topics, clock).expect("the log opens");
        let log = Arc::new(log);
        let nobody = SocketAddr::from(([127, 0, 0, 1], 0));
        let components = components(folder.path(), log.clone(), nobody);
        let components = Components { gateway, ..components };
        let mall = Mall::over(components, log, Some(folder));
        mall.settle();
        mall
    }

    /// A second instance of each service, on the same stores and the same log; it goes before this one does.
    #[allow(dead_code, reason = "where a store has one writer there is one instance")]
    pub(crate) fn twins(&self) -> Mall {
        Mall::over(self.components.clone(), self.log.clone(), None)
    }

    /// The same, each with a verifier of its own and this much later by its clock.
    #[allow(dead_code, reason = "where a store has one writer there is one instance")]
    pub(crate) fn twins_later(&self, by: Duration) -> Mall {
        let verifier = fixture::verifier(&fixture::signer().public_keys());
        let clock: events::Clock = Arc::new(move || chassis::clock::wall() + by);
        let components = Components { verifier, clock, ..self.components.clone() };
        Mall::over(components, self.log.clone(), None)
    }

    fn over(components: Components, log: Arc<Log>, folder: Option<TempDir>) -> Mall {
        // With a thread of its own: work that a store does in tasks goes on while a test waits for an answer.
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build().expect("a runtime");
        let cores = Arc::new(Cores::start(2).expect("threads start"));
        let any = |name| match name {
            Name::Product if components.gateway.is_some() => "0.0.0.0:0",
            _ => "127.0.0.1:0",
        };
        let bind = |name| Listener::bind(any(name).parse().expect("an address")).expect("a port");
        let listeners = SERVED.map(|name| (name, bind(name)));
        let product = listeners.iter().find(|(name, _)| *name == Name::Product);
        let stock_check = product.expect("one of them").1.address();
        let components = Components { stock_check, ..components };
        let open = runtime.block_on(Services::open(&components));
        let loops = Stop::new();
        let controls = open.run(&cores, &loops);
        let endpoints = listeners.map(|(name, listener)| {
            let listen = open.listen(name, cores.clone(), listener.address());
            let pause = components.faults.pause(name);
            (name, Endpoint::start_on(name, listener, pause, listen).expect("it serves"))
        });
        Mall {
            ended: components.verifier.ended().clone(),
            faults: components.faults.clone(),
            log,
            controls,
            runtime,
            endpoints: endpoints.into(),
            account: open.account.clone(),
            databases: open.databases(),
            components,
            loops,
            cores: Some(cores),
            is_first: folder.is_some(),
            folder,
        }
    }

    /// Ends it as a process would, and starts it again on the same data.
    pub(crate) fn restart(mut self) -> Mall {
        let folder = self.folder.take().expect("running");
        drop(self);
        Mall::start_in(folder)
    }

    pub(crate) fn endpoint(&self, name: Name) -> &Endpoint {
        &self.endpoints[&name]
    }

    pub(crate) fn stop(&self, name: Name) {
        self.runtime.block_on(self.endpoint(name).stop());
    }

    pub(crate) fn resume(&self, name: Name) {
        self.endpoint(name).start().expect("the address is free");
    }

    /// A token for `subject`, signed with the mall's own key.
    pub(crate) fn token(&self, subject: &str, role: Role) -> String {
        let now = chassis::clock::wall();
        fixture::token(self.account.signer(), subject, &role.into(), now, Duration::from_secs(60))
            .text
    }

    pub(crate) fn expired_token(&self, subject: &str) -> String {
        let then = Timestamp::UNIX_EPOCH;
        let (role, life) = (Role::OrderCustomer.into(), Duration::from_secs(60));
        fixture::token(self.account.signer(), subject, &role, then, life).text
    }

    pub(crate) fn get(&self, name: Name, path: &str) -> Ask<'_> {
        self.ask(name, "GET", path)
    }

    pub(crate) fn post(&self, name: Name, path: &str, body: &Value) -> Ask<'_> {
        self.ask(name, "POST", path).json(body)
    }

    pub(crate) fn patch(&self, name: Name, path: &str, body: &Value) -> Ask<'_> {
        self.ask(name, "PATCH", path).json(body)
    }

    pub(crate) fn delete(&self, name: Name, path: &str) -> Ask<'_> {
        self.ask(name, "DELETE", path)
    }

    pub(crate) fn ask(&self, name: Name, method: &str, path: &str) -> Ask<'_> {
        let address = self.endpoint(name).address();
        let request =
            http::Request::builder().method(method).uri(format!("http://{address}{path}"));
        Ask { mall: self, request, body: None }
    }

    /// Orders on order's own port, without a token; the order's id.
    pub(crate) fn order(&self, product: u64, quantity: u64) -> u64 {
        let body = json!({
            "productId": product, "quantity": quantity, "customerId": CUSTOMER,
            "customerName": "유엔진", "customerAddr": "서울시",
        });
        let answer = self.post(Name::Order, "/orders", &body).send();
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer.body["id"].as_u64().expect("an id")
    }

    pub(crate) fn cancel(&self, order: u64) -> Answer {
        let body = json!({"state": "OrderCancelled"});
        self.patch(Name::Order, &format!("/orders/{order}"), &body).send()
    }

    pub(crate) fn state(&self, order: u64) -> String {
        let answer = self.get(Name::Order, &format!("/orders/{order}")).send();
        answer.body["state"].as_str().expect("a state").to_owned()
    }

    pub(crate) fn stock(&self, product: u64) -> u64 {
        self.stock_at(Name::Product, product)
    }

    pub(crate) fn stock_at(&self, name: Name, product: u64) -> u64 {
        let answer = self.get(name, &format!("/products/{product}")).send();
        answer.body["stock"].as_u64().unwrap_or_else(|| panic!("{}", answer.text))
    }

    /// The delivery of an order.
    pub(crate) fn delivery_of(&self, order: u64) -> Option<Value> {
        let path = format!("/deliveries/search/findByOrderIdOrderByDeliveryIdDesc?orderId={order}");
        let answer = self.get(Name::Delivery, &path).send();
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.body["_embedded"]["deliveries"].get(0).cloned()
    }

    pub(crate) fn deliver(&self, order: u64, state: &str) -> Answer {
        let delivery = self.delivery_of(order).expect("a delivery");
        let path = format!("/deliveries/{}", delivery["deliveryId"]);
        self.patch(Name::Delivery, &path, &json!({ "deliveryState": state })).send()
    }

    /// Every event of a topic, by their times: between partitions there is no other order.
    pub(crate) fn events(&self, topic: Name) -> Vec<Event> {
        let topic = Topic::parse(topic.as_str()).expect("a topic");
        let partitions = self.log.partitions(&topic).expect("a topic of the mall");
        let each = partitions.each().flat_map(|partition| self.events_in(&topic.at(partition)));
        let mut events: Vec<Event> = each.collect();
        events.sort_by_key(|event| event.time);
        events
    }

    fn events_in(&self, at: &TopicPartition) -> Vec<Event> {
        let mut events: Vec<Event> = Vec::new();
        loop {
            let after = Offset(events.len() as u64);
            let more = self.runtime.block_on(self.log.read(at, after, events::broker::READ_MAX));
            let more = more.expect("the log reads");
            if more.is_empty() {
                return events;
            }
            events.extend(more.into_iter().map(|stored| stored.event));
        }
    }

    /// The types of a topic's events about one subject, in order.
    pub(crate) fn kinds(&self, topic: Name, subject: u64) -> Vec<String> {
        let events = self.events(topic).into_iter();
        events.filter(|event| event.subject == subject.to_string()).map(|it| it.kind).collect()
    }

    pub(crate) fn control(&self, name: &str) -> &Control {
        self.controls.iter().find(|control| control.name() == name).expect("a subscription")
    }

    /// Delivers everything again to every subscription.
    pub(crate) fn deliver_everything_again(&self) {
        for control in &self.controls {
            self.runtime.block_on(control.rewind()).expect("rewound");
        }
        self.settle();
    }

    /// How many ended sign-ins a service has on its disk.
    pub(crate) fn remembered(&self, service: &str) -> usize {
        let ended = chassis::identity::Ended::new(1_000);
        let (_, database) = self
            .databases
            .iter()
            .find(|(name, _)| name.as_str() == service)
            .expect("a service with a database");
        self.wait(sessions::load(database, &ended, chassis::clock::wall()))
            .expect("it can be read");
        ended.len()
    }

    /// Waits until everything committed has been relayed and handled.
    pub(crate) fn settle(&self) {
        self.until("everything settles", || {
            let before = self.committed();
            let relayed = self.databases.iter().zip(&before).all(|((name, _), committed)| {
                let topic = Topic::parse(name.as_str()).expect("a topic");
                committed.iter().all(|committed| {
                    let at = topic.at(committed.partition);
                    let published = self.wait(self.log.published(&at, name.as_str()));
                    published.is_ok_and(|published| published >= Some(committed.number))
                })
            });
            // By the log's rows: where it ends is announced a moment after they can be read.
            let handled =
                self.controls.iter().all(|it| matches!(self.wait(it.first_missing()), Ok(None)));
            // What was handled may have committed more to relay.
            relayed && handled && self.committed() == before
        });
    }

    /// The newest outbox sequences of each.
    fn committed(&self) -> Vec<Numbers> {
        let newest = |database: &Database| self.wait(database.committed_by_now());
        self.databases.iter().map(|(_, database)| newest(database).expect("numbers")).collect()
    }

    /// Waits until `done`.
    pub(crate) fn until(&self, what: &str, mut done: impl FnMut() -> bool) {
        let start = now();
        while !done() {
            assert!(now() - start < DEADLINE, "not in time: {what}");
            self.pause(LOOK_EVERY);
        }
    }

    fn pause(&self, time: Duration) {
        self.runtime.block_on(async { tokio::time::sleep(time).await });
    }

    pub(crate) fn wait<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }
}

impl Drop for Mall {
    fn drop(&mut self) {
        for endpoint in self.endpoints.values() {
            drop(endpoint.close());
        }
        self.loops.stop();
        let databases = std::mem::take(&mut self.databases);
        self.runtime.block_on(async {
            for (_, database) in &databases {
                database.close().await;
            }
            if self.is_first {
                self.log.close().await;
            }
        });
        self.endpoints.clear();
        if let Some(cores) = self.cores.take().and_then(Arc::into_inner) {
            cores.stop();
        }
    }
}

impl Ask<'_> {
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    pub(crate) fn by(self, subject: &str) -> Self {
        let role = if subject == ADMIN { Role::OrderAdmin } else { Role::OrderCustomer };
        let token = self.mall.token(subject, role);
        self.header("authorization", &format!("Bearer {token}"))
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.text("application/json", &body.to_string())
    }

    pub(crate) fn form(self, body: &str) -> Self {
        self.text("application/x-www-form-urlencoded", body)
    }

    pub(crate) fn text(mut self, kind: &str, body: &str) -> Self {
        self.body = Some(body.to_owned());
        self.header("content-type", kind)
    }

    pub(crate) fn send(self) -> Answer {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .proxy(None)
            .build()
            .into();
        let request = self.request.body(self.body.unwrap_or_default()).expect("a request");
        let (head, mut body) = agent.run(request).expect("an answer").into_parts();
        let text = body.read_to_string().expect("text");
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Answer { status: head.status.as_u16(), headers: head.headers, text, body }
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    /// The fields that a problem names.
    pub(crate) fn fields(&self) -> Vec<&str> {
        let errors = self.body["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        errors.iter().filter_map(|error| error["field"].as_str()).collect()
    }

    /// Checks the status, with the answer in words if it is another.
    #[track_caller]
    pub(crate) fn is(self, status: u16) -> Answer {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }
}
