//! Subscriptions whose events are delivered elsewhere: their store, their loops and what they did lately.
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
use events::store::{Host, Location};
use events::{Broker, Database};
use push::{Meters, Subscriber};
use tokio_util::task::TaskTracker;

use super::loops::Loops;
use super::store;
use crate::admin::push::Logs;
use crate::exit::Failure;
use crate::process::damaged;
use crate::settings::subscriptions::PushSubscription;

/// Its folder below the data folder, or its schema.
const NAME: &str = "subscriptions";
/// The file in it.
const FILE: &str = "deliveries.db";
/// What failures call it.
const STORE: &str = "the store of subscriptions";

/// Subscriptions that are open, none of which runs yet.
pub(crate) struct Pushing {
    database: Database,
    subscriptions: Vec<PushSubscription>,
    /// Loops that were started, until they have written what was answered.
    running: TaskTracker,
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
        subscriptions: Vec<PushSubscription>,
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
        Ok(Some(Pushing { database, subscriptions, running: TaskTracker::new() }))
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
    pub(crate) fn start(&self, broker: &Arc<dyn Broker>, metrics: &Metrics, stop: &Stop) -> Pushed {
        let mut pushed = Pushed::default();
        for subscription in &self.subscriptions {
            let PushSubscription { name, topic, pace, receiver } = subscription;
            let full_name = format!("{name}.{topic}");
            let meters = Meters::of(metrics, &full_name);
            let subscriber = Subscriber::new(receiver.clone(), meters);
            pushed.logs.insert(name.clone(), subscriber.log());
            let (database, broker) = (self.database.clone(), Arc::clone(broker));
            let deliveries = Deliveries::new(
                &full_name,
                topic.clone(),
                database,
                broker,
                subscriber,
                Timing { pace: *pace, clock: clock::component(), jitter: Arc::new(chance::jitter) },
            );
            pushed.loops.controls.push(deliveries.control());
            let stop = stop.clone();
            let run = deliveries.run(async move { stop.stopped().await });
            let run: Loop = Box::pin(self.running.track_future(run));
            pushed.loops.run.push(run);
        }
        pushed
    }
}
