//! The admin listener: health, metrics, what is stuck, what was given up; loopback alone.
//!
//! It reports and repairs. The switches that make things fail are a part of their own
//! ([`switches`]) that only exists with `--faults`: without it their paths are no routes at all.

pub(crate) mod dead;
pub(crate) mod figures;
pub(crate) mod health;
mod listed;
pub(crate) mod pausing;
mod people;
pub(crate) mod push;
pub(crate) mod scheduling;
pub(crate) mod switches;

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use chassis::health::Readiness;
use chassis::http::path::Params;
use chassis::http::query::Query;
use chassis::http::router::{Found, Route, Router};
use chassis::http::{Path, Problem, Request, Response, Serve, Trace, json, loopback};
use chassis::telemetry::Metrics;
use events::Broker;
use events::store::Promise;
use events::subscription::{Control, Status};
use gateway::{Gateway, Promises};
use http::StatusCode;
use http::request::Parts;
use serde_json::{Value, json};

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
    /// Whether the process does its work while the broker is away.
    pub(crate) goes_on_alone: bool,
    pub(crate) controls: Controls,
    /// What is promised of topics' events: data that take a letter's place are held to it, and sealed by it.
    pub(crate) promises: Promises,
    /// What was delivered elsewhere lately.
    pub(crate) logs: Logs,
    pub(crate) guards: Box<dyn Fn() -> Value + Send + Sync>,
    pub(crate) views: Box<dyn Fn() -> Value + Send + Sync>,
    pub(crate) switches: Option<Box<dyn Switches>>,
    /// Who stores what is published beside the process, where there is a log for it.
    pub(crate) gateway: Option<Gateway>,
}

/// How long whoever is asked how he is may take to say: his store or his broker may be silent, and who asks is waiting.
const REPORTED_WITHIN: Duration = Duration::from_secs(2);

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
    Forget,
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
            Route::post("/admin/people/forget", Action::Forget),
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
        let (admin, controls) = (&self.admin, &self.admin.controls);
        match action {
            Action::Health => Ok(json(StatusCode::OK, &json!({ "alive": true }))),
            Action::Ready => Ok(health::ready(admin).await),
            Action::Metrics => Ok(figures::metrics(admin).await),
            Action::Settings => Ok(json(StatusCode::OK, &admin.settings)),
            Action::Guards => Ok(json(StatusCode::OK, &(admin.guards)())),
            Action::Views => Ok(json(StatusCode::OK, &(admin.views)())),
            Action::Subscriptions => listed::subscriptions(&controls.subscriptions).await,
            Action::Relays => Ok(listed::relays(&controls.relays)),
            Action::PushLog => push::log(&admin.logs, params.get(0)),
            // Read by the same code as at the gateway, but for the role: who reaches this port owns the machine.
            Action::Events => {
                gateway::topics::read(admin.broker.as_ref(), params.get(0), asked(&request)?).await
            }
            Action::Publish => {
                let (head, body) = request.into_parts();
                self.gateway()?.publish(params.get(0), &head.headers, body).await
            }
            Action::Trace => self.gateway()?.trace(asked(&request)?).await,
            Action::Dead => controls.list(asked(&request)?).await,
            Action::Mend(mending) => controls.mend(mending, asked(&request)?).await,
            Action::Retried => controls.retried().await,
            Action::ShowDead => controls.show(params.get(0)).await,
            Action::Redrive => controls.redrive(params.get(0), request, &admin.promises).await,
            Action::Drop => controls.discard(params.get(0), &by(&request)?).await,
            Action::Skip => {
                controls.skip(admin.broker.as_ref(), params.get(0), &by(&request)?).await
            }
            Action::Skipped => controls.skipped(admin.broker.as_ref()).await,
            Action::Place => {
                let query = Query::parse(request.uri().query())?;
                controls.place(params.get(0), query, &by(&request)?).await
            }
            Action::Pause => pausing::pause(&controls.subscriptions, params.get(0), request).await,
            Action::Resume => pausing::resume(&controls.subscriptions, params.get(0)).await,
            Action::Forget => {
                people::forget(admin.promises.sealing.as_ref(), asked(&request)?).await
            }
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

    fn gateway(&self) -> Result<&Gateway, Problem> {
        self.admin.gateway.as_ref().ok_or_else(Problem::not_found)
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

/// How each subscription is, in their order.
async fn statuses(controls: &[Control]) -> Vec<Result<Status, events::Error>> {
    let status = |control: Control| async move { control.status().await };
    at_once(controls.iter().cloned().map(status)).await
}

/// What each answers, in their order: all are asked at once and none longer than [`REPORTED_WITHIN`], so that one that does not say
/// keeps nobody else from it.
async fn at_once<T, Asked>(all: impl Iterator<Item = Asked>) -> Vec<Result<T, events::Error>>
where
    T: Send + 'static,
    Asked: Future<Output = Result<T, events::Error>> + Send + 'static,
{
    let ask = |asked| tokio::spawn(tokio::time::timeout(REPORTED_WITHIN, asked));
    let asked: Vec<_> = all.map(ask).collect();
    let mut said = Vec::with_capacity(asked.len());
    for asked in asked {
        let late = || events::Error::environment("neither its store nor its broker says");
        let answer = asked.await.map_err(|_| events::Error::Closed);
        said.push(answer.and_then(|answer| answer.unwrap_or_else(|_| Err(late()))));
    }
    said
}

/// A refusal of the event side, as a problem; the cause goes to the log once.
pub(crate) fn problem(error: &events::Error) -> Problem {
    tracing::error!(%error, "the event side refused");
    match error {
        events::Error::Environment { .. } => Problem::storage_unavailable(),
        events::Error::Unknown { .. } => Problem::outcome_unknown(),
        events::Error::Limit { field, value, limit } => gateway::over_limit(field, *value, *limit),
        _ => Problem::internal(),
    }
}

/// What is asked behind the path.
fn asked(request: &Request) -> Result<Query, Problem> {
    Query::parse(request.uri().query())
}

/// On whose word: `?by=`, for the note.
fn by(request: &Request) -> Result<String, Problem> {
    Ok(asked(request)?.get("by").unwrap_or("the admin listener").to_owned())
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::sync::Arc;

    use events::Error;
    use events::skipped::SKIPPED_MAX;
    use serde_json::json;
    use tokio::sync::Barrier;

    use super::{at_once, problem};

    #[tokio::test]
    async fn all_are_asked_at_once_and_of_one_that_is_silent_that_is_said() {
        let together = Arc::new(Barrier::new(3));
        let asked = [false, true, false, false].map(|is_silent| {
            let together = Arc::clone(&together);
            async move {
                if is_silent {
                    pending::<()>().await;
                }
                // Each answers once the others were asked.
                together.wait().await;
                Ok(())
            }
        });
        let said = at_once(asked.into_iter()).await;
        assert_eq!(said.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true, true]);
    }

    #[test]
    fn a_limit_on_what_is_kept_is_a_conflict_that_names_it() {
        for (field, limit) in [("skipped", SKIPPED_MAX), ("epoch", 7)] {
            let refused = problem(&Error::Limit { field, value: limit + 1, limit });
            assert_eq!(refused.status(), 409, "{field}");
            let [error] = refused.errors() else { panic!("one field is in the way: {field}") };
            assert_eq!((error.field.as_str(), &error.limit), (field, &Some(json!(limit))));
        }
        assert_eq!(problem(&Error::Decode { what: String::new() }).status(), 500, "no limit");
    }
}
