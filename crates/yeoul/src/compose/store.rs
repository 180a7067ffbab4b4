//! Where a process keeps its databases: in files of its data folder, or on a server.
//!
//! A folder whose state is on a server says so in a note, so that it is not taken for an empty one by a process
//! whose settings name none, nor for all there is by whoever copies it.

use std::error::Error;
use std::path::Path;

use chassis::clock;
use events::store::{Host, Promise};
use sessions::NoKeys;
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

/// Why a database was not opened, which is called so there, and what to do.
pub(crate) fn unopened(what: &str, host: Option<&Host>, error: &(dyn Error + 'static)) -> Failure {
    let cause = of_store(error);
    let todo = match (host, cause) {
        (_, Some(events::Error::Newer { .. })) => NEWER.to_owned(),
        (None, _) => return process::damaged(what, error),
        (Some(host), Some(events::Error::Partitions { topic, has, asked })) => {
            partitions(what, host, topic, *has, *asked)
        }
        (Some(_), _) => {
            "see whether the server runs there and takes this user, whose password is in \
                         YEOUL_STORE_PASSWORD"
                .to_owned()
        }
    };
    let place = host.map(|host| format!("store=`{}`, ", host.address)).unwrap_or_default();
    Failure::environment(format!("{what} cannot be opened. {place}why=`{error}`"), todo)
}

/// What to do about a store of a program that came after this one.
pub(crate) const NEWER: &str = "run the program that wrote it, or a later one";

/// The store's own error, whoever hands it on.
fn of_store<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e events::Error> {
    if let Some(views::Error::Store(cause)) = error.downcast_ref() {
        return Some(cause);
    }
    if let Some(NoKeys::Store(cause)) = error.downcast_ref() {
        return Some(cause);
    }
    error.downcast_ref()
}

/// How a topic and its outbox on a server come to have one number of partitions.
fn partitions(schema: &str, host: &Host, topic: &str, has: u16, asked: u16) -> String {
    let todo = format!("set `events.topics.{topic}.partitions: {has}`");
    // Never fewer: a number would be given to nobody's partition.
    if asked < has {
        return todo;
    }
    let address = &host.address;
    format!(
        "{todo}; or, where the broker has {asked} already, stop every process of it when all of the topic is relayed and handled, and \
         run: psql '{address}' -c \"SET search_path = \\\"{schema}\\\"; UPDATE yeoul_outbox_topic SET partitions = {asked} \
         WHERE topic = '{topic}'; SELECT yeoul_outbox_declare('{topic}', {asked})\""
    )
}
