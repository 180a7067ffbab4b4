//! The admin listener: health, metrics, what is stuck, what was given up; loopback alone.
//!
//! It reports and repairs. The switches that make things fail are a part of their own
//! ([`switches`]) that only exists with `--faults`: without it their paths are no routes at all.

pub(crate) mod dead;
pub(crate) mod pausing;
pub(crate) mod push;
pub(crate) mod switches;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use chassis::clock;
use chassis::health::{Health, Readiness};
use chassis::http::path::Params;
use chassis::http::query::Query;
use chassis::http::router::{Found, Route, Router};
use chassis::http::{Body, Path, Problem, Request, Response, Serve, Trace, json, loopback};
use chassis::telemetry::{METRICS_TYPE, Metrics};
use events::store::Promise;
use events::subscription::{Control, Ownership, PartitionStatus, Pause};
use events::{Broker, Database, relay};
use gateway::Gateway;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};
use tracing::{error, warn};

use dead::Controls;
use dead::many::Mending;
use push::Logs;
use switches::{BodyRequest, Switches, turned};

/// What the admin listener reports on and repairs; shared by the cores.
pub(crate) struct Admin {
    pub(crate) readiness: Readiness,
    pub(crate) metrics: Metrics,
    pub(crate) settings: Value,
    pub(crate) broker: Arc<dyn Broker>,
    /// What an acknowledged write means where state is.
    pub(crate) store: Promise,
    /// Outboxes that others publish through.
    pub(crate) taking: Vec<Database>,
    /// Whether the process does its work while the broker is away.
    pub(crate) goes_on_alone: bool,
    pub(crate) controls: Controls,
    /// What was delivered elsewhere lately.
    pub(crate) logs: Logs,
    /// Why what is due is not published, where that lasts.
    pub(crate) overdue: Box<dyn Fn() -> Option<String> + Send + Sync>,
    pub(crate) guards: Box<dyn Fn() -> Value + Send + Sync>,
    pub(crate) views: Box<dyn Fn() -> Value + Send + Sync>,
    pub(crate) switches: Option<Box<dyn Switches>>,
    /// Who stores what is published beside the process, where there is a log for it.
    pub(crate) gateway: Option<Gateway>,
}

/// What schedules are called where they are stuck.
const SCHEDULES: &str = "schedules";

/// How long all stores together may take to say how their subscriptions are.
const REPORTED_WITHIN: Duration = Duration::from_secs(2);

/// How often is looked whether something is stuck: more often than no progress counts as that.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// The listener's answers on one core.
pub(crate) struct Server {
    admin: Arc<Admin>,
    router: Router<Action>,
}

#[derive(Clone, Copy)]
enum Action {
    Health,
    Ready,
    Metrics,
    Settings,
    Guards,
    Views,
    Subscriptions,
    Relays,
    PushLog,
    Events,
    Publish,
    Trace,
    Dead,
    Retried,
    ShowDead,
    Redrive,
    Drop,
    /// Of all letters that are meant.
    Mend(Mending),
    Skip,
    Skipped,
    Place,
    Pause,
    Resume,
    Switch(Switch),
}

/// What there is with `--faults` alone.
#[derive(Clone, Copy)]
enum Switch {
    Rewind,
    StopService,
    StartService,
    PutFault,
    EndFaults,
}

impl Server {
    /// What answers on one core.
    pub(crate) fn new(admin: Arc<Admin>) -> Server {
        let mut routes = vec![
            Route::get("/healthz", Action::Health),
            Route::get("/readyz", Action::Ready),
            Route::get("/metrics", Action::Metrics),
            Route::get("/admin/settings", Action::Settings),
            Route::get("/admin/guards", Action::Guards),
            Route::get("/admin/views", Action::Views),
            Route::get("/admin/subscriptions", Action::Subscriptions),
            Route::get("/admin/relays", Action::Relays),
            Route::get("/admin/push/{name}", Action::PushLog),
            Route::get("/admin/events/{topic}", Action::Events),
            Route::post("/admin/events/{topic}", Action::Publish),
            Route::get("/admin/trace", Action::Trace),
            Route::get("/admin/dead", Action::Dead),
            Route::get("/admin/retried", Action::Retried),
            Route::get("/admin/dead/{id}", Action::ShowDead),
            Route::post("/admin/dead/redrive", Action::Mend(Mending::Redrive)),
            Route::post("/admin/dead/drop", Action::Mend(Mending::Drop)),
            Route::post("/admin/dead/{id}/redrive", Action::Redrive),
            Route::post("/admin/dead/{id}/drop", Action::Drop),
            Route::post("/admin/skip/{name}", Action::Skip),
            Route::post("/admin/place/{name}", Action::Place),
            Route::get("/admin/skipped", Action::Skipped),
            Route::post("/admin/subscriptions/{name}/pause", Action::Pause),
            Route::post("/admin/subscriptions/{name}/resume", Action::Resume),
        ];
        // Without `--faults` they are 404 like any path that is none, and nothing below can be reached.
        if admin.switches.is_some() {
            routes.extend([
                Route::post("/admin/subscriptions/{name}/rewind", Action::Switch(Switch::Rewind)),
                Route::post("/admin/services/{name}/stop", Action::Switch(Switch::StopService)),
                Route::post("/admin/services/{name}/start", Action::Switch(Switch::StartService)),
                Route::put("/admin/faults/{service}", Action::Switch(Switch::PutFault)),
                Route::delete("/admin/faults/{service}", Action::Switch(Switch::EndFaults)),
            ]);
        }
        Server { admin, router: Router::of(routes) }
    }

    async fn answer(&self, request: Request) -> Result<Response, Problem> {
        let path = Path::parse(request.uri().path()).map_err(|_| Problem::bad_path())?;
        let (action, params) = match self.router.find(&path, request.method()) {
            Found::Action(action, params) => (action, params),
            Found::WrongMethod(_, allowed) => return Err(Problem::method_not_allowed(&allowed)),
            Found::Slashed(_) | Found::Nothing => return Err(Problem::not_found()),
        };
        self.act(action, &params, request).await
    }

    async fn act(
        &self,
        action: Action,
        params: &Params,
        request: Request,
    ) -> Result<Response, Problem> {
        let admin = &self.admin;
        match action {
            Action::Health => Ok(json(StatusCode::OK, &json!({ "alive": true }))),
            Action::Ready => Ok(ready(admin).await),
            Action::Metrics => Ok(metrics(admin).await),
            Action::Settings => Ok(json(StatusCode::OK, &admin.settings)),
            Action::Guards => Ok(json(StatusCode::OK, &(admin.guards)())),
            Action::Views => Ok(json(StatusCode::OK, &(admin.views)())),
            Action::Subscriptions => subscriptions(&admin.controls.subscriptions).await,
            Action::Relays => Ok(relays(&admin.controls.relays)),
            Action::PushLog => push::log(&admin.logs, params.get(0)),
            // Read by the same code as at the gateway, but for the role: who reaches this port owns the machine.
            Action::Events => {
                let query = Query::parse(request.uri().query())?;
                gateway::topics::read(admin.broker.as_ref(), params.get(0), query).await
            }
            Action::Publish => {
                let gateway = admin.gateway.as_ref().ok_or_else(Problem::not_found)?;
                let (head, body) = request.into_parts();
                gateway.publish(params.get(0), &head.headers, body).await
            }
            Action::Trace => {
                let gateway = admin.gateway.as_ref().ok_or_else(Problem::not_found)?;
                gateway.trace(Query::parse(request.uri().query())?).await
            }
            Action::Dead => admin.controls.list(Query::parse(request.uri().query())?).await,
            Action::Mend(mending) => {
                admin.controls.mend(mending, Query::parse(request.uri().query())?).await
            }
            Action::Retried => admin.controls.retried().await,
            Action::ShowDead => admin.controls.show(params.get(0)).await,
            Action::Redrive => admin.controls.redrive(params.get(0), request).await,
            Action::Drop => admin.controls.discard(params.get(0), &by(&request)?).await,
            Action::Skip => {
                admin.controls.skip(admin.broker.as_ref(), params.get(0), &by(&request)?).await
            }
            Action::Skipped => admin.controls.skipped(admin.broker.as_ref()).await,
            Action::Place => {
                let query = Query::parse(request.uri().query())?;
                admin.controls.place(params.get(0), query, &by(&request)?).await
            }
            Action::Pause => {
                pausing::pause(&admin.controls.subscriptions, params.get(0), request).await
            }
            Action::Resume => pausing::resume(&admin.controls.subscriptions, params.get(0)).await,
            Action::Switch(switch) => self.turn(switch, params, request).await,
        }
    }

    async fn turn(
        &self,
        switch: Switch,
        params: &Params,
        request: Request,
    ) -> Result<Response, Problem> {
        match switch {
            Switch::Rewind => {
                let given = BodyRequest::read(request).await?;
                switches::rewind(&self.admin.controls.subscriptions, params.get(0), &given).await
            }
            Switch::StopService => turned(self.switches()?.stop(params.get(0)).await),
            Switch::StartService => turned(self.switches()?.start(params.get(0))),
            Switch::PutFault => {
                let given = BodyRequest::read(request).await?;
                switches::put_fault(self.switches()?, params.get(0), &given)
            }
            Switch::EndFaults => turned(self.switches()?.end_faults(params.get(0))),
        }
    }

    fn switches(&self) -> Result<&dyn Switches, Problem> {
        self.admin.switches.as_deref().ok_or_else(Problem::not_found)
    }
}

impl Serve for Server {
    async fn serve(self: Rc<Self>, request: Request, _peer: SocketAddr) -> Response {
        let trace = Trace::take(request.headers());
        match self.answer(request).await {
            Ok(response) => response,
            Err(problem) => problem.into_response(&trace),
        }
    }

    fn admits(&self, head: &Parts) -> Result<(), Problem> {
        loopback::check(&head.uri, &head.headers)
    }
}

/// A refusal of the event side, as a problem; the cause goes to the log once.
pub(crate) fn problem(error: &events::Error) -> Problem {
    tracing::error!(%error, "the event side refused");
    match error {
        events::Error::Environment { .. } => Problem::storage_unavailable(),
        events::Error::Unknown { .. } => Problem::outcome_unknown(),
        _ => Problem::internal(),
    }
}

/// On whose word: `?by=`, for the note.
fn by(request: &Request) -> Result<String, Problem> {
    let query = Query::parse(request.uri().query())?;
    Ok(query.get("by").unwrap_or("the admin listener").to_owned())
}

impl Admin {
    /// Whether the process can do its work, and the report: nothing of the start is missing, and no
    /// subscription and no relay is stuck.
    pub(crate) async fn report(&self) -> Health {
        let Health { mut ready, mut shown } = self.readiness.report();
        let waits_for = self.waits_for().await;
        let Troubles { stuck, paused } = self.troubles().await;
        // What waits for the broker alone keeps nobody from publishing: taken out of rotation all who take would be at once.
        let kind = if waits_for.is_some() { "degraded" } else { "missing" };
        ready &= waits_for.is_some() || stuck.is_empty();
        for Stuck { name, reason } in stuck {
            shown[kind][name] = reason.into();
        }
        if let Some(why) = waits_for {
            shown[kind]["broker"] = why.into();
        }
        shown["ready"] = ready.into();
        // A wish is no failure, and nobody is to forget it.
        for Paused { name, pause } in paused {
            shown["paused"][name] = pausing::shown(&pause);
        }
        // Nothing that keeps a process from its work: whoever reads a page is told the same, and other routes need none.
        let stale = (self.views)()["stale"].take();
        if stale.as_array().is_some_and(|all| !all.is_empty()) {
            shown["stale"] = stale;
        }
        shown["acknowledgement"] = self.broker.promise().into();
        shown["store"] = json!({ "onDisk": self.store.is_on_disk, "says": self.store.says });
        Health { ready, shown }
    }

    /// Why the broker is away, where the process does its work all the same: what it takes is stored, and waits.
    async fn waits_for(&self) -> Option<String> {
        let why = self.broker.away().filter(|_| self.goes_on_alone)?;
        let stored = async {
            for outbox in &self.taking {
                outbox.committed_by_now().await?;
            }
            Ok::<_, events::Error>(())
        };
        let stored = tokio::time::timeout(REPORTED_WITHIN, stored).await;
        matches!(stored, Ok(Ok(()))).then_some(why)
    }

    /// The loops that do not go on. Asked for at each report and kept nowhere: one that is stuck now may go on by itself.
    async fn troubles(&self) -> Troubles<'_> {
        let (mut all, mut paused) = (Vec::new(), Vec::new());
        let asked = clock::now();
        for control in &self.controls.subscriptions {
            let left = REPORTED_WITHIN.saturating_sub(clock::now() - asked);
            let status = tokio::time::timeout(left, control.status()).await;
            // Whoever cannot say how he is does not do his work either.
            let late = || Err(events::Error::environment("its store does not answer"));
            let status = status.unwrap_or_else(|_| late());
            let name = control.name();
            let pause = status.as_ref().ok().and_then(|it| it.paused);
            paused.extend(pause.map(|pause| Paused { name, pause }));
            let stuck = status.map_or_else(|error| Some(error.to_string()), |it| it.stuck);
            all.extend(stuck.map(|reason| Stuck { name, reason }));
        }
        all.extend((self.overdue)().map(|reason| Stuck { name: SCHEDULES, reason }));
        for relay in &self.controls.relays {
            let stuck = relay.status().stuck;
            all.extend(stuck.map(|reason| Stuck { name: relay.name(), reason }));
        }
        Troubles { stuck: all, paused }
    }

    /// Looks at all loops for as long as the process runs, and says in the log which are stuck, once, and which are no
    /// more. No progress is noticed between two looks, so that whoever asks only once is told of it, too.
    pub(crate) async fn watch(&self) {
        let mut known = BTreeSet::new();
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let stuck = self.troubles().await.stuck;
            let names: BTreeSet<String> = stuck.iter().map(|it| it.name.to_owned()).collect();
            for Stuck { name, reason } in stuck.into_iter().filter(|it| !known.contains(it.name)) {
                error!(name, reason, "it is stuck");
            }
            for name in known.difference(&names) {
                warn!(name, "it is stuck no more");
            }
            known = names;
        }
    }
}

/// What does not go on.
struct Troubles<'a> {
    stuck: Vec<Stuck<'a>>,
    paused: Vec<Paused<'a>>,
}

/// A subscription that an operator has take nothing.
struct Paused<'a> {
    name: &'a str,
    pause: Pause,
}

/// A subscription or a relay that does not go on.
struct Stuck<'a> {
    name: &'a str,
    reason: String,
}

async fn ready(admin: &Admin) -> Response {
    let Health { ready, shown } = admin.report().await;
    json(if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, &shown)
}

async fn metrics(admin: &Admin) -> Response {
    // Before the text and not by a hook of the scrape: a hook cannot wait, and a broker may have to be asked.
    set_subscriptions(&admin.metrics, &admin.controls.subscriptions).await;
    let mut response = Response::new(Body::full(admin.metrics.text()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(METRICS_TYPE));
    response
}

async fn subscriptions(controls: &[Control]) -> Result<Response, Problem> {
    let mut list = Vec::with_capacity(controls.len());
    for control in controls {
        let status = match control.status().await {
            Ok(status) => status,
            // Its store or the broker is away: that is how it is, and no reason to say nothing of the others.
            Err(error) if error.is_environment() => {
                list.push(unasked(control, &error));
                continue;
            }
            Err(error) => return Err(problem(&error)),
        };
        list.push(json!({
            "name": status.name,
            "topic": status.topic.as_str(),
            // One number over all partitions, for people: a place to go on from is each partition's own.
            "position": status.partitions.iter().map(|one| one.position.0).sum::<u64>(),
            "lag": status.lag,
            "parked": control.parked().await.map_err(|error| problem(&error))?,
            "paused": status.paused.as_ref().map(pausing::shown),
            "stuck": status.stuck,
            "partitions": status.partitions.iter().map(in_partition).collect::<Vec<_>>(),
        }));
    }
    Ok(json(StatusCode::OK, &list))
}

/// A subscription that cannot be asked how far it is.
fn unasked(control: &Control, error: &events::Error) -> Value {
    json!({
        "name": control.name(), "topic": control.topic().as_str(), "position": null, "lag": null, "parked": null,
        "stuck": error.to_string(), "partitions": [],
    })
}

fn in_partition(status: &PartitionStatus) -> Value {
    // Of the instances that share the partitions each knows its own.
    let is_here = match status.ownership {
        Ownership::Unknown => None,
        Ownership::Own => Some(true),
        Ownership::Elsewhere => Some(false),
    };
    json!({
        "partition": status.partition.index(),
        "here": is_here,
        "position": status.position.0,
        "lag": status.lag,
        "stuck": status.stuck,
    })
}

fn relays(relays: &[relay::Control]) -> Response {
    let list = relays.iter().map(|relay| {
        let report = relay.status();
        json!({
            "name": report.name,
            "topic": report.topic.as_str(),
            "relayed": report.relayed.iter().map(|one| one.number).sum::<u64>(),
            "lag": report.lag,
            "stuck": report.stuck,
            "since": report.since.map(|since| since.to_string()),
            "lost": report.lost,
        })
    });
    json(StatusCode::OK, &list.collect::<Vec<_>>())
}

/// Sets the relays' gauges before each scrape.
pub(crate) fn watch_relays(metrics: &Metrics, relays: Vec<relay::Control>) {
    let shown = metrics.clone();
    metrics.before_scrape(move || {
        for relay in &relays {
            let (report, labels) = (relay.status(), [("relay", relay.name())]);
            let lag = "Events that wait in an outbox";
            shown.level("yeoul_relay_lag_events", lag, &labels).set(report.lag as f64);
            let stuck = "1 while a relay makes no progress";
            let value = f64::from(u8::from(report.stuck.is_some()));
            shown.level("yeoul_relay_stuck", stuck, &labels).set(value);
        }
    });
}

/// Sets the gauge of how long it has been up before each scrape.
pub(crate) fn watch_process(metrics: &Metrics) {
    let started = clock::now();
    let up = metrics.level("yeoul_up_seconds", "Time since the process was started", &[]);
    metrics.before_scrape(move || {
        up.set(clock::now().duration_since(started).as_secs_f64());
    });
}

/// Sets the subscriptions' gauges: now, because a broker may have to be asked.
async fn set_subscriptions(metrics: &Metrics, controls: &[Control]) {
    for control in controls {
        let labels = [("subscription", control.name())];
        // What cannot be asked keeps its last figures; `/readyz` names it.
        let Ok(status) = control.status().await else { continue };
        let lag = "Events that a subscription has not handled yet";
        metrics.level("yeoul_subscription_lag_events", lag, &labels).set(status.lag as f64);
        if let Ok(first) = control.first_missing().await {
            let old = first.map_or(0.0, |time| clock::wall().duration_since(time).as_secs_f64());
            let age = "How old the first event is that a subscription has not handled yet";
            // A publisher's clock may be ahead of this one.
            metrics.level("yeoul_subscription_lag_seconds", age, &labels).set(old.max(0.0));
        }
        if let Ok(waiting) = control.parked().await {
            let parked =
                "Events that failed or wait behind one of their key, dead letters included";
            metrics.level("yeoul_subscription_parked", parked, &labels).set(waiting as f64);
        }
        let stuck = "1 while a subscription makes no progress";
        let value = f64::from(u8::from(status.stuck.is_some()));
        metrics.level("yeoul_subscription_stuck", stuck, &labels).set(value);
        let paused = "1 while an operator has a subscription take nothing";
        let value = f64::from(u8::from(status.paused.is_some()));
        metrics.level("yeoul_subscription_paused", paused, &labels).set(value);
    }
}
