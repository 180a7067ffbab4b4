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
use std::thread;
use std::time::Duration;

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
/// How often a lock is looked at that nobody alive says to hold, and how long after one another.
const LOOKS_MAX: u32 = 50;
const LOOK_AGAIN: Duration = Duration::from_millis(5);
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
        // Before anything in the folder is changed or even looked at.
        if let Some(holder) = taken(&lock, File::try_lock).map_err(refuse)? {
            return Err(FolderError::InUse { path: path.to_owned(), holder });
        }
        close(&path.join(LOCK), FILE_MODE).map_err(refuse)?;
        let mut folder = Folder { path: path.to_owned(), lock };
        folder.note_holder(None).map_err(refuse)?;
        Ok(folder)
    }

    /// Writes who holds the folder, with the admin address once it is known.
    ///
    /// # Errors
    /// The file could not be written: the folder is not usable.
    pub fn note_holder(&mut self, admin: Option<SocketAddr>) -> io::Result<()> {
        let holder = Holder { pid: std::process::id(), admin };
        self.lock.rewind()?;
        // Emptied first: a longer name of before would leave its end behind. Who reads in between finds nobody
        // and looks again (`taken`).
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
        // A draft that is renamed: half an identity would be another one, and every cookie of before would be
        // nobody's.
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
        let holder = taken(&lock, File::try_lock_shared).ok().flatten()?;
        (holder != Holder::UNKNOWN).then_some(holder)
    }
}

impl Holder {
    /// It has not written who it is.
    const UNKNOWN: Holder = Holder { pid: 0, admin: None };

    /// Whether such a process is there, as far as can be seen from here.
    fn lives(&self) -> bool {
        Path::new("/proc").join(self.pid.to_string()).exists()
    }
}

/// Takes the lock, or says who has it. Who takes it writes his name right after that, and until then the
/// file is empty or names somebody who is gone; and somebody may only look whether it is free. So it is
/// looked again for a moment where nobody who lives is named.
fn taken(lock: &File, take: fn(&File) -> Result<(), TryLockError>) -> io::Result<Option<Holder>> {
    for look in 1.. {
        match take(lock) {
            Ok(()) => break,
            Err(TryLockError::Error(source)) => return Err(source),
            Err(TryLockError::WouldBlock) => {}
        }
        let holder = read_holder(lock);
        if look == LOOKS_MAX || holder.as_ref().is_some_and(Holder::lives) {
            return Ok(Some(holder.unwrap_or(Holder::UNKNOWN)));
        }
        pause();
    }
    Ok(None)
}

#[expect(clippy::disallowed_methods, reason = "a lock of the operating system wakes nobody here")]
fn pause() {
    thread::sleep(LOOK_AGAIN);
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
        first.note_holder(Some(admin)).expect("written");

        let refused = Folder::open(place.path()).expect_err("in use");
        let FolderError::InUse { holder, .. } = refused else { panic!("{refused}") };
        assert_eq!(holder, Holder { pid: std::process::id(), admin: Some(admin) });
        assert_eq!(Folder::holder(place.path()), Some(holder));

        drop(first);
        assert_eq!(Folder::holder(place.path()), None);
        Folder::open(place.path()).expect("free again");
    }

    #[test]
    fn who_takes_the_lock_is_named_also_before_he_has_written_who_he_is() {
        let place = tempfile::tempdir().expect("a place");
        let own = Holder { pid: std::process::id(), admin: None };
        let gone = serde_json::to_vec(&Holder { pid: u32::MAX, admin: None }).expect("JSON");
        // As the file is between the lock and the name: of who held it before, or empty.
        for before in [gone, Vec::new()] {
            for asked in [true, false] {
                fs::write(place.path().join(LOCK), &before).expect("written");
                let lock = OpenOptions::new().read(true).write(true).open(place.path().join(LOCK));
                let lock = lock.expect("there");
                lock.try_lock().expect("free");
                let mut holding = Folder { path: place.path().to_owned(), lock };
                thread::scope(|scope| {
                    let second = scope.spawn(|| match asked {
                        true => Folder::holder(place.path()),
                        false => match Folder::open(place.path()) {
                            Err(FolderError::InUse { holder, .. }) => Some(holder),
                            other => panic!("{other:?}"),
                        },
                    });
                    (0..4).for_each(|_| pause());
                    holding.note_holder(None).expect("written");
                    assert_eq!(second.join().expect("an answer"), Some(own.clone()));
                });
            }
        }
    }

    #[test]
    fn a_look_at_the_lock_keeps_nobody_out() {
        let place = tempfile::tempdir().expect("a place");
        drop(Folder::open(place.path()).expect("free"));
        let gone = serde_json::to_vec(&Holder { pid: u32::MAX, admin: None }).expect("JSON");
        fs::write(place.path().join(LOCK), gone).expect("written");
        let look = File::open(place.path().join(LOCK)).expect("there");
        look.try_lock_shared().expect("free");
        thread::scope(|scope| {
            let opening = scope.spawn(|| Folder::open(place.path()).map(drop));
            (0..4).for_each(|_| pause());
            drop(look);
            opening.join().expect("an answer").expect("free");
        });
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
