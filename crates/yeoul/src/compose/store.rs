//! Where a process keeps its databases: in files of its data folder, or on a server.
//!
//! A folder whose state is on a server says so in a note, so that it is not taken for an empty one by a process
//! whose settings name none, nor for all there is by whoever copies it.

use std::fmt::Display;
use std::path::Path;

use chassis::clock;
use events::store::{Host, Promise};
use tracing::{error, info};

use crate::exit::Failure;
use crate::process;
use crate::stores;

/// Looks whether the folder fits what the settings name.
///
/// # Errors
/// State that is there, or on another server, would be left behind: the environment.
pub(crate) fn fits(data: &Path, host: Option<&Host>) -> Result<(), Failure> {
    let address = host.map(|host| host.address.to_string());
    match (stores::host(data), &address) {
        (Some(noted), None) => {
            let says = format!(
                "the data folder's state is on a server, and the settings name none. store=`{noted}`"
            );
            Err(Failure::environment(
                says,
                format!("set `store: {noted}`, or begin with a new folder"),
            ))
        }
        (None, Some(_)) if !stores::beside_the_log(data).is_empty() => {
            let says =
                "the data folder has its state in files of its own, and the settings name a server";
            Err(Failure::environment(says, "set `store: sqlite`, or begin with a new folder"))
        }
        (Some(noted), Some(address)) if noted != *address => {
            let says = format!(
                "the data folder's state is on another server. store=`{address}`, was=`{noted}`"
            );
            let note = stores::host_note(data);
            let todo = format!(
                "set `store: {noted}`; or, where the database was moved, remove {}",
                note.display()
            );
            Err(Failure::environment(says, todo))
        }
        _ => Ok(()),
    }
}

/// Notes in the folder where its state is, once it is there: an address that was mistyped marks no folder.
///
/// # Errors
/// The disk.
pub(crate) fn note(data: &Path, host: Option<&Host>) -> Result<(), Failure> {
    let Some(host) = host else { return Ok(()) };
    let noted = stores::note_host(data, &host.address.to_string());
    noted.map_err(|error| Failure::environment(error, "free some disk space"))
}

/// What an acknowledged write means where state is, said in the log; loudly, where it is not on a disk.
///
/// # Errors
/// The server is away: the environment.
pub(crate) async fn promise(host: Option<&Host>) -> Result<Promise, Failure> {
    let Some(host) = host else {
        let says = "an acknowledged write is on this machine's disk".to_owned();
        return Ok(Promise { is_on_disk: true, says });
    };
    let promise = host.promise(clock::now).await;
    let promise = promise.map_err(|error| unopened("the store", Some(host), &error))?;
    let (store, says) = (&host.address, &promise.says);
    if promise.is_on_disk {
        info!(%store, "{says}");
    } else {
        error!(%store, "{says}");
    }
    Ok(promise)
}

/// Why a database was not opened, and what to do.
pub(crate) fn unopened(what: &str, host: Option<&Host>, error: &dyn Display) -> Failure {
    let Some(host) = host else { return process::damaged(what, error) };
    let says = format!("{what} cannot be opened. store=`{}`, why=`{error}`", host.address);
    let todo = "see whether the server runs there and takes this user, whose password is in \
                YEOUL_STORE_PASSWORD";
    Failure::environment(says, todo)
}
