//! The fold does not know where a batch ends: events in one order give the same pages however they
//! are cut into batches, and what the feed told last of every row is what the page shows.
//!
//! The rules are drawn too: rows that move between the groups of two joins, change hands, are
//! counted, taken away and made again, with any of these rules missing.

use std::collections::BTreeMap;

use events::{Event, FeedPosition};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use yeoul_views::{Changes, Slice};

use crate::mall::{Mall, block_on, event, open};

const OWNERS: [&str; 3] = ["a", "b", "7"];

/// What may happen to rows, by event type; those that are left out have no rule.
fn rules(creates_picture: bool) -> Map<String, Value> {
    let by_id = |sets: Value| json!({"update": sets, "where": {"id": "event.id"}});
    let mut create = json!({"id": "event.id", "owner": "event.owner", "group": "event.group",
        "kind": "event.kind", "n": "event.n"});
    if creates_picture {
        create["picture"] = json!("event.picture");
    }
    let rules = json!({
        "Made": {"create": create},
        "Moved": by_id(json!({"group": "event.group"})),
        "Sorted": by_id(json!({"kind": "event.kind", "group": "event.group"})),
        "Given": by_id(json!({"owner": "event.owner"})),
        "Counted": by_id(json!({"n": "event.n"})),
        "Gone": {"delete": true, "where": {"id": "event.id"}},
        "Painted": {"update": {"picture": "event.picture"}, "where": {"group": "event.group"}},
        "Named": {"update": {"label": "event.picture"},
            "where": {"group": "event.group", "kind": "event.kind"}},
    });
    rules.as_object().expect("a map").clone()
}

fn settings(rules: &Map<String, Value>) -> Value {
    json!({
        "views": {
            "rows": {"topics": ["order"], "key": "id", "owner": "owner", "on": rules,
                "computed": {"double": "(n or 0) * 2"}},
            "heads": {"topics": ["account"], "key": "name", "owner": "name",
                "on": {"Joined": {"create": {"name": "event.owner", "nick": "event.picture"}}},
                "sums": {"total": {"of": "rows.double", "where": {"owner": "name"}}}},
        },
        "pages": {
            "page": {"path": "/p/{name}", "view": "rows", "by": "owner", "head": "heads",
                "private": true, "size": 100, "template": "t", "list": "rows",
                "live": {"row": "row", "head": "head"}},
            "newest": {"path": "/n/{name}", "view": "rows", "by": "owner", "order": "n desc",
                "private": false, "size": 100, "template": "t", "live": {"row": "row"}},
        },
    })
}

/// A group is a number, one that only equals it, or text: three groups.
fn group() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![json!(1), json!(2), json!(1.0), json!("1"), json!(0.0), json!(-0.0)])
}

fn happening() -> impl Strategy<Value = (&'static str, Value)> {
    let kinds = vec![
        "Made", "Made", "Moved", "Moved", "Sorted", "Given", "Counted", "Gone", "Painted",
        "Painted", "Named", "Joined", "Nothing",
    ];
    let picture = prop::sample::select(vec![
        json!("x"),
        json!("y"),
        json!(null),
        json!(1),
        json!(1.0),
        json!(true),
        json!(0.0),
        json!(-0.0),
        json!(8.533_279_391_285_17e-287),
        json!(9_007_199_254_740_993_i64),
    ]);
    let owner = prop::sample::select(OWNERS.map(|owner| json!(owner)).to_vec());
    let data = (1..=4_u64, owner, group(), prop::sample::select(vec!["u", "v"]), 0..5_i64, picture);
    (prop::sample::select(kinds), data).prop_map(|(kind, (id, owner, group, sort, n, picture))| {
        (
            kind,
            json!({"id": id, "owner": owner, "group": group, "kind": sort, "n": n,
            "picture": picture}),
        )
    })
}

fn events(happenings: &[(&str, Value)]) -> Vec<Event> {
    let numbered = (1..).zip(happenings);
    numbered.map(|(at, (kind, data))| event("order", at, kind, data.clone())).collect()
}

/// Everything that is shown, without what counts deliveries.
fn shown(mall: &Mall) -> Vec<Value> {
    let mut all = Vec::new();
    for page in mall.views.pages() {
        for owner in OWNERS {
            let shown = block_on(mall.views.page(page, owner, Slice { page: 0, size: 100 }))
                .expect("a page");
            let Value::Object(mut members) = shown.json else { panic!("a page is a map") };
            members.remove("version");
            members.remove("position");
            all.push(Value::Object(members));
        }
    }
    all
}

/// What a reader who followed the feed from its beginning has of each page's rows.
fn followed(mall: &Mall) -> Vec<BTreeMap<String, Value>> {
    let mut all = Vec::new();
    for page in mall.views.pages() {
        for owner in OWNERS {
            let at =
                block_on(mall.views.page(page, owner, Slice::first(1))).expect("a page").position;
            let start = FeedPosition { sequence: 0, ..at };
            let changes = block_on(mall.views.changes(page, owner, &start, 1000)).expect("a read");
            let Changes::Some(changes) = changes else { panic!("too old") };
            let mut rows = BTreeMap::new();
            for change in changes.into_iter().filter(|change| change.kind == "row") {
                let id = change.row["id"].to_string();
                if change.row["deleted"] == json!(true) {
                    rows.remove(&id);
                } else {
                    rows.insert(id, change.row);
                }
            }
            all.push(rows);
        }
    }
    all
}

fn listed(shown: &[Value]) -> Vec<BTreeMap<String, Value>> {
    let rows = |page: &Value| {
        let rows = page["rows"].as_array().expect("a list").iter();
        rows.map(|row| (row["id"].to_string(), row.clone())).collect()
    };
    shown.iter().map(rows).collect()
}

fn world(settings: &Value, events: &[Event], mut cut: impl FnMut() -> usize) -> Mall {
    let folder = tempfile::tempdir().expect("a folder");
    let mall = Mall { views: open(folder.path(), settings), folder };
    let mut rest = events;
    while !rest.is_empty() {
        let (batch, after) = rest.split_at(cut().clamp(1, rest.len()));
        mall.give(batch);
        rest = after;
    }
    mall
}

fn check(settings: &Value, happenings: &[(&str, Value)], cuts: &[usize]) {
    let events = events(happenings);
    let apart = world(settings, &events, || 1);
    let expected = shown(&apart);
    let mut cuts = cuts.iter().cycle();
    let cut = world(settings, &events, || *cuts.next().expect("endless"));
    let whole = world(settings, &events, || events.len());
    for (how, mall) in [("apart", apart), ("cut", cut), ("whole", whole)] {
        let shown = shown(&mall);
        assert_eq!(shown, expected, "{how}: {happenings:?}");
        assert_eq!(followed(&mall), listed(&shown), "{how}, followed live: {happenings:?}");
    }
}

fn all_rules() -> Value {
    settings(&rules(true))
}

#[test]
fn a_row_that_moves_does_not_take_the_picture_its_old_group_gets() {
    let row = |id: u64, group: u64| {
        json!({"id": id, "owner": "a", "group": group, "kind": "u", "n": 1,
        "picture": format!("old{group}")})
    };
    let paint = |group: u64| json!({"group": group, "picture": format!("new{group}")});
    let made = [("Made", row(1, 1))];
    let after: [&[(&str, Value)]; 4] = [
        &[("Moved", json!({"id": 1, "group": 2})), ("Painted", paint(1))],
        &[("Painted", paint(1)), ("Moved", json!({"id": 1, "group": 2}))],
        &[("Moved", json!({"id": 1, "group": 2})), ("Painted", paint(2)), ("Painted", paint(1))],
        &[("Painted", paint(2)), ("Moved", json!({"id": 1, "group": 2})), ("Painted", paint(1))],
    ];
    for after in after {
        let happenings = [&made[..], after].concat();
        // In one batch with its creation, and in one after it.
        check(&all_rules(), &happenings, &[1, 9]);
    }
}

#[test]
fn what_is_told_last_of_a_row_is_what_it_is() {
    let row = json!({"id": 1, "owner": "a", "group": 1, "kind": "u", "n": 1, "picture": "old"});
    let happenings = [
        ("Made", row),
        ("Painted", json!({"group": 1, "picture": "new"})),
        ("Counted", json!({"id": 1, "n": 2})),
    ];
    check(&all_rules(), &happenings, &[1, 2]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: crate::place::CASES, ..ProptestConfig::default() })]

    #[test]
    fn the_fold_does_not_know_where_a_batch_ends(
        creates_picture in any::<bool>(),
        missing in prop::collection::vec(prop::sample::select(
            vec!["Moved", "Sorted", "Given", "Counted", "Gone", "Painted", "Named"]), 0..3),
        happenings in prop::collection::vec(happening(), 1..24),
        cuts in prop::collection::vec(1..7_usize, 1..8),
    ) {
        let mut rules = rules(creates_picture);
        missing.into_iter().for_each(|name| drop(rules.remove(name)));
        check(&settings(&rules), &happenings, &cuts);
    }
}
