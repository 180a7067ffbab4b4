//! Events are there if and only if the work that published them is.

use super::*;
use crate::fixture::first;
use crate::store::bounds::Reconciled;
use crate::store::epoch;
use crate::store::{OUTBOX_KEPT, Published, upkeep};

fn draft(number: u64) -> Draft {
    Draft::new("Placed", number, 1, &number, &Cause::default())
}

/// Publishes these; the newest number then.
async fn publish(database: &Database, numbers: std::ops::RangeInclusive<u64>) -> u64 {
    let work = database.write(numbers, |numbers, tx| {
        Box::pin(async move {
            for number in numbers.clone() {
                tx.publish(draft(number)).await?;
            }
            Ok::<_, Error>(())
        })
    });
    work.await.unwrap();
    database.newest("any").await.unwrap().number
}

fn give(
    database: &Database,
    draft: Draft,
) -> impl Future<Output = Result<Published, Error>> + 'static {
    database.write(draft, |draft, tx| Box::pin(tx.publish(draft.clone())))
}

async fn subjects(database: &Database) -> Vec<String> {
    database
        .waiting(first(0), 100_000)
        .await
        .unwrap()
        .into_iter()
        .map(|event| event.subject)
        .collect()
}

#[tokio::test]
async fn a_row_is_numbered_without_gaps_and_only_if_its_work_commits() {
    let folder = TempDir::new().unwrap();
    let database = open(&folder);
    assert_eq!(database.position().unwrap().sequences, Numbers::from(0));
    let release = busy(&database);
    let one = database.write((), |(), tx| Box::pin(tx.publish(draft(1))));
    let refused = database.write((), |(), tx| {
        Box::pin(async move {
            tx.publish(draft(2)).await?;
            Err::<(), _>(Error::UnknownTopic)
        })
    });
    let savepoints = database.write((), |(), tx| {
        Box::pin(async move {
            tx.publish(draft(3)).await?;
            let savepoint = tx.savepoint().await?;
            tx.publish(draft(4)).await?;
            tx.settle(savepoint, false).await?;
            tx.publish(draft(5)).await
        })
    });
    drop(release);
    assert_eq!(one.await.unwrap().number(), first(1));
    assert!(refused.await.is_err());
    assert_eq!(savepoints.await.unwrap().number(), first(3), "the number was given back");
    assert_eq!(subjects(&database).await, ["1", "3", "5"]);
    assert_eq!(*database.committed().borrow(), Numbers::from(3));
    assert_eq!(database.position().unwrap().to_string(), "w3.order");
    drop(database);
    assert_eq!(publish(&open(&folder), 6..=6).await, 4);
}

#[tokio::test]
async fn a_row_becomes_the_event_that_was_drafted() {
    let folder = TempDir::new().unwrap();
    let database = open(&folder);
    let cause = Cause {
        correlation_id: Some("c".to_owned()),
        causation_id: Some("product/1".to_owned()),
        traceparent: Some("00-1-2-01".to_owned()),
    };
    let whole = Draft::new("Placed", 7, 3, &serde_json::json!({"a": "가"}), &cause);
    let published = give(&database, whole).await.unwrap();
    let [event] = &database.waiting(first(0), 10).await.unwrap()[..] else { panic!("one event") };
    assert_eq!((event.source.as_str(), event.kind.as_str()), ("order", "Placed"));
    assert_eq!((event.subject.as_str(), event.key.as_str(), event.sequence), ("7", "7", 3));
    assert_eq!((event.outbox_sequence, event.data.get()), (Some(1), r#"{"a":"가"}"#));
    assert_eq!(event.cause, cause);
    let id = event.id.clone();
    assert_eq!(id, published.id().to_string());
    assert_eq!(database.number_of(published.id(), "7").await.unwrap(), Some(first(1)));
    execute(&folder.path().join("service.db"), "UPDATE outbox SET id = NULL");
    let of_before = &database.waiting(first(0), 10).await.unwrap()[0].id;
    assert!(of_before.ends_with("-1"), "one of before there were ids: {of_before}");
    assert_eq!(database.number_of(published.id(), "7").await.unwrap(), None);
    let id = of_before.clone();
    drop(database);
    assert_eq!(
        open(&folder).waiting(first(0), 10).await.unwrap()[0].id,
        id,
        "an id stays through a restart"
    );
    let other = TempDir::new().unwrap();
    let other = open(&other);
    publish(&other, 1..=1).await;
    assert_ne!(other.waiting(first(0), 10).await.unwrap()[0].id, id, "a new file gives new ids");
}

#[tokio::test]
async fn relayed_rows_are_kept_up_to_the_limit_and_no_longer() {
    let folder = TempDir::new().unwrap();
    let database = open(&folder);
    let all = OUTBOX_KEPT + 300;
    publish(&database, 1..=all).await;
    database.save_relayed().await.unwrap();
    assert_eq!(subjects(&database).await.len() as u64, all, "what waits is never removed");
    database.relayed(first(OUTBOX_KEPT));
    database.save_relayed().await.unwrap();
    assert_eq!(subjects(&database).await.len() as u64, all);
    database.relayed(first(OUTBOX_KEPT + 1));
    database.save_relayed().await.unwrap();
    assert_eq!(subjects(&database).await[0], "2");
    database.relayed(first(all));
    // Nobody asks for it: the next writes carry it along.
    publish(&database, 1..=1).await;
    assert_eq!(subjects(&database).await[0], "301");
}

#[tokio::test]
async fn a_broker_that_knows_more_than_the_outbox_makes_numbering_go_on_above_it() {
    let folder = TempDir::new().unwrap();
    let database = open(&folder);
    publish(&database, 1..=3).await;
    drop(database);
    // The file lost its tail: the broker has seen up to 9.
    let database = open(&folder);
    publish(&database, 4..=12).await;
    let found = database.reconcile(first(9)).await.unwrap();
    assert_eq!(found.outbox_lost, Some(4..=9));
    let waiting = database.waiting(first(0), 100).await.unwrap();
    let sequences: Vec<_> = waiting.iter().filter_map(|it| it.outbox_sequence).collect();
    let above = epoch::after(9).unwrap();
    let expected: Vec<_> = (1..=3).chain(above + 1..=above + 9).collect();
    assert_eq!(sequences, expected);
    assert_eq!(database.lag(first(9)), 9, "what was left out is no backlog");
    // Behind what the broker has nothing is missing, now and when it is opened again.
    assert_eq!(database.waiting_whole(first(9), 100).await.unwrap().len(), 9);
    assert_eq!(publish(&database, 13..=13).await, above + 10);
    assert_eq!(database.reconcile(first(above + 10)).await.unwrap(), Reconciled::default());
    database.close().await;
    drop(database);
    upkeep::check(&folder.path().join("service.db")).unwrap();
    let database = open(&folder);
    assert_eq!(publish(&database, 14..=14).await, above + 11);
}

#[tokio::test]
async fn a_broker_that_knows_less_than_was_relayed_is_told_what_is_lost_and_what_can_be_mended() {
    let folder = TempDir::new().unwrap();
    let database = open(&folder);
    publish(&database, 1..=20).await;
    assert_eq!(database.reconcile(first(0)).await.unwrap(), Reconciled::default());
    database.relayed(first(20));
    database.save_relayed().await.unwrap();
    database.close().await;
    drop(database);
    execute(&folder.path().join("service.db"), "DELETE FROM outbox WHERE sequence <= 7");
    let database = open(&folder);
    let found = database.reconcile(first(4)).await.unwrap();
    assert_eq!(found.log_lost, Some(5..=20));
    assert_eq!(found.unmendable, Some(5..=7));
    assert_eq!(database.waiting(first(4), 100).await.unwrap().len(), 13);
    let again = database.reconcile(first(10)).await.unwrap();
    assert_eq!(again, Reconciled::default(), "what was mended meanwhile is not lost");
}

#[tokio::test]
async fn a_comparison_that_was_not_committed_finds_the_same_again() {
    for (published, relayed) in [(9, 3), (1, 3)] {
        let folder = TempDir::new().unwrap();
        let database = open(&folder);
        publish(&database, 1..=3).await;
        database.relayed(first(relayed));
        database.save_relayed().await.unwrap();
        drop(database);
        let database = open(&folder);
        publish(&database, 4..=5).await;
        let release = busy(&database);
        let compared = database.reconcile(first(published));
        // A broken constraint that the commit finds: everybody in the group is told.
        drop(database.write((), |(), tx| {
            Box::pin(tx.execute("INSERT INTO item VALUES ('orphan', 'nobody')", &[]))
        }));
        drop(release);
        assert!(compared.await.unwrap_err().is_environment());
        let found = database.reconcile(first(published)).await.unwrap();
        if published == 9 {
            assert_eq!(found.outbox_lost, Some(4..=9));
            let above = epoch::after(9).unwrap();
            assert_eq!(publish(&database, 6..=6).await, above + 3, "numbering goes on above it");
        } else {
            assert_eq!(found.log_lost, Some(2..=3));
        }
    }
}

#[tokio::test]
async fn a_jump_leaves_numbers_out_and_changes_nothing_else() {
    const COUNTING: &[&str] =
        &["CREATE TABLE one (id INTEGER PRIMARY KEY AUTOINCREMENT, what TEXT NOT NULL) STRICT;
         CREATE TABLE none (id INTEGER PRIMARY KEY AUTOINCREMENT, what TEXT NOT NULL) STRICT;"];
    const BY: u64 = 1_000_000;
    // All of two epochs, however many numbers the folder that was copied gave after that.
    const ABOVE: u64 = 2 << 32;
    let folder = TempDir::new().unwrap();
    let open = || Database::open(Options { schema: COUNTING, ..options(&folder) }).unwrap();
    let add = async |database: &Database, table: &'static str| {
        let insert = format!("INSERT INTO {table} (what) VALUES ('it') RETURNING id");
        let work = database.write(insert, |insert, tx| {
            Box::pin(async move { tx.one(insert, &[], |row| row.get::<i64>(0)).await })
        });
        work.await.unwrap()
    };
    let database = open();
    assert_eq!((add(&database, "one").await, add(&database, "one").await), (1, 2));
    publish(&database, 1..=20).await;
    database.relayed(first(20));
    database.close().await;
    drop(database);
    // Twice, as when a restored folder is backed up and restored before anything was published.
    for times in 1..=2 {
        upkeep::jump(&folder.path().join("service.db"), BY).unwrap();
        let database = open();
        assert_eq!(
            database.position().unwrap().sequences,
            Numbers::from(20),
            "the newest is what there is"
        );
        assert_eq!(database.lag(first(20)), 0);
        assert_eq!(subjects(&database).await.len(), 20);
        assert_eq!(database.reconcile(first(20)).await.unwrap(), Reconciled::default());
        if times == 2 {
            assert_eq!(publish(&database, 21..=21).await, ABOVE + 1);
            assert_eq!((database.lag(first(20)), database.lag(first(18))), (1, 3));
            assert_eq!(publish(&database, 22..=23).await, ABOVE + 3, "the jump is no backlog");
            assert_eq!(add(&database, "one").await, i64::try_from(2 * BY + 3).unwrap());
            assert_eq!(add(&database, "none").await, i64::try_from(2 * BY + 1).unwrap());
            database.relayed(first(ABOVE + 3));
            assert_eq!(database.reconcile(first(ABOVE + 3)).await.unwrap(), Reconciled::default());
            assert_eq!(subjects(&database).await.len(), 23, "what was kept is kept over the jump");
        }
        database.close().await;
        drop(database);
    }
    upkeep::check(&folder.path().join("service.db")).unwrap();
}

#[tokio::test]
async fn rows_that_wait_and_are_missing_are_found_and_so_is_a_page_that_is_another() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("service.db");
    let database = open(&folder);
    publish(&database, 1..=2000).await;
    database.close().await;
    drop(database);
    upkeep::check(&file).unwrap();
    execute(&file, "DELETE FROM outbox WHERE sequence = 7");
    let missing = upkeep::check(&file).unwrap_err();
    assert!(
        matches!(&missing, Error::Damaged { what, .. } if what.contains("1 rows")),
        "{missing}"
    );
    let mut bytes = std::fs::read(&file).unwrap();
    let page = 4096;
    let last = bytes.len() - page;
    bytes.copy_within(page..2 * page, last);
    std::fs::write(&file, bytes).unwrap();
    assert!(matches!(upkeep::check(&file), Err(Error::Damaged { .. })));
}
