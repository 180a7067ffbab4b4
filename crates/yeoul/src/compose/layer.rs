//! The layer: log, views and gateway on their cores; the whole of `yeoul serve`, the base of the mall.

pub(crate) mod folds;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chassis::clock;
use chassis::cores::{Cores, Loop};
use chassis::folder::{self, Folder};
use chassis::health::Readiness;
use chassis::http::{Listener, Stop};
use chassis::identity::Verifier;
use chassis::telemetry::Metrics;
use events::local::Log;
use events::schedules::Schedules;
use events::store::{Host, LeftOut, Promise};
use events::{Broker, Control, Database, Retry, relay};
use gateway::{AppFiles, Components, Gateway, Promises, Takers};
use serde_json::{Value, json};
use tracing::{info, warn};
use views::{Definitions, Look, Server, Views};

use super::broker::{self, Events, OpenBroker};
use super::ended;
use super::loops::Loops;
use super::outboxes;
use super::outside;
use super::outside::taking::Taking;
use super::people;
use super::ports::Ports;
use super::push::{Pushed, Pushing, Stops};
use super::retention;
use super::schedules;
use super::sessions::{self, Identity, Remembering, Storage};
use super::store;
use super::vouch;
use crate::admin::dead::Controls;
use crate::admin::figures;
use crate::admin::push::Logs;
use crate::admin::scheduling::Scheduling;
use crate::admin::switches::Switches;
use crate::admin::{self, Admin};
use crate::app;
use crate::exit::Failure;
use crate::process::{self, DRAIN};
use crate::settings::Checked;
use crate::settings::subscriptions::Elsewhere;
use crate::stores;

use folds::Interruptions;

/// The views' folder of `yeoul serve`, and what their subscriptions' names begin with.
pub(crate) const VIEWS: &str = "views";

/// How long an end waits for the fold's lease to be given back: a store that stands still takes no such wish.
const GIVEN_BACK_WITHIN: Duration = Duration::from_secs(2);

/// A layer that serves one's own services, and whoever answers for it.
pub(crate) struct Serving {
    pub(crate) layer: Layer,
    pub(crate) admin: Arc<Admin>,
}

/// A running layer.
pub(crate) struct Layer {
    pub(crate) cores: Arc<Cores>,
    pub(crate) broker: Arc<dyn Broker>,
    /// The folder's own log, where that is the broker.
    log: Option<Arc<Log>>,
    /// What an acknowledged write means where state is.
    promise: Promise,
    pub(crate) views: Views,
    pub(crate) gateway: Gateway,
    remembering: Option<Remembering>,
    /// Tables of others whose rows it publishes, and its own of what it takes from outside.
    outboxes: Vec<Database>,
    /// What is published at a time to come.
    schedules: Option<Schedules>,
    /// Whether it does its work while the broker is away: what is published waits.
    goes_on_alone: bool,
    /// Who has events delivered elsewhere.
    pub(crate) pushing: Option<Pushing>,
    pushed: Vec<Control>,
    logs: Logs,
    pub(crate) readiness: Readiness,
    pub(crate) metrics: Metrics,
    outer: SocketAddr,
    inner: SocketAddr,
    admin: SocketAddr,
    /// Ends listeners and streams.
    pub(crate) connections: Stop,
    /// Ends subscriptions and relays, after the connections.
    pub(crate) loops: Stop,
    folder: Folder,
}

/// What the layer's own part of the data folder holds when it is open.
pub(crate) struct Stores {
    pub(crate) broker: Arc<dyn Broker>,
    log: Option<Arc<Log>>,
    /// Who stores what is published from outside.
    takers: Takers,
    /// What is promised of topics' events.
    promises: Promises,
    /// What is published at a time to come, once it is open.
    schedules: Option<Schedules>,
    /// Whether what the broker has was compared with the folder.
    is_compared: bool,
    promise: Promise,
    pub(crate) views: Views,
}

/// What the views show, and how it looks.
pub(crate) struct Presentation {
    pub(crate) definitions: Definitions,
    /// Whether their rows are folded here; else another process does, on the same server.
    pub(crate) folds: bool,
    pub(crate) look: Look,
}

impl Presentation {
    /// With the app's part of every page's head.
    pub(crate) fn with_app(definitions: Definitions, look: Look, app: &AppFiles) -> Presentation {
        let look = Look { app_head: app.head().to_owned(), ..look };
        Presentation { definitions, folds: true, look }
    }
}

impl Stores {
    /// Opens the broker and the views below `data`; the views where they are, or in a new folder of this name.
    pub(crate) async fn open(
        data: &Path,
        host: Option<&Host>,
        views: &str,
        events: Events<'_>,
        presentation: Presentation,
    ) -> Result<Stores, Failure> {
        store::fits(data, host)?;
        // First of all: another broker may leave its marks in the folder.
        let taken = &events.topics.taken;
        let promises = Promises { contracts: events.topics.contracts.clone(), sealing: None };
        outside::left::refuse(data, host, taken).await?;
        // The broker before the views: it knows how many partitions each topic has, and refuses another number
        // before anything was changed.
        let OpenBroker { broker, log, is_compared } = broker::open(data, events).await?;
        info!("an acknowledgement means: {}", broker.promise());
        let takers = outside::takers(data, host, log.as_ref(), taken).await?;
        let views = match host {
            Some(host) => Box::pin(connect(host, views, presentation)).await?,
            None => open(&stores::views(data).unwrap_or_else(|| data.join(views)), presentation)?,
        };
        store::note(data, host)?;
        let promise = store::promise(host).await?;
        let schedules = None;
        Ok(Stores { broker, log, takers, promises, schedules, is_compared, promise, views })
    }

    /// Opens who has events delivered elsewhere, or fetches them.
    pub(crate) async fn pushing(
        &self,
        data: &Path,
        host: Option<&Host>,
        subscriptions: Vec<Elsewhere>,
    ) -> Result<Option<Pushing>, Failure> {
        let sealing = self.promises.sealing.as_ref();
        Pushing::open(data, host, subscriptions, &self.broker, sealing).await
    }
}

impl Stores {
    /// Whether the broker is the folder's own log.
    pub(super) fn has_own_log(&self) -> bool {
        self.log.is_some()
    }
}

/// The views in this folder.
fn open(folder: &Path, presentation: Presentation) -> Result<Views, Failure> {
    make_private(folder)?;
    let Presentation { definitions, look, .. } = presentation;
    let views = Views::open(folder, definitions, look, clock::component());
    views.map_err(|error| store::unopened("the views", None, &error))
}

/// The views in a schema of this name.
async fn connect(host: &Host, name: &str, presentation: Presentation) -> Result<Views, Failure> {
    let Presentation { definitions, folds, look } = presentation;
    let (address, connections) = (host.whole_address(), host.connections);
    let server = Server { address, name: name.to_owned(), connections, folds };
    let views = Views::connect(server, definitions, look, clock::component()).await;
    views.map_err(|error| store::unopened("the views", Some(host), &error))
}

/// Says in the data folder where the admin listener is.
pub(crate) fn note_admin(folder: &mut Folder, admin: SocketAddr) -> Result<(), Failure> {
    let noted = folder.note_holder(Some(admin));
    noted.map_err(|error| Failure::environment(error, "free some disk space"))
}

/// Serves the admin listener: the last one, since `/readyz` answers only where everything that it reports on is
/// served.
pub(crate) fn serve_admin(
    listener: Listener,
    cores: &Cores,
    admin: Arc<Admin>,
    stop: &Stop,
) -> Result<(), Failure> {
    let (watched, stopping) = (Arc::clone(&admin), stop.clone());
    cores.spawn_on(0, async move {
        tokio::select! {
            () = stopping.stopped() => {}
            () = watched.watch() => {}
        }
    });
    let answers = move |_| admin::Server::new(admin.clone());
    listener.serve_on(cores, answers, stop).map_err(process::port)
}

fn make_private(folder: &Path) -> Result<(), Failure> {
    folder::make_private(folder).map_err(|error| process::damaged("the data folder", &error))
}

impl Layer {
    /// The layer alone, for one's own services.
    pub(crate) async fn serve(plan: Checked, mut folder: Folder) -> Result<Serving, Failure> {
        // Ports first: one that is taken ends the start before a store is opened.
        let ports = Ports::bind(&plan)?;
        let app = app::files();
        // Files that nobody can vouch for are read whole before the engine writes to them.
        vouch::before_opening(folder.path()).await?;
        let presentation = Presentation::with_app(plan.definitions, plan.look, &app);
        let topics = &plan.topics;
        let host = plan.host.as_ref();
        // On a server all instances number by the same outboxes.
        let numbered = topics.taken.iter().filter(|_| host.is_none());
        let services: Vec<&str> = numbered.map(|it| it.topic.as_str()).collect();
        let broker = plan.broker;
        let events = Events { topics, broker, services: &services, may_be_away: true };
        let mut stores = Stores::open(folder.path(), host, VIEWS, events, presentation).await?;
        stores.schedules = schedules::open(folder.path(), host, plan.schedules).await?;
        let outer = plan.sealing.as_ref();
        stores.promises.sealing = people::open(folder.path(), host, outer, &topics.pii).await?;
        let takers = stores.takers.clone();
        let taking = Taking::of(&stores.takers, stores.is_compared || host.is_some());
        let tables = outboxes::open(&plan.outboxes).await?;
        let outboxes = tables.iter().cloned().chain(taking.databases());
        let pushing = stores.pushing(folder.path(), host, plan.subscriptions).await?;
        note_admin(&mut folder, ports.admin.address())?;
        let verifier = Verifier::of(&plan.issuer);
        // Other gateways may end sign-ins in the same place.
        let ended = plan.gateway.has_session().then(|| verifier.ended().clone());
        let storage = Storage::of(host, outer);
        let identity = Identity::open(&folder, storage, &plan.gateway, verifier).await?;
        identity.fits(&folder, host, stores.has_own_log()).await?;
        let shown = plan.shown.clone();
        let mut layer = Layer::start(plan.gateway, &ports, stores, identity, folder, app, pushing)?;
        (layer.outboxes, layer.goes_on_alone) = (outboxes.collect(), true);
        let retry = Retry { attempts: 3, backoff: Duration::from_secs(1) };
        let folds = layer.folds(VIEWS, &plan.topics.all, retry, &Interruptions::none()).await;
        let Loops { mut run, controls } = folds.and(layer.remember(retry));
        run.extend(layer.push());
        if let Some(ended) = ended {
            run.extend(ended::follow(host, &[sessions::NAME], &ended, &layer.loops).await?);
        }
        let relays = outboxes::relays(&layer.outboxes, &layer.broker);
        // On what does not fit nothing may run: the loops would carry on from a wrong place.
        vouch::before_running(layer.data(), &layer.all(&controls), &relays).await?;
        run.extend(layer.relaying(&tables, &taking));
        let way = schedules::Way { takers, sealing: layer.gateway.sealing().cloned() };
        let due = |it| schedules::keep(it, way, &layer.metrics, &layer.loops);
        run.extend(layer.schedules.as_ref().map(due));
        // Events before requests: a page that is asked for first is already being caught up.
        layer.run(run);
        let controls = layer.controls(controls, relays);
        let admin = layer.admin_of(shown, controls, None);
        layer.open(ports, admin.clone())?;
        Ok(Serving { layer, admin })
    }

    /// Everything but the listeners.
    pub(crate) fn start(
        plan: gateway::Plan,
        ports: &Ports,
        stores: Stores,
        identity: Identity,
        folder: Folder,
        app: AppFiles,
        pushing: Option<Pushing>,
    ) -> Result<Layer, Failure> {
        let cores = cores()?;
        // Two stops, because requests end first: what is under way still needs the loops and the stores.
        let (metrics, connections) = (Metrics::new(), Stop::new());
        let (broker, remembering) = (stores.broker.clone(), Remembering::of(&identity));
        let gateway = Gateway::new(
            plan,
            Components {
                views: Some(stores.views.clone()),
                verifier: identity.verifier,
                sessions: identity.sessions,
                identity: identity.name,
                broker,
                takers: stores.takers,
                promises: stores.promises,
                desks: pushing.as_ref().map(Pushing::desks).unwrap_or_default(),
                schedules: stores.schedules.clone(),
                app,
                metrics: metrics.clone(),
                stop: connections.clone(),
            },
        );
        Ok(Layer {
            cores: Arc::new(cores),
            broker: stores.broker,
            log: stores.log,
            promise: stores.promise,
            views: stores.views,
            gateway,
            remembering,
            outboxes: Vec::new(),
            schedules: stores.schedules,
            goes_on_alone: false,
            pushing,
            pushed: Vec::new(),
            logs: Logs::new(),
            readiness: Readiness::new(),
            metrics,
            outer: ports.outer.address(),
            inner: ports.inner.address(),
            admin: ports.admin.address(),
            connections,
            loops: Stop::new(),
            folder,
        })
    }

    /// Says which numbers of a source's outbox a restore left out.
    pub(crate) fn left_out(&self, source: &str, numbers: Vec<LeftOut>) {
        self.views.left_out(source, numbers);
    }

    /// Runs loops, spread over the cores, and beside them what the folder's own log needs.
    pub(crate) fn run(&self, mut loops: Vec<Loop>) {
        loops.extend(self.log.as_ref().map(|log| retention::keep(log, &self.loops)));
        self.cores.run(loops, process::end_by_panic);
    }

    /// The data folder.
    pub(crate) fn data(&self) -> &Path {
        self.folder.path()
    }

    /// What hears of ended sign-ins, where browsers sign in.
    pub(crate) fn remember(&self, retry: Retry) -> Option<Loops> {
        self.remembering.as_ref()?.subscribe(self.broker.clone(), self.loops.clone(), retry)
    }

    /// What delivers events elsewhere, to be run. Whoever is delivered to may be away for as long as he likes: nothing
    /// waits for these at the start.
    pub(crate) fn push(&mut self) -> Vec<Loop> {
        let Some(pushing) = &mut self.pushing else { return Vec::new() };
        // Who is delivered to hears of the end as requests do; who fetches is a request, and answered until these are over.
        let stops = Stops { pushed: &self.connections, fetched: &self.loops };
        let Pushed { loops, logs } = pushing.start(&self.broker, &self.metrics, &stops);
        (self.pushed, self.logs) = (loops.controls, logs);
        loops.run
    }

    /// The relays of tables of others, and of what is taken from outside, with what lets those go.
    fn relaying(&self, tables: &[Database], taking: &Taking) -> Vec<Loop> {
        // Whose rows a table's are is told by its server: none of these waits for what the broker has.
        let mut run = outboxes::loops(tables, &self.broker, &self.loops);
        run.extend(taking.relays(&self.broker, &self.loops));
        run.extend(taking.keep(&self.broker, &self.readiness, &self.loops));
        run
    }

    /// What there is of it that can be stuck, beside what is delivered elsewhere.
    fn controls(&self, subscriptions: Vec<Control>, relays: Vec<relay::Control>) -> Controls {
        let scheduling = |it: &Schedules| Scheduling::of(schedules::NAME, it.clone());
        let schedules = self.schedules.iter().map(scheduling).collect();
        Controls { subscriptions, relays, schedules }
    }

    /// These subscriptions, and those that are delivered elsewhere.
    pub(crate) fn all(&self, controls: &[Control]) -> Vec<Control> {
        controls.iter().chain(&self.pushed).cloned().collect()
    }

    /// What the admin listener answers with.
    pub(crate) fn admin_of(
        &self,
        settings: Value,
        controls: Controls,
        switches: Option<Box<dyn Switches>>,
    ) -> Arc<Admin> {
        figures::watch_process(&self.metrics);
        figures::watch_relays(&self.metrics, controls.relays.clone());
        watch_views(&self.metrics, self.views.clone());
        let (gateway, views) = (self.gateway.clone(), self.views.clone());
        let controls = Controls { subscriptions: self.all(&controls.subscriptions), ..controls };
        gateway.mark_parked_of(controls.subscriptions.clone());
        Arc::new(Admin {
            readiness: self.readiness.clone(),
            metrics: self.metrics.clone(),
            settings,
            broker: self.broker.clone(),
            goes_on_alone: self.goes_on_alone,
            store: self.promise.clone(),
            controls,
            promises: self.gateway.promises().clone(),
            logs: self.logs.clone(),
            guards: Box::new(move || gateway.guards()),
            views: Box::new(move || views_json(&views)),
            switches,
            gateway: Some(self.gateway.clone()),
        })
    }

    /// Opens the three listeners.
    pub(crate) fn open(&self, ports: Ports, admin: Arc<Admin>) -> Result<(), Failure> {
        // Before the first sign-out can come: what an earlier process still owed is paid from here on.
        sessions::settle_on_one_core(&self.cores, &self.gateway, &self.loops);
        let (outer, inner) = (self.gateway.clone(), self.gateway.clone());
        let stop = &self.connections;
        let cores = &self.cores;
        ports.outer.serve_on(cores, move |core| outer.outer(core), stop).map_err(process::port)?;
        ports.inner.serve_on(cores, move |core| inner.inner(core), stop).map_err(process::port)?;
        serve_admin(ports.admin, cores, admin, stop)
    }

    /// The ready line.
    pub(crate) fn addresses(&self) -> Value {
        json!({
            "ready": true,
            "pid": std::process::id(),
            "gateway": format!("http://{}", self.outer),
            "admin": format!("http://{}", self.admin),
        })
    }

    /// The ready line where one's own services are to find the listener that is for them.
    pub(crate) fn addresses_for_services(&self) -> Value {
        let mut ready = self.addresses();
        ready["inner"] = json!(format!("http://{}", self.inner));
        ready
    }

    /// Ends it in order; see `process`.
    pub(crate) async fn end(self) {
        self.end_connections(Vec::new()).await;
        self.end_loops(Vec::new()).await;
    }

    /// No new request, no stream; those in flight finish, those of listeners that are stopped already too.
    pub(crate) async fn end_connections(&self, mut stopped: Vec<Stop>) {
        // No listener accepts from here on. Streams would outlast any drain: they are ended, not waited for.
        self.connections.stop();
        self.gateway.end_streams();
        stopped.push(self.connections.clone());
        if !Stop::drain_all(&stopped, DRAIN).await {
            warn!(limit = ?DRAIN, "some requests did not finish in time");
        }
    }

    /// The loops, then the stores, these beside them among them.
    pub(crate) async fn end_loops(&self, mut stores: Vec<Database>) {
        // Loops let go of their databases before these are closed: closing waits for the last write.
        self.loops.stop();
        // Who was delivered to in the last moment has answered, and would be delivered to again.
        if let Some(pushing) = &self.pushing {
            pushing.ended().await;
        }
        stores.extend(self.remembering.as_ref().map(Remembering::database));
        stores.extend_from_slice(&self.outboxes);
        stores.extend(self.schedules.as_ref().map(Schedules::database));
        stores.extend(self.gateway.sealing().map(|it| it.keyring().database()));
        stores.extend(self.pushing.as_ref().map(Pushing::database));
        // At once: a server that is silent holds all of them up alike.
        tokio::join!(process::close(stores), self.end_views());
        // The log last, since the databases' relays wrote to it. Only now may the note say `closed`: with it the
        // next start trusts the files unread.
        if let Some(log) = &self.log {
            log.close().await;
        }
        vouch::after_closing(self.data());
    }

    async fn end_views(&self) {
        // Another instance that folds need not find out first.
        let given_back = tokio::time::timeout(GIVEN_BACK_WITHIN, self.views.let_fold_go()).await;
        if !matches!(given_back, Ok(Ok(()))) {
            warn!("the fold's lease was not given back: another instance finds out by itself");
        }
        self.views.database().close().await;
    }
}

/// A core's thread for each core.
fn cores() -> Result<Cores, Failure> {
    let started = Cores::start(Cores::available());
    started.map_err(|error| Failure::environment(error, "free some threads"))
}

/// Sets the gauge of pages that do not follow their events before each scrape.
fn watch_views(metrics: &Metrics, views: Views) {
    let what = "1 while pages are older than their events";
    let stale = metrics.level("yeoul_views_stale", what, &[]);
    metrics.before_scrape(move || {
        stale.set(f64::from(u8::from(!views.staleness().is_empty())));
    });
}

fn views_json(views: &Views) -> Value {
    json!({
        "pages": views.pages().map(|page| page.name.clone()).collect::<Vec<_>>(),
        "staleSince": views.pages().filter_map(|page| views.stale_since(page, None)).min()
            .map(|since| since.to_string()),
        "stale": views.staleness().iter()
            .map(|it| json!({ "since": it.since.to_string(), "why": it.why })).collect::<Vec<_>>(),
    })
}
