//! Places that the topic has no more: each is an error that names it, and never another place.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use events::store::{Options, Tx};
use events::{
    Broker, Clock, Control, Database, Error, Event, Failure, Handler, Offset, Retry, Stored,
    Subscription,
};
use rdkafka::admin::AdminOptions;
use rdkafka::topic_partition_list::TopicPartitionList;

use crate::support::{KEPT, Place, admin, at, events, name, numbers_after, shared, topic, until};

/// The place is named, and what the topic has instead.
fn assert_gone(read: Result<Vec<Stored>, Error>, expected: u64) {
    let Err(Error::Gone { topic, place, what }) = read else { panic!("{read:?}") };
    assert_eq!((topic.as_str(), place), ("order", expected), "{what}");
}

#[tokio::test]
async fn a_place_past_the_end_is_gone_and_the_end_itself_is_not() {
    let (_, broker) = Place::fresh(shared(), &KEPT).await;
    assert_gone(broker.read(&at(), Offset(1), 10).await, 1);
    broker.publish(&at(), events(1..=3)).await.expect("stored");
    assert!(broker.read(&at(), Offset(3), 10).await.expect("the end").is_empty());
    assert_gone(broker.read(&at(), Offset(4), 10).await, 4);
}

#[tokio::test]
async fn what_was_removed_unread_is_gone_and_what_was_read_is_not_missed() {
    let (place, broker) = Place::fresh(shared(), &KEPT).await;
    broker.publish(&at(), events(1..=9)).await.expect("stored");
    assert_eq!(broker.read(&at(), Offset(2), 1).await.expect("a read").len(), 1);
    let mut before = TopicPartitionList::new();
    before.add_partition_offset(&name(&place), 0, rdkafka::Offset::Offset(5)).expect("a place");
    let removed = admin(&place).delete_records(&before, &AdminOptions::new()).await;
    removed.expect("they are removed");
    let again = place.connect().await;
    for gone in [1, 4] {
        assert_gone(again.read(&at(), Offset(gone), 10).await, gone);
    }
    assert_eq!(numbers_after(&*again, Offset(5)).await, [6, 7, 8, 9], "all before it were read");
    assert_eq!(numbers_after(&*again, Offset::BEGINNING).await, [6, 7, 8, 9]);
    assert_eq!(again.end(&at()).await.expect("an end"), Offset(9));
}

/// Notes what it is given.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<u64>>>);

impl Seen {
    fn numbers(&self) -> Vec<u64> {
        self.0.lock().expect("nobody panics with it").clone()
    }
}

impl Handler for Seen {
    type Batch = ();

    async fn handle(&self, (): &mut (), _: &mut Tx<'_>, event: &Event) -> Result<(), Failure> {
        self.0.lock().expect("nobody panics with it").push(event.sequence);
        Ok(())
    }
}

/// A subscription, and what ends it.
struct Running {
    control: Control,
    _stop: tokio::sync::oneshot::Sender<()>,
}

fn start(database: &Database, broker: Arc<dyn Broker>, seen: &Seen, clock: Clock) -> Running {
    let retry = Retry { attempts: 1, backoff: Duration::from_secs(1) };
    let (name, database) = ("product.order", database.clone());
    let subscription =
        Subscription::new(name, topic(), database, broker, seen.clone(), retry, clock);
    let control = subscription.control();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    tokio::spawn(subscription.run(async { _ = stopped.await }));
    Running { control, _stop: stop }
}

/// A clock that moves with each look: a status tells no progress by it.
fn clock() -> Clock {
    let seconds = AtomicU64::new(0);
    Arc::new(move || {
        let second = seconds.fetch_add(1, Ordering::Relaxed);
        jiff::Timestamp::from_second(second.cast_signed()).expect("in range")
    })
}

async fn is_gone(control: &Control) {
    until(async || {
        let stuck = control.status().await.map_err(|error| error.to_string())?.stuck;
        match stuck {
            Some(why)
                if why.contains("has this place no more")
                    && why.contains("events place product.order") =>
            {
                Ok(())
            }
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

/// Deletes the topic and makes it again with these events in it.
async fn make_anew(place: &Place, events: Vec<Event>) {
    let gone = admin(place).delete_topics(&[&name(place)], &AdminOptions::new()).await;
    assert!(gone.expect("an answer").iter().all(Result::is_ok));
    // It is removed in the background, and made only then.
    let broker = until(async || {
        place.create(&KEPT).await;
        let broker = place.connect_for(Duration::from_secs(5)).await;
        let broker = broker.map_err(|error| error.to_string())?;
        match broker.end(&at()).await {
            Ok(Offset::BEGINNING) => Ok(broker),
            other => Err(format!("{other:?}")),
        }
    });
    let broker = broker.await;
    broker.publish(&at(), events).await.expect("stored");
}

/// Shorter, as long, and longer than what was read: no event of it is taken in silence, neither by the
/// subscription that runs nor by one that starts.
#[tokio::test]
async fn a_topic_that_was_made_anew_stops_who_read_the_old_one() {
    for events_anew in [3, 5, 12] {
        let (place, broker) = Place::fresh(shared(), &KEPT).await;
        broker.publish(&at(), events(1..=5)).await.expect("stored");
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("product.db");
        let options = Options { path, schema: &[], publishes: None, clock: clock() };
        let (database, seen) = (Database::open(options).expect("a database"), Seen::default());
        let running = start(&database, broker.clone(), &seen, clock());
        until(async || match seen.numbers().len() {
            5 => Ok(()),
            others => Err(format!("{others}")),
        })
        .await;
        make_anew(&place, events(101..=100 + events_anew)).await;
        is_gone(&running.control).await;
        drop(running);
        let again = start(&database, place.connect().await, &seen, clock());
        is_gone(&again.control).await;
        assert_eq!(seen.numbers(), [1, 2, 3, 4, 5], "{events_anew}");
        // An operator's word: from the beginning of what there is.
        again.control.rewind().await.expect("rewound");
        until(async || match seen.numbers().len() as u64 {
            all if all == 5 + events_anew => Ok(()),
            others => Err(format!("{others}")),
        })
        .await;
        // Who published to the old one publishes to this one.
        until(async || {
            let published = broker.publish(&at(), events(200..=200)).await;
            published.map_err(|error| error.to_string())
        })
        .await;
    }
}
