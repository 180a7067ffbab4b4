//! A gateway with views and a log in a folder of its own, and a service behind it that does what
//! its path says.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chassis::clock;
use chassis::cores::Cores;
use chassis::http::{Listener, Serve, Stop};
use chassis::identity::{Ended, Life, Role, Signer, fixture};
use chassis::settings::Tree;
use chassis::telemetry::Metrics;
use events::{Broker, Cause, Event, Log, Retry, Subscription, Topic};
use gateway::{AppFile, AppFiles, Components, Gateway};
use serde_json::{Value, json};
use sessions::Memory;
use tempfile::TempDir;
use views::{Definitions, Look, Views};

pub(crate) use client::{Answer, Client, Stream, get, raw, send};
pub(crate) use service::{SPACED_IN_FORMS, Service};
pub(crate) use yeoul_gateway as gateway;

pub(crate) mod client;
pub(crate) mod odd;
mod service;

/// Ended sign-ins that are remembered before new ones are refused.
pub(crate) const ENDED_MAX: usize = 3;

/// The roles of the settings, and of whoever is nothing else.
pub(crate) const ADMIN: &str = "ORDER_ADMIN";
pub(crate) const CUSTOMER: &str = "ORDER_CUSTOMER";

/// What refresh cookies are sealed with.
const SEAL_KEY: [u8; gateway::SEAL_KEY_BYTES] = [7; gateway::SEAL_KEY_BYTES];

/// How long anything may take that is expected to happen.
pub(crate) const SOON: Duration = Duration::from_secs(10);

const READ_SIDE: &str = "
views:
  orders:
    topics: [order]
    key: orderId
    owner: customerId
    on:
      OrderPlaced: { create: { orderId: event.orderId, customerId: event.customerId, state: \"'PENDING'\" } }
      OrderConfirmed: { update: { state: \"'OrderPlaced'\" }, where: { orderId: event.orderId } }
    hidden: [customerId]
  customers:
    topics: [account]
    key: username
    owner: username
    on:
      UserRegistered: { create: { username: event.username, nickname: event.nickname } }
      UserChanged: { update: { nickname: event.nickname }, where: { username: event.username } }
    hidden: [username]
pages:
  my-page:
    path: /mypages/{customerId}
    own: /mypage
    view: orders
    by: customerId
    head: customers
    order: orderId desc
    template: page.html
    live: { row: order, head: customer }
  names:
    path: /names/{name}
    view: customers
    by: username
    private: false
    template: names.html
    live: { row: name }
";

const TEMPLATE: &str = "<html><head>{{ app_head }}</head><p>{{ page.customerId }} in {{ locale }}: \
    {% for order in page.orders %}[{{ order.orderId }} {{ order.state }}]{% endfor %}</p></html>";

/// Everything that the mall's settings have, with guards that a test can reach.
pub(crate) const USUAL: &str = "
foreign_tokens: refuse
upstreams: { service: [http://127.0.0.1:1] }
routes:
  service: { path: /s/**, to: service, open: true }
  orders: { path: /orders/**, to: service }
  products: { path: /products/**, to: service, open: [GET, HEAD], role: ORDER_ADMIN }
  deliveries: { path: /deliveries/**, to: service, signed_in: [GET], role: ORDER_ADMIN }
  check: { path: \"/check/{id}\", methods: [GET], listener: inner, to: service, open: true }
  token: { path: /oauth/token, to: service, open: [POST] }
app: { paths: [/, \"/products/{id}\", /mypage, /signin] }
session: { upstream: service, path: /oauth/session, token: /oauth/token, revoke: /oauth/revoke }
events: { role: ORDER_ADMIN }
lists:
  mine: { path: /myPages, page: my-page, name: mypages }
  theirs: { path: \"/mypage/order/{userId}\", page: my-page, name: mypages }
heads:
  users: { path: \"/users/{id}\", page: my-page }
";

/// A running gateway and the service behind it.
pub(crate) struct World {
    pub(crate) address: SocketAddr,
    pub(crate) inner: SocketAddr,
    pub(crate) pages: SocketAddr,
    /// The pages' port as one that is reached from elsewhere.
    pub(crate) exposed: SocketAddr,
    pub(crate) service: Service,
    pub(crate) gateway: Gateway,
    pub(crate) metrics: Metrics,
    pub(crate) views: Views,
    pub(crate) memory: Memory,
    pub(crate) ended: Ended,
    signer: Signer,
    log: Arc<Log>,
    cores: Option<Cores>,
    stop: Stop,
    loops: Stop,
    /// Events of account and order so far.
    published: [AtomicU64; 2],
    _folder: TempDir,
}

impl World {
    /// The usual one.
    pub(crate) fn new() -> World {
        World::with(USUAL)
    }

    /// One of these settings; the upstream `service` is put where the service is.
    pub(crate) fn with(settings: &str) -> World {
        let service = Service::start();
        let address = service.address();
        World::before(settings, service, address)
    }

    /// One whose upstream is somewhere else.
    pub(crate) fn at(settings: &str, upstream: SocketAddr) -> World {
        World::before(settings, Service::start(), upstream)
    }

    fn before(settings: &str, service: Service, upstream: SocketAddr) -> World {
        let folder = TempDir::new().expect("a folder");
        let definitions = definitions();
        let settings = read::<gateway::Settings>(settings);
        let mut plan = gateway::compile(&settings, &definitions).expect("good settings");
        plan.set_upstream("service", upstream);
        let topics: Vec<Topic> = ["order", "account"].map(topic).to_vec();
        for part in ["log", "views"] {
            std::fs::create_dir(folder.path().join(part)).expect("a folder");
        }
        let log = Log::open(&folder.path().join("log"), &topics, clock::component());
        let log = Arc::new(log.expect("a log"));
        let app = app();
        let look = Look {
            app_head: app.head().to_owned(),
            locales: ["ko", "en"].map(str::to_owned).to_vec(),
            ..Look::default()
        };
        let views =
            Views::open(&folder.path().join("views"), definitions, look, clock::component());
        let views = views.expect("views");
        let signer = fixture::signer();
        let verifier = fixture::verifier_but_for(&signer.public_keys(), Ended::new(ENDED_MAX));
        let memory = folder.path().join("gateway");
        let memory = block_on(Memory::open(&memory, verifier.ended(), clock::component()));
        let memory = memory.expect("a memory");
        let (metrics, stop) = (Metrics::new(), Stop::new());
        let ended = verifier.ended().clone();
        let components = Components {
            views: Some(views.clone()),
            verifier,
            sessions: Some(gateway::Sessions { memory: memory.clone(), key: SEAL_KEY }),
            identity: "x".to_owned(),
            broker: log.clone(),
            takers: gateway::Takers::Log(log.clone()),
            promises: gateway::Promises::default(),
            desks: gateway::Desks::new(),
            schedules: None,
            app,
            metrics: metrics.clone(),
            stop: stop.clone(),
        };
        let gateway = Gateway::new(plan, components);
        let cores = Cores::start(2).expect("cores");
        let listen = || Listener::bind(([127, 0, 0, 1], 0).into()).expect("a port");
        let (outer, inner, pages, exposed) = (listen(), listen(), listen(), listen());
        let addresses = [&outer, &inner, &pages, &exposed].map(Listener::address);
        let on = gateway.clone();
        serve(outer, &cores, &stop, move |core| on.outer(core));
        let on = gateway.clone();
        serve(inner, &cores, &stop, move |core| on.inner(core));
        for (listener, at) in [(pages, Ipv4Addr::LOCALHOST), (exposed, Ipv4Addr::UNSPECIFIED)] {
            let (on, at) = (gateway.clone(), IpAddr::V4(at));
            serve(listener, &cores, &stop, move |core| on.pages_only(core, at));
        }
        let loops = Stop::new();
        let (on, end) = (gateway.clone(), loops.clone());
        cores.spawn_each(move |core| {
            let (on, end) = (on.clone(), end.clone());
            async move {
                if core == 0 {
                    on.settle(end).await;
                }
            }
        });
        for topic in topics {
            fold(&cores, &views, &log, topic, loops.clone());
        }
        let [address, inner, pages, exposed] = addresses;
        World {
            address,
            inner,
            pages,
            exposed,
            service,
            gateway,
            metrics,
            views,
            memory,
            ended,
            signer,
            log,
            cores: Some(cores),
            stop,
            loops,
            published: Default::default(),
            _folder: folder,
        }
    }

    /// A token of a customer.
    pub(crate) fn token(&self, subject: &str) -> String {
        self.token_of(subject, CUSTOMER)
    }

    /// A token of this role.
    pub(crate) fn token_of(&self, subject: &str, role: &str) -> String {
        fixture::token(&self.signer, subject, &named(role), clock::wall(), Duration::from_secs(600))
            .text
    }

    /// Two tokens of one sign-in, the second made by a renewal.
    pub(crate) fn family(&self, subject: &str) -> [String; 2] {
        let life = Life { from: clock::wall(), lasts: Duration::from_secs(600) };
        let first = fixture::token(&self.signer, subject, &named(CUSTOMER), life.from, life.lasts);
        let second = self.signer.mint_in(&first.session, subject, &named(CUSTOMER), life);
        [first.text, second.text]
    }

    /// An expired token and one that is good, of one sign-in.
    pub(crate) fn expired_family(&self, subject: &str) -> [String; 2] {
        let hour = Duration::from_secs(3600);
        let then = clock::wall() - 2 * hour;
        let first = fixture::token(&self.signer, subject, &named(CUSTOMER), then, hour);
        let now = Life { from: clock::wall(), lasts: hour };
        let second = self.signer.mint_in(&first.session, subject, &named(CUSTOMER), now);
        [first.text, second.text]
    }

    /// A token that ends soon.
    pub(crate) fn short_token(&self, subject: &str, life: Duration) -> String {
        fixture::token(&self.signer, subject, &named(CUSTOMER), clock::wall(), life).text
    }

    /// Publishes an event and waits until the views have it; its `Yeoul-Position`.
    pub(crate) fn publish(&self, kind: &str, data: &Value) -> String {
        let (name, count) = match kind.starts_with("User") {
            true => ("account", &self.published[0]),
            false => ("order", &self.published[1]),
        };
        let sequence = count.fetch_add(1, Ordering::Relaxed) + 1;
        let event = Event {
            id: format!("{kind}-{sequence}"),
            source: name.to_owned(),
            kind: kind.to_owned(),
            subject: "1".to_owned(),
            time: clock::wall(),
            key: "1".to_owned(),
            sequence,
            outbox_sequence: Some(sequence),
            outbox_previous: None,
            outbox_source: None,
            foreign: None,
            cause: Cause::default(),
            data: serde_json::value::to_raw_value(data).expect("JSON"),
        };
        let position = events::WritePosition::new(name, sequence);
        block_on(async {
            self.log.publish(&topic(name).first(), vec![event]).await.expect("published");
            self.views.wait(&position, SOON).await.expect("folded");
        });
        position.to_string()
    }

    /// Tells its listeners to stop, as a process that ends does.
    pub(crate) fn stop(&self) {
        self.stop.stop();
    }

    /// Places an order of a customer.
    pub(crate) fn place(&self, order: u64, customer: &str) -> String {
        self.publish("OrderPlaced", &json!({ "orderId": order, "customerId": customer }))
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.gateway.end_streams();
        self.stop.stop();
        self.loops.stop();
        if let Some(cores) = self.cores.take() {
            cores.stop();
        }
    }
}

/// Compiles these settings; each mistake as `path: what`.
pub(crate) fn read<T: serde::de::DeserializeOwned>(text: &str) -> T {
    let tree = Tree::parse("test", text).expect("YAML");
    tree.read().unwrap_or_else(|mistakes| panic!("{mistakes:?}"))
}

/// The role of that name.
pub(crate) fn named(role: &str) -> Role {
    Role::parse(role).expect("a role")
}

/// Waits where the passing of time itself is what a client does.
#[allow(clippy::disallowed_methods, reason = "a slow client is slow on purpose")]
pub(crate) fn pause(span: Duration) {
    std::thread::sleep(span);
}

/// Waits until `look` finds something.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = clock::now() + SOON;
    while clock::now() < end {
        if let Some(found) = look() {
            return found;
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
    panic!("never: {what}");
}

fn definitions() -> Definitions {
    let templates = |name: &str| match name {
        "page.html" => Ok(TEMPLATE.to_owned()),
        "names.html" => Ok("<p>{{ page.name }} {{ page.customers }}</p>".to_owned()),
        _ => Err("there is none".to_owned()),
    };
    Definitions::compile(&read(READ_SIDE), &templates).expect("good definitions")
}

fn app() -> AppFiles {
    let file = |path: &str, text: &'static str| AppFile {
        path: path.to_owned(),
        identity: text.as_bytes().into(),
        br: None,
        gzip: None,
    };
    let index = "<html><head><script src=\"/assets/a-1.js\"></script></head>the app</html>";
    AppFiles::new(vec![file("/index.html", index), file("/assets/a-1.js", "alert(1)")])
}

fn topic(name: &str) -> Topic {
    Topic::parse(name).expect("a topic")
}

fn serve<S: Serve>(
    listener: Listener,
    cores: &Cores,
    stop: &Stop,
    make: impl Fn(usize) -> S + Send + Clone + 'static,
) {
    listener.serve_on(cores, make, stop).expect("listening");
}

fn fold(cores: &Cores, views: &Views, log: &Arc<Log>, topic: Topic, stop: Stop) {
    let retry = Retry { attempts: 3, backoff: Duration::from_millis(50) };
    let name = format!("views.{topic}");
    let (database, broker) = (views.database().clone(), log.clone());
    let subscription =
        Subscription::new(&name, topic, database, broker, views.fold(), retry, clock::component());
    block_on(views.attach(subscription.control()));
    cores.spawn_on(0, subscription.run(async move { stop.stopped().await }));
}

/// An address that refuses for as long as the socket is held: bound, so that nobody else is given its
/// port, and never listened on.
pub(crate) fn refusing() -> (socket2::Socket, SocketAddr) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
    let socket = socket.expect("a socket");
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).expect("a port");
    let address = socket.local_addr().ok().and_then(|it| it.as_socket()).expect("an address");
    (socket, address)
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(future)
}
