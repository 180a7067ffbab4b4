//! A part of the mall that shows pages, in a process of its own: the gateway, or my page's port.
//!
//! In files each folds views of its own from the topics. On a server they have the same, and whoever has my page's port
//! folds them, one instance at a time. Either way a page is answered from memory beside whoever asks, and a position is
//! waited for here as in one process.

use std::sync::Arc;

use chassis::folder::Folder;
use chassis::identity::Verifier;
use events::subscription::Control;
use mall::{Endpoint, Faults, Name};
use serde_json::Value;

use super::keys::KeySource;
use super::{catching_up, described, interruptions, pages, prove, rest_views, secret, switches};
use crate::admin::Admin;
use crate::admin::dead::Controls;
use crate::app;
use crate::compose::broker::Events;
use crate::compose::ended;
use crate::compose::layer::{self, Layer, Presentation, Stores, VIEWS};
use crate::compose::loops::Loops;
use crate::compose::ports::Ports;
use crate::compose::sessions::{self, Identity, Storage};
use crate::compose::vouch;
use crate::exit::Failure;
use crate::process;
use crate::settings::Checked;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// All that clients ask for.
    Gateway,
    /// The pages alone, on a port of their own.
    Pages,
}

/// A running one.
pub(crate) struct Front {
    kind: Kind,
    layer: Layer,
    endpoints: Arc<Vec<Endpoint>>,
    controls: Vec<Control>,
    admin: Arc<Admin>,
}

impl Kind {
    /// Where its views are, and what their subscriptions' names begin with: on a server they are the same for all.
    fn views(self, on_server: bool) -> &'static str {
        match self {
            Kind::Gateway if !on_server => VIEWS,
            _ => Name::Mypage.as_str(),
        }
    }

    /// Whether it folds: where others have the same rows, whoever has the port of my page does.
    fn folds(self, on_server: bool) -> bool {
        !on_server || self == Kind::Pages
    }
}

impl Front {
    /// Opens everything and starts to serve at `plan.listen`; catching up goes on.
    pub(crate) async fn start(
        mut plan: Checked,
        mut folder: Folder,
        kind: Kind,
        faults: bool,
    ) -> Result<Front, Failure> {
        let ports = Ports::bind(&plan)?;
        let app = described::with_description(&plan, app::files());
        vouch::before_opening(folder.path()).await?;
        let verifier = Verifier::of(&plan.issuer);
        let keys = KeySource::of(&plan, &verifier, folder.path()).await?;
        let retry = plan.mall.as_ref().expect("the mall's settings hold a mall").settings().retry();
        if let Some(secret) = secret::shared()? {
            prove(&mut plan.gateway, &secret);
        }
        let host = plan.host.as_ref();
        let (name, folds) = (kind.views(host.is_some()), kind.folds(host.is_some()));
        let presentation = Presentation::with_app(plan.definitions, plan.look, &app);
        let presentation = Presentation { folds, ..presentation };
        let events = Events::there(&plan.topics, plan.broker, &[]);
        let stores = Stores::open(folder.path(), host, name, events, presentation).await?;
        layer::note_admin(&mut folder, ports.admin.address())?;
        let ended = verifier.ended().clone();
        let storage = Storage::of(host, plan.sealing.as_ref());
        let identity = Identity::open(&folder, storage, &plan.gateway, verifier).await?;
        // Its own schema has what other gateways end, account's what it ends itself, whether or not events come through.
        let own = identity.sessions.as_ref().map(|_| sessions::NAME);
        let schemas: Vec<_> = own.into_iter().chain([Name::Account.as_str()]).collect();
        // With the gateways, of which there is one at least.
        let pushing = match kind {
            Kind::Gateway => stores.pushing(folder.path(), host, plan.subscriptions).await?,
            Kind::Pages => None,
        };
        let mut layer = Layer::start(plan.gateway, &ports, stores, identity, folder, app, pushing)?;

        let faults = Faults::new(faults);
        let stops = interruptions(&faults);
        let folds = if folds {
            layer.folds(name, &plan.topics.all, retry, &stops).await
        } else {
            layer.reads(name, &plan.topics.all, retry).await
        };
        let Loops { mut run, controls } = folds.and(layer.remember(retry));
        run.extend(layer.push());
        run.push(keys.follow(layer.loops.clone()));
        run.extend(ended::follow(host, &schemas, &ended, &layer.loops).await?);
        vouch::before_running(layer.data(), &layer.all(&controls), &[]).await?;
        layer.run(run);
        rest_views(&layer, &faults);
        layer.readiness.missing(VIEWS, "catching up");
        Front::open(kind, layer, ports, controls, &faults, plan.shown)
    }

    fn open(
        kind: Kind,
        layer: Layer,
        ports: Ports,
        controls: Vec<Control>,
        faults: &Faults,
        shown: Value,
    ) -> Result<Front, Failure> {
        let stuck =
            Controls { subscriptions: controls.clone(), relays: Vec::new(), schedules: Vec::new() };
        let switches_on = |endpoints: &Arc<Vec<Endpoint>>| {
            faults.enabled().then(|| switches::of(endpoints.clone(), faults.clone()))
        };
        if kind == Kind::Gateway {
            let endpoints = Arc::new(Vec::new());
            let admin = layer.admin_of(shown, stuck, switches_on(&endpoints));
            layer.open(ports, admin.clone())?;
            return Ok(Front { kind, layer, endpoints, controls, admin });
        }
        // Nothing is served inside: its port is let go of.
        let Ports { outer, admin: admin_port, .. } = ports;
        let listen = pages(&layer, faults, outer.address());
        let pause = faults.pause(Name::Mypage);
        let endpoint = Endpoint::start_on(Name::Mypage, outer, pause, listen);
        let endpoints = Arc::new(vec![endpoint.map_err(process::port)?]);
        let admin = layer.admin_of(shown, stuck, switches_on(&endpoints));
        layer::serve_admin(admin_port, &layer.cores, admin.clone(), &layer.connections)?;
        Ok(Front { kind, layer, endpoints, controls, admin })
    }

    /// Resolves once the topics that it folds were read to their ends. What others fold is not waited for: its pages say
    /// how old they are.
    pub(crate) async fn caught_up(&self) {
        catching_up::once(&[], &[], &self.controls).await;
        self.layer.readiness.ready(VIEWS);
        process::until_ready(&self.admin).await;
    }

    /// The ready line.
    pub(crate) fn addresses(&self) -> Value {
        let mut ready = self.layer.addresses();
        if self.kind == Kind::Pages {
            let url = ready["gateway"].take();
            ready.as_object_mut().expect("a ready line").remove("gateway");
            ready[Name::Mypage.as_str()] = url;
        }
        ready
    }

    /// Ends it in order; see `process`.
    pub(crate) async fn end(self) {
        let stopped = self.endpoints.iter().filter_map(Endpoint::close).collect();
        self.layer.end_connections(stopped).await;
        self.layer.end_loops(Vec::new()).await;
    }
}
