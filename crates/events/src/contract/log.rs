//! What a log keeps beyond: it counts places and recognises second copies, and removes nothing.

use super::{Case, end, event, numbers, publish, stamped, stored};
use crate::broker::{Broker, Offset, READ_MAX};
use crate::event::Event;
use crate::topic::TopicPartition;

/// The first is 1; an empty batch moves nothing, and neither does opening again.
pub(super) async fn places_are_counted_without_a_gap(case: Case) {
    let Case { mut broker, reopen, at, .. } = case;
    let batch = |numbers: std::ops::RangeInclusive<u64>| -> Vec<Event> {
        numbers.map(|number| event("order", "k", number)).collect()
    };
    assert_eq!(publish(&*broker, &at, batch(1..=2)).await, Offset(2));
    assert_eq!(publish(&*broker, &at, batch(3..=5)).await, Offset(5));
    assert_eq!(publish(&*broker, &at, Vec::new()).await, Offset(5));
    drop(broker);
    broker = reopen().await;
    assert_eq!(publish(&*broker, &at, batch(6..=6)).await, Offset(6));
    assert_eq!(end(&*broker, &at).await, Offset(6));
    let places: Vec<u64> = stored(&*broker, &at).await.iter().map(|one| one.offset.0).collect();
    assert_eq!(places, [1, 2, 3, 4, 5, 6]);
    let between = broker.between(&at, Offset(2), Offset(6)).expect("a count");
    assert_eq!(between, 4);
}

/// Whatever place it begins at, the one past the end included.
pub(super) async fn a_page_is_as_long_as_was_asked_for(case: Case) {
    let (broker, at) = (&*case.broker, case.at);
    publish(broker, &at, (1..=10).map(|number| event("order", "k", number)).collect()).await;
    let cases: [(u64, usize, &[u64]); 7] = [
        (0, 3, &[1, 2, 3]),
        (3, 3, &[4, 5, 6]),
        (8, 3, &[9, 10]),
        (5, READ_MAX, &[6, 7, 8, 9, 10]),
        (0, 0, &[]),
        (10, 3, &[]),
        (99, 3, &[]),
    ];
    for (after, limit, expected) in cases {
        let page = broker.read(&at, Offset(after), limit).await.expect("a read");
        let offsets: Vec<u64> = page.iter().map(|stored| stored.offset.0).collect();
        assert_eq!(offsets, expected, "after {after}, limit {limit}");
    }
}

/// In the same batch, in a later one, and by a broker that was opened again: a relay that crashed
/// between publishing and noting it publishes once more.
pub(super) async fn a_second_copy_is_recognised_by_its_outbox_sequence(case: Case) {
    let Case { mut broker, reopen, at: topic, .. } = case;
    assert_eq!(published(&*broker, &topic, "order").await, 0);
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
    assert_eq!(published(&*broker, &topic, "order").await, 7);
    assert_eq!(published(&*broker, &topic, "product").await, 1);
}

/// What has no number is not counted.
pub(super) async fn what_was_published_is_counted_by_source_and_partition(case: Case) {
    let Case { broker, at, other, .. } = case;
    let broker = &*broker;
    publish(broker, &at, vec![stamped("order", 1), event("sensor", "k", 5)]).await;
    publish(broker, &other, vec![stamped("order", 1), stamped("order", 2)]).await;
    assert_eq!(published(broker, &at, "order").await, 1);
    assert_eq!(published(broker, &other, "order").await, 2);
    assert_eq!(published(broker, &at, "sensor").await, 0);
}

/// So that reading again from the beginning misses nothing.
pub(super) async fn nothing_is_ever_removed(case: Case) {
    assert!(case.broker.keeps_all(&case.at));
}

async fn published(broker: &dyn Broker, at: &TopicPartition, source: &str) -> u64 {
    broker.published(at, source).await.expect("a count").expect("an engine that counts")
}
