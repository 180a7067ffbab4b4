//! The feed after a position, and being woken for it.

use std::time::Duration;

use events::FeedPosition;
use serde_json::{Value, json};
use yeoul_views::{Changes, OWNER_BYTES_KEPT, OWNER_CHANGES_KEPT, Slice};

use crate::mall::{Mall, block_on, event, order};

fn position(mall: &Mall, owner: &str) -> FeedPosition {
    block_on(mall.views.page(&mall.my_page(), owner, Slice::first(1))).expect("a page").position
}

fn changes(mall: &Mall, owner: &str, after: &FeedPosition) -> Option<Vec<(String, Value)>> {
    match block_on(mall.views.changes(&mall.my_page(), owner, after, 100)).expect("a read") {
        Changes::TooOld => None,
        Changes::Some(changes) => {
            Some(changes.into_iter().map(|change| (change.kind, change.row)).collect())
        }
    }
}

fn placed(id: u64, owner: &str) -> events::Event {
    event("order", id, "OrderPlaced", order(id, owner, 1, 1))
}

#[test]
fn the_feed_goes_on_from_a_page_without_a_gap() {
    let mall = Mall::new();
    mall.give(&[placed(1, "a@b")]);
    let start = position(&mall, "a@b");
    assert_eq!(changes(&mall, "a@b", &start), Some(vec![]));
    mall.give(&[placed(2, "a@b"), placed(3, "other@b")]);
    mall.give(&[event("order", 4, "OrderConfirmed", order(2, "a@b", 1, 1))]);
    let seen = changes(&mall, "a@b", &start).expect("not too old");
    let recorded: Vec<(&str, &Value)> =
        seen.iter().map(|(kind, row)| (kind.as_str(), row)).collect();
    let shown = mall.json("a@b")["orders"][0].clone();
    assert_eq!(recorded.len(), 3, "{recorded:?}");
    assert_eq!((recorded[0].0, &recorded[0].1["orderState"]), ("order", &json!("PENDING")));
    assert_eq!(recorded[1], ("order", &shown));
    assert_eq!(recorded[2], ("customer", &json!({"nickname": "", "address": "", "mileage": 1000})));
    assert_eq!(changes(&mall, "a@b", &position(&mall, "a@b")), Some(vec![]));
}

#[test]
fn each_change_is_a_place_to_go_on_from() {
    let mall = Mall::new();
    let start = position(&mall, "a@b");
    mall.give(&[placed(1, "a@b"), placed(2, "a@b"), placed(3, "a@b")]);
    let (page, mut after) = (mall.my_page(), start);
    let mut seen = Vec::new();
    while let Changes::Some(one) =
        block_on(mall.views.changes(&page, "a@b", &after, 1)).expect("a read")
    {
        let Some(change) = one.into_iter().next() else { break };
        assert!(change.position.sequence > after.sequence);
        after = change.position;
        seen.push(change.row["orderId"].clone());
    }
    assert_eq!(seen, [json!(1), json!(2), json!(3)]);
}

#[test]
fn a_row_that_is_taken_away_is_told_as_its_key() {
    let mall = Mall::new();
    mall.give(&[placed(1, "a@b")]);
    let start = position(&mall, "a@b");
    mall.give(&[event("order", 2, "OrderForgotten", json!({"orderId": 1}))]);
    let gone = ("order".to_owned(), json!({"orderId": 1, "deleted": true}));
    assert_eq!(changes(&mall, "a@b", &start), Some(vec![gone]));
}

#[test]
fn a_position_of_another_feed_is_too_old() {
    let mall = Mall::new();
    mall.give(&[placed(1, "a@b")]);
    let other = FeedPosition { feed: "another".to_owned(), sequence: 1 };
    assert_eq!(changes(&mall, "a@b", &other), None);
}

/// Orders of one owner from `first` on, so many, in batches of a subscription's size.
fn flood(mall: &Mall, first: u64, count: u64, owner: &str) {
    let ids: Vec<u64> = (first..first + count).collect();
    for ids in ids.chunks(256) {
        mall.give(&ids.iter().map(|&id| placed(id, owner)).collect::<Vec<_>>());
    }
}

#[test]
fn an_owner_keeps_the_newest_changes_and_what_was_forgotten_is_too_old() {
    let mall = Mall::new();
    let most = 2 * OWNER_CHANGES_KEPT;
    mall.give(&[placed(1, "a@b")]);
    let first = position(&mall, "a@b");
    let old = FeedPosition { sequence: 0, ..first.clone() };
    flood(&mall, 2, most - 1, "a@b");
    assert!(changes(&mall, "a@b", &old).is_some(), "at the limit");
    mall.give(&[placed(most + 1, "a@b")]);
    assert_eq!(changes(&mall, "a@b", &first), None, "one past it");
    let kept = most + 1 - OWNER_CHANGES_KEPT;
    let oldest = FeedPosition { sequence: kept, ..first.clone() };
    let ids = |seen: Vec<(String, Value)>| seen[0].1["orderId"].as_u64();
    assert_eq!(changes(&mall, "a@b", &oldest).map(ids), Some(Some(kept + 1)));
    let older = FeedPosition { sequence: kept - 1, ..first };
    assert_eq!(changes(&mall, "a@b", &older), None);
}

#[test]
fn an_owner_keeps_so_many_bytes() {
    let mall = Mall::new();
    let large = |id: u64| {
        let mut data = order(id, "a@b", 1, 1);
        data["productName"] = json!("x".repeat(OWNER_BYTES_KEPT as usize / 8));
        event("order", id, "OrderPlaced", data)
    };
    let start = position(&mall, "a@b");
    (1..=15).for_each(|id| mall.give(&[large(id)]));
    assert_eq!(changes(&mall, "a@b", &start).map(|seen| seen.len()), Some(15));
    mall.give(&[large(16)]);
    assert_eq!(changes(&mall, "a@b", &start), None);
    let place = |sequence| FeedPosition { sequence, ..start.clone() };
    assert_eq!(changes(&mall, "a@b", &place(9)).map(|seen| seen.len()), Some(7));
    assert_eq!(changes(&mall, "a@b", &place(8)), None);
}

#[test]
fn a_flood_by_others_costs_nobody_a_change() {
    let mall = Mall::new();
    mall.give(&[placed(1, "quiet@b")]);
    let start = FeedPosition { sequence: 0, ..position(&mall, "quiet@b") };
    for round in 0..6 {
        flood(&mall, 10_000 * (round + 1), 2_100, &format!("loud{round}@b"));
    }
    mall.give(&[placed(2, "quiet@b")]);
    let seen = changes(&mall, "quiet@b", &start).expect("not too old");
    let ids: Vec<&Value> = seen.iter().map(|(_, row)| &row["orderId"]).collect();
    assert_eq!(ids, [&json!(1), &json!(2)]);
}

#[test]
fn a_feed_that_was_set_back_is_too_old() {
    let mall = Mall::new();
    mall.give(&[placed(1, "a@b")]);
    let there = position(&mall, "a@b");
    assert_eq!(changes(&mall, "a@b", &there), Some(vec![]));
    let later = FeedPosition { sequence: there.sequence + 1, ..there };
    assert_eq!(changes(&mall, "a@b", &later), None, "nobody has been told that yet");
}

#[test]
fn a_join_tells_its_rows_up_to_a_limit_and_starts_the_feed_anew_past_it() {
    let changed = |sequence, url: &str| {
        event("product", sequence, "ProductChanged", json!({"productId": 1, "imageUrl": url}))
    };
    for (rows, kept) in [(1000, true), (1001, false)] {
        let mall = Mall::new();
        let many: Vec<_> = (1..=rows).map(|id| placed(id, "a@b")).collect();
        mall.give(&many);
        let other = position(&mall, "other@b");
        mall.give(&[event("order", 5000, "OrderPlaced", order(5000, "other@b", 2, 1))]);
        let start = position(&mall, "a@b");
        let version = mall.json("a@b")["version"].as_u64().expect("a number");
        mall.give(&[changed(1, "/new.png")]);
        let page = mall.json("a@b");
        assert_eq!(page["version"], json!(version + 1));
        assert_eq!(page["orders"][99]["imageUrl"], json!("/new.png"));
        let seen = changes(&mall, "a@b", &start);
        assert_eq!(seen.as_ref().map(Vec::len), kept.then_some(100), "{rows}");
        let others = changes(&mall, "other@b", &other).expect("another owner's feed goes on");
        assert_eq!(others.len(), 1);
        assert_eq!(changes(&mall, "a@b", &position(&mall, "a@b")), Some(vec![]));
    }
}

#[test]
fn a_commit_wakes_its_owner_and_is_never_missed() {
    let mall = Mall::new();
    let mut watch = mall.views.watch(&mall.my_page(), "a@b");
    mall.give(&[placed(1, "a@b")]);
    let woken = |watch: &mut yeoul_views::Watch| {
        block_on(async {
            tokio::time::timeout(Duration::from_millis(50), watch.changed()).await.is_ok()
        })
    };
    assert!(woken(&mut watch), "woken before it was asked");
    assert!(!woken(&mut watch), "nothing since");
    let later = std::thread::scope(|scope| {
        scope.spawn(|| mall.give(&[placed(2, "a@b")]));
        let limit = Duration::from_secs(30);
        block_on(async { tokio::time::timeout(limit, watch.changed()).await.is_ok() })
    });
    assert!(later, "woken while it waited");
}
