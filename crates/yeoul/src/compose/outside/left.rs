//! Outboxes that settings of before had and those of today have not: what was acknowledged there is nobody's to relay.
//!
//! So a process does not start while something waits in one. What is relayed stays where it is, and is in nobody's way.

use std::io;
use std::path::Path;

use chassis::clock;
use events::outside::left::{schemas, unrelayed};
use events::store::{Host, Location};
use events::{Declared, Error};

use super::{FILE, NAME};
use crate::compose::store;
use crate::exit::Failure;
use crate::process;

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
        None => in_files(data)
            .map_err(|error| process::damaged("the folder of outboxes of before", &error))?,
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

/// Those in the folder. One that cannot be looked into may have what was acknowledged.
fn in_files(data: &Path) -> io::Result<Vec<Outbox>> {
    let folders = match std::fs::read_dir(data.join(NAME)) {
        Ok(listed) => listed.collect::<io::Result<Vec<_>>>()?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    let mut all = Vec::with_capacity(folders.len());
    for folder in folders {
        let (topic, file) = (folder.file_name(), folder.path().join(FILE));
        // What a file manager leaves beside them is no outbox.
        if folder.metadata()?.is_dir() && file.try_exists()? {
            let topic = topic.to_string_lossy().into_owned();
            all.push(Outbox { topic, location: Location::File(file) });
        }
    }
    all.sort_by(|one, other| one.topic.cmp(&other.topic));
    Ok(all)
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

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[tokio::test]
    async fn a_folder_that_cannot_be_listed_is_not_taken_for_an_empty_one() {
        let data = TempDir::new().unwrap();
        assert!(refuse(data.path(), None, &[]).await.is_ok(), "nothing was published yet");
        std::fs::write(data.path().join(NAME), "no folder").unwrap();
        assert!(refuse(data.path(), None, &[]).await.is_err());
    }
}
