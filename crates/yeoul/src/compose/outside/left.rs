//! Outboxes that settings of before had and those of today have not: what was acknowledged there is nobody's to relay.
//!
//! So a process does not start while something waits in one. What is relayed stays where it is, and is in nobody's way.

use std::path::Path;

use chassis::clock;
use events::outside::left::{schemas, unrelayed};
use events::store::{Host, Location};
use events::{Declared, Error};

use super::{FILE, NAME};
use crate::compose::store;
use crate::exit::Failure;

/// An outbox that is there, by the topic that it is called by.
struct Outbox {
    topic: String,
    location: Location,
}

/// Looks into the outboxes of all topics but those that events are taken for.
///
/// # Errors
/// Something waits in one, or one cannot be looked into: the environment.
pub(in crate::compose) async fn refuse(
    data: &Path,
    host: Option<&Host>,
    taken: &[Declared],
) -> Result<(), Failure> {
    let unread = |error: Error| store::unopened("an outbox of before", host, &error);
    let all = match host {
        Some(host) => on_server(host).await.map_err(unread)?,
        None => in_files(data),
    };
    for Outbox { topic, location } in all {
        if taken.iter().any(|it| it.topic.as_str() == topic) {
            continue;
        }
        let count = unrelayed(location, clock::component()).await.map_err(unread)?;
        if count > 0 {
            return Err(left(&topic, count));
        }
    }
    Ok(())
}

fn left(topic: &str, count: u64) -> Failure {
    let says = format!(
        "events that were published wait for their broker, and the settings take none for that topic any more. \
         topic=`{topic}`, count=`{count}`"
    );
    let remedy = format!(
        "set `events.broker` and `events.topics.{topic}.publish` again until they are relayed (`lag` of `{topic}` in \
         `GET /admin/relays`), and stop it then"
    );
    Failure::environment(says, remedy)
}

fn in_files(data: &Path) -> Vec<Outbox> {
    let listed = std::fs::read_dir(data.join(NAME)).into_iter().flatten().flatten();
    let mut all: Vec<Outbox> = listed
        .map(|folder| (folder.file_name(), folder.path().join(FILE)))
        .filter(|(_, file)| file.is_file())
        .map(|(name, file)| Outbox {
            topic: name.to_string_lossy().into_owned(),
            location: Location::File(file),
        })
        .collect();
    all.sort_by(|one, other| one.topic.cmp(&other.topic));
    all
}

async fn on_server(host: &Host) -> Result<Vec<Outbox>, Error> {
    let beginning = format!("{NAME}.");
    let names = schemas(host, &beginning, clock::component()).await?;
    let outbox = |name: String| {
        let topic = name.strip_prefix(&beginning)?.to_owned();
        Some(Outbox { topic, location: Location::Schema { host: host.clone(), name } })
    };
    Ok(names.into_iter().filter_map(outbox).collect())
}
