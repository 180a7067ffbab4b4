//! Topics at a broker in processes of its own that another folder publishes to, under the same name.
//!
//! A service in a file numbers its events by itself. Two of them in two folders would give the same numbers, or one would
//! number above the other, and everybody would take what one of them publishes for second copies: its orders would stay
//! undecided, and nothing would be said. So what is there is compared with the folder before a store of it is opened: the
//! newest event of a service has to be the one that the outbox has under its number, and a service whose file is not there
//! yet has to have published nothing.
//!
//! A folder that was put back to an earlier moment has other numbers missing and none that differ (`put_back`). Where the
//! row of that number is kept no more nothing is told; neither are two copies of one folder, until one has published.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use events::store::upkeep;
use events::{Broker, Error, Event, Numbered, Topic};

use crate::exit::Failure;
use crate::process;
use crate::stores;

/// What to do about it.
const REMEDY: &str = "start it with the folder that published them, or set another `events.prefix`; several instances of a service share one `store: postgres://…`";

/// A service whose topic has what its folder never published.
struct Stranger {
    service: Topic,
    event: Event,
}

/// Compares what the broker has of these services with the folder.
///
/// # Errors
/// Another folder publishes there; the broker or a file cannot be used: the environment.
pub(super) async fn refuse(
    data: &Path,
    broker: &Arc<dyn Broker>,
    services: &[&str],
) -> Result<(), Failure> {
    let found = find(data, broker, services).await;
    let found = found.map_err(|error| process::damaged("the numbers at the broker", &error))?;
    let Some(Stranger { service, event }) = found else { return Ok(()) };
    let (id, number) = (&event.id, event.outbox_sequence.unwrap_or(0));
    let says = format!(
        "another folder publishes as this service. service=`{service}`, event=`{id}`, number=`{number}`"
    );
    Err(Failure::environment(says, REMEDY))
}

async fn find(
    data: &Path,
    broker: &Arc<dyn Broker>,
    services: &[&str],
) -> Result<Option<Stranger>, Error> {
    let files = files(data)?;
    for service in services {
        let service = Topic::parse(service)?;
        let file = files.iter().find(|file| file.service == service).map(|file| &*file.path);
        if let Some(event) = stranger(file, broker, &service).await? {
            return Ok(Some(Stranger { service, event }));
        }
    }
    Ok(None)
}

/// A service's file.
struct Outbox {
    service: Topic,
    path: PathBuf,
}

fn files(data: &Path) -> Result<Vec<Outbox>, Error> {
    let of = |path: PathBuf| {
        let service = stores::publisher(&path).transpose()?;
        Some(service.map(|service| Outbox { service, path }))
    };
    stores::databases(data).into_iter().filter_map(of).collect()
}

/// An event of the service that its file did not publish.
async fn stranger(
    file: Option<&Path>,
    broker: &Arc<dyn Broker>,
    service: &Topic,
) -> Result<Option<Event>, Error> {
    // One that it was not opened with has nothing of it either.
    let Ok(partitions) = broker.partitions(service) else { return Ok(None) };
    let numbered = file.map(upkeep::numbered_up_to).transpose()?;
    for partition in partitions.each() {
        let (at, own) = (service.at(partition), numbered.as_deref().map(|it| of(it, partition)));
        let newest = broker.newest_event(&at, service.as_str(), own.unwrap_or(u64::MAX)).await?;
        let Some(event) = newest else { continue };
        let Some(path) = file else { return Ok(Some(event)) };
        let number = Numbered { partition, number: event.outbox_sequence.unwrap_or(0) };
        if upkeep::id_of(path, number)?.is_some_and(|id| id != event.id) {
            return Ok(Some(event));
        }
    }
    Ok(None)
}

/// What was numbered in a partition.
fn of(numbered: &[Numbered], partition: events::Partition) -> u64 {
    let found = numbered.iter().find(|one| one.partition == partition);
    found.map_or(0, |one| one.number)
}
