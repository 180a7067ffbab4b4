//! Order, durability, recognition and waking.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Case, event, everything, numbers, publish, stamped};
use crate::broker::Offset;

/// An empty batch is acknowledged too, and stores nothing; what is read is byte for byte what was sent.
pub(super) async fn a_batch_gets_gapless_offsets_and_reads_back_as_it_was(case: Case) {
    let (broker, topic) = (&*case.broker, case.at);
    assert_eq!(broker.end(&topic).expect("an end"), Offset::BEGINNING);
    assert!(everything(broker, &topic).await.is_empty());
    let sent: Vec<_> = (1..=5).map(|number| event("order", "k", number)).collect();
    assert_eq!(publish(broker, &topic, sent[..2].to_vec()).await, Offset(2));
    assert_eq!(publish(broker, &topic, sent[2..].to_vec()).await, Offset(5));
    assert_eq!(publish(broker, &topic, Vec::new()).await, Offset(5));
    assert_eq!(broker.end(&topic).expect("an end"), Offset(5));
    let texts =
        |events: &[crate::event::Event]| events.iter().map(crate::event::Event::to_json).collect();
    let (sent, stored): (Vec<_>, Vec<_>) = (texts(&sent), texts(&everything(broker, &topic).await));
    assert_eq!(sent, stored);
}

/// Neither their events nor what they know of a source.
pub(super) async fn partitions_and_topics_do_not_mix(case: Case) {
    let Case { broker, at: alpha, other: beta, .. } = case;
    let broker = &*broker;
    let listed = broker.topics();
    assert!(listed.is_sorted() && listed.contains(&alpha.topic) && listed.contains(&beta.topic));
    publish(broker, &alpha, vec![stamped("order", 1)]).await;
    publish(broker, &beta, vec![stamped("order", 1), stamped("order", 2)]).await;
    assert_eq!(numbers(broker, &alpha).await, [1]);
    assert_eq!(numbers(broker, &beta).await, [1, 2]);
    assert_eq!(broker.published(&alpha, "order").await.expect("a mark"), 1);
    assert_eq!(broker.published(&beta, "order").await.expect("a mark"), 2);
    assert!(!broker.promise().is_empty());
}

/// Again and again: also what was stored after it was opened a second time.
pub(super) async fn an_acknowledged_event_is_there_after_reopening(case: Case) {
    let Case { mut broker, reopen, at: topic, .. } = case;
    for round in 0..3 {
        for number in 1..=10 {
            let number = round * 10 + number;
            assert_eq!(publish(&*broker, &topic, vec![stamped("order", number)]).await.0, number);
        }
        drop(broker);
        broker = reopen().await;
        let expected: Vec<u64> = (1..=(round + 1) * 10).collect();
        assert_eq!(numbers(&*broker, &topic).await, expected);
        assert_eq!(broker.end(&topic).expect("an end").0, (round + 1) * 10);
    }
}

/// In the same batch, in a later one, and by a broker that was opened again: a relay that crashed
/// between publishing and noting it publishes once more.
pub(super) async fn a_second_copy_is_recognised_by_its_outbox_sequence(case: Case) {
    let Case { mut broker, reopen, at: topic, .. } = case;
    assert_eq!(broker.published(&topic, "order").await.expect("a mark"), 0);
    let batch = vec![stamped("order", 1), stamped("order", 2), stamped("order", 2)];
    assert_eq!(publish(&*broker, &topic, batch.clone()).await, Offset(2));
    let again = publish(&*broker, &topic, batch.clone()).await;
    assert_eq!(again, Offset(2), "the answer is at or after the first copy");
    // Another source counts for itself; a gap in the sequence is no reason to wait.
    let more = vec![stamped("product", 1), stamped("order", 2), stamped("order", 7)];
    assert_eq!(publish(&*broker, &topic, more).await, Offset(4));
    drop(broker);
    broker = reopen().await;
    publish(&*broker, &topic, batch).await;
    publish(&*broker, &topic, vec![stamped("order", 6)]).await;
    assert_eq!(numbers(&*broker, &topic).await, [1, 2, 1, 7]);
    assert_eq!(broker.published(&topic, "order").await.expect("a mark"), 7);
    assert_eq!(broker.published(&topic, "product").await.expect("a mark"), 1);
}

/// Without a number nothing says that it is a copy.
pub(super) async fn an_event_without_outbox_sequence_is_stored_each_time(case: Case) {
    let (broker, topic) = (&*case.broker, case.at);
    for _ in 0..2 {
        publish(broker, &topic, vec![event("sensor", "k", 5)]).await;
    }
    assert_eq!(numbers(broker, &topic).await, [5, 5]);
    assert_eq!(broker.published(&topic, "sensor").await.expect("a mark"), 0);
}

/// Each publisher's later event has the higher offset, and nothing is lost between them.
pub(super) async fn concurrent_publishers_keep_their_own_order(case: Case) {
    const PUBLISHERS: u64 = 8;
    const EVENTS: u64 = 50;
    let topic = case.at.clone();
    let mut tasks = tokio::task::JoinSet::new();
    for publisher in 0..PUBLISHERS {
        let (broker, topic) = (Arc::clone(&case.broker), topic.clone());
        tasks.spawn(async move {
            let mut last = Offset::BEGINNING;
            for number in 1..=EVENTS {
                let event = event(&publisher.to_string(), &publisher.to_string(), number);
                let offset = publish(&*broker, &topic, vec![event]).await;
                assert!(offset > last, "later publishes have higher offsets");
                assert!(broker.end(&topic).expect("an end") >= offset);
                last = offset;
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.expect("a publisher that keeps its order");
    }
    let mut seen: HashMap<String, u64> = HashMap::new();
    for event in everything(&*case.broker, &topic).await {
        let last = seen.entry(event.key).or_default();
        assert_eq!(event.sequence, *last + 1, "order per key");
        *last = event.sequence;
    }
    assert_eq!(seen.values().sum::<u64>(), PUBLISHERS * EVENTS);
}

/// What is read is final: no event appears later before one that was read.
pub(super) async fn a_reader_beside_a_publisher_sees_no_gap(case: Case) {
    const EVENTS: u64 = 200;
    let topic = case.at.clone();
    let (broker, to) = (Arc::clone(&case.broker), topic.clone());
    let publisher = tokio::spawn(async move {
        for number in 1..=EVENTS {
            publish(&*broker, &to, vec![event("order", "k", number)]).await;
        }
    });
    let mut after = Offset::BEGINNING;
    let mut end = case.broker.watch(&topic).expect("a watch");
    while after < Offset(EVENTS) {
        end.wait_for(|end| *end > after).await.expect("a broker that is open");
        for stored in case.broker.read(&topic, after, 7).await.expect("a read") {
            assert_eq!(stored.offset, after.next());
            assert_eq!(stored.event.sequence, stored.offset.0);
            after = stored.offset;
        }
    }
    publisher.await.expect("a publisher that is acknowledged");
}

/// And not for what another topic got.
pub(super) async fn a_watch_wakes_when_more_is_on_disk(case: Case) {
    let Case { broker, at: topic, other, .. } = case;
    let broker = &*broker;
    let mut end = broker.watch(&topic).expect("a watch");
    let elsewhere = broker.watch(&other).expect("a watch");
    assert_eq!(*end.borrow_and_update(), Offset::BEGINNING);
    let offset = publish(broker, &topic, vec![event("order", "k", 1)]).await;
    end.changed().await.expect("a broker that is open");
    assert_eq!(*end.borrow_and_update(), offset);
    assert!(!elsewhere.has_changed().expect("a broker that is open"));
}
