//! Files that only their owner reads: stores hold what people said of themselves, and digests of
//! their passwords.
//!
//! The engine gives what it lays beside a file (write-ahead log, shared memory) the file's own rights,
//! so that a file which is private before it is opened stays so as a whole. One that an older program
//! left open to others is closed when it is opened to be written.

use std::fs::{self, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tracing::warn;

/// Read and write for the owner, nothing for anybody else.
const OWNERS: u32 = 0o600;
/// What others may be allowed.
const OTHERS: u32 = 0o077;
/// What the name of the write-ahead log goes on with after a store's.
pub(crate) const WRITE_AHEAD: &str = "-wal";
/// The ends of the names of a store's files: itself, and what the engine lays beside it.
pub(crate) const ENDS: [&str; 3] = ["", WRITE_AHEAD, "-shm"];

/// Makes the store's file if it is absent, and takes from everybody but its owner what they may do
/// with it. What cannot be done is said in the log: whoever opens the file next meets the cause.
pub fn keep_private(store: &Path) {
    let made = OpenOptions::new().create(true).append(true).mode(OWNERS).open(store);
    let closed = made.and_then(|_| ENDS.iter().try_for_each(|end| close(&beside(store, end))));
    if let Err(error) = closed {
        let file = store.display();
        warn!(%file, %error, "a store may be readable for others");
    }
}

/// The file of that end.
pub(crate) fn beside(store: &Path, end: &str) -> PathBuf {
    let mut path = store.as_os_str().to_owned();
    path.push(end);
    path.into()
}

fn close(file: &Path) -> io::Result<()> {
    match fs::metadata(file) {
        Ok(meta) if meta.permissions().mode() & OTHERS != 0 => {
            fs::set_permissions(file, Permissions::from_mode(OWNERS))
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::connection::{PAGE_BYTES, open_writer};
    use super::*;

    fn modes(store: &Path) -> Vec<u32> {
        let found = ENDS.iter().filter_map(|end| fs::metadata(beside(store, end)).ok());
        found.map(|meta| meta.permissions().mode() & 0o777).collect()
    }

    #[test]
    fn a_store_and_what_lies_beside_it_are_their_owners_alone_from_the_first_byte_on() {
        let place = tempfile::tempdir().unwrap();
        let store = place.path().join("a.db");
        let write = || {
            let sql = open_writer(&store, PAGE_BYTES).unwrap();
            sql.execute_batch("CREATE TABLE IF NOT EXISTS a (b); INSERT INTO a VALUES (1)")
                .unwrap();
            sql
        };
        let open = write();
        assert_eq!(modes(&store), [OWNERS; 3]);
        // As an older program left them.
        for end in ENDS {
            fs::set_permissions(beside(&store, end), Permissions::from_mode(0o644)).unwrap();
        }
        let again = write();
        assert_eq!(modes(&store), [OWNERS; 3]);
        drop((open, again));
        fs::set_permissions(&store, Permissions::from_mode(0o666)).unwrap();
        drop(write());
        assert_eq!(modes(&store)[0], OWNERS);
    }
}
