//! Which files a data folder has, and whether they were closed: so that a folder that was copied piece by
//! piece is known from one that only lost its process.
//!
//! While a process runs, the note says "open" and names every store by device and inode. After a kill
//! the same files are still there and nothing needs to be looked at; other files are a copy, and a copy of
//! files that were being written may hold pages of different moments. A clean end names them by size:
//! a copy of closed files is whole.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use chassis::folder::create_private;
use events::store::upkeep;
use serde::{Deserialize, Serialize};

use super::databases;

/// The note's name in the data folder.
pub(crate) const NOTE: &str = "stores.json";

/// How a process left the folder, or holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    /// Stores are being written.
    #[serde(rename = "open")]
    InUse,
    /// Every store was closed: each is one file.
    Closed,
}

#[derive(Serialize, Deserialize)]
struct Note {
    state: State,
    stores: Vec<Store>,
}

#[derive(PartialEq, Eq, Serialize, Deserialize)]
struct Store {
    path: String,
    device: u64,
    inode: u64,
    bytes: u64,
}

/// Whether these are files that nobody can vouch for: not those that were noted, or never noted.
pub(crate) fn is_doubtful(data: &Path) -> bool {
    let now = stores(data);
    if now.is_empty() {
        return false;
    }
    let Some(note) = read(data) else { return true };
    let same = |one: &Store| {
        let noted = note.stores.iter().find(|noted| noted.path == one.path);
        noted.is_some_and(|noted| match note.state {
            State::InUse => (noted.device, noted.inode) == (one.device, one.inode),
            State::Closed => {
                noted.bytes == one.bytes && !upkeep::is_unclosed(&data.join(&one.path))
            }
        })
    };
    !now.iter().all(same)
}

/// Notes the stores as they are now.
pub(crate) fn write(data: &Path, state: State) -> io::Result<()> {
    let note = Note { state, stores: stores(data) };
    let place = data.join(format!("{NOTE}.new"));
    let mut file = create_private(&place)?;
    file.write_all(&serde_json::to_vec(&note)?)?;
    file.sync_all()?;
    fs::rename(place, data.join(NOTE))
}

/// How the folder was left; `None` if that was never noted.
pub(crate) fn state(data: &Path) -> Option<State> {
    read(data).map(|note| note.state)
}

fn read(data: &Path) -> Option<Note> {
    serde_json::from_slice(&fs::read(data.join(NOTE)).ok()?).ok()
}

fn stores(data: &Path) -> Vec<Store> {
    let one = |path: std::path::PathBuf| {
        let meta = fs::metadata(&path).ok()?;
        let path = path.strip_prefix(data).ok()?.to_str()?.to_owned();
        Some(Store { path, device: meta.dev(), inode: meta.ino(), bytes: meta.len() })
    };
    databases(data).into_iter().filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn make(data: &Path, bytes: usize) {
        fs::create_dir_all(data.join("order")).expect("a folder");
        fs::write(data.join("order/service.db"), vec![0; bytes]).expect("a store");
    }

    fn copied(data: &Path, to: &Path) {
        make(to, 0);
        for file in ["order/service.db", NOTE] {
            fs::copy(data.join(file), to.join(file)).expect("copied");
        }
    }

    #[test]
    fn files_are_vouched_for_where_they_are_and_as_they_were_closed() {
        let place = tempfile::tempdir().expect("a place");
        let (data, copy) = (place.path().join("data"), place.path().join("copy"));
        assert!(!is_doubtful(&data), "nothing is there");
        make(&data, 10);
        assert!(is_doubtful(&data), "never noted");

        write(&data, State::InUse).expect("noted");
        make(&data, 20);
        assert!(!is_doubtful(&data), "the same file, written on");
        copied(&data, &copy);
        assert!(is_doubtful(&copy), "a copy of what was open");

        write(&data, State::Closed).expect("noted");
        assert!(!is_doubtful(&data));
        copied(&data, &copy);
        assert!(!is_doubtful(&copy), "a copy of what was closed is whole");
        fs::write(copy.join("order/service.db-wal"), "x").expect("written");
        assert!(is_doubtful(&copy), "something was written since");
        fs::remove_file(copy.join("order/service.db-wal")).expect("removed");
        make(&copy, 21);
        assert!(is_doubtful(&copy), "of another size");
        fs::write(copy.join(NOTE), "{").expect("written");
        assert!(is_doubtful(&copy) && state(&copy).is_none(), "a note that cannot be read");
    }
}
