//! The data folder: one process at a time, known by its pid and its admin address.
//!
//! The lock is the operating system's (`flock` on `DATA/lock`), so a process that died holds
//! nothing; the JSON in the file only tells who to talk to.
//!
//! What is below it is its owner's alone: folders are 0700, files 0600, also where an older program
//! made them otherwise. The folder itself is closed if it was made or filled by us, and left as it is if
//! it is everybody's (`/tmp`).

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::chance;

/// Letters and digits of a folder's identity: 50 bits, which no two folders of a machine share.
const IDENTITY_CHARS: usize = 10;

/// What an owner may do with a folder and with a file of his own.
const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
/// What others may be allowed.
const OTHERS: u32 = 0o077;
/// Set where everybody may put files and nobody take another's away.
const STICKY: u32 = 0o1000;
/// The lock's file.
const LOCK: &str = "lock";

/// A data folder held by this process; released when dropped.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    lock: File,
}

/// Who holds a data folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The process.
    pub pid: u32,
    /// Where its admin listener answers, once it listens.
    pub admin: Option<SocketAddr>,
}

/// Why a data folder cannot be used: the environment (exit code 3).
#[derive(Debug, Error)]
pub enum FolderError {
    /// Another process works on it: stop that one, or name another folder.
    #[error("data folder in use by process {}. folder=`{}`", .holder.pid, .path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
        /// The process that holds it.
        holder: Holder,
    },
    /// It cannot be made or written: mend its rights or name another folder.
    #[error("data folder cannot be written. folder=`{}`, cause=`{source}`", .path.display())]
    NotWritable {
        /// The folder.
        path: PathBuf,
        /// The operating system's word.
        source: io::Error,
    },
}

impl Folder {
    /// Makes the folder if it is absent and takes its lock.
    ///
    /// # Errors
    /// See [`FolderError`].
    pub fn open(path: &Path) -> Result<Folder, FolderError> {
        let refuse = |source| FolderError::NotWritable { path: path.to_owned(), source };
        make(path).map_err(refuse)?;
        if is_ours(path).map_err(refuse)? {
            // Another user's folder stays as it is: what is below is private all the same.
            let _ = close(path, FOLDER_MODE);
        }
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(FILE_MODE)
            .open(path.join(LOCK))
            .map_err(refuse)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = read_holder(&lock).unwrap_or(Holder { pid: 0, admin: None });
                return Err(FolderError::InUse { path: path.to_owned(), holder });
            }
            Err(TryLockError::Error(source)) => return Err(refuse(source)),
        }
        close(&path.join(LOCK), FILE_MODE).map_err(refuse)?;
        let mut folder = Folder { path: path.to_owned(), lock };
        folder.announce(None).map_err(refuse)?;
        Ok(folder)
    }

    /// Writes who holds the folder, with the admin address once it is known.
    ///
    /// # Errors
    /// The file could not be written: the folder is not usable.
    pub fn announce(&mut self, admin: Option<SocketAddr>) -> io::Result<()> {
        let holder = Holder { pid: std::process::id(), admin };
        self.lock.rewind()?;
        self.lock.set_len(0)?;
        self.lock.write_all(&serde_json::to_vec(&holder)?)?;
        self.lock.sync_data()
    }

    /// The folder's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What tells this folder from every other on this machine: a few letters and digits, drawn once.
    ///
    /// # Errors
    /// The file cannot be read or written: the folder is not usable.
    pub fn identity(&self) -> io::Result<String> {
        let file = self.path.join("identity");
        let known = match fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error),
        };
        let fits = known.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        if known.len() == IDENTITY_CHARS && fits {
            close(&file, FILE_MODE)?;
            return Ok(known);
        }
        let drawn = chance::letters(IDENTITY_CHARS);
        let draft = self.path.join("identity.new");
        let mut out = create_private(&draft)?;
        out.write_all(drawn.as_bytes())?;
        out.sync_all()?;
        fs::rename(&draft, &file)?;
        File::open(&self.path)?.sync_all()?;
        Ok(drawn)
    }

    /// Who holds `path` now, if a living process does.
    pub fn holder(path: &Path) -> Option<Holder> {
        let lock = File::open(path.join(LOCK)).ok()?;
        match lock.try_lock_shared() {
            Err(TryLockError::WouldBlock) => read_holder(&lock),
            _ => None,
        }
    }
}

/// Makes a folder, and those above it, that its owner alone can enter, or makes one of that kind of one
/// that is there: for what is below a data folder.
///
/// # Errors
/// It cannot be made, or is another user's: the environment.
pub fn make_private(path: &Path) -> io::Result<()> {
    make(path)?;
    close(path, FOLDER_MODE)
}

/// Makes an empty file that its owner alone can read, or empties one that is there.
///
/// # Errors
/// It cannot be made, or is another user's: the environment.
pub fn create_private(path: &Path) -> io::Result<File> {
    let file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(FILE_MODE).open(path)?;
    close(path, FILE_MODE)?;
    Ok(file)
}

fn make(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(path)
}

/// Takes from everybody but the owner what they may do.
fn close(path: &Path, mode: u32) -> io::Result<()> {
    if fs::metadata(path)?.permissions().mode() & OTHERS == 0 {
        return Ok(());
    }
    fs::set_permissions(path, Permissions::from_mode(mode))
}

/// Whether a folder is for our data alone: nothing was in it, or we were here before.
fn is_ours(path: &Path) -> io::Result<bool> {
    let shared = fs::metadata(path)?.permissions().mode() & STICKY != 0;
    Ok(!shared && (path.join(LOCK).exists() || fs::read_dir(path)?.next().is_none()))
}

fn read_holder(mut lock: &File) -> Option<Holder> {
    let mut text = String::new();
    lock.rewind().ok()?;
    lock.read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_refused_with_the_first_ones_pid_and_a_dead_one_blocks_nobody() {
        let place = tempfile::tempdir().expect("a place");
        let mut first = Folder::open(place.path()).expect("free");
        let admin = "127.0.0.1:9088".parse().expect("an address");
        first.announce(Some(admin)).expect("written");

        let refused = Folder::open(place.path()).expect_err("in use");
        let FolderError::InUse { holder, .. } = refused else { panic!("{refused}") };
        assert_eq!(holder, Holder { pid: std::process::id(), admin: Some(admin) });
        assert_eq!(Folder::holder(place.path()), Some(holder));

        drop(first);
        assert_eq!(Folder::holder(place.path()), None);
        Folder::open(place.path()).expect("free again");
    }

    #[test]
    fn a_folder_has_an_identity_that_stays_and_no_other_has() {
        let (here, there) = (tempfile::tempdir().expect("one"), tempfile::tempdir().expect("two"));
        let one = Folder::open(here.path()).expect("free");
        let identity = one.identity().expect("drawn");
        assert_eq!(identity.len(), IDENTITY_CHARS);
        assert_eq!(one.identity().expect("read"), identity);
        drop(one);
        let again = Folder::open(here.path()).expect("free");
        assert_eq!(again.identity().expect("read"), identity);
        assert_ne!(Folder::open(there.path()).expect("free").identity().expect("drawn"), identity);
        fs::write(here.path().join("identity"), "a; b").expect("written");
        assert_eq!(again.identity().expect("drawn anew").len(), IDENTITY_CHARS);
    }

    #[test]
    fn what_is_in_it_is_its_owners_alone_also_where_it_was_not() {
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o7777;
        let open = |path: &Path, mode| {
            fs::set_permissions(path, Permissions::from_mode(mode)).expect("ours");
        };
        let place = tempfile::tempdir().expect("a place");
        let path = place.path().join("deep/data");
        let files = || {
            let folder = Folder::open(&path).expect("free");
            folder.identity().expect("drawn");
            make_private(&path.join("order")).expect("made");
            drop(create_private(&path.join("order/a")).expect("made"));
        };
        for _ in 0..2 {
            files();
            assert_eq!(mode(&path), FOLDER_MODE);
            assert_eq!(mode(&path.join("order")), FOLDER_MODE);
            for file in ["lock", "identity", "order/a"] {
                assert_eq!(mode(&path.join(file)), FILE_MODE, "{file}");
                // As an older program left it.
                open(&path.join(file), 0o644);
            }
            open(&path, 0o755);
            open(&path.join("order"), 0o755);
        }
        // A folder that is everybody's, and one that somebody uses for more, stay as they are.
        for (shared, before) in [("tmp", 0o1777), ("project", 0o755)] {
            let shared = place.path().join(shared);
            fs::create_dir(&shared).expect("a folder");
            fs::write(shared.join("other"), "").expect("a file");
            open(&shared, before);
            drop(Folder::open(&shared).expect("free"));
            assert_eq!(mode(&shared), before);
            assert_eq!(mode(&shared.join("lock")), FILE_MODE);
        }
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let place = tempfile::tempdir().expect("a place");
        fs::write(place.path().join("file"), "").expect("written");
        let refused = Folder::open(&place.path().join("file/data")).expect_err("not a folder");
        assert!(matches!(refused, FolderError::NotWritable { .. }), "{refused}");
    }
}
