//! What is published from outside: each event once, a batch whole or not at all, and a condition decided where it is
//! stored.

use std::collections::BTreeSet;

use serde_json::value::RawValue;

use super::*;
use crate::offer::{
    CAME_BYTES_MAX, CAME_MAX, Came, LOOKED_AT_BYTES_MAX, LOOKED_AT_MAX, TYPES_MAX, Unless,
};
use crate::partition::Numbered;

/// An event of this source and id, of a type and under a key.
fn of(source: &str, id: &str, kind: &str, key: &str) -> Event {
    let stamped = stamped(source, key, 1);
    Event { id: id.to_owned(), kind: kind.to_owned(), outbox_sequence: None, ..stamped }
}

fn seen(id: &str, key: &str) -> Event {
    of("/till", id, "Seen", key)
}

fn offer(events: &[Event]) -> Offer {
    Offer::new(events).expect("within its limits")
}

/// Where the events of an offer are, `None` where its condition is false.
async fn places(log: &Log, name: &str, offer: Offer) -> Option<Vec<Numbered>> {
    match log.offer(&topic(name), offer).await.expect("answered") {
        Outcome::Stored(places) => Some(places),
        Outcome::Came(_) | Outcome::Others => None,
    }
}

async fn numbers(log: &Log, events: &[Event]) -> Vec<u64> {
    let places = places(log, "alpha", offer(events)).await.expect("no condition");
    places.into_iter().map(|at| at.number).collect()
}

/// The ids in a topic of one partition, in their order.
async fn ids(log: &Log, name: &str) -> Vec<String> {
    let read = log.read(&topic(name).first(), Offset::BEGINNING, READ_MAX).await.expect("read");
    read.into_iter().map(|stored| stored.event.id).collect()
}

fn names_of_topics() -> [String; 2] {
    contract::topics().map(|declared| declared.topic.to_string())
}

#[tokio::test]
async fn an_event_is_stored_once_however_often_it_is_offered() {
    let folder = TempDir::new().unwrap();
    let log = open(&folder);
    assert_eq!(numbers(&log, &[seen("1", "a"), seen("2", "b")]).await, [1, 2]);
    // Within a batch, beside what is new, under another key, and after whatever happened in between.
    assert_eq!(numbers(&log, &[seen("3", "a"), seen("1", "x"), seen("3", "a")]).await, [3, 1, 3]);
    log.close().await;
    drop(log);
    let log = open(&folder);
    assert_eq!(numbers(&log, &[seen("2", "b"), seen("4", "a")]).await, [2, 4]);
    // The same id of another source is another event, and so is the same one in another topic.
    assert_eq!(numbers(&log, &[of("/door", "1", "Seen", "a")]).await, [5]);
    let [_, other] = names_of_topics();
    let elsewhere = places(&log, &other, offer(&[seen("1", "a")])).await.unwrap();
    assert_eq!(elsewhere.len(), 1);
    assert_eq!(ids(&log, "alpha").await, ["1", "2", "3", "4", "1"]);
    assert_eq!(log.check().damage.len(), 0, "the chain holds");
}

#[tokio::test]
async fn a_second_copy_is_known_whichever_partition_its_key_would_go_to() {
    let folder = TempDir::new().unwrap();
    let four = Partitions::new(4).unwrap();
    let declared = [Declared { topic: topic("many"), partitions: four }];
    let log = Log::open_declared(folder.path(), &declared, clock()).unwrap();
    let keys: Vec<String> = (0..40).map(|key| format!("k{key}")).collect();
    let events: Vec<Event> = keys.iter().map(|key| seen(key, key)).collect();
    let first = places(&log, "many", offer(&events)).await.unwrap();
    for (key, at) in keys.iter().zip(&first) {
        assert_eq!(at.partition, four.of(key), "{key}");
    }
    let used: BTreeSet<Partition> = first.iter().map(|at| at.partition).collect();
    assert!(used.len() > 1, "a batch goes to several partitions");
    let moved: Vec<Event> = keys.iter().map(|key| seen(key, "elsewhere")).collect();
    assert_eq!(places(&log, "many", offer(&moved)).await.unwrap(), first);
    let ends = four.each().map(|it| log.file.end(&topic("many").at(it)).unwrap().0);
    assert_eq!(ends.sum::<u64>(), 40);
}

#[tokio::test]
async fn publishers_whose_ids_cross_are_told_one_place_for_each() {
    let folder = TempDir::new().unwrap();
    let log = Arc::new(open(&folder));
    let of = |numbers: Vec<usize>| {
        let log = Arc::clone(&log);
        async move {
            let mut told = Vec::new();
            for number in numbers {
                told.push((
                    number,
                    self::numbers(&log, &[seen(&number.to_string(), "k")]).await[0],
                ));
            }
            told
        }
    };
    let (mut one, two) = tokio::join!(of((0..200).collect()), of((0..200).rev().collect()));
    one.extend(two);
    let places: BTreeSet<(usize, u64)> = one.into_iter().collect();
    assert_eq!(places.len(), 200, "both were told the same");
    assert_eq!(ids(&log, "alpha").await.len(), 200);
}

/// A log that had three events and lost some of their records.
async fn three_without(folder: &TempDir, lost: &str) -> Log {
    let log = open(folder);
    let events: Vec<Event> = (1..=3).map(|id| seen(&id.to_string(), "k")).collect();
    assert_eq!(numbers(&log, &events).await, [1, 2, 3]);
    log.close().await;
    drop(log);
    execute(&folder.path().join("log.db"), &format!("DELETE FROM t1 WHERE {lost}"));
    open(folder)
}

#[tokio::test]
async fn an_entry_whose_record_is_gone_counts_as_none() {
    let folder = TempDir::new().unwrap();
    let log = three_without(&folder, "offset = 3").await;
    assert_eq!(numbers(&log, &[seen("3", "k"), seen("2", "k")]).await, [3, 2]);
    assert_eq!(ids(&log, "alpha").await, ["1", "2", "3"]);
    // Found by its key once, too.
    let unless = Unless { kinds: vec!["Seen".to_owned()], key: "k".to_owned(), after: 2.into() };
    let conditional = offer(&[seen("4", "k")]).unless(unless).unwrap();
    let Outcome::Came(came) = log.offer(&topic("alpha"), conditional).await.unwrap() else {
        panic!("it came")
    };
    assert_eq!(came.len(), 1);
}

/// What was stored since is not what was asked for, whatever place it has.
#[tokio::test]
async fn an_entry_whose_place_another_event_has_counts_as_none() {
    let folder = TempDir::new().unwrap();
    let log = three_without(&folder, "offset >= 2").await;
    // The same id of another source, and another id of the same.
    let grown = [of("/door", "2", "Seen", "k"), seen("4", "k")];
    assert_eq!(numbers(&log, &grown).await, [2, 3]);
    // A condition on something else, which is true, answers what is there already with its place.
    let unless = Unless { kinds: vec!["Paid".to_owned()], key: "k".to_owned(), after: 0.into() };
    let conditional = offer(&[seen("3", "k")]).unless(unless).unwrap();
    let [at] = places(&log, "alpha", conditional).await.expect("true")[..] else { panic!("one") };
    assert_eq!(at.number, 4);
    assert_eq!(numbers(&log, &[seen("2", "k"), seen("3", "k"), seen("4", "k")]).await, [5, 4, 3]);
    assert_eq!(ids(&log, "alpha").await, ["1", "2", "4", "3", "2"]);
}

#[tokio::test]
async fn an_offer_is_stored_whole_or_not_at_all() {
    let folder = TempDir::new().unwrap();
    let log = open(&folder);
    let large = |id: &str| Event {
        data: serde_json::value::to_raw_value(&"x".repeat(100_000)).unwrap(),
        ..seen(id, "k")
    };
    assert_eq!(numbers(&log, &[seen("1", "k")]).await, [1]);
    log.file.on_writer(|sql| limit_pages(sql, 20)).await;
    let refused = log.offer(&topic("alpha"), offer(&[seen("2", "k"), large("3")])).await;
    assert!(refused.unwrap_err().is_environment());
    assert_eq!(ids(&log, "alpha").await, ["1"]);
    log.file.on_writer(|sql| limit_pages(sql, 1_000_000)).await;
    // What was not acknowledged is no second copy.
    assert_eq!(numbers(&log, &[large("3"), seen("2", "k")]).await, [2, 3]);
    assert_eq!(log.check().damage.len(), 0);
}

#[test]
fn what_cannot_be_stored_is_named_by_its_place() {
    let refused = |events: &[Event]| Offer::new(events).map(drop).map_err(|it| (it.at, it.error));
    let long = Event { id: "x".repeat(1025), ..seen("", "k") };
    let (at, error) = refused(&[seen("1", "k"), long]).unwrap_err();
    assert!(matches!((at, error), (1, Error::Limit { field: "id", .. })));
    let large = Event {
        data: serde_json::value::to_raw_value(&"x".repeat(EVENT_BYTES_MAX)).unwrap(),
        ..seen("1", "k")
    };
    let (at, error) = refused(&[seen("1", "k"), seen("2", "k"), large]).unwrap_err();
    assert!(matches!((at, error), (2, Error::Limit { field: "event", .. })));
    let many = vec![seen("1", "k"); PUBLISH_MAX];
    assert!(refused(&many).is_ok());
    let (at, error) = refused(&[many, vec![seen("1", "k")]].concat()).unwrap_err();
    assert!(matches!((at, error), (PUBLISH_MAX, Error::Limit { field: "events", .. })));
}

/// Nothing of these types came for this key behind that place.
fn unless(kinds: &[&str], key: &str, after: u64) -> Unless {
    let kinds = kinds.iter().map(|&kind| kind.to_owned()).collect();
    Unless { kinds, key: key.to_owned(), after: after.into() }
}

#[tokio::test]
async fn an_offer_is_refused_by_what_came_for_its_key_behind_a_place() {
    let folder = TempDir::new().unwrap();
    let log = open(&folder);
    let stored = [("A", "k"), ("B", "k"), ("A", "other"), ("C", "k")];
    let stored = (1..).zip(stored).map(|(id, (kind, key))| of("/s", &format!("{id}"), kind, key));
    assert_eq!(numbers(&log, &stored.collect::<Vec<_>>()).await, [1, 2, 3, 4]);
    // Which of them stand against a condition.
    let table: [(&[&str], &str, u64, &[u64]); 9] = [
        (&["A"], "k", 0, &[1]),
        (&["A"], "k", 1, &[]),
        (&["A", "B", "C"], "k", 0, &[1, 2, 4]),
        (&["A", "B", "C"], "k", 2, &[4]),
        (&["A", "B", "C"], "k", 4, &[]),
        (&["A"], "other", 0, &[3]),
        (&["B"], "other", 0, &[]),
        (&["A"], "nobody", 0, &[]),
        (&["D"], "k", 0, &[]),
    ];
    for (at, (kinds, key, after, expected)) in table.into_iter().enumerate() {
        let event = [of("/s", &format!("n{at}"), "New", key)];
        let conditional = offer(&event).unless(unless(kinds, key, after)).unwrap();
        let came: Vec<u64> = match log.offer(&topic("alpha"), conditional).await.unwrap() {
            Outcome::Came(came) => came.into_iter().map(|Came { at, .. }| at.number).collect(),
            Outcome::Stored(_) | Outcome::Others => Vec::new(),
        };
        assert_eq!(came, expected, "{kinds:?} {key} {after}");
    }
}

#[tokio::test]
async fn of_many_who_claim_a_name_at_once_one_has_it_and_is_told_so_again() {
    let folder = TempDir::new().unwrap();
    let log = Arc::new(open(&folder));
    let claim = |id: String| {
        let log = Arc::clone(&log);
        async move {
            let event = [of("/accounts", &id, "Claimed", "gildong")];
            let conditional = offer(&event).unless(unless(&["Claimed"], "gildong", 0)).unwrap();
            places(&log, "alpha", conditional).await
        }
    };
    let all = (0..50).map(|id| claim(id.to_string()));
    let told = futures_util::future::join_all(all).await;
    let winners: Vec<usize> = (0..50).filter(|at| told[*at].is_some()).collect();
    let &[winner] = &winners[..] else { panic!("{winners:?}") };
    // His own event is no reason to refuse him, whatever came since.
    let again = claim(winner.to_string()).await;
    assert_eq!(again, told[winner]);
    assert_eq!(claim("late".to_owned()).await, None);
    assert_eq!(ids(&log, "alpha").await.len(), 1);
}

#[tokio::test]
async fn a_condition_looks_at_so_many_events_and_no_more() {
    let folder = TempDir::new().unwrap();
    let log = open(&folder);
    let ask = async |kind: &str, after: u64| {
        let conditional = offer(&[seen("new", "k")]).unless(unless(&[kind], "k", after)).unwrap();
        log.offer(&topic("alpha"), conditional).await
    };
    let events: Vec<Event> = (0..LOOKED_AT_MAX).map(|id| seen(&id.to_string(), "k")).collect();
    numbers(&log, &events).await;
    let Ok(Outcome::Came(came)) = ask("Seen", 0).await else { panic!("all of them came") };
    assert_eq!(came.len(), CAME_MAX);
    numbers(&log, &[seen("one more", "k")]).await;
    let refused = ask("Seen", 0).await;
    assert!(matches!(refused, Err(Error::Limit { field: "events", .. })), "{refused:?}");
    // It was alone with that: others are stored, and so is this with a later place.
    assert!(matches!(ask("Other", 1).await, Ok(Outcome::Stored(_))));
    let types = |count| unless(&vec!["T"; count], "k", 0);
    assert!(offer(&[]).unless(types(TYPES_MAX)).is_ok());
    assert!(matches!(offer(&[]).unless(types(TYPES_MAX + 1)), Err(Error::Limit { .. })));
}

/// An event of so many bytes and some more.
fn heavy(id: &str, bytes: usize) -> Event {
    let data = RawValue::from_string(format!("\"{}\"", "a".repeat(bytes))).expect("a text");
    Event { data, ..seen(id, "k") }
}

#[tokio::test]
async fn a_condition_looks_at_so_many_bytes_and_is_answered_with_fewer() {
    const HALF: usize = CAME_BYTES_MAX / 2;
    let folder = TempDir::new().unwrap();
    let log = open(&folder);
    let ask = async |kind: &str, after: u64| {
        let conditional = offer(&[seen("new", "k")]).unless(unless(&[kind], "k", after)).unwrap();
        log.offer(&topic("alpha"), conditional).await
    };
    let came = async |after: u64| match ask("Seen", after).await {
        Ok(Outcome::Came(came)) => came.iter().map(|it| it.at.number).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    let sizes = [HALF, HALF - 2048, HALF, HALF];
    let first = sizes.iter().enumerate().map(|(at, bytes)| heavy(&format!("f{at}"), *bytes));
    numbers(&log, &first.collect::<Vec<_>>()).await;
    assert_eq!(came(0).await, [1, 2], "two have room");
    assert_eq!(came(2).await, [3], "two have none");
    // Each has a little more than its data, so as many as would fit without that are too many.
    let count = LOOKED_AT_BYTES_MAX / HALF;
    for batch in 0..count / 8 {
        let events = (0..8).map(|at| heavy(&format!("{batch}.{at}"), HALF));
        numbers(&log, &events.collect::<Vec<_>>()).await;
    }
    let before = sizes.len() as u64;
    let refused = ask("Other", before).await;
    assert!(matches!(refused, Err(Error::Limit { field: "bytes", .. })), "{refused:?}");
    // What is false is false, however much there is behind what makes it so.
    assert_eq!(came(before).await, [before + 1]);
    assert!(matches!(ask("Other", before + 1).await, Ok(Outcome::Stored(_))));
}

#[tokio::test]
async fn an_offer_to_nothing_is_refused_and_an_empty_one_stores_nothing() {
    let folder = TempDir::new().unwrap();
    let log = open(&folder);
    let refused = log.offer(&topic("nowhere"), offer(&[seen("1", "k")])).await;
    assert!(matches!(refused, Err(Error::UnknownTopic)));
    assert_eq!(numbers(&log, &[]).await, [0; 0]);
    log.close().await;
    assert!(matches!(log.offer(&topic("alpha"), offer(&[])).await, Err(Error::Closed)));
}
