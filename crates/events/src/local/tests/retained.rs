//! What a topic is told not to keep: it goes, the newest stays, and what is left reads as if it had always been alone.

use std::time::Duration;

use serde_json::value::RawValue;

use super::*;
use crate::fixture::ManualClock;

const BYTES: Retention = Retention { keep_for: None, bytes: Some(4_000), latest_per_key: false };
const LATEST: Retention = Retention { keep_for: None, bytes: None, latest_per_key: true };

fn for_seconds(seconds: u64) -> Retention {
    Retention { keep_for: Some(Duration::from_secs(seconds)), ..Retention::default() }
}

fn retaining(folder: &TempDir, retention: Retention, clock: Clock) -> Log {
    let topics = contract::topics();
    let retained = BTreeMap::from([(topics[0].topic.clone(), retention)]);
    Log::open_retaining(folder.path(), &topics, &retained, clock).expect("a log")
}

async fn remove_all(log: &Log) {
    while log.remove_expired().await.expect("removed") {}
}

async fn publish(log: &Log, key: &str, numbers: std::ops::RangeInclusive<u64>) {
    for number in numbers {
        log.publish(&alpha(), vec![stamped("order", key, number)]).await.expect("stored");
    }
}

/// Places that are read after this one, page by page.
async fn places(log: &Log, after: u64, page: usize) -> Vec<u64> {
    let (mut all, mut after) = (Vec::new(), Offset(after));
    loop {
        let read = log.read(&alpha(), after, page).await.expect("read");
        let Some(last) = read.last() else { return all };
        after = last.offset;
        all.extend(read.into_iter().map(|it| it.offset.0));
    }
}

fn assert_sound(log: &Log, events: usize) {
    let report = log.check();
    assert_eq!((report.events, report.damage.len()), (events as u64, 0), "{report:?}");
}

#[tokio::test]
async fn the_oldest_go_where_a_topic_has_too_many_bytes() {
    let folder = TempDir::new().unwrap();
    let size = stamped("order", "k", 1_000).to_json().len() as u64;
    let log = retaining(&folder, BYTES, clock());
    publish(&log, "k", 1..=1_050).await;
    assert_eq!(places(&log, 0, READ_MAX).await.len(), 1_050, "nothing goes by itself");
    remove_all(&log).await;
    let kept = places(&log, 0, 7).await;
    assert!((4_000 / size - 3..=4_000 / size).contains(&(kept.len() as u64)), "{kept:?}");
    let floor = kept[0] - 1;
    assert_eq!(kept, (floor + 1..=1_050).collect::<Vec<_>>());
    assert_sound(&log, kept.len());
    // Who read up to the last one that went missed nothing; who read less may have.
    assert_eq!(places(&log, floor, READ_MAX).await, kept);
    for place in [1, floor - 1] {
        let gone = log.read(&alpha(), Offset(place), 10).await;
        assert!(matches!(gone, Err(Error::Gone { place: at, .. }) if at == place), "{gone:?}");
    }
    assert_eq!(log.between(&alpha(), Offset::BEGINNING, Offset(1_050)).unwrap(), 1_050 - floor);
    log.close().await;
    drop(log);
    let log = retaining(&folder, BYTES, clock());
    assert_eq!(places(&log, 0, READ_MAX).await, kept);
    assert_eq!(log.published(&alpha(), "order").await.unwrap(), Some(1_050));
    publish(&log, "k", 1_051..=1_060).await;
    remove_all(&log).await;
    assert_eq!(places(&log, 0, READ_MAX).await.last(), Some(&1_060));
    assert_sound(&log, kept.len());
}

#[tokio::test]
async fn an_event_goes_when_it_has_been_here_for_its_time_whatever_it_says_of_itself() {
    let (folder, clock) = (TempDir::new().unwrap(), ManualClock::default());
    // From a device whose clock stands at 1970, which is long ago.
    clock.advance(Duration::from_secs(50 * 365 * 24 * 60 * 60));
    let log = retaining(&folder, for_seconds(640), clock.component());
    publish(&log, "k", 1..=5).await;
    remove_all(&log).await;
    clock.advance(Duration::from_secs(320));
    publish(&log, "k", 6..=9).await;
    remove_all(&log).await;
    clock.advance(Duration::from_secs(319));
    remove_all(&log).await;
    assert_eq!(places(&log, 0, READ_MAX).await, (1..=9).collect::<Vec<_>>());
    clock.advance(Duration::from_secs(1));
    remove_all(&log).await;
    assert_eq!(places(&log, 0, READ_MAX).await, (6..=9).collect::<Vec<_>>());
    clock.advance(Duration::from_secs(100_000));
    remove_all(&log).await;
    assert_eq!(places(&log, 0, READ_MAX).await, [9], "the newest stays");
    assert_sound(&log, 1);
    publish(&log, "k", 10..=10).await;
    assert_eq!(places(&log, 8, READ_MAX).await, [9, 10]);
}

#[tokio::test]
async fn of_each_key_the_latest_is_kept_in_its_order_and_from_every_place() {
    let folder = TempDir::new().unwrap();
    let log = retaining(&folder, LATEST, clock());
    for (number, key) in (1..).zip("abacabbcdaa".chars()) {
        publish(&log, &key.to_string(), number..=number).await;
    }
    remove_all(&log).await;
    // b at 7, c at 8, d at 9, a at 11.
    let kept = [7, 8, 9, 11];
    for page in [1, 2, READ_MAX] {
        for after in 0..=11 {
            let behind: Vec<u64> = kept.into_iter().filter(|it| *it > after).collect();
            assert_eq!(places(&log, after, page).await, behind, "{page} {after}");
        }
    }
    assert!(log.is_compacted(&alpha()));
    assert_sound(&log, 4);
    // One row for each stretch that went: up to 6, and at 10.
    log.close().await;
    drop(log);
    assert_eq!(rows(&folder), 6);
}

/// How many rows the partition has, those of what went counted.
fn rows(folder: &TempDir) -> u64 {
    count(folder, "SELECT count(*) FROM t1")
}

fn count(folder: &TempDir, select: &str) -> u64 {
    let file = rusqlite::Connection::open(folder.path().join("log.db")).unwrap();
    file.query_row(select, [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn a_topic_that_is_told_to_keep_all_again_keeps_what_is_left() {
    let folder = TempDir::new().unwrap();
    let log = retaining(&folder, BYTES, clock());
    publish(&log, "k", 1..=50).await;
    remove_all(&log).await;
    let kept = places(&log, 0, READ_MAX).await;
    log.close().await;
    drop(log);
    let log = open(&folder);
    publish(&log, "k", 51..=100).await;
    remove_all(&log).await;
    assert_eq!(places(&log, 0, READ_MAX).await.len(), kept.len() + 50);
    assert!(!log.keeps_all(&alpha()), "its beginning is gone");
    let other = contract::topics()[1].topic.first();
    assert!(log.keeps_all(&other));
    assert_eq!(log.promise().matches("is removed").count(), 0);
    log.close().await;
    drop(log);
    // And told so once more it counts what came meanwhile.
    let log = retaining(&folder, BYTES, clock());
    remove_all(&log).await;
    assert_eq!(places(&log, 0, READ_MAX).await.len(), kept.len());
    let words = "one of alpha is removed as the oldest when its topic has over 4000 bytes";
    assert!(log.promise().contains(words), "{}", log.promise());
}

#[tokio::test]
async fn a_byte_that_changed_in_what_is_left_of_a_stretch_is_reported() {
    for change in ["crc = crc + 1", "own = own + 1", "record = x'0000000000000002'"] {
        let folder = TempDir::new().unwrap();
        let log = retaining(&folder, BYTES, clock());
        publish(&log, "k", 1..=50).await;
        remove_all(&log).await;
        let kept = places(&log, 0, READ_MAX).await;
        let floor = kept[0] - 1;
        log.close().await;
        drop(log);
        let update = format!("UPDATE t1 SET {change} WHERE offset = {floor}");
        execute(&folder.path().join("log.db"), &update);
        let log = open(&folder);
        let report = log.check();
        assert_eq!(report.events, kept.len() as u64, "{change}: the rest is sound");
        let from_it = |it: &Error| matches!(it, Error::Damaged { to, .. } if *to == floor);
        assert!(report.damage.iter().any(from_it), "{change}: {report:?}");
    }
}

#[tokio::test]
async fn what_is_hurt_is_not_signed_as_removed_and_what_is_behind_it_stays_readable() {
    for (change, at) in [
        ("UPDATE t1 SET crc = crc + 1 WHERE offset = ", 30),
        ("UPDATE t1 SET record = x'7b7d' WHERE offset = ", 30),
        ("DELETE FROM t1 WHERE offset = ", 30),
        // The place at which a slice would end.
        ("UPDATE t1 SET crc = crc + 1 WHERE offset = ", 92),
        ("UPDATE t1 SET crc = crc + 1 WHERE offset = ", 93),
        ("UPDATE t1 SET crc = crc + 1 WHERE offset = ", 94),
    ] {
        let folder = TempDir::new().unwrap();
        let log = retaining(&folder, Retention::default(), clock());
        publish(&log, "k", 1..=100).await;
        log.close().await;
        drop(log);
        execute(&folder.path().join("log.db"), &format!("{change}{at}"));
        let log = retaining(&folder, Retention { bytes: Some(2_000), ..BYTES }, clock());
        remove_all(&log).await;
        let report = log.check();
        let damage = report.damage.len();
        assert!(damage <= 1, "{change}{at}: {report:?}");
        let first = log.read(&alpha(), Offset::BEGINNING, 1).await;
        if damage == 0 {
            // It went with sound ones behind it: the rest reads from its beginning.
            let kept = places(&log, 0, READ_MAX).await;
            assert!(kept[0] > at && kept.last() == Some(&100), "{change}{at}: {kept:?}");
        } else {
            let is_it = |it: &Error| matches!(it, Error::Damaged { from, .. } if *from >= at);
            assert!(first.as_ref().is_err_and(is_it) || first.is_ok(), "{change}{at}: {first:?}");
            assert_eq!(places(&log, at + 1, READ_MAX).await.last(), Some(&100), "{change}{at}");
        }
        // Nothing sound is ever taken for hurt because of what went before it.
        assert!(report.events + 1 >= 100 - removed(&log).await, "{change}{at}: {report:?}");
    }
}

/// How many places went from the beginning.
async fn removed(log: &Log) -> u64 {
    let rows = log.file.partitions().iter().find(|rows| rows.at == alpha()).unwrap();
    100 - log.between(&rows.at, Offset::BEGINNING, Offset(100)).unwrap()
}

#[tokio::test]
async fn trouble_with_one_partition_holds_up_neither_another_nor_who_publishes() {
    let folder = TempDir::new().unwrap();
    let topics = contract::topics();
    let retained: BTreeMap<_, _> = topics.iter().map(|it| (it.topic.clone(), BYTES)).collect();
    let open = || Log::open_retaining(folder.path(), &topics, &retained, clock()).unwrap();
    let log = open();
    let other = topics[1].topic.first();
    publish(&log, "k", 1..=50).await;
    for number in 1..=100 {
        log.publish(&other, vec![stamped("order", "k", number)]).await.unwrap();
    }
    log.close().await;
    drop(log);
    // A trigger stands for what the engine cannot do there.
    let refuse = "CREATE TRIGGER hurt BEFORE DELETE ON t1 BEGIN SELECT raise(ABORT, 'hurt'); END";
    execute(&folder.path().join("log.db"), refuse);
    let log = open();
    let mut failed = 0;
    while log.remove_expired().await.is_err() && failed < 10 {
        failed += 1;
        log.publish(&alpha(), vec![stamped("order", "k", 50 + failed)]).await.expect("stored");
    }
    assert_eq!(failed, 10, "it says so each time");
    assert_eq!(places(&log, 0, READ_MAX).await.len(), 60, "and nothing of it is done by half");
    let left = log.read(&other, Offset::BEGINNING, READ_MAX).await.unwrap();
    assert!(left.len() < 40, "the other one's oldest went: {}", left.len());
}

#[tokio::test]
async fn a_condition_is_not_taken_for_true_because_what_made_it_false_was_removed() {
    for (retention, after, is_known) in [
        (BYTES, None, false),
        (BYTES, Some(2), false),
        (BYTES, Some(100), true),
        (LATEST, None, false),
        (LATEST, Some(2), false),
        (LATEST, Some(100), true),
    ] {
        let folder = TempDir::new().unwrap();
        let log = retaining(&folder, retention, clock());
        for number in 1..=100 {
            let kind = if number == 5 { "Claimed" } else { "Numbered" };
            let event = Event {
                kind: kind.to_owned(),
                outbox_sequence: None,
                ..stamped("/till", "k", number)
            };
            log.offer(&topic("alpha"), Offer::new(&[event]).unwrap()).await.unwrap();
        }
        remove_all(&log).await;
        let first = |number| crate::fixture::first(number);
        let unless = crate::offer::Unless {
            kinds: vec!["Claimed".to_owned()],
            key: "k".to_owned(),
            after: after.map(first).into_iter().collect(),
        };
        let event = Event { outbox_sequence: None, ..stamped("/till", "k", 101) };
        let offer = Offer::new(&[event]).unwrap().unless(unless).unwrap();
        match log.offer(&topic("alpha"), offer).await {
            Ok(Outcome::Stored(_)) => assert!(is_known, "{retention:?} {after:?}"),
            Err(Error::Gone { .. }) => assert!(!is_known, "{retention:?} {after:?}"),
            other => panic!("{retention:?} {after:?}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn an_id_is_known_for_as_long_as_its_event_is_kept() {
    let folder = TempDir::new().unwrap();
    let log = retaining(&folder, LATEST, clock());
    let seen = |id: &str| {
        let stamped = stamped("/till", "k", 1);
        Event { id: id.to_owned(), outbox_sequence: None, ..stamped }
    };
    let offer = async |id: &str| {
        let offered = Offer::new(&[seen(id)]).expect("within its limits");
        let Ok(Outcome::Stored(places)) = log.offer(&topic("alpha"), offered).await else {
            panic!("no condition");
        };
        places[0].number
    };
    assert_eq!((offer("1").await, offer("2").await), (1, 2));
    remove_all(&log).await;
    assert_eq!((offer("2").await, offer("1").await), (2, 3), "the first one was removed");
    remove_all(&log).await;
    for table in ["offered", "offered_key", "newest_of_key"] {
        let entries = count(&folder, &format!("SELECT count(*) FROM {table}"));
        assert_eq!(entries, 1, "{table} has what the topic has");
    }
}

#[tokio::test]
async fn a_file_that_lost_its_end_removes_no_other_keys_events() {
    let folder = TempDir::new().unwrap();
    let log = retaining(&folder, LATEST, clock());
    publish(&log, "a", 1..=1).await;
    publish(&log, "b", 2..=2).await;
    publish(&log, "a", 3..=3).await;
    remove_all(&log).await;
    log.close().await;
    drop(log);
    execute(&folder.path().join("log.db"), "DELETE FROM t1 WHERE offset = 3");
    let log = retaining(&folder, LATEST, clock());
    // It grows past where it was before anybody counts again.
    publish(&log, "c", 3..=3).await;
    publish(&log, "a", 4..=4).await;
    remove_all(&log).await;
    assert_eq!(places(&log, 0, READ_MAX).await, [2, 3, 4]);
}

/// What happens to a topic.
#[derive(Clone, Debug)]
enum Step {
    Publish { key: u8, data: u16 },
    Remove,
    Reopen(Policy),
}

#[derive(Clone, Copy, Debug)]
enum Policy {
    Everything,
    Bytes,
    Latest,
    Both,
}

impl Policy {
    fn retention(self) -> Retention {
        let bytes = matches!(self, Policy::Bytes | Policy::Both).then_some(4_000);
        let latest_per_key = matches!(self, Policy::Latest | Policy::Both);
        Retention { keep_for: None, bytes, latest_per_key }
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let policies = [Policy::Everything, Policy::Bytes, Policy::Latest, Policy::Both];
    let step = prop_oneof![
        20 => (0..6_u8, 0..600_u16).prop_map(|(key, data)| Step::Publish { key, data }),
        2 => Just(Step::Remove),
        1 => prop::sample::select(policies.to_vec()).prop_map(Step::Reopen),
    ];
    prop::collection::vec(step, 1..80)
}

/// What a topic should have: a list that is filtered.
#[derive(Default)]
struct Model {
    kept: Vec<Kept>,
    end: u64,
}

struct Kept {
    place: u64,
    key: u8,
    bytes: usize,
}

impl Model {
    fn remove(&mut self, policy: Policy) {
        let Retention { bytes, latest_per_key, .. } = policy.retention();
        if latest_per_key {
            let newest: BTreeMap<u8, u64> = self.kept.iter().map(|it| (it.key, it.place)).collect();
            self.kept.retain(|it| newest[&it.key] == it.place);
        }
        let limit = bytes.map_or(usize::MAX, |it| usize::try_from(it).unwrap());
        while self.kept.len() > 1 && self.kept.iter().map(|it| it.bytes).sum::<usize>() > limit {
            self.kept.remove(0);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn what_is_left_is_what_a_filtered_list_has(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(run(steps));
    }
}

/// Two who follow it: what one of them reads is remembered for the other.
async fn followers(log: &Log) -> [watch::Receiver<Offset>; 2] {
    let at = alpha();
    [log.watch(&at).await.expect("followed"), log.watch(&at).await.expect("followed")]
}

async fn run(steps: Vec<Step>) {
    let folder = TempDir::new().unwrap();
    let (mut policy, mut model) = (Policy::Both, Model::default());
    let mut log = retaining(&folder, policy.retention(), clock());
    let mut following = followers(&log).await;
    for step in steps {
        match step {
            Step::Publish { key, data } => {
                model.end += 1;
                let data = RawValue::from_string(format!("\"{}\"", "x".repeat(data.into())));
                let stamped = stamped("order", &format!("k{key}"), model.end);
                let event = Event { data: data.unwrap(), ..stamped };
                let bytes = event.to_json().len();
                model.kept.push(Kept { place: model.end, key, bytes });
                log.publish(&alpha(), vec![event]).await.expect("stored");
            }
            Step::Remove => {
                remove_all(&log).await;
                model.remove(policy);
            }
            Step::Reopen(next) => {
                log.close().await;
                drop(log);
                policy = next;
                log = retaining(&folder, policy.retention(), clock());
                following = followers(&log).await;
            }
        }
        let newest_of_key = "SELECT count(*) FROM newest_of_key";
        if !policy.retention().latest_per_key {
            assert_eq!(count(&folder, newest_of_key), 0, "nobody would ever remove them");
        }
        let kept: Vec<u64> = model.kept.iter().map(|it| it.place).collect();
        for page in [1, 3, READ_MAX] {
            assert_eq!(places(&log, 0, page).await, kept, "{policy:?}");
        }
        assert_sound(&log, kept.len());
        assert_eq!(log.end(&alpha()).await.unwrap(), Offset(model.end));
        assert!(following.iter().all(|it| *it.borrow() == Offset(model.end)));
    }
}
