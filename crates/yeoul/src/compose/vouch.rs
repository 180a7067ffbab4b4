//! Whether a data folder may be run on: looked at before anything of it is opened, and again before
//! anything runs.
//!
//! Files that only lost their process are as they were. Files that nobody can vouch for are read whole:
//! a copy of what was being written may hold pages of different moments. And whatever the files, log,
//! outboxes and inboxes have to tell one story; what the outboxes still keep, the relays mend.

use std::path::Path;

use events::{Error, agreement, relay, subscription};
use tokio::runtime::Handle;
use tracing::{info, warn};

use crate::exit::Failure;
use crate::stores::{self, note};

const ADVICE: &str = "these files do not belong together, as when a folder is copied while a process \
                    writes it: restore a backup (`yeoul restore DIR --data NEW`), or copy the folder of \
                    a stopped process";

/// Reads files whole that nobody can vouch for.
///
/// # Errors
/// What is hurt in them, or that they are a backup's: the environment.
pub(crate) async fn before_opening(data: &Path) -> Result<(), Failure> {
    stores::must_be_no_backup(data)?;
    let (data, here) = (data.to_owned(), Handle::current());
    // As long as the files are large: signals are heard meanwhile.
    let read = tokio::task::spawn_blocking(move || here.block_on(read_if_doubtful(&data)));
    let read = read.await.unwrap_or_else(|ended| Err(Error::environment(ended.to_string())));
    read.map_err(|error| torn(&error))
}

async fn read_if_doubtful(data: &Path) -> Result<(), Error> {
    if !note::is_doubtful(data) {
        return Ok(());
    }
    info!("these are not the files that were noted here: they are read whole before they are used");
    stores::check_pages(data).await
}

/// Looks whether everything that was opened tells one story, and notes which files these are.
///
/// # Errors
/// What does not fit: the environment.
pub(crate) async fn before_running(
    data: &Path,
    subscriptions: &[subscription::Control],
    relays: &[relay::Control],
) -> Result<(), Failure> {
    agreement::check(subscriptions, relays).await.map_err(|error| torn(&error))?;
    note::write(data, note::State::InUse)
        .map_err(|error| Failure::environment(error, "free some disk space"))
}

/// Notes that every store was closed.
pub(crate) fn after_closing(data: &Path) {
    if let Err(error) = note::write(data, note::State::Closed) {
        warn!(%error, "that the stores were closed was not noted: the next start reads them whole");
    }
}

fn torn(error: &Error) -> Failure {
    let says = format!("the data folder cannot be used: {error}");
    match error {
        Error::Damaged { .. } => Failure::environment(says, ADVICE),
        _ => Failure::environment(says, "see `yeoul doctor --data DIR`"),
    }
}
