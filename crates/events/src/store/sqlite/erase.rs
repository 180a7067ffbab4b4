//! Rows removed so that nothing of them stays in their file.
//!
//! A row that is deleted stays where it was until its page is written over, and in the write-ahead file until that is. For
//! nearly all rows that is as good; a key that was thrown away is gone only when its bytes are. So this deletes by a
//! connection of its own that overwrites what it frees, and folds the write-ahead file in until it is empty.
//!
//! What the disk itself, its snapshots or copies of the file keep is beyond it.

use std::path::Path;

use rusqlite::Connection;

use super::plumbing::connection::open_beside;
use crate::error::Error;

/// Runs a statement that deletes the rows of one key, beside whoever has the file open; how many there were. Nothing of
/// them is in the file then, or beside it.
///
/// # Errors
/// [`Error::Environment`]: somebody held the file for seconds, or the disk refuses; the rows may be deleted and their
/// bytes still there: say it again.
pub fn erase(path: &Path, statement: &str, key: &str) -> Result<u64, Error> {
    let connection = open_beside(path)?;
    connection.pragma_update(None, "secure_delete", true)?;
    let rows = connection.execute(statement, [key])?;
    fold_in(&connection)?;
    Ok(rows as u64)
}

fn fold_in(connection: &Connection) -> Result<(), Error> {
    let busy: bool =
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    if busy {
        return Err(Error::environment("somebody reads what was erased: ask again"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;

    use super::*;
    use crate::Clock;
    use crate::store::{Database, Options};

    const SECRET: &str = "a secret that nobody may find again";

    fn bytes_in(folder: &Path) -> Vec<u8> {
        let files = std::fs::read_dir(folder).expect("a folder");
        files.flat_map(|file| std::fs::read(file.expect("a file").path()).expect("bytes")).collect()
    }

    fn has(folder: &Path, text: &str) -> bool {
        bytes_in(folder).windows(text.len()).any(|part| part == text.as_bytes())
    }

    #[tokio::test]
    async fn what_was_erased_is_nowhere_in_the_file_nor_beside_it_while_it_is_open() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("keys.db");
        let clock: Clock = Arc::new(|| Timestamp::UNIX_EPOCH);
        let schema = &["CREATE TABLE kept (name TEXT PRIMARY KEY, secret TEXT NOT NULL) STRICT"];
        let options = Options { path: path.clone(), schema, publishes: None, clock };
        let database = Database::open(options).expect("a database");
        for (name, secret) in [("one", SECRET), ("two", "stays")] {
            let insert = "INSERT INTO kept VALUES (?1, ?2)";
            let written = database.write((name, secret), move |(name, secret), tx| {
                Box::pin(async move { tx.execute(insert, &[name, secret]).await })
            });
            written.await.expect("written");
        }
        assert!(has(folder.path(), SECRET));
        let delete = "DELETE FROM kept WHERE name = ?1";
        assert_eq!(erase(&path, delete, "one").expect("erased"), 1);
        assert!(!has(folder.path(), SECRET), "its bytes are left");
        assert!(has(folder.path(), "stays"));
        assert_eq!(erase(&path, delete, "one").expect("again"), 0);
        database.close().await;
    }
}
