//! Tables that services in other languages insert into, relayed by this process.
//!
//! Each topic of each is an outbox of its own, whose source is called as the topic is: so a position of it is
//! waited for like that of any publisher. Where several processes relay one table, each partition is one's at a time.

use std::sync::Arc;

use chassis::clock;
use chassis::cores::Loop;
use chassis::http::Stop;
use events::store::{Inserted, Publishes};
use events::{Broker, Database, Declared, Error, Relay, relay};
use tokio::sync::watch;

use super::store;
use crate::exit::Failure;
use crate::settings::outboxes::Outbox;

/// Opens every topic of every table.
pub(super) async fn open(outboxes: &[Outbox]) -> Result<Vec<Database>, Failure> {
    let mut databases = Vec::new();
    for outbox in outboxes {
        for topic in &outbox.topics {
            let opened = Database::relaying(inserted(outbox, topic)).await;
            databases.push(opened.map_err(|error| unopened(outbox, topic, &error))?);
        }
    }
    Ok(databases)
}

fn inserted(outbox: &Outbox, Declared { topic, partitions }: &Declared) -> Inserted {
    let source = topic.to_string();
    Inserted {
        host: outbox.host.clone(),
        name: outbox.schema.clone(),
        publishes: Publishes { source, topic: topic.clone(), partitions: *partitions },
        clock: clock::component(),
    }
}

/// Their relays, to be run.
pub(super) fn loops(databases: &[Database], broker: &Arc<dyn Broker>, stop: &Stop) -> Vec<Loop> {
    databases.iter().map(|database| relay(database, broker, None, stop)).collect()
}

/// The relay of one, to be run; it rests while that is said.
pub(super) fn relay(
    database: &Database,
    broker: &Arc<dyn Broker>,
    rests: Option<watch::Receiver<bool>>,
    stop: &Stop,
) -> Loop {
    let mut relay = Relay::new(database.clone(), broker.clone());
    if let Some(rests) = rests {
        relay = relay.paused(rests);
    }
    let stop = stop.clone();
    Box::pin(relay.run(async move { stop.stopped().await }))
}

/// Their relays' handles.
pub(super) fn relays(databases: &[Database], broker: &Arc<dyn Broker>) -> Vec<relay::Control> {
    let (_, never) = watch::channel(false);
    let control = |it: &Database| relay::Control::of(it.clone(), broker.clone(), never.clone());
    databases.iter().filter_map(control).collect()
}

/// Why one was not opened, and what to do.
fn unopened(outbox: &Outbox, declared: &Declared, error: &Error) -> Failure {
    let Outbox { name, host, schema, variable, .. } = outbox;
    let address = &host.address;
    let Declared { topic, partitions } = declared;
    let says = format!(
        "the outbox `{name}` cannot be relayed. database=`{address}`, schema=`{schema}`, topic=`{topic}`, why=`{error}`"
    );
    let count = partitions.count();
    let todo = match error {
        Error::Statement { .. } | Error::UnknownTopic => format!(
            "make it there: `yeoul outbox schema --postgres --topic {topic} --partitions {count}` prints the statements"
        ),
        Error::Newer { .. } => store::NEWER.to_owned(),
        Error::Partitions { has, .. } => format!("set `events.topics.{topic}.partitions: {has}`"),
        _ => {
            format!("see whether it runs there; `{variable}` is the password that it is asked with")
        }
    };
    Failure::environment(says, todo)
}
