//! The writer's promises: grouping, refusal, trouble, closing. Outbox and rows have modules of their own.

mod outbox;
mod rows;

use std::future::ready;
use std::path::Path;
use std::sync::{Mutex, mpsc};

use tempfile::TempDir;

use super::*;
use crate::event::{Cause, Draft};
use crate::fixture::clock;
use crate::partition::{Numbers, Partitions};
use crate::store::sqlite::plumbing::ready::ready as settled;
use crate::store::{
    Database, Publishes, READERS_MAX, Row, Rows, SAVEPOINTS_DEEP_MAX, WRITE_QUEUE_MAX,
};

const SCHEMA: &[&str] =
    &["CREATE TABLE item (name TEXT PRIMARY KEY, parent TEXT REFERENCES item (name)
        DEFERRABLE INITIALLY DEFERRED) STRICT"];

/// Changes a file behind everybody's back.
pub(crate) fn execute(path: &Path, statements: &str) {
    Connection::open(path).unwrap().execute_batch(statements).unwrap();
}

/// Makes the file full at so many pages, as a full disk would.
pub(crate) fn limit_pages(connection: &Connection, pages: u32) {
    let set = format!("PRAGMA max_page_count = {pages}");
    connection.query_row(&set, [], |_| Ok(())).unwrap();
}

/// Inserts into `kept` on whichever engine, a word that is there already among them.
pub(crate) async fn ids_of_what_is_inserted(database: &Database) {
    let insert = async |word: &'static str, or: &'static str| {
        let statement = format!("INSERT INTO kept (word) VALUES (?1) {or}");
        let given = database.write((statement, word), |(statement, word), tx| {
            Box::pin(async move { tx.insert(statement, &[&*word]).await })
        });
        given.await
    };
    let first = insert("one", "").await.unwrap();
    let second = insert("two", "").await.unwrap();
    let kept = database.read(&(), |(), rows| {
        let select = "SELECT id, word FROM kept ORDER BY id";
        Box::pin(rows.all(select, &[], |row| {
            Ok::<_, Error>((row.get::<u64>("id")?, row.get::<String>("word")?))
        }))
    });
    assert_eq!(kept.await.unwrap(), [(first, "one".to_owned()), (second, "two".to_owned())]);
    let again = insert("one", "ON CONFLICT DO NOTHING").await;
    assert!(matches!(again, Err(Error::Statement { .. })), "{again:?}");
}

fn options(folder: &TempDir) -> Options {
    let topic = crate::fixture::topic("order");
    Options {
        path: folder.path().join("service.db"),
        schema: SCHEMA,
        publishes: Some(Publishes {
            source: "order".to_owned(),
            topic,
            partitions: Partitions::ONE,
        }),
        clock: clock(),
    }
}

fn open(folder: &TempDir) -> Database {
    Database::open(options(folder)).unwrap()
}

async fn insert(rows: &mut Rows<'_>, name: &str) -> Result<(), Error> {
    rows.execute("INSERT INTO item VALUES (?1, NULL)", &[&name]).await?;
    Ok(())
}

async fn refuse(rows: &mut Rows<'_>, name: &str) -> Result<(), Error> {
    insert(rows, name).await?;
    Err(Error::UnknownTopic)
}

async fn panics(rows: &mut Rows<'_>, name: &str) -> Result<(), Error> {
    insert(rows, name).await?;
    panic!("on purpose")
}

/// Queued by the call itself, as every write is.
fn add(database: &Database, name: &str) -> impl Future<Output = Result<(), Error>> + 'static {
    database.write(name.to_owned(), |name, tx| Box::pin(insert(tx, name)))
}

async fn names(database: &Database) -> Vec<String> {
    let select = "SELECT name FROM item ORDER BY name";
    let read =
        database.read(&(), |(), rows| Box::pin(rows.all(select, &[], |row| row.get::<String>(0))));
    read.await.unwrap()
}

/// Keeps the writer busy until the answer is dropped: what is queued meanwhile is one group.
fn busy(database: &Database) -> mpsc::SyncSender<()> {
    let (release, wait) = mpsc::sync_channel::<()>(0);
    let (started, running) = mpsc::sync_channel::<()>(1);
    drop(database.write((started, wait), |(started, wait), _| {
        started.send(()).unwrap();
        let _ = wait.recv();
        Box::pin(ready(Ok::<_, Error>(())))
    }));
    running.recv().unwrap();
    release
}

#[tokio::test]
async fn a_refusal_in_a_group_rolls_back_alone() {
    let folder = TempDir::new().unwrap();
    let database = open(&folder);
    let release = busy(&database);
    let first = add(&database, "first");
    let refused = database.write((), |(), tx| Box::pin(refuse(tx, "refused")));
    let twice = add(&database, "first");
    let last = add(&database, "last");
    drop(release);
    assert!(first.await.is_ok());
    assert!(matches!(refused.await, Err(Error::UnknownTopic)));
    assert!(matches!(twice.await, Err(Error::Statement { .. })), "a broken constraint is its own");
    assert!(last.await.is_ok());
    assert_eq!(names(&database).await, ["first", "last"]);
}

#[tokio::test]
async fn a_panic_fails_its_own_work_and_nothing_else() {
    let folder = TempDir::new().unwrap();
    let database = open(&folder);
    let release = busy(&database);
    let panics = database.write((), |(), tx| Box::pin(panics(tx, "panics")));
    let other = add(&database, "other");
    drop(release);
    assert!(matches!(panics.await, Err(Error::Panicked { what }) if what == "on purpose"));
    assert!(other.await.is_ok());
    add(&database, "later").await.unwrap();
    assert_eq!(names(&database).await, ["later", "other"]);
}

#[tokio::test]
async fn savepoints_in_savepoints_are_taken_back_alone_and_so_is_one_that_panics() {
    async fn whole(tx: &mut Tx<'_>) -> Result<(), Error> {
        insert(tx, "whole").await?;
        let outer = tx.savepoint().await?;
        insert(tx, "outer").await?;
        let inner = tx.savepoint().await?;
        let refused = refuse(tx, "inner").await;
        tx.settle(inner, refused.is_ok()).await?;
        assert!(matches!(refused, Err(Error::UnknownTopic)));
        insert(tx, "after inner").await?;
        let inner = tx.savepoint().await?;
        let panicked = settled(|| Box::pin(panics(tx, "panics")));
        tx.settle(inner, panicked.is_ok()).await?;
        assert!(matches!(panicked, Err(Error::Panicked { .. })));
        insert(tx, "after panics").await?;
        tx.settle(outer, true).await
    }
    let folder = TempDir::new().unwrap();
    let database = open(&folder);
    database.write((), |(), tx| Box::pin(whole(tx))).await.unwrap();
    assert_eq!(names(&database).await, ["after inner", "after panics", "outer", "whole"]);
}

#[tokio::test]
async fn a_savepoint_that_a_panic_left_unsettled_ends_with_the_one_around_it() {
    async fn leaves_it(tx: &mut Tx<'_>) -> Result<(), Error> {
        let _left = tx.savepoint().await?;
        tx.publish(Draft::new("Left", "1", 1, &(), &Cause::default())).await?;
        panics(tx, "inner").await
    }
    async fn whole(tx: &mut Tx<'_>, stands: bool) -> Result<(), Error> {
        insert(tx, "whole").await?;
        // More often than there may be savepoints in one another: none of them is left behind.
        for round in 0..=SAVEPOINTS_DEEP_MAX {
            let outer = tx.savepoint().await?;
            insert(tx, "outer").await?;
            let panicked = settled(|| Box::pin(leaves_it(tx)));
            assert!(matches!(panicked, Err(Error::Panicked { .. })), "{panicked:?}");
            tx.settle(outer, stands && round == SAVEPOINTS_DEEP_MAX).await?;
        }
        insert(tx, "after").await
    }
    let ends =
        [(true, vec!["after", "inner", "outer", "whole"], 1), (false, vec!["after", "whole"], 0)];
    for (stands, left, published) in ends {
        let folder = TempDir::new().unwrap();
        let database = open(&folder);
        database.write(stands, |&stands, tx| Box::pin(whole(tx, stands))).await.unwrap();
        assert_eq!(names(&database).await, left);
        assert_eq!(database.position().unwrap().sequences, Numbers::from(published));
    }
}

#[tokio::test]
async fn savepoints_are_so_deep_and_no_deeper() {
    async fn dig(tx: &mut Tx<'_>, deeper: usize) -> Result<(), Error> {
        let insert = "INSERT OR IGNORE INTO item VALUES (?1, NULL)";
        tx.execute(insert, &[&deeper.to_string()]).await?;
        if deeper == 0 {
            return Ok(());
        }
        let savepoint = tx.savepoint().await?;
        let outcome = Box::pin(dig(tx, deeper - 1)).await;
        tx.settle(savepoint, outcome.is_ok()).await?;
        outcome
    }
    let folder = TempDir::new().unwrap();
    let database = open(&folder);
    let dug = |deep: usize| database.write(deep, |&deep, tx| Box::pin(dig(tx, deep)));
    // The work has one of its own.
    dug(SAVEPOINTS_DEEP_MAX - 1).await.unwrap();
    assert_eq!(names(&database).await.len(), SAVEPOINTS_DEEP_MAX);
    let refused = dug(SAVEPOINTS_DEEP_MAX).await.unwrap_err();
    let what = "savepoints within savepoints";
    assert!(matches!(refused, Error::Limit { field, .. } if field == what), "{refused:?}");
    assert_eq!(names(&database).await.len(), SAVEPOINTS_DEEP_MAX);
}

#[tokio::test]
async fn work_that_waits_for_something_else_is_dropped_and_taken_back_alone() {
    /// Says so when the future that holds it is dropped.
    struct Held(mpsc::SyncSender<()>);
    impl Drop for Held {
        fn drop(&mut self) {
            self.0.send(()).unwrap();
        }
    }
    let folder = TempDir::new().unwrap();
    let database = open(&folder);
    let (sender, dropped) = mpsc::sync_channel(1);
    let release = busy(&database);
    let first = add(&database, "first");
    let waits = database.write(sender, |sender, tx| {
        let held = Held(sender.clone());
        Box::pin(async move {
            let _held = held;
            insert(tx, "waits").await?;
            let _unsettled = tx.savepoint().await?;
            tx.publish(Draft::new("Waited", "1", 1, &(), &Cause::default())).await?;
            std::future::pending::<()>().await;
            insert(tx, "never").await
        })
    });
    let last = add(&database, "last");
    drop(release);
    let refusal = waits.await.unwrap_err();
    assert!(
        matches!(&refusal, Error::Panicked { what } if what.contains("something else")),
        "{refusal:?}"
    );
    dropped.try_recv().expect("it is dropped before its caller hears of it");
    first.await.unwrap();
    last.await.unwrap();
    assert_eq!(names(&database).await, ["first", "last"]);
    assert_eq!(database.position().unwrap().sequences, Numbers::from(0), "its event went with it");
    add(&database, "later").await.unwrap();
}

#[tokio::test]
async fn a_read_that_waits_for_something_else_or_panics_is_refused_and_the_next_one_is_not() {
    let folder = TempDir::new().unwrap();
    let database = open(&folder);
    add(&database, "first").await.unwrap();
    // More often than there are readers: none of them is left behind in the middle of a read.
    for _ in 0..=READERS_MAX {
        let waits =
            database.read(&(), |(), _| Box::pin(std::future::pending::<Result<(), Error>>()));
        let refusal = waits.await.unwrap_err();
        assert!(
            matches!(&refusal, Error::Panicked { what } if what.contains("something else")),
            "{refusal:?}"
        );
        let panics = database.read(&(), |(), _| -> Working<'_, (), Error> { panic!("on purpose") });
        assert!(matches!(panics.await, Err(Error::Panicked { what }) if what == "on purpose"));
    }
    assert_eq!(names(&database).await, ["first"]);
}

#[tokio::test]
async fn a_commit_that_fails_fails_everybody_in_its_group() {
    let folder = TempDir::new().unwrap();
    let database = open(&folder);
    let release = busy(&database);
    let innocent = add(&database, "innocent");
    let orphan = "INSERT INTO item VALUES ('orphan', 'nobody')";
    let guilty = database.write(orphan, |orphan, tx| Box::pin(tx.execute(orphan, &[])));
    drop(release);
    assert!(innocent.await.unwrap_err().is_environment());
    assert!(guilty.await.unwrap_err().is_environment());
    assert!(names(&database).await.is_empty());
    add(&database, "later").await.unwrap();
    assert_eq!(names(&database).await, ["later"]);
}

#[tokio::test]
async fn a_transaction_ended_by_the_engine_fails_those_that_ran_and_spares_the_rest() {
    let folder = TempDir::new().unwrap();
    let database = open(&folder);
    let release = busy(&database);
    let before = add(&database, "before");
    let ends = database.write((), |(), tx| {
        let ended = tx.sqlite().execute_batch("ROLLBACK");
        Box::pin(ready(ended.map_err(Error::from)))
    });
    let after = add(&database, "after");
    drop(release);
    assert!(before.await.unwrap_err().is_environment());
    assert!(ends.await.unwrap_err().is_environment());
    assert!(after.await.is_ok());
    assert_eq!(names(&database).await, ["after"]);
}

#[tokio::test]
async fn a_full_disk_refuses_without_acknowledging_and_works_again_once_there_is_room() {
    let folder = TempDir::new().unwrap();
    let database = open(&folder);
    let limit = |pages| {
        database.write(pages, |&pages, tx| {
            limit_pages(tx.sqlite(), pages);
            Box::pin(ready(Ok::<_, Error>(())))
        })
    };
    limit(40).await.unwrap();
    let mut stored = 0;
    let refusal = loop {
        match add(&database, &format!("{stored:05}{}", "x".repeat(2000))).await {
            Ok(()) => stored += 1,
            Err(error) => break error,
        }
    };
    assert!(refusal.is_environment(), "{refusal:?}");
    assert_eq!(names(&database).await.len(), stored);
    limit(1_000_000).await.unwrap();
    add(&database, "later").await.unwrap();
    assert_eq!(names(&database).await.len(), stored + 1);
}

#[tokio::test]
async fn the_queue_takes_its_limit_and_refuses_one_more() {
    let folder = TempDir::new().unwrap();
    let database = open(&folder);
    let release = busy(&database);
    let nothing = || database.write((), |(), _| Box::pin(ready(Ok::<_, Error>(()))));
    let queued: Vec<_> = (0..WRITE_QUEUE_MAX).map(|_| nothing()).collect();
    assert!(nothing().await.unwrap_err().is_environment());
    drop(release);
    for answer in queued {
        answer.await.unwrap();
    }
    add(&database, "later").await.unwrap();
}

#[tokio::test]
async fn what_was_queued_before_closing_is_done_and_what_comes_after_is_refused() {
    let folder = TempDir::new().unwrap();
    let database = open(&folder);
    let release = busy(&database);
    let queued = add(&database, "queued");
    let closing = tokio::spawn(database.close());
    drop(release);
    queued.await.unwrap();
    closing.await.unwrap();
    assert!(matches!(add(&database, "late").await, Err(Error::Closed)));
    database.close().await;
    assert_eq!(names(&database).await, ["queued"], "reading goes on");
    let beside = std::fs::metadata(folder.path().join("service.db-wal"));
    assert!(beside.is_ok_and(|file| file.len() == 0), "the one file is all there is");
}

#[tokio::test]
async fn a_dropped_future_does_not_take_its_work_back() {
    let folder = TempDir::new().unwrap();
    let database = open(&folder);
    drop(add(&database, "dropped"));
    drop(database);
    assert_eq!(names(&open(&folder)).await, ["dropped"]);
}

#[tokio::test]
async fn work_may_hold_the_last_handle() {
    // It goes in the middle of the work, or with what the work was given.
    for in_the_middle in [true, false] {
        let folder = TempDir::new().unwrap();
        let database = open(&folder);
        let release = busy(&database);
        let held = Mutex::new(Some(database.clone()));
        let answer = database.write(held, move |held, tx| {
            drop(held.lock().unwrap().take_if(|_| in_the_middle));
            Box::pin(insert(tx, "last"))
        });
        drop(database);
        drop(release);
        answer.await.unwrap();
        assert_eq!(names(&open(&folder)).await, ["last"]);
    }
}

#[tokio::test]
async fn a_killed_service_finds_all_that_was_acknowledged() {
    let folder = TempDir::new().unwrap();
    let database = open(&folder);
    for count in 1..=20 {
        add(&database, &format!("{count:02}")).await.unwrap();
        // What a killed process leaves behind: the files as they are.
        let copy = TempDir::new().unwrap();
        for name in ["service.db", "service.db-wal"] {
            std::fs::copy(folder.path().join(name), copy.path().join(name)).unwrap();
        }
        assert_eq!(names(&open(&copy)).await.len(), count);
    }
}

#[tokio::test]
async fn a_reader_cannot_write_and_sees_one_moment() {
    async fn count(rows: &mut Rows<'_>) -> Result<u64, Error> {
        rows.one("SELECT count(*) FROM item", &[], |row| row.get(0)).await
    }
    let folder = TempDir::new().unwrap();
    let database = open(&folder);
    add(&database, "first").await.unwrap();
    let refused = database.read(&(), |(), rows| Box::pin(rows.execute("DELETE FROM item", &[])));
    assert!(refused.await.is_err());
    let same =
        database.read(&database, |database, rows| {
            Box::pin(async move {
                let before = count(rows).await?;
                let (done, wait) = mpsc::sync_channel(1);
                drop(add(database, "second"));
                drop(database.write(done, |done, _| {
                    Box::pin(ready(done.send(()).map_err(|_| Error::Closed)))
                }));
                wait.recv().unwrap();
                Ok::<_, Error>((before, count(rows).await?))
            })
        });
    assert_eq!(same.await.unwrap(), (1, 1));
    add(&database, "third").await.unwrap();
    assert_eq!(names(&database).await.len(), 3);
}

#[test]
fn a_migration_is_applied_once_and_a_newer_file_is_refused() {
    const LATER: &[&str] = &[SCHEMA[0], "ALTER TABLE item ADD COLUMN note TEXT"];
    let folder = TempDir::new().unwrap();
    let columns = |database: &Database| -> u64 {
        let select = "SELECT count(*) FROM pragma_table_info('item')";
        let read = database
            .read_sqlite(|sql| Ok::<_, Error>(sql.query_row(select, [], |row| row.get(0))?));
        read.unwrap()
    };
    assert_eq!(columns(&open(&folder)), 2);
    assert_eq!(columns(&open(&folder)), 2);
    let later = || Database::open(Options { schema: LATER, ..options(&folder) });
    assert_eq!(columns(&later().unwrap()), 3);
    assert_eq!(columns(&later().unwrap()), 3);
    assert!(matches!(Database::open(options(&folder)), Err(Error::Newer { .. })));
}
