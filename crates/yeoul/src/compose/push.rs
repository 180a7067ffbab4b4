//! Subscriptions whose events are delivered elsewhere, or fetched: their store, their loops and what they did lately.
//!
//! They are the process's own, in a store beside the others, whatever services it runs: `yeoul serve` has them, and so has
//! the mall.

use std::path::Path;
use std::sync::Arc;

use chassis::cores::Loop;
use chassis::http::Stop;
use chassis::telemetry::Metrics;
use chassis::{chance, clock, folder};
use events::deliveries::{Deliveries, TABLES, Timing};
use events::share::ShareBy;
use events::store::{Host, Location};
use events::{Broker, Database, Opener, Topic};
use gateway::Desks;
use privacy::Sealing;
use push::{Meters, Subscriber};
use tokio_util::task::TaskTracker;

use super::loops::Loops;
use super::pull::Fetched;
use super::store;
use crate::admin::push::Logs;
use crate::exit::Failure;
use crate::process::damaged;
use crate::settings::subscriptions::{Elsewhere, Way};

/// Its folder below the data folder, or its schema.
const NAME: &str = "subscriptions";
/// The file in it.
const FILE: &str = "deliveries.db";
/// What failures call it.
const STORE: &str = "the store of subscriptions";

/// Subscriptions that are open, none of which runs yet.
pub(crate) struct Pushing {
    database: Database,
    pushed: Vec<PushedTo>,
    fetched: Vec<Fetched>,
    /// Loops that were started, until they have written what was answered.
    running: TaskTracker,
}

/// When loops end.
pub(crate) struct Stops<'s> {
    /// Those that deliver.
    pub(crate) pushed: &'s Stop,
    /// Those that lend.
    pub(crate) fetched: &'s Stop,
}

/// Who is delivered to.
struct PushedTo {
    name: String,
    topic: Topic,
    timing: Timing,
    share: Option<ShareBy>,
    receiver: push::Settings,
    /// What tells him what is sealed, if he may know.
    opener: Option<Arc<dyn Opener>>,
}

/// What is to be run, and what it tells.
#[derive(Default)]
pub(crate) struct Pushed {
    pub(crate) loops: Loops,
    pub(crate) logs: Logs,
}

impl Pushing {
    /// Opens their store, where there are any.
    pub(crate) async fn open(
        data: &Path,
        host: Option<&Host>,
        subscriptions: Vec<Elsewhere>,
        broker: &Arc<dyn Broker>,
        sealing: Option<&Sealing>,
    ) -> Result<Option<Pushing>, Failure> {
        if subscriptions.is_empty() {
            return Ok(None);
        }
        let location = match host {
            Some(host) => Location::Schema { host: host.clone(), name: NAME.to_owned() },
            None => {
                let folder = data.join(NAME);
                folder::make_private(&folder)
                    .map_err(|error| damaged("the data folder", &error))?;
                Location::File(folder.join(FILE))
            }
        };
        let database = Box::pin(Database::at(location, TABLES, None, clock::component())).await;
        let database = database.map_err(|error| store::unopened(STORE, host, &error))?;
        let mut pushing = Pushing {
            database,
            pushed: Vec::new(),
            fetched: Vec::new(),
            running: TaskTracker::new(),
        };
        let add = |it: Elsewhere| {
            let opener =
                sealing.filter(|_| it.is_told).and_then(|sealing| sealing.opener(&it.topic));
            pushing.add(it, broker, opener);
        };
        subscriptions.into_iter().for_each(add);
        Ok(Some(pushing))
    }

    fn add(
        &mut self,
        subscription: Elsewhere,
        broker: &Arc<dyn Broker>,
        opener: Option<Arc<dyn Opener>>,
    ) {
        let Elsewhere { name, topic, pace, share, way, .. } = subscription;
        let timing = Timing { pace, clock: clock::component(), jitter: Arc::new(chance::jitter) };
        match way {
            Way::Push(receiver) => {
                let receiver = *receiver;
                self.pushed.push(PushedTo { name, topic, timing, share, receiver, opener });
            }
            Way::Pull => {
                let (database, broker) = (self.database.clone(), Arc::clone(broker));
                let fetched = Fetched::new(name, topic, database, broker, timing, share);
                self.fetched.push(fetched.opened_by(opener));
            }
        }
    }

    /// Where events are asked for by those who fetch.
    pub(crate) fn desks(&self) -> Desks {
        self.fetched.iter().map(Fetched::desk).collect()
    }

    /// Where it is kept.
    pub(crate) fn database(&self) -> Database {
        self.database.clone()
    }

    /// Resolves once its loops have ended, after they were told to: each waits for answers that are under way as requests are
    /// waited for, and writes them.
    pub(crate) async fn ended(&self) {
        self.running.close();
        self.running.wait().await;
    }

    /// Their loops, to be run.
    pub(crate) fn start(
        &mut self,
        broker: &Arc<dyn Broker>,
        metrics: &Metrics,
        stops: &Stops<'_>,
    ) -> Pushed {
        let mut pushed = Pushed::default();
        for fetched in self.fetched.drain(..) {
            fetched.meter(metrics);
            let stop = stops.fetched.clone();
            pushed.loops.controls.push(fetched.control());
            let run = fetched.run(async move { stop.stopped().await });
            pushed.loops.run.push(Box::pin(self.running.track_future(run)));
        }
        for PushedTo { name, topic, timing, share, receiver, opener } in &self.pushed {
            let full_name = format!("{name}.{topic}");
            let meters = Meters::of(metrics, &full_name);
            let subscriber = Subscriber::new(receiver.clone(), meters).opened_by(opener.clone());
            pushed.logs.insert(name.clone(), subscriber.log());
            let (database, broker) = (self.database.clone(), Arc::clone(broker));
            let deliveries = Deliveries::new(
                &full_name,
                topic.clone(),
                database,
                broker,
                subscriber,
                timing.clone(),
            );
            let deliveries = match share {
                Some(by) => deliveries.by_share(by.clone()),
                None => deliveries,
            };
            pushed.loops.controls.push(deliveries.control());
            let stop = stops.pushed.clone();
            let run = deliveries.run(async move { stop.stopped().await });
            let run: Loop = Box::pin(self.running.track_future(run));
            pushed.loops.run.push(run);
        }
        pushed
    }
}
