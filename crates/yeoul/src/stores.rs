//! The stores below a data folder, whatever services made them.
//!
//! A folder is examined, mended and copied by what lies in it, not by what this program would have put
//! there: a store that a later version adds is found like the others.

use std::path::{Path, PathBuf};

use events::store::sqlite::upkeep;

/// Every database below the data folder, one folder deep, in order of their paths.
pub(crate) fn databases(data: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = entries(data)
        .into_iter()
        .filter(|path| path.is_dir())
        .flat_map(|folder| entries(&folder))
        .filter(|path| path.extension().is_some_and(|end| end == "db") && path.is_file())
        .collect();
    found.sort();
    found
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

fn entries(folder: &Path) -> Vec<PathBuf> {
    let listed = std::fs::read_dir(folder);
    listed.into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path()).collect()
}
