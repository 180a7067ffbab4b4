//! Every limit at itself and one past it.

use super::{Case, event, everything, numbers, publish};
use crate::broker::{Broker, Offset, Topic, TopicPartition};
use crate::broker::{PUBLISH_MAX, READ_MAX};
use crate::error::Error;
use crate::event::Event;
use crate::event::{EVENT_BYTES_MAX, KEY_BYTES_MAX};
use crate::partition::Partition;

/// From any place: at most as many as were asked for, nothing past the end, and more than
/// [`READ_MAX`] is no wish but a mistake.
pub(super) async fn a_read_returns_at_most_its_limit(case: Case) {
    let (broker, topic) = (&*case.broker, case.at);
    let batch = (1..=10).map(|number| event("order", "k", number)).collect();
    publish(broker, &topic, batch).await;
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
        let page = broker.read(&topic, Offset(after), limit).await.expect("a read");
        let offsets: Vec<u64> = page.iter().map(|stored| stored.offset.0).collect();
        assert_eq!(offsets, expected, "after {after}, limit {limit}");
    }
    let refused = broker.read(&topic, Offset::BEGINNING, READ_MAX + 1).await;
    assert!(matches!(refused, Err(Error::Limit { .. })), "{refused:?}");
}

/// The refused batch leaves nothing: what comes after it begins at the first offset.
pub(super) async fn a_batch_is_stored_at_the_limit_and_refused_past_it(case: Case) {
    let (broker, topic) = (&*case.broker, case.at);
    let batch = |size| (1..=size as u64).map(|number| event("order", "k", number)).collect();
    refused(broker, &topic, batch(PUBLISH_MAX + 1)).await;
    assert_eq!(publish(broker, &topic, batch(PUBLISH_MAX)).await, Offset(PUBLISH_MAX as u64));
    assert_eq!(numbers(broker, &topic).await.len(), PUBLISH_MAX);
}

/// By bytes, not characters.
pub(super) async fn a_key_is_stored_at_the_limit_and_refused_past_it(case: Case) {
    let (broker, topic) = (&*case.broker, case.at);
    let key = "k".repeat(KEY_BYTES_MAX);
    refused(broker, &topic, vec![event("order", &format!("{key}k"), 1)]).await;
    publish(broker, &topic, vec![event("order", &key, 2)]).await;
    assert_eq!(numbers(broker, &topic).await, [2]);
}

/// Neither what stood before it in the batch nor what stood behind it.
pub(super) async fn a_batch_with_one_event_too_large_stores_nothing(case: Case) {
    let (broker, topic) = (&*case.broker, case.at);
    let sized = |bytes: usize| {
        let mut large = event("order", "k", 1);
        let envelope = large.to_json().len() - large.data.get().len();
        let text = format!("\"{}\"", "x".repeat(bytes - envelope - 2));
        large.data = serde_json::value::RawValue::from_string(text).expect("JSON");
        assert_eq!(large.to_json().len(), bytes);
        large
    };
    let small = event("order", "k", 1);
    refused(broker, &topic, vec![small.clone(), sized(EVENT_BYTES_MAX + 1), small.clone()]).await;
    publish(broker, &topic, vec![small, sized(EVENT_BYTES_MAX)]).await;
    let stored = everything(broker, &topic).await;
    assert_eq!(stored[1].to_json().len(), EVENT_BYTES_MAX);
}

/// A topic is never made by being asked for.
pub(super) async fn an_unknown_topic_is_refused_everywhere(case: Case) {
    let broker = &*case.broker;
    let topic = Topic::parse("unknown").expect("a topic");
    let past = Partition::new(broker.partitions(&case.at.topic).expect("a count").count());
    for unknown in [topic.first(), case.at.topic.at(past.expect("in range"))] {
        let refusals = [
            broker.publish(&unknown, vec![event("order", "k", 1)]).await.err(),
            broker.read(&unknown, Offset::BEGINNING, 1).await.err(),
            broker.published(&unknown, "order").await.err(),
            broker.end(&unknown).err(),
            broker.watch(&unknown).err(),
        ];
        for refusal in refusals {
            assert!(matches!(refusal, Some(Error::UnknownTopic)), "{unknown}: {refusal:?}");
        }
    }
    assert!(matches!(broker.partitions(&topic), Err(Error::UnknownTopic)));
    assert!(!broker.topics().contains(&topic));
}

/// The batch is refused by a limit and leaves nothing behind.
async fn refused(broker: &dyn Broker, topic: &TopicPartition, batch: Vec<Event>) {
    let refusal = broker.publish(topic, batch).await;
    assert!(matches!(refusal, Err(Error::Limit { .. })), "{refusal:?}");
    assert_eq!(broker.end(topic).expect("an end"), Offset::BEGINNING);
}
