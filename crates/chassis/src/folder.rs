//! The data folder: one process at a time, known by its pid and its admin address.
//!
//! The lock is the operating system's (`flock` on `DATA/lock`), so a process that died holds
//! nothing; the JSON in the file only tells who to talk to.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::chance;

/// Letters and digits of a folder's identity: 50 bits, which no two folders of a machine share.
const IDENTITY_CHARS: usize = 10;

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
        fs::create_dir_all(path).map_err(refuse)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path.join("lock"))
            .map_err(refuse)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = read_holder(&lock).unwrap_or(Holder { pid: 0, admin: None });
                return Err(FolderError::InUse { path: path.to_owned(), holder });
            }
            Err(TryLockError::Error(source)) => return Err(refuse(source)),
        }
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
            return Ok(known);
        }
        let drawn = chance::letters(IDENTITY_CHARS);
        let draft = self.path.join("identity.new");
        let mut out = File::create(&draft)?;
        out.write_all(drawn.as_bytes())?;
        out.sync_all()?;
        fs::rename(&draft, &file)?;
        File::open(&self.path)?.sync_all()?;
        Ok(drawn)
    }

    /// Who holds `path` now, if a living process does.
    pub fn holder(path: &Path) -> Option<Holder> {
        let lock = File::open(path.join("lock")).ok()?;
        match lock.try_lock_shared() {
            Err(TryLockError::WouldBlock) => read_holder(&lock),
            _ => None,
        }
    }
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
    fn a_folder_that_cannot_be_made_is_named() {
        let place = tempfile::tempdir().expect("a place");
        fs::write(place.path().join("file"), "").expect("written");
        let refused = Folder::open(&place.path().join("file/data")).expect_err("not a folder");
        assert!(matches!(refused, FolderError::NotWritable { .. }), "{refused}");
    }
}
