//! The stores below a data folder, whatever services made them.
//!
//! A folder is examined, mended and copied by what lies in it, not by what this program would have put
//! there: a store that a later version adds is found like the others.

pub(crate) mod note;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chassis::clock;
use chassis::folder::create_private;
use events::local::Log;
use events::store::{Options, Publishes, upkeep};
use events::{Broker, Database, Topic, relay, subscription};
use tokio::sync::watch;
use views::{STORE_FILE, Views};

use crate::exit::Failure;

/// The log's folder.
pub(crate) const LOG: &str = "log";
/// The folder of people's keys, or their schema.
pub(crate) const PEOPLE: &str = "people";
/// What names the server that the state is on.
const HOST: &str = "store";
/// What describes a backup; without it there is none.
pub(crate) const MANIFEST: &str = "backup.json";
/// How many of each number are left out where what was acknowledged last may be gone: more than can have been
/// acknowledged between the moment of a copy and the loss that it is put back after.
pub(crate) const NUMBERS_LEFT_OUT: u64 = 1_000_000;
/// How deep stores may lie.
const DEPTH_MAX: usize = 8;

/// Every database below the data folder, in order of their paths.
pub(crate) fn databases(data: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    gather(data, DEPTH_MAX, &mut found);
    found.sort();
    found
}

fn gather(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    for path in entries(folder) {
        if path.is_dir() && depth > 0 {
            gather(&path, depth - 1, found);
        } else if upkeep::is_store(&path) && path.is_file() {
            // Its `-wal` and `-shm` are not stores; they come and go with it.
            found.push(path);
        }
    }
}

/// The folder of the views, whatever it is called: where their store is, right below the data folder. What lies deeper
/// is somebody's copy.
pub(crate) fn views(data: &Path) -> Option<PathBuf> {
    let mut folders = entries(data);
    folders.sort();
    folders.into_iter().find(|folder| folder.join(STORE_FILE).is_file())
}

/// Gives the views' feed another name.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn renew_feed(data: &Path) -> Result<(), views::Error> {
    views(data).map_or(Ok(()), |folder| Views::renew_feed(&folder, clock::wall()))
}

/// The database of the service of that name.
pub(crate) fn of_service(data: &Path, service: &str) -> Option<PathBuf> {
    let folder = data.join(service);
    databases(data).into_iter().find(|path| path.parent() == Some(&folder))
}

/// The database that keeps the place of this subscription: where it has one, or its service's.
pub(crate) fn of_subscription(data: &Path, name: &str) -> Option<PathBuf> {
    let placed = |path: &PathBuf| upkeep::subscriptions(path).is_ok_and(|all| all.contains(name));
    let service = name.split_once('.').map_or(name, |(service, _)| service);
    databases(data).into_iter().find(placed).or_else(|| of_service(data, service))
}

/// Where a folder notes which server its state is on.
pub(crate) fn host_note(data: &Path) -> PathBuf {
    data.join(HOST)
}

/// The server that a folder's state is on, if it is on one.
pub(crate) fn host(data: &Path) -> Option<String> {
    std::fs::read_to_string(host_note(data)).ok().map(|noted| noted.trim_end().to_owned())
}

/// Notes the server that a folder's state is on.
///
/// # Errors
/// The disk.
pub(crate) fn note_host(data: &Path, address: &str) -> std::io::Result<()> {
    // Written beside it and renamed: a note that was cut short would name another server, or none.
    let draft = data.join(HOST).with_extension("new");
    let mut file = create_private(&draft)?;
    writeln!(file, "{address}")?;
    file.sync_all()?;
    std::fs::rename(draft, data.join(HOST))
}

/// Refuses a folder whose state is on a server: what lies in it is a part of it.
pub(crate) fn must_be_in_files(data: &Path) -> Result<(), Failure> {
    let Some(address) = host(data) else { return Ok(()) };
    let says = format!(
        "the folder's state is on a server. folder=`{}`, store=`{address}`",
        data.display()
    );
    let remedy = "do it beside the running process where that is possible; what is in PostgreSQL is kept by \
                  `pg_dump`, which covers neither the events nor this folder";
    Err(Failure::environment(says, remedy))
}

/// Refuses a folder that is a backup: whoever wrote there would give numbers again that were
/// acknowledged after its moment, and spoil it.
pub(crate) fn must_be_no_backup(data: &Path) -> Result<(), Failure> {
    if !data.join(MANIFEST).exists() {
        return Ok(());
    }
    let says = format!("a backup, not a data folder. folder=`{}`", data.display());
    Err(Failure::environment(says, "make one of it: `yeoul restore DIR --data NEW`"))
}

/// Refuses a folder whose log and outbox have different numbers of partitions of a topic, as a change that
/// was broken off between the two files leaves it.
pub(crate) fn broken_off(topic: &str, count: u16, error: &dyn std::fmt::Display) -> Failure {
    let says = format!("partitions were being added, and that did not end: {error}");
    Failure::environment(says, format!("do the rest by `yeoul events partitions {topic} {count}`"))
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let listed = std::fs::read_dir(folder);
    listed.into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path()).collect()
}

/// Every store of a folder that nobody runs on, open.
pub(crate) struct Resting {
    log: Arc<Log>,
    databases: Vec<Database>,
    pub(crate) subscriptions: Vec<subscription::Control>,
    pub(crate) relays: Vec<relay::Control>,
}

impl Resting {
    /// Opens them all.
    ///
    /// # Errors
    /// What cannot be opened.
    pub(crate) fn open(data: &Path) -> Result<Resting, events::Error> {
        let log = Arc::new(Log::open(&data.join(LOG), &[], clock::component())?);
        let mut resting =
            Resting { log, databases: Vec::new(), subscriptions: Vec::new(), relays: Vec::new() };
        for path in beside_the_log(data) {
            resting.add(path)?;
        }
        Ok(resting)
    }

    fn add(&mut self, path: PathBuf) -> Result<(), events::Error> {
        let publishes = self.publishes(&path)?;
        let names = upkeep::subscriptions(&path)?;
        let options = Options { path, schema: &[], publishes, clock: clock::component() };
        let database = Database::open_as_it_is(options)?;
        for name in names {
            // A subscription's name ends in its topic; what has another form was not made by a service and has
            // nothing to go on with.
            let Some((_, topic)) = name.split_once('.') else { continue };
            let (topic, broker) = (Topic::parse(topic)?, self.log.clone());
            let (database, clock) = (database.clone(), clock::component());
            self.subscriptions
                .push(subscription::Control::resting(&name, topic, database, broker, clock));
        }
        // Nobody runs: a relay's control without its loop does what an operator asks of its rows.
        let (_, never) = watch::channel(false);
        self.relays.extend(relay::Control::of(database.clone(), self.log.clone(), never));
        self.databases.push(database);
        Ok(())
    }

    fn publishes(&self, path: &Path) -> Result<Option<Publishes>, events::Error> {
        let Some(topic) = publisher(path)? else { return Ok(None) };
        let partitions = self.log.partitions(&topic)?;
        Ok(Some(Publishes { source: topic.to_string(), topic, partitions }))
    }

    pub(crate) async fn close(self) {
        // The stores, then the log that their relays and subscriptions hold.
        for database in self.databases {
            database.close().await;
        }
        self.log.close().await;
    }
}

/// Whether a folder has the log that its stores can be compared with.
pub(crate) fn has_log(data: &Path) -> bool {
    data.join(LOG).is_dir()
}

/// Opens every store of a folder that nobody runs on, and looks whether they tell one story. Where events are with a
/// broker elsewhere, there is nothing here to compare with.
///
/// # Errors
/// What does not fit, or cannot be opened.
pub(crate) async fn check_agreement(data: &Path) -> Result<(), events::Error> {
    if !has_log(data) {
        return Ok(());
    }
    let resting = Resting::open(data)?;
    let verdict = events::agreement::check(&resting.subscriptions, &resting.relays).await;
    resting.close().await;
    verdict
}

/// Whose outbox a database has: a service publishes under the name of its folder.
pub(crate) fn publisher(path: &Path) -> Result<Option<Topic>, events::Error> {
    let service = path.parent().and_then(Path::file_name).and_then(|name| name.to_str());
    let Some(topic) = service.and_then(|name| Topic::parse(name).ok()) else { return Ok(None) };
    Ok(upkeep::publishes(path)?.then_some(topic))
}

/// Every database but the log.
pub(crate) fn beside_the_log(data: &Path) -> Vec<PathBuf> {
    databases(data).into_iter().filter(|path| !is_log(data, path)).collect()
}

/// Reads whole stores whose pages may be of different moments, the log's chain of checksums too.
///
/// # Errors
/// The first that is hurt.
pub(crate) async fn check_pages(data: &Path) -> Result<(), events::Error> {
    for path in databases(data) {
        upkeep::check(&path)?;
    }
    if has_log(data) {
        let log = Log::open(&data.join(LOG), &[], clock::component())?;
        let report = log.check();
        log.close().await;
        report.damage.into_iter().next().map_or(Ok(()), Err)?;
    }
    Ok(())
}

/// Whether a store has people's keys: no copy of the others has it by itself.
pub(crate) fn is_of_people(data: &Path, path: &Path) -> bool {
    path.parent() == Some(&data.join(PEOPLE))
}

fn is_log(data: &Path, path: &Path) -> bool {
    path.parent() == Some(&data.join(LOG))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_views_are_where_their_store_is_whatever_the_folder_is_called() {
        let place = tempfile::tempdir().expect("a place");
        let data = place.path();
        assert_eq!(views(data), None);
        for (folder, file) in [("order", "service.db"), ("of-old", STORE_FILE)] {
            std::fs::create_dir(data.join(folder)).expect("a folder");
            std::fs::write(data.join(folder).join(file), "").expect("a store");
        }
        assert_eq!(views(data), Some(data.join("of-old")));
    }
}
