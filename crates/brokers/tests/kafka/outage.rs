//! A Kafka that stands still, and one that dies and comes back: nothing acknowledged is lost, nothing
//! overtakes, and who waits is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use events::{Broker, Offset};

use crate::server::Server;
use crate::support::{
    KEPT, Place, at, events, first_copies, numbers_after, publish, servers, topic, until,
};

/// How long anything waits for Kafka here.
const PATIENCE: Duration = Duration::from_secs(2);

/// Publishes number after number, each until it is acknowledged, as a relay does.
async fn publish_on(broker: Arc<dyn Broker>, ended: Arc<AtomicBool>, acknowledged: Arc<AtomicU64>) {
    let mut number = 1;
    while !ended.load(Ordering::SeqCst) {
        match broker.publish(&at(), events(number..=number + 4)).await {
            Ok(_) => {
                number += 5;
                acknowledged.store(number - 1, Ordering::SeqCst);
            }
            Err(error) => assert!(error.is_environment(), "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Reads on from where it is, woken when there is more, as a subscription does.
async fn read_on(broker: Arc<dyn Broker>, up_to: Arc<AtomicU64>) -> Vec<u64> {
    let (mut after, mut numbers) = (Offset::BEGINNING, Vec::new());
    let mut end = broker.watch(&at()).await.expect("a watch");
    while numbers.last().is_none_or(|last| *last < up_to.load(Ordering::SeqCst)) {
        end.mark_unchanged();
        match broker.read(&at(), after, 50).await {
            Ok(page) => {
                after = page.last().map_or(after, |last| last.offset);
                numbers.extend(page.iter().map(|one| one.event.sequence));
            }
            Err(error) => assert!(error.is_environment(), "{error}"),
        }
        _ = tokio::time::timeout(Duration::from_millis(500), end.changed()).await;
    }
    numbers
}

async fn goes_on(acknowledged: &AtomicU64) {
    let before = acknowledged.load(Ordering::SeqCst);
    until(async || match acknowledged.load(Ordering::SeqCst) {
        now if now > before + 20 => Ok(()),
        now => Err(format!("{now} are acknowledged")),
    })
    .await;
}

#[tokio::test]
async fn nothing_is_lost_or_overtaken_while_it_stands_still_or_dies_and_comes_back() {
    let mut server = Server::start();
    let place = Place::of_order(servers(&server));
    place.create(&KEPT).await;
    let broker = place.connect_for(PATIENCE).await.expect("a connection");
    let (ended, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let up_to = Arc::new(AtomicU64::new(u64::MAX));
    let publishing = tokio::spawn(publish_on(broker.clone(), ended.clone(), acknowledged.clone()));
    let reading = tokio::spawn(read_on(broker.clone(), up_to.clone()));
    goes_on(&acknowledged).await;

    server.signal("-STOP");
    until(async || is_trouble(&*broker).await).await;
    server.signal("-CONT");
    goes_on(&acknowledged).await;

    server.kill();
    until(async || is_trouble(&*broker).await).await;
    server.start_again();
    goes_on(&acknowledged).await;

    ended.store(true, Ordering::SeqCst);
    publishing.await.expect("a publisher that ends");
    let last = acknowledged.load(Ordering::SeqCst);
    up_to.store(last, Ordering::SeqCst);
    let all: Vec<u64> = (1..=last).collect();
    let read = tokio::time::timeout(Duration::from_secs(60), reading).await.expect("in time");
    let read = first_copies(&read.expect("a reader that ends"));
    assert_eq!(read.into_iter().filter(|it| *it <= last).collect::<Vec<_>>(), all);
    let stored = first_copies(&numbers_after(&*broker, Offset::BEGINNING).await);
    assert_eq!(stored.into_iter().filter(|it| *it <= last).collect::<Vec<_>>(), all);
}

/// Whoever asks or publishes is told that Kafka is away, and not that anything is wrong with the input.
async fn is_trouble(broker: &dyn Broker) -> Result<(), String> {
    // A copy of the first: no inbox takes it for news, should it be stored later.
    let at = at();
    let (end, published) = tokio::join!(broker.end(&at), broker.publish(&at, events(1..=1)));
    match (end, published) {
        (Err(end), Err(published)) if end.is_environment() && published.is_environment() => Ok(()),
        other => Err(format!("{other:?}")),
    }
}

#[tokio::test]
async fn with_too_few_servers_nothing_is_acknowledged_and_with_enough_it_goes_on() {
    let first = Server::start();
    let mut second = first.start_beside();
    let place = Place::of_order(servers(&first));
    let both = [("min.insync.replicas", "2"), ("retention.ms", "-1")];
    until(async || place.create_on(2, &both).await.map_err(|error| error.to_string())).await;
    let broker = place.connect_for(PATIENCE).await.expect("a connection");
    assert!(broker.promise().contains("at least 2 of 2 servers"), "{}", broker.promise());
    publish(&*broker, 1..=3).await;
    // Another topic is on the second server alone: without that one it exists, and nobody has it.
    let alone = Place::of_order(servers(&first));
    alone.create_at(&[&[2]]).await;
    let without = alone.connect_for(PATIENCE).await.expect("a connection");
    publish(&*without, 1..=1).await;

    second.kill();
    // The first ones wait for the server that is gone; then it counts no more, and that is why they are refused.
    refused_for(&*broker, "1 of the 2 servers that have the partition are in sync").await;
    refused_for(&*without, "no server leads partition 0 of").await;

    second.start_again();
    publish(&*without, 4..=6).await;
    let stored = numbers_after(&*without, Offset::BEGINNING).await;
    assert_eq!(first_copies(&stored), [1, 4, 5, 6]);
    publish(&*broker, 4..=6).await;
    let stored = numbers_after(&*broker, Offset::BEGINNING).await;
    assert_eq!(first_copies(&stored), [1, 2, 3, 4, 5, 6]);
}

/// Each is refused as the environment's trouble, at last with these words.
async fn refused_for(broker: &dyn Broker, why: &str) {
    until(async || match broker.publish(&at(), events(4..=6)).await {
        Err(error) if error.is_environment() && error.to_string().contains(why) => Ok(()),
        Err(error) if error.is_environment() => Err(error.to_string()),
        other => panic!("{other:?}"),
    })
    .await;
}

/// Kafka makes where groups are kept when the first is asked for, and makes nothing that too few servers would have:
/// until then nobody coordinates.
#[tokio::test]
async fn without_a_coordinator_a_member_is_told_so_and_with_one_it_has_its_partitions() {
    let mut server = Server::start();
    server.kill();
    server.set("offsets.topic.replication.factor", "3");
    server.start_again();
    let place = Place::of_order(servers(&server));
    place.create(&KEPT).await;
    let broker = place.connect_for(PATIENCE).await.expect("a connection");
    let member = broker.join("product", &topic()).await.expect("a member");
    let mut assignment = member.assignment();
    let told = async {
        let says = assignment.wait_for(|it| it.trouble.is_some()).await.expect("it says");
        says.trouble.clone().unwrap_or_default()
    };
    let told = tokio::time::timeout(Duration::from_secs(100), told).await.expect("in time");
    assert!(told.contains("product has not said for 10 s who reads what"), "{told}");
    // Events go on meanwhile.
    publish(&*broker, 1..=3).await;

    server.kill();
    server.set("offsets.topic.replication.factor", "1");
    server.start_again();
    let has = assignment.wait_for(|it| it.has(at().partition));
    let has = tokio::time::timeout(Duration::from_secs(100), has).await.expect("in time");
    assert_eq!(has.expect("it says").trouble, None);
    drop(assignment);
    member.leave().await;
}
