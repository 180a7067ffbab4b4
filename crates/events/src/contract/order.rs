//! Order, durability, places and waking.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::{Case, end, event, numbers, publish, stamped, stored};
use crate::broker::{Broker, Offset};
use crate::event::Event;
use crate::topic::TopicPartition;

/// An empty batch is acknowledged too, and stores nothing; what is read is byte for byte what was sent.
pub(super) async fn a_batch_is_stored_in_order_and_reads_back_as_it_was(case: Case) {
    let (broker, topic) = (&*case.broker, case.at);
    assert_eq!(end(broker, &topic).await, Offset::BEGINNING);
    assert!(stored(broker, &topic).await.is_empty());
    let sent: Vec<_> = (1..=5).map(|number| event("order", "k", number)).collect();
    let first = publish(broker, &topic, sent[..2].to_vec()).await;
    let second = publish(broker, &topic, sent[2..].to_vec()).await;
    assert!(Offset::BEGINNING < first && first < second, "{first} {second}");
    assert_eq!(publish(broker, &topic, Vec::new()).await, second);
    assert_eq!(end(broker, &topic).await, second);
    let read = stored(broker, &topic).await;
    assert_eq!(read[4].offset, second);
    let text = |event: &Event| String::from_utf8(event.to_json()).expect("text");
    let (sent, read): (Vec<_>, Vec<_>) =
        (sent.iter().map(text).collect(), read.iter().map(|one| text(&one.event)).collect());
    assert_eq!(sent, read);
}

/// Nothing of one is in another.
pub(super) async fn partitions_and_topics_do_not_mix(case: Case) {
    let Case { broker, at: alpha, other: beta, .. } = case;
    let broker = &*broker;
    let listed = broker.topics();
    assert!(listed.is_sorted() && listed.contains(&alpha.topic) && listed.contains(&beta.topic));
    publish(broker, &alpha, vec![stamped("order", 1)]).await;
    publish(broker, &beta, vec![stamped("order", 1), stamped("order", 2)]).await;
    assert_eq!(numbers(broker, &alpha).await, [1]);
    assert_eq!(numbers(broker, &beta).await, [1, 2]);
    assert!(!broker.promise().is_empty());
}

/// Again and again: also what was stored after it was opened a second time.
pub(super) async fn an_acknowledged_event_is_there_after_reopening(case: Case) {
    let Case { mut broker, reopen, at: topic, .. } = case;
    for round in 0..3 {
        let mut last = end(&*broker, &topic).await;
        for number in 1..=10 {
            let offset =
                publish(&*broker, &topic, vec![stamped("order", round * 10 + number)]).await;
            assert!(offset > last, "later publishes have higher places");
            last = offset;
        }
        drop(broker);
        broker = reopen().await;
        let expected: Vec<u64> = (1..=(round + 1) * 10).collect();
        assert_eq!(numbers(&*broker, &topic).await, expected);
        assert_eq!(end(&*broker, &topic).await, last);
    }
}

/// Without a number nothing says that it is a copy.
pub(super) async fn an_event_without_outbox_sequence_is_stored_each_time(case: Case) {
    let (broker, topic) = (&*case.broker, case.at);
    for _ in 0..2 {
        publish(broker, &topic, vec![event("sensor", "k", 5)]).await;
    }
    assert_eq!(numbers(broker, &topic).await, [5, 5]);
}

/// Each publisher's later event has the higher place, and nothing is lost between them.
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
                assert!(offset > last, "later publishes have higher places");
                assert!(end(&*broker, &topic).await >= offset);
                last = offset;
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.expect("a publisher that keeps its order");
    }
    let mut seen: HashMap<String, u64> = HashMap::new();
    for one in stored(&*case.broker, &topic).await {
        let last = seen.entry(one.event.key).or_default();
        assert_eq!(one.event.sequence, *last + 1, "order per key");
        *last = one.event.sequence;
    }
    assert_eq!(seen.values().sum::<u64>(), PUBLISHERS * EVENTS);
}

/// What is read is final: no event appears later before one that was read.
pub(super) async fn a_reader_beside_a_publisher_misses_nothing(case: Case) {
    const EVENTS: u64 = 200;
    let topic = case.at.clone();
    let (broker, to) = (Arc::clone(&case.broker), topic.clone());
    let publisher = tokio::spawn(async move {
        for number in 1..=EVENTS {
            publish(&*broker, &to, vec![event("order", "k", number)]).await;
        }
    });
    let (mut after, mut seen) = (Offset::BEGINNING, 0);
    let mut end = case.broker.watch(&topic).await.expect("a watch");
    while seen < EVENTS {
        end.wait_for(|end| *end > after).await.expect("a broker that is open");
        for stored in case.broker.read(&topic, after, 7).await.expect("a read") {
            assert!(stored.offset > after);
            assert_eq!(stored.event.sequence, seen + 1);
            (after, seen) = (stored.offset, seen + 1);
        }
    }
    publisher.await.expect("a publisher that is acknowledged");
}

/// And not for what another topic got.
pub(super) async fn a_watch_wakes_when_there_is_more(case: Case) {
    let Case { broker, at: topic, other, .. } = case;
    let broker = &*broker;
    let mut end = broker.watch(&topic).await.expect("a watch");
    let elsewhere = broker.watch(&other).await.expect("a watch");
    assert_eq!(*end.borrow_and_update(), Offset::BEGINNING);
    let offset = publish(broker, &topic, vec![event("order", "k", 1)]).await;
    end.changed().await.expect("a broker that is open");
    assert_eq!(*end.borrow_and_update(), offset);
    assert!(!elsewhere.has_changed().expect("a broker that is open"));
}

/// From there everything is read whose time is not before it; a later one than all is the end.
pub(super) async fn a_time_is_a_place_to_read_from(case: Case) {
    let (broker, topic) = (&*case.broker, case.at);
    assert_eq!(since(broker, &topic, Timestamp::UNIX_EPOCH).await, [0; 0]);
    let at = |minute: i64| event("", "", 0).time + SignedDuration::from_mins(minute);
    for number in [1, 2, 3, 4_u64] {
        let time = at(number.cast_signed());
        publish(broker, &topic, vec![Event { time, ..event("order", "k", number) }]).await;
    }
    let before = SignedDuration::from_millis(1);
    for (time, expected) in [
        (Timestamp::UNIX_EPOCH, &[1, 2, 3, 4_u64] as &[u64]),
        (at(1), &[1, 2, 3, 4]),
        (at(3) - before, &[3, 4]),
        (at(3), &[3, 4]),
        (at(3) + before, &[4]),
        (at(4) + before, &[]),
    ] {
        assert_eq!(since(broker, &topic, time).await, expected, "{time}");
    }
}

/// What is read from a time on.
async fn since(broker: &dyn Broker, at: &TopicPartition, time: Timestamp) -> Vec<u64> {
    let after = broker.since(at, time).await.expect("a place");
    let all = stored(broker, at).await;
    all.iter().filter(|one| one.offset > after).map(|one| one.event.sequence).collect()
}
