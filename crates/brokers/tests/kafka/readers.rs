//! Many partitions by one client, and each of them by itself: what one meets, the others do not notice.

use std::sync::Arc;
use std::time::Duration;

use brokers::kafka::CONSUMERS_MAX;
use events::{Broker, Declared, Error, Offset, Partition, Partitions, TopicPartition};
use rdkafka::admin::AdminOptions;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::TopicPartitionList;
use yeoul_brokers as brokers;

use crate::support::{
    KEPT, PATIENCE, Place, admin, at, client, events, first_copies, name, numbers_after, prefix,
    publish, shared, topic, until,
};

/// More than there may be consumers.
const PARTITIONS: u16 = CONSUMERS_MAX as u16 + 8;
/// Events in each.
const EVENTS: u64 = 6;
/// One whose first events are removed.
const CUT: u16 = 5;
/// One whose readers are not waited for.
const LEFT: u16 = 7;

fn partition(index: u16) -> TopicPartition {
    topic().at(Partition::new(index).expect("in range"))
}

/// The number that the next event after a place names itself by.
async fn next(broker: &dyn Broker, at: &TopicPartition, after: u64) -> Result<Option<u64>, Error> {
    let page = broker.read(at, Offset(after), 1).await?;
    Ok(page.first().map(|stored| stored.event.sequence))
}

async fn cut(place: &Place, index: u16, before: i64) {
    let mut list = TopicPartitionList::new();
    let offset = rdkafka::Offset::Offset(before);
    list.add_partition_offset(&name(place), i32::from(index), offset).expect("a place");
    let removed = admin(place).delete_records(&list, &AdminOptions::new()).await;
    removed.expect("they are removed");
}

async fn fresh() -> (Place, Arc<dyn Broker>) {
    let partitions = Partitions::new(PARTITIONS).expect("a count");
    let topics = vec![Declared { topic: topic(), partitions }];
    let place = Place { servers: shared(), prefix: prefix(), topics };
    place.create(&KEPT).await;
    let broker = place.connect().await;
    for index in 0..PARTITIONS {
        broker.publish(&partition(index), events(1..=EVENTS)).await.expect("stored");
    }
    (place, broker)
}

#[tokio::test]
async fn what_one_partition_meets_the_others_do_not_notice() {
    let (place, broker) = fresh().await;
    cut(&place, CUT, 4).await;
    for after in 0..EVENTS {
        for index in 0..PARTITIONS {
            let at = partition(index);
            if index == LEFT {
                // Dropped before it has anything: the next one begins where this one did.
                let read = broker.read(&at, Offset(after), 1);
                _ = tokio::time::timeout(Duration::from_micros(1), read).await;
            }
            match next(&*broker, &at, after).await {
                Err(Error::Gone { place, .. }) if index == CUT && (1..4).contains(&after) => {
                    assert_eq!(place, after);
                }
                Ok(number) => {
                    let expected = if index == CUT { after.max(4) + 1 } else { after + 1 };
                    assert_eq!(number, Some(expected), "{at} after {after}");
                }
                other => panic!("{at} after {after}: {other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn readers_of_one_partition_at_several_places_each_go_on_at_their_own() {
    let (_, broker) = fresh().await;
    let at = partition(0);
    let (mut places, step) = ([0, 2, 4], 2);
    for _ in 0..step {
        for place in &mut places {
            assert_eq!(next(&*broker, &at, *place).await.expect("a read"), Some(*place + 1));
            *place += 1;
        }
    }
    // At once, as subscriptions do: more than there are consumers.
    let mut reading = tokio::task::JoinSet::new();
    for reader in 0..2 * CONSUMERS_MAX as u64 {
        let (broker, at, after) = (Arc::clone(&broker), at.clone(), reader % EVENTS);
        reading.spawn(async move { (after, next(&*broker, &at, after).await.expect("a read")) });
    }
    while let Some(read) = reading.join_next().await {
        let (after, number) = read.expect("it ends");
        assert_eq!(number, Some(after + 1));
    }
}

/// A transaction that is taken back: of what it wrote nothing is there, and Kafka's mark of its end has a place.
async fn take_back(place: &Place) {
    let mut config = client(&place.servers);
    let producer: BaseProducer =
        config.set("transactional.id", name(place)).create().expect("a producer");
    let name = name(place);
    let taken_back = tokio::task::spawn_blocking(move || {
        producer.init_transactions(PATIENCE)?;
        producer.begin_transaction()?;
        let record = BaseRecord::<str, str>::to(&name).partition(0).payload("no event");
        producer.send(record).map_err(|(error, _)| error)?;
        producer.flush(PATIENCE)?;
        producer.abort_transaction(PATIENCE)
    });
    taken_back.await.expect("it ends").expect("it is taken back");
}

#[tokio::test]
async fn behind_what_kafka_keeps_for_itself_nothing_is_waited_for_in_vain() {
    let place = Place::of_order(shared());
    place.create(&KEPT).await;
    let broker = place.connect().await;
    publish(&*broker, 1..=3).await;
    let read = numbers_after(&*broker, Offset::BEGINNING).await;
    assert_eq!(first_copies(&read), [1, 2, 3]);
    let last = broker.end(&at()).await.expect("an end");
    take_back(&place).await;
    until(async || match broker.end(&at()).await {
        Ok(end) if end > last => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    for look in 1..=4 {
        let page = broker.read(&at(), last, 10).await;
        assert!(page.as_ref().is_ok_and(Vec::is_empty), "look {look}: {page:?}");
    }
    publish(&*broker, 4..=5).await;
    assert_eq!(first_copies(&numbers_after(&*broker, last).await), [4, 5]);
}
