//! The table that others insert into: each topic of it is relayed, with the keys that its rows have.

use std::sync::Arc;

use tempfile::TempDir;

use super::*;
use crate::local::Log;
use crate::relay::Relay;
use crate::store::options::{Host, Inserted};
use crate::store::outbox_schema;
use crate::topic::{Declared, Topic};

pub(super) const PARTITIONS: u16 = 3;

pub(super) fn declared(name: &str) -> Declared {
    Declared { topic: topic(name), partitions: Partitions::new(PARTITIONS).unwrap() }
}

/// A place with a table that knows two topics.
pub(super) fn table() -> TestSchema {
    let place = TestSchema::fresh();
    place.execute(&format!("CREATE SCHEMA {}", place.name));
    place.execute(&outbox_schema(&[declared("order"), declared("payment")]));
    place
}

fn inserted(place: &TestSchema, topic: Topic, partitions: u16) -> Inserted {
    let publishes = Publishes {
        source: topic.to_string(),
        topic,
        partitions: Partitions::new(partitions).unwrap(),
    };
    let address = place.address.parse().unwrap();
    let host = Host { address, password: None, connections: 4 };
    Inserted { host, name: place.name.clone(), publishes, clock: clock() }
}

pub(super) async fn open(place: &TestSchema, name: &str) -> Database {
    Database::relaying(inserted(place, topic(name), PARTITIONS)).await.unwrap()
}

/// Key, subject and data of everything that a topic has, sorted.
pub(super) async fn published(log: &Log, name: &str) -> Vec<(String, String, String)> {
    let mut all = Vec::new();
    for partition in Partitions::new(PARTITIONS).unwrap().each() {
        let at = topic(name).at(partition);
        for Stored { event, .. } in log.read(&at, Offset::BEGINNING, 100).await.unwrap() {
            assert_eq!(Partitions::new(PARTITIONS).unwrap().of(&event.key), partition);
            all.push((event.key, event.subject, event.data.get().to_owned()));
        }
    }
    all.sort();
    all
}

#[tokio::test]
async fn rows_of_others_go_to_their_topics_with_keys_of_their_own_once_they_are_committed() {
    let (place, folder) = (table(), TempDir::new().unwrap());
    let topics = [declared("order"), declared("payment")];
    let log = Arc::new(Log::open_declared(folder.path(), &topics, clock()).unwrap());
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let mut running = Vec::new();
    for name in ["order", "payment"] {
        let relay = Relay::new(open(&place, name).await, log.clone());
        let mut stopped = stopped.clone();
        running.push(tokio::spawn(relay.run(async move {
            _ = stopped.wait_for(|stopped| *stopped).await;
        })));
    }
    place.execute(
        "INSERT INTO yeoul_outbox (topic, key, type, subject, data) VALUES
            ('order', '17', 'Placed', 'order 17', '{\"a\": 1}'),
            ('payment', '17', 'Paid', NULL, '2'), ('order', '18', 'Placed', 'order 18', '3')",
    );
    place.execute(
        "BEGIN; INSERT INTO yeoul_outbox (topic, key, type) VALUES ('order', '19', 'Placed'); ROLLBACK",
    );
    place.execute(
        "INSERT INTO yeoul_outbox (topic, key, type, data) VALUES ('order', '19', 'Placed', '4')",
    );
    let row = |key: &str, subject: &str, data: &str| {
        (key.to_owned(), subject.to_owned(), data.to_owned())
    };
    let orders =
        [row("17", "order 17", "{\"a\": 1}"), row("18", "order 18", "3"), row("19", "19", "4")];
    until(async || {
        let found = (published(&log, "order").await, published(&log, "payment").await);
        let all = found.0 == orders && found.1 == [row("17", "17", "2")];
        if all { Ok(()) } else { Err(format!("{found:?}")) }
    })
    .await;
    stop.send_replace(true);
    for task in running {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn a_letter_that_is_redriven_keeps_its_key_and_its_partition() {
    let place = table();
    let database = open(&place, "order").await;
    place.execute(
        "INSERT INTO yeoul_outbox (topic, key, type, subject) VALUES ('order', '17', 'Placed', 'of it')",
    );
    let partition = Partitions::new(PARTITIONS).unwrap().of("17");
    let first = Numbered { partition, number: 1 };
    database.write(first, |at, tx| Box::pin(tx.publish_again(*at))).await.unwrap();
    let events = database.waiting_whole(Numbered { partition, number: 1 }, 10).await.unwrap();
    let [again] = &events[..] else { panic!("{events:?}") };
    assert_eq!((again.key.as_str(), again.subject.as_str()), ("17", "of it"));
}

#[tokio::test]
async fn what_is_no_such_table_is_refused_and_nothing_is_made_beside_it() {
    let place = table();
    let refused = async |options| Database::relaying(options).await.err().expect("refused");
    let other = refused(inserted(&place, topic("order"), 4)).await;
    assert!(matches!(other, Error::Partitions { has: 3, asked: 4, .. }), "{other}");
    let unknown = refused(inserted(&place, topic("nobody"), 3)).await;
    assert!(matches!(unknown, Error::UnknownTopic), "{unknown}");
    let nowhere = TestSchema { name: "nowhere".to_owned(), ..place.clone() };
    let none = refused(inserted(&nowhere, topic("order"), 3)).await;
    assert!(
        matches!(&none, Error::Statement { what } if what.contains("`yeoul_outbox`")),
        "{none}"
    );
    let made = format!(
        "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'yeoul_relay_{}%' OR nspname = 'nowhere'",
        place.name
    );
    assert_eq!(place.execute(&made), "0");
}

/// Whole events are an outbox's of the process alone: else who may insert would publish as anybody, or stop the relay.
#[tokio::test]
async fn a_row_of_others_that_calls_itself_a_whole_event_is_one_of_its_source_like_any_other() {
    let place = table();
    let database = open(&place, "order").await;
    place.execute(
        r#"INSERT INTO yeoul_outbox (topic, key, type, data) VALUES
            ('order', '17', 'application/cloudevents+json',
                '{"specversion":"1.0","id":"1","source":"payment","type":"Paid"}'),
            ('order', '17', 'application/cloudevents+json', '7')"#,
    );
    let partition = Partitions::new(PARTITIONS).unwrap().of("17");
    let second = Numbered { partition, number: 2 };
    database.write(second, |at, tx| Box::pin(tx.publish_again(*at))).await.unwrap();
    let events = database.waiting_whole(Numbered { partition, number: 0 }, 10).await.unwrap();
    assert_eq!(events.len(), 3, "{events:?}");
    for event in &events {
        assert_eq!((&*event.source, &*event.kind), ("order", "application/cloudevents+json"));
        assert_eq!((event.publisher(), &event.outbox_source), ("order", &None));
    }
    assert_eq!(events[2].data.get(), "7");
}
