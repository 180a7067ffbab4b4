//! Who may create in the outbox's schema has nothing of theirs run with another's rights: not by the trigger, which has
//! its owner's, not by who relays, and not by an owner who makes the outbox again.
//!
//! A name without a schema is looked up in all of the path, and what fits its arguments exactly is taken before what
//! they have to be converted for, wherever it stands. So traps are laid for each name that the statements use, with all
//! arguments that they could have.

use std::sync::Arc;

use tempfile::TempDir;

use super::inserted::{declared, open, published, table};
use super::*;
use crate::local::Log;
use crate::relay::Relay;
use crate::store::options::LeaseOutcome;
use crate::store::outbox_schema;

/// Raises wherever one of them is called.
const TRAPS: &str = "DO $traps$
DECLARE
    given CONSTANT TEXT[] := ARRAY['text', 'name', 'integer', 'bigint', 'oid', 'regclass'];
    types CONSTANT TEXT[] := given || ARRAY['numeric', 'timestamptz', 'interval'];
    trap CONSTANT TEXT := 'LANGUAGE plpgsql AS $body$ BEGIN RAISE EXCEPTION ''a trap: %s in %%'', pg_catalog.current_query(); END $body$';
    one TEXT;
    other TEXT;
    called TEXT;
BEGIN
    FOREACH one IN ARRAY given LOOP
        FOREACH called IN ARRAY ARRAY[CALLED] LOOP
            EXECUTE pg_catalog.format('CREATE FUNCTION %I(%s) RETURNS TEXT ' || trap, called, one, called);
        END LOOP;
        FOREACH other IN ARRAY given LOOP
            FOREACH called IN ARRAY ARRAY[CALLED] LOOP
                EXECUTE pg_catalog.format('CREATE FUNCTION %I(%s, %s) RETURNS TEXT ' || trap, called, one, other, called);
            END LOOP;
            EXECUTE pg_catalog.format('CREATE FUNCTION format(TEXT, %s, %s) RETURNS TEXT ' || trap, one, other, 'format');
        END LOOP;
    END LOOP;
    FOREACH one IN ARRAY types LOOP
        FOREACH other IN ARRAY types LOOP
            EXECUTE pg_catalog.format('CREATE FUNCTION trap(%s, %s) RETURNS BOOLEAN ' || trap, one, other, 'compared');
            EXECUTE pg_catalog.format('CREATE FUNCTION reckoned(%s, %s) RETURNS TEXT ' || trap, one, other, 'reckoned');
            FOREACH called IN ARRAY ARRAY['=', '<>', '<', '>', '<=', '>='] LOOP
                EXECUTE pg_catalog.format('CREATE OPERATOR %s (FUNCTION = trap, LEFTARG = %s, RIGHTARG = %s)', called, one, other);
            END LOOP;
            FOREACH called IN ARRAY ARRAY['+', '-', '*', '%', '||', '<<', '>>', '|', '&', '#', '~'] LOOP
                EXECUTE pg_catalog.format('CREATE OPERATOR %s (FUNCTION = reckoned, LEFTARG = %s, RIGHTARG = %s)', called, one, other);
            END LOOP;
        END LOOP;
    END LOOP;
END $traps$";

/// Names that are called in these statements, of the server's own and not of the outbox's.
fn called(statements: &str) -> Vec<&str> {
    let is_name =
        |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_';
    let before = statements.match_indices('(').map(|(at, _)| &statements[..at]);
    let mut names: Vec<&str> = before
        .map(|text| &text[text.trim_end_matches(is_name).len()..])
        .filter(|name| !name.is_empty() && !name.starts_with("yeoul_"))
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn traps(statements: &str) -> String {
    // The language's own words are looked up nowhere.
    let own = ["coalesce", "greatest", "extract", "overlay", "substring"];
    let names = called(statements).into_iter().filter(|name| !own.contains(name));
    let names: Vec<String> = names.map(|name| format!("'{name}'")).collect();
    TRAPS.replace("CALLED", &names.join(", "))
}

#[tokio::test]
async fn who_may_create_beside_the_outbox_has_nothing_run_with_anothers_rights() {
    let place = table();
    let statements = outbox_schema(&[declared("order"), declared("payment")]);
    place.execute(&traps(&statements));
    place.execute(&statements);
    let insert = |key: &str| {
        place.execute(&format!(
            "INSERT INTO yeoul_outbox (topic, key, type, data) VALUES ('order', '{key}', 'Placed', '{{}}')"
        ));
    };
    insert("17");
    // As a server that was started anew has it: its next writer begins an epoch.
    place.execute("UPDATE yeoul_outbox_topic SET started = NULL");
    insert("18");

    let folder = TempDir::new().unwrap();
    let log = Log::open_declared(folder.path(), &[declared("order")], clock()).unwrap();
    let (log, database) = (Arc::new(log), open(&place, "order").await);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let relay = Relay::new(database.clone(), log.clone());
    let count = Partitions::new(super::inserted::PARTITIONS).unwrap();
    let progress: Vec<_> = count.each().map(|partition| relay.progress(partition)).collect();
    let running = tokio::spawn(relay.run(async { _ = stopped.await }));
    until(async || match published(&log, "order").await.len() {
        2 => Ok(()),
        _ => {
            Err(format!("{:?}", progress.iter().map(|it| it.borrow().clone()).collect::<Vec<_>>()))
        }
    })
    .await;
    drop(stop);
    running.await.unwrap();
    let partition = count.of("17");
    let again = Numbered { partition, number: 1 };
    database.write(again, |at, tx| Box::pin(tx.publish_again(*at))).await.unwrap();
    database.save_relayed().await.unwrap();
    assert!(database.take_lease(partition).await.unwrap() == LeaseOutcome::New);
}
