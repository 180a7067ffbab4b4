//! Waiting for a position, with real subscriptions on a real log.

use std::sync::Arc;
use std::time::Duration;

use events::store::LeftOut;
use events::subscription::Received;
use events::{Broker, Event, Log, Numbered, Partition, Retry, Subscription, Topic, WritePosition};
use serde_json::json;
use yeoul_views::{WAITERS_MAX, Waited};

use crate::mall::{Mall, clock, delivery, event, order};

const SOON: Duration = Duration::from_millis(50);
const LONG: Duration = Duration::from_secs(30);

/// A mall whose `order` and `delivery` topics are folded by subscriptions that are running.
struct Running {
    mall: Mall,
    log: Arc<Log>,
    stop: tokio::sync::watch::Sender<bool>,
}

fn topic(name: &str) -> Topic {
    Topic::parse(name).expect("a topic")
}

fn left_out() -> Vec<LeftOut> {
    vec![LeftOut { partition: Partition::FIRST, numbers: 3..=1002 }]
}

fn at(source: &str, sequence: u64) -> WritePosition {
    WritePosition::new(source, sequence)
}

impl Running {
    async fn start() -> Running {
        let mall = Mall::new();
        let topics = ["order", "delivery"].map(topic);
        let log = Arc::new(Log::open(mall.folder.path(), &topics, clock()).expect("a log"));
        let (stop, stopped) = tokio::sync::watch::channel(false);
        for topic in topics {
            let broker: Arc<dyn Broker> = log.clone();
            let retry = Retry { attempts: 1, backoff: Duration::from_millis(1) };
            let database = mall.views.database().clone();
            let name = format!("mypage.{topic}");
            let fold = mall.views.fold();
            let subscription =
                Subscription::new(&name, topic, database, broker, fold, retry, clock());
            mall.views.attach(subscription.control()).await;
            let mut stopped = stopped.clone();
            tokio::spawn(subscription.run(async move {
                let _ = stopped.wait_for(|stopped| *stopped).await;
            }));
        }
        Running { mall, log, stop }
    }

    async fn publish(&self, events: Vec<Event>) {
        let topic = topic(&events[0].source);
        self.log.publish(&topic.first(), events).await.expect("published");
    }

    async fn wait(&self, source: &str, sequence: u64, at_most: Duration) -> Result<(), Waited> {
        self.mall.views.wait(&at(source, sequence), at_most).await
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

#[tokio::test]
async fn a_reader_who_waits_sees_what_was_written() {
    let running = Running::start().await;
    assert_eq!(running.wait("order", 1, SOON).await, Err(Waited::TooLate));
    for id in 1..=20 {
        let (waiting, ()) = tokio::join!(
            running.wait("order", id, LONG),
            running.publish(vec![event("order", id, "OrderPlaced", order(id, "a@b", 1, 1))]),
        );
        assert_eq!(waiting, Ok(()));
        assert_eq!(running.mall.read("a@b").await["orders"][0]["orderId"], json!(id));
    }
}

/// No time passes here: while a thread of the runtime is busy, its clock stands where it was put. So nobody who looks
/// again after a pause, however short, ever does.
#[tokio::test(start_paused = true)]
async fn who_waits_is_woken_by_the_commit_and_by_no_clock() {
    let (over, until) = std::sync::mpsc::sync_channel::<()>(1);
    // Should it not be over by then, time passes again and the wait ends with what it waits for at most.
    let busy = tokio::task::spawn_blocking(move || until.recv_timeout(LONG).is_ok());
    let running = Running::start().await;
    for id in 1..=20 {
        let (waiting, ()) = tokio::join!(
            running.wait("order", id, LONG),
            running.publish(vec![event("order", id, "OrderPlaced", order(id, "a@b", 1, 1))]),
        );
        assert_eq!(waiting, Ok(()), "{id}");
    }
    // Nobody hears it where it took too long already.
    _ = over.send(());
    assert!(busy.await.expect("no panic"), "it took as long as anybody would have waited");
}

#[tokio::test]
async fn an_event_without_a_rule_is_passed_and_counts_as_reached() {
    let running = Running::start().await;
    running.publish(vec![event("order", 1, "SurveyCompleted", json!({"orderId": 1}))]).await;
    assert_eq!(running.wait("order", 1, LONG).await, Ok(()));
}

#[tokio::test]
async fn a_source_that_is_not_read_here_is_met_at_once() {
    let running = Running::start().await;
    assert_eq!(running.wait("elsewhere", 9, LONG).await, Ok(()));
    running.mall.views.publisher("shop/order", &topic("order"));
    running.mall.views.publisher("shop/mail", &topic("mail"));
    assert_eq!(running.wait("shop/order", 1, SOON).await, Err(Waited::TooLate));
    assert_eq!(running.wait("shop/mail", 1, LONG).await, Ok(()));
}

#[tokio::test]
async fn a_parked_event_is_told_at_once_and_other_keys_go_on() {
    let running = Running::start().await;
    let mut broken = order(1, "a@b", 1, 1);
    broken["price"] = json!(null);
    running
        .publish(vec![
            event("order", 1, "OrderPlaced", broken),
            event("order", 2, "OrderPlaced", order(2, "a@b", 1, 1)),
        ])
        .await;
    assert_eq!(running.wait("order", 2, LONG).await, Err(Waited::Parked));
    assert_eq!(running.wait("order", 1, LONG).await, Err(Waited::Parked));
    let views = &running.mall.views;
    assert_eq!(views.wait(&at("order", 2).for_key("1"), LONG).await, Err(Waited::Parked));
    assert_eq!(views.wait(&at("order", 2).for_key("2"), LONG).await, Ok(()), "another key");
    assert_eq!(running.mall.read("a@b").await["orders"][0]["orderId"], json!(2));
    running
        .publish(vec![event("delivery", 1, "DeliveryStarted", delivery(2, "DeliveryStarted"))])
        .await;
    assert_eq!(running.wait("delivery", 1, LONG).await, Ok(()), "another source");
}

#[tokio::test]
async fn what_was_reached_is_known_after_opening_again() {
    let running = Running::start().await;
    running.publish(vec![event("order", 1, "OrderPlaced", order(1, "a@b", 1, 1))]).await;
    assert_eq!(running.wait("order", 1, LONG).await, Ok(()));
    running.stop.send_replace(true);
    let views = crate::mall::open(running.mall.folder.path(), &crate::mall::settings());
    assert_eq!(views.wait(&at("order", 1), SOON).await, Err(Waited::TooLate), "nobody attached");
    let (database, broker) = (views.database().clone(), running.log.clone());
    let retry = Retry { attempts: 1, backoff: SOON };
    let subscription = Subscription::new(
        "mypage.order",
        topic("order"),
        database,
        broker,
        views.fold(),
        retry,
        clock(),
    );
    views.attach(subscription.control()).await;
    assert_eq!(views.wait(&at("order", 1), SOON).await, Ok(()));
}

#[tokio::test]
async fn as_many_wait_as_may_and_one_more_is_turned_away() {
    let mall = Mall::new();
    let wait = |_| {
        let views = mall.views.clone();
        tokio::spawn(async move { views.wait(&at("order", 1), LONG).await })
    };
    // On one thread they come in the order they were spawned.
    let mut waiting: Vec<_> = (0..=WAITERS_MAX).map(wait).collect();
    let last = waiting.pop().expect("one past the limit");
    assert_eq!(last.await.expect("no panic"), Err(Waited::Crowded));
    let elsewhere = mall.views.wait(&at("elsewhere", 1), LONG).await;
    assert_eq!(elsewhere, Ok(()), "nothing to wait for");
    let placed = event("order", 1, "OrderPlaced", order(1, "a@b", 1, 1));
    let batch = mall.fold(vec![placed]).await.expect("folded");
    events::Handler::committed(&mall.views.fold(), batch);
    let up_to = Numbered { partition: Partition::FIRST, number: 1 };
    let received = Received { source: "order".to_owned(), up_to };
    events::Handler::received(&mall.views.fold(), &[received]);
    for waiting in waiting {
        assert_eq!(waiting.await.expect("no panic"), Ok(()));
    }
    assert_eq!(mall.views.wait(&at("order", 2), SOON).await, Err(Waited::TooLate), "room again");
}

#[tokio::test]
async fn a_write_that_a_restore_took_back_is_not_waited_for() {
    let running = Running::start().await;
    let order = |id| event("order", id, "OrderPlaced", order(id, "a@b", 1, 1));
    running.publish(vec![order(1), order(2)]).await;
    assert_eq!(running.wait("order", 2, LONG).await, Ok(()));
    assert_eq!(running.wait("order", 3, SOON).await, Err(Waited::TooLate));
    running.mall.views.left_out("order", left_out());
    for gone in [3, 500, 1002] {
        assert_eq!(running.wait("order", gone, LONG).await, Ok(()), "{gone}");
    }
    assert_eq!(running.wait("order", 1003, SOON).await, Err(Waited::TooLate));
    assert_eq!(running.wait("delivery", 3, SOON).await, Err(Waited::TooLate));
    // What was there before has to be seen all the same.
    running.mall.views.left_out("delivery", left_out());
    assert_eq!(running.wait("delivery", 500, SOON).await, Err(Waited::TooLate));
}
