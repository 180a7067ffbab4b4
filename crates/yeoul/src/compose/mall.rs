//! The whole mall in one process: the layer, five services on ports of their own, and their loops.
//!
//! The services are composed as if each were a process: they know the gateway's address and the
//! broker, not each other.

mod described;
mod faulty;
mod switches;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use chassis::chance;
use chassis::clock;
use chassis::cores::Loop;
use chassis::folder::Folder;
use chassis::http::Listener;
use chassis::identity::Verifier;
use events::subscription::Control;
use events::{Database, Declared, Numbers, relay};
use mall::endpoint::{Listen, serving};
use mall::{Components, Endpoint, Faults, Name, account, delivery, order, product};
use serde_json::{Value, json};

use super::layer::{Events, Interruptions, Layer, Ports, Presentation, Stores};
use super::sessions::Identity;
use super::vouch;
use crate::admin::Admin;
use crate::admin::dead::Loops;
use crate::app;
use crate::exit::Failure;
use crate::process;
use crate::settings::Checked;
use crate::stores;
use faulty::Faulty;

/// Random bytes of what the gateway shows account.
const PROOF_BYTES: usize = 32;

/// How often it is looked whether everything has caught up.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A running mall.
pub(crate) struct Mall {
    layer: Layer,
    endpoints: Arc<Vec<Endpoint>>,
    databases: Vec<(Name, Database)>,
    controls: Vec<Control>,
    /// One for each of the databases, in their order.
    relays: Vec<relay::Control>,
    admin: Arc<Admin>,
}

/// The four services that keep state, open.
struct Services {
    order: order::Service,
    product: product::Service,
    delivery: delivery::Service,
    account: account::Service,
}

impl Mall {
    /// Opens everything and starts to serve; catching up goes on (see [`Mall::caught_up`]).
    pub(crate) async fn start(
        mut plan: Checked,
        mut folder: Folder,
        faults: bool,
    ) -> Result<Mall, Failure> {
        let section = plan.mall.take().expect("the mall's settings hold a mall");
        let settings = section.settings();
        // Every port before the first store: one that is taken leaves the data as it was.
        let ports = Ports::bind(&plan)?;
        let mut listeners = bind(settings)?;
        let addresses: BTreeMap<Name, SocketAddr> =
            listeners.iter().map(|(name, listener)| (*name, listener.address())).collect();

        let app = described::with_description(&plan, app::files());
        // Files that nobody can vouch for are read whole before the engine writes to them.
        vouch::before_opening(folder.path()).await?;
        let presentation = Presentation::with_app(plan.definitions, plan.look, &app);
        let events = Events { topics: &plan.topics, broker: plan.broker };
        let stores =
            Stores::open(folder.path(), Name::Mypage.as_str(), events, presentation).await?;
        let announced = folder.announce(Some(ports.admin()));
        announced.map_err(|error| Failure::environment(error, "free some disk space"))?;

        let verifier = Verifier::of(&plan.issuer);
        let faults = Faults::new(faults);
        // Drawn anew at each start: whoever shows it has it from this process.
        let proof = chance::token(PROOF_BYTES);
        plan.gateway.prove_to(Name::Account.as_str(), &proof);
        let components = Components {
            data: folder.path().to_owned(),
            broker: stores.broker.clone(),
            clock: clock::component(),
            faults: faults.clone(),
            stock_check: ports.inner(),
            verifier: verifier.clone(),
            retry: settings.retry(),
            trusted: plan.gateway.trusted().clone(),
            gateway: Some(proof.clone()),
            sign_in: settings.sign_in,
            sign_up: settings.sign_up,
            seed: settings.seed,
        };
        // Behind the log, which refuses a wrong number of partitions before a service's file was changed.
        let open = Services::open(&components).await?;
        for (name, address) in &addresses {
            plan.gateway.set_upstream(name.as_str(), *address);
        }
        let identity = Identity::open(&folder, &plan.gateway, verifier).await?;
        let layer = Layer::start(plan.gateway, &ports, stores, identity, folder, app)?;
        let (loops, controls) = open.loops(&layer, &components, &plan.topics).await;
        let relays = open.relays(&layer, &components);
        // Before the first request and the first event: on what does not fit nothing may run.
        vouch::before_running(layer.data(), &controls, &relays).await?;
        // Services answer before the gateway does, so that no route leads to a port that refuses.
        let endpoints = open.listen(&layer, &faults, &mut listeners)?;
        layer.run(loops);
        open.rest_views(&layer, &components);
        let mall = Running { layer, endpoints: Arc::new(endpoints), controls, relays };
        mall.open(open.databases(), &faults, plan.shown, ports)
    }

    /// Resolves once everything committed has been relayed, handled and folded, and nothing is in
    /// the way of more: `/readyz` says so from then on.
    pub(crate) async fn caught_up(&self) {
        let catching_up = async {
            while !self.has_caught_up().await {
                tokio::time::sleep(LOOK_EVERY).await;
            }
            self.layer.readiness.ready("views");
        };
        tokio::join!(catching_up, process::until_ready(&self.admin));
    }

    async fn has_caught_up(&self) -> bool {
        // The order of these is the argument: what was committed, then that it was relayed, then that all of the
        // log was handled, then that nothing was committed meanwhile.
        let Ok(before) = self.committed().await else { return false };
        let dealt_with = |(relay, committed): (&relay::Control, &Numbers)| {
            relay.status().settled.cover(committed)
        };
        if !self.relays.iter().zip(&before).all(dealt_with) {
            return false;
        }
        for control in &self.controls {
            if control.status().await.map_or(true, |it| it.lag > 0) {
                return false;
            }
        }
        // What was handled may have committed more to relay.
        self.committed().await.is_ok_and(|after| after == before)
    }

    /// The newest outbox sequences. Writes are carried out in turn: behind one that does nothing,
    /// nothing earlier is under way.
    async fn committed(&self) -> Result<Vec<Numbers>, events::Error> {
        let mut newest = Vec::with_capacity(self.databases.len());
        for (_, database) in &self.databases {
            let behind = database
                .write((), |(), _| Box::pin(std::future::ready(Ok::<_, events::Error>(()))));
            behind.await?;
            newest.push(database.committed().borrow().clone());
        }
        Ok(newest)
    }

    /// The ready line.
    pub(crate) fn addresses(&self) -> Value {
        let mut ready = self.layer.addresses();
        for endpoint in self.endpoints.iter() {
            ready[endpoint.name().as_str()] = json!(format!("http://{}", endpoint.address()));
        }
        ready
    }

    /// Ends it in order; see `process`.
    pub(crate) async fn end(self) {
        // Requests, then loops, then stores: each needs those behind it until it has ended.
        let stopped = self.endpoints.iter().filter_map(Endpoint::close).collect();
        self.layer.end_connections(stopped).await;
        self.layer.loops.stop();
        for (_, database) in &self.databases {
            database.close().await;
        }
        self.layer.end_loops().await;
    }
}

/// A mall whose services and loops run, and whose gateway does not answer yet.
struct Running {
    layer: Layer,
    endpoints: Arc<Vec<Endpoint>>,
    controls: Vec<Control>,
    relays: Vec<relay::Control>,
}

impl Running {
    /// Opens the gateway and the admin listener.
    fn open(
        self,
        databases: Vec<(Name, Database)>,
        faults: &Faults,
        shown: Value,
        ports: Ports,
    ) -> Result<Mall, Failure> {
        let Running { layer, endpoints, controls, relays } = self;
        let switches = faults.enabled().then(|| switches::of(endpoints.clone(), faults.clone()));
        layer.readiness.missing("views", "catching up");
        for (name, database) in &databases {
            layer.left_out(name.as_str(), database.left_out());
        }
        let loops = Loops { subscriptions: controls.clone(), relays: relays.clone() };
        let admin = layer.admin_of(shown, loops, switches);
        layer.open(ports, admin.clone())?;
        Ok(Mall { databases, layer, endpoints, controls, relays, admin })
    }
}

/// Why a service's store was not opened, and what to do. The log has as many partitions as the settings ask
/// for, or it would have refused before: then a change of them was broken off between the two files.
fn unopened(what: &str, error: &mall::Error) -> Failure {
    let mall::Error::Store(events::Error::Partitions { topic, has, asked }) = error else {
        return process::damaged(what, error);
    };
    stores::broken_off(topic, *has.max(asked), error)
}

impl Services {
    async fn open(components: &Components) -> Result<Services, Failure> {
        let refuse = |what: &'static str| move |error: mall::Error| unopened(what, &error);
        Ok(Services {
            account: account::Service::open(components.clone()).await.map_err(refuse("account"))?,
            product: product::Service::open(components.clone()).await.map_err(refuse("product"))?,
            order: order::Service::open(components.clone()).await.map_err(refuse("order"))?,
            delivery: delivery::Service::open(components.clone())
                .await
                .map_err(refuse("delivery"))?,
        })
    }

    /// Serves each on its own port, my page's among them.
    fn listen(
        &self,
        layer: &Layer,
        faults: &Faults,
        listeners: &mut BTreeMap<Name, Listener>,
    ) -> Result<Vec<Endpoint>, Failure> {
        let mut endpoints = Vec::new();
        for name in Name::ALL {
            // Taken out one by one: each is bound once, and served once.
            let listener = listeners.remove(&name).expect("every service has a listener");
            let address = listener.address();
            let listen = self.listen_of(name, address, layer, faults);
            let endpoint = Endpoint::start_on(name, listener, faults.pause(name), listen);
            endpoints.push(endpoint.map_err(process::port)?);
        }
        Ok(endpoints)
    }

    fn listen_of(&self, name: Name, address: SocketAddr, layer: &Layer, faults: &Faults) -> Listen {
        let cores = layer.cores.clone();
        match name {
            Name::Order => {
                let order = self.order.clone();
                serving(cores, move |_| order.server(address))
            }
            Name::Product => {
                let product = self.product.clone();
                serving(cores, move |_| product.server(address))
            }
            Name::Delivery => {
                let delivery = self.delivery.clone();
                serving(cores, move |_| delivery.server(address))
            }
            Name::Account => {
                let account = self.account.clone();
                serving(cores, move |_| account.server(address))
            }
            Name::Mypage => {
                let gateway = layer.gateway.clone();
                let faults = faults.clone();
                let at = address.ip();
                serving(cores, move |core| {
                    Faulty::new(gateway.pages_only(core, at), faults.clone())
                })
            }
        }
    }

    /// Every loop, to be run: relays, handlers and the views' folds.
    async fn loops(
        &self,
        layer: &Layer,
        components: &Components,
        topics: &[Declared],
    ) -> (Vec<Loop>, Vec<Control>) {
        let parts = [
            self.order.loops(&layer.loops),
            self.product.loops(&layer.loops),
            self.delivery.loops(&layer.loops),
            self.account.loops(&layer.loops),
        ];
        let mut controls = Vec::new();
        let mut loops: Vec<Loop> = Vec::new();
        for part in parts {
            loops.extend(part.run);
            controls.extend(part.controls);
        }
        // My page is no service of its own: its switches reach into the layer's folds.
        let interruptions = Interruptions {
            resting: components.faults.pause(Name::Mypage).handlers(),
            fault: components.faults.events(Name::Mypage),
        };
        let name = Name::Mypage.as_str();
        let (folds, handles) = layer.folds(name, topics, components.retry, &interruptions).await;
        loops.extend(folds);
        controls.extend(handles);
        if let Some((hears, control)) = layer.remember(components.retry) {
            loops.push(hears);
            controls.push(control);
        }
        (loops, controls)
    }

    /// Has the views say since when they are stale while their fold rests.
    fn rest_views(&self, layer: &Layer, components: &Components) {
        let mut resting = components.faults.pause(Name::Mypage).handlers();
        let views = layer.views.clone();
        layer.cores.spawn_on(0, async move {
            // While the fold rests, what is read is as of now.
            while resting.changed().await.is_ok() {
                let rests = *resting.borrow_and_update();
                views.set_stale(rests.then(clock::wall));
            }
        });
    }

    /// The relays' handles, one for each of the databases.
    fn relays(&self, layer: &Layer, components: &Components) -> Vec<relay::Control> {
        // A database without an outbox has none.
        let relay = |(name, database): (Name, Database)| {
            let paused = components.faults.pause(name).relay();
            relay::Control::of(database, layer.broker.clone(), paused)
        };
        self.databases().into_iter().filter_map(relay).collect()
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

fn bind(settings: &mall::Settings) -> Result<BTreeMap<Name, Listener>, Failure> {
    let mut listeners = BTreeMap::new();
    for (name, service) in &settings.services {
        listeners.insert(*name, Listener::bind(service.listen).map_err(process::port)?);
    }
    Ok(listeners)
}
