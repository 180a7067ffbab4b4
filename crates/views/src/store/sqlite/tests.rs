//! The statements against the engine: its plans, not its speed.

use std::sync::Arc;

use serde_json::json;

use super::rows::Stored;
use super::*;
use crate::feed::CHANGE_BYTES;
use crate::owner::{Owner, Owners, Whose};
use crate::settings::Settings;
use crate::value::Value;
use crate::view::SortOrder;

/// A view with a key, a list sorted by another column, and a join.
fn definitions() -> Definitions {
    let settings = json!({
        "views": {"rows": {
            "topics": ["t"], "key": "id", "owner": "owner",
            "on": {
                "Made": {"create": {"id": "event.id", "owner": "event.owner", "at": "time",
                    "kind": "event.kind", "picture": "event.picture"}},
                "KindChanged": {"update": {"picture": "event.picture"},
                    "where": {"kind": "event.kind"}},
            },
        }},
        "pages": {"page": {"path": "/{owner}", "view": "rows", "by": "owner", "order": "at desc",
            "template": "t"}},
    });
    let settings: Settings = serde_json::from_value(settings).expect("settings");
    Definitions::compile(&settings, &|_| Ok(String::new())).expect("no mistakes")
}

fn plan(store: &Store, statement: &str) -> String {
    let plan = Tables::read(&store.database, |sql| {
        let mut explain = sql.prepare(&format!("EXPLAIN QUERY PLAN {statement}"))?;
        let mut rows = explain.raw_query();
        let mut plan = Vec::new();
        while let Some(row) = rows.next()? {
            plan.push(row.get::<_, String>(3)?);
        }
        Ok::<_, events::Error>(plan.join("; "))
    });
    plan.expect("a plan")
}

#[test]
fn what_is_read_and_changed_is_found_through_an_index_and_never_sorted() {
    let folder = tempfile::tempdir().expect("a folder");
    let definitions = definitions();
    let clock: events::Clock = Arc::new(|| jiff::Timestamp::UNIX_EPOCH);
    let store = open(folder.path(), &definitions, clock).expect("it opens");
    let rows = Stored { view: &definitions.views[0], statements: &store.statements[0] };
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
        let plan = plan(&store, &statement);
        let sound =
            plan.contains(&format!("USING INDEX {index} (")) && !plan.contains("TEMP B-TREE");
        assert!(sound, "{statement}: {plan}");
    }
}

#[test]
fn a_file_of_an_earlier_shape_is_made_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let definitions = definitions();
    let clock = |seconds| -> events::Clock {
        Arc::new(move || jiff::Timestamp::from_second(seconds).expect("a time"))
    };
    let first = open(folder.path(), &definitions, clock(1)).expect("it opens");
    let (epoch, database) = (first.epoch, first.database);
    drop(database);
    let again = open(folder.path(), &definitions, clock(2)).expect("it opens");
    assert_eq!(again.epoch, epoch, "the same shape goes on");
    drop(again);
    let sql = Connection::open(folder.path().join("views.db")).expect("it opens");
    sql.execute_batch(
        "UPDATE meta SET definition = '1' || substr(definition, 2); DROP TABLE owner;
         CREATE TABLE owner (owner TEXT PRIMARY KEY, version INTEGER, position INTEGER);",
    )
    .expect("an older file");
    drop(sql);
    let anew = open(folder.path(), &definitions, clock(3)).expect("it opens");
    assert_ne!(anew.epoch, epoch);
    let nobody = Tables::read(&anew.database, |sql| {
        let whose = Whose { page: 0, owner: Owner::Text("a") };
        feed::known(sql, whose)
    });
    assert_eq!(nobody.expect("the present tables"), None);
}

#[test]
fn a_file_of_the_shape_before_keeps_its_rows_and_its_feed() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("views.db");
    let clock = |seconds| -> events::Clock {
        Arc::new(move || jiff::Timestamp::from_second(seconds).expect("a time"))
    };
    let epoch = open(folder.path(), &definitions(), clock(1)).expect("it opens").epoch;
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
        assert_eq!(store.epoch, epoch, "the feed goes on");
        let kept = Tables::read(&store.database, |sql| joined::load(sql, "place", "value", 1));
        assert_eq!(kept.expect("readable"), [Some(Value::Int(7))]);
    }
}

/// A feed of its own, with so small a bound that a test reaches it.
struct Feed {
    sql: Connection,
    bytes_max: u64,
    _folder: tempfile::TempDir,
}

impl Feed {
    fn new(bytes_max: u64) -> Feed {
        let folder = tempfile::tempdir().expect("a folder");
        let clock: events::Clock = Arc::new(|| jiff::Timestamp::UNIX_EPOCH);
        drop(open(folder.path(), &definitions(), clock).expect("it opens"));
        let sql = Connection::open(folder.path().join("views.db")).expect("it opens");
        Feed { sql, bytes_max, _folder: folder }
    }

    /// Adds one change of `owner`, as the end of a batch does; what it takes.
    fn add(&self, owner: &str, row: &str) -> u64 {
        let whose = Whose { page: 0, owner: Owner::Text(owner) };
        let mut extent = feed::extent(Tables(&self.sql)).expect("an extent");
        let known = feed::version(Tables(&self.sql), whose, Owners::Text, &extent);
        let mut version = known.expect("a version");
        let change = feed::Written { kind: "row", row };
        extent.append(Tables(&self.sql), whose, &mut version, change).expect("it is added");
        version.save(Tables(&self.sql), whose, &mut extent).expect("it is kept");
        extent.save(Tables(&self.sql), self.bytes_max).expect("it is kept");
        ("row".len() + row.len() + whose.owner.weight() + CHANGE_BYTES) as u64
    }

    /// The places kept, and what they take.
    fn kept(&self) -> (Vec<u64>, u64) {
        let mut select = self.sql.prepare("SELECT sequence, bytes FROM change ORDER BY sequence");
        let rows = select.as_mut().expect("a statement").query_map([], |row| {
            Ok((row.get::<_, i64>(0)?.cast_unsigned(), row.get::<_, i64>(1)?.cast_unsigned()))
        });
        let rows: Vec<(u64, u64)> = rows.expect("rows").map(|row| row.expect("a row")).collect();
        let bytes = rows.iter().map(|(_, bytes)| bytes).sum();
        (rows.into_iter().map(|(sequence, _)| sequence).collect(), bytes)
    }

    /// The places of an owner's changes that can still be followed.
    fn of(&self, owner: &str) -> Vec<u64> {
        let whose = Whose { page: 0, owner: Owner::Text(owner) };
        let newest =
            feed::known(Tables(&self.sql), whose).expect("a read").expect("known").position;
        let floor = feed::extent(Tables(&self.sql)).expect("an extent").floor;
        let changes =
            feed::changes(Tables(&self.sql), whose, newest, floor, 1_000).expect("a read");
        changes.into_iter().map(|kept| kept.sequence).collect()
    }
}

#[test]
fn all_owners_together_keep_so_many_bytes_and_the_oldest_go_first() {
    let one = Feed::new(u64::MAX).add("a", "0123456789");
    let feed = Feed::new(10 * one);
    for sequence in 1..=10 {
        feed.add(if sequence % 2 == 0 { "a" } else { "b" }, "0123456789");
    }
    assert_eq!(feed.kept(), ((1..=10).collect(), 10 * one), "at the limit");
    feed.add("b", "0123456789");
    assert_eq!(feed.kept(), ((2..=11).collect(), 10 * one), "one past it");
    assert_eq!(feed::extent(Tables(&feed.sql)).expect("an extent").floor, 1);
    // A larger one makes as much room as it needs, and no more; nobody's place in between is lost.
    feed.add("a", &"x".repeat(usize::try_from(3 * one).expect("small")));
    let (places, bytes) = feed.kept();
    assert!(bytes <= feed.bytes_max && bytes > feed.bytes_max - one, "{bytes}");
    assert_eq!(places.last(), Some(&12));
    let floor = feed::extent(Tables(&feed.sql)).expect("an extent").floor;
    assert_eq!(places.first(), Some(&(floor + 1)));
    let (of_a, of_b) = (feed.of("a"), feed.of("b"));
    assert!(of_a.iter().all(|place| place % 2 == 0) && of_a.last() == Some(&12), "{of_a:?}");
    let mut all = [of_a, of_b].concat();
    all.sort_unstable();
    assert_eq!(all, places, "whoever is at the floor misses nothing");
}

#[test]
fn a_flood_of_any_owners_never_keeps_more_than_the_bound() {
    let feed = Feed::new(20_000);
    for round in 0..2_000_usize {
        let row = "x".repeat(round * 37 % 900);
        feed.add(&format!("owner{}", round % 7), &row);
        assert!(feed.kept().1 <= feed.bytes_max, "round {round}");
    }
    let extent = feed::extent(Tables(&feed.sql)).expect("an extent");
    assert_eq!(extent.sequence, 2_000);
    assert!(extent.floor > 1_900, "{extent:?}");
}

#[test]
fn a_change_larger_than_the_bound_is_forgotten_itself_and_stops_nothing() {
    let feed = Feed::new(100);
    feed.add("a", &"x".repeat(1_000));
    assert_eq!(feed.kept(), (Vec::new(), 0));
    assert_eq!(
        feed::extent(Tables(&feed.sql)).expect("an extent").floor,
        1,
        "who was before it reads the page"
    );
    feed.add("a", "y");
    assert_eq!(feed.of("a"), [2]);
}

#[test]
fn a_restored_file_counts_on_past_what_was_left_out_and_so_does_one_made_anew() {
    const BY: u64 = 1000;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("views.db");
    let clock: events::Clock = Arc::new(|| jiff::Timestamp::UNIX_EPOCH);
    let versions = || {
        let store = open(folder.path(), &definitions(), clock.clone()).expect("it opens");
        let read = Tables::read(&store.database, |sql| {
            let extent = feed::extent(sql)?;
            let version = |name| {
                let whose = Whose { page: 0, owner: Owner::Text(name) };
                feed::version(sql, whose, Owners::Text, &extent)
            };
            Ok::<_, events::Error>([version("a")?.version, version("nobody")?.version])
        });
        read.expect("readable")
    };
    assert_eq!(versions(), [0, 0]);
    let sql = Connection::open(&file).expect("it opens");
    sql.execute("INSERT INTO owner VALUES (0, 'a', 7, 7, 0, 0, 0)", []).expect("an owner");
    drop(sql);
    events::store::upkeep::jump(&file, BY).expect("restored");
    assert_eq!(versions(), [BY + 7, BY]);
    assert_eq!(versions(), [BY + 7, BY], "once");
    let sql = Connection::open(&file).expect("it opens");
    sql.execute("UPDATE meta SET definition = 'another'", []).expect("redefined");
    drop(sql);
    assert_eq!(
        versions(),
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
