//! Files that were put back to an earlier moment while the topics went on, at a broker in processes of its own.
//!
//! What was numbered since that moment is there, so it must not be given again: everybody would take what is new for
//! second copies. It is told by the newest numbers that the broker has of each outbox. Then every number that the files
//! give is left out as after a restore, ids too, since what they name is known elsewhere; and what is lost is said in
//! the log and in a note that stays.
//!
//! With a log in the folder itself there is nothing of this: it goes back with the rest.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chassis::clock;
use events::skipped::Skipped;
use events::store::upkeep::{self, Ahead};
use events::{Broker, Error, Numbered, Numbers, Topic};
use tracing::{error, info};

use crate::exit::Failure;
use crate::process;
use crate::stores::{self, NUMBERS_LEFT_OUT};

/// Why numbers are lost, for the note.
const REASON: &str =
    "the folder was put back to a moment before these: the topic has them, the store does not";

/// An outbox that the broker is ahead of.
struct Behind {
    path: PathBuf,
    service: Topic,
    ahead: Ahead,
}

/// Looks at every outbox below the folder, before any store of it is opened.
///
/// # Errors
/// The broker or a file cannot be used: the environment.
pub(crate) async fn left_out(data: &Path, broker: &Arc<dyn Broker>) -> Result<(), Failure> {
    let behind = behind(data, broker).await;
    let behind = behind.map_err(|error| process::damaged("the numbers at the broker", &error))?;
    if behind.is_empty() {
        return Ok(());
    }
    behind.iter().for_each(Behind::log);
    leave_out(data, &behind).map_err(|error| process::damaged("a store", &error))?;
    stores::renew_feed(data).map_err(|error| process::damaged("the views", &error))
}

async fn behind(data: &Path, broker: &Arc<dyn Broker>) -> Result<Vec<Behind>, Error> {
    let mut found = Vec::new();
    for path in stores::databases(data) {
        let Some(service) = stores::publisher(&path)? else { continue };
        let newest = newest(broker, &service).await?;
        let ahead = upkeep::ahead(&path, &newest)?;
        if ahead.epochs > 0 {
            found.push(Behind { path, service, ahead });
        }
    }
    Ok(found)
}

/// The newest numbers that the broker has of a service; none of a topic that it was not opened with.
async fn newest(broker: &Arc<dyn Broker>, service: &Topic) -> Result<Numbers, Error> {
    let mut newest = Numbers::default();
    let Ok(partitions) = broker.partitions(service) else { return Ok(newest) };
    for partition in partitions.each() {
        let number = broker.newest(&service.at(partition), service.as_str()).await?;
        newest.raise(Numbered { partition, number });
    }
    Ok(newest)
}

/// Those that are behind come last: whoever is broken off before finds them behind again, and does all of it.
fn leave_out(data: &Path, behind: &[Behind]) -> Result<(), Error> {
    let epochs = behind.iter().map(|it| it.ahead.epochs).max().unwrap_or(0);
    let is_behind = |path: &PathBuf| behind.iter().any(|it| it.path == *path);
    let mut all = stores::databases(data);
    all.sort_by_key(is_behind);
    for path in &all {
        for one in behind.iter().filter(|it| it.path == *path) {
            one.note()?;
        }
        for _ in 0..epochs {
            upkeep::jump(path, NUMBERS_LEFT_OUT)?;
        }
    }
    info!(epochs, "every number of the folder goes on behind what may have been given");
    Ok(())
}

impl Behind {
    fn log(&self) {
        let service = self.service.as_str();
        for lost in &self.ahead.lost {
            let (partition, numbers) = (lost.partition.index(), &lost.numbers);
            error!(service, partition, ?numbers, "{REASON}");
        }
    }

    /// What stays to be read by an operator; a store that is full of notes has it in the log alone.
    fn note(&self) -> Result<(), Error> {
        for lost in &self.ahead.lost {
            let one = Skipped {
                name: format!("outbox.{}", self.service),
                kind: "lost".to_owned(),
                partition: lost.partition,
                first: *lost.numbers.start(),
                last: *lost.numbers.end(),
                event: None,
                key: None,
                reason: REASON.to_owned(),
                at: clock::wall(),
                by: "the start".to_owned(),
            };
            match upkeep::note(&self.path, &one) {
                Err(Error::Limit { .. }) => {}
                noted => noted?,
            }
        }
        Ok(())
    }
}
