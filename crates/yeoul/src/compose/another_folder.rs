//! Topics at a broker in processes of its own that another folder publishes to, under the same name.
//!
//! A service in a file numbers its events by itself. Two of them in two folders would give the same numbers, or one would
//! number above the other, and everybody would take what one of them publishes for second copies: its orders would stay
//! undecided, and nothing would be said. So what is there is compared with the folder before a store of it is opened: each of
//! the newest events of a service has to be the one that the outbox has under its number, and a service whose file is not there
//! yet, or has numbered nothing, has to have published nothing.
//!
//! A folder that was put back to an earlier moment has other numbers missing and none that differ (`put_back`). Where the
//! row of that number is kept no more nothing is told; neither are two copies of one folder, until one has published.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use events::broker::NumberedId;
use events::store::upkeep;
use events::{Broker, Error, Numbered, Partition, Topic};

use crate::exit::Failure;
use crate::process;
use crate::stores;

/// What to do about it.
pub(super) const REMEDY: &str = "start it with the folder that published them, or set another `events.prefix`; several instances of a service share one `store: postgres://…`";

/// A service whose topic has what its folder never published.
struct Stranger {
    service: Topic,
    number: u64,
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
    let Some(Stranger { service, number }) = found else { return Ok(()) };
    Err(Failure::environment(says(service.as_str(), number), REMEDY))
}

/// What is wrong.
pub(super) fn says(service: &str, number: u64) -> String {
    format!("another folder publishes as this service. service=`{service}`, number=`{number}`")
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
        if let Some(number) = strange(file, broker, &service).await? {
            return Ok(Some(Stranger { service, number }));
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

/// The number of an event of the service that its file did not publish.
async fn strange(
    file: Option<&Path>,
    broker: &Arc<dyn Broker>,
    service: &Topic,
) -> Result<Option<u64>, Error> {
    // One that it was not opened with has nothing of it either.
    let Ok(partitions) = broker.partitions(service) else { return Ok(None) };
    let numbered = file.map(upkeep::numbered_up_to).transpose()?;
    // One that has numbered nothing published nothing of what is there, as one that is not there.
    let has_numbered = numbered.is_some_and(|it| it.iter().any(|one| one.number > 0));
    for partition in partitions.each() {
        let at = service.at(partition);
        let strange = match file.filter(|_| has_numbered) {
            Some(path) => {
                let found = broker.newest_ids(&at, service.as_str()).await?;
                differing(path, partition, found)?
            }
            None => Some(broker.newest(&at, service.as_str()).await?).filter(|newest| *newest > 0),
        };
        if strange.is_some() {
            return Ok(strange);
        }
    }
    Ok(None)
}

/// The first number under which the file has another event.
fn differing(
    path: &Path,
    partition: Partition,
    found: Vec<NumberedId>,
) -> Result<Option<u64>, Error> {
    let numbered = |one: &NumberedId| Numbered { partition, number: one.number };
    let own = upkeep::ids_of(path, &found.iter().map(numbered).collect::<Vec<_>>())?;
    let mut both = found.into_iter().zip(own);
    let other = both.find(|(found, own)| own.as_ref().is_some_and(|own| *own != found.id));
    Ok(other.map(|(found, _)| found.number))
}
