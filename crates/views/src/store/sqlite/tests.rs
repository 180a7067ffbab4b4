//! The statements against the engine: its plans, not its speed.

use std::sync::Arc;

use serde_json::json;

use super::rows::Stored;
use super::*;
use crate::owner::{Owner, Whose};
use crate::settings::Settings;
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
    Definitions::compile(&settings, &|_| Some(String::new())).expect("no mistakes")
}

fn plan(store: &Store, statement: &str) -> String {
    let plan = store.database.read(|sql| {
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
    let rows = Stored { view: &definitions.views[0], table: &store.tables[0] };
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
    let nobody = anew.database.read(|sql| {
        let whose = Whose { page: 0, owner: Owner::Text("a") };
        feed::known(sql, whose)
    });
    assert_eq!(nobody.expect("the present tables"), None);
}
