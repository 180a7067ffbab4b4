//! One moment of many files: nobody writes to any of them while it is chosen.
//!
//! The engine's own write lock of every file is taken, one after the other; while all are held no
//! transaction can commit anywhere, so what each file holds then is one story, whoever writes to it and
//! from whichever process. A read transaction on each pins that moment, the locks go back at once, and
//! copying takes as long as it takes while the writers go on.
//!
//! 1. *Gates*: a connection to each file that asks for its write lock and does not wait for it.
//! 2. *Hold*: all gates are locked, one after the other. If one cannot be had, all are let go and it
//!    begins again: nobody waits with some locks for others, so no two cuts can block each other.
//! 3. *Pin*: with every lock held, a read transaction on each file sees the moment. It is the read and
//!    not the BEGIN that fixes it, so each file is read once.
//! 4. *Release*: the writers go on, after milliseconds. What is copied from here on is the moment.
//!
//! It does not know which files belong together; its caller names them.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rusqlite::backup::Backup;
use rusqlite::{Connection, ErrorCode};

use super::plumbing::connection;
use super::plumbing::private::keep_private;
use crate::error::Error;

/// How often one file's lock is asked for before the others are let go and all begins again.
///
/// A writer that is busy leaves its lock for microseconds: asking is quick and gives way each time.
const ASKED_MAX: u32 = 20_000;

/// How often it begins again before the files are called too busy.
const ROUNDS_MAX: u32 = 20;

/// The moment, as one open read transaction a file. While it lives, what the writers add stays in their
/// write-ahead files: copy at once, and drop it.
///
/// ```
/// # use std::sync::Arc;
/// # use yeoul_events::store::cut::Cut;
/// # use yeoul_events::store::{Database, Options, Publishes};
/// # use yeoul_events::{Cause, Clock, Draft, Error, Topic};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Error> {
/// # let folder = tempfile::tempdir().expect("a folder");
/// # let clock: Clock = Arc::new(|| jiff::Timestamp::UNIX_EPOCH);
/// # let (topic, partitions) = (Topic::parse("order")?, yeoul_events::Partitions::ONE);
/// # let publishes = Some(Publishes { source: "order".into(), topic, partitions });
/// # let path = folder.path().join("order.db");
/// # let options = Options { path: path.clone(), schema: &[], publishes, clock: clock.clone() };
/// # let order = Database::open(options)?;
/// # let event = || Draft::new("OrderPlaced", 7, 1, &(), &Cause::default());
/// order.write(event(), |event, tx| Box::pin(tx.publish(event.clone()))).await?;
/// let cut = Cut::take(&[path.clone()])?;
/// // The service goes on meanwhile; this is after the moment.
/// order.write(event(), |event, tx| Box::pin(tx.publish(event.clone()))).await?;
///
/// let copy = folder.path().join("copy.db");
/// cut.copy(&path, &copy)?;
/// # let publishes = order.publishes().cloned();
/// # let options = Options { path: copy, schema: &[], publishes, clock };
/// let restored = Database::open(options)?;
/// assert_eq!(restored.position().expect("it publishes").to_string(), "w1.order");
/// # Ok(())
/// # }
/// ```
pub struct Cut {
    files: Vec<Pinned>,
}

/// One file, and the connection that reads it as it was at the moment.
struct Pinned {
    path: PathBuf,
    reader: Connection,
}

impl Cut {
    /// Chooses the moment. Writers wait for milliseconds at most; whoever writes, in this process or in
    /// another, is held off by the engine's own lock.
    ///
    /// # Errors
    /// [`Error::Environment`]: the files are too busy, or one cannot be opened; try again.
    pub fn take(paths: &[PathBuf]) -> Result<Cut, Error> {
        let gates: Vec<Connection> =
            paths.iter().map(|path| gate(path)).collect::<Result<_, _>>()?;
        let open = |path: &PathBuf| {
            Ok(Pinned { path: path.clone(), reader: connection::open_reader(path)? })
        };
        let files = paths.iter().map(open).collect::<Result<_, Error>>()?;
        let cut = Cut { files };
        for _ in 0..ROUNDS_MAX {
            // All or none: what was had of an incomplete round goes back below.
            if lock_all(&gates)? {
                let pinned = cut.pin();
                release(&gates)?;
                return pinned.map(|()| cut);
            }
            release(&gates)?;
            thread::yield_now();
        }
        Err(Error::environment("the stores are too busy for one moment of all of them"))
    }

    /// Copies the file of this path, as it was at the moment, to where nothing is yet; the copy is its
    /// owner's alone.
    ///
    /// # Errors
    /// [`Error::Environment`]: no room; [`Error::Damaged`]: the file is hurt.
    pub fn copy(&self, path: &Path, to: &Path) -> Result<(), Error> {
        let file = self.files.iter().find(|file| file.path == path);
        let file = file.ok_or_else(|| Error::environment("no file of this cut"))?;
        keep_private(to);
        let mut copy = Connection::open(to)?;
        // Nobody needs it to survive a crash before it is whole.
        copy.pragma_update(None, "synchronous", "OFF")?;
        Backup::new(&file.reader, &mut copy)?.run_to_completion(i32::MAX, Duration::ZERO, None)?;
        Ok(())
    }

    /// Begins to read each file: what is read from here on is of now.
    fn pin(&self) -> Result<(), Error> {
        for Pinned { reader, .. } in &self.files {
            reader.execute_batch("BEGIN")?;
            reader.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
        }
        Ok(())
    }
}

/// A connection that asks for the write lock and does not wait for it.
fn gate(path: &Path) -> Result<Connection, Error> {
    let gate = connection::open_beside(path)?;
    gate.busy_timeout(Duration::ZERO)?;
    Ok(gate)
}

/// Takes every lock; `false` where one could not be had.
fn lock_all(gates: &[Connection]) -> Result<bool, Error> {
    for gate in gates {
        if !lock(gate)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Takes one lock; `false` where a writer had it each time it was asked for.
fn lock(gate: &Connection) -> Result<bool, Error> {
    for _ in 0..ASKED_MAX {
        match gate.execute_batch("BEGIN IMMEDIATE") {
            Ok(()) => return Ok(true),
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
                thread::yield_now();
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(false)
}

/// Gives back every lock that was had.
fn release(gates: &[Connection]) -> Result<(), Error> {
    for gate in gates.iter().filter(|gate| !gate.is_autocommit()) {
        gate.execute_batch("ROLLBACK")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use tempfile::TempDir;

    use super::*;

    const FILES: usize = 3;

    /// Ends the writer also where what it writes was not copied well.
    struct Over<'f>(&'f AtomicBool);

    impl Drop for Over<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    fn count(path: &Path) -> i64 {
        let sql = Connection::open(path).unwrap();
        let verdict = sql.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0));
        assert_eq!(verdict.unwrap(), "ok");
        sql.query_row("SELECT count(*) FROM item", [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn files_that_follow_one_another_are_of_one_moment_while_they_are_written() {
        let folder = TempDir::new().unwrap();
        let paths: Vec<PathBuf> =
            (0..FILES).map(|file| folder.path().join(format!("{file}.db"))).collect();
        let open = |path: &PathBuf| {
            let sql = connection::open_writer(path, connection::PAGE_BYTES).unwrap();
            sql.execute_batch("CREATE TABLE IF NOT EXISTS item (what BLOB)").unwrap();
            sql
        };
        let writers: Vec<Connection> = paths.iter().map(open).collect();
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            let over = &over;
            let _ends = Over(over);
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    // Whoever reads the later ones may rely on the earlier ones.
                    for writer in &writers {
                        let insert = "INSERT INTO item VALUES (zeroblob(3000))";
                        writer.execute_batch(insert).unwrap();
                    }
                }
            });
            for round in 0..10 {
                let cut = Cut::take(&paths).unwrap();
                let counts: Vec<i64> = paths
                    .iter()
                    .map(|path| {
                        let to = path.with_extension(format!("copy{round}"));
                        cut.copy(path, &to).unwrap();
                        count(&to)
                    })
                    .collect();
                let fits = counts.is_sorted_by(|before, after| before >= after)
                    && counts[0] - counts[FILES - 1] <= 1;
                assert!(fits, "{counts:?}");
            }
        });
        let nowhere = Cut::take(&[folder.path().join("nosuch.db")]).err();
        assert!(nowhere.is_some_and(|error| error.is_environment()));
    }
}
