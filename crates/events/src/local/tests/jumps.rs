//! What a restore leaves out of a log: offsets that are never given, marked, and nothing else.

use super::*;

const BY: u64 = 100;

/// A log of nine events, restored once and gone on with three.
async fn restored(folder: &TempDir) -> Log {
    let log = open(folder);
    fill(&log, 1..=9).await;
    log.close().await;
    drop(log);
    upkeep::jump(&folder.path().join("log.db"), BY).unwrap();
    let log = open(folder);
    fill(&log, 10..=12).await;
    log
}

async fn offsets(log: &Log, topic: &TopicPartition, after: u64) -> Vec<u64> {
    let read = log.read(topic, Offset(after), READ_MAX).await.unwrap();
    read.iter().map(|stored| stored.offset.0).collect()
}

#[tokio::test]
async fn a_place_from_after_the_restored_moment_reads_all_that_is_new() {
    let folder = TempDir::new().unwrap();
    let log = restored(&folder).await;
    let new = [110, 111, 112];
    for after in [9, 10, 50, 109] {
        assert_eq!(offsets(&log, &alpha(), after).await, new, "{after}");
    }
    assert_eq!(offsets(&log, &alpha(), 8).await, [9, 110, 111, 112]);
    assert_eq!(offsets(&log, &alpha(), 111).await, [112]);
    assert_eq!(log.between(&alpha(), Offset(9), Offset(112)).unwrap(), 3, "the jump is no lag");
    assert_eq!((log.check().events, log.check().damage.len()), (12, 0));
}

#[tokio::test]
async fn topics_without_events_and_topics_to_come_go_on_as_far_as_the_others() {
    let folder = TempDir::new().unwrap();
    drop(restored(&folder).await);
    // Twice, as when a restored folder is backed up and restored before anything is published.
    (0..2).for_each(|_| upkeep::jump(&folder.path().join("log.db"), BY).unwrap());
    let topics = [alpha().topic, topic("beta"), topic("gamma")];
    let log = Log::open(folder.path(), &topics, clock()).unwrap();
    for (topic, first) in [("alpha", 313), ("beta", 301), ("gamma", 301)] {
        let topic = Topic::parse(topic).unwrap().first();
        let event = Event { outbox_sequence: None, ..stamped("order", "k", 1) };
        let stored = log.publish(&topic, vec![event]).await.unwrap();
        assert_eq!(stored.0, first, "{topic}");
        assert_eq!(offsets(&log, &topic, 250).await, [first], "{topic}");
    }
    assert!(log.check().damage.is_empty());
    drop(log);
    let log = Log::open(folder.path(), &topics, clock()).unwrap();
    assert!(log.check().damage.is_empty(), "and once more from the file");
}

#[tokio::test]
async fn nothing_but_a_whole_mark_makes_a_gap_sound() {
    for (statement, damaged) in [
        ("DELETE FROM jump", "missing"),
        ("UPDATE jump SET floor = floor - 1", "missing"),
        ("UPDATE jump SET floor = floor + 1", "no offset was given"),
        ("UPDATE jump SET base = base - 1", "no offset was given"),
        ("UPDATE jump SET base = base + 1", "missing"),
        ("UPDATE jump SET crc = crc + 1", "a jump does not fit"),
        ("UPDATE jump SET floor = base - 1", "missing"),
        ("UPDATE jump SET topic = 3 - topic", "missing"),
        ("INSERT INTO jump VALUES (1, 3, 5, 7)", "no offset was given"),
        ("DELETE FROM t1 WHERE offset = 9", "missing"),
        ("DELETE FROM t1 WHERE offset = 110", "missing"),
        ("DELETE FROM t1 WHERE offset = 5", "missing"),
        ("UPDATE t1 SET record = x'00' WHERE offset = 9", "checksum"),
        ("UPDATE t1 SET offset = 109 WHERE offset = 110", "no offset was given"),
    ] {
        let folder = TempDir::new().unwrap();
        let log = restored(&folder).await;
        log.close().await;
        drop(log);
        execute(&folder.path().join("log.db"), statement);
        let found = open(&folder).check().damage;
        let damages = found.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        assert!(damages.contains(damaged), "{statement}: {damages}");
    }
}

#[tokio::test]
async fn a_log_that_lost_its_end_before_a_jump_goes_on_behind_it() {
    let folder = TempDir::new().unwrap();
    let log = open(&folder);
    fill(&log, 1..=9).await;
    log.close().await;
    drop(log);
    upkeep::jump(&folder.path().join("log.db"), BY).unwrap();
    execute(&folder.path().join("log.db"), "DELETE FROM t1 WHERE offset > 7");
    let log = open(&folder);
    fill(&log, 8..=10).await;
    let lost = log.read(&alpha(), Offset(7), READ_MAX).await.unwrap_err();
    assert!(matches!(lost, Error::Damaged { from: 8, to: 9, .. }), "{lost}");
    assert_eq!(offsets(&log, &alpha(), 9).await, [110, 111, 112], "the link vouches for itself");
}
