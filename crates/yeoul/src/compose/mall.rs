//! The whole mall in one process: the layer, five services on ports of their own, and their loops.
//!
//! The services are composed as if each were a process: they know the gateway's address and the
//! broker, not each other.

pub(crate) mod alone;
mod catching_up;
mod described;
mod faulty;
pub(crate) mod front;
mod keys;
pub(crate) mod secret;
mod service;
mod switches;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use chassis::chance;
use chassis::clock;
use chassis::folder::Folder;
use chassis::http::Listener;
use chassis::identity::Verifier;
use events::subscription::Control;
use events::{Database, Declared, relay};
use mall::endpoint::{Listen, serving};
use mall::{Components, Endpoint, Faults, Name};
use serde_json::{Value, json};

use super::broker::Events;
use super::ended;
use super::layer::folds::Interruptions;
use super::layer::{self, Layer, Presentation, Stores};
use super::loops::Loops;
use super::ports::Ports;
use super::sessions::{self, Identity, Storage};
use super::vouch;
use crate::admin::Admin;
use crate::admin::dead::Controls;
use crate::app;
use crate::exit::Failure;
use crate::process;
use crate::settings::Checked;
use catching_up::LOOK_EVERY;
use faulty::Faulty;
use service::{STATEFUL, Service, Surroundings};

/// Random bytes of what the gateway shows account.
const PROOF_BYTES: usize = 32;

/// A running mall.
pub(crate) struct Mall {
    layer: Layer,
    endpoints: Arc<Vec<Endpoint>>,
    services: Vec<Service>,
    controls: Vec<Control>,
    /// One for each of the services, in their order.
    relays: Vec<relay::Control>,
    admin: Arc<Admin>,
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
        let listeners = bind(settings)?;
        let app = described::with_description(&plan, app::files());
        // Files that nobody can vouch for are read whole before the engine writes to them.
        vouch::before_opening(folder.path()).await?;
        let presentation = Presentation::with_app(plan.definitions, plan.look, &app);
        let (host, views) = (plan.host.as_ref(), Name::Mypage.as_str());
        let services = Name::ALL.map(Name::as_str);
        let services = if host.is_some() { &[] } else { &services[..] };
        let events = Events::there(&plan.topics, plan.broker, services);
        let stores = Stores::open(folder.path(), host, views, events, presentation).await?;
        layer::note_admin(&mut folder, ports.admin.address())?;

        let verifier = Verifier::of(&plan.issuer);
        let faults = Faults::new(faults);
        // Drawn anew at each start: whoever shows it has it from this process.
        let proof = chance::token(PROOF_BYTES);
        prove(&mut plan.gateway, &proof);
        let surroundings = Surroundings {
            data: folder.path(),
            host,
            sealing: plan.sealing.as_ref(),
            broker: &stores.broker,
            faults: &faults,
            verifier: &verifier,
            stock_check: ports.inner.address(),
            trusted: plan.gateway.trusted(),
            gateway: Some(proof),
        };
        let components = surroundings.components(settings);
        // Behind the log, which refuses a wrong number of partitions before a service's file was changed.
        let services = open_all(&components).await?;
        for (name, listener) in &listeners {
            plan.gateway.set_upstream(name.as_str(), listener.address());
        }
        let storage = Storage::of(host, plan.sealing.as_ref());
        let identity = Identity::open(&folder, storage, &plan.gateway, verifier).await?;
        identity.fits(&folder, host, stores.has_own_log()).await?;
        let pushing = stores.pushing(folder.path(), host, plan.subscriptions).await?;
        let layer = Layer::start(plan.gateway, &ports, stores, identity, folder, app, pushing)?;
        let open = OpenMall { layer, services, faults: &faults };
        open.run(&components, &plan.topics.all, listeners).await?.open(&faults, plan.shown, ports)
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
        let databases = self.databases();
        let Ok(before) = catching_up::committed(&databases).await else { return false };
        if !catching_up::are_relayed(&self.relays, &before) {
            return false;
        }
        for control in &self.controls {
            // A paused one catches up when it is resumed, and nobody waits for that.
            if control.status().await.map_or(true, |it| it.lag > 0 && it.paused.is_none()) {
                return false;
            }
        }
        // What was handled may have committed more to relay.
        catching_up::committed(&databases).await.is_ok_and(|after| after == before)
    }

    fn databases(&self) -> Vec<Database> {
        self.services.iter().map(|service| service.database().clone()).collect()
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
        self.layer.end_loops(self.databases()).await;
    }
}

/// A mall that is open, of which nothing runs yet.
struct OpenMall<'f> {
    layer: Layer,
    services: Vec<Service>,
    faults: &'f Faults,
}

impl OpenMall<'_> {
    /// Runs the services and every loop.
    async fn run(
        self,
        components: &Components,
        topics: &[Declared],
        listeners: BTreeMap<Name, Listener>,
    ) -> Result<WithoutGateway, Failure> {
        let OpenMall { mut layer, services, faults } = self;
        let Loops { mut run, controls } = loops(&services, &layer, components, topics).await;
        run.extend(layer.push());
        // Over a broker that others share there may be more of each part: what those end is ended here.
        let (host, ended) = (components.host.as_ref(), components.verifier.ended());
        let schemas = [sessions::NAME, Name::Account.as_str()];
        run.extend(ended::follow(host, &schemas, ended, &layer.loops).await?);
        let relay = |service: &Service| service.relay(&layer.broker, faults);
        let relays: Vec<_> = services.iter().filter_map(relay).collect();
        // Before the first request and the first event: on what does not fit nothing may run.
        vouch::before_running(layer.data(), &layer.all(&controls), &relays).await?;
        // Services answer before the gateway does, so that no route leads to a port that refuses.
        let endpoints = Arc::new(listen(&services, &layer, faults, listeners)?);
        layer.run(run);
        rest_views(&layer, faults);
        Ok(WithoutGateway { layer, services, endpoints, controls, relays })
    }
}

/// A mall whose services and loops run, and whose gateway does not answer yet.
struct WithoutGateway {
    layer: Layer,
    services: Vec<Service>,
    endpoints: Arc<Vec<Endpoint>>,
    controls: Vec<Control>,
    relays: Vec<relay::Control>,
}

impl WithoutGateway {
    /// Opens the gateway and the admin listener.
    fn open(self, faults: &Faults, shown: Value, ports: Ports) -> Result<Mall, Failure> {
        let WithoutGateway { layer, services, endpoints, controls, relays } = self;
        let switches = faults.enabled().then(|| switches::of(endpoints.clone(), faults.clone()));
        layer.readiness.missing("views", "catching up");
        for service in &services {
            layer.left_out(service.name().as_str(), service.database().left_out());
        }
        let schedules = services.iter().filter_map(|it| it.scheduling(faults)).collect();
        let (subscriptions, relays_of) = (controls.clone(), relays.clone());
        let stuck = Controls { subscriptions, relays: relays_of, schedules };
        let admin = layer.admin_of(shown, stuck, switches);
        layer.open(ports, admin.clone())?;
        Ok(Mall { services, layer, endpoints, controls, relays, admin })
    }
}

/// Opens the services in the order in which they need each other; they are shown in the one in which they are named
/// everywhere.
async fn open_all(components: &Components) -> Result<Vec<Service>, Failure> {
    let mut services = Vec::new();
    for name in STATEFUL {
        services.push(Service::open(name, components).await?);
    }
    services.sort_by_key(Service::name);
    Ok(services)
}

/// Serves each on its own port, my page's among them.
fn listen(
    services: &[Service],
    layer: &Layer,
    faults: &Faults,
    listeners: BTreeMap<Name, Listener>,
) -> Result<Vec<Endpoint>, Failure> {
    let mut endpoints = Vec::new();
    for (name, listener) in listeners {
        let (address, cores) = (listener.address(), layer.cores.clone());
        let listen = match services.iter().find(|service| service.name() == name) {
            Some(service) => service.listen(cores, address),
            None => pages(layer, faults, address),
        };
        let endpoint = Endpoint::start_on(name, listener, faults.pause(name), listen);
        endpoints.push(endpoint.map_err(process::port)?);
    }
    Ok(endpoints)
}

/// How my page's port at `address` is served.
fn pages(layer: &Layer, faults: &Faults, address: SocketAddr) -> Listen {
    let gateway = layer.gateway.clone();
    let faults = faults.clone();
    let at = address.ip();
    serving(layer.cores.clone(), move |core| {
        Faulty::new(gateway.pages_only(core, at), faults.clone())
    })
}

/// Every loop, to be run: relays, handlers and the views' folds.
async fn loops(
    services: &[Service],
    layer: &Layer,
    components: &Components,
    topics: &[Declared],
) -> Loops {
    let name = Name::Mypage.as_str();
    let interruptions = interruptions(&components.faults);
    let own: Vec<_> = services.iter().map(|service| service.loops(&layer.loops)).collect();
    let folds = layer.folds(name, topics, components.retry, &interruptions).await;
    Loops::default().and(own).and([folds]).and(layer.remember(components.retry))
}

/// Shows every service the secret of the gateway.
fn prove(plan: &mut gateway::Plan, secret: &str) {
    Name::ALL.iter().for_each(|name| plan.prove_to(name.as_str(), secret));
}

/// My page is no service of its own: its switches reach into the layer's folds.
fn interruptions(faults: &Faults) -> Interruptions {
    Interruptions {
        resting: faults.pause(Name::Mypage).handlers(),
        fault: faults.events(Name::Mypage),
    }
}

/// Has the views say since when they are stale while their fold rests.
fn rest_views(layer: &Layer, faults: &Faults) {
    let mut resting = faults.pause(Name::Mypage).handlers();
    let views = layer.views.clone();
    layer.cores.spawn_on(0, async move {
        // While the fold rests, what is read is as of now.
        while resting.changed().await.is_ok() {
            let rests = *resting.borrow_and_update();
            views.set_stale(rests.then(clock::wall));
        }
    });
}

fn bind(settings: &mall::Settings) -> Result<BTreeMap<Name, Listener>, Failure> {
    let mut listeners = BTreeMap::new();
    for (name, service) in &settings.services {
        listeners.insert(*name, Listener::bind(service.listen).map_err(process::port)?);
    }
    Ok(listeners)
}
