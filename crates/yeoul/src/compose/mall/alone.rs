//! A service that keeps state, in a process of its own: its port, its store, its loops, an admin listener.
//!
//! What it asks of another service before it answers goes through a guard of its own beside it, since the
//! gateway is elsewhere: the inner routes of the same settings, on a listener of this machine.

use std::net::SocketAddr;
use std::sync::Arc;

use chassis::cores::Cores;
use chassis::folder::Folder;
use chassis::health::Readiness;
use chassis::http::{Listener, Stop};
use chassis::identity::Verifier;
use chassis::telemetry::Metrics;
use events::store::Promise;
use events::subscription::Control;
use events::{Broker, relay};
use gateway::{AppFiles, Desks, Gateway, Promises, Takers};
use mall::{Endpoint, Faults, Name};
use serde_json::{Value, json};
use tracing::{info, warn};

use super::catching_up;
use super::keys::KeySource;
use super::secret;
use super::service::{Service, Surroundings};
use super::switches;
use crate::admin::dead::Controls;
use crate::admin::push::Logs;
use crate::admin::switches::Switches;
use crate::admin::{Admin, figures};
use crate::compose::broker::{self, Events};
use crate::compose::ended;
use crate::compose::layer;
use crate::compose::loops::Loops;
use crate::compose::store;
use crate::compose::vouch;
use crate::exit::Failure;
use crate::process::{self, DRAIN};
use crate::settings::Checked;

/// What is missing until it has caught up.
const EVENTS: &str = "events";

/// A running service.
pub(crate) struct Alone {
    service: Service,
    endpoints: Arc<Vec<Endpoint>>,
    controls: Vec<Control>,
    relays: Vec<relay::Control>,
    admin: Arc<Admin>,
    admin_at: SocketAddr,
    /// Ends listeners.
    connections: Stop,
    /// Ends subscriptions and relay, after the connections.
    loops: Stop,
    folder: Folder,
}

/// Its addresses, bound before anything is opened.
struct ServicePorts {
    service: Listener,
    guard: Listener,
    admin: Listener,
}

impl ServicePorts {
    fn bind(plan: &Checked) -> Result<ServicePorts, Failure> {
        let bind = |address| Listener::bind(address).map_err(process::port);
        Ok(ServicePorts {
            service: bind(plan.listen)?,
            guard: bind(plan.inner)?,
            admin: bind(plan.admin)?,
        })
    }
}

/// What the process is made of, before it serves.
struct Equipment {
    cores: Arc<Cores>,
    metrics: Metrics,
    guard: Gateway,
    connections: Stop,
}

impl Alone {
    /// Opens everything and starts to serve at `plan.listen`; catching up goes on.
    pub(crate) async fn start(
        mut plan: Checked,
        mut folder: Folder,
        name: Name,
        faults: bool,
    ) -> Result<Alone, Failure> {
        // First of all: a port that is taken is found before anything has been opened or changed.
        let ports = ServicePorts::bind(&plan)?;
        vouch::before_opening(folder.path()).await?;
        store::fits(folder.path(), plan.host.as_ref())?;
        let services = [name.as_str()];
        let services = if plan.host.is_some() { &[] } else { &services[..] };
        let events = Events::there(&plan.topics, plan.broker.take(), services);
        let broker = broker::connect(folder.path(), events).await?;
        layer::note_admin(&mut folder, ports.admin.address())?;
        let verifier = Verifier::of(&plan.issuer);
        let faults = Faults::new(faults);
        let settings = plan.mall.as_ref().expect("the mall's settings hold a mall").settings();
        info!("an acknowledgement means: {}", broker.promise());
        let surroundings = Surroundings {
            data: folder.path(),
            host: plan.host.as_ref(),
            sealing: plan.sealing.as_ref(),
            broker: &broker,
            faults: &faults,
            verifier: &verifier,
            stock_check: ports.guard.address(),
            trusted: plan.gateway.trusted(),
            gateway: secret::shared()?,
        };
        let components = surroundings.components(settings);
        let service = Service::open(name, &components).await?;
        // Once there is state there: a note before that would have a start that failed keep the folder from
        // files.
        store::note(folder.path(), plan.host.as_ref())?;
        let promise = store::promise(plan.host.as_ref()).await?;
        // After the service, which may be account: then the keys are its own and nobody is asked.
        let keys = keys(&service, &plan, &verifier, &folder).await?;
        OpenService { service, keys, broker, promise, faults, folder }
            .serve(plan, verifier, ports)
            .await
    }

    /// Resolves once what was committed has been relayed and its topics were read to their ends.
    pub(crate) async fn caught_up(&self) {
        let databases = [self.service.database().clone()];
        catching_up::once(&databases, &self.relays, &self.controls).await;
        self.admin.readiness.ready(EVENTS);
        process::until_ready(&self.admin).await;
    }

    /// The ready line.
    pub(crate) fn addresses(&self) -> Value {
        let mut ready = json!({
            "ready": true,
            "pid": std::process::id(),
            "admin": format!("http://{}", self.admin_at),
        });
        for endpoint in self.endpoints.iter() {
            ready[endpoint.name().as_str()] = json!(format!("http://{}", endpoint.address()));
        }
        ready
    }

    /// Ends it in order; see `process`.
    pub(crate) async fn end(self) {
        // Requests first, loops after them: what a request commits on its way out is still relayed, and the
        // database is closed when nobody can write any more.
        self.connections.stop();
        let mut stopped: Vec<Stop> = self.endpoints.iter().filter_map(Endpoint::close).collect();
        stopped.push(self.connections);
        if !Stop::drain_all(&stopped, DRAIN).await {
            warn!(limit = ?DRAIN, "some requests did not finish in time");
        }
        self.loops.stop();
        self.service.database().close().await;
        // Only a folder that got here was closed in order; one that did not is read whole at the next start.
        vouch::after_closing(self.folder.path());
    }
}

/// A service that is open and does not answer yet.
struct OpenService {
    service: Service,
    keys: Option<KeySource>,
    broker: Arc<dyn Broker>,
    promise: Promise,
    faults: Faults,
    folder: Folder,
}

impl OpenService {
    /// Runs its loops and answers on its ports.
    async fn serve(
        self,
        plan: Checked,
        verifier: Verifier,
        ports: ServicePorts,
    ) -> Result<Alone, Failure> {
        let OpenService { service, keys, broker, promise, faults, folder } = self;
        let name = service.name();
        let ended = verifier.ended().clone();
        let equipment = Equipment::new(plan.gateway, broker.clone(), verifier)?;
        let loops = Stop::new();
        let Loops { mut run, controls } = service.loops(&loops);
        run.extend(keys.map(|keys| keys.follow(loops.clone())));
        run.extend(
            ended::follow(plan.host.as_ref(), &[Name::Account.as_str()], &ended, &loops).await?,
        );
        let relays: Vec<_> = service.relay(&broker, &faults).into_iter().collect();
        // Everything is open and nothing has moved: from the first loop on, log and stores change while they are
        // compared.
        vouch::before_running(folder.path(), &controls, &relays).await?;

        let listen = service.listen(equipment.cores.clone(), ports.service.address());
        let endpoint = Endpoint::start_on(name, ports.service, faults.pause(name), listen);
        let endpoints = Arc::new(vec![endpoint.map_err(process::port)?]);
        let admin_at = ports.admin.address();
        let switches = faults.enabled().then(|| switches::of(endpoints.clone(), faults.clone()));
        let schedules = service.scheduling(&faults).into_iter().collect();
        let (subscriptions, relays_of) = (controls.clone(), relays.clone());
        let stuck = Controls { subscriptions, relays: relays_of, schedules };
        let promises = Promises { contracts: plan.topics.contracts, sealing: None };
        let stores = AdminStores { broker, promise, promises };
        let admin = equipment.admin(plan.shown, stores, stuck, switches);
        equipment.serve(ports.guard, ports.admin, &admin)?;
        // Last: whatever a loop may meet is there, and the ports answer while it catches up.
        equipment.cores.run(run, process::end_by_panic);
        let Equipment { connections, .. } = equipment;
        Ok(Alone {
            service,
            endpoints,
            controls,
            relays,
            admin,
            admin_at,
            connections,
            loops,
            folder,
        })
    }
}

/// What the admin listener tells of where events are: the log, the service's own store, and what topics promise.
struct AdminStores {
    broker: Arc<dyn Broker>,
    promise: Promise,
    promises: Promises,
}

impl Equipment {
    fn new(
        plan: gateway::Plan,
        broker: Arc<dyn Broker>,
        verifier: Verifier,
    ) -> Result<Equipment, Failure> {
        let cores = Cores::start(Cores::available())
            .map_err(|error| Failure::environment(error, "free some threads"))?;
        let (metrics, connections) = (Metrics::new(), Stop::new());
        let guard = gateway::Components {
            views: None,
            verifier,
            sessions: None,
            // It sets no cookie.
            identity: String::new(),
            broker,
            takers: Takers::Nobody,
            promises: Promises::default(),
            desks: Desks::new(),
            schedules: None,
            app: AppFiles::new(Vec::new()),
            metrics: metrics.clone(),
            stop: connections.clone(),
        };
        let guard = Gateway::new(plan.inner_alone(), guard);
        Ok(Equipment { cores: Arc::new(cores), metrics, guard, connections })
    }

    /// What the admin listener answers with; something is missing until all has caught up.
    fn admin(
        &self,
        settings: Value,
        stores: AdminStores,
        controls: Controls,
        switches: Option<Box<dyn Switches>>,
    ) -> Arc<Admin> {
        let readiness = Readiness::new();
        readiness.missing(EVENTS, "catching up");
        let guard = self.guard.clone();
        Arc::new(Admin {
            readiness,
            metrics: self.metrics.clone(),
            settings,
            broker: stores.broker,
            goes_on_alone: false,
            store: stores.promise,
            controls,
            promises: stores.promises,
            logs: Logs::new(),
            guards: Box::new(move || guard.guards()),
            views: Box::new(|| json!({ "pages": [], "staleSince": null, "stale": [] })),
            gateway: None,
            switches,
        })
    }

    /// The guard, and the admin listener behind it.
    fn serve(&self, guard: Listener, admin: Listener, answers: &Arc<Admin>) -> Result<(), Failure> {
        figures::watch_process(&self.metrics);
        figures::watch_relays(&self.metrics, answers.controls.relays.clone());
        let (gateway, stop) = (self.guard.clone(), &self.connections);
        guard
            .serve_on(&self.cores, move |core| gateway.inner(core), stop)
            .map_err(process::port)?;
        layer::serve_admin(admin, &self.cores, answers.clone(), stop)
    }
}

/// The keys that tokens are verified with, unless this service signs them.
async fn keys(
    service: &Service,
    plan: &Checked,
    verifier: &Verifier,
    folder: &Folder,
) -> Result<Option<KeySource>, Failure> {
    if service.name() == Name::Account {
        return Ok(None);
    }
    KeySource::of(plan, verifier, folder.path()).await.map(Some)
}
