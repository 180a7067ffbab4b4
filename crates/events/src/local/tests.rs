//! The contract suites on the local log, and what only this engine promises: damage is told.

mod jumps;
mod limits;
mod offers;
mod retained;

use std::sync::Arc;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::contract::{self, Fixture};
use crate::fixture::{clock, stamped, topic};
use crate::store::tests::{execute, limit_pages};
use crate::store::upkeep;

fn open(folder: &TempDir) -> Log {
    Log::open_declared(folder.path(), &contract::topics(), clock()).expect("a log")
}

fn alpha() -> TopicPartition {
    let [alpha, _] = contract::topics();
    alpha.topic.first()
}

async fn fill(log: &Log, numbers: std::ops::RangeInclusive<u64>) {
    for number in numbers {
        log.publish(&alpha(), vec![stamped("order", "k", number)]).await.expect("stored");
    }
}

/// A log of nine events whose file was changed behind its back.
async fn hurt(folder: &TempDir, statement: &str) -> Log {
    let log = open(folder);
    fill(&log, 1..=9).await;
    log.close().await;
    drop(log);
    execute(&folder.path().join("log.db"), statement);
    open(folder)
}

async fn fresh() -> Fixture {
    let folder = Arc::new(TempDir::new().unwrap());
    let broker = Arc::new(open(&folder));
    let reopen = move || {
        let folder = Arc::clone(&folder);
        let opening = async move { Arc::new(open(&folder)) as Arc<dyn Broker> };
        Box::pin(opening) as contract::Opening
    };
    Fixture { broker, reopen: Box::new(reopen) }
}

#[tokio::test]
async fn the_local_log_keeps_every_promise() {
    contract::suite(fresh).await;
}

#[tokio::test]
async fn the_local_log_keeps_what_a_log_keeps_beyond() {
    contract::log_suite(fresh).await;
}

#[tokio::test]
async fn a_log_that_was_not_closed_holds_all_that_was_acknowledged() {
    let folder = TempDir::new().unwrap();
    let copy = TempDir::new().unwrap();
    let log = open(&folder);
    for number in 1..=50 {
        fill(&log, number..=number).await;
        // What a killed process leaves behind: the files as they are, at any moment.
        for name in ["log.db", "log.db-wal"] {
            std::fs::copy(folder.path().join(name), copy.path().join(name)).unwrap();
        }
        let _ = std::fs::remove_file(copy.path().join("log.db-shm"));
        let reopened = open(&copy);
        assert_eq!(reopened.end(&alpha()).await.unwrap(), Offset(number));
        assert_eq!(reopened.published(&alpha(), "order").await.unwrap(), Some(number));
        let report = reopened.check();
        assert_eq!((report.events, report.damage.len()), (number, 0));
        drop(reopened);
        for name in ["log.db", "log.db-wal"] {
            let _ = std::fs::remove_file(copy.path().join(name));
        }
    }
}

#[tokio::test]
async fn a_changed_byte_is_reported_with_topic_and_offset_and_never_served() {
    let folder = TempDir::new().unwrap();
    let change = "UPDATE t1 SET record = CAST(replace(CAST(record AS TEXT), 'Numbered', 'Nombered')
        AS BLOB) WHERE offset = 5";
    let log = hurt(&folder, change).await;
    let before = log.read(&alpha(), Offset(0), READ_MAX).await.unwrap();
    assert_eq!(before.len(), 4, "sound events before it are served");
    let Err(Error::Damaged { topic, from, to, .. }) = log.read(&alpha(), Offset(4), 1).await else {
        panic!("a damaged event was served");
    };
    assert_eq!((topic.as_str(), from, to), ("alpha", 5, 5));
    let after = log.read(&alpha(), Offset(5), READ_MAX).await.unwrap();
    assert_eq!(after.len(), 4, "the rest stays readable");
    let report = log.check();
    assert_eq!(report.events, 8);
    assert!(matches!(&report.damage[..], [Error::Damaged { from: 5, to: 5, .. }]), "{report:?}");
    // The chain goes on from what is stored: new events are sound.
    fill(&log, 10..=12).await;
    assert_eq!(log.read(&alpha(), Offset(9), READ_MAX).await.unwrap().len(), 3);
}

#[tokio::test]
async fn rows_that_vanished_from_the_end_are_taken_again_and_are_no_second_copies() {
    for (gone, left) in [("= 9", 8), ("> 5", 5), ("> 0", 0)] {
        let folder = TempDir::new().unwrap();
        let log = hurt(&folder, &format!("DELETE FROM t1 WHERE offset {gone}")).await;
        assert_eq!(log.published(&alpha(), "order").await.unwrap(), Some(left), "{gone}");
        fill(&log, left + 1..=9).await;
        assert_eq!(log.end(&alpha()).await.unwrap(), Offset(9), "{gone}");
        assert_eq!(log.check().damage.len(), 0, "{gone}");
    }
}

#[tokio::test]
async fn missing_rows_are_reported_with_their_offsets() {
    let folder = TempDir::new().unwrap();
    let log = hurt(&folder, "DELETE FROM t1 WHERE offset IN (4, 5)").await;
    assert_eq!(log.read(&alpha(), Offset(0), READ_MAX).await.unwrap().len(), 3);
    let Err(Error::Damaged { from, to, .. }) = log.read(&alpha(), Offset(3), 1).await else {
        panic!("a gap was passed over");
    };
    assert_eq!((from, to), (4, 5));
    let behind = log.read(&alpha(), Offset(5), READ_MAX).await.unwrap();
    assert_eq!(behind.len(), 4, "what is behind them is checked by itself");
    let report = log.check();
    assert_eq!(report.events, 7);
    assert!(matches!(&report.damage[..], [Error::Damaged { from: 4, to: 5, .. }]), "{report:?}");
}

#[tokio::test]
async fn a_hurt_checksum_hurts_its_own_row_alone() {
    let folder = TempDir::new().unwrap();
    let log = hurt(&folder, "UPDATE t1 SET crc = crc / 2 WHERE offset = 5").await;
    for (after, hurt) in [(0, false), (4, true), (5, false)] {
        let read = log.read(&alpha(), Offset(after), READ_MAX).await;
        assert_eq!(read.is_err(), hurt, "{after}: {read:?}");
    }
    assert_eq!(log.read(&alpha(), Offset(5), READ_MAX).await.unwrap().len(), 4);
    assert!(matches!(&log.check().damage[..], [Error::Damaged { from: 5, to: 5, .. }]));
    fill(&log, 10..=10).await;
    assert_eq!(log.read(&alpha(), Offset(9), 1).await.unwrap().len(), 1);
}

#[tokio::test]
async fn behind_a_damage_only_what_is_proven_is_served() {
    for statement in [
        // A row of an older program has no checksum of its own.
        "DELETE FROM t1 WHERE offset IN (4, 5); UPDATE t1 SET own = NULL WHERE offset = 6",
        "DELETE FROM t1 WHERE offset IN (4, 5); UPDATE t1 SET own = own / 2 WHERE offset = 6",
        "DELETE FROM t1 WHERE offset IN (4, 5); UPDATE t1 SET record = x'7b7d' WHERE offset = 6",
        "UPDATE t1 SET crc = crc / 2 WHERE offset = 5; UPDATE t1 SET own = NULL WHERE offset = 6",
    ] {
        let folder = TempDir::new().unwrap();
        let log = hurt(&folder, statement).await;
        let next = log.read(&alpha(), Offset(5), 1).await;
        assert!(matches!(next, Err(Error::Damaged { from: 6, to: 6, .. })), "{statement}");
        assert_eq!(log.read(&alpha(), Offset(6), READ_MAX).await.unwrap().len(), 3, "{statement}");
    }
}

#[tokio::test]
async fn a_log_of_an_older_program_goes_on_with_rows_that_stand_alone() {
    let folder = TempDir::new().unwrap();
    let log = hurt(&folder, "ALTER TABLE t1 DROP COLUMN own; ALTER TABLE t2 DROP COLUMN own").await;
    fill(&log, 10..=12).await;
    log.close().await;
    drop(log);
    execute(&folder.path().join("log.db"), "DELETE FROM t1 WHERE offset IN (4, 10)");
    let log = open(&folder);
    assert!(log.read(&alpha(), Offset(4), 1).await.is_err(), "unproven");
    assert_eq!(log.read(&alpha(), Offset(10), READ_MAX).await.unwrap().len(), 2);
}

#[tokio::test]
async fn rows_that_changed_places_are_seen() {
    let folder = TempDir::new().unwrap();
    let swap =
        "UPDATE t1 SET offset = -1 WHERE offset = 3; UPDATE t1 SET offset = 3 WHERE offset = 4;
        UPDATE t1 SET offset = 4 WHERE offset = -1";
    let log = hurt(&folder, swap).await;
    assert!(matches!(
        log.read(&alpha(), Offset(2), 1).await,
        Err(Error::Damaged { from: 3, to: 3, .. })
    ));
    assert!(!log.check().damage.is_empty());
}

#[tokio::test]
async fn a_file_that_is_no_log_is_refused() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("log.db"), "not a database, however long".repeat(100))
        .unwrap();
    let refused = Log::open_declared(folder.path(), &contract::topics(), clock()).err();
    assert!(matches!(refused, Some(Error::Damaged { .. })), "{refused:?}");
    let missing =
        Log::open_declared(&folder.path().join("missing"), &contract::topics(), clock()).err();
    assert!(missing.is_some_and(|error| error.is_environment()));
}

#[tokio::test]
async fn a_full_disk_refuses_without_acknowledging_and_works_again_once_there_is_room() {
    let folder = TempDir::new().unwrap();
    let log = open(&folder);
    fill(&log, 1..=3).await;
    log.file.on_writer(|connection| limit_pages(connection, 12)).await;
    let mut stored = 3;
    let refusal = loop {
        let event = stamped("order", &"k".repeat(900), stored + 1);
        match log.publish(&alpha(), vec![event]).await {
            Ok(offset) => stored = offset.0,
            Err(error) => break error,
        }
    };
    assert!(refusal.is_environment(), "{refusal:?}");
    assert_eq!(log.end(&alpha()).await.unwrap(), Offset(stored));
    assert_eq!(log.published(&alpha(), "order").await.unwrap(), Some(stored));
    log.file.on_writer(|connection| limit_pages(connection, 1_000_000)).await;
    fill(&log, stored + 1..=stored + 3).await;
    assert_eq!(log.end(&alpha()).await.unwrap(), Offset(stored + 3));
    assert!(log.check().damage.is_empty());
}

#[tokio::test]
async fn topics_that_the_file_has_stay_when_others_are_asked_for() {
    let folder = TempDir::new().unwrap();
    let log = open(&folder);
    fill(&log, 1..=2).await;
    drop(log);
    let log = Log::open(folder.path(), &[topic("zeta"), topic("aaa")], clock()).unwrap();
    let names: Vec<String> = log.topics().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["aaa", "alpha", "beta", "zeta"]);
    assert_eq!(log.end(&alpha()).await.unwrap(), Offset(2));
}

#[tokio::test]
async fn a_closed_log_refuses_to_publish() {
    let folder = TempDir::new().unwrap();
    let log = open(&folder);
    fill(&log, 1..=1).await;
    log.close().await;
    let refused = log.publish(&alpha(), vec![stamped("order", "k", 2)]).await;
    assert!(matches!(refused, Err(Error::Closed)), "{refused:?}");
}

/// One step of the model: publish a batch of (source, sequence), or reopen.
#[derive(Clone, Debug)]
enum Step {
    Publish(Vec<(u8, Option<u64>)>),
    Reopen,
    /// What a restore does: the next offsets are never given.
    LeaveOut(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let stamp = (0..3u8, proptest::option::weighted(0.8, 1..20u64));
    prop_oneof![
        4 => proptest::collection::vec(stamp, 0..6).prop_map(Step::Publish),
        1 => Just(Step::Reopen),
        1 => (1..50u64).prop_map(Step::LeaveOut),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn the_log_is_a_vec_that_knows_second_copies(steps in proptest::collection::vec(step(), 1..25)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let folder = TempDir::new().unwrap();
            let mut log = Some(open(&folder));
            let mut model: Vec<(u64, u8, Option<u64>)> = Vec::new();
            let mut next = 1;
            for step in steps {
                match step {
                    Step::Reopen => {
                        drop(log.take());
                        log = Some(open(&folder));
                    }
                    Step::LeaveOut(by) => {
                        drop(log.take());
                        upkeep::jump(&folder.path().join("log.db"), by).unwrap();
                        log = Some(open(&folder));
                        next += by;
                    }
                    Step::Publish(batch) => {
                        let events = batch.iter().map(|(source, sequence)| Event {
                            outbox_sequence: *sequence,
                            ..stamped(&source.to_string(), "k", 1)
                        });
                        let offset =
                            log.as_ref().unwrap().publish(&alpha(), events.collect()).await.unwrap();
                        for (source, sequence) in batch {
                            let highest = model.iter().filter(|it| it.1 == source);
                            let highest = highest.filter_map(|it| it.2).max().unwrap_or(0);
                            if sequence.is_none_or(|sequence| sequence > highest) {
                                model.push((next, source, sequence));
                                next += 1;
                            }
                        }
                        assert_eq!(offset.0, model.last().map_or(0, |it| it.0));
                    }
                }
            }
            let log = log.unwrap();
            let stored = log.read(&alpha(), Offset::BEGINNING, READ_MAX).await.unwrap();
            let stored: Vec<_> = stored.iter()
                .map(|it| {
                    (it.offset.0, it.event.source.parse().unwrap(), it.event.outbox_sequence)
                }).collect();
            assert_eq!(stored, model);
            // From every place there is, and from those that were left out.
            for after in 0..next {
                let rest: Vec<u64> = model.iter().map(|it| it.0).filter(|at| *at > after).collect();
                let read = log.read(&alpha(), Offset(after), READ_MAX).await.unwrap();
                assert_eq!(read.iter().map(|it| it.offset.0).collect::<Vec<_>>(), rest);
                let end = log.end(&alpha()).await.unwrap();
                assert_eq!(log.between(&alpha(), Offset(after), end).unwrap(), rest.len() as u64);
            }
            assert!(log.check().damage.is_empty());
        });
    }
}
