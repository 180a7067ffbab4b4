//! The statements against the engine: its plans, not its speed.

use std::sync::Arc;

use events::store::Bind;
use rusqlite::Connection;

use super::*;
use crate::owner::{Owner, Owners, OwnersPageRef};
use crate::store::rows::ViewTable;
use crate::store::tests::definitions;
use crate::store::{feed, joined, read};
use crate::value::Value;
use crate::view::SortOrder;

async fn plan(store: &Store, statement: &str) -> String {
    let explain = format!("EXPLAIN QUERY PLAN {statement}");
    let plan = store.database.read(&explain, |explain, rows| {
        Box::pin(async move {
            let values = explain.split('?').skip(1).filter_map(number).max().unwrap_or(0);
            let nothing: Vec<&dyn Bind> = vec![&None::<u64>; values];
            rows.all(explain, &nothing, |row| row.get::<String>(3)).await
        })
    });
    let plan: Result<Vec<String>, events::Error> = plan.await;
    plan.expect("a plan").join("; ")
}

/// The number that a text begins with.
fn number(text: &str) -> Option<usize> {
    let end = text.find(|one: char| !one.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().ok()
}

#[tokio::test]
async fn what_is_read_and_changed_is_found_through_an_index_and_never_sorted() {
    let folder = tempfile::tempdir().expect("a folder");
    let definitions = definitions();
    let clock: events::Clock = Arc::new(|| jiff::Timestamp::UNIX_EPOCH);
    let store = open(folder.path(), &definitions, clock).expect("it opens");
    let rows = ViewTable { view: &definitions.views[0], statements: &store.statements[0] };
    let list = |name: &str, descending| {
        let column = rows.view.column(name).expect("a column");
        read::list_statement(rows, true, SortOrder { column, descending })
    };
    let join = &rows.view.joins[0];
    let cases = [
        (list("id", false), "rows by id"),
        (list("id", true), "rows by id"),
        (list("at", true), "rows by at"),
        (rows.spread_statement(join, &join.sets), "rows join 0"),
    ];
    for (statement, index) in cases {
        let plan = plan(&store, &statement).await;
        let sound =
            plan.contains(&format!("USING INDEX {index} (")) && !plan.contains("TEMP B-TREE");
        assert!(sound, "{statement}: {plan}");
    }
}

#[tokio::test]
async fn a_file_of_an_earlier_shape_is_made_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let definitions = definitions();
    let clock = |seconds| -> events::Clock {
        Arc::new(move || jiff::Timestamp::from_second(seconds).expect("a time"))
    };
    let first = open(folder.path(), &definitions, clock(1)).expect("it opens");
    let (feed_id, database) = (first.feed_id, first.database);
    drop(database);
    let again = open(folder.path(), &definitions, clock(2)).expect("it opens");
    assert_eq!(again.feed_id, feed_id, "the same shape goes on");
    drop(again);
    let sql = Connection::open(folder.path().join("views.db")).expect("it opens");
    sql.execute_batch(
        "UPDATE meta SET definition = '1' || substr(definition, 2); DROP TABLE owner;
         CREATE TABLE owner (owner TEXT PRIMARY KEY, version INTEGER, position INTEGER);",
    )
    .expect("an older file");
    drop(sql);
    let anew = open(folder.path(), &definitions, clock(3)).expect("it opens");
    assert_ne!(anew.feed_id, feed_id);
    let nobody = OwnersPageRef { page: 0, owner: Owner::Text("a") };
    let read = anew.database.read(&nobody, |&nobody, rows| Box::pin(feed::known(rows, nobody)));
    assert_eq!(read.await.expect("the present tables"), None);
}

#[tokio::test]
async fn a_file_of_the_shape_before_keeps_its_rows_and_its_feed() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("views.db");
    let clock = |seconds| -> events::Clock {
        Arc::new(move || jiff::Timestamp::from_second(seconds).expect("a time"))
    };
    let feed_id = open(folder.path(), &definitions(), clock(1)).expect("it opens").feed_id;
    let sql = Connection::open(&file).expect("it opens");
    sql.execute_batch(
        "ALTER TABLE joined RENAME COLUMN set_columns TO said;
         UPDATE meta SET definition = '2' || substr(definition, 2);
         INSERT INTO joined VALUES ('place', 'value', '[[7]]');",
    )
    .expect("a file of shape 2");
    drop(sql);
    for seconds in [2, 3] {
        let store = open(folder.path(), &definitions(), clock(seconds)).expect("it opens");
        assert_eq!(store.feed_id, feed_id, "the feed goes on");
        let kept = store
            .database
            .read(&1, |&width, rows| Box::pin(joined::load(rows, "place", "value", width)));
        assert_eq!(kept.await.expect("readable"), [Some(Value::Int(7))]);
    }
}

#[tokio::test]
async fn a_restored_file_counts_on_past_what_was_left_out_and_so_does_one_made_anew() {
    const BY: u64 = 1000;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("views.db");
    let clock: events::Clock = Arc::new(|| jiff::Timestamp::UNIX_EPOCH);
    let versions = async || {
        let store = open(folder.path(), &definitions(), clock.clone()).expect("it opens");
        let mut versions = Vec::new();
        for name in ["a", "nobody"] {
            let whose = OwnersPageRef { page: 0, owner: Owner::Text(name) };
            let read = store.database.read(&whose, |&whose, rows| {
                Box::pin(async move {
                    let extent = feed::extent(rows).await?;
                    feed::version(rows, whose, Owners::Text, &extent).await
                })
            });
            let version: Result<feed::Version, events::Error> = read.await;
            versions.push(version.expect("readable").version);
        }
        versions
    };
    assert_eq!(versions().await, [0, 0]);
    let sql = Connection::open(&file).expect("it opens");
    sql.execute("INSERT INTO owner VALUES (0, 'a', 7, 7, 0, 0, 0)", []).expect("an owner");
    drop(sql);
    events::store::upkeep::jump(&file, BY).expect("restored");
    assert_eq!(versions().await, [BY + 7, BY]);
    assert_eq!(versions().await, [BY + 7, BY], "once");
    let sql = Connection::open(&file).expect("it opens");
    sql.execute("UPDATE meta SET definition = 'another'", []).expect("redefined");
    drop(sql);
    assert_eq!(
        versions().await,
        [BY + 7, BY + 7],
        "folded again from the log: no version is shown twice"
    );
}

#[test]
fn a_making_anew_that_was_ended_half_way_is_begun_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let half = ["views.db-new", "views.db-new-journal", "views.db-new-wal"]
        .map(|name| folder.path().join(name));
    let clock: events::Clock = Arc::new(|| jiff::Timestamp::UNIX_EPOCH);
    for definition in ["the same", "another"] {
        drop(open(folder.path(), &definitions(), clock.clone()).expect("it opens"));
        let sql = Connection::open(folder.path().join("views.db")).expect("it opens");
        if definition == "another" {
            sql.execute("UPDATE meta SET definition = 'another'", []).expect("redefined");
        }
        drop(sql);
        half.iter().for_each(|path| std::fs::write(path, "half").expect("written"));
        drop(open(folder.path(), &definitions(), clock.clone()).expect("it opens"));
        assert!(half.iter().all(|path| !path.exists()), "{definition}");
    }
}
