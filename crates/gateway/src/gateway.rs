//! The gateway as one handle: what it is made of, and the servers that listeners are given.
//!
//! It makes what all cores share ([`Shared`]); connections to services are each core's own, made with its
//! server.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Instant;

use chassis::chance;
use chassis::clock;
use chassis::http::query::Query;
use chassis::http::{Inbound, Problem, Response, Stop};
use chassis::identity::Verifier;
use chassis::telemetry::{Level, Metrics};
use events::schedules::Schedules;
use events::{Broker, Control};
use guard::outlier::Outliers;
use http::HeaderMap;
use privacy::Sealing;
use serde_json::{Map, Value, json};
use sessions::Memory;
use views::Views;

use crate::app::AppFiles;
use crate::cookies::Jar;
use crate::endpoint::Endpoint;
use crate::guards::{Guards, millis, state_name};
use crate::hygiene::Hygiene;
use crate::meters::Meters;
use crate::plan::{self, Plan, SignIn, Upstream};
use crate::proxy::pool::AcrossCores;
use crate::proxy::{self, Core, Route};
use crate::publishing::{Promises, Publishing, Takers};
use crate::pulling::Desks;
use crate::seal::{SEAL_KEY_BYTES, Seal};
use crate::server::{Face, Server};
use crate::session::sign_out;
use crate::shared::{self, Shared};
use crate::streams::Streams;
use crate::traces::Traces;

/// What a gateway works with.
pub struct Components {
    /// The read side that pages come from; not needed where there are none ([`Plan::inner_alone`]).
    pub views: Option<Views>,
    /// Who verifies tokens.
    pub verifier: Verifier,
    /// What ends browsers' sign-ins; needed where they sign in ([`Plan::has_session`]).
    pub sessions: Option<Sessions>,
    /// What the names of its cookies end in: letters and digits that no other gateway of this host
    /// has.
    pub identity: String,
    /// The log that topics are read from.
    pub broker: Arc<dyn Broker>,
    /// Who stores what is published from outside; needed where somebody may.
    pub takers: Takers,
    /// What is promised of topics' events.
    pub promises: Promises,
    /// Where events are asked for by those who fetch.
    pub desks: Desks,
    /// What is published at a time to come; needed where that may be asked for.
    pub schedules: Option<Schedules>,
    /// The app.
    pub app: AppFiles,
    /// Where it counts.
    pub metrics: Metrics,
    /// What its listeners stop by; streams end by it too.
    pub stop: Stop,
}

/// What browsers' sign-ins are ended with.
pub struct Sessions {
    /// What remembers those that have ended.
    pub memory: Memory,
    /// What refresh cookies are sealed with; with another key they are good for renewals alone, and
    /// signing out by one waits for the sign-in service.
    pub key: [u8; SEAL_KEY_BYTES],
}

/// A gateway; clones are handles.
#[derive(Clone)]
pub struct Gateway {
    shared: Arc<Shared>,
}

impl Gateway {
    /// A gateway of `plan`; its circuits are closed, its limits whole.
    ///
    /// # Panics
    /// Browsers sign in and there is no memory of ended sign-ins, or there are pages and no views: a mistake
    /// of the composition.
    pub fn new(mut plan: Plan, components: Components) -> Gateway {
        assert!(plan.session.is_none() || components.sessions.is_some(), "no memory of sessions");
        assert!(plan.pages.is_empty() || components.views.is_some(), "no views of pages");
        let now = clock::now();
        let metrics = &components.metrics;
        let route = |plan| guarded(plan, metrics, now);
        // The plan keeps what is looked up by place; routes move out of it, since each gets its guards.
        let routes = std::mem::take(&mut plan.routes).into_iter().map(route).collect();
        let page = |page: &views::Page| Meters::new(metrics, &format!("page {}", page.name));
        let pages = plan.pages.iter().map(page).collect();
        let across = |upstream: &Upstream| AcrossCores {
            open: level(metrics, upstream),
            outliers: Arc::new(Outliers::new(upstream.endpoints.len(), now)),
        };
        let upstreams = plan.upstreams.iter().map(across).collect();
        let withheld = std::mem::take(&mut plan.withheld);
        let hygiene = Hygiene::new(plan.trusted.clone(), withheld, chance::spread());
        let jar = jar(plan.session.as_ref(), &components.identity);
        // Asked for before the first stream can open, so that no sign-in ends between the two.
        let streams = ending_with_sign_ins(&components.verifier);
        let shared = Arc::new(Shared {
            plan,
            hygiene: Arc::new(hygiene),
            routes,
            pages,
            views: components.views,
            verifier: components.verifier,
            broker: components.broker,
            publishing: Publishing::new(components.takers, components.promises, metrics),
            desks: components.desks,
            schedules: components.schedules,
            traces: Traces::default(),
            app: components.app,
            jar,
            sessions: components
                .sessions
                .map(|it| shared::Sessions { memory: it.memory, seal: Seal::new(it.key) }),
            streams,
            stop: components.stop,
            upstreams,
        });
        watch(metrics, &shared);
        Gateway { shared }
    }

    /// What answers clients on one core.
    pub fn outer(&self, core: usize) -> Server {
        self.server(core, Face::Outer)
    }

    /// What answers the services' calls to one another on one core.
    pub fn inner(&self, core: usize) -> Server {
        self.server(core, Face::Inner)
    }

    /// What answers on the pages' own port on one core, listening at `address`: the same pages. On the
    /// loopback who shows no token may read anyone's; elsewhere a token is needed.
    pub fn pages_only(&self, core: usize, address: IpAddr) -> Server {
        self.server(core, Face::Pages { loopback: address.is_loopback() })
    }

    /// The guards of every route and the addresses of every upstream with their present state.
    pub fn guards(&self) -> Value {
        let now = clock::now();
        let show = |route: &Route| (route.plan.name.clone(), route.guards.show(now));
        let routes = self.shared.routes.iter().map(show).collect::<Map<_, _>>();
        let upstreams = self.shared.plan.upstreams.iter().zip(&self.shared.upstreams);
        let upstreams = upstreams.map(|(upstream, shared)| {
            (upstream.name.clone(), addresses(upstream, &shared.outliers, now))
        });
        json!({ "routes": routes, "upstreams": upstreams.collect::<Map<_, _>>() })
    }

    /// Has what these subscriptions have parked marked in traces from now on; said once, when they are known.
    pub fn mark_parked_of(&self, subscriptions: Vec<Control>) {
        self.shared.traces.mark(subscriptions);
    }

    /// The tree of a correlation, as `GET` at its path answers it, for somebody who may.
    ///
    /// # Errors
    /// As over HTTP there.
    pub async fn trace(&self, query: Query) -> Result<Response, Problem> {
        self.shared.traces.look(self.shared.broker.as_ref(), "", query).await
    }

    /// What seals personal data, and tells it.
    pub fn sealing(&self) -> Option<&Sealing> {
        self.promises().sealing.as_ref()
    }

    /// Stores events in a topic for somebody who may, as `POST` at its path does; which that is, the caller has decided.
    ///
    /// # Errors
    /// As over HTTP there.
    pub async fn publish(
        &self,
        topic: &str,
        headers: &HeaderMap,
        body: Inbound,
    ) -> Result<Response, Problem> {
        // One client, whoever of this machine asks.
        self.shared.publish(topic, headers, body, Ipv4Addr::LOCALHOST.into()).await
    }

    /// What is promised of topics' events.
    pub fn promises(&self) -> &Promises {
        self.shared.publishing.promises()
    }

    /// Notifies the sign-in service of sign-outs that it has not heard of, until the stop; to be run on
    /// one core.
    pub async fn settle(self, stop: Stop) {
        let Some(session) = &self.shared.plan.session else { return };
        sign_out::settle(&self.shared, session, self.core(), stop).await;
    }

    /// Ends every live stream, and those that come after: the process stops.
    pub fn end_streams(&self) {
        self.shared.streams.end_all();
    }

    fn server(&self, _core: usize, face: Face) -> Server {
        Server::new(self.shared.clone(), self.core(), face)
    }

    /// A core's part of the data plane; made on the core it works on.
    fn core(&self) -> Core {
        // Connections stay with their core; only counts and outliers are shared.
        let upstreams = self.shared.plan.upstreams.iter().zip(&self.shared.upstreams);
        Core::new(proxy::pools(upstreams), self.shared.hygiene.clone())
    }
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gateway").field("plan", &self.shared.plan).finish_non_exhaustive()
    }
}

/// A route with its guards: closed, and with all that may pass.
fn guarded(plan: plan::Route, metrics: &Metrics, now: Instant) -> Route {
    let (guards, meters) = (Guards::new(&plan, now), Meters::new(metrics, &plan.name));
    Route { guards, meters, plan }
}

/// The cookies of a session; of none there are no others to read.
fn jar(session: Option<&SignIn>, identity: &str) -> Jar {
    let secure = session.is_some_and(|session| session.secure);
    let path = session.map_or("/", |session| session.path.as_str());
    Jar::new(identity, secure, path)
}

/// Live streams that end with their sign-ins.
fn ending_with_sign_ins(verifier: &Verifier) -> Streams {
    let streams = Streams::default();
    let open = streams.clone();
    // Whoever ends a sign-in, by sign-out or by an event of the service: its streams end with it.
    verifier.ended().on_end(move |session| open.end(session));
    let open = streams.clone();
    // And with what can be told of sign-ins: what would be refused now does not go on.
    verifier.ended().on_lost(move || open.end_signed_in());
    streams
}

fn addresses(upstream: &Upstream, outliers: &Outliers, now: Instant) -> Value {
    let address = |at: usize, endpoint: &Endpoint| {
        let seen = outliers.snapshot(at, now);
        json!({
            "address": endpoint.authority.to_str().unwrap_or_default(),
            "failures": seen.failures,
            "outForMs": seen.out_for.map(millis),
        })
    };
    let each = upstream.endpoints.iter().enumerate();
    each.map(|(at, endpoint)| address(at, endpoint)).collect()
}

fn level(metrics: &Metrics, upstream: &Upstream) -> Level {
    let help = "Open connections to an upstream";
    metrics.level("yeoul_upstream_connections", help, &[("upstream", &upstream.name)])
}

/// Sets what is looked up rather than counted before each scrape.
fn watch(metrics: &Metrics, shared: &Arc<Shared>) {
    // The registry outlives the gateway; it must not keep it alive.
    let (metrics, shared) = (metrics.clone(), Arc::downgrade(shared));
    let set = metrics.clone();
    metrics.before_scrape(move || {
        let Some(shared) = shared.upgrade() else { return };
        let now = clock::now();
        for route in &shared.routes {
            let Some(present) = route.guards.state(now) else { continue };
            for state in ["closed", "open", "half-open"] {
                let labels = [("route", route.plan.name.as_str()), ("state", state)];
                let help = "1 for the state that a route's circuit is in";
                let value = f64::from(u8::from(state_name(present) == state));
                set.level("yeoul_breaker_state", help, &labels).set(value);
            }
        }
        let help = "Open live streams";
        set.level("yeoul_live_streams", help, &[]).set(shared.streams.count() as f64);
    });
}
