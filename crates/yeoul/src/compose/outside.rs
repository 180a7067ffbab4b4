//! Who stores what is published from outside: the folder's own log, or an outbox of this process for each topic.
//!
//! Such an outbox is a store of the folder, or a schema on the server, where every instance has the same. Its relay is one like
//! any other; here is what else it needs: that the oldest of what it remembers is forgotten, and who else publishes is seen.

pub(super) mod left;
pub(super) mod taking;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chassis::{clock, folder};
use events::store::{Host, Location};
use events::{Broker, Declared, Log};
use gateway::Takers;
use tracing::warn;

use super::store;
use crate::exit::Failure;
use crate::process;

pub(super) use events::outside::Outbox;

/// The folder of such outboxes below the data folder, a folder for each topic; what their schemas' names begin with.
const NAME: &str = "published";
/// The file in it.
const FILE: &str = "outbox.db";
/// Connections of one of them to a server: who waits for the disk needs none.
const CONNECTIONS: u32 = 5;
/// How often one looks whether something is to be forgotten.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// Opens them, where the broker is not the folder's own log.
pub(super) async fn takers(
    data: &Path,
    host: Option<&Host>,
    log: Option<&Arc<Log>>,
    published: &[Declared],
) -> Result<Takers, Failure> {
    if let Some(log) = log {
        return Ok(Takers::Log(Arc::clone(log)));
    }
    let mut all = Vec::with_capacity(published.len());
    for declared in published {
        let location = location(data, host, declared)?;
        let opened = Outbox::open(location, declared.clone(), clock::component()).await;
        let what = format!("the outbox of `{}`", declared.topic);
        all.push(opened.map_err(|error| store::unopened(&what, host, &error))?);
    }
    Ok(Takers::Outboxes(all))
}

fn location(data: &Path, host: Option<&Host>, declared: &Declared) -> Result<Location, Failure> {
    let topic = declared.topic.as_str();
    if let Some(host) = host {
        let host = Host { connections: CONNECTIONS, ..host.clone() };
        return Ok(Location::Schema { host, name: format!("{NAME}.{topic}") });
    }
    // A store is its publisher's by the folder that it is in.
    let own = data.join(NAME).join(topic);
    for folder in [data.join(NAME), own.clone()] {
        folder::make_private(&folder)
            .map_err(|error| process::damaged("the data folder", &error))?;
    }
    Ok(Location::File(own.join(FILE)))
}

/// Looks after them for as long as the process runs: the oldest of what is remembered is forgotten, and who else publishes is seen.
async fn look_after(outboxes: &[Outbox], broker: &dyn Broker) {
    loop {
        for outbox in outboxes {
            let topic = outbox.topic();
            if let Err(error) = outbox.forget_surplus().await {
                warn!(%topic, %error, "more is remembered of what was published than is to be, for now");
            }
            if let Err(error) = outbox.look_for_others(broker).await {
                warn!(%topic, %error, "it is not known whether somebody else publishes, for now");
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
