//! Events that are published at a time to come: their store, their loop, what it tells.
//!
//! The store is a file of the data folder, or a schema on the server that all instances share. What is due goes where `POST
//! /events/TOPIC` has it stored ([`Takers`]).

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chassis::cores::Loop;
use chassis::http::Stop;
use chassis::telemetry::Metrics;
use chassis::{chance, clock, folder};
use events::schedules::{Given, Limits, Outlet, Published, Publishing, Report, Schedules};
use events::store::{Host, Location};
use events::{Error, Event, Offer, Topic};
use gateway::Takers;
use privacy::sealing::Already;
use privacy::{Refused, Sealing};

use super::store;
use crate::exit::Failure;
use crate::process::damaged;

/// Their folder below the data folder, or their schema.
pub(super) const NAME: &str = "schedules";
/// The file in it.
const FILE: &str = "schedules.db";
/// Connections to a server.
const CONNECTIONS: u32 = 5;
/// Bytes of what a definition's events are told by: nobody draws the same twice.
const TOKEN_BYTES: usize = 15;

/// Opens them, where the settings have them.
pub(super) async fn open(
    data: &Path,
    host: Option<&Host>,
    limits: Option<Limits>,
) -> Result<Option<Schedules>, Failure> {
    let Some(limits) = limits else { return Ok(None) };
    let location = match host {
        Some(host) => {
            let host = Host { connections: CONNECTIONS, ..host.clone() };
            Location::Schema { host, name: NAME.to_owned() }
        }
        None => {
            let folder = data.join(NAME);
            folder::make_private(&folder).map_err(|error| damaged("the data folder", &error))?;
            Location::File(folder.join(FILE))
        }
    };
    let draw = Arc::new(|| chance::token(TOKEN_BYTES));
    let given = Given { clock: clock::component(), draw, limits };
    let opened = Box::pin(Schedules::open(location, given)).await;
    opened.map(Some).map_err(|error| store::unopened("the store of schedules", host, &error))
}

/// Their loop, to be run.
pub(super) fn keep(schedules: &Schedules, way: Way, metrics: &Metrics, stop: &Stop) -> Loop {
    let says = "How much later than they were due events were published";
    let late = metrics.seconds("yeoul_schedule_late_seconds", says, &[]);
    let late = Box::new(move |by: Duration| late.observe(by.as_secs_f64()));
    meter(schedules, metrics);
    let (schedules, stop, road) = (schedules.clone(), stop.clone(), Road { way, late });
    Box::pin(async move { schedules.run(&road, async move { stop.stopped().await }).await })
}

fn meter(schedules: &Schedules, metrics: &Metrics) {
    let schedules = schedules.clone();
    let level = |name, says| metrics.level(name, says, &[]);
    let pending = level("yeoul_schedules_pending", "Events that are to be published later");
    let overdue = level(
        "yeoul_schedules_overdue_seconds",
        "How late the one is that is due and not published, where this process publishes them",
    );
    let holder = level("yeoul_schedules_holder", "1 where this process publishes what is due");
    metrics.before_scrape(move || {
        let Report { pending: waiting, late, is_holder, .. } = schedules.report();
        pending.set(waiting as f64);
        overdue.set(late.as_secs_f64());
        holder.set(f64::from(u8::from(is_holder)));
    });
}

/// What is published from outside is sealed, and given to these.
pub(super) struct Way {
    pub(super) takers: Takers,
    pub(super) sealing: Option<Sealing>,
}

impl Way {
    /// Seals what is personal, and was put before it was said to be; what was sealed as it was put stays so.
    async fn seal(&self, topic: &Topic, events: &mut [Event]) -> Result<(), Error> {
        let Some(sealing) = &self.sealing else { return Ok(()) };
        sealing.seal(topic, events, Already::Kept).await.map_err(|refused| match refused {
            Refused::Event { field, says, .. } => Error::Decode { what: format!("{field} {says}") },
            Refused::Keys(error) => error,
        })
    }
}

/// The road of what is published from outside.
struct Road {
    way: Way,
    late: Box<dyn Fn(Duration) + Send + Sync>,
}

impl Outlet for Road {
    fn publish<'a>(&'a self, topic: &'a Topic, mut events: Vec<Event>) -> Publishing<'a> {
        Box::pin(async move {
            self.way.seal(topic, &mut events).await?;
            let offer = Offer::new(&events).map_err(|refused| refused.error)?;
            match &self.way.takers {
                Takers::Nobody => Err(Error::UnknownTopic),
                Takers::Log(log) => log.offer(topic, offer).await.map(drop),
                Takers::Outboxes(all) => {
                    let outbox = all.iter().find(|it| it.topic() == topic);
                    outbox.ok_or(Error::UnknownTopic)?.offer(offer).await.map(drop)
                }
            }
        })
    }

    fn published(&self, Published { late }: Published) {
        (self.late)(late);
    }
}
