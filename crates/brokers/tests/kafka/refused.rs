//! What Kafka refuses: what is too large, what too few servers would have, what is not there.

use std::time::Duration;

use events::{Declared, Error, Offset, Partitions};
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;

use crate::support::{
    KEPT, Place, at, client, events, first_copies, numbers_after, shared, sized, topic, until,
};

/// Changes settings of a topic while it is used.
async fn alter(place: &Place, settings: &[(&str, &str)]) {
    let admin: AdminClient<DefaultClientContext> =
        client(&place.servers).create().expect("a client");
    let name = format!("{}{}", place.prefix, topic());
    let change = AlterConfig::new(ResourceSpecifier::Topic(&name));
    let change = settings.iter().fold(change, |change, (key, value)| change.set(key, value));
    let done = admin.alter_configs(&[change], &AdminOptions::new()).await.expect("an answer");
    assert!(done.iter().all(Result::is_ok), "{done:?}");
}

/// How often something is done that goes wrong by chance.
const ROUNDS: u32 = 5;

fn is_of_size(refused: &Result<Offset, Error>) -> bool {
    matches!(refused, Err(Error::Limit { field: "max.message.bytes", .. }))
}

#[tokio::test]
async fn an_event_is_stored_at_the_topics_limit_and_refused_past_it() {
    let settings = [("max.message.bytes", "10000")];
    let (_, broker) = Place::fresh(shared(), &settings).await;
    let batch = vec![sized(1, 1), sized(2, 10_000), sized(3, 1)];
    let refused = broker.publish(&at(), batch).await;
    assert!(is_of_size(&refused), "{refused:?}");
    assert_eq!(broker.end(&at()).await.expect("an end"), Offset::BEGINNING);
    broker.publish(&at(), vec![sized(4, 9_000)]).await.expect("stored");
    assert_eq!(numbers_after(&*broker, Offset::BEGINNING).await, [4]);
}

/// Nothing behind what is refused is stored before it, or an inbox would take what comes for a second copy.
#[tokio::test]
async fn a_limit_that_was_lowered_meanwhile_is_named_and_nothing_is_overtaken() {
    let settings = [("max.message.bytes", "100000"), ("retention.ms", "-1")];
    let (place, broker) = Place::fresh(shared(), &settings).await;
    broker.publish(&at(), events(1..=2)).await.expect("stored");
    alter(&place, &[("max.message.bytes", "10000"), ("retention.ms", "-1")]).await;
    let mut batch = vec![sized(3, 1), sized(4, 50_000)];
    batch.extend(events(5..=30));
    let refused = until(async || match broker.publish(&at(), batch.clone()).await {
        // Not yet in force.
        Ok(_) => Err("it is taken".to_owned()),
        // As any publisher does: the whole batch again.
        Err(error) if error.is_environment() => Err(error.to_string()),
        refused => Ok(refused),
    });
    let refused = refused.await;
    assert!(is_of_size(&refused), "{refused:?}");
    // As the relay does: half as many, and what stands alone is given up.
    broker.publish(&at(), vec![sized(3, 1)]).await.expect("stored");
    broker.publish(&at(), events(5..=30)).await.expect("stored");
    let stored = numbers_after(&*broker, Offset::BEGINNING).await;
    let expected: Vec<u64> = (1..=30).filter(|number| *number != 4).collect();
    let first = first_copies(&stored);
    assert_eq!(first.into_iter().filter(|number| *number != 4).collect::<Vec<_>>(), expected);
}

/// A server that knows nothing of a producer takes whatever comes from it first, so what is sent behind its
/// very first record could be stored without it.
#[tokio::test]
async fn nothing_is_stored_behind_the_first_record_of_all_when_that_is_refused() {
    let settings = [("max.message.bytes", "100000"), ("retention.ms", "-1")];
    let (place, first) = Place::fresh(shared(), &settings).await;
    for round in 0..ROUNDS {
        alter(&place, &[("max.message.bytes", "100000"), ("retention.ms", "-1")]).await;
        let broker = place.connect().await;
        alter(&place, &[("max.message.bytes", "10000"), ("retention.ms", "-1")]).await;
        // In force for others; those who come later find it so too.
        until(async || match first.publish(&at(), vec![sized(1, 50_000)]).await {
            Err(error) if is_of_size(&Err(error.clone())) => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .await;
        let before = numbers_after(&*broker, Offset::BEGINNING).await.len();
        // As large as the client puts into one batch, so that others follow in a batch of their own.
        let mut batch = vec![sized(2, 99_500)];
        batch.extend(events(3..=30));
        let refused = broker.publish(&at(), batch).await;
        assert!(is_of_size(&refused), "{refused:?}");
        let stored = numbers_after(&*broker, Offset::BEGINNING).await;
        assert_eq!(stored.len(), before, "round {round}: {:?}", stored.get(before..));
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_made_and_other_partitions_are_refused() {
    let place = Place::of_order(shared());
    let unknown = place.connect_for(Duration::from_secs(20)).await.err();
    assert!(matches!(unknown, Some(Error::UnknownTopic)), "{unknown:?}");
    place.create(&KEPT).await;
    let three = Declared { topic: topic(), partitions: Partitions::new(3).expect("a count") };
    let other = Place { topics: vec![three], ..place };
    let refused = other.connect_for(Duration::from_secs(20)).await.err();
    assert!(matches!(refused, Some(Error::Partitions { has: 1, asked: 3, .. })), "{refused:?}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_the_environments_trouble() {
    let nobody = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let address = nobody.local_addr().expect("an address");
    drop(nobody);
    let place = Place::of_order(format!("kafka://{address}").parse().expect("an address"));
    let refused = place.connect_for(Duration::from_secs(1)).await.err();
    assert!(refused.as_ref().is_some_and(Error::is_environment), "{refused:?}");
}
