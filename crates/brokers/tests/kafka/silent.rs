//! A client that is never answered while its partition is sound: it is given up, and another one goes on.
//!
//! Between client and server stands a proxy, at the address that the server tells: it carries what a connection says, and
//! of one of them nothing that it is answered. It tells, too, that no other one is made where only one partition has
//! nobody who answers for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use events::{Broker, Declared, Offset, Partition, Partitions, TopicPartition};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::server::Server;
use crate::support::{
    KEPT, Place, at, events, first_copies, numbers_after, publish, servers, topic, until,
};

/// How Kafka numbers what is asked, behind the four bytes of a request's length.
const PUBLISHES: [u8; 2] = [0, 0];
const FETCHES: [u8; 2] = [0, 1];
const BEGINS_TO_PUBLISH: [u8; 2] = [0, 22];
/// By when another consumer has read what the silent one did not, at the latest: sooner than that one gives up by itself.
const READ_ON_WITHIN: Duration = Duration::from_secs(40);

/// What every connection looks at while it carries.
#[derive(Clone, Default)]
struct Watch {
    /// Whether whoever publishes next is answered no more.
    silences: Arc<AtomicBool>,
    /// Whether whoever fetches next is answered no more.
    silences_fetching: Arc<AtomicBool>,
    /// How many producers have begun.
    producers: Arc<AtomicU32>,
    /// How many connections have fetched.
    fetching: Arc<AtomicU32>,
}

/// Listens before the server, which is started with its address as its own.
async fn before(server: &mut Server) -> Watch {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let to = server.address().replace("kafka://", "");
    server.kill();
    server.set("advertised.listeners", &format!("PLAINTEXT://127.0.0.1:{port}"));
    server.start_again();
    let watch = Watch::default();
    let watches = watch.clone();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            if let Ok(server) = TcpStream::connect(&to).await {
                tokio::spawn(carry(client, server, watches.clone()));
            }
        }
    });
    watch
}

async fn carry(client: TcpStream, server: TcpStream, watch: Watch) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let is_silent = Arc::new(AtomicBool::new(false));
    let silent = Arc::clone(&is_silent);
    let back = tokio::spawn(async move {
        let mut buffer = [0; 8192];
        while let Ok(count @ 1..) = from_server.read(&mut buffer).await {
            let is_heard = !silent.load(Ordering::SeqCst);
            if is_heard && to_client.write_all(&buffer[..count]).await.is_err() {
                return;
            }
        }
    });
    let (mut buffer, mut has_fetched) = ([0; 8192], false);
    while let Ok(count @ 1..) = from_client.read(&mut buffer).await {
        // Small requests, each sent alone.
        let asks = |what: [u8; 2]| buffer[..count].get(4..6) == Some(&what[..]);
        let is_hit = asks(PUBLISHES) && watch.silences.swap(false, Ordering::SeqCst)
            || asks(FETCHES) && watch.silences_fetching.swap(false, Ordering::SeqCst);
        if is_hit {
            is_silent.store(true, Ordering::SeqCst);
        }
        watch.producers.fetch_add(u32::from(asks(BEGINS_TO_PUBLISH)), Ordering::SeqCst);
        if asks(FETCHES) && !has_fetched {
            has_fetched = true;
            watch.fetching.fetch_add(1, Ordering::SeqCst);
        }
        if to_server.write_all(&buffer[..count]).await.is_err() {
            break;
        }
    }
    back.abort();
}

#[tokio::test]
async fn one_that_is_not_answered_while_its_partition_is_sound_is_given_up_and_nothing_is_lost() {
    let mut server = Server::start();
    let watch = before(&mut server).await;
    let place = Place::of_order(servers(&server));
    place.create(&KEPT).await;
    let broker = place.connect_for(Duration::from_secs(2)).await.expect("a connection");
    publish(&*broker, 1..=3).await;
    let before = watch.producers.load(Ordering::SeqCst);
    watch.silences.store(true, Ordering::SeqCst);
    publish(&*broker, 4..=6).await;
    publish(&*broker, 7..=9).await;
    let after = watch.producers.load(Ordering::SeqCst);
    assert!(after > before, "another one took its place: {before}, {after}");
    let stored = numbers_after(&*broker, Offset::BEGINNING).await;
    assert_eq!(first_copies(&stored), (1..=9).collect::<Vec<_>>(), "{stored:?}");
}

#[tokio::test]
async fn a_consumer_that_is_not_answered_is_left_and_another_one_reads_on() {
    let mut server = Server::start();
    let watch = before(&mut server).await;
    let place = Place::of_order(servers(&server));
    place.create(&KEPT).await;
    let broker = place.connect_for(Duration::from_secs(2)).await.expect("a connection");
    publish(&*broker, 1..=3).await;
    let read = numbers_after(&*broker, Offset::BEGINNING).await;
    assert_eq!(first_copies(&read), [1, 2, 3]);
    let end = broker.end(&at()).await.expect("an end");
    watch.silences_fetching.store(true, Ordering::SeqCst);
    until(async || match watch.silences_fetching.load(Ordering::SeqCst) {
        false => Ok(()),
        true => Err("nothing is fetched".to_owned()),
    })
    .await;
    publish(&*broker, 4..=6).await;
    let read = tokio::time::timeout(READ_ON_WITHIN, numbers_after(&*broker, end)).await;
    assert_eq!(first_copies(&read.expect("another one reads on")), [4, 5, 6]);
}

/// A read of what is stored behind the first event, which does not come.
async fn read_in_vain(broker: &dyn Broker, of: &TopicPartition) {
    let read = broker.read(of, Offset(1), 10).await;
    let why = read.expect_err("nobody answers for it");
    assert!(why.is_environment() && why.to_string().contains("no record in time"), "{why}");
}

/// Whatever is asked of it, the answer is that it passes: nobody takes a partition without a leader for one that is hurt, or
/// for none.
async fn is_away(broker: &dyn Broker, of: &TopicPartition) {
    let end = broker.end(of).await.map(drop);
    let watch = broker.watch(of).await.map(drop);
    let since = broker.since(of, jiff::Timestamp::UNIX_EPOCH).await.map(drop);
    for asked in [end, watch, since] {
        let why = asked.expect_err("nobody leads it");
        assert!(why.is_environment(), "{why:?}");
    }
}

/// Publishes on the first partition and reads it on, until the other thing is done.
async fn beside(broker: &dyn Broker, other: impl Future<Output = ()>) {
    let busy = async {
        let mut after = broker.end(&at()).await.expect("an end");
        for number in 10.. {
            publish(broker, number..=number).await;
            let page = broker.read(&at(), after, 10).await.expect("a read");
            after = page.last().map_or(after, |last| last.offset);
        }
    };
    tokio::select! {
        () = busy => unreachable!("it goes on"),
        () = other => {}
    }
}

#[tokio::test]
async fn where_one_partition_has_nobody_who_answers_the_others_go_on_by_the_same_consumer() {
    let mut server = Server::start();
    let watch = before(&mut server).await;
    let mut second = server.start_beside();
    let two = Declared { topic: topic(), partitions: Partitions::new(2).expect("in range") };
    let place = Place { topics: vec![two], ..Place::of_order(servers(&server)) };
    place.create_at(&[&[1], &[2]]).await;
    // Both know of it: a client that was told otherwise asks again minutes later.
    let by_the_second = Place { servers: servers(&second), ..place.clone() };
    until(async || {
        let connected = by_the_second.connect_for(Duration::from_secs(2)).await;
        connected.map(drop).map_err(|error| error.to_string())
    })
    .await;
    let broker = place.connect_for(Duration::from_secs(2)).await.expect("a connection");
    let away = topic().at(Partition::new(1).expect("in range"));
    publish(&*broker, 1..=3).await;
    until(async || {
        let published = broker.publish(&away, events(1..=3)).await;
        published.map(drop).map_err(|error| error.to_string())
    })
    .await;
    // It is known where it ends, though nobody can be asked.
    let _end = broker.watch(&away).await.expect("a watch");
    for each in [at(), away.clone()] {
        until(async || match broker.read(&each, Offset::BEGINNING, 3).await {
            Ok(page) if page.len() == 3 => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .await;
    }
    let before = watch.fetching.load(Ordering::SeqCst);

    // The others have news, and it is not known yet that nobody leads the partition.
    second.signal("-STOP");
    beside(&*broker, read_in_vain(&*broker, &away)).await;
    // They have none, and it is.
    second.kill();
    until(async || match broker.publish(&away, events(4..=4)).await {
        Err(error) if error.to_string().contains("no server leads partition 1 of") => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    read_in_vain(&*broker, &away).await;
    beside(&*broker, read_in_vain(&*broker, &away)).await;
    is_away(&*broker, &away).await;
    assert_eq!(watch.fetching.load(Ordering::SeqCst), before, "none begins anew");

    second.start_again();
    until(async || match broker.read(&away, Offset(1), 10).await {
        Ok(page) if page.len() >= 2 => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
}
