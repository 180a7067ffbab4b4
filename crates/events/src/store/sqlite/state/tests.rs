//! The writer's promises: grouping, refusal, trouble, closing. The outbox has a module of its own.

mod outbox;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc;

use tempfile::TempDir;

use super::*;
use crate::fixture::clock;

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

fn insert(write: &Write<'_>, name: &str) -> Result<(), Error> {
    write.sql().execute("INSERT INTO item VALUES (?1, NULL)", [name])?;
    Ok(())
}

async fn add(database: &Database, name: &str) -> Result<(), Error> {
    let name = name.to_owned();
    database.write(move |write| insert(write, &name)).await
}

fn names(database: &Database) -> Vec<String> {
    let read = database.read::<_, Error>(|sql| {
        let mut select = sql.prepare("SELECT name FROM item ORDER BY name")?;
        let rows = select.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    });
    read.unwrap()
}

/// Keeps the writer busy until the answer is dropped: what is queued meanwhile is one group.
fn busy(database: &Database) -> mpsc::SyncSender<()> {
    let (release, wait) = mpsc::sync_channel::<()>(0);
    let (started, running) = mpsc::sync_channel::<()>(1);
    drop(database.write::<_, Error>(move |_| {
        started.send(()).unwrap();
        let _ = wait.recv();
        Ok(())
    }));
    running.recv().unwrap();
    release
}

#[tokio::test]
async fn a_refusal_in_a_group_rolls_back_alone() {
    let folder = TempDir::new().unwrap();
    let database = open(&folder);
    let release = busy(&database);
    let first = database.write::<_, Error>(|write| insert(write, "first"));
    let refused = database.write::<(), Error>(|write| {
        insert(write, "refused")?;
        Err(Error::UnknownTopic)
    });
    let twice = database.write::<_, Error>(|write| insert(write, "first"));
    let last = database.write::<_, Error>(|write| insert(write, "last"));
    drop(release);
    assert!(first.await.is_ok());
    assert!(matches!(refused.await, Err(Error::UnknownTopic)));
    assert!(matches!(twice.await, Err(Error::Statement { .. })), "a broken constraint is its own");
    assert!(last.await.is_ok());
    assert_eq!(names(&database), ["first", "last"]);
}

#[tokio::test]
async fn a_panic_fails_its_own_work_and_nothing_else() {
    let folder = TempDir::new().unwrap();
    let database = open(&folder);
    let release = busy(&database);
    let panics = database.write::<(), Error>(|write| {
        insert(write, "panics")?;
        panic!("on purpose");
    });
    let other = database.write::<_, Error>(|write| insert(write, "other"));
    drop(release);
    assert!(matches!(panics.await, Err(Error::Panicked { what }) if what == "on purpose"));
    assert!(other.await.is_ok());
    add(&database, "later").await.unwrap();
    assert_eq!(names(&database), ["later", "other"]);
}

#[tokio::test]
async fn parts_of_parts_are_taken_back_alone_and_so_is_one_that_panics() {
    let folder = TempDir::new().unwrap();
    let database = open(&folder);
    let work = database.write::<_, Error>(|write| {
        insert(write, "whole")?;
        let outer = write.attempt(|write| {
            insert(write, "outer")?;
            let inner = write.attempt(|write| {
                insert(write, "inner")?;
                Err::<(), _>(Error::UnknownTopic)
            })?;
            assert!(matches!(inner, Part::TakenBack(Error::UnknownTopic)));
            insert(write, "after inner")?;
            let panics = catch_unwind(AssertUnwindSafe(|| {
                write.attempt(|write| -> Result<(), Error> {
                    insert(write, "panics")?;
                    panic!("on purpose")
                })
            }));
            assert!(panics.is_err());
            insert(write, "after panics")
        });
        outer?.into_result()
    });
    work.await.unwrap();
    assert_eq!(names(&database), ["after inner", "after panics", "outer", "whole"]);
}

#[tokio::test]
async fn parts_are_so_deep_and_no_deeper() {
    fn dig(write: &mut Write<'_>, deeper: usize) -> Result<(), Error> {
        write
            .sql()
            .execute("INSERT OR IGNORE INTO item VALUES (?1, NULL)", [deeper.to_string()])?;
        if deeper == 0 {
            Ok(())
        } else {
            write.attempt(|write| dig(write, deeper - 1))?.into_result()
        }
    }
    let folder = TempDir::new().unwrap();
    let database = open(&folder);
    // The work is a part itself.
    database.write(|write| dig(write, PARTS_DEEP_MAX - 1)).await.unwrap();
    assert_eq!(names(&database).len(), PARTS_DEEP_MAX);
    let refused = database.write(|write| dig(write, PARTS_DEEP_MAX)).await.unwrap_err();
    assert!(matches!(refused, Error::Limit { field: "parts within parts", .. }), "{refused:?}");
    assert_eq!(names(&database).len(), PARTS_DEEP_MAX);
}

#[tokio::test]
async fn a_commit_that_fails_fails_everybody_in_its_group() {
    let folder = TempDir::new().unwrap();
    let database = open(&folder);
    let orphan = |write: &mut Write<'_>| -> Result<(), Error> {
        write.sql().execute("INSERT INTO item VALUES ('orphan', 'nobody')", [])?;
        Ok(())
    };
    let release = busy(&database);
    let innocent = database.write::<_, Error>(|write| insert(write, "innocent"));
    let guilty = database.write::<_, Error>(orphan);
    drop(release);
    assert!(innocent.await.unwrap_err().is_environment());
    assert!(guilty.await.unwrap_err().is_environment());
    assert!(names(&database).is_empty());
    add(&database, "later").await.unwrap();
    assert_eq!(names(&database), ["later"]);
}

#[tokio::test]
async fn a_transaction_ended_by_the_engine_fails_those_that_ran_and_spares_the_rest() {
    let folder = TempDir::new().unwrap();
    let database = open(&folder);
    let release = busy(&database);
    let before = database.write::<_, Error>(|write| insert(write, "before"));
    let ends = database.write::<(), Error>(|write| Ok(write.sql().execute_batch("ROLLBACK")?));
    let after = database.write::<_, Error>(|write| insert(write, "after"));
    drop(release);
    assert!(before.await.unwrap_err().is_environment());
    assert!(ends.await.unwrap_err().is_environment());
    assert!(after.await.is_ok());
    assert_eq!(names(&database), ["after"]);
}

#[tokio::test]
async fn a_full_disk_refuses_without_acknowledging_and_works_again_once_there_is_room() {
    let folder = TempDir::new().unwrap();
    let database = open(&folder);
    let limit = |pages| {
        database.write::<(), Error>(move |write| {
            limit_pages(write.sql(), pages);
            Ok(())
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
    assert_eq!(names(&database).len(), stored);
    limit(1_000_000).await.unwrap();
    add(&database, "later").await.unwrap();
    assert_eq!(names(&database).len(), stored + 1);
}

#[tokio::test]
async fn the_queue_takes_its_limit_and_refuses_one_more() {
    let folder = TempDir::new().unwrap();
    let database = open(&folder);
    let release = busy(&database);
    let queued: Vec<_> =
        (0..WRITE_QUEUE_MAX).map(|_| database.write::<_, Error>(|_| Ok(()))).collect();
    let refused = database.write::<_, Error>(|_| Ok(())).await;
    assert!(refused.unwrap_err().is_environment());
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
    let queued = database.write::<_, Error>(|write| insert(write, "queued"));
    let closing = tokio::spawn(database.close());
    drop(release);
    queued.await.unwrap();
    closing.await.unwrap();
    assert!(matches!(add(&database, "late").await, Err(Error::Closed)));
    database.close().await;
    assert_eq!(names(&database), ["queued"], "reading goes on");
    let beside = std::fs::metadata(folder.path().join("service.db-wal"));
    assert!(beside.is_ok_and(|file| file.len() == 0), "the one file is all there is");
}

#[tokio::test]
async fn a_dropped_future_does_not_take_its_work_back() {
    let folder = TempDir::new().unwrap();
    let database = open(&folder);
    drop(database.write::<_, Error>(|write| insert(write, "dropped")));
    drop(database);
    assert_eq!(names(&open(&folder)), ["dropped"]);
}

#[tokio::test]
async fn work_may_hold_the_last_handle() {
    let folder = TempDir::new().unwrap();
    let database = open(&folder);
    let release = busy(&database);
    let held = database.clone();
    let answer = database.write::<_, Error>(move |write| {
        drop(held);
        insert(write, "last")
    });
    drop(database);
    drop(release);
    answer.await.unwrap();
    assert_eq!(names(&open(&folder)), ["last"]);
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
        assert_eq!(names(&open(&copy)).len(), count);
    }
}

#[tokio::test]
async fn a_reader_cannot_write_and_sees_one_moment() {
    let folder = TempDir::new().unwrap();
    let database = open(&folder);
    add(&database, "first").await.unwrap();
    let refused = database.read::<_, Error>(|sql| Ok(sql.execute("DELETE FROM item", [])?));
    assert!(refused.is_err());
    let count = |sql: &Connection| -> Result<u64, Error> {
        Ok(sql.query_row("SELECT count(*) FROM item", [], |row| row.get(0))?)
    };
    let same = database.read::<_, Error>(|sql| {
        let before = count(sql)?;
        let (done, wait) = mpsc::sync_channel(1);
        drop(database.write::<_, Error>(|write| insert(write, "second")));
        drop(database.write::<_, Error>(move |_| done.send(()).map_err(|_| Error::Closed)));
        wait.recv().unwrap();
        Ok((before, count(sql)?))
    });
    assert_eq!(same.unwrap(), (1, 1));
    add(&database, "third").await.unwrap();
    assert_eq!(names(&database).len(), 3);
}

#[test]
fn a_migration_is_applied_once_and_a_newer_file_is_refused() {
    const LATER: &[&str] = &[SCHEMA[0], "ALTER TABLE item ADD COLUMN note TEXT"];
    let folder = TempDir::new().unwrap();
    let columns = |database: &Database| -> u64 {
        let select = "SELECT count(*) FROM pragma_table_info('item')";
        database.read::<_, Error>(|sql| Ok(sql.query_row(select, [], |row| row.get(0))?)).unwrap()
    };
    assert_eq!(columns(&open(&folder)), 2);
    assert_eq!(columns(&open(&folder)), 2);
    let later = || Database::open(Options { schema: LATER, ..options(&folder) });
    assert_eq!(columns(&later().unwrap()), 3);
    assert_eq!(columns(&later().unwrap()), 3);
    assert!(matches!(Database::open(options(&folder)), Err(Error::Statement { .. })));
}
