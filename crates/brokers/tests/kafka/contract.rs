//! The suite that every broker passes, unchanged, and how it is on the wire.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use events::contract::{self, Fixture, Opening};
use events::{Declared, Error, Event, Offset, Partition, Partitions};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::topic_partition_list::TopicPartitionList;

use crate::support::{
    KEPT, PATIENCE, Place, at, client, events, numbers_after, prefix, shared, sized, topic, until,
};

async fn fresh() -> Fixture {
    let topics = contract::topics().to_vec();
    let place = Arc::new(Place { servers: shared(), prefix: prefix(), topics });
    place.create(&KEPT).await;
    let broker = place.connect().await;
    let reopen = move || -> Opening {
        let place = Arc::clone(&place);
        Box::pin(async move { place.connect().await })
    };
    Fixture { broker, reopen: Box::new(reopen) }
}

#[tokio::test]
async fn kafka_keeps_what_every_broker_keeps() {
    contract::suite(fresh).await;
    contract::group_suite(fresh).await;
}

#[tokio::test]
async fn what_an_acknowledgement_means_is_the_topics_own_settings() {
    for (settings, words) in [
        (
            &[("flush.messages", "1"), ("retention.ms", "-1")],
            "disks of at least 1 of 1 servers, and is never",
        ),
        (
            &[("flush.messages", "9"), ("retention.ms", "7000")],
            "in the memory of at least 1 of 1 servers",
        ),
    ] {
        let (place, broker) = Place::fresh(shared(), settings).await;
        let promise = broker.promise();
        assert!(promise.contains(words) && promise.contains(&place.prefix), "{promise}");
    }
}

/// As any other language's library reads it.
#[tokio::test]
async fn an_event_on_the_wire_is_a_cloud_event_in_binary_mode() {
    let (place, broker) = Place::fresh(shared(), &KEPT).await;
    // One of our own: what another program wrote goes as the document that it was.
    let ours = Event { foreign: None, ..sized(7, 3) };
    broker.publish(&at(), vec![ours]).await.expect("stored");
    let mut config = client(&place.servers);
    let consumer: BaseConsumer = config.set("group.id", "raw").create().expect("a client");
    let mut all = TopicPartitionList::new();
    let name = format!("{}order", place.prefix);
    all.add_partition_offset(&name, 0, rdkafka::Offset::Offset(0)).expect("a place");
    consumer.assign(&all).expect("assigned");
    let record = tokio::task::spawn_blocking(move || {
        consumer.poll(PATIENCE).expect("in time").expect("a record").detach()
    });
    let record = record.await.expect("read");
    let text =
        |bytes: Option<&[u8]>| String::from_utf8(bytes.unwrap_or_default().to_vec()).expect("text");
    assert_eq!(text(record.key()), "k");
    assert_eq!(text(record.payload()), "\"xxx\"");
    assert_eq!(record.timestamp().to_millis(), Some(1_714_564_800_000), "the event's own time");
    let headers = record.headers().expect("headers");
    let headers: BTreeMap<&str, String> =
        headers.iter().map(|header| (header.key, text(header.value))).collect();
    let expected = [
        ("ce_id", "id-7"),
        ("ce_outboxsequence", "7"),
        ("ce_partitionkey", "k"),
        ("ce_sequence", "7"),
        ("ce_source", "order"),
        ("ce_specversion", "1.0"),
        ("ce_subject", "k"),
        ("ce_time", "2024-05-01T12:00:00Z"),
        ("ce_type", "Numbered"),
        ("content-type", "application/json"),
    ];
    assert_eq!(headers, expected.map(|(name, value)| (name, value.to_owned())).into());
}

/// What other producers do by themselves.
async fn produce(place: &Place, settings: &[(&str, &str)], key: &str, value: &str) -> i32 {
    let mut config = client(&place.servers);
    settings.iter().for_each(|(name, value)| _ = config.set(*name, *value));
    let producer: FutureProducer = config.create().expect("a client");
    let name = format!("{}order", place.prefix);
    let record = FutureRecord::to(&name).key(key).payload(value);
    producer.send(record, Duration::from_secs(20)).await.expect("stored").partition
}

#[tokio::test]
async fn a_key_goes_where_kafkas_own_rule_sends_it() {
    let eight = Partitions::new(8).expect("a count");
    let topics = vec![Declared { topic: topic(), partitions: eight }];
    let place = Place { servers: shared(), prefix: prefix(), topics };
    place.create(&KEPT).await;
    for key in ["1", "order-17", "주문", "a-little-bit-long-string"] {
        let chosen = produce(&place, &[("partitioner", "murmur2")], key, "x").await;
        let ours = eight.of(key);
        assert_eq!(Partition::new(u16::try_from(chosen).expect("an index")), Some(ours), "{key}");
    }
}

/// It is named with its place, once what is before it was read, and what is behind it stays readable.
#[tokio::test]
async fn a_record_that_is_no_event_is_damage_at_its_place() {
    let (place, broker) = Place::fresh(shared(), &KEPT).await;
    broker.publish(&at(), events(1..=2)).await.expect("stored");
    produce(&place, &[], "k", "no event").await;
    broker.publish(&at(), events(3..=4)).await.expect("stored");
    let page = broker.read(&at(), Offset::BEGINNING, 100).await.expect("what is before it");
    assert!((1..=2).contains(&page.len()));
    for _ in 0..2 {
        match broker.read(&at(), Offset(2), 100).await {
            Err(Error::Damaged { topic, from: 3, to: 3, .. }) => assert_eq!(topic, "order"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(numbers_after(&*broker, Offset(3)).await, [3, 4]);
}

/// Behind what others published, what is no event, and a copy that came late.
#[tokio::test]
async fn the_newest_number_of_a_source_is_found_from_the_end_back() {
    let (place, broker) = Place::fresh(shared(), &KEPT).await;
    let newest = async |source| broker.newest(&at(), source).await.expect("found");
    assert_eq!(newest("order").await, 0, "nothing is there");
    broker.publish(&at(), events(1..=3)).await.expect("stored");
    assert_eq!(newest("order").await, 3);
    produce(&place, &[], "k", "no event").await;
    assert_eq!(newest("order").await, 3, "what is no event is passed");
    for numbers in [1..=600, 601..=1_200] {
        let others = events(numbers).into_iter();
        let others = others.map(|event| Event { source: "b".into(), ..event });
        broker.publish(&at(), others.collect()).await.expect("stored");
    }
    assert_eq!((newest("order").await, newest("b").await), (3, 1_200), "behind what others wrote");
    // A copy that came late does not hide it.
    broker.publish(&at(), events(4..=9)).await.expect("stored");
    broker.publish(&at(), events(2..=2)).await.expect("stored");
    assert_eq!((newest("order").await, newest("nobody").await), (9, 0));
    let found = broker.newest_ids(&at(), "order").await.expect("found");
    let numbers: Vec<u64> = found.iter().map(|it| it.number).collect();
    assert_eq!(numbers, [4, 5, 6, 7, 8, 9, 2], "as they are stored, of the newest records");
    assert!(found.iter().all(|it| it.id == format!("id-{}", it.number)), "{found:?}");
    assert_eq!(broker.published(&at(), "order").await.expect("an answer"), None, "not counted");
}

/// Kafka's tools show where a member reads on, and nobody here goes by it.
#[tokio::test]
async fn the_offsets_of_a_group_say_where_it_reads_on_and_are_only_shown() {
    let (place, broker) = Place::fresh(shared(), &KEPT).await;
    broker.publish(&at(), events(1..=5)).await.expect("stored");
    let member = broker.join("product.order", &topic()).await.expect("a member");
    let owned = member.take(Partition::FIRST).await.expect("its own");
    owned.reached(3);
    let group = format!("{}product.order", place.prefix);
    let mut config = client(&place.servers);
    let reader: Arc<BaseConsumer> =
        Arc::new(config.set("group.id", &group).create().expect("a client"));
    let name = format!("{}order", place.prefix);
    let committed = async || {
        let (reader, name) = (Arc::clone(&reader), name.clone());
        let asked = tokio::task::spawn_blocking(move || {
            let mut asked = TopicPartitionList::new();
            asked.add_partition(&name, 0);
            reader.committed_offsets(asked, PATIENCE).expect("an answer").elements()[0].offset()
        });
        asked.await.expect("asked")
    };
    until(async || match committed().await {
        rdkafka::Offset::Offset(3) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    drop(owned);
    member.leave().await;
    // Whoever reads says from where, whatever is committed there.
    let page = broker.read(&at(), Offset::BEGINNING, 10).await.expect("a read");
    assert_eq!(page[0].offset, Offset(1));
}
