//! Everything committed is published in sequence, by one instance or the other; what cannot be is nobody's secret.

use std::sync::Arc;

use tempfile::TempDir;

use super::*;
use crate::fixture::stamped;
use crate::local::Log;
use crate::relay::fixture::Running;
use crate::relay::{Control, Relay};
use crate::store::postgres::state::outbox;
use crate::store::stepped;

pub(super) fn relay<B: Broker>(database: &Database, broker: &Arc<B>) -> Running {
    Running::start(Relay::new(database.clone(), broker.clone()))
}

pub(super) fn log(folder: &TempDir) -> Arc<Log> {
    Arc::new(Log::open(folder.path(), &[topic("order")], clock()).unwrap())
}

pub(super) async fn publish(database: &Database, number: u64) -> crate::store::Published {
    let work = database.write(number, |number, tx| Box::pin(tx.publish(draft(*number))));
    work.await.unwrap()
}

/// Waits until the log has these subjects, in this order.
pub(super) async fn relayed(log: &Log, subjects: &[&str]) {
    until(async || {
        let stored = log.read(&topic("order").first(), Offset::BEGINNING, 100).await.unwrap();
        let there: Vec<&str> = stored.iter().map(|it| it.event.subject.as_str()).collect();
        if there == subjects { Ok(()) } else { Err(format!("{there:?}")) }
    })
    .await;
}

#[tokio::test]
async fn two_instances_publish_once_and_in_sequence_and_one_goes_on_where_the_other_ended() {
    let (place, folder) = (TestSchema::fresh(), TempDir::new().unwrap());
    let (one, other) = (open(&place).await, open(&place).await);
    let log = log(&folder);
    let first = relay(&one, &log);
    publish(&one, 1).await;
    relayed(&log, &["1"]).await;
    // It stands by; what it commits is seen by the one that relays.
    let second = relay(&other, &log);
    let published = publish(&other, 2).await;
    publish(&one, 3).await;
    relayed(&log, &["1", "2", "3"]).await;
    let stored = log.read(&topic("order").first(), Offset(1), 1).await.unwrap();
    assert_eq!(stored[0].event.id, published.id().to_string());
    first.stop().await;
    publish(&one, 4).await;
    relayed(&log, &["1", "2", "3", "4"]).await;
    assert_eq!(second.status.borrow().lost, None);
    second.stop().await;
}

#[tokio::test]
async fn whoever_asks_for_rows_of_a_partition_has_no_others_read() {
    let place = TestSchema::fresh();
    drop(open(&place).await);
    let read = "SELECT number FROM outbox WHERE sequence > $2 AND sequence <= $3
        ORDER BY sequence LIMIT $4";
    let newest = outbox::newest_in(&place.name, "7");
    for statement in [read, &newest, &outbox::prune(&place.name)] {
        let values = [("$1", "'order'"), ("$2", "5"), ("$3", "9"), ("$4", "2")];
        let valued =
            values.iter().fold(statement.to_owned(), |it, (name, value)| it.replace(name, value));
        // As where there are many.
        let plan = place.execute(&format!("SET enable_seqscan = off; EXPLAIN {valued}"));
        let is_by_place = plan.contains("yeoul_outbox_place on yeoul_outbox");
        let is_by_all = plan.contains("Seq Scan on yeoul_outbox") || plan.contains("Sort");
        assert!(is_by_place && !is_by_all, "{statement}:\n{plan}");
        let spans =
            plan.lines().filter(|line| line.contains("Index Cond") && line.contains("<< 48"));
        assert_eq!(spans.count(), 1, "{statement}:\n{plan}");
    }
}

#[tokio::test]
async fn an_event_is_found_again_by_its_id_and_one_that_no_broker_can_have_is_refused() {
    let place = TestSchema::fresh();
    let database = open(&place).await;
    let published = publish(&database, 7).await;
    assert_eq!(published.number(), first(1));
    assert_eq!(database.number_of(published.id(), "7").await.unwrap(), Some(first(1)));
    let nobodys = "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap();
    assert_eq!(database.number_of(nobodys, "7").await.unwrap(), None);
    let hurt = Draft::new("Placed", "a\0b", 1, &(), &Cause::default());
    let refused = database.write(hurt, |hurt, tx| Box::pin(tx.publish(hurt.clone()))).await;
    assert!(matches!(refused, Err(Error::Decode { .. })), "{refused:?}");
    assert_eq!(waiting(&database).await.len(), 1);
}

#[tokio::test]
async fn whatever_a_text_has_in_it_is_published_as_it_was_written() {
    let place = TestSchema::fresh();
    let database = place.open(SCHEMA, Some(publishes(8)), clock()).await;
    let texts = [
        "'",
        "''); DROP TABLE item; --",
        "\"",
        "\\",
        "\\'",
        "$1 $publish$ %s {}",
        "\u{1}\n\r\t\u{7f}",
        "여울 🛶 \u{2028}",
        "[{\"place\":0}]",
    ];
    for text in texts {
        let cause = Cause {
            correlation_id: Some(text.to_owned()),
            causation_id: Some(text.to_owned()),
            traceparent: Some(text.to_owned()),
        };
        // Of JSON the text itself counts: escapes stay escapes, also that of a NUL.
        let data = serde_json::value::RawValue::from_string(format!(
            "{{ \"a\" : {}, \"nul\": \"\\u0000\" }}",
            serde_json::to_string(text).unwrap()
        ));
        let draft = Draft::new("Placed", text, 3, &data.unwrap(), &cause);
        let given = draft.clone();
        let work = database.write(given, |draft, tx| Box::pin(tx.publish(draft.clone())));
        let at = work.await.unwrap().number();
        let before = Numbered { number: at.number - 1, ..at };
        let events = database.waiting_whole(before, 1).await.unwrap();
        let Event { kind, key, subject, sequence, time, cause: led, data, .. } = &events[0];
        assert_eq!((kind.as_str(), key.as_str(), subject.as_str()), ("Placed", text, text));
        assert_eq!((*sequence, *time, led), (3, clock()(), &cause), "{text}");
        assert_eq!(data.get(), draft.data.get());
    }
    assert_eq!(place.execute("SELECT count(*) FROM item"), "0");
}

#[tokio::test]
async fn a_log_that_lost_its_tail_is_filled_again_and_one_that_has_more_raises_the_numbers() {
    let (place, folder, empty) =
        (TestSchema::fresh(), TempDir::new().unwrap(), TempDir::new().unwrap());
    let database = open(&place).await;
    for number in 1..=3 {
        publish(&database, number).await;
    }
    let before = log(&folder);
    let running = relay(&database, &before);
    relayed(&before, &["1", "2", "3"]).await;
    running.stop().await;
    let after = log(&empty);
    let running = relay(&database, &after);
    relayed(&after, &["1", "2", "3"]).await;
    assert_eq!(running.status.borrow().lost, None);
    running.stop().await;

    // It knows numbers that this schema never gave, or gave and lost.
    let more = (4..=9).map(|number| stamped("order", "k", number));
    after.publish(&topic("order").first(), more.collect()).await.unwrap();
    let mut running = relay(&database, &after);
    let lost = running.status.wait_for(|status| status.lost.is_some());
    let lost = tokio::time::timeout(Duration::from_secs(60), lost).await.expect("in time");
    let lost = lost.expect("it runs").lost.clone().expect("it is said");
    assert!(lost.contains("from=`4`, to=`9`"), "{lost}");
    let above = crate::store::epoch::after(9).unwrap();
    assert_eq!(publish(&database, 10).await.number(), first(above + 1), "none is given twice");
    running.stop().await;
}

#[tokio::test]
async fn a_letter_of_the_outbox_is_shown_redriven_and_dropped_with_a_note() {
    let (place, folder) = (TestSchema::fresh(), TempDir::new().unwrap());
    let database = open(&place).await;
    let log = log(&folder);
    let running = tokio::sync::watch::Sender::new(false).subscribe();
    let control = Control::of(database.clone(), log.clone(), running).unwrap();
    for number in 1..=3 {
        publish(&database, number).await;
    }
    for number in 1..=2 {
        let bury = database.write(first(number), |at, tx| {
            let now = tx.now();
            Box::pin(stepped::bury(tx, *at, "no broker takes it", now))
        });
        bury.await.unwrap();
    }
    let letters: Vec<String> =
        control.dead(10).await.unwrap().into_iter().map(|it| it.id).collect();
    assert_eq!(letters, ["outbox.order.1", "outbox.order.2"]);
    let event = control.dead_event("outbox.order.1").await.unwrap().expect("its event");
    assert!(control.redrive("outbox.order.1").await.unwrap());
    assert!(!control.redrive("outbox.order.1").await.unwrap());
    assert!(control.discard("outbox.order.2", "a test").await.unwrap());
    assert!(control.dead(10).await.unwrap().is_empty());
    let [note] = &control.skipped().await.unwrap()[..] else { panic!("one note") };
    assert_eq!((note.kind.as_str(), note.first, note.by.as_str()), ("letter", 2, "a test"));
    let running = relay(&database, &log);
    relayed(&log, &["3", "1"]).await;
    let stored = log.read(&topic("order").first(), Offset(1), 1).await.unwrap();
    assert_ne!(stored[0].event.id, event.id, "it is a new event");
    running.stop().await;
}
