//! Every limit at itself and one past it.

use super::{Case, end, event, numbers, publish, stamped, stored};
use crate::broker::{Broker, Offset};
use crate::broker::{PUBLISH_MAX, READ_MAX};
use crate::error::Error;
use crate::event::Event;
use crate::event::{EVENT_BYTES_MAX, ID_BYTES_MAX, KEY_BYTES_MAX};
use crate::partition::{NUMBER_MAX, Partition};
use crate::topic::{Topic, TopicPartition};

/// In order, and something as long as there is more; nothing past the end, whatever an engine says of a
/// place there. More than [`READ_MAX`] is no wish but a mistake.
pub(super) async fn a_read_returns_at_most_its_limit_from_any_place(case: Case) {
    let (broker, topic) = (&*case.broker, case.at);
    publish(broker, &topic, (1..=10).map(|number| event("order", "k", number)).collect()).await;
    let all = stored(broker, &topic).await;
    let places: Vec<Offset> = all.iter().map(|one| one.offset).collect();
    for (passed, limit) in [(0, 3), (3, 3), (8, 3), (5, READ_MAX), (0, 0), (10, 3), (9, 1)] {
        let after = if passed == 0 { Offset::BEGINNING } else { places[passed - 1] };
        let page = broker.read(&topic, after, limit).await.expect("a read");
        let read: Vec<Offset> = page.iter().map(|one| one.offset).collect();
        assert!(read.len() <= limit && places[passed..].starts_with(&read), "{after}: {read:?}");
        assert_eq!(read.is_empty(), limit == 0 || passed == places.len(), "after {after}");
    }
    match broker.read(&topic, Offset(places[9].0 + 1_000), 3).await {
        Ok(page) => assert!(page.is_empty(), "{page:?}"),
        Err(error) => assert!(matches!(error, Error::Gone { .. }), "{error:?}"),
    }
    let refused = broker.read(&topic, Offset::BEGINNING, READ_MAX + 1).await;
    assert!(matches!(refused, Err(Error::Limit { .. })), "{refused:?}");
}

/// The refused batch leaves nothing.
pub(super) async fn a_batch_is_stored_at_the_limit_and_refused_past_it(case: Case) {
    let (broker, topic) = (&*case.broker, case.at);
    let batch = |size| (1..=size as u64).map(|number| event("order", "k", number)).collect();
    refused(broker, &topic, batch(PUBLISH_MAX + 1)).await;
    publish(broker, &topic, batch(PUBLISH_MAX)).await;
    assert_eq!(numbers(broker, &topic).await, (1..=PUBLISH_MAX as u64).collect::<Vec<_>>());
}

/// By bytes, not characters.
pub(super) async fn a_key_is_stored_at_the_limit_and_refused_past_it(case: Case) {
    let (broker, topic) = (&*case.broker, case.at);
    let key = "k".repeat(KEY_BYTES_MAX);
    refused(broker, &topic, vec![event("order", &format!("{key}k"), 1)]).await;
    publish(broker, &topic, vec![event("order", &key, 2)]).await;
    assert_eq!(numbers(broker, &topic).await, [2]);
}

/// What no reader could keep is refused where somebody is there to answer: a reader would try it for ever.
pub(super) async fn what_no_store_can_hold_is_refused(case: Case) {
    let (broker, topic) = (&*case.broker, case.at);
    let source = "s".repeat(ID_BYTES_MAX);
    refused(broker, &topic, vec![event(&format!("{source}s"), "k", 1)]).await;
    refused(broker, &topic, vec![stamped("order", NUMBER_MAX + 1)]).await;
    let refusal = broker.publish(&topic, vec![event("order", "a\0b", 1)]).await;
    assert!(matches!(refusal, Err(Error::Decode { .. })), "{refusal:?}");
    assert_eq!(end(broker, &topic).await, Offset::BEGINNING);
    publish(broker, &topic, vec![stamped(&source, NUMBER_MAX)]).await;
    assert_eq!(numbers(broker, &topic).await, [NUMBER_MAX]);
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
    let stored = stored(broker, &topic).await;
    assert_eq!(stored[1].event.to_json().len(), EVENT_BYTES_MAX);
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
            broker.since(&unknown, jiff::Timestamp::UNIX_EPOCH).await.err(),
            broker.end(&unknown).await.err(),
            broker.watch(&unknown).await.err(),
        ];
        for refusal in refusals {
            assert!(matches!(refusal, Some(Error::UnknownTopic)), "{unknown}: {refusal:?}");
        }
    }
    assert!(matches!(broker.partitions(&topic), Err(Error::UnknownTopic)));
    assert!(matches!(broker.join("group", &topic).await, Err(Error::UnknownTopic)));
    assert!(!broker.topics().contains(&topic));
}

/// The batch is refused by a limit and leaves nothing behind.
async fn refused(broker: &dyn Broker, topic: &TopicPartition, batch: Vec<Event>) {
    let refusal = broker.publish(topic, batch).await;
    assert!(matches!(refusal, Err(Error::Limit { .. })), "{refusal:?}");
    assert_eq!(end(broker, topic).await, Offset::BEGINNING);
}
