//! The feed after a position, and being woken for it.

use std::time::Duration;

use events::FeedPosition;
use serde_json::{Value, json};
use yeoul_views::{Changes, FEED_KEPT, Slice};

use crate::mall::{Mall, block_on, event, order};

fn position(mall: &Mall, owner: &str) -> FeedPosition {
    mall.views.page(&mall.my_page(), owner, Slice::first(1)).expect("a page").position
}

fn changes(mall: &Mall, owner: &str, after: &FeedPosition) -> Option<Vec<(String, Value)>> {
    match mall.views.changes(owner, after, 100).expect("a read") {
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
    let told: Vec<(&str, &Value)> = seen.iter().map(|(kind, row)| (kind.as_str(), row)).collect();
    let shown = mall.json("a@b")["orders"][0].clone();
    assert_eq!(told.len(), 3, "{told:?}");
    assert_eq!((told[0].0, &told[0].1["orderState"]), ("order", &json!("PENDING")));
    assert_eq!(told[1], ("order", &shown));
    assert_eq!(told[2], ("customer", &json!({"nickname": "", "address": "", "mileage": 1000})));
    assert_eq!(changes(&mall, "a@b", &position(&mall, "a@b")), Some(vec![]));
}

#[test]
fn each_change_is_a_place_to_go_on_from() {
    let mall = Mall::new();
    let start = position(&mall, "a@b");
    mall.give(&[placed(1, "a@b"), placed(2, "a@b"), placed(3, "a@b")]);
    let mut after = start;
    let mut seen = Vec::new();
    while let Changes::Some(one) = mall.views.changes("a@b", &after, 1).expect("a read") {
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

#[test]
fn what_was_pruned_is_too_old_and_a_quiet_owner_is_not() {
    let mall = Mall::new();
    mall.give(&[placed(1, "quiet@b"), placed(2, "a@b")]);
    let (quiet, early) =
        (position(&mall, "quiet@b"), FeedPosition { sequence: 0, ..position(&mall, "a@b") });
    let many: Vec<_> = (3..FEED_KEPT + 2).map(|id| placed(id, "a@b")).collect();
    mall.give(&many);
    let first = FeedPosition { sequence: 1, ..early.clone() };
    assert!(changes(&mall, "a@b", &first).is_some(), "at the limit");
    mall.give(&[placed(FEED_KEPT + 2, "a@b")]);
    assert_eq!(changes(&mall, "a@b", &first), None, "one past it");
    assert_eq!(changes(&mall, "a@b", &early), None);
    assert_eq!(changes(&mall, "quiet@b", &quiet), Some(vec![]));
}

#[test]
fn a_join_tells_its_rows_up_to_a_limit_and_starts_the_feed_anew_past_it() {
    let changed = |sequence, url: &str| {
        event("product", sequence, "ProductChanged", json!({"productId": 1, "imageUrl": url}))
    };
    for (rows, told) in [(1000, true), (1001, false)] {
        let mall = Mall::new();
        let many: Vec<_> = (1..=rows).map(|id| placed(id, "a@b")).collect();
        mall.give(&many);
        let start = position(&mall, "a@b");
        let version = mall.json("a@b")["version"].as_u64().expect("a number");
        mall.give(&[changed(1, "/new.png")]);
        let page = mall.json("a@b");
        assert_eq!(page["version"], json!(version + 1));
        assert_eq!(page["orders"][99]["imageUrl"], json!("/new.png"));
        let seen = changes(&mall, "a@b", &start);
        assert_eq!(seen.as_ref().map(Vec::len), told.then_some(100), "{rows}");
        assert_eq!(changes(&mall, "a@b", &position(&mall, "a@b")), Some(vec![]));
    }
}

#[test]
fn a_commit_wakes_its_owner_and_is_never_missed() {
    let mall = Mall::new();
    let mut watch = mall.views.watch("a@b");
    mall.give(&[placed(1, "a@b")]);
    let woken = |watch: &mut yeoul_views::Watch| {
        block_on(async {
            tokio::time::timeout(Duration::from_millis(50), watch.changed()).await.is_ok()
        })
    };
    assert!(woken(&mut watch), "told before it was asked");
    assert!(!woken(&mut watch), "nothing since");
    let later = std::thread::scope(|scope| {
        scope.spawn(|| mall.give(&[placed(2, "a@b")]));
        let limit = Duration::from_secs(30);
        block_on(async { tokio::time::timeout(limit, watch.changed()).await.is_ok() })
    });
    assert!(later, "told while it waited");
}
